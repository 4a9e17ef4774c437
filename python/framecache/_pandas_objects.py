"""Columns of Python objects of one type: as Arrow stores that type, and objects again.

Missing values are null; which object stood for them (None, NaN, NA) is recorded, so a
column that mixes them is refused.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import _core, _numpy
from ._errors import ColumnTypeError
from ._numpy import Data

if TYPE_CHECKING:
    import numpy as np

Column = tuple[Any, ...]  # for _put_columns
NULLABLE = 2  # ARROW_FLAG_NULLABLE
_NULL_NAMES = {0: None, 1: "None", 2: "NaN", 4: "NA"}


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
        raise refuse(name, f"{what} need pyarrow, which is not installed") from None
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
    """Objects of one type as a column, and what to remember.

    Raises
    ------
    ColumnTypeError
        They are of several types, or of one that does not come back.
    """
    try:
        column, kinds = encode_text(name, values, exact=True)
    except TypeError as reason:
        return _encode_typed(name, values, reason)
    return column, _nulls(name, kinds)


def _nulls(name: str, kinds: int) -> dict[str, Any]:
    if kinds not in _NULL_NAMES:
        raise refuse(name, "it mixes several of None, NaN and NA as missing values")
    null = _NULL_NAMES[kinds]
    return {"null": null} if null else {}


def _null_kind(value: Any, na: Any) -> int:
    """As encode_strings has it: 1 None, 2 NaN, 4 NA, 0 a value."""
    if value is None:
        return 1
    if value is na:
        return 4
    return 2 if type(value) is float and value != value else 0


def _encode_typed(
    name: str, values: np.ndarray[Any, Any], reason: TypeError
) -> tuple[Column, dict[str, Any]]:
    import numpy as np
    import pandas as pd

    items = values.tolist()
    present, kinds, types = [], 0, set()
    for item in items:
        kind = _null_kind(item, pd.NA)
        kinds |= kind
        present.append(not kind)
        if not kind:
            types.add(type(item))
    typed = _types().get(next(iter(types))) if len(types) == 1 else None
    if typed is None:
        raise refuse(name, f"of its objects, {reason}") from None
    filled = [item if there else None for item, there in zip(items, present, strict=True)]
    label, make = typed
    extra = {"objects": label, **_nulls(name, kinds)}
    try:
        format, buffers = make(name, filled)
    except (OverflowError, ValueError) as error:
        raise refuse(name, f"of its objects of type {label}, {error}") from None
    if format is None:  # pyarrow's
        return (name, *buffers), extra
    bitmap = np.packbits(present, bitorder="little") if kinds else None
    nulls = len(items) - sum(present)
    return flat(name, format, len(items), (bitmap, *buffers), nulls), extra


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


def _uuids(name: str, items: list[Any]) -> tuple[str, Any]:
    return "w:16", (b"".join(bytes(16) if i is None else i.bytes for i in items),)


def _decimals(name: str, items: list[Any]) -> tuple[None, Any]:
    pa = pyarrow_for(name, "objects of type Decimal")
    try:
        array = pa.array(items)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    if array.to_pylist() != items:
        raise ValueError(f"pyarrow's {array.type} does not hold all exactly")
    return None, array.__arrow_c_array__()


@lru_cache(maxsize=1)
def _types() -> dict[type, tuple[str, Callable[[str, list[Any]], tuple[Any, Any]]]]:
    import decimal
    import uuid

    return {
        bool: ("bool", _bools),
        int: ("int", _ints),
        float: ("float", _floats),
        bytes: ("bytes", encode_bytes),
        datetime.date: ("date", _dates),
        datetime.time: ("time", _times),
        decimal.Decimal: ("decimal", _decimals),
        uuid.UUID: ("uuid", _uuids),
    }


# ---- Out ----


def decode(data: Data, extra: dict[str, Any]) -> Any:
    """The objects again; None: the column is not what was recorded, or pyarrow's."""
    absent = missing(extra.get("null"))
    kind = extra.get("objects", "str")
    if kind == "str":
        if data.type != "STRING":
            return None
        return _numpy.objects(_numpy.strings(data, absent))
    make = _OUT.get(kind)
    if make is None or data.type not in make[0]:
        return None
    if not data.rows:
        return _numpy.objects([])
    array = _numpy.objects(make[1](data))
    if _numpy.has_nulls(data):
        array[_numpy.mask(data)] = absent
    return array


def missing(name: str | None) -> Any:
    """The object that stood for null."""
    if name == "NaN":
        return float("nan")
    if name == "NA":
        import pandas as pd

        return pd.NA
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
    import numpy as np

    result = []
    for number in np.frombuffer(data.values, dtype="i8").tolist():
        seconds, micro = divmod(number, 1_000_000)
        minutes, second = divmod(seconds, 60)
        result.append(datetime.time(minutes // 60, minutes % 60, second, micro))
    return result


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
    "uuid": (("FIXED_BINARY",), _out_uuids),
}
