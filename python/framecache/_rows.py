"""A column as a sequence of its rows: as Python's values, and as an array of numpy.

Rows are what the kind that was put has: of pandas its values, NaN and NaT where they are
missing; of other tables Python's, None where null.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import _numpy, _pandas_meta, _pandas_out
from ._errors import ColumnTypeError
from ._frame import Column, layout_of

if TYPE_CHECKING:
    import numpy as np

_AT_ONCE = 1 << 16


def _is_plain(column: Column) -> bool:
    """Whether its numbers say all: no zone, no extension type, nothing of pandas' own."""
    layout = layout_of(column._frame)
    if layout.extensions or (column.format.startswith("ts") and column.format[4:]):
        return False
    return not _meta(column).extra.get(column.name)


def _meta(column: Column) -> _pandas_meta.Meta:
    return _pandas_meta.read(layout_of(column._table).metadata)


def array(column: Column) -> tuple[np.ndarray[Any, Any], str | None]:
    """The rows as an array, and why that is a copy."""
    if _is_plain(column):
        values, reason = _numpy.read(column._data())
        if values is not None:
            return values, reason
    return _objects(column), "numpy has no such type"


def _objects(column: Column) -> np.ndarray[Any, Any]:
    """As pandas has it: periods, moments of a zone, categories. Others: Python's."""
    import numpy as np

    pandas = _meta(column).ours or column.format.startswith("ts")
    if pandas and importlib.util.find_spec("pandas"):
        return np.asarray(_pandas_out.series(column._table, column._position, "readonly"))
    return _numpy.objects(_arrow_rows(column))


def _arrow_rows(column: Column) -> list[Any]:
    try:
        rows: list[Any] = column.to_arrow().to_pylist()
    except ImportError:
        raise ColumnTypeError(
            f"column {column.name!r}: for rows of {column.format!r} pyarrow is needed, "
            "which is not installed: pip install 'framecache[pyarrow]'",
            column.name,
        ) from None
    return rows


def dtype(column: Column) -> np.dtype[Any]:
    """That of the array; of numbers without reading them."""
    import numpy as np

    data = column._data()
    name = _numpy.dtype_name(column.format)
    if not _is_plain(column) or data.type in ("STRING", "DICTIONARY"):
        made: np.dtype[Any] = array(column)[0].dtype  # depends on what is missing
        return made
    if data.type == "BOOL":
        return np.dtype(object if _numpy.has_nulls(data) else bool)
    if name is None:
        return np.dtype(object)
    found = np.dtype(name)
    return np.dtype("float64") if found.kind in "iu" and _numpy.has_nulls(data) else found


def values(column: Column) -> list[Any]:
    """All rows."""
    if _meta(column).ours:
        made: list[Any] = column.to_pandas("readonly").tolist()
        return made
    data = column._data()
    if data.type == "STRING":
        return _numpy.strings(data)
    if _is_plain(column):
        found = _numpy.fixed(data) if data.type != "DICTIONARY" else None
        if data.type == "BOOL":
            found = _numpy.read(data)[0]
        if found is not None and found.dtype.kind in "biufO":
            rows: list[Any] = found.tolist()
            return _with_none(data, rows)
    return _arrow_rows(column)


def _with_none(data: _numpy.Data, rows: list[Any]) -> list[Any]:
    if not _numpy.has_nulls(data):
        return rows
    null = _numpy.mask(data).tolist()
    return [None if no else row for row, no in zip(rows, null, strict=True)]


def iterate(column: Column) -> Iterator[Any]:
    """The rows, some at a time."""
    for start in range(0, len(column), _AT_ONCE):
        yield from values(column[start : start + _AT_ONCE])
