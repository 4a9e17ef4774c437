"""Durations and settings: Python's values as the text that the C library reads."""

from __future__ import annotations

import math
import os
import sys

from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta
    from typing import Any

    Duration = float | str | timedelta
    PutOptions = tuple[int, int, float, int, bool, tuple[bytes, ...]]

_UNITS_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

NEVER = -1  # FC_NEVER
_MOST_MS = 2**62 // 1_000_000  # nanoseconds since 1970 must fit


def milliseconds(duration: Duration | None, what: str = "ttl") -> int:
    """A duration as the C library takes it: 0 for None, -1 for "never"."""
    if duration is None:
        return 0
    if isinstance(duration, str):
        if duration.strip() == "never":
            return NEVER
        exact = _parsed(duration, what)
    else:
        exact = _exact(duration)
    if not exact > 0:  # NaN too
        raise ValueError(f"{what}: {duration!r} is not above 0; 'never' has no end")
    return NEVER if exact == math.inf else min(math.ceil(exact), _MOST_MS)


def _exact(duration: Any) -> float:
    """Milliseconds of seconds or a timedelta; who has one has imported datetime."""
    timedelta = getattr(sys.modules.get("datetime"), "timedelta", None)
    if timedelta is not None and isinstance(duration, timedelta):
        return float(duration / timedelta(milliseconds=1))
    return float(duration) * 1000


def _parsed(duration: str, what: str) -> float:
    """Milliseconds of a number and a unit."""
    text = duration.strip()
    number = text.rstrip("dhms")
    unit_ms = _UNITS_MS.get(text[len(number) :])
    number = number.rstrip()
    points = number.strip("0123456789")  # what stands between digits
    if unit_ms is None or points not in ("", ".") or number in ("", "."):
        raise ValueError(
            f"{what}: {duration!r} is no duration; give seconds, '90', '10m', "
            "'2h', '1d', '250ms' or 'never'"
        )
    return float(number) * unit_ms


def stale_milliseconds(stale: Duration) -> int:
    """As `milliseconds`, but 0 is 0: no stale time."""
    if isinstance(stale, (int, float)) and stale == 0:
        return 0
    return milliseconds(stale, "stale")


def tag_list(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags, once looked at; TypeError for what is no list of text."""
    if isinstance(tags, (str, bytes)) or not hasattr(tags, "__iter__"):
        raise TypeError(f"tags is a list of str, not {tags!r}")
    listed = tuple(tags)
    for tag in listed:
        if not isinstance(tag, str):
            raise TypeError(f"tags is a list of str; in it is {tag!r}")
    return listed


def tag_bytes(tags: Iterable[str]) -> tuple[bytes, ...]:
    """Tags as the extension takes them."""
    return tuple(tag.encode("utf-8", "surrogateescape") for tag in tag_list(tags))


def put_options(
    ttl: Duration | None = None,
    stale: Duration = 0,
    tags: Iterable[str] = (),
    *,
    cost: float | None = None,
    expect: int = 0,
    sliding: bool = False,
) -> PutOptions:
    """The options of a put as the extension takes them."""
    if ttl is None and cost is None and stale == 0 and tags == () and not sliding:
        return (0, 0, 0.0, expect, False, ())
    return (
        milliseconds(ttl),
        stale_milliseconds(stale),
        0.0 if cost is None else cost,
        expect,
        sliding,
        tag_bytes(tags),
    )


def flight_seconds(given: str | None) -> float:
    """How long to wait for another's compute: setting, FRAMECACHE_FLIGHT_MAX or 60 s."""
    chosen = given or os.environ.get("FRAMECACHE_FLIGHT_MAX") or "60s"
    ms = milliseconds(chosen, "flight_max")
    return math.inf if ms == NEVER else ms / 1000


def _duration_text(duration: Duration, what: str) -> str:
    if isinstance(duration, str):
        return duration
    ms = milliseconds(duration, what)
    return "never" if ms == NEVER else f"{ms}ms"


def text(name: str, value: Any) -> str:
    """A setting's value as text, for the one parser there is."""
    if name in ("ttl", "flight_max", "reclaim_wait"):
        return _duration_text(value, name)
    if name in ("dir", "spill_dir"):
        return _expanded(os.fspath(value))
    if name == "mode" and isinstance(value, int):
        return f"{value:04o}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _expanded(path: Any) -> str:
    """A path with the home directory for ``~``, which no shell expands in a program."""
    expanded = os.path.expanduser(os.fsdecode(path))
    if expanded.startswith("~"):
        from ._errors import InvalidError

        raise InvalidError(
            f"{expanded!r}: there is no home directory for this ~; a directory of that "
            f"name is {'./' + expanded!r}"
        )
    return expanded


def directory(argument: str | None) -> str:
    """Where the cache is: argument, FRAMECACHE_DIR or the default."""
    chosen = argument or os.environ.get("FRAMECACHE_DIR")
    return os.path.abspath(
        _expanded(chosen) if chosen else f"/dev/shm/framecache-{os.getuid()}"
    )
