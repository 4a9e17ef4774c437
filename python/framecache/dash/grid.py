"""All rows of a frame in an AG Grid: sorted and filtered on the server, sent by the page.

>>> @callback(Output("grid", "getRowsResponse"),  # doctest: +SKIP
...           Input("grid", "getRowsRequest"), prevent_initial_call=True)
... def rows(request):
...     return grid_rows(cache["flights"], request, cache=cache)

The order of a sort, and the rows that a filter leaves, are computed once in the machine
and kept in the cache as frames of their own.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache as remembered
from functools import reduce
from math import isfinite
from typing import TYPE_CHECKING, Any

from .._errors import BudgetError, ColumnError
from .._frame import Frame, layout_of
from . import _browser, _filter, _grid_filter, _order
from ._query import RequestError, bad, too_much, whole

if TYPE_CHECKING:
    import numpy as np

    from .._cache import Cache
    from .._namespace import Namespace
    from .._settings import Duration

    Numbers = np.ndarray[Any, Any]

__all__ = ["RequestError", "grid_columns", "grid_rows"]

PREFIX = "framecache.grid/"
_MAX_ROWS = 10_000
_EXACT = 1 << 53  # beyond, a browser's numbers have gaps


def grid_columns(
    frame: Frame, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """``columnDefs`` for `frame`: sortable, each with the filter of its type.

    Give the grid ``suppressFieldDotNotation`` where names hold dots.

    Parameters
    ----------
    frame : Frame
    columns : sequence of str, optional
        All unless said.

    Returns
    -------
    list of dict

    Raises
    ------
    ColumnError
        There is no such column.
    """
    import pyarrow as pa

    chosen = frame if columns is None else frame.select(columns)
    defs = []
    for field in pa.schema(chosen.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        one: dict[str, Any] = {"field": field.name, "sortable": True}
        numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
        if any(check(kind) for check in numeric):
            one |= {"filter": "agNumberColumnFilter", "type": "rightAligned"}
        elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            one["filter"] = "agDateColumnFilter"
        else:
            one["filter"] = "agTextColumnFilter"
        defs.append(one)
    return defs


def grid_rows(
    frame: Frame,
    request: dict[str, Any] | None,
    *,
    cache: Cache | Namespace | None = None,
    columns: Sequence[str] | None = None,
    ttl: Duration = "10m",
) -> dict[str, Any] | None:
    """Answer ``getRowsRequest`` of AG Grid's infinite row model.

    Parameters
    ----------
    frame : Frame
    request : dict or None
        As the grid sends it: ``startRow``, ``endRow``, ``sortModel``, ``filterModel``.
    cache : Cache or Namespace, optional
        Where sorted and filtered row numbers are kept, 4 bytes a row; without it they are
        computed at each request.
    columns : sequence of str, optional
        To send; all unless said. Sorting and filtering may use any.
    ttl : duration
        How long row numbers are kept.

    Returns
    -------
    dict or None
        ``rowData`` and ``rowCount``, for ``getRowsResponse``; None for a request of None.

    Raises
    ------
    RequestError
        The request, which comes from a browser, asks for what is not there.
    """
    if request is None:
        return None
    first, end = _page(request)
    sort = _sort_model(request.get("sortModel"), frame)
    filters = _filter_model(request.get("filterModel"), frame)
    chosen = frame if columns is None else frame.select(columns)
    if not sort and not filters:
        return _response(chosen, range(frame.rows)[first:end], frame.rows)
    numbers = _row_numbers(frame, sort, filters, cache, ttl)
    return _response(chosen, numbers[first:end], len(numbers))


# ---- The request ----


def _page(request: Any) -> tuple[int, int]:
    if not isinstance(request, dict):
        raise bad("rows", "the grid's request is no object")
    first, end = request.get("startRow", 0), request.get("endRow", 100)
    if not whole(first) or not whole(end) or first < 0 or end < first:
        raise bad("rows", f"rows {first!r} to {end!r} are none")
    if end - first > _MAX_ROWS:
        text = f"{end - first} rows, at most {_MAX_ROWS} at a time: lower cacheBlockSize"
        raise too_much("rows", text)
    return first, end


def _position(frame: Frame, name: Any) -> int:
    try:
        if isinstance(name, str):
            return layout_of(frame).position(name)
    except ColumnError as error:
        raise bad("column", str(error.args[0])) from None
    raise bad("column", f"{str(name)[:40]!r} is no column's name")


def _sort_model(model: Any, frame: Frame) -> list[tuple[int, bool]]:
    if not model:
        return []
    if not isinstance(model, list) or not all(isinstance(one, dict) for one in model):
        raise bad("sort", "sortModel is no list of colId and sort")
    found: list[tuple[int, bool]] = []
    for one in model:
        if one.get("sort") not in ("asc", "desc"):
            raise bad(
                "sort", f"sort {str(one.get('sort'))[:40]!r} is neither asc nor desc"
            )
        position = _position(frame, one.get("colId"))
        if position in (before for before, _ in found):
            raise bad("sort", f"column {one['colId']!r} is sorted by twice")
        found.append((position, one["sort"] == "desc"))
    return found


def _filter_model(model: Any, frame: Frame) -> list[tuple[int, Any]]:
    if not model:
        return []
    if not isinstance(model, dict):
        raise bad("filter", "filterModel is no object")
    return sorted(
        ((_position(frame, name), one) for name, one in model.items()),
        key=lambda pair: pair[0],
    )


# ---- Row numbers ----


def _row_numbers(
    frame: Frame,
    sort: list[tuple[int, bool]],
    filters: list[tuple[int, Any]],
    cache: Cache | Namespace | None,
    ttl: Duration,
) -> Numbers:
    def ordered() -> Numbers:
        arrays = [_filter.column(frame, position) for position, _ in sort]
        return _order.order(arrays, [down for _, down in sort])

    def kept() -> Numbers:
        import numpy as np

        masks = [_grid_filter.mask(frame, position, one) for position, one in filters]
        mask = reduce(np.logical_and, masks)
        if not sort:
            return np.flatnonzero(mask).astype(_order.row_type(len(mask)))
        rows = _once(cache, _key(frame, sort, []), ordered, ttl)
        return np.asarray(rows[mask[rows]])

    compute = kept if filters else ordered
    return _once(cache, _key(frame, sort, filters), compute, ttl)


def _key(frame: Frame, sort: list[Any], filters: list[Any]) -> str:
    info, names = frame.info, layout_of(frame).names
    part = [frame._table, frame._first, frame.rows, names]  # of a slice or a selection
    seed = [info["key"], info["sequence"], info["created"], part, sort, filters]
    text = json.dumps(seed, sort_keys=True).encode()
    return PREFIX + hashlib.blake2b(text, digest_size=16).hexdigest()


def _once(
    cache: Cache | Namespace | None,
    key: str,
    compute: Callable[[], Numbers],
    ttl: Duration,
) -> Numbers:
    import numpy as np

    if cache is None:
        return compute()
    kept = cache.get(key)
    if kept is not None:
        return np.asarray(kept[0].to_numpy())
    return _computed(cache, key, compute, ttl)


def _computed(
    cache: Cache | Namespace, key: str, compute: Callable[[], Numbers], ttl: Duration
) -> Numbers:
    import numpy as np
    import pyarrow as pa

    made: list[Numbers] = []

    def table() -> pa.Table:
        made.append(compute())
        return pa.table({"row": made[0]})

    try:
        found = cache.get_or_compute(key, table, ttl=ttl)
    except BudgetError:  # no room to keep them: they are right all the same
        return made[0] if made else compute()
    if made:
        return made[0]
    return np.asarray(found["row"].to_numpy())


# ---- The response ----


def _response(frame: Frame, rows: range | Numbers, count: int) -> dict[str, Any]:
    import pyarrow as pa

    if isinstance(rows, range):
        batch = pa.record_batch(frame.slice(rows.start, len(rows)))
    else:
        arrays = [_filter.column(frame, i) for i in range(len(frame.columns))]
        some = pa.array(rows)
        batch = pa.record_batch([a.take(some) for a in arrays], names=frame.columns)
    batch = _browser.batch(batch, _browser.schema(batch.schema))
    columns = [_cells(column) for column in batch.columns]
    names = frame.columns
    data = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return {"rowData": data, "rowCount": count}


def _cells(array: Any) -> list[Any]:
    """A column as JSON has it: no NaN, times as text of ISO 8601."""
    import pyarrow as pa

    type = array.type
    if pa.types.is_timestamp(type) and type.unit == "ns":
        array = array.cast(pa.timestamp("us", type.tz), safe=False)
    elif pa.types.is_duration(type) and type.unit == "ns":
        array = array.cast(pa.duration("us"), safe=False)
    elif pa.types.is_time64(type) and type.unit == "ns":
        array = array.cast(pa.time64("us"), safe=False)
    try:
        values: list[Any] = array.to_pylist()
    except (OverflowError, ValueError):
        values = _beyond(array)
    if type in _json_types():
        return values
    if pa.types.is_floating(type):
        return [v if v is None or isfinite(v) else None for v in values]
    return [_cell(value) for value in values]


def _beyond(array: Any) -> list[Any]:
    """Cells that Python's types do not hold: the year 10,000, an unknown zone."""
    import pyarrow as pa

    if pa.types.is_timestamp(array.type) and array.type.tz:
        return _cells(array.cast(pa.timestamp(array.type.unit)))  # in UTC
    if pa.types.is_temporal(array.type):
        whole = pa.int32() if array.type.bit_width == 32 else pa.int64()
        return [None if n is None else str(n) for n in array.view(whole).to_pylist()]
    return ["?" if known else None for known in array.is_valid().to_pylist()]


@remembered
def _json_types() -> frozenset[Any]:
    """Types whose values JSON has, and browsers too."""
    import pyarrow as pa

    small = (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())
    return frozenset((pa.string(), pa.large_string(), pa.bool_(), *small))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -_EXACT <= value <= _EXACT else str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _cell(item) for key, item in value.items()}
    return [_cell(item) for item in value]
