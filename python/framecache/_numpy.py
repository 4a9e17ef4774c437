"""Columns as numpy arrays, over the frame's own bytes wherever numpy has the type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core
from ._errors import ColumnTypeError, CorruptError

if TYPE_CHECKING:
    import numpy as np

_NUMBERS = {
    "c": "int8", "C": "uint8", "s": "int16", "S": "uint16", "i": "int32", "I": "uint32",
    "l": "int64", "L": "uint64", "e": "float16", "f": "float32", "g": "float64",
}  # fmt: skip
FORMATS = {name: format for format, name in _NUMBERS.items()}
_UNITS = {"s": "s", "m": "ms", "u": "us", "n": "ns"}
_UNIT_LETTERS = {unit: letter for letter, unit in _UNITS.items()}


class Data(NamedTuple):
    """A column as the extension gives it; buffers keep the lease."""

    name: str
    format: str
    type: str
    width: int
    rows: int
    nulls: int  # -1: not counted
    bit: int
    values: Any
    validity: Any
    offsets: Any
    dictionary: tuple[Any, ...] | None


def dtype_name(format: str) -> str | None:
    """The numpy dtype whose values an Arrow format stores: "tsu:UTC" is M8[us]."""
    if format[:2] == "ts" and format[3:4] == ":":
        return f"datetime64[{_UNITS[format[2]]}]"
    if format[:2] == "tD":
        return f"timedelta64[{_UNITS[format[2]]}]"
    return _NUMBERS.get(format)


def format_of(dtype: np.dtype[Any]) -> str | None:
    """The Arrow format that stores a numpy dtype of fixed width, or None."""
    import numpy as np

    if not dtype.isnative:
        return None
    if dtype.kind == "b":
        return "b"
    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        letter = _UNIT_LETTERS.get(unit)
        if letter is None or count != 1:
            return None
        return f"ts{letter}:" if dtype.kind == "M" else f"tD{letter}"
    return FORMATS.get(dtype.name)


def has_nulls(data: Data) -> bool:
    """Whether any row is null."""
    return data.validity is not None and null_count(data) > 0


def null_count(data: Data) -> int:
    """How many rows are null; counts them in a slice."""
    if data.nulls >= 0 or data.validity is None:
        return max(data.nulls, 0)
    bits = int.from_bytes(memoryview(data.validity), "little") >> data.bit
    return data.rows - (bits & ((1 << data.rows) - 1)).bit_count()


def mask(data: Data) -> np.ndarray[Any, Any]:
    """One bool a row, True where null; new memory."""
    import numpy as np

    if data.validity is None:
        return np.zeros(data.rows, dtype=bool)
    return ~unpack(data.validity, data.bit, data.rows)


def unpack(bits: Any, bit: int, rows: int) -> np.ndarray[Any, Any]:
    """One bool a row of a bitmap; new memory."""
    import numpy as np

    octets = np.frombuffer(bits, dtype=np.uint8)
    return np.unpackbits(octets, count=bit + rows, bitorder="little")[bit:].view(bool)


def fixed(data: Data) -> np.ndarray[Any, Any] | None:
    """The values as they stand, null slots too, without a copy; None: no numpy type."""
    import numpy as np

    coded = data.type == "DICTIONARY"
    name = f"int{data.width * 8}" if coded else dtype_name(data.format)
    if name is None:
        return None
    if data.values is None:
        return np.empty(0, dtype=name)
    raw = np.frombuffer(data.values, dtype="i8" if name[-1] == "]" else name)
    return raw.view(name)


def null_kind(data: Data) -> str | None:
    """How null slots are marked inside the values: a letter of bits.c, or None."""
    if data.type == "DICTIONARY":
        return {1: "c", 2: "s", 4: "i", 8: "l"}[data.width]
    if data.format in ("e", "f", "g"):
        return data.format
    return "t" if data.type in ("TIMESTAMP", "DURATION") else None


def with_nulls_marked(
    data: Data, values: np.ndarray[Any, Any], kind: str | None = None
) -> tuple[np.ndarray[Any, Any], str | None]:
    """Values whose null slots say so themselves (NaN, NaT, -1), and why that took a copy.

    What pandas put has them so; of what another producer put, one pass makes them so.
    """
    if data.validity is None:
        return values, None
    kind = kind or null_kind(data)
    if kind is None or not has_nulls(data):
        return values, None
    place = (data.validity, data.bit, data.rows, kind)
    if _core.nulls_hold(_raw(values), *place):
        return values, None
    values = values.copy()
    _core.fill_nulls(_raw(values), *place)
    return values, "its null slots hold other values than NaN, NaT or -1"


def _raw(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.view("i8") if values.dtype.kind in "mM" else values


def strings(data: Data, missing: Any = None) -> list[Any]:
    """The rows of a string column as str objects, `missing` where null."""
    if data.rows == 0:
        return []
    values = data.values if data.values is not None else b""
    try:
        return _core.decode_strings(
            values, data.offsets, data.validity, data.bit, data.rows, missing
        )
    except ValueError as error:
        raise CorruptError(
            f"column {data.name!r} holds damaged text ({error})"
        ) from error


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    """A list as an array of objects, whatever the items are."""
    import numpy as np

    return np.fromiter(values, dtype=object, count=len(values))


def read(data: Data) -> tuple[np.ndarray[Any, Any] | None, str | None]:
    """A column as pyarrow's ``to_pandas`` gives its numpy types, and why it is a copy.

    Numbers and times without nulls, floats and times with: the frame's bytes. Integers
    with nulls: float64 and NaN. Bool: one byte a row; with nulls: objects. String:
    objects. (None, reason): numpy has nothing like it.
    """
    if data.type == "BOOL":
        return _bools(data), "its booleans are stored as bits"
    if data.type == "STRING":
        return objects(strings(data)), "numpy has no such string"
    values = fixed(data) if data.type != "DICTIONARY" else None
    if values is None:
        return None, f"numpy has no type for Arrow's {data.format!r}"
    if values.dtype.kind in "iu" and has_nulls(data):
        filled = values.astype("float64")
        filled[mask(data)] = float("nan")
        return filled, "its integers have nulls"
    return with_nulls_marked(data, values)


def _bools(data: Data) -> np.ndarray[Any, Any]:
    import numpy as np

    if data.values is None:
        return np.empty(0, dtype=bool)
    values = unpack(data.values, data.bit, data.rows)
    if not has_nulls(data):
        return values
    array = values.astype(object)
    array[mask(data)] = None
    return array


def read_or_raise(data: Data) -> np.ndarray[Any, Any]:
    """As `read`, but what numpy cannot hold is ColumnTypeError naming the column."""
    values, reason = read(data)
    if values is None:
        raise ColumnTypeError(
            f"column {data.name!r}: {reason}; use to_arrow() or to_polars()", data.name
        )
    return values
