"""put_value and get_value: anything of Python's usual types, beside tables."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from . import _values_in, _values_out
from ._errors import AccessError
from ._frame import layout_of
from ._kinds import is_table, recorded, value_of
from ._settings import Duration, PutOptions, put_options
from ._values_in import Unstorable as Unstorable

if TYPE_CHECKING:
    from ._cache import Cache
    from ._frame import Frame

Key = str | bytes
T = TypeVar("T")

KIND = "value"
_ROW = struct.Struct("=qq")


def _pairs(*pairs: tuple[bytes, bytes]) -> bytes:
    """Metadata in Arrow's encoding."""
    parts = [struct.pack("=i", len(pairs))]
    for pair in pairs:
        for text in pair:
            parts += [struct.pack("=i", len(text)), text]
    return b"".join(parts)


_METADATA = _pairs((b"framecache.kind", KIND.encode()), (b"framecache.value", b"1"))


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
    if is_table(value):
        return cache._store(key, value, options)
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
    if recorded(layout.metadata) != KIND:
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
    """Let values of one more type be stored.

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
    if not (isinstance(tag, str) and tag):
        raise ValueError(f"tag {tag!r}: give a name")
    if type in _values_in.BUILT_IN:
        raise ValueError(f"{type.__qualname__} can be stored as it is")
    taken = _values_in.extension_tags.get(tag)
    if taken is not None and taken.type is not type:
        if (taken.type.__module__, taken.type.__qualname__) != (
            type.__module__,
            type.__qualname__,
        ):  # the same again, of a module that was reloaded, is no other
            raise ValueError(f"tag {tag!r} belongs to {taken.type!r} already")
        _values_in.extensions.pop(taken.type, None)
    before = _values_in.extensions.get(type)
    if before is not None and before.tag != tag:
        del _values_in.extension_tags[before.tag]
    extension = _values_in.Extension(type, tag, encode, decode)
    _values_in.extensions[type] = _values_in.extension_tags[tag] = extension


class Values:
    """The methods that a Cache and a Namespace have in common."""

    __slots__ = ()

    def _locate(self, key: Key) -> tuple[Cache, Key]:
        """Where a key of this store is: the cache, and the key there."""
        return self, key  # type: ignore[return-value]

    def _own_tags(self) -> tuple[str, ...]:
        return ()

    def put_value(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        cost: float | None = None,
        allow_pickle: bool = False,
    ) -> None:
        """Store any value of the usual types under `key`; tables as `put` does.

        Parameters
        ----------
        key : str or bytes
        value : any
            None, bool, int, float, complex, str, bytes, bytearray, memoryview, list,
            tuple, dict, set, frozenset, datetime, date, time, timedelta, time zones,
            Decimal, UUID; numpy arrays, scalars and dtypes; tables, alone or inside;
            Timestamp and Timedelta of pandas; figures of plotly; and what `register`
            knows. Exactly these types: a subclass would come back as another.
        ttl, stale, tags, cost
            As for `Cache.put`.
        allow_pickle : bool
            Pickle what has another type, which `get_value` then must be allowed to read.

        Raises
        ------
        TypeError
            Something in it cannot be stored, contains itself, or is nested deeper than
            128 levels; the message has the path to it, such as ``value['a'][3]``.
        AccessError
            `allow_pickle`, and others can write the cache.
        """
        cache, place = self._locate(key)
        if allow_pickle:
            require_private(cache.dir)
        if isinstance(tags, (str, bytes)):
            raise TypeError(f"tags is a list of str, not {tags!r}")
        options = put_options(ttl, stale, (*tags, *self._own_tags()), cost=cost)
        store(cache, place, value, options, allow_pickle).release()

    def get_value(
        self,
        key: Key,
        default: Any = None,
        *,
        stale: bool = False,
        allow_pickle: bool = False,
    ) -> Any:
        """What is under `key`, of the kind that was put; `default` if there is nothing.

        Parameters
        ----------
        key : str or bytes
        default : any
            Give an object of your own to tell a stored None from a miss.
        stale : bool
            Also what is past its expiry, if it was put with ``stale=``.
        allow_pickle : bool
            Also read what had to be pickled, which may run any code.

        Returns
        -------
        any
            Arrays and memoryviews lie over the cache's bytes, are read-only, and keep
            them leased; everything else is a new object. What stood in two places of
            the value is two objects. A table comes as `Frame.to_value` gives it.

        Raises
        ------
        CorruptError
            What is stored is damaged.
        UnsupportedError
            It has a type that is not registered here, or an unknown time zone.
        AccessError
            It has a pickle in it that may not be read.
        """
        cache, place = self._locate(key)
        frame: Frame | None = cache.get(place, stale=stale)
        if frame is None:
            return default
        value = None
        try:
            value = load(frame, allow_pickle, cache.dir)
        finally:
            if value is not frame:
                frame.release()
        return value
