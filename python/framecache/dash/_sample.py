"""Leaving points out so that a line still looks the same, by tsdownsample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._query import RequestError, bad

if TYPE_CHECKING:
    import numpy as np

_NAMES = {
    "minmax": "MinMaxDownsampler",
    "lttb": "LTTBDownsampler",
    "minmaxlttb": "MinMaxLTTBDownsampler",
}


def numbers(array: Any, name: str) -> np.ndarray[Any, Any]:
    """A column as numbers that can be drawn: nulls as NaN, times in their unit.

    Raises
    ------
    RequestError
        It has none.
    """
    import numpy as np
    import pyarrow as pa

    type = array.type
    if pa.types.is_decimal(type):
        array = array.cast(pa.float64())
    try:
        values = np.asarray(array.to_numpy(zero_copy_only=False))
    except pa.ArrowNotImplementedError:
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "iufmMb":
        raise bad("downsample", f"column {name!r} of type {type} is no line to draw")
    return values.view(np.int64) if values.dtype.kind in "mM" else values


def ascending(x: np.ndarray[Any, Any]) -> bool:
    """Whether no value is less than the one before it, and none is NaN."""
    import numpy as np

    step = 1 << 20  # a piece at a time: no mask as long as the column
    return all(
        bool(np.all(x[i : i + step][:-1] <= x[i : i + step][1:]))
        and (i == 0 or bool(x[i - 1] <= x[i]))
        for i in range(0, len(x), step)
    )


def thin(
    x: np.ndarray[Any, Any] | None, y: np.ndarray[Any, Any], points: int, method: str
) -> np.ndarray[Any, Any]:
    """Row numbers, ascending, of about `points` points that keep the shape of y over x.

    Parameters
    ----------
    x : numpy.ndarray or None
        Ascending; None: the row number.
    y : numpy.ndarray
        NaN is left out where there is more than `points`.
    points : int
    method : {"minmax", "lttb", "minmaxlttb"}
    """
    import numpy as np
    import tsdownsample

    if len(y) <= points:
        return np.arange(len(y))
    y = np.ascontiguousarray(y.view(np.uint8) if y.dtype.kind == "b" else y)
    kept = None
    if y.dtype.kind == "f" and np.isnan(y).any():
        kept = np.flatnonzero(~np.isnan(y))
        x = kept if x is None else x[kept]
        y = y[kept]
        if len(y) <= points:
            return kept
    if method == "minmax":
        points -= points % 2  # a pair for each stretch
    sampler = getattr(tsdownsample, _NAMES[method])()
    arguments = (y,) if x is None else (np.ascontiguousarray(x), y)
    found = sampler.downsample(*arguments, n_out=points).astype(np.int64)
    found = np.unique(found)
    return found if kept is None else kept[found]


def check() -> None:
    """RequestError unless tsdownsample is installed."""
    try:
        import tsdownsample  # noqa: F401
    except ImportError:
        text = "this server cannot downsample: tsdownsample is not installed there"
        raise RequestError(501, "downsample", text) from None
