"""pandas on its way in: columns as Arrow buffers, without pyarrow where they allow it.

Missing values become nulls as with pyarrow's ``from_pandas``: NaN, NaT, None, NA and
code -1. The values stay as they are, so a NaN is still a NaN for who ignores the bitmap.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, _numpy, _pandas_meta
from ._errors import ColumnTypeError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_NULLABLE = 2  # ARROW_FLAG_NULLABLE
_ORDERED = 1  # ARROW_FLAG_DICTIONARY_ORDERED


class Encoded(NamedTuple):
    """A column for ``_put_columns``, and what to remember of it."""

    column: tuple[Any, ...]
    pandas_type: str
    numpy_type: str
    metadata: dict[str, Any] | None = None  # in pyarrow's key
    extra: dict[str, Any] | None = None  # in ours


class Table(NamedTuple):
    """Arguments for ``_put_columns``."""

    columns: list[tuple[Any, ...]]
    rows: int
    metadata: bytes


def _refuse(name: str, why: str) -> ColumnTypeError:
    return ColumnTypeError(f"column {name!r}: {why}", name)


# ---- One column ----


Column = tuple[Any, ...]  # for _put_columns


def _flat(name: str, format: str, rows: int, buffers: Any, nulls: int = 0) -> Column:
    return (name, format, rows, nulls, _NULLABLE, buffers, None)


def _encode_numpy(name: str, values: np.ndarray[Any, Any], kind: str | None) -> Any:
    """A numpy array of fixed width as one column; `kind` says how its nulls look."""
    import numpy as np

    format = _numpy.format_of(values.dtype)
    if format is None:
        raise _refuse(name, f"no Arrow type for numpy's {values.dtype}")
    values = np.ascontiguousarray(values)
    if format == "b":
        bits = np.packbits(values, bitorder="little")
        return _flat(name, format, len(values), (None, bits))
    raw = values.view("i8") if values.dtype.kind in "mM" else values
    bitmap, nulls = _core.valid_bits(raw, kind) if kind else (None, 0)
    return _flat(name, format, len(values), (bitmap, raw), nulls)


def _null_kind(dtype: np.dtype[Any]) -> str | None:
    if dtype.kind in "mM":
        return "t"
    return {2: "e", 4: "f", 8: "g"}.get(dtype.itemsize) if dtype.kind == "f" else None


def _from_numpy(name: str, values: np.ndarray[Any, Any]) -> Encoded:
    dtype = values.dtype
    if dtype.kind == "O":
        return _from_objects(name, values)
    column = _encode_numpy(name, values, _null_kind(dtype))
    kinds = {"M": "datetime", "m": "timedelta", "b": "bool"}
    return Encoded(column, kinds.get(dtype.kind, dtype.name), str(dtype))


def _from_zone(name: str, array: Any) -> Encoded:
    import numpy as np
    import pandas as pd

    dtype = array.dtype
    zone = str(dtype.tz)
    if zone.startswith("UTC") and zone != "UTC":
        zone = zone[3:]  # datetime.timezone writes UTC+01:00, Arrow +01:00
    try:
        same = pd.DatetimeTZDtype(dtype.unit, zone) == dtype
    except Exception:
        same = False
    if not same:
        raise _refuse(name, f"its time zone {dtype.tz!r} has no name to find it by")
    instants = np.ascontiguousarray(pd.DatetimeIndex(array, copy=False).asi8)
    format = _numpy.format_of(instants.view(f"M8[{dtype.unit}]").dtype)
    bitmap, nulls = _core.valid_bits(instants, "t")
    column = _flat(name, f"{format}{zone}", len(instants), (bitmap, instants), nulls)
    base = f"datetime64[{dtype.unit}]"
    return Encoded(column, "datetimetz", base, {"timezone": zone})


def _from_masked(name: str, array: Any) -> Encoded:
    import numpy as np

    dtype = np.dtype(array.dtype.numpy_dtype)
    values = array.to_numpy(dtype=dtype, copy=False, na_value=dtype.type(0))
    bitmap, nulls = _core.valid_bits(np.ascontiguousarray(array.isna()), "m")
    column = _encode_numpy(name, values, None)
    buffers = (bitmap, column[5][1])
    column = _flat(name, column[1], len(array), buffers, nulls)
    return Encoded(column, dtype.name, str(array.dtype))


def _from_categorical(name: str, array: Any) -> Encoded:
    categories = _encode(name, array.categories)
    codes = _encode_numpy(name, array.codes, None)
    bitmap, nulls = _core.valid_bits(codes[5][1], codes[1])
    flags = _NULLABLE | (_ORDERED if array.ordered else 0)
    column = (name, codes[1], len(array), nulls, flags, (bitmap, codes[5][1]),
              categories.column)  # fmt: skip
    about = {"num_categories": len(array.categories), "ordered": bool(array.ordered)}
    extra = {"categories": categories.numpy_type, **(categories.extra or {})}
    freq = getattr(array.categories, "freq", None)
    if freq is not None:
        extra["freq"] = freq.freqstr
    return Encoded(column, "categorical", str(array.codes.dtype), about, extra)


def _from_strings(name: str, array: Any) -> Encoded:
    dtype = array.dtype
    extra = {"storage": dtype.storage}
    if dtype.storage == "pyarrow":
        column = _through_pyarrow(name, array)
    else:
        column, _ = _encode_text(name, array.to_numpy(dtype=object))
    return Encoded(column, "unicode", str(dtype), None, extra)


def _encode_text(name: str, values: np.ndarray[Any, Any]) -> tuple[tuple[Any, ...], int]:
    import numpy as np
    import pandas as pd

    bitmap, offsets, data, nulls, kinds = _core.encode_strings(
        np.ascontiguousarray(values), pd.NA
    )
    return _flat(name, "U", len(values), (bitmap, offsets, data), nulls), kinds


_NULL_NAMES = {0: None, 1: "None", 2: "NaN", 4: "NA"}


def _from_objects(name: str, values: np.ndarray[Any, Any]) -> Encoded:
    try:
        column, kinds = _encode_text(name, values)
    except TypeError as reason:
        return _from_exact(name, values, reason)
    except UnicodeEncodeError as reason:
        raise _refuse(name, f"a string is not valid Unicode: {reason}") from None
    if kinds not in _NULL_NAMES:
        raise _refuse(name, "it mixes several of None, NaN and NA as missing values")
    extra = {"null": _NULL_NAMES[kinds]} if kinds else None
    return Encoded(column, "unicode", "object", None, extra)


def _from_exact(name: str, values: np.ndarray[Any, Any], reason: TypeError) -> Encoded:
    """Objects of one type that pyarrow gives back as they were."""
    import decimal

    kinds = {
        bytes: "bytes",
        datetime.date: "date",
        datetime.time: "time",
        decimal.Decimal: "decimal",
    }
    types = {type(value) for value in values if value is not None}
    if len(types) != 1 or not types <= set(kinds):
        raise _refuse(name, f"of its objects, {reason}") from None
    pa = _pyarrow(name, f"objects of type {next(iter(types)).__name__}")
    try:
        array = pa.array(values.tolist())
    except (pa.ArrowException, OverflowError) as error:
        raise _refuse(name, str(error)) from None
    if array.to_pylist() != values.tolist():
        raise _refuse(name, f"pyarrow's {array.type} does not hold its values exactly")
    extra = {"null": "None"} if array.null_count else None
    kind = kinds[next(iter(types))]
    return Encoded((name, *array.__arrow_c_array__()), kind, "object", None, extra)


def _from_arrow(name: str, array: Any) -> Encoded:
    pa = _pyarrow(name, f"dtype {array.dtype}")
    type_name = str(array.dtype.pyarrow_dtype)
    try:
        same = pa.type_for_alias(type_name) == array.dtype.pyarrow_dtype
    except ValueError:
        same = False
    if not same:
        raise _refuse(name, f"dtype {array.dtype} is not supported yet")
    column = _through_pyarrow(name, array)
    return Encoded(column, "object", str(array.dtype), None, {"arrow": type_name})


def _pyarrow(name: str, what: str) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise _refuse(name, f"{what} need pyarrow, which is not installed") from None
    return pyarrow


def _through_pyarrow(name: str, array: Any) -> tuple[Any, ...]:
    pa = _pyarrow(name, f"values of dtype {array.dtype}")
    arrow = array.__arrow_array__()
    if isinstance(arrow, pa.ChunkedArray):
        if arrow.num_chunks == 1:
            arrow = arrow.chunk(0)
        else:  # one chunk a column: 32-bit offsets might not reach
            if pa.types.is_string(arrow.type):
                arrow = arrow.cast(pa.large_string())
            arrow = arrow.combine_chunks()
    return (name, *arrow.__arrow_c_array__())


_MASKED = ["Boolean", "Float32", "Float64"]
_MASKED += [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]

_BY_DTYPE: dict[str, Callable[[str, Any], Encoded]] = {
    "DatetimeTZDtype": _from_zone,
    "CategoricalDtype": _from_categorical,
    "StringDtype": _from_strings,
    "ArrowDtype": _from_arrow,
    **{f"{name}Dtype": _from_masked for name in _MASKED},
}


def _encode(name: str, values: pd.Series[Any] | pd.Index[Any]) -> Encoded:
    """One Series or Index as a column."""
    import numpy as np

    if isinstance(values.dtype, np.dtype):
        return _from_numpy(name, values.to_numpy())
    encode = _BY_DTYPE.get(type(values.dtype).__name__)
    if encode is None:
        raise _refuse(name, f"dtype {values.dtype} is not supported yet")
    return encode(name, values.array)


# ---- The table ----


class _Writer:
    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: list[tuple[Any, ...]] = []
        self.described: list[dict[str, Any]] = []
        self.extra: dict[str, dict[str, Any]] = {}

    def add(self, label: Any, field: str, values: pd.Series[Any] | pd.Index[Any]) -> None:
        encoded = _encode(field, values)
        self.columns.append(encoded.column)
        if encoded.extra:
            self.extra.setdefault(field, {}).update(encoded.extra)
        self.described.append({
            "name": label,
            "field_name": field,
            "pandas_type": encoded.pandas_type,
            "numpy_type": encoded.numpy_type,
            "metadata": encoded.metadata,
        })  # fmt: skip


def _labels(columns: pd.Index[Any]) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Field names, pyarrow's description of the labels, and ours."""
    import pandas as pd

    if columns.nlevels != 1:
        raise TypeError("columns of several levels are not supported yet")
    if not (columns.name is None or isinstance(columns.name, str)):
        raise TypeError(f"the columns' name {columns.name!r} is not text")
    about = {"name": columns.name, "field_name": columns.name, "metadata": None}
    extra: dict[str, Any] = {}
    if isinstance(columns, pd.RangeIndex):
        extra = {"range": [columns.start, columns.stop, columns.step]}
    if columns.dtype == "int64":
        return (
            [str(label) for label in columns],
            {**about, "pandas_type": "int64", "numpy_type": "int64"},
            extra,
        )
    names = list(columns)
    for label in names:
        if not isinstance(label, str):
            raise _refuse(str(label), f"its label {label!r} is not text")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _refuse(twice, "several columns have this label")
    if not (columns.dtype == object or isinstance(columns.dtype, pd.StringDtype)):
        raise TypeError(f"labels of dtype {columns.dtype} are not supported yet")
    if len(names) and isinstance(columns.dtype, pd.StringDtype):
        extra = {"storage": columns.dtype.storage}
    about = {**about, "pandas_type": "unicode", "numpy_type": str(columns.dtype)}
    return names, about, extra


def _add_index(writer: _Writer, index: pd.Index[Any], taken: set[str]) -> list[Any]:
    import pandas as pd

    for level_name in index.names:
        if not (level_name is None or isinstance(level_name, str)):
            raise TypeError(f"the index name {level_name!r} is not text")
    if isinstance(index, pd.RangeIndex):
        return [{"kind": "range", "name": index.name, "start": index.start,
                 "stop": index.stop, "step": index.step}]  # fmt: skip
    descriptors = []
    for number in range(index.nlevels):
        level = index.get_level_values(number)
        field = level.name
        if field is None or field in taken:
            field = f"__index_level_{number}__"
        if field in taken:
            raise _refuse(field, "the name is kept for the index")
        taken.add(field)
        writer.add(level.name, field, level)
        if getattr(level, "freq", None) is not None:
            writer.extra.setdefault(field, {})["freq"] = level.freq.freqstr
        descriptors.append(field)
    return descriptors


def _attributes(frame: pd.DataFrame) -> dict[str, Any]:
    if not frame.attrs:
        return {}
    try:
        if json.loads(json.dumps(frame.attrs)) == frame.attrs:
            return dict(frame.attrs)
    except (TypeError, ValueError):
        pass
    raise TypeError("df.attrs does not survive JSON: clear it, or make it plain")


def _from_frame(frame: pd.DataFrame, kind: str) -> Table:
    import pandas as pd

    writer = _Writer(len(frame))
    fields, about_labels, label_extra = _labels(frame.columns)
    for position, field in enumerate(fields):
        writer.add(field, field, frame.iloc[:, position])
    index = _add_index(writer, frame.index, set(fields))
    described = {
        "index_columns": index,
        "column_indexes": [about_labels],
        "columns": writer.described,
        "attributes": _attributes(frame),
        "creator": {"library": "framecache", "version": _core.version},
        "pandas_version": pd.__version__,
    }
    ours = {"version": 1, "kind": kind, "columns": writer.extra}
    if label_extra:
        ours["columns"] = {**writer.extra, "": label_extra}
    return Table(writer.columns, writer.rows, _pandas_meta.encode(described, ours))


def table_of(value: Any) -> Table | None:
    """A DataFrame, Series or Index as a table of columns; None: something else.

    Raises
    ------
    ColumnTypeError
        A column would not come back as it was; `.column` names it.
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return _from_frame(value, "dataframe")
    if isinstance(value, pd.Series):
        unnamed = ".unnamed" if value.name is None else ""
        return _from_frame(value.to_frame(), f"series{unnamed}")
    if isinstance(value, pd.MultiIndex):
        return _from_frame(value.to_frame(index=False), "multiindex")
    if isinstance(value, pd.Index):
        unnamed = ".unnamed" if value.name is None else ""
        return _from_frame(value.to_frame(index=False), f"index{unnamed}")
    return None
