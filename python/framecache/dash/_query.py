"""What a browser may ask of a frame: checked here, before anything is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .._errors import ColumnError
from .._frame import layout_of

if TYPE_CHECKING:
    from .._frame import Frame

METHODS = ("minmax", "lttb", "minmaxlttb")
_PARTS = ("columns", "rows", "filter", "downsample")


class RequestError(ValueError):
    """A request that is answered with a status and a reason instead of data.

    Parameters
    ----------
    status : int
        Of HTTP.
    reason : str
        A word for programs: ``"column"``, ``"rows"``, ``"filter"``, ...
    message : str
        For people: the thing, the limit, the remedy.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Limits:
    """How much one request may ask for.

    Parameters
    ----------
    rows : int
        Rows of an answer.
    points : int
        Points to downsample to.
    bytes : int
        Bytes of an answer, before compression.
    request : int
        Characters of the request's parameters.
    """

    rows: int = 1_000_000
    points: int = 100_000
    bytes: int = 256 << 20
    request: int = 8_000


@dataclass(frozen=True)
class Downsample:
    """Which points to leave out: y over x, in about so many points."""

    x: int | None
    y: int
    points: int
    method: str


@dataclass(frozen=True)
class Query:
    """A checked request. Columns are positions in the frame."""

    columns: list[int]
    rows: tuple[int, int | None]
    filter: list[tuple[int, Any]]
    downsample: Downsample | None
    text: str  # the same for the same request: part of the ETag


def parse(text: str | None, frame: Frame, limits: Limits) -> Query:
    """Check the parameters of a request against its frame.

    Parameters
    ----------
    text : str or None
        A JSON object of ``columns``, ``rows``, ``filter``, ``downsample``, all optional.

    Raises
    ------
    RequestError
        It asks for what is not there, or for too much.
    """
    asked = _read(text, limits)
    unknown = sorted(set(asked) - set(_PARTS))
    if unknown:
        known = ", ".join(_PARTS)
        raise bad("parameter", f"no parameter {_short(unknown[0])}; there are {known}")
    return Query(
        columns=_columns(asked.get("columns"), frame),
        rows=_rows(asked.get("rows")),
        filter=_filter(asked.get("filter"), frame),
        downsample=_downsample(asked.get("downsample"), frame, limits),
        text=json.dumps(asked, sort_keys=True, separators=(",", ":")),
    )


def bad(reason: str, message: str) -> RequestError:
    """A request that can never be answered: 400."""
    return RequestError(400, reason, message)


def too_much(reason: str, message: str) -> RequestError:
    """A request for more than a limit: 413."""
    return RequestError(413, reason, message)


def _read(text: str | None, limits: Limits) -> dict[str, Any]:
    if not text:
        return {}
    if len(text) > limits.request:
        raise RequestError(
            414,
            "parameter",
            f"the parameters have {len(text)} characters, at most {limits.request} are "
            "read: name columns by number",
        )
    try:
        asked = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise bad("parameter", "the parameters are no JSON") from None
    if not isinstance(asked, dict):
        raise bad("parameter", "the parameters are no JSON object")
    return asked


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def whole(value: Any) -> bool:
    """Whether it is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _position(column: Any, frame: Frame) -> int:
    if not isinstance(column, str) and not (whole(column) and column >= 0):
        raise bad("column", f"{_short(column)} is no column: a name or a number from 0")
    try:
        return layout_of(frame).position(column)
    except ColumnError as error:
        raise bad("column", str(error.args[0])) from None


def _columns(asked: Any, frame: Frame) -> list[int]:
    if asked is None:
        return list(range(len(layout_of(frame).names)))
    if not isinstance(asked, list) or not asked:
        raise bad("column", f"columns {_short(asked)} is no list of names or numbers")
    positions = [_position(column, frame) for column in asked]
    if len(set(positions)) < len(positions):
        raise bad("column", "a column is asked for twice")
    return positions


def _rows(asked: Any) -> tuple[int, int | None]:
    if asked is None:
        return 0, None
    if not isinstance(asked, list) or len(asked) != 2:
        raise bad("rows", f"rows {_short(asked)} is no pair [first, end]")
    first, end = asked
    if not whole(first) or not (end is None or whole(end)):
        raise bad("rows", f"rows {_short(asked)}: whole numbers, or null as the end")
    if first < 0 or (end is not None and end < first):
        raise bad(
            "rows", f"rows {_short(asked)}: 0 or more, the end not before the first"
        )
    return first, end


def _filter(asked: Any, frame: Frame) -> list[tuple[int, Any]]:
    if asked is None:
        return []
    if not isinstance(asked, dict):
        raise bad("filter", "filter is no object of columns and what they must be")
    return [(_position(name, frame), wanted) for name, wanted in asked.items()]


def _downsample(asked: Any, frame: Frame, limits: Limits) -> Downsample | None:
    if asked is None:
        return None
    if not isinstance(asked, dict) or set(asked) - {"x", "y", "points", "method"}:
        raise bad("downsample", "downsample is an object of x, y, points and method")
    if "y" not in asked:
        raise bad("downsample", "downsample says no y: the column that is drawn")
    points = asked.get("points", 2000)
    if not whole(points) or points < 4:
        raise bad("downsample", f"downsample to {_short(points)} points: 4 at least")
    if points > limits.points:
        text = f"downsample to {points} points: at most {limits.points}"
        raise too_much("downsample", text)
    method = asked.get("method", "minmaxlttb")
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise bad("downsample", f"no method {_short(method)}; there are {known}")
    x = None if asked.get("x") is None else _position(asked["x"], frame)
    return Downsample(x, _position(asked["y"], frame), points, method)
