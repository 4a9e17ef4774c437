"""Sorting a frame's rows: numbers of rows in the order of some columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._query import bad

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

_SHORT, _LONG = 1 << 16, 1 << 32


def order(arrays: list[Any], descending: list[bool]) -> Numbers:
    """Row numbers sorted by the arrays of pyarrow, the first the most significant.

    Rows that are equal stay in their order; null and NaN come last either way.
    """
    import numpy as np

    found = None
    for array, down in reversed(list(zip(arrays, descending, strict=True))):
        keys, valid = _keys(array)
        if found is not None:
            keys = keys[found]
            valid = None if valid is None else valid[found]
        step = _sorted(keys, down)
        if valid is not None:
            kept = valid[step]
            step = np.concatenate([step[kept], step[~kept]])
        found = step if found is None else found[step]
    assert found is not None
    return found.astype(row_type(len(found)), copy=False)


def row_type(rows: int) -> type[Any]:
    """The narrowest type for numbers of rows."""
    import numpy as np

    return np.uint32 if rows < _LONG else np.int64


def _keys(array: Any) -> tuple[Numbers, Numbers | None]:
    """Numbers that sort as the values do, and which rows have one (None: all)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    t = pa.types
    valid = None
    if array.null_count:
        valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False))
    if t.is_decimal(array.type):
        array = array.cast(pa.float64())
    if t.is_interval(array.type):
        raise bad("sort", f"a column of type {array.type} cannot be sorted")
    if not (t.is_dictionary(array.type) or _is_plain(array.type)):
        try:
            array = array.dictionary_encode()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            raise bad("sort", f"a column of type {array.type} cannot be sorted") from None
    if t.is_dictionary(array.type):
        return _codes(array), valid
    if t.is_temporal(array.type):
        array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
    if array.null_count:
        array = pc.fill_null(array, pa.scalar(0).cast(array.type))
    values = np.asarray(array.to_numpy(zero_copy_only=False))
    if values.dtype.kind == "f" and np.isnan(values).any():
        present = ~np.isnan(values)
        valid = present if valid is None else valid & present
    return values, valid


def _is_plain(type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_primitive(type))  # numbers, bool, dates and times


def _codes(array: Any) -> Numbers:
    """The rank of each row's category among the categories; of a null, any."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        rank = pc.rank(array.dictionary, tiebreaker="dense").to_numpy()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        text = f"a column of type {array.dictionary.type} cannot be sorted"
        raise bad("sort", text) from None
    if len(rank) == 0:
        return np.zeros(len(array), np.uint16)
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices, 0)
    return np.asarray(rank[indices.to_numpy()])


def _sorted(keys: Numbers, down: bool) -> Numbers:
    """A stable argsort; of integers within 32 bits by radix, which numpy has for 16."""
    import numpy as np

    if keys.dtype.kind == "b":
        keys = keys.view(np.uint8)
    if keys.dtype.kind not in "iu":
        return np.argsort(-keys if down else keys, kind="stable")
    if len(keys) == 0:
        return np.zeros(0, np.int64)
    low, high = int(keys.min()), int(keys.max())
    if high - low >= _LONG:
        return np.argsort(~keys if down else keys, kind="stable")
    # A difference may wrap round in the signed type: as unsigned it is right.
    near = (keys - keys.dtype.type(low)).view(f"u{keys.itemsize}").astype(np.uint32)
    if down:
        near = np.uint32(high - low) - near
    if high - low < _SHORT:
        return np.argsort(near.astype(np.uint16), kind="stable")
    found = np.argsort((near & np.uint32(_SHORT - 1)).astype(np.uint16), kind="stable")
    upper = (near >> np.uint32(16)).astype(np.uint16)
    return found[np.argsort(upper[found], kind="stable")]
