"""Graphs of long series that refine on zoom: the browser gets as many points as it shows.

>>> graph = ResamplingGraph(  # doctest: +SKIP
...     "delays", lambda: cache["flights"], x="time_hour", y="dep_delay")
"""

from __future__ import annotations

import base64
import datetime
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import dash
from dash import Input, Output, Patch, State, dcc, html

from .._errors import ColumnError
from .._frame import Frame, layout_of
from . import _filter, _sample
from ._query import METHODS, RequestError, bad

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

__all__ = ["RequestError", "ResamplingGraph", "resample"]


def resample(
    table: Any,
    x: str,
    y: str,
    *,
    points: int = 2000,
    range: tuple[Any, Any] | None = None,
    method: str = "minmaxlttb",
) -> tuple[Numbers, Numbers]:
    """About `points` points that look as all of them do.

    Parameters
    ----------
    table : Frame, or pandas DataFrame, or pyarrow Table
        Sorted by `x`. Of a Frame only the bytes that are looked at are read.
    x, y : str
        Columns: numbers or times; numbers.
    points : int
    range : pair, optional
        The part of x that is shown, as a figure's axis has it: numbers, or times as text;
        the nearest point on each side comes too, so that the line goes on.
    method : {"minmax", "lttb", "minmaxlttb"}

    Returns
    -------
    x, y : numpy.ndarray
        Times as datetime64.

    Raises
    ------
    RequestError
        There is no such column, it cannot be drawn, or x does not ascend.
    """
    import numpy as np

    if method not in METHODS:
        raise bad("downsample", f"no method {method!r}; there are {', '.join(METHODS)}")
    xs, ys = _column(table, x), _column(table, y)
    across = _sample.numbers(xs, x)
    first, end = 0, len(across)
    if range is not None:
        first, end = _within(across, xs.type, range)
    elif not _sample.ascending(across):
        text = f"column {x!r} does not ascend: sort the table by it"
        raise bad("downsample", text)
    part = _sample.numbers(ys.slice(first, end - first), y)
    kept = _sample.thin(across[first:end], part, points, method)
    shown = np.asarray(xs.slice(first, end - first).to_numpy(zero_copy_only=False))
    return shown[kept], part[kept]


def _column(table: Any, name: str) -> Any:
    import pyarrow as pa

    if isinstance(table, Frame):
        try:
            return _filter.column(table, layout_of(table).position(name))
        except ColumnError as error:
            raise bad("column", str(error.args[0])) from None
    if name not in (table.column_names if isinstance(table, pa.Table) else table.columns):
        raise bad("column", f"no column {name!r}")
    array = table[name].combine_chunks() if isinstance(table, pa.Table) else table[name]
    array = pa.array(array)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _within(across: Numbers, type: Any, shown: tuple[Any, Any]) -> tuple[int, int]:
    """The rows that are shown, and one more on each side."""
    import numpy as np

    low, high = (_place(value, type) for value in shown)
    if low > high:
        low, high = high, low  # an axis may run backwards
    least = _of_type(low, across.dtype, math.ceil)
    most = _of_type(high, across.dtype, math.floor)
    first = int(np.searchsorted(across, least, "left")) - 1
    end = int(np.searchsorted(across, most, "right")) + 1
    return max(first, 0), min(end, len(across))


def _of_type(value: float, dtype: Any, whole: Callable[[float], int]) -> Any:
    """Of the column's type: else numpy converts the whole column to compare."""
    import numpy as np

    if math.isnan(value):
        raise bad("range", "NaN is no place on the axis")
    if dtype.kind not in "iu":
        return dtype.type(value)
    limits = np.iinfo(dtype)
    if not limits.min < value < limits.max:
        return dtype.type(limits.min if value < 0 else limits.max)
    return dtype.type(whole(value))


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def _place(value: Any, type: Any) -> float:
    """A value of the axis in the column's own numbers."""
    import pyarrow as pa

    try:
        if not isinstance(value, str):
            return float(value)
        moment = datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise bad("range", f"{str(value)[:40]!r} is no place on the axis") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    if pa.types.is_date(type):
        return moment.timestamp() / 86400
    if not pa.types.is_timestamp(type):
        raise bad("range", f"{value[:40]!r} is a time, the column is {type}")
    return moment.timestamp() * _PER_SECOND[type.unit]


# Only what changes the x axis goes to the server: a request for anything else would have
# Dash throw away the answer that is under way.
_WINDOW = """
function(relayout) {
    const r = relayout || {};
    const pair = r["xaxis.range"] || [r["xaxis.range[0]"], r["xaxis.range[1]"]];
    if (pair[0] !== undefined) return pair;
    return r["xaxis.autorange"] ? "all" : window.dash_clientside.no_update;
}
"""


class ResamplingGraph(html.Div):
    """A ``dcc.Graph`` of lines that asks for finer points as one zooms in.

    Parameters
    ----------
    id : str
        Of the graph; ``<id>-window`` is a ``dcc.Store`` of the range that is shown.
    source : callable
        Values of `inputs` to the table: a Frame, so that nothing is copied. Called at
        each zoom.
    x : str
        Column that ascends: numbers or times.
    y : str or sequence of str
        A line each.
    points : int
        Of each line.
    method : {"minmaxlttb", "minmax", "lttb"}
    inputs : sequence of dash.Input
        Draw anew when one changes.
    layout, trace : dict, optional
        Of the figure, and of each of its traces.
    **kwargs
        Of ``dcc.Graph``.
    """

    def __init__(
        self,
        id: str,
        source: Callable[..., Any],
        x: str,
        y: str | Sequence[str],
        *,
        points: int = 2000,
        method: str = "minmaxlttb",
        inputs: Sequence[Input | State] = (),
        layout: dict[str, Any] | None = None,
        trace: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        shown_id = f"{id}-window"
        super().__init__([dcc.Graph(id=id, **kwargs), dcc.Store(id=shown_id)])
        lines = [y] if isinstance(y, str) else list(y)

        def parts(*values: Any, shown: Any = None) -> list[dict[str, Any]]:
            table = source(*values)
            return [
                _encoded(
                    *resample(table, x, one, points=points, range=shown, method=method)
                )
                for one in lines
            ]

        def draw(shown: Any, *values: Any) -> Any:
            zoomed = dash.ctx.triggered_id == shown_id and shown not in (None, "all")
            if zoomed:
                return _patch(parts(*values, shown=_pair(shown)))
            return _figure(parts(*values), lines, layout, trace)

        dash.clientside_callback(
            _WINDOW,
            Output(shown_id, "data"),
            Input(id, "relayoutData"),
            prevent_initial_call=True,  # the first figure waits for nothing
        )
        dash.callback(Output(id, "figure"), Input(shown_id, "data"), *inputs)(draw)


def _pair(shown: Any) -> tuple[Any, Any]:
    if not isinstance(shown, list) or len(shown) != 2:
        raise bad("range", "the range that is shown is no pair")
    return shown[0], shown[1]


def _figure(
    parts: list[dict[str, Any]],
    names: list[str],
    layout: dict[str, Any] | None,
    trace: dict[str, Any] | None,
) -> dict[str, Any]:
    look = {"type": "scattergl", "mode": "lines"} | (trace or {})
    kind = "date" if parts and parts[0].pop("dates") else "-"
    for part in parts[1:]:
        part.pop("dates")
    data = [look | {"name": name} | part for name, part in zip(names, parts, strict=True)]
    axis = {"type": kind} | ((layout or {}).get("xaxis") or {})
    return {"data": data, "layout": {**(layout or {}), "xaxis": axis}}


def _patch(parts: list[dict[str, Any]]) -> Patch:
    patch = Patch()
    for at, part in enumerate(parts):
        patch["data"][at]["x"] = part["x"]
        patch["data"][at]["y"] = part["y"]
    return patch


def _encoded(x: Numbers, y: Numbers) -> dict[str, Any]:
    """As plotly.js takes arrays: their bytes in base64, times in milliseconds."""
    import numpy as np

    dates = x.dtype.kind == "M"
    if dates:
        x = x.astype("datetime64[us]").view(np.int64) / 1000
    return {"x": _typed(x), "y": _typed(y), "dates": dates}


def _typed(values: Numbers) -> dict[str, str]:
    import numpy as np

    name = {"f4": "f4", "i1": "i1", "i2": "i2", "i4": "i4", "u1": "u1", "u2": "u2"}.get(
        values.dtype.str[1:], "f8"
    )
    raw = np.ascontiguousarray(values, dtype=name).tobytes()
    return {"dtype": name, "bdata": base64.b64encode(raw).decode()}
