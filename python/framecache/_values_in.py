"""Values that are no table, on their way in: a tree of JSON, and buffers beside it.

Numbers, text, true, false, null and lists stand for themselves; everything else is an
object of one member, whose name is a tag: ``{"tuple": [1, 2]}``. docs/format.md lists the
tags. Large bytes and arrays are not part of the tree: it has their numbers.
"""

from __future__ import annotations

import datetime
import decimal
import json
import struct
import sys
import uuid
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, _hints
from ._frame import Column, Frame
from ._kinds import Extension, extensions, is_table, kind_of

if TYPE_CHECKING:
    import numpy as np

MOST_LEVELS = 128
_MOST_ITEMS = 1 << 25  # a list that holds a list twice, that one another twice, ... ends
_INLINE_BYTES = 64  # what is shorter stands in the tree, as hexadecimal digits
_LARGE_BYTES = 64 << 10  # what is longer is a column of its own; others share one
_ALIGN = 64
_INT_BITS = 63

_PLAIN = frozenset((type(None), bool, str))
_json = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


class Refused(Exception):
    """A value that cannot be stored; each container adds its part of the path."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.path: list[str] = []
        self.within: list[int] = []


class Unstorable(TypeError):
    """What the caller gets for it."""


class Prepared(NamedTuple):
    """What a registered type's `encode` gave."""

    extension: Extension
    inner: Any


class Encoded(NamedTuple):
    """A tree, and what it refers to by number."""

    tree: bytes
    small: bytes  # several buffers, each at a multiple of 64
    large: list[Any]
    tables: list[Any]


class Encoder:
    """One value being encoded."""

    def __init__(
        self, allow_pickle: bool = False, careful: bool = False, alone: bool = False
    ) -> None:
        self.allow_pickle = allow_pickle
        self.alone = alone  # nothing stands beside the tree, and equal values are alike
        self.plain = _PLAIN - {str} if careful else _PLAIN
        self.small: list[Any] = []
        self.small_bytes = 0
        self.large: list[Any] = []
        self.tables: list[Any] = []
        self.items = 0

    def node(self, value: Any, level: int) -> Any:
        """What stands in the tree for a value."""
        kind = type(value)
        if kind in self.plain:
            return value
        encode = _ENCODERS.get(kind)
        if encode is not None:
            return encode(self, value, level)
        return self._other(value, kind, level)

    def nodes(self, values: Iterable[Any], count: int, level: int, path: Path) -> Any:
        """Those of the items of a container."""
        if level > MOST_LEVELS:
            raise Refused(f"nested deeper than {MOST_LEVELS} levels")
        self.items += count
        if self.items > _MOST_ITEMS:
            raise Refused(f"more than {_MOST_ITEMS} items, those met twice counted twice")
        made: list[Any] = []
        plain, node = self.plain, self.node
        value = None
        try:
            for value in values:
                made.append(value if type(value) in plain else node(value, level))
        except Refused as refused:
            refused.path.insert(0, path(len(made), value))
            raise
        return made

    def buffer(self, data: Any, count: int) -> Any:
        """Where bytes are: ``[offset, bytes]`` in the shared column, or ``[number]``.

        Of a tree that stands alone: the bytes, as hexadecimal digits.
        """
        if self.alone:
            return bytes(data).hex()
        if count > _LARGE_BYTES:
            self.large.append(data)
            return [len(self.large) - 1]
        offset = self.small_bytes
        self.small.append(data)
        spare = -count % _ALIGN
        if spare:
            self.small.append(bytes(spare))
        self.small_bytes += count + spare
        return [offset, count]

    def bytes(self, data: bytes | bytearray | memoryview) -> Any:
        """As hexadecimal digits, or in a buffer."""
        return data.hex() if len(data) <= _INLINE_BYTES else self.buffer(data, len(data))

    def is_name(self, key: Any) -> bool:
        """Whether it can be the name of a member of JSON."""
        if type(key) is not str:
            return False
        return str in self.plain or type(_str(self, key, 0)) is str

    def _other(self, value: Any, kind: type, level: int) -> Any:
        """What is not one of Python's own types."""
        extension = extensions.get(kind)
        if extension is not None:
            prepared = Prepared(extension, extension.encode(value))
            return _extension(self, prepared, level)
        for encode in (_from_zone, _from_numpy, _from_pandas, _from_table, _from_plotly):
            try:
                found = encode(self, value, level)
            except Refused:  # objects of several types in a table, say
                if not self.allow_pickle:
                    raise
                break
            if found is not None:
                return found
        if self.allow_pickle:
            return _pickled(self, value)
        known = _hints.for_values(value)
        remedy = "framecache.register() takes functions that turn it into what can"
        raise Refused(
            f"a {kind.__module__}.{kind.__qualname__} cannot be stored; {known or remedy}"
        )


def _extension(encoder: Encoder, value: Prepared, level: int) -> Any:
    tag, inner = value.extension.tag, value.inner
    if type(inner) is not value.extension.type:
        node = encoder.nodes([inner], 1, level + 1, lambda _, item: "")[0]
    else:  # which exports Arrow, or goes round in a circle
        node = _from_table(encoder, inner, level)
    if node is None:
        raise Refused(f"what was registered as {tag!r} encodes it as the type it has")
    return {"extension": [tag, node]}


Path = Callable[[int, Any], str]


# ---- Python's own types ----


def shown(value: Any) -> str:
    """A key or an item, as far as it fits into a message."""
    try:
        return f"{value!r:.60}"
    except Exception:  # an int of too many digits, or a type's own fault
        return f"<{type(value).__qualname__}>"


def _index(position: int, value: Any) -> str:
    return f"[{position}]"


def _of_item(position: int, value: Any) -> str:
    return f" item {shown(value)}"


def _int(encoder: Encoder, value: int, level: int) -> Any:
    if value.bit_length() <= _INT_BITS:
        return value
    return {"int": hex(value)}


def _float(encoder: Encoder, value: float, level: int) -> Any:
    if value - value == 0:  # neither infinite nor NaN
        return value
    return {"float": struct.pack(">d", value).hex()}


def _str(encoder: Encoder, value: str, level: int) -> Any:
    """Only if some text has surrogates: a pair of them would come back as one."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"str": encoder.bytes(value.encode("utf-8", "surrogatepass"))}
    return value


def _bytes(encoder: Encoder, value: bytes, level: int) -> Any:
    return {"bytes": encoder.bytes(value)}


def _bytearray(encoder: Encoder, value: bytearray, level: int) -> Any:
    return {"bytearray": encoder.bytes(bytes(value))}  # it may change meanwhile


def _memoryview(encoder: Encoder, value: memoryview, level: int) -> Any:
    try:
        view = memoryview(bytes(value.itemsize))
        view.cast(value.format)  # type: ignore[call-overload]  # as it is to come back
        known = not value.format.endswith("P")  # but addresses are not
    except ValueError:
        known = False
    if not known:
        raise Refused(f"a memoryview of format {value.format!r}: use a numpy array")
    shape = list(value.shape or ())
    if 0 in shape and len(shape) > 1:
        raise Refused("an empty memoryview of several dimensions: use a numpy array")
    return {"memoryview": [value.format, shape, encoder.bytes(value.tobytes())]}


def _list(encoder: Encoder, value: list[Any], level: int) -> Any:
    try:
        return encoder.nodes(value, len(value), level + 1, _index)
    except Refused as refused:
        refused.within.append(id(value))
        raise


def _tuple(encoder: Encoder, value: tuple[Any, ...], level: int) -> Any:
    return {"tuple": encoder.nodes(value, len(value), level + 1, _index)}


def _set(encoder: Encoder, value: Any, level: int) -> Any:
    nodes = encoder.nodes(value, len(value), level + 1, _of_item)
    if encoder.alone:  # their order differs between processes
        nodes.sort(key=_json)
    return {type(value).__name__: nodes}


def _dict(encoder: Encoder, value: dict[Any, Any], level: int) -> Any:
    """Keys and values in turn."""
    flat = [None] * (2 * len(value))
    try:
        keys = list(value)
        flat[::2] = encoder.nodes(
            keys, len(keys), level + 1, lambda at, key: f" key {shown(key)}"
        )
        flat[1::2] = encoder.nodes(
            value.values(), len(keys), level + 1, lambda at, _: f"[{shown(keys[at])}]"
        )
    except Refused as refused:
        refused.within.append(id(value))
        raise
    if encoder.alone and len(keys) != 1 and all(map(encoder.is_name, keys)):
        return dict(zip(keys, flat[1::2], strict=True))
    return {"dict": flat}


# ---- Times and numbers ----


def _zone(encoder: Encoder, zone: datetime.tzinfo | None, level: int) -> Any:
    if zone is None:
        return None
    if _is_zone(zone) and _is_found(zone.key):  # type: ignore[attr-defined]
        return zone.key  # type: ignore[attr-defined]
    if type(zone) is datetime.timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        return [_span(offset), *name]
    raise Refused(
        f"the time zone {zone!r} is neither a zoneinfo.ZoneInfo that its key finds nor a "
        "datetime.timezone (pandas 2 makes zones of pytz from names: give ZoneInfo(...))"
    )


@lru_cache(maxsize=64)
def _is_found(key: str | None) -> bool:
    """Whether zoneinfo knows the key; a zone read from a file may have any, or none."""
    import zoneinfo

    try:
        return key is not None and zoneinfo.ZoneInfo(key) is not None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return False


def _is_zone(value: Any) -> bool:
    zoneinfo = sys.modules.get("zoneinfo")  # no import: it takes milliseconds
    return zoneinfo is not None and type(value) is zoneinfo.ZoneInfo


def _from_zone(encoder: Encoder, value: Any, level: int) -> Any:
    return {"zone": _zone(encoder, value, level)} if _is_zone(value) else None


def _span(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _datetime(encoder: Encoder, value: datetime.datetime, level: int) -> Any:
    text = value.replace(tzinfo=None).isoformat()
    return {"datetime": [text, value.fold, _zone(encoder, value.tzinfo, level)]}


def _time(encoder: Encoder, value: datetime.time, level: int) -> Any:
    text = value.replace(tzinfo=None).isoformat()
    return {"time": [text, value.fold, _zone(encoder, value.tzinfo, level)]}


_ENCODERS: dict[type, Callable[[Encoder, Any, int], Any]] = {
    type(None): lambda encoder, value, level: None,
    bool: lambda encoder, value, level: value,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    bytearray: _bytearray,
    memoryview: _memoryview,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    dict: _dict,
    datetime.datetime: _datetime,
    datetime.time: _time,
    datetime.date: lambda encoder, value, level: {"date": value.isoformat()},
    datetime.timedelta: lambda encoder, value, level: {"timedelta": _span(value)},
    datetime.timezone: lambda encoder, value, level: {
        "zone": _zone(encoder, value, level)
    },
    decimal.Decimal: lambda encoder, value, level: {"decimal": str(value)},
    uuid.UUID: lambda encoder, value, level: {"uuid": value.hex},
    complex: lambda encoder, value, level: {
        "complex": struct.pack(">dd", value.real, value.imag).hex()
    },
}

BUILT_IN = frozenset(_ENCODERS)
_ENCODERS[Prepared] = _extension


# ---- Other libraries' ----


def _from_numpy(encoder: Encoder, value: Any, level: int) -> Any:
    np = sys.modules.get("numpy")
    if np is None:
        return None
    if type(value) in (np.ndarray, np.memmap):
        return _array(encoder, value, level)
    if isinstance(value, np.generic):
        if value.dtype.hasobject:
            raise Refused(f"a numpy scalar of {value.dtype} holds Python objects")
        return {"scalar": [_described(value.dtype), value.tobytes().hex()]}
    if isinstance(value, np.dtype) and not value.hasobject:
        return {"dtype": _described(value)}
    return None


def _described(dtype: np.dtype[Any]) -> Any:
    """As in the header of an .npy file: text, or a list of fields."""
    import numpy as np

    if dtype.kind == "T":
        raise Refused(f"numpy's {dtype} has no fixed width: use dtype=str or object")
    try:
        return np.lib.format.dtype_to_descr(dtype)
    except ValueError as error:
        raise Refused(f"numpy's {dtype} cannot be described: {error}") from error


def _array(encoder: Encoder, value: np.ndarray[Any, Any], level: int) -> Any:
    import numpy as np

    shape = list(value.shape)
    if value.dtype.kind == "O":
        items = value.ravel().tolist()
        nodes = encoder.nodes(items, len(items), level + 1, _index)
        return {"objects": [shape, nodes]}
    if value.dtype.hasobject and value.dtype.kind != "T":
        raise Refused(f"an array of {value.dtype} holds Python objects")
    order = "C"
    if value.flags.f_contiguous and not value.flags.c_contiguous:
        order, value = "F", value.T
    descr = _described(value.dtype)
    flat = np.ascontiguousarray(value).reshape(-1)
    count = flat.nbytes
    data = flat.view(np.uint8) if count else b""
    return {"array": [descr, shape, order, encoder.buffer(data, count)]}


def _from_pandas(encoder: Encoder, value: Any, level: int) -> Any:
    pd = sys.modules.get("pandas")
    if pd is None:
        return None
    if value is pd.NaT or value is pd.NA:
        return {"pandas": str(value)}
    if type(value) is pd.Timestamp:
        zone = _zone(encoder, value.tzinfo, level)
        return {"timestamp": [value._value, value.unit, zone, value.fold]}
    if type(value) is pd.Timedelta:
        return {"pandas.timedelta": [value._value, value.unit]}
    if type(value) is pd.Period:
        return _period(value)
    if type(value) is pd.Interval:
        sides = encoder.nodes([value.left, value.right], 2, level + 1, _index)
        return {"interval": [*sides, value.closed]}
    return None


def _period(value: Any) -> Any:
    """By its frequency's name, if that says all of it."""
    import pandas as pd

    name = value.freqstr
    try:
        same = pd.Period(ordinal=value.ordinal, freq=name).freq == value.freq
    except ValueError:
        same = False
    if not same:
        raise Refused(f"the frequency {value.freq!r} has no name to find it by")
    return {"period": [value.ordinal, name]}


def _from_table(encoder: Encoder, value: Any, level: int) -> Any:
    if not is_table(value):
        return None
    if _is_column(value):
        raise Refused(f"a {type(value).__qualname__} is a column, and no table")
    if encoder.alone:
        raise Refused(f"a {type(value).__qualname__} is not kept in a column or attrs")
    try:
        kind, table = _table(value)
    except TypeError as error:
        raise Refused(str(error)) from error
    encoder.tables.append(table)
    return {"table": [kind, len(encoder.tables) - 1]}


def _is_column(value: Any) -> bool:
    """Arrays of Arrow, but for structs: what a table is made of, and by itself none."""
    if isinstance(value, Column):
        return value.format != "+s"
    pa = sys.modules.get("pyarrow")
    if pa is None or not isinstance(value, (pa.Array, pa.ChunkedArray)):
        return False
    return not pa.types.is_struct(value.type)


def _table(value: Any) -> tuple[str | None, tuple[Any, ...]]:
    """The kind, unless the metadata has it, and what `_put_columns` makes a list of."""
    if "pandas" in sys.modules:
        from ._pandas_in import table_of

        table = table_of(value)
        if table is not None:
            return None, (table.metadata, table.rows, tuple(table.columns))
    if isinstance(value, Frame):
        return "frame", (None, *value.__arrow_c_array__())
    kind = "pyarrow"
    if hasattr(value, "__arrow_c_stream__"):
        recorded, value = kind_of(value)
        kind = recorded or kind
    if (kind or "").startswith("polars"):
        value = value.rechunk()
    if hasattr(value, "__arrow_c_array__"):
        return kind, (None, *value.__arrow_c_array__())
    schema, batches = _core.stream_batches(value.__arrow_c_stream__())
    if len(batches) == 1:
        return kind, (None, schema, batches[0])
    return kind, (None, *_as_one(value).__arrow_c_array__())


def _as_one(value: Any) -> Any:
    """A table of any number of chunks as one batch."""
    try:
        import pyarrow as pa
    except ImportError:
        raise TypeError(
            f"a {type(value).__name__} of several batches inside a value needs pyarrow: "
            "pip install 'framecache[pyarrow]'"
        ) from None
    table = pa.table(value)
    columns = [
        pa.concat_arrays(column.chunks) if column.num_chunks
        else pa.array([], column.type)
        for column in table.columns
    ]  # fmt: skip
    if not columns:
        return pa.RecordBatch.from_struct_array(
            pa.array([{}] * table.num_rows, pa.struct([]))
        )
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


_FIGURES = ("Figure", "FigureWidget")


def _from_plotly(encoder: Encoder, value: Any, level: int) -> Any:
    basedatatypes = sys.modules.get("plotly.basedatatypes")
    if basedatatypes is None or not isinstance(value, basedatatypes.BaseFigure):
        return None
    if type(value).__name__ not in _FIGURES or type(value).__module__[:7] != "plotly.":
        return None  # would come back as its base class
    parts = {"data": value._data, "layout": value._layout}
    if value._frame_objs:
        parts["frames"] = [frame._props for frame in value._frame_objs]
    node = encoder.nodes([parts], 1, level + 1, lambda _, item: "")
    return {"figure": [type(value).__name__, *node]}


def _pickled(encoder: Encoder, value: Any) -> Any:
    import pickle

    try:
        data = pickle.dumps(value, protocol=5)
    except Exception as error:
        raise Refused(f"it cannot be pickled either: {error}") from error
    return {"pickle": encoder.bytes(data)}


# ---- Small values of the usual types, which are most ----

_QUICK_LEVELS = 16
_QUICK_ITEMS = 1000


class _Slow(Exception):
    """Something that the quick way does not know; the other way finds out what."""


def _quick(value: Any, left: list[int], level: int) -> Any:
    """As `Encoder.node`, for what needs neither buffers nor a path."""
    kind = type(value)
    if kind is dict or kind is list or kind is tuple:
        left[0] -= len(value)
        if left[0] < 0 or level > _QUICK_LEVELS:
            raise _Slow
        level += 1
        if kind is dict:
            flat: list[Any] = []
            for key, item in value.items():
                flat.append(key if type(key) is str else _quick(key, left, level))
                flat.append(item if type(item) in _PLAIN else _quick(item, left, level))
            return {"dict": flat}
        nodes = [
            item if type(item) in _PLAIN else _quick(item, left, level) for item in value
        ]
        return nodes if kind is list else {"tuple": nodes}
    if kind is int:
        if value.bit_length() <= _INT_BITS:
            return value
    elif kind is float:
        if value - value == 0:
            return value
    elif kind in _PLAIN:
        return value
    raise _Slow


# ---- All of it ----


def encode(value: Any, allow_pickle: bool = False) -> Encoded:
    """A value as tree and buffers; TypeError names the path of what cannot be stored."""
    try:
        tree = _json(_quick(value, [_QUICK_ITEMS], 0)).encode()
    except (_Slow, UnicodeEncodeError):
        return _encode(value, allow_pickle)
    return Encoded(tree, b"", [], [])


def _encode(value: Any, allow_pickle: bool = False) -> Encoded:
    """The same for every value."""
    tree, encoder = _tree(value, "value", allow_pickle=allow_pickle)
    return Encoded(tree, b"".join(encoder.small), encoder.large, encoder.tables)


def encode_alone(value: Any, root: str) -> bytes:
    """A value as a tree that holds all of it: arrays too, but no tables.

    TypeError names the path from `root`.
    """
    return _tree(value, root, alone=True)[0]


def _tree(value: Any, root: str, **how: bool) -> tuple[bytes, Encoder]:
    try:
        encoder = Encoder(**how)
        try:
            return _json(encoder.node(value, 0)).encode(), encoder
        except UnicodeEncodeError:
            encoder = Encoder(careful=True, **how)
            return _json(encoder.node(value, 0)).encode(), encoder
    except Refused as refused:
        cyclic = len(set(refused.within)) != len(refused.within)
        why = "contains itself" if cyclic else str(refused)
        parts = refused.path
        if len(parts) > 12:
            parts = [*parts[:8], "...", *parts[-3:]]
        path = root + "".join(parts)
        raise Unstorable(f"{path}: {why}") from refused.__cause__


def sorted_dicts(tree: str) -> bytes:
    """A tree without the order of dicts: equal values have equal ones."""
    return _json(json.loads(tree, object_hook=_sorted)).encode()


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    if len(node) != 1:  # a dict of texts
        return dict(sorted(node.items()))
    flat = node.get("dict")
    if flat is not None:
        pairs = sorted(zip(flat[::2], flat[1::2], strict=True), key=_json)
        node["dict"] = [part for pair in pairs for part in pair]
    return node
