"""Namespace: keys under a prefix, with a tag of its own."""

from __future__ import annotations

from ._lazy import lazily
from ._methods import Computing
from ._settings import tag_list
from ._types import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from . import _hints
    from ._build import Builder
    from ._cache import Cache
    from ._frame import Frame
    from ._settings import Duration

    Key = str | bytes
else:
    lazily(globals(), "._hints")

_NAME_BYTES = 200  # with its prefix it is a tag, of 255 bytes at most


@final
class Namespace(Computing):
    """The keys of a cache that begin with ``name:``, as a store of their own.

    Its keys are given and come back without the prefix; a Frame's `key` has it. Each
    frame gets one tag more, so that `clear` finds them without reading every key. Other
    tags are the cache's: `delete_tag` takes frames of all namespaces.

    Parameters
    ----------
    cache : Cache
    name : str
        1 to 200 bytes, without a colon.
    """

    __slots__ = ("_cache", "_name")

    def __init__(self, cache: Cache, name: str) -> None:
        if not 1 <= len(name.encode()) <= _NAME_BYTES or ":" in name:
            raise ValueError(
                f"namespace {name!r}: give 1 to {_NAME_BYTES} bytes, without a colon"
            )
        self._cache = cache
        self._name = name

    @property
    def cache(self) -> Cache:
        """The cache."""
        return self._cache

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    def _key(self, key: Key) -> Key:
        prefix = f"{self._name}:"
        if not isinstance(key, (str, bytes)):
            raise _hints.no_key(key)
        return prefix.encode() + key if isinstance(key, bytes) else prefix + key

    def _locate(self, key: Key) -> tuple[Cache, Key]:
        return self._cache, self._key(key)

    def _own_tags(self) -> tuple[str, ...]:
        return (f"namespace:{self._name}",)

    def _tags(self, tags: Iterable[str]) -> Iterable[str]:
        return (*tag_list(tags), *self._own_tags())

    # ---- Put, get ----

    def put(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        sliding: bool = False,
        tags: Iterable[str] = (),
        cost: float | None = None,
        expect: Frame | None = None,
    ) -> Frame:
        """As `Cache.put`."""
        return self._cache.put(
            self._key(key), value, ttl=ttl, stale=stale, sliding=sliding,
            tags=self._tags(tags), cost=cost, expect=expect,
        )  # fmt: skip

    def add(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> bool:
        """As `Cache.add`."""
        return self._cache.add(
            self._key(key), value, ttl=ttl, stale=stale, tags=self._tags(tags)
        )

    def build(
        self,
        key: Key,
        schema: Any,
        rows: int,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> Builder:
        """As `Cache.build`."""
        return self._cache.build(
            self._key(key), schema, rows, ttl=ttl, stale=stale, tags=self._tags(tags)
        )

    def get(self, key: Key, default: Any = None, *, stale: bool = False) -> Any:
        """As `Cache.get`."""
        return self._cache.get(self._key(key), default, stale=stale)

    def __getitem__(self, key: Key) -> Frame:
        return self._cache[self._key(key)]

    def __setitem__(self, key: Key, value: Any) -> None:
        self.put(key, value).release()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (str, bytes)) and self._key(key) in self._cache

    # ---- Remove ----

    def delete(self, key: Key) -> bool:
        """As `Cache.delete`."""
        return self._cache.delete(self._key(key))

    def __delitem__(self, key: Key) -> None:
        del self._cache[self._key(key)]

    def delete_tag(self, *tags: str) -> int:
        """As `Cache.delete_tag`: of all namespaces."""
        return self._cache.delete_tag(*tags)

    def delete_prefix(self, prefix: Key) -> int:
        """As `Cache.delete_prefix`, among the keys of this namespace."""
        return self._cache.delete_prefix(self._key(prefix))

    def clear(self) -> int:
        """Delete all frames of this namespace.

        Returns
        -------
        int
            How many went.
        """
        return self._cache.delete_tag(*self._own_tags())

    def touch(self, key: Key, ttl: Duration | None = None) -> bool:
        """As `Cache.touch`."""
        return self._cache.touch(self._key(key), ttl)

    # ---- Look ----

    def _inner(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, "key": info["key"][len(self._name) + 1 :]}

    def info(self, key: Key) -> dict[str, Any]:
        """As `Cache.info`."""
        return self._inner(self._cache.info(self._key(key)))

    def infos(self, prefix: Key = "") -> Iterator[dict[str, Any]]:
        """As `Cache.infos`, among the keys of this namespace."""
        return map(self._inner, self._cache.infos(self._key(prefix)))

    def keys(self, prefix: Key = "") -> Iterator[str]:
        """As `Cache.keys`, among the keys of this namespace."""
        return (info["key"] for info in self.infos(prefix))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    def __len__(self) -> int:
        return sum(1 for _ in self.infos())

    def __repr__(self) -> str:
        return f"Namespace({self._cache!r}, {self._name!r})"
