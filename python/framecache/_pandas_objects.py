"""Columns of Python objects: of one type as Arrow stores that, of others as JSON.

Missing values are null; which object stood for them (None, NaN, NA, NaT) is recorded. Of
a column that mixes them, one is null, and the rest are values like others. What JSON has
no form for stands in it as in values (_values_in.py): exactly what was put comes back.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import _core, _numpy
from ._errors import ColumnTypeError, CorruptError
from ._numpy import Data
from ._values_in import Unstorable, encode_alone, sorted_dicts
from ._values_out import decode_alone

if TYPE_CHECKING:
    import numpy as np

Column = tuple[Any, ...]  # for _put_columns
_Typed = tuple[str, Callable[[str, list[Any]], tuple[Any, Any]]]
NULLABLE = 2  # ARROW_FLAG_NULLABLE
_NULL_NAMES = {0: None, 1: "None", 2: "NaN", 4: "NA", 8: "NaT"}
CODED = "values"  # the label of what is stored as JSON


def flat(name: str, format: str, rows: int, buffers: Any, nulls: int = 0) -> Column:
    """A column without children."""
    return (name, format, rows, nulls, NULLABLE, buffers, None)


def refuse(name: str, why: str) -> ColumnTypeError:
    """What a column raises that would not come back as it is."""
    return ColumnTypeError(f"column {name!r}: {why}", name)


def pyarrow_for(name: str, what: str) -> Any:
    """pyarrow, or ColumnTypeError that says what needs it."""
    try:
        import pyarrow
    except ImportError:
        raise refuse(
            name,
            f"{what} need pyarrow, which is not installed: "
            "pip install 'framecache[pyarrow]'",
        ) from None
    return pyarrow


# ---- In ----


def encode_text(
    name: str, values: np.ndarray[Any, Any], *, exact: bool = False
) -> tuple[Column, int]:
    """Strings as a column, and which kinds of null there are; TypeError names a row."""
    import numpy as np
    import pandas as pd

    try:
        bitmap, offsets, data, nulls, kinds = _core.encode_strings(
            np.ascontiguousarray(values), pd.NA, exact
        )
    except UnicodeEncodeError as reason:
        raise refuse(name, f"a string is not valid Unicode: {reason}") from None
    return flat(name, "U", len(values), (bitmap, offsets, data), nulls), kinds


def encode(name: str, values: np.ndarray[Any, Any]) -> tuple[Column, dict[str, Any]]:
    """Objects as a column, and what to remember.

    Raises
    ------
    ColumnTypeError
        One is of a type that does not come back; the message has its row.
    """
    import numpy as np

    values = np.ascontiguousarray(values)
    try:
        column, kinds = encode_text(name, values, exact=True)
    except (TypeError, ColumnTypeError):  # not all are texts, or not all valid ones
        return _encode_others(name, values)
    if kinds not in _NULL_NAMES:
        return _encode_coded(name, values, kinds)
    return column, _nulls(kinds)


def _nulls(kind: int) -> dict[str, Any]:
    null = _NULL_NAMES[kind]
    return {"null": null} if null else {}


def _encode_others(
    name: str, values: np.ndarray[Any, Any]
) -> tuple[Column, dict[str, Any]]:
    import pandas as pd

    kinds, types = _core.missing_kinds(values, pd.NA, pd.NaT)
    typed = _types().get(next(iter(types))) if len(types) == 1 else None
    if typed is not None and kinds in _NULL_NAMES:
        try:
            return _encode_typed(name, values, next(iter(types)), typed, kinds)
        except (OverflowError, ValueError, ColumnTypeError):  # Arrow's does not hold them
            pass
    return _encode_coded(name, values, kinds)


def _encode_typed(
    name: str, values: np.ndarray[Any, Any], kind: type, typed: _Typed, null: int
) -> tuple[Column, dict[str, Any]]:
    import numpy as np

    label, make = typed
    extra = {"objects": label, **_nulls(null)}
    items, bitmap, nulls = values.tolist(), None, 0
    if null:
        present = [type(i) is kind and (kind is not float or i == i) for i in items]
        items = [i if there else None for i, there in zip(items, present, strict=True)]
        bitmap = np.packbits(present, bitorder="little")
        nulls = len(items) - sum(present)
    format, buffers = make(name, items)
    if format is None:  # pyarrow's
        return (name, *buffers), extra
    return flat(name, format, len(items), (bitmap, *buffers), nulls), extra


def _encode_coded(
    name: str, values: np.ndarray[Any, Any], kinds: int
) -> tuple[Column, dict[str, Any]]:
    """As JSON, a text each; of the ways in which some are missing, the first is null."""
    import pandas as pd

    def other(item: Any, row: int) -> bytes:
        try:
            return encode_alone(item, f"row {row}")
        except Unstorable as reason:
            raise refuse(name, str(reason)) from reason.__cause__

    null = kinds & -kinds
    bitmap, offsets, data, nulls = _core.encode_values(values, pd.NA, pd.NaT, null, other)
    column = flat(name, "U", len(values), (bitmap, offsets, data), nulls)
    return column, {"objects": CODED, **_nulls(null)}


def _bools(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    return "b", (np.packbits([item is True for item in items], bitorder="little"),)


def _ints(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    numbers = [0 if item is None else item for item in items]
    low, high = min(numbers), max(numbers)
    if low < -(2**63) or high >= 2**64 or (low < 0 and high >= 2**63):
        raise ValueError(f"{high if high >= 2**63 else low} needs more than 64 bits")
    format = "L" if high >= 2**63 else "l"
    return format, (np.array(numbers, dtype="u8" if format == "L" else "i8"),)


def _floats(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    nan = float("nan")
    return "g", (np.array([nan if item is None else item for item in items]),)


def encode_bytes(name: str, items: list[Any]) -> tuple[str, Any]:
    """The format and the buffers of bytes objects."""
    import numpy as np

    offsets = np.zeros(len(items) + 1, dtype="i8")
    np.cumsum([len(item or b"") for item in items], out=offsets[1:])
    return "Z", (offsets, b"".join(item or b"" for item in items))


def _dates(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    first = datetime.date(1970, 1, 1).toordinal()
    days = [0 if item is None else item.toordinal() - first for item in items]
    return "tdD", (np.array(days, dtype="i4"),)


def _times(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    return "ttu", (np.array([_microseconds(item) for item in items], dtype="i8"),)


def _microseconds(time: datetime.time | None) -> int:
    if time is None:
        return 0
    if time.tzinfo is not None or time.fold:
        raise ValueError(f"{time!r} has a time zone or a fold")
    seconds = (time.hour * 60 + time.minute) * 60 + time.second
    return seconds * 1_000_000 + time.microsecond


_FIRST = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


def _moments(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    if any(i is not None and (i.tzinfo is not None or i.fold) for i in items):
        raise ValueError("one has a time zone or a fold")
    counts = [0 if i is None else (i - _FIRST) // _MICROSECOND for i in items]
    return "tsu:", (np.array(counts, dtype="i8"),)


def _spans(name: str, items: list[Any]) -> tuple[str, Any]:
    import numpy as np

    counts = [0 if item is None else item // _MICROSECOND for item in items]
    return "tDu", (np.array(counts, dtype="i8"),)


def _scalars(name: str, items: list[Any]) -> tuple[str, Any]:
    """numpy's, all of one type."""
    import numpy as np

    dtype = next(item.dtype for item in items if item is not None)
    format = _numpy.format_of(dtype)
    values = np.array([dtype.type(0) if item is None else item for item in items], dtype)
    if format is None:
        raise ValueError(f"Arrow has no {dtype}")
    return format, (np.packbits(values, bitorder="little") if format == "b" else values,)


def _uuids(name: str, items: list[Any]) -> tuple[str, Any]:
    return "w:16", (b"".join(bytes(16) if i is None else i.bytes for i in items),)


def _decimals(name: str, items: list[Any]) -> tuple[None, Any]:
    pa = pyarrow_for(name, "objects of type Decimal")
    try:
        array = pa.array(items)
    except (pa.ArrowException, TypeError) as error:  # TypeError: one is infinite
        raise ValueError(str(error)) from None
    if array.to_pylist() != items:
        raise ValueError(f"pyarrow's {array.type} does not hold all exactly")
    return None, array.__arrow_c_array__()


@lru_cache(maxsize=1)
def _types() -> dict[type, _Typed]:
    import decimal
    import uuid

    import numpy as np

    names = [*_numpy.FORMATS, "bool"]
    return {
        **{np.dtype(name).type: (f"numpy.{name}", _scalars) for name in names},
        bool: ("bool", _bools),
        int: ("int", _ints),
        float: ("float", _floats),
        bytes: ("bytes", encode_bytes),
        datetime.date: ("date", _dates),
        datetime.time: ("time", _times),
        datetime.datetime: ("datetime", _moments),
        datetime.timedelta: ("timedelta", _spans),
        decimal.Decimal: ("decimal", _decimals),
        uuid.UUID: ("uuid", _uuids),
    }


def without_order(column: Column) -> Column:
    """What to hash of a column as JSON: the order of a dict is no content."""
    *about, (bitmap, offsets, data), dictionary = column
    if b"{" not in data:
        return column
    tree = _core.join_values(data, offsets, bitmap, 0, column[2])
    return (*about, (bitmap, b"", sorted_dicts(tree)), dictionary)


# ---- Out ----


def decode(data: Data, extra: dict[str, Any]) -> Any:
    """The objects again; None: the column is not what was recorded, or pyarrow's."""
    absent = missing(extra.get("null"))
    kind = extra.get("objects", "str")
    if kind == "str":
        if data.type != "STRING":
            return None
        return _numpy.objects(_numpy.strings(data, absent))
    if kind == CODED:
        return _decode_coded(data, absent) if data.type == "STRING" else None
    make = _OUT.get(kind)
    if make is None or (data.type not in make[0] and data.format not in make[0]):
        return None
    if not data.rows:
        return _numpy.objects([])
    try:
        array = _numpy.objects(make[1](data))
    except (OverflowError, ValueError) as error:
        raise CorruptError(f"column {data.name!r} holds no {kind} ({error})") from error
    if _numpy.has_nulls(data):
        array[_numpy.mask(data)] = absent
    return array


def _decode_coded(data: Data, absent: Any) -> Any:
    if not data.rows:
        return _numpy.objects([])
    what = f"column {data.name!r}"
    content = data.values if data.values is not None else b""
    try:
        place = (data.validity, data.bit, data.rows)
        tree = _core.join_values(content, data.offsets, *place)
    except ValueError as error:
        raise CorruptError(f"{what} holds damaged values ({error})") from error
    items = decode_alone(tree, what)
    if type(items) is not list or len(items) != data.rows:
        raise CorruptError(f"{what} holds damaged values: not one for each row")
    array = _numpy.objects(items)
    if absent is not None and _numpy.has_nulls(data):
        array[_numpy.mask(data)] = absent
    return array


def missing(name: str | None) -> Any:
    """The object that stood for null."""
    if name == "NaN":
        return float("nan")
    if name in ("NA", "NaT"):
        import pandas as pd

        return pd.NA if name == "NA" else pd.NaT
    return None


def _out_bools(data: Data) -> list[Any]:
    return list(_numpy.unpack(data.values, data.bit, data.rows).tolist())


def _out_numbers(data: Data) -> list[Any]:
    values = _numpy.fixed(data)
    assert values is not None
    return list(values.tolist())


def _out_bytes(data: Data) -> list[Any]:
    import numpy as np

    content = bytes(data.values) if data.values is not None else b""
    at = np.frombuffer(data.offsets, dtype="i8").tolist()
    return [content[a:b] for a, b in itertools.pairwise(at)]


def _out_dates(data: Data) -> list[Any]:
    import numpy as np

    return list(np.frombuffer(data.values, dtype="i4").astype("M8[D]").tolist())


def _out_times(data: Data) -> list[Any]:
    result = []
    for number in _counts(data):
        seconds, micro = divmod(number, 1_000_000)
        minutes, second = divmod(seconds, 60)
        result.append(datetime.time(minutes // 60, minutes % 60, second, micro))
    return result


def _out_moments(data: Data) -> list[Any]:
    spans = _out_spans(data)
    return [_FIRST + span for span in spans]


def _out_spans(data: Data) -> list[Any]:
    return [datetime.timedelta(microseconds=count) for count in _counts(data)]


def _counts(data: Data) -> list[int]:
    """64 bits a row, and 0 where it is null: anything may stand there."""
    import numpy as np

    counts = np.frombuffer(data.values, dtype="i8")
    if _numpy.has_nulls(data):
        counts = np.where(_numpy.mask(data), 0, counts)
    return list(counts.tolist())


def _out_scalars(data: Data) -> list[Any]:
    if data.type == "BOOL":
        return list(_numpy.unpack(data.values, data.bit, data.rows))
    values = _numpy.fixed(data)
    assert values is not None
    return list(values)


def _out_uuids(data: Data) -> list[Any]:
    import uuid

    content = bytes(data.values)
    return [uuid.UUID(bytes=content[at : at + 16]) for at in range(0, 16 * data.rows, 16)]


_OUT: dict[str, tuple[tuple[str, ...], Callable[[Data], list[Any]]]] = {
    "bool": (("BOOL",), _out_bools),
    "int": (("INT64", "UINT64"), _out_numbers),
    "float": (("FLOAT64",), _out_numbers),
    "bytes": (("BINARY",), _out_bytes),
    "date": (("DATE32",), _out_dates),
    "time": (("TIME64",), _out_times),
    "datetime": (("tsu:",), _out_moments),
    "timedelta": (("tDu",), _out_spans),
    **{
        f"numpy.{name}": ((format,), _out_scalars)
        for name, format in (*_numpy.FORMATS.items(), ("bool", "b"))
    },
    "uuid": (("FIXED_BINARY",), _out_uuids),
}
