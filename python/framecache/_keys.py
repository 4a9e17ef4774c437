"""Hashes of values by their content, the same in every process.

Each value is fed to BLAKE2b as a tag of its type, its lengths and its bytes, so that no
two values of different type or shape feed the same. Python's own hash() is of no use: it
differs from process to process.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import struct
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _core
from ._frame import Column, Frame, layout_of
from ._kinds import extensions, is_table
from ._values_in import shown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_BYTES = 16


class Refused(Exception):
    """A value that has no content to hash; each container adds its part of the path."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.path: list[str] = []


class Hash:
    """BLAKE2b, and whether a table of Arrow counts by its content hash.

    As an argument of a memoized function a Frame counts by which one it is, which costs
    nothing; so no Table can be equal to it.
    """

    __slots__ = ("by_content", "digest", "update")

    def __init__(self, by_content: bool) -> None:
        hash = hashlib.blake2b(digest_size=_BYTES)
        self.update = hash.update
        self.digest = hash.digest
        self.by_content = by_content


def put(hash: Hash, tag: bytes, data: Any) -> None:
    """Adds bytes, their length, and what they are."""
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    hash.update(b"%b:%d:" % (tag, size))
    hash.update(data)


def within(hash: Hash, part: str, value: Any) -> None:
    """Adds a part of a value, which is named if it has no content."""
    try:
        feed(hash, value)
    except Refused as refused:
        refused.path.insert(0, part)
        raise


# ---- Python's own types ----


def _none(hash: Hash, value: None) -> None:
    hash.update(b"none:")


def _bool(hash: Hash, value: bool) -> None:
    hash.update(b"bool:1" if value else b"bool:0")


def _int(hash: Hash, value: int) -> None:
    put(hash, b"int", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def _float(hash: Hash, value: float) -> None:
    put(hash, b"float", struct.pack("<d", value))


def _str(hash: Hash, value: str) -> None:
    put(hash, b"str", value.encode("utf-8", "surrogatepass"))


def _sequence(hash: Hash, value: list[Any] | tuple[Any, ...]) -> None:
    hash.update(b"%b:%d:" % (type(value).__name__.encode(), len(value)))
    for index, item in enumerate(value):
        within(hash, f"[{index}]", item)


def _part(hash: Hash, part: str, value: Any) -> bytes:
    own = Hash(hash.by_content)
    within(own, part, value)
    return own.digest()


def _dict(hash: Hash, value: dict[Any, Any]) -> None:
    hash.update(b"dict:%d:" % len(value))
    pairs = [
        (_part(hash, f" key {shown(key)}", key), _part(hash, f"[{shown(key)}]", item))
        for key, item in value.items()
    ]
    for key, item in sorted(pairs):
        hash.update(key + item)


def _set(hash: Hash, value: set[Any] | frozenset[Any]) -> None:
    hash.update(b"%b:%d:" % (type(value).__name__.encode(), len(value)))
    for digest in sorted(_part(hash, f" item {shown(item)}", item) for item in value):
        hash.update(digest)


def _datetime(hash: Hash, value: datetime.datetime) -> None:
    zone = _zone(value)
    text = f"{value.isoformat()} {zone} {value.fold}"
    put(hash, type(value).__name__.encode(), text.encode())


def _zone(value: datetime.datetime | datetime.time) -> str:
    text = repr(value.tzinfo)
    if " at 0x" in text:  # which may be another's in the next process
        raise no_content(value.tzinfo)
    return text


def _time(hash: Hash, value: datetime.time) -> None:
    zone = _zone(value)
    text = f"{value.isoformat()} {zone} {value.fold}"
    put(hash, b"time", text.encode())


def _date(hash: Hash, value: datetime.date) -> None:
    put(hash, b"date", value.isoformat().encode())


def _timedelta(hash: Hash, value: datetime.timedelta) -> None:
    text = f"{value.days} {value.seconds} {value.microseconds}"
    put(hash, b"timedelta", text.encode())


def _decimal(hash: Hash, value: decimal.Decimal) -> None:
    put(hash, b"decimal", repr(value.as_tuple()).encode())


_FEEDERS: dict[type, Callable[[Hash, Any], None]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    bytes: lambda hash, value: put(hash, b"bytes", value),
    list: _sequence,
    tuple: _sequence,
    dict: _dict,
    set: _set,
    frozenset: _set,
    datetime.datetime: _datetime,
    datetime.date: _date,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    decimal.Decimal: _decimal,
    uuid.UUID: lambda hash, value: put(hash, b"uuid", value.bytes),
}


def feed(hash: Hash, value: Any) -> None:
    """Adds one value to the hash."""
    if not _feed_known(hash, value):
        raise no_content(value)


def no_content(value: Any) -> Refused:
    """The error of a value of a type that is not known."""
    kind = type(value)
    return Refused(f"a {kind.__module__}.{kind.__qualname__} has no content to hash")


def _feed_known(hash: Hash, value: Any) -> bool:
    feeder = _FEEDERS.get(type(value))
    if feeder is not None:
        feeder(hash, value)
        return True
    return (
        _registered(hash, value)
        or _from_numpy(hash, value)
        or _from_pandas(hash, value)
        or _from_arrow(hash, value)
        or _from_polars(hash, value)
        or _from_frame(hash, value)
        or _from_class(hash, value)
    )


def _from_class(hash: Hash, value: Any) -> bool:
    from . import _key_types

    feeder = _key_types.feeder_of(value)
    if feeder is not None:
        feeder(hash, value)
    return feeder is not None


def _registered(hash: Hash, value: Any) -> bool:
    """By what `framecache.register` was given to store it."""
    extension = extensions.get(type(value))
    if extension is None:
        return False
    inner = extension.encode(value)
    put(hash, b"registered", extension.tag.encode())
    if type(inner) is not type(value) and _feed_known(hash, inner):
        return True
    if not is_table(inner):
        raise no_content(inner)
    import pyarrow as pa

    feed(hash, pa.table(inner))
    return True


# ---- Arrays and tables ----


def _from_numpy(hash: Hash, value: Any) -> bool:
    np = sys.modules.get("numpy")
    if np is None:
        return False
    if type(value) is np.ndarray:
        _array(hash, value)
    elif isinstance(value, np.generic) and not value.dtype.hasobject:
        put(hash, b"scalar", value.dtype.str.encode())
        put(hash, b"data", value.tobytes())
    else:
        return False
    return True


def _array(hash: Hash, value: np.ndarray[Any, Any]) -> None:
    import numpy as np

    dtype = value.dtype
    about = f"{np.lib.format.dtype_to_descr(dtype)!r} {value.shape}"
    put(hash, b"array", about.encode())
    if dtype.kind in "OT":
        for index, item in enumerate(value.ravel().tolist()):
            within(hash, f"[{index}]", item)
    elif dtype.hasobject:
        raise Refused(f"an array of {dtype} holds Python objects")
    elif value.size:
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        put(hash, b"data", data.data)


def _from_pandas(hash: Hash, value: Any) -> bool:
    pd = sys.modules.get("pandas")
    if pd is None:
        return False
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        _pandas_table(hash, value)
    elif value is pd.NaT or value is pd.NA:
        put(hash, b"pandas", str(value).encode())
    elif isinstance(value, pd.Timestamp):
        _datetime(hash, value)
        put(hash, b"unit", value.unit.encode())
    elif isinstance(value, pd.Timedelta):
        put(hash, b"Timedelta", f"{value.isoformat()} {value.unit}".encode())
    else:
        return False
    return True


def _pandas_table(
    hash: Hash, value: pd.DataFrame | pd.Series[Any] | pd.Index[Any]
) -> None:
    from ._pandas_in import table_of
    from ._pandas_meta import fields_of_objects
    from ._pandas_objects import without_order

    try:
        table = table_of(value)
    except TypeError as error:
        raise Refused(str(error)) from error
    assert table is not None
    coded = fields_of_objects(table.metadata)
    columns = []
    for column in table.columns:
        plain = without_order(column) if column[0] in coded else column
        if plain is column:
            columns.append(column)
        else:  # as one text, which is no column of so many rows
            name, *_, (_, _, tree), _ = plain
            _str(hash, name)
            put(hash, b"objects", tree)
    put(hash, b"pandas", _core.hash_columns(columns, table.rows, table.metadata))


def _arrow_table(hash: Hash, table: Any) -> None:
    """Types as they are, too: as a function's argument a view is no string."""
    put(hash, b"schema", memoryview(table.schema.serialize()))
    put(hash, b"arrow", _table_hash(table))


def _table_hash(table: Any) -> bytes:
    """The content hash of a table of pyarrow, as a Frame of it has."""
    if table.num_columns:
        return _core.hash_stream(table.__arrow_c_stream__())
    import pyarrow as pa

    array = pa.array([{}] * table.num_rows, pa.struct([]))  # a batch would have no rows
    schema = table.schema.__arrow_c_schema__()
    return _core.hash_array(schema, array.__arrow_c_array__()[1])


def _from_arrow(hash: Hash, value: Any) -> bool:
    pa = sys.modules.get("pyarrow")
    if pa is None:
        return False
    if isinstance(value, pa.Table) and hash.by_content:
        put(hash, b"table", _table_hash(value))
    elif isinstance(value, pa.Table):
        _arrow_table(hash, value)
    elif isinstance(value, pa.RecordBatch):
        hash.update(b"batch:")
        _arrow_table(hash, pa.Table.from_batches([value]))
    elif isinstance(value, (pa.Array, pa.ChunkedArray)):
        hash.update(b"values:")
        _arrow_table(hash, pa.table({"": value}))
    else:
        return False
    return True


def _from_polars(hash: Hash, value: Any) -> bool:
    pl = sys.modules.get("polars")
    if pl is None:
        return False
    if isinstance(value, pl.Series):
        hash.update(b"series:")
        value = value.to_frame()
    elif not isinstance(value, pl.DataFrame):
        return False
    about = ((column.name, column.dtype) for column in value.get_columns())
    put(hash, b"polars", repr((value.shape, *about)).encode())
    put(hash, b"content", _core.hash_stream(_known_codes(value).__arrow_c_stream__()))
    return True


def _known_codes(table: Any) -> Any:
    """With text for Categorical, whose codes differ from process to process, and for what
    Arrow does not have."""
    import polars as pl

    casts = {}
    for name, dtype in table.schema.items():
        if isinstance(dtype, pl.Object):
            raise Refused(f"column {name!r} holds Python objects")
        plain = _without_categories(dtype)
        if plain is not dtype:
            casts[name] = plain
    return table.cast(casts) if casts else table


def _without_categories(dtype: Any) -> Any:
    import polars as pl

    if type(dtype).__name__ in ("Categorical", "Int128", "UInt128"):
        return pl.String()
    if isinstance(dtype, pl.Struct):
        fields = {field.name: _without_categories(field.dtype) for field in dtype.fields}
        same = all(fields[field.name] is field.dtype for field in dtype.fields)
        return dtype if same else pl.Struct(fields)
    inner = getattr(dtype, "inner", None)
    if inner is None or (plain := _without_categories(inner)) is inner:
        return dtype
    return pl.Array(plain, dtype.size) if isinstance(dtype, pl.Array) else pl.List(plain)


def _from_frame(hash: Hash, value: Any) -> bool:
    if isinstance(value, Column):
        hash.update(b"column:")
        value = value._frame
    if not isinstance(value, Frame):
        return False
    if hash.by_content:
        put(hash, b"table", value.content_hash())
    else:
        _which_frame(hash, value)
    return True


def _which_frame(hash: Hash, value: Frame) -> None:
    """In no time: a frame never changes, so which one it is says what is in it."""
    names = layout_of(value).names
    if len(set(names)) != len(names):
        raise Refused("a Frame with columns of the same name cannot be told apart")
    which = (value.key, value._identity, value._first, value.rows, names)
    if value._table:
        hash.update(b"table:%d:" % value._table)
    put(hash, b"frame", repr(which).encode("utf-8", "surrogateescape"))


# ---- All of it ----


def _digest(value: Any, root: str, by_content: bool) -> bytes:
    hash = Hash(by_content)
    try:
        feed(hash, value)
    except Refused as refused:
        path = root + "".join(refused.path)
        raise TypeError(f"{path}: {refused}") from refused.__cause__
    except RecursionError:
        raise TypeError(f"{root}: contains itself, or is nested too deeply") from None
    return hash.digest()


def digest(value: Any, root: str = "value") -> bytes:
    """The key of arguments, of which no cached Frame's bytes are read.

    TypeError names the path from `root`.
    """
    return _digest(value, root, False)


def content_hash(value: Any) -> bytes:
    """The hash of a value by its content: 16 bytes, the same in every process.

    Parameters
    ----------
    value : any
        None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, datetime,
        date, time, timedelta, time zones, Decimal, UUID, complex, bytearray, memoryview,
        range, slice, paths; members of an Enum, named tuples, dataclasses; numpy arrays
        and scalars; DataFrames, Series, Timestamp, Timedelta, Period, Interval and the
        like of pandas and polars; tables and arrays of pyarrow; a cached `Frame`; and
        what `register` knows, by what its `encode` gives.

    Returns
    -------
    bytes
        Values alike in type and content have equal hashes, but 1, 1.0 and True have not,
        nor have 0.0 and -0.0, or one Decimal with another scale. The order of a dict or a
        set is no content, nor is how a table is cut into chunks; nor are a dataclass's
        fields of ``compare=False``. The class of what is the program's own is content, by
        module and name. A Frame has the hash of
        the ``pyarrow.Table`` it gives: `Frame.content_hash`.

    Raises
    ------
    TypeError
        Something in it is of another type; the message has the path to it.
    """
    if isinstance(value, Frame):
        return value.content_hash()
    pa = sys.modules.get("pyarrow")
    if pa is not None and isinstance(value, pa.Table):
        try:
            return _table_hash(value)
        except Refused as refused:
            raise TypeError(f"value: {refused}") from refused.__cause__
    return _digest(value, "value", True)
