"""Hashes of values that consist of others, or are of a class of the program's own.

What a class looks like is not enough: the class is part of the content, by module and
name, so that a named tuple is no tuple and a member of an Enum not its value.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import pathlib
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._keys import Hash, Refused, no_content, put, within

if TYPE_CHECKING:
    Feeder = Callable[[Hash, Any], None]


def _class(hash: Hash, tag: bytes, kind: type) -> None:
    module = kind.__module__.replace("__mp_main__", "__main__")  # a spawned child's name
    put(hash, tag, f"{module}.{kind.__qualname__}".encode("utf-8", "surrogatepass"))


def _member(hash: Hash, name: str, value: Any) -> None:
    put(hash, b"member", name.encode("utf-8", "surrogatepass"))
    within(hash, f".{name}", value)


# ---- Python's own ----


def _complex(hash: Hash, value: complex) -> None:
    put(hash, b"complex", struct.pack("<dd", value.real, value.imag))


def _memoryview(hash: Hash, value: memoryview) -> None:
    put(hash, b"memoryview", f"{value.format} {value.shape}".encode())
    put(hash, b"data", value.tobytes())


def _bounds(hash: Hash, value: range | slice) -> None:
    put(hash, type(value).__name__.encode(), b"")
    for name in ("start", "stop", "step"):
        within(hash, f".{name}", getattr(value, name))


def _zone(hash: Hash, value: Any) -> None:
    text = repr(value)
    if " at 0x" in text:  # of a file, say: another in each process
        raise no_content(value)
    put(hash, b"zone", text.encode())


_EXACT: dict[type, Feeder] = {
    complex: _complex,
    bytearray: lambda hash, value: put(hash, b"bytearray", value),
    memoryview: _memoryview,
    range: _bounds,
    slice: _bounds,
    type(...): lambda hash, value: put(hash, b"ellipsis", b""),
}


# ---- Classes of the program's own ----


def _enum(hash: Hash, value: enum.Enum) -> None:
    """A member by its class, its name and, if that has content, its value."""
    _class(hash, b"enum", type(value))
    put(hash, b"name", str(value.name).encode("utf-8", "surrogatepass"))
    own = Hash(hash.by_content)
    try:
        within(own, ".value", value.value)
    except Refused:  # a function, say: its name has to do
        put(hash, b"value", b"")
    else:
        put(hash, b"value", own.digest())


def _path(hash: Hash, value: pathlib.PurePath) -> None:
    put(hash, b"path", type(value).__name__.encode())
    put(hash, b"text", str(value).encode("utf-8", "surrogateescape"))


def _is_named_tuple(value: Any) -> bool:
    names = getattr(type(value), "_fields", None)
    return (
        isinstance(value, tuple)
        and type(names) is tuple
        and len(names) == len(value)
        and not getattr(value, "__dict__", None)
    )


def _named_tuple(hash: Hash, value: Any) -> None:
    _class(hash, b"namedtuple", type(value))
    for name, item in zip(type(value)._fields, value, strict=True):
        _member(hash, str(name), item)


def _dataclass(hash: Hash, value: Any) -> None:
    """By its fields but those of ``compare=False``, and by what else was set on it."""
    fields = {field.name: field for field in dataclasses.fields(value)}
    names = [name for name, field in fields.items() if field.compare]
    names += [name for name in _attributes(value) if name not in fields]
    _class(hash, b"dataclass", type(value))
    for name in names:
        if hasattr(value, name):
            _member(hash, name, getattr(value, name))


def _attributes(value: Any) -> list[str]:
    """What is set on an object itself, but for what a cached_property remembers."""
    kind = type(value)
    names = {
        name
        for name in getattr(value, "__dict__", ())
        if not isinstance(getattr(kind, name, None), functools.cached_property)
    }
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            private = slot.startswith("__") and not slot.endswith("__")
            names.add(f"_{base.__name__.lstrip('_')}{slot}" if private else slot)
    return sorted(names - {"__dict__", "__weakref__"})


def _of_class(value: Any) -> Feeder | None:
    if isinstance(value, enum.Enum):
        return _enum
    if isinstance(value, pathlib.PurePath):
        return _path
    if _is_named_tuple(value):
        return _named_tuple
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _dataclass
    return _zone if isinstance(value, datetime.tzinfo) else None


# ---- pandas' ----


def _of_pandas(value: Any) -> Feeder | None:
    pd = sys.modules.get("pandas")
    if pd is not None and isinstance(value, pd.Period):
        return _period
    return _interval if pd is not None and isinstance(value, pd.Interval) else None


def _period(hash: Hash, value: Any) -> None:
    put(hash, b"period", f"{value.freqstr} {value.ordinal}".encode())


def _interval(hash: Hash, value: Any) -> None:
    put(hash, b"interval", value.closed.encode())
    within(hash, ".left", value.left)
    within(hash, ".right", value.right)


def feeder_of(value: Any) -> Feeder | None:
    """What adds such a value to a hash; None: it is of no type known here."""
    return _EXACT.get(type(value)) or _of_class(value) or _of_pandas(value)
