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
        self._quick = quick_maker(plan.dtypes, self._labels, self._positions, make)
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
        arrays, whole_known = self._arrays(frame, mode, strict)
        index, labels = self._index(whole, name=self._name), self._labels.view()
        table: pd.DataFrame
        if self._quick is not None and whole_known:
            table = self._quick(arrays, index, labels)
        else:
            blocks = list(zip(arrays, self._positions, strict=True))
            table = self._make(blocks, index=index, columns=labels)
        return table

    def _arrays(self, frame: Frame, mode: str, strict: bool) -> tuple[list[Any], bool]:
        """The columns; and whether each has the dtype that its layout says."""
        source = frame._private() if mode == "cow" else frame
        given = source._values(self._places)
        if None in given:
            reader = Reader(frame, mode, strict, source)
            read = reader.arrays(self._plan, False, None, given)
            return [_flat(array) for array in read], False
        shape, make = (1, frame.rows), self._array
        arrays = [make(shape, *pair) for pair in zip(self._dtypes, given, strict=True)]
        return [array.copy() for array in arrays] if mode == "copy" else arrays, True


def quick_maker(dtypes: list[Any], labels: Any, positions: list[Any], make: Any) -> Any:
    """A `make` for arrays of these dtypes that does not look at each of them again.

    It calls what `make` calls, which is pandas' own and not for others to rely on. So it
    is tried first, on one row; None: this pandas does not take it, or it does not make
    what `make` does.
    """
    import numpy as np
    import pandas as pd

    if any(dtype.kind not in "iuf" for dtype in dtypes):
        return None
    try:
        arrays = [np.ones((1, 1), dtype) for dtype in dtypes]
        index = pd.RangeIndex(1)
        pairs = list(zip(arrays, positions, strict=True))
        known = make(pairs, index=index, columns=labels)
        manager = type(known._mgr)
        parts = [(type(block), block.mgr_locs) for block in known._mgr.blocks]
        wrap = pd.DataFrame._from_mgr

        def quick(arrays: list[Any], index: Any, labels: Any) -> Any:
            blocks = [
                kind(array, place, 2)
                for array, (kind, place) in zip(arrays, parts, strict=True)
            ]
            made = manager(blocks, [labels, index], False)
            return wrap(made, made.axes)

        return quick if _same(quick(arrays, index, labels), known) else None
    except Exception:  # whatever another pandas says to it
        return None


def _same(made: Any, known: Any) -> bool:
    """Whether two DataFrames are equal, and made in the same way."""
    attributes = set(vars(made)) == set(vars(known)) and type(made) is type(known)
    blocks = [
        [(type(b), b.mgr_locs.as_array.tolist(), b.values is v.values) for b, v in pairs]
        for pairs in (
            zip(made._mgr.blocks, known._mgr.blocks, strict=True),
            zip(known._mgr.blocks, known._mgr.blocks, strict=True),
        )
    ]
    axes = [axis is other for axis, other in zip(made.axes, known.axes, strict=True)]
    return attributes and blocks[0] == blocks[1] and all(axes) and made.equals(known)


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
    attributes = meta.attributes or meta.own.get("attrs")
    special = attributes or meta.own.get("unique_labels") or meta.own.get("names")
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
