"""A MultiIndex as columns, a level each, and the MultiIndex again.

The column of a level has its values row by row, as other readers want them. pandas keeps
levels and codes apart, and where a label is missing `get_level_values` gives what the
level is not: floats for integers, which merges large ones, or objects for bools. So such
a level is stored as it is, with nulls, and made again of its valid rows. What order the
level has, and its frequency, are remembered.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from . import _numpy
from ._pandas_decode import Reader, object_or_none
from ._pandas_encode import Encoded, encode_intervals, encode_masked
from ._pandas_labels import about_labels, as_it_was

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_APPEARANCE = "appearance"  # the order of a level: as the rows name it first

# ---- On the way in ----


def about_level(index: pd.MultiIndex, number: int) -> dict[str, Any]:
    """What its values do not tell of a level.

    Raises
    ------
    TypeError
        Its frequency has no name.
    """
    level = index.levels[number]
    about: dict[str, Any] = about_labels(level)
    order = _order(level, index.codes[number])
    if order is not None:
        about["order"] = order
    return about


def _order(level: pd.Index[Any], codes: np.ndarray[Any, Any]) -> str | None:
    """None: that of the values. Else of appearance, or places in it, as base64."""
    import numpy as np
    import pandas as pd

    if level.is_monotonic_increasing:
        return None
    first = pd.unique(codes[codes >= 0])
    order = np.argsort(first)  # places in order of appearance, of the used ones
    if level.take(first[order]).is_monotonic_increasing:
        return None
    if (order[1:] > order[:-1]).all():
        return _APPEARANCE
    return base64.b64encode(order.astype("<i4").tobytes()).decode()


def missing_level(field: str, index: pd.MultiIndex, number: int) -> Encoded | None:
    """A level as a column with nulls; None: its dtype has a value for what is missing.

    Raises
    ------
    ColumnTypeError
        The level would not come back as it is.
    """
    import numpy as np
    import pandas as pd

    level, codes = index.levels[number], np.asarray(index.codes[number])
    gone = codes < 0
    if not gone.any():
        return None
    places = np.where(gone, 0, codes)
    if isinstance(level.dtype, pd.IntervalDtype) and level.left.dtype.kind in "iu":
        sides = (_take(level.left, places), _take(level.right, places))
        made = encode_intervals(field, level.dtype, sides, gone)
    elif isinstance(level.dtype, np.dtype) and level.dtype.kind in "iub":
        made = encode_masked(field, _take(level, places), gone)
    else:
        return None
    return made._replace(extra={**(made.extra or {}), "level": True})


def _take(level: pd.Index[Any], places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    values = level.to_numpy()
    return values[places] if len(level) else np.zeros(len(places), values.dtype)


# ---- On the way out ----


def multi_index(
    reader: Reader, levels: list[tuple[int, Any]], names: list[Any]
) -> pd.MultiIndex:
    """The MultiIndex of columns by position; each with its Index; None: `is_stored`."""
    import pandas as pd

    made = []
    for position, values in levels:
        extra = reader.meta.extra.get(reader.layout.names[position]) or {}
        level, codes = _parts(reader, position, values)
        if "order" in extra:
            level, codes = _in_order(level, codes, extra["order"])
        made.append((as_it_was(level, extra), codes))
    return pd.MultiIndex(
        levels=[level for level, _ in made],
        codes=[codes for _, codes in made],
        names=names,
        verify_integrity=False,
    )


def is_stored(extra: dict[str, Any] | None) -> bool:
    """Whether the column is a level that was stored with nulls."""
    return bool(extra and extra.get("level"))


def _parts(reader: Reader, position: int, values: Any) -> tuple[Any, Any]:
    import pandas as pd

    if values is None:
        return _stored(reader, position)
    try:
        one = pd.MultiIndex.from_arrays([_comparable(values)])
    except NotImplementedError:  # pyarrow has no dictionaries of the type
        return _by_objects(values)
    level = one.levels[0]
    if level.dtype != values.dtype:  # pandas infers one of objects, and of dictionaries
        level = level.astype(values.dtype)
    return level, one.codes[0]


def _by_objects(values: Any) -> tuple[Any, Any]:
    """The level and the codes, by what the labels are in Python."""
    import numpy as np
    import pandas as pd

    labels = values.astype(object)
    try:
        codes, _ = pd.factorize(labels, sort=True)
    except TypeError:  # lists, of which Python has no hash
        plain = values.array.__arrow_array__().to_pylist()
        written = [None if label is None else repr(label) for label in plain]
        codes, _ = pd.factorize(np.array(written, dtype=object))
    numbers, first = np.unique(codes, return_index=True)
    return values.take(first[numbers >= 0]), codes


def _comparable(values: Any) -> Any:
    """The values, of pyarrow's dictionaries decoded, of which pandas makes no level."""
    import pandas as pd

    if not isinstance(values.dtype, pd.ArrowDtype):
        return values
    kind = values.dtype.pyarrow_dtype
    if not str(kind).startswith("dictionary<"):
        return values
    return values.astype(pd.ArrowDtype(kind.value_type))


def _stored(reader: Reader, position: int) -> tuple[Any, Any]:
    """The level and the codes of a column with nulls, from its valid rows."""
    import numpy as np
    import pandas as pd

    data = _numpy.Data(*reader.source._column(position))
    gone = _numpy.mask(data)
    recorded = reader.meta.columns[data.name]["numpy_type"]
    valid: Any
    if data.type == "BOOL":
        valid = _numpy.unpack(data.values or b"", data.bit, data.rows)[~gone]
    elif data.type == "STRUCT":
        valid = reader.valid_intervals(position, recorded)
    else:
        valid = _numpy.fixed(data)[~gone]  # type: ignore[index]
    level = pd.Index(valid, dtype=object_or_none(valid))
    found, uniques = pd.factorize(level, sort=True)
    codes = np.full(data.rows, -1, dtype=found.dtype)
    codes[~gone] = found
    return uniques.astype(level.dtype), codes


def _in_order(level: Any, codes: Any, order: str) -> tuple[Any, Any]:
    """The level in the order that was remembered, as far as these rows have it."""
    import numpy as np
    import pandas as pd

    first = pd.unique(codes[codes >= 0])
    if order != _APPEARANCE:
        places = np.frombuffer(base64.b64decode(order), dtype="<i4")
        if len(places) != len(first) or (len(places) and places.max() >= len(first)):
            return level, codes  # other rows than were described
        first = first[places]
    unused = np.setdiff1d(np.arange(len(level)), first)  # categories
    first = np.concatenate([first, unused]).astype(np.intp)
    new = np.empty(len(level), dtype=np.intp)
    new[first] = np.arange(len(level))
    return level.take(first), np.where(codes < 0, -1, new[codes]) if len(new) else codes
