"""Frames and caches as text: what the command and notebooks show."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ._errors import Error
from ._frame import layout_of

if TYPE_CHECKING:
    from ._cache import Cache
    from ._frame import Frame

_NAMES = {
    "n": "null", "b": "bool", "c": "int8", "C": "uint8", "s": "int16", "S": "uint16",
    "i": "int32", "I": "uint32", "l": "int64", "L": "uint64", "e": "float16",
    "f": "float32", "g": "float64", "u": "string", "U": "string", "vu": "string",
    "z": "binary", "Z": "binary", "vz": "binary", "tdD": "date", "tdm": "date",
    "+l": "list", "+L": "list", "+vl": "list", "+vL": "list", "+s": "struct",
    "+m": "map", "+r": "run-end encoded",
}  # fmt: skip
_UNITS = {"s": "s", "m": "ms", "u": "us", "n": "ns"}
_CELL = 60


def type_name(format: str) -> str:
    """A type as people call it: "tsu:UTC" is timestamp[us, UTC]."""
    if format in _NAMES:
        return _NAMES[format]
    kind, _, rest = format.partition(":")
    if kind[:2] in ("ts", "tD", "tt") and len(kind) == 3:
        unit = _UNITS.get(kind[2], kind[2]) + (f", {rest}" if rest else "")
        return {"ts": "timestamp", "tD": "duration", "tt": "time"}[kind[:2]] + f"[{unit}]"
    if kind == "d":
        return f"decimal({rest})"
    names = {
        "w": f"binary[{rest}]",
        "+w": f"list[{rest}]",
        "+us": "union",
        "+ud": "union",
    }
    return names.get(kind, "interval" if kind.startswith("ti") else format)


def span_text(seconds: float) -> str:
    """A time as its largest unit: 3 min."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s" if seconds >= 10 else f"{max(seconds, 0):.1f} s"


def size_text(size: float) -> str:
    """Bytes with a unit: 1.5 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _values(frame: Frame, index: int) -> list[Any] | None:
    """One column; None if nothing that is installed can read it."""
    column = frame[index]
    try:
        import pyarrow as pa

        return list(pa.array(column).to_pylist())
    except (ImportError, ValueError, NotImplementedError, OverflowError):
        pass  # not there, or a value beyond what Python's own types hold
    try:
        return list(column.to_numpy().tolist())
    except (ImportError, Error, ValueError):
        return None


def first_rows(frame: Frame, rows: int, columns: int) -> list[list[str]]:
    """Cells of the first rows, column by column; "?" where they cannot be read."""
    head = frame.head(rows)
    cells = []
    for index in range(min(columns, head.shape[1])):
        values = _values(head, index)
        cells.append(["?"] * head.rows if values is None else [*map(_cell, values)])
    return cells


def columns_of(frame: Frame) -> list[tuple[str, str]]:
    """Names and types."""
    layout = layout_of(frame)
    return [
        (name, type_name(format))
        for name, format in zip(layout.names, layout.formats, strict=True)
    ]


def about(info: dict[str, Any]) -> list[tuple[str, str]]:
    """What a frame's info says of its time."""
    now = time.time()
    lines = [("age", span_text(now - info["created"]))]
    if info["expires"] is not None:
        left = info["expires"] - now
        lines.append(("expires", f"in {span_text(left)}" if left > 0 else "now"))
    if info["tags"]:
        lines.append(("tags", ", ".join(info["tags"])))
    return lines


# ---- Where a frame lives, and who has it ----


def home_of(frame: Frame) -> Cache | None:
    """The open Cache whose key still has this frame."""
    from ._cache import Cache

    for cache in Cache._opened.copy():
        try:
            with cache._peek(frame.key) as found:
                if found._identity == frame._identity:
                    return cache
        except Error:  # not in this one, or it is closed
            continue
    return None


def mapped_by(cache: Cache) -> dict[str, list[str]]:
    """For each key the processes that have its frame mapped, as ``123 (gunicorn)``."""
    found: dict[str, list[str]] = {}
    try:
        for held in cache.holders():
            found.setdefault(held["key"], []).append(_process(held["pid"]))
    except Error:  # /proc cannot be read
        pass
    return found


def _process(pid: int) -> str:
    if pid == os.getpid():
        return f"{pid} (this process)"
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return f"{pid} ({comm.read().strip()})"
    except OSError:  # it has just ended
        return f"{pid} (?)"


def place_of(frame: Frame) -> list[tuple[str, str]]:
    """Where it lives and who has it mapped."""
    cache = home_of(frame)
    if cache is None:
        return [("lives in", "memory of its readers only: replaced, deleted or closed")]
    mapped = ", ".join(mapped_by(cache).get(frame.key, []))
    return [("lives in", cache.dir), ("mapped by", mapped or "nobody")]


def table(rows: list[list[str]], right: Collection[int] = ()) -> str:
    """Columns under each other, the first row being titles."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def printable(text: str) -> str:
    """Without what would move a terminal's cursor, or could not be written."""
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    return escaped.encode(encoding, "backslashreplace").decode(encoding)
