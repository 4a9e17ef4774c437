"""A plugin of narwhals: what takes its frames (altair, plotly, ...) takes ours.

``narwhals.from_native(frame)`` is a DataFrame over the kind that was put: pandas, polars,
else pyarrow; of a Column a Series. narwhals finds this module by its entry point, and
asks it about objects of this package only.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from ._frame import Column, Frame, layout_of
from ._kinds import recorded

NATIVE_PACKAGE = "framecache"


def is_native(native_object: object, /) -> bool:
    """Whether it is one of ours.

    Parameters
    ----------
    native_object : any

    Returns
    -------
    bool
    """
    return isinstance(native_object, (Frame, Column))


def __narwhals_namespace__(version: Any) -> Namespace:
    """What wraps our objects for a version of narwhals' API.

    Parameters
    ----------
    version : narwhals.utils.Version

    Returns
    -------
    Namespace
    """
    return Namespace(version)


class Namespace:
    """Wraps our objects.

    Parameters
    ----------
    version : narwhals.utils.Version
    """

    def __init__(self, version: Any) -> None:
        self._version = version

    def from_native(self, data: Any, /) -> Any:
        """What narwhals makes of the library's own object.

        Parameters
        ----------
        data : Frame or Column

        Returns
        -------
        CompliantDataFrame or CompliantSeries
        """
        native = _native(data)
        inner = self._version.namespace.from_native_object(native).compliant
        return inner.from_native(native)


def _native(data: Frame | Column) -> Any:
    table = data._table if isinstance(data, Column) else data
    library = _library(recorded(layout_of(table).metadata))
    if library == "pandas":
        return data.to_pandas()
    if library == "polars":
        return data.to_polars()
    arrow = data.to_arrow()
    if isinstance(data, Frame):
        return arrow
    import pyarrow as pa

    return pa.chunked_array([arrow])


def _library(kind: str) -> str:
    """The one that was put, or else one that is there."""
    first = kind.partition(".")[0]
    if first in ("dataframe", "series", "index", "multiindex"):
        wanted = "pandas"
    else:
        wanted = "polars" if first == "polars" else "pyarrow"
    others = (wanted, "pyarrow", "polars", "pandas")
    return next((name for name in others if importlib.util.find_spec(name)), wanted)
