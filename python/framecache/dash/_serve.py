"""A frame and a request in, an answer out: no server in here."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import _core
from . import _browser, _filter, _sample
from ._query import Limits, Query, RequestError, bad, parse, too_much

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .._frame import Frame

STREAM = "application/vnd.apache.arrow.stream"
_BATCH_ROWS = 65_536
_WORTH_IT = 0.9  # compressed to less than that, or not at all


@dataclass
class Answer:
    """What goes back, for any server: a status, headers, and the body in pieces."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))


def refusal(error: RequestError) -> Answer:
    """The answer to a request that cannot be met."""
    text = json.dumps({"error": error.message, "reason": error.reason}).encode()
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Answer(error.status, headers, iter([text]))


def answer(
    frame: Frame,
    text: str | None,
    *,
    limits: Limits | None = None,
    if_none_match: str = "",
    accept_encoding: str = "",
) -> Answer:
    """The answer to a request for a frame.

    Parameters
    ----------
    frame : Frame
        Held until the body is read or closed.
    text : str or None
        The parameters, JSON.
    limits : Limits, optional
    if_none_match, accept_encoding : str
        Those headers of the request.
    """
    limits = limits or Limits()
    try:
        query = parse(text, frame, limits)
        headers = _cache_headers(frame, query)
        if _same(if_none_match, headers["ETag"]):
            return Answer(304, headers)
        schema, batches = _select(frame, query, limits)
        pieces = _written(schema, batches)
        first = next(pieces)
    except RequestError as error:
        return refusal(error)
    headers["Content-Type"] = STREAM
    if _takes_gzip(accept_encoding):
        packed = zlib.compress(first, 1)
        if len(packed) < _WORTH_IT * len(first):
            headers["Content-Encoding"] = "gzip"
            return Answer(200, headers, _gzipped(first, pieces))
    return Answer(200, headers, _joined(first, pieces))


# ---- Headers ----


def _cache_headers(frame: Frame, query: Query) -> dict[str, str]:
    """A browser keeps the answer, but asks each time whether it may still show it."""
    info = frame.info
    seed = [info["key"], info["sequence"], info["created"], query.text, _core.version]
    tag = hashlib.blake2b(json.dumps(seed).encode(), digest_size=12).hexdigest()
    return {
        "ETag": f'W/"{tag}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Accept-Encoding, Cookie",
    }


def _same(if_none_match: str, tag: str) -> bool:
    given = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return tag.removeprefix("W/") in given or "*" in given


def _takes_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


# ---- Rows ----


def _select(
    frame: Frame, query: Query, limits: Limits
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    import pyarrow as pa

    rows = _rows(frame, query)
    chosen = frame.select(query.columns)
    count = len(rows)
    if count > limits.rows:
        raise too_much(
            "rows",
            f"{count} rows, at most {limits.rows} in an answer: give rows, filter or "
            "downsample",
        )
    size = chosen.nbytes * count // max(frame.rows, 1)
    if size > limits.bytes:
        raise too_much(
            "rows",
            f"about {size} bytes, at most {limits.bytes} in an answer: fewer columns, "
            "rows, filter or downsample",
        )
    given = pa.schema(chosen.schema)
    wanted = _browser.schema(given)
    return wanted, (_browser.batch(b, wanted) for b in _batches(chosen, rows))


def _rows(frame: Frame, query: Query) -> range | np.ndarray[Any, Any]:
    """The rows to send: a range where they follow each other, else their numbers."""
    first, end = query.rows
    rows: range | np.ndarray[Any, Any] = range(frame.rows)
    if query.filter:
        rows = _filter.row_numbers(frame, query.filter)
    rows = rows[first:end]
    return rows if query.downsample is None else _thinned(frame, query, rows)


def _thinned(
    frame: Frame, query: Query, rows: range | np.ndarray[Any, Any]
) -> range | np.ndarray[Any, Any]:
    import numpy as np

    asked = query.downsample
    assert asked is not None
    if len(rows) <= asked.points:
        return rows
    _sample.check()

    def drawn(position: int) -> np.ndarray[Any, Any]:
        array = _filter.column(frame, position)
        if isinstance(rows, range):
            array = array.slice(rows.start, len(rows))
        else:
            array = array.take(rows)
        return _sample.numbers(array, frame.columns[position])

    x = None if asked.x is None else drawn(asked.x)
    if x is not None and not _sample.ascending(x):
        name = frame.columns[asked.x or 0]
        text = f"column {name!r} does not ascend: downsample without x, or sort the table"
        raise bad("downsample", text)
    found = _sample.thin(x, drawn(asked.y), asked.points, asked.method)
    return found + rows.start if isinstance(rows, range) else np.asarray(rows[found])


def _batches(
    frame: Frame, rows: range | np.ndarray[Any, Any]
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if isinstance(rows, range):
        for at in range(rows.start, rows.stop, _BATCH_ROWS):
            length = min(_BATCH_ROWS, rows.stop - at)
            yield pa.record_batch(frame.slice(at, length))
        return
    columns = [_filter.column(frame, i) for i in range(len(frame.columns))]
    names = frame.columns
    for at in range(0, len(rows), _BATCH_ROWS):
        some = pa.array(rows[at : at + _BATCH_ROWS])
        yield pa.record_batch([column.take(some) for column in columns], names=names)


# ---- Bytes ----


class _Sink(io.RawIOBase):
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)


def _written(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """An Arrow stream: the schema with the first batch, each further batch, the end."""
    import pyarrow as pa

    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _gzipped(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    for piece in _joined(first, rest):
        packed = packer.compress(piece)
        if packed:
            yield packed
    yield packer.flush()
