"""DataFrames of plain numbers with an index that counts, which most are: made at once.

What a layout says of them is looked at when the first frame of it is read. A part of a
longer frame goes the general way, and so does a column where rows are null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._pandas_decode import Plan, Reader

if TYPE_CHECKING:
    import pandas as pd

    from ._frame import Frame

_PAGE = 4096


def small(frame: Frame) -> bool:
    """Whether a copy is cheaper than a mapping, and no more memory."""
    return frame.nbytes <= _PAGE


class Numbers:
    """How to make the DataFrames of a layout."""

    def __init__(self, plan: Plan, whole: range | None, name: Any, make: Any) -> None:
        import numpy as np
        import pandas as pd

        self._plan = plan
        self._places = plan.places
        self._dtypes = plan.dtypes
        self._labels = plan.labels
        self._whole = whole  # the rows' numbers; None: from 0
        self._name = name
        self._make = make
        self._positions = list(np.arange(len(plan.places)).reshape(-1, 1))
        self._index = pd.RangeIndex.from_range
        self._array = np.ndarray

    def table(self, frame: Frame, mode: str, strict: bool) -> pd.DataFrame | None:
        """The frame as a DataFrame; None: it is not made at once."""
        rows = frame.rows
        whole = self._whole
        if whole is None:
            whole = range(rows)
        elif rows != len(whole) or frame._first or frame._after:
            return None
        if mode == "cow" and not strict and small(frame):
            mode = "copy"
        table: pd.DataFrame = self._make(
            list(zip(self._arrays(frame, mode, strict), self._positions, strict=True)),
            index=self._index(whole, name=self._name),
            columns=self._labels.view(),
        )
        return table

    def _arrays(self, frame: Frame, mode: str, strict: bool) -> list[Any]:
        source = frame._private() if mode == "cow" else frame
        given = source._values(self._places)
        if None in given:
            reader = Reader(frame, mode, strict, source)
            return [_flat(a) for a in reader.arrays(self._plan, False, None, given)]
        shape, make = (1, frame.rows), self._array
        arrays = [make(shape, *pair) for pair in zip(self._dtypes, given, strict=True)]
        return [array.copy() for array in arrays] if mode == "copy" else arrays


def _flat(array: Any) -> Any:
    """As a block has it: numpy's with two dimensions."""
    import numpy as np

    plain = type(array) is np.ndarray and array.ndim == 1
    return array.reshape(1, -1) if plain else array


def numbers_of(plan: Plan, make: Any) -> Numbers | None:
    """How to make DataFrames of the layout at once, if they are plain enough.

    `make` is pandas' ``create_dataframe_from_blocks``, or None: it has none.
    """
    meta = plan.meta
    special = meta.attributes or meta.own.get("unique_labels") or meta.own.get("names")
    if make is None or special or not meta.plain or plan.labels is None:
        return None
    if not plan.places or -1 in plan.places:
        return None
    if not meta.levels:
        return Numbers(plan, None, None, make)
    index = meta.levels[0]
    if not isinstance(index, dict) or index.get("kind") != "range":
        return None
    whole = range(index["start"], index["stop"], index["step"])
    return Numbers(plan, whole, index["name"], make)
