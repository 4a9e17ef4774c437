"""put_value and get_value: anything of Python's usual types, beside tables."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import _values_in, _values_out
from ._errors import AccessError
from ._frame import layout_of
from ._kinds import (
    Extension,
    extension_tags,
    extensions,
    is_table,
    kind_in,
    value_of,
)
from ._pandas_meta import encode_pairs
from ._values_in import Unstorable as Unstorable

if TYPE_CHECKING:
    from ._cache import Cache
    from ._frame import Frame
    from ._settings import PutOptions

Key = str | bytes
T = TypeVar("T")

KIND = "value"
_ROW = struct.Struct("=qq")


_METADATA = encode_pairs(
    [(b"framecache.kind", KIND.encode()), (b"framecache.value", b"1")]
)


def _column(name: str, data: Any, count: int) -> tuple[Any, ...]:
    """Bytes as the one row of a binary column."""
    return name, "Z", 1, 0, 0, (None, _ROW.pack(0, count), data), None


def store(
    cache: Cache,
    key: Key,
    value: Any,
    options: PutOptions,
    allow_pickle: bool = False,
) -> Frame:
    """Puts a table as a table, and anything else as a tree and buffers."""
    tag, table, kind = None, value, type(value)
    extension = extensions.get(kind)
    if extension is not None:
        tag, table = extension.tag, extension.encode(value)
        value = _values_in.Prepared(extension, table)
    if is_table(table) and (type(table) is kind or type(table) not in extensions):
        try:
            return cache._store_as(key, table, options, tag)
        except TypeError:  # a table that does not come back as it was
            if not allow_pickle:
                raise
    encoded = _values_in.encode(value, allow_pickle)
    columns = [_column("tree", encoded.tree, len(encoded.tree))]
    if encoded.small:
        columns.append(_column("buffers", encoded.small, len(encoded.small)))
    for number, data in enumerate(encoded.large):
        columns.append(_column(f"buffer {number}", data, len(data)))
    for number, table in enumerate(encoded.tables):
        columns.append((f"table {number}", *table))
    return cache._put_columns(key, options, columns, 1, _METADATA)


def load(frame: Frame, allow_pickle: bool = False, directory: str = "") -> Any:
    """What `store` put; the frame stays leased only by what lies over its bytes."""
    layout = layout_of(frame)
    if kind_in(layout) != KIND:
        return value_of(frame)
    unpickle: Callable[[bytes], Any] = _refuse_pickle
    if allow_pickle:
        unpickle = _unpickler(directory)
    return _values_out.decode(frame, layout.names, unpickle)


def _refuse_pickle(data: bytes) -> Any:
    raise AccessError(
        "the value has a pickle in it, which may run any code: if everyone who can "
        "write this cache is trusted, get it with get_value(key, allow_pickle=True)"
    )


def _unpickler(directory: str) -> Callable[[bytes], Any]:
    def unpickle(data: bytes) -> Any:
        require_private(directory)
        import pickle

        return pickle.loads(data)

    return unpickle


def require_private(directory: str) -> None:
    """AccessError unless nobody but this user can write the cache."""
    status = os.stat(directory)
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid == os.geteuid() and not mode & 0o022:
        return
    raise AccessError(
        f"{directory} (owner {status.st_uid}, mode {mode:04o}) can be written by others "
        f"than user {os.geteuid()}, so no pickle is read from it or put there: use a "
        "directory of your own with mode 0700"
    )


def register(
    type: type[T], tag: str, encode: Callable[[T], Any], decode: Callable[[Any], T]
) -> None:
    """Let values of one more type be stored, in values and alone.

    It goes before what is known of the type: a subclass of DataFrame, or a class that
    exports Arrow, comes back as itself. What `encode` makes a table is stored as one.

    Every process that puts or gets them must call this, before; at import, best.

    Parameters
    ----------
    type : type
        This very type; subclasses need a tag of their own.
    tag : str
        Its name in the cache: keep it, and take another when what `encode` returns
        changes. A name with the package in it, such as ``"shop.Order"``, meets no other.
    encode : callable
        Takes the value, and returns one of types that can be stored.
    decode : callable
        Takes what `encode` returned, and returns the value. It may get what anyone has
        put who can write the cache.

    Raises
    ------
    ValueError
        The type can be stored as it is, or the tag belongs to another type.

    Examples
    --------
    >>> framecache.register(  # doctest: +SKIP
    ...     Point, "shop.Point", lambda p: (p.x, p.y), lambda parts: Point(*parts)
    ... )
    """
    if not (isinstance(tag, str) and tag and tag.isprintable()):
        raise ValueError(f"tag {tag!r}: give a name")
    if type in _values_in.BUILT_IN:
        raise ValueError(f"{type.__qualname__} can be stored as it is")
    taken = extension_tags.get(tag)
    if taken is not None and taken.type is not type:
        if (taken.type.__module__, taken.type.__qualname__) != (
            type.__module__,
            type.__qualname__,
        ):  # the same again, of a module that was reloaded, is no other
            raise ValueError(f"tag {tag!r} belongs to {taken.type!r} already")
        extensions.pop(taken.type, None)
    before = extensions.get(type)
    if before is not None and before.tag != tag:
        del extension_tags[before.tag]
    extension = Extension(type, tag, encode, decode)
    extensions[type] = extension_tags[tag] = extension
