"""polars: what of it goes in, and tables that it cannot read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._errors import ColumnTypeError
from ._frame import Column, Frame, layout_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

# ---- In ----

_REMEDIES = {
    "Object": "whose values are Python objects of this process only: make text or "
    "numbers of them, as by series.map_elements(str, return_dtype=pl.String)",
    "Int128": "which Arrow does not have: cast it to Int64 or to Decimal(38, 0)",
    "UInt128": "which Arrow does not have: cast it to UInt64 or to Decimal(38, 0)",
    "Unknown": "collect or cast it first",
}


def _unfit(dtype: Any) -> str | None:
    """Why a column of this dtype could not be read by anybody."""
    remedy = _REMEDIES.get(type(dtype).__name__)
    if remedy is not None:
        return f"dtype {dtype}, {remedy}"
    if hasattr(dtype, "ext_storage"):
        return _unfit(dtype.ext_storage())
    if not dtype.is_nested():
        return None
    if getattr(dtype, "size", None) == 0:
        return f"dtype {dtype}, which polars itself cannot read again: cast it to a List"
    below = [field.dtype for field in getattr(dtype, "fields", ())]
    if hasattr(dtype, "inner"):
        below.append(dtype.inner)
    reasons = (_unfit(inner) for inner in below)
    return next((reason for reason in reasons if reason), None)


def check(table: pl.DataFrame) -> None:
    """ColumnTypeError for a column that could not come back."""
    for name, dtype in table.schema.items():
        reason = _unfit(dtype)
        if reason:
            raise ColumnTypeError(f"column {name!r} has {reason}", name)


# ---- Out ----


def _failures() -> tuple[type[BaseException], ...]:
    import polars as pl

    return pl.exceptions.PolarsError, pl.exceptions.PanicException


def _series(column: Column) -> pl.Series:
    """As it is; or as pyarrow has it, whose types polars knows some more ways with."""
    import polars as pl

    ways: list[Callable[[], Any]] = [lambda: column, lambda: _plain(column.to_arrow())]
    first: BaseException | None = None
    for way in ways:
        try:
            return pl.Series(column.name, way())
        except _failures() as error:
            first = first or error
        except ImportError:  # without pyarrow
            continue
    lines = str(first).strip().splitlines() or [type(first).__name__]
    raise ColumnTypeError(
        f"column {column.name!r} (format {column.format!r}) is of a type that polars "
        f"cannot read: {lines[0][:200]}; use to_arrow(), or select() the other columns",
        column.name,
    ) from None


def _plain(array: Any) -> Any:
    """Extension types as their storage, dictionaries and runs as their values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):
        return _plain(array.storage)
    if isinstance(array, pa.DictionaryArray):
        values = _plain(array.dictionary)
        return values.take(array.indices)
    if isinstance(array, pa.RunEndEncodedArray):
        return _plain(pc.run_end_decode(array))
    return array


def series(column: Column) -> pl.Series:
    """What `Column.to_polars` gives."""
    import polars as pl

    try:
        return pl.Series(column.name, column)
    except _failures():
        return _series(column)


def dataframe(frame: Frame) -> pl.DataFrame:
    """What `Frame.to_polars` gives."""
    import polars as pl

    try:
        return pl.DataFrame(frame)
    except _failures():
        columns = [_series(frame[i]) for i in range(len(layout_of(frame).names))]
        return pl.DataFrame(columns)
