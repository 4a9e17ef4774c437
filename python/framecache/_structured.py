"""numpy's structured arrays: a field is a column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core, _numpy, _pandas_meta
from ._errors import ColumnError, ColumnTypeError
from ._frame import layout_of
from ._numpy import Data
from ._pandas_encode import encode_numpy
from ._pandas_in import Table
from ._pandas_objects import Column, encode_bytes, flat, refuse

if TYPE_CHECKING:
    import numpy as np

    from ._frame import Frame

_DTYPE = b"framecache.numpy"


def table_of(value: Any) -> Table | None:
    """A structured array of one dimension as columns; None: something else.

    Raises
    ------
    ColumnTypeError
        A field would not come back as it is; `.column` names it.
    """
    import numpy as np

    if not isinstance(value, np.ndarray) or not value.dtype.names:
        return None
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: fill it, or use pandas")
    if value.ndim != 1:
        raise TypeError(f"a structured array of {value.ndim} dimensions is no table")
    columns = [_column(name, value[name]) for name in value.dtype.names]
    descr = repr(np.lib.format.dtype_to_descr(value.dtype))
    pairs = [(b"framecache.kind", b"numpy"), (_DTYPE, descr.encode())]
    return Table(columns, len(value), _pandas_meta.encode_pairs(pairs))


def _column(name: str, values: np.ndarray[Any, Any]) -> Column:
    import numpy as np

    if values.ndim != 1 or values.dtype.names:
        raise refuse(name, "a field inside a field, or of several values, is no column")
    if values.dtype.kind == "U":
        items = np.ascontiguousarray(values.astype(object))
        bitmap, offsets, data, nulls, _ = _core.encode_strings(items, None)
        return flat(name, "U", len(values), (bitmap, offsets, data), nulls)
    if values.dtype.kind == "S":
        format, buffers = encode_bytes(name, values.tolist())
        return flat(name, format, len(values), (None, *buffers))
    return encode_numpy(name, values).column


def to_numpy(frame: Frame) -> np.ndarray[Any, Any]:
    """What `Frame.to_numpy` gives."""
    import numpy as np

    layout = layout_of(frame)
    names = [name or f"f{number}" for number, name in enumerate(layout.names)]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ColumnError(f"several columns are named {twice!r}: fields cannot be")
    recorded = _recorded(layout.metadata)
    columns = [_field(Data(*frame._column(n)), recorded) for n in range(len(names))]
    fields = [(n, column.dtype) for n, column in zip(names, columns, strict=True)]
    result = np.empty(frame.rows, dtype=fields)
    for name, column in zip(names, columns, strict=True):
        result[name] = column
    return result


def _recorded(metadata: dict[bytes, bytes]) -> np.dtype[Any] | None:
    if _DTYPE not in metadata:
        return None
    import ast

    import numpy as np

    try:
        return np.lib.format.descr_to_dtype(ast.literal_eval(metadata[_DTYPE].decode()))
    except (ValueError, SyntaxError, TypeError):
        return None


def _field(data: Data, recorded: np.dtype[Any] | None) -> np.ndarray[Any, Any]:
    import numpy as np

    wanted = None
    if recorded is not None and data.name in (recorded.names or ()):
        wanted = recorded[data.name]
    if wanted is not None and wanted.kind == "c" and data.format[:2] == "w:":
        return np.frombuffer(data.values or b"", dtype=wanted)
    if data.type == "BINARY":
        values = _numpy.objects(_bytes(data))
    elif data.type == "DICTIONARY":
        values = _taken(data)
    else:
        values = _numpy.read_or_raise(data)
    return values if wanted is None else values.astype(wanted)


def _bytes(data: Data) -> list[Any]:
    import numpy as np

    from ._pandas_objects import decode

    if not data.rows:
        return []
    array = decode(data, {"objects": "bytes"})
    return list(np.asarray(array))


def _taken(data: Data) -> np.ndarray[Any, Any]:
    """The values that a dictionary's codes stand for; objects where some are null."""
    assert data.dictionary is not None
    inner = Data(*data.dictionary)
    values = None if inner.type == "DICTIONARY" else _numpy.read(inner)[0]
    codes = _numpy.fixed(data)
    if values is None or codes is None:
        raise ColumnTypeError(
            f"column {data.name!r}: its dictionary has no numpy type", data.name
        )
    if not _numpy.has_nulls(data):
        return values.take(codes) if data.rows else values[:0]
    gone = _numpy.mask(data)
    taken = _numpy.objects([None] * data.rows)
    taken[~gone] = values[codes[~gone]]
    return taken
