"""Durations and settings: Python's values as the text that the C library reads."""

import math
import os
import re
from datetime import timedelta
from typing import Any

Duration = float | str | timedelta

_UNITS_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(ms|s|m|h|d|)\s*\Z")

NEVER = -1  # FC_NEVER
_MOST_MS = 2**62 // 1_000_000  # nanoseconds since 1970 must fit


def milliseconds(duration: Duration | None, what: str = "ttl") -> int:
    """A duration as the C library takes it: 0 for None, -1 for "never"."""
    if duration is None:
        return 0
    if isinstance(duration, timedelta):
        exact = duration / timedelta(milliseconds=1)
    elif isinstance(duration, str):
        if duration.strip() == "never":
            return NEVER
        match = _DURATION.match(duration)
        if not match:
            raise ValueError(
                f"{what}: {duration!r} is no duration; give seconds, '90', '10m', "
                "'2h', '1d', '250ms' or 'never'"
            )
        exact = float(match[1]) * _UNITS_MS[match[2]]
    else:
        exact = float(duration) * 1000
    if not exact > 0:  # NaN too
        raise ValueError(f"{what}: {duration!r} is not above 0; 'never' has no end")
    return NEVER if exact == math.inf else min(math.ceil(exact), _MOST_MS)


def _duration_text(duration: Duration, what: str) -> str:
    if isinstance(duration, str):
        return duration
    ms = milliseconds(duration, what)
    return "never" if ms == NEVER else f"{ms}ms"


def text(name: str, value: Any) -> str:
    """A setting's value as text, for the one parser there is."""
    if name in ("ttl", "reclaim_wait"):
        return _duration_text(value, name)
    if name == "dir":
        return str(os.fspath(value))
    if name == "mode" and isinstance(value, int):
        return f"{value:04o}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def directory(argument: str | None) -> str:
    """Where the cache is: argument, FRAMECACHE_DIR or the default."""
    chosen = argument or os.environ.get("FRAMECACHE_DIR")
    return os.path.abspath(chosen or f"/dev/shm/framecache-{os.getuid()}")
