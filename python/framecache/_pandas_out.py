"""pandas on its way out: arrays over the frame's bytes, dtypes and index as recorded."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from . import _pandas_meta
from ._frame import Frame, layout_of, refuse_copy
from ._pandas_decode import Plan, Reader, object_or_none, plan_of
from ._pandas_labels import string_dtype, unpack, unpack_index, with_frequency
from ._pandas_levels import is_stored, multi_index
from ._pandas_numbers import numbers_of, small
from ._values_out import decode_alone

if TYPE_CHECKING:
    import pandas as pd

# ---- Index ----


def _index(reader: Reader, names: list[str]) -> pd.Index[Any] | None:
    """The recorded index; None: the default one."""

    meta = reader.meta
    if not meta.levels:
        return None
    if isinstance(meta.levels[0], dict):
        index = _range(reader, meta.levels[0])
    else:
        levels: list[tuple[int, Any]] = []
        positions = {name: number for number, name in enumerate(names)}
        for field in meta.levels:
            position = positions.get(field) if isinstance(field, str) else None
            if position is not None:
                levels.append((position, _level(reader, field, position)))
            elif meta.ours:  # not selected
                return None
        if not levels:
            return None
        multi = len(levels) > 1 or meta.own.get("multi")
        index = _multi_index(reader, levels) if multi else levels[0][1]
    packed = meta.own.get("names")
    if packed and index is not None:
        index.names = [unpack(name) for name in packed]
    return index


def _multi_index(reader: Reader, levels: list[tuple[int, Any]]) -> pd.MultiIndex:
    fields = [reader.layout.names[position] for position, _ in levels]
    names = [_pandas_meta.name_of(reader.meta, field) for field in fields]
    return multi_index(reader, levels, names)


def _level(reader: Reader, field: str, position: int) -> pd.Index[Any] | None:
    """A column as an Index; None: only `multi_index` reads it."""
    import pandas as pd

    extra = reader.meta.extra.get(field) or {}
    if is_stored(extra):
        return None
    array = reader.array(position)
    name = _pandas_meta.name_of(reader.meta, field)
    level = pd.Index(
        array, dtype=object_or_none(array), name=name, copy=False, tupleize_cols=False
    )
    return with_frequency(level, extra)


def _range(reader: Reader, descriptor: dict[str, Any]) -> pd.Index[Any] | None:
    if descriptor.get("kind") != "range":
        return None
    bounds = descriptor["start"], descriptor["stop"], descriptor["step"]
    return _part_of_range(reader.frame, bounds, descriptor["name"])


def _part_of_range(frame: Frame, bounds: Any, name: Any) -> pd.Index[Any] | None:
    """The part of a RangeIndex that the frame's rows have."""
    import pandas as pd

    whole = range(*bounds)
    rows, first = frame.rows, frame._first
    if first + rows + frame._after != len(whole):  # other rows than were described
        return None
    part = whole if rows == len(whole) else whole[first : first + rows]
    return pd.RangeIndex.from_range(part, name=name)


# ---- Labels ----


def _all_labels(reader: Reader, plan: Plan) -> pd.Index[Any]:
    """Of the columns that are shown; a view, since a name may be set on what is given."""
    import pandas as pd

    if plan.labels is not None:
        return plan.labels.view()
    labels = _labels(reader, plan.names)
    if type(labels) is pd.Index or type(labels) is pd.RangeIndex:
        plan.labels = labels
        labels = labels.view()
    return labels


def _labels(reader: Reader, names: list[str]) -> pd.Index[Any]:
    own = reader.meta.labels_own
    if "of" in own:
        return _packed_labels(own, names)
    about = reader.meta.labels
    recorded, label = about.get("numpy_type"), about.get("name")
    if recorded == "int64":
        return _number_labels(names, label, own.get("range"))
    if recorded == "object" and not reader.meta.ours:  # pyarrow lets pandas infer
        recorded = None
    return _text_labels(names, label, recorded, own.get("storage"))


def _text_labels(
    names: list[str], label: str | None, recorded: str | None, storage: str | None
) -> pd.Index[Any]:
    import pandas as pd

    dtype: Any = None
    if recorded == "object" and (storage is None):
        dtype = object
    elif storage is not None:
        dtype = string_dtype(recorded or "str", storage)
    return pd.Index(names, dtype=dtype, name=label)


def _packed_labels(own: dict[str, Any], names: list[str]) -> pd.Index[Any]:
    import pandas as pd

    if all(name in own["of"] for name in names):
        return unpack_index(own["about"], [own["of"][name] for name in names])
    return pd.Index(names)


def _number_labels(names: list[str], label: Any, bounds: Any) -> pd.Index[Any]:
    import pandas as pd

    try:
        numbers = [int(name) for name in names]
    except ValueError:
        return pd.Index(names, name=label)
    if bounds is not None and list(range(*bounds)) == numbers:
        return pd.RangeIndex(*bounds, name=label)
    return pd.Index(numbers, dtype="int64", name=label)


# ---- The frame, or a column of it ----


def dataframe(
    frame: Frame, mode: str = "cow", strict: bool = False, backend: str | None = None
) -> pd.DataFrame:
    """What `Frame.to_pandas` gives."""
    import pandas as pd

    plan = plan_of(layout_of(frame))
    if plan.numbers and backend is None:
        table: pd.DataFrame | None = plan.numbers.table(frame, mode, strict)
        if table is not None:
            return table
    if mode == "cow" and not strict and small(frame):
        mode = "copy"
    reader = Reader(frame, mode, strict)
    meta, names = reader.meta, reader.layout.names
    if not meta.plain:  # columns of several levels and such: pyarrow restores them
        if strict:
            raise refuse_copy(names[0] if names else "", "pyarrow restores its labels")
        return frame.to_arrow().to_pandas()
    index = _index(reader, names) if meta.levels else None
    if index is None:
        index = pd.RangeIndex(frame.rows)
    labels = _all_labels(reader, plan)
    arrays = reader.arrays(plan, _from_blocks(plan.pandas) is None, backend)
    result = _assemble(arrays, index, labels, plan.pandas)
    if plan.numbers is None:
        plan.numbers = numbers_of(plan, _from_blocks(plan.pandas)) or False
    if attributes := _attributes(meta):
        result.attrs = attributes
    if meta.own.get("unique_labels"):
        result.flags.allows_duplicate_labels = False
    return result


def _attributes(meta: _pandas_meta.Meta) -> dict[Any, Any]:
    """The attrs, new each time: what is remembered stays."""
    coded = meta.own.get("attrs")
    if coded is None:
        return deepcopy(meta.attributes)
    attributes: dict[Any, Any] = decode_alone(coded, "df.attrs")
    return attributes


def _assemble(
    arrays: list[Any], index: pd.Index[Any], labels: pd.Index[Any], version: str
) -> pd.DataFrame:
    """A DataFrame over the arrays as they are."""
    import numpy as np
    import pandas as pd

    make = _from_blocks(version)
    if make is not None:
        blocks = []
        for array, place in zip(arrays, _places(len(arrays)), strict=True):
            if type(array) is np.ndarray and array.ndim == 1:
                array = array.reshape(1, -1)
            blocks.append((array, place))
        return make(blocks, index=index, columns=labels)
    given: dict[int, Any] = {}
    for number, array in enumerate(arrays):
        given[number] = array
        if array.dtype.kind == "O" and type(array) is np.ndarray:  # not to be inferred
            given[number] = pd.Series(array, index=index, dtype=object, copy=False)
    result = pd.DataFrame(given, index=index, copy=False)
    result.columns = labels
    return result


@lru_cache(maxsize=1)
def _from_blocks(pandas: str) -> Any:
    """pandas' own way to make a DataFrame of arrays, from 3.0 on: five times faster."""
    try:
        from pandas.api.internals import create_dataframe_from_blocks
    except ImportError:
        return None
    return create_dataframe_from_blocks


@lru_cache(maxsize=64)
def _places(count: int) -> Any:
    import numpy as np

    return list(np.arange(count).reshape(count, 1))


def series(frame: Frame, position: int, mode: str) -> pd.Series[Any]:
    """What `Column.to_pandas` gives: the column with the frame's index."""
    import pandas as pd

    reader = Reader(frame, mode, False)
    names = reader.layout.names
    index = _index(reader, names)
    label = _labels(reader, [names[position]])[0]
    array = reader.array(position)
    dtype = object_or_none(array)
    return pd.Series(array, index=index, dtype=dtype, name=label, copy=False)


# ---- What was put ----


def value(frame: Frame, kind: str) -> Any:
    """The DataFrame, Series or Index that was put; `kind` is the recorded one."""
    kind, _, unnamed = kind.partition(".")
    if kind in ("index", "multiindex"):
        return _put_index(frame)
    table = dataframe(frame, "cow", False)
    if kind == "dataframe" or not len(table.columns):
        return table
    column = table.iloc[:, 0]
    own = _pandas_meta.read(layout_of(frame).metadata).own
    if unnamed:
        column.name = None
    elif "series_name" in own:
        column.name = unpack(own["series_name"])
    column.attrs = table.attrs
    return column


def _put_index(frame: Frame) -> pd.Index[Any]:
    reader = Reader(frame, "cow", False)
    names = [unpack(name) for name in reader.meta.own["index"]]
    fields = reader.layout.names
    levels = [_put_level(reader, position) for position in range(len(fields))]
    if len(names) != len(levels):  # some were selected
        names = fields
    if len(levels) > 1 or reader.meta.own["kind"] == "multiindex":
        return multi_index(reader, list(enumerate(levels)), names)
    assert levels[0] is not None
    return levels[0].rename(names[0])


def _put_level(reader: Reader, position: int) -> pd.Index[Any] | None:
    field = reader.layout.names[position]
    bounds = (reader.meta.extra.get(field) or {}).get("range")
    if bounds is not None:
        index = _part_of_range(reader.frame, bounds, None)
        if index is not None:
            return index
    return _level(reader, field, position)
