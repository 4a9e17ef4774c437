"""One Series or Index of pandas as a column, without pyarrow where its dtype allows.

Missing values become nulls as with pyarrow's ``from_pandas``: NaN, NaT, None, NA and
code -1. The values stay as they are, so a NaN is still a NaN for who ignores the bitmap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, _numpy
from ._pandas_labels import about_labels, has_name, pack, type_text, zone_name
from ._pandas_objects import (
    NULLABLE,
    Column,
    encode_text,
    flat,
    pyarrow_for,
    refuse,
)
from ._pandas_objects import encode as encode_objects

if TYPE_CHECKING:
    import numpy as np

Scan = Callable[[Any, str, str], tuple[Any, int]]  # `find_missing` or `_valid_bits`

_ORDERED = 1  # ARROW_FLAG_DICTIONARY_ORDERED


class Encoded(NamedTuple):
    """A column for ``_put_columns``, and what to remember of it."""

    column: Column
    pandas_type: str
    numpy_type: str
    metadata: dict[str, Any] | None = None  # in pyarrow's key
    extra: dict[str, Any] | None = None  # in ours


def find_missing(values: Any, kind: str, format: str) -> tuple[Any, int]:
    """The bitmap of what is not missing, or None; and how many are missing."""
    return _core.valid_bits(values, kind)


# ---- numpy's dtypes ----


class Plain(NamedTuple):
    """How a dtype of fixed width goes in."""

    format: str
    null_kind: str | None  # of bits.c
    pandas_type: str
    numpy_type: str
    as_time: bool


_PLAIN: dict[Any, Plain | None] = {}


def _plain(dtype: np.dtype[Any]) -> Plain | None:
    known = _PLAIN.get(dtype)
    if known is None and dtype not in _PLAIN:
        known = _PLAIN[dtype] = _make_plain(dtype)
    return known


def _make_plain(dtype: np.dtype[Any]) -> Plain | None:
    format = _numpy.format_of(dtype)
    if format is None:
        return None
    kind: str | None = None
    if dtype.kind == "f":
        kind = {2: "e", 4: "f", 8: "g"}[dtype.itemsize]
    times = {"M": "datetime", "m": "timedelta"}
    if dtype.kind in times:
        kind = "t"
    name = times.get(dtype.kind, dtype.name)
    return Plain(format, kind, name, str(dtype), dtype.kind in times)


def encode_numpy(
    name: str, values: np.ndarray[Any, Any], scan: Scan = find_missing
) -> Encoded:
    """An array of one dimension as a column."""
    plain = _plain(values.dtype)
    if plain is None:
        return _from_numpy(name, values)
    column = encode_plain(name, values, plain, scan)
    return Encoded(column, plain.pandas_type, plain.numpy_type)


def plain_of(values: Any) -> Plain | None:
    """How an array of numbers, times or bools goes in; None: anything else."""
    import numpy as np

    return _plain(values.dtype) if type(values) is np.ndarray else None


def encode_plain(
    name: str, values: np.ndarray[Any, Any], plain: Plain, scan: Scan
) -> Column:
    """Such an array as a column; its nulls are its missing values."""
    if not values.flags.c_contiguous:
        values = values.copy()
    rows, format = len(values), plain.format
    if plain.null_kind is None:
        if format == "b":
            import numpy as np

            values = np.packbits(values, bitorder="little")
        return (name, format, rows, 0, NULLABLE, (None, values), None)
    if plain.as_time:
        values = values.view("i8")
    bitmap, nulls = scan(values, plain.null_kind, format)
    return (name, format, rows, nulls, NULLABLE, (bitmap, values), None)


def _from_numpy(name: str, values: np.ndarray[Any, Any]) -> Encoded:
    dtype = values.dtype
    if dtype.kind == "O":
        column, extra = encode_objects(name, values)
        return Encoded(column, extra.get("objects", "unicode"), "object", None, extra)
    if dtype.kind == "c" and dtype.isnative and dtype.itemsize in (8, 16):
        return _from_complex(name, values)
    why = (
        "bytes in the other order: use newbyteorder" if not dtype.isnative else "no type"
    )
    raise refuse(name, f"Arrow has no {dtype} ({why})")


def _from_complex(name: str, values: np.ndarray[Any, Any]) -> Encoded:
    """As bytes of fixed width: real part, imaginary part."""
    import numpy as np

    values = np.ascontiguousarray(values)
    column = flat(name, f"w:{values.itemsize}", len(values), (None, values.view("u1")))
    return Encoded(column, "bytes", str(values.dtype), None, {"as": "complex"})


# ---- pandas' dtypes ----


def _from_zone(name: str, array: Any, scan: Scan = find_missing) -> Encoded:
    import numpy as np
    import pandas as pd

    dtype = array.dtype
    try:
        zone = zone_name(dtype.tz)
    except TypeError as error:
        raise refuse(name, f"its {error}") from None
    if zone.startswith("UTC") and zone != "UTC":
        zone = zone[3:]  # datetime.timezone writes UTC+01:00, Arrow +01:00
    instants = np.ascontiguousarray(pd.DatetimeIndex(array, copy=False).asi8)
    format = _numpy.format_of(instants.view(f"M8[{dtype.unit}]").dtype)
    format = f"{format}{zone}"
    bitmap, nulls = scan(instants, "t", format)
    column = flat(name, format, len(instants), (bitmap, instants), nulls)
    base = f"datetime64[{dtype.unit}]"
    return Encoded(column, "datetimetz", base, {"timezone": zone})


def _from_masked(name: str, array: Any) -> Encoded:
    import numpy as np

    dtype = np.dtype(array.dtype.numpy_dtype)
    values = array.to_numpy(dtype=dtype, copy=False, na_value=dtype.type(0))
    return encode_masked(name, values, array.isna())._replace(numpy_type=str(array.dtype))


def encode_masked(
    name: str, values: np.ndarray[Any, Any], gone: np.ndarray[Any, Any]
) -> Encoded:
    """Numbers or bools as a column with nulls where `gone` is True."""
    import numpy as np

    bitmap, nulls = _core.valid_bits(np.ascontiguousarray(gone), "m")
    plain, rows = _plain(values.dtype), len(values)
    assert plain is not None
    values = np.ascontiguousarray(values)
    if plain.format == "b":
        values = np.packbits(values, bitorder="little")
    column = flat(name, plain.format, rows, (bitmap, values), nulls)
    return Encoded(column, plain.pandas_type, plain.numpy_type)


def _from_categorical(name: str, array: Any) -> Encoded:
    categories = encode(name, array.categories)
    codes = array.codes
    if not codes.flags.c_contiguous:
        codes = codes.copy()
    plain = _plain(codes.dtype)
    assert plain is not None
    bitmap, nulls = _core.valid_bits(codes, plain.format)
    flags = NULLABLE | (_ORDERED if array.ordered else 0)
    column = (name, plain.format, len(array), nulls, flags, (bitmap, codes),
              categories.column)  # fmt: skip
    about = {"num_categories": len(array.categories), "ordered": bool(array.ordered)}
    extra: dict[str, Any] = {"categories": categories.numpy_type}
    if categories.extra:
        extra["of"] = categories.extra
    extra.update(_about(name, array.categories))
    if array.categories.name is not None:
        try:
            extra["name"] = pack(array.categories.name)
        except TypeError as error:
            raise refuse(name, f"the name of its categories: {error}") from None
    return Encoded(column, "categorical", str(codes.dtype), about, extra)


def _about(name: str, index: Any) -> dict[str, Any]:
    try:
        return about_labels(index)
    except TypeError as error:
        raise refuse(name, str(error)) from None


def _from_strings(name: str, array: Any) -> Encoded:
    dtype = array.dtype
    extra = {"storage": dtype.storage}
    if dtype.storage.startswith("pyarrow"):
        column = _through_pyarrow(name, array)
    else:
        column, _ = encode_text(name, array.to_numpy(dtype=object))
    return Encoded(column, "unicode", str(dtype), None, extra)


def _from_period(name: str, array: Any) -> Encoded:
    """As its ordinals; pandas and pyarrow make a period of them again."""
    import pandas as pd

    dtype = array.dtype
    if not has_name(dtype):
        raise refuse(name, f"dtype {dtype!r} has no name to find it by")
    ordinals = pd.PeriodIndex(array).asi8
    bitmap, nulls = _core.valid_bits(ordinals, "t")
    column = flat(name, "l", len(ordinals), (bitmap, ordinals), nulls)
    return Encoded(column, "period", str(dtype), None, {"as": "period"})


def _from_interval(name: str, array: Any) -> Encoded:
    return encode_intervals(name, array.dtype, (array.left, array.right), array.isna())


def encode_intervals(
    name: str, dtype: Any, sides: tuple[Any, Any], gone: np.ndarray[Any, Any]
) -> Encoded:
    """Intervals by their sides, as structs of left and right; null where `gone`."""
    pa = pyarrow_for(name, f"values of dtype {dtype}")
    if not has_name(dtype):
        raise refuse(name, f"dtype {dtype!r} has no name to find it by")
    try:
        arrays = [pa.array(side, from_pandas=True) for side in sides]
        mask = pa.array(gone)
        struct = pa.StructArray.from_arrays(arrays, ["left", "right"], mask=mask)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise refuse(name, f"dtype {dtype}: {error}") from None
    column = (name, *struct.__arrow_c_array__())
    return Encoded(column, "object", str(dtype), None, {"as": "interval"})


def _from_sparse(name: str, array: Any) -> Encoded:
    raise refuse(
        name, f"dtype {array.dtype} would take the room of a dense column: give "
        "Series.sparse.to_dense()"
    )  # fmt: skip


# ---- pandas' columns that are pyarrow's ----


def _from_arrow(name: str, array: Any) -> Encoded:
    pa = pyarrow_for(name, f"values of dtype {array.dtype}")
    dtype = array.dtype.pyarrow_dtype
    if _has_no_cast(pa, dtype):
        raise refuse(name, f"dtype {array.dtype} does not come back as it is")
    column = _through_pyarrow(name, array)
    return Encoded(column, "object", str(array.dtype), None, {"arrow": type_text(dtype)})


def _has_no_cast(pa: Any, dtype: Any) -> bool:
    """Extension types, and list views: they come out as lists."""
    if isinstance(dtype, pa.BaseExtensionType) or "list_view" in str(dtype):
        return True
    inner = [dtype.field(n).type for n in range(dtype.num_fields)]
    if pa.types.is_dictionary(dtype) or pa.types.is_run_end_encoded(dtype):
        inner = [dtype.value_type]
    return any(_has_no_cast(pa, one) for one in inner)


def _through_pyarrow(name: str, array: Any) -> tuple[Any, ...]:
    pa = pyarrow_for(name, f"values of dtype {array.dtype}")
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
    "PeriodDtype": _from_period,
    "IntervalDtype": _from_interval,
    "SparseDtype": _from_sparse,
    "ArrowDtype": _from_arrow,
    **{f"{name}Dtype": _from_masked for name in _MASKED},
}


def is_marked(encoded: Encoded) -> bool:
    """Whether its nulls are its missing values, if it is of floats or times at all.

    Floats of a nullable dtype, of pyarrow's or among objects may be NaN and no null.
    """
    if len(encoded.column) == 3:  # pyarrow's
        return "arrow" not in (encoded.extra or {})
    plain = encoded.numpy_type.startswith(("float", "datetime64", "timedelta64"))
    return plain or encoded.column[1][0] not in "efgt"


def encode(name: str, values: Any, scan: Scan = find_missing) -> Encoded:
    """One Series, Index or array of pandas as a column; `scan` finds what is missing.

    Raises
    ------
    ColumnTypeError
        It would not come back as it is.
    """
    import numpy as np

    if type(values) is np.ndarray:
        return encode_numpy(name, values, scan)
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return encode_numpy(name, np.asarray(values), scan)
    maker = _BY_DTYPE.get(type(dtype).__name__)
    if maker is None:
        raise refuse(name, f"dtype {dtype} of {type(dtype).__module__} is not known here")
    array = getattr(values, "array", values)
    return _from_zone(name, array, scan) if maker is _from_zone else maker(name, array)
