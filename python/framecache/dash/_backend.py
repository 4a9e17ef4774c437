"""FrameCacheBackend: the store for dash-extensions' own ServersideOutputTransform.

That transform looks up whatever key the browser names, and sends the key that was given
to `Serverside` as it is: a backend can neither sign nor replace it. What it can do it
does: keys lie below a prefix of its own, so that nothing else in the cache can be named;
and where `framecache.dash.init` gave the app sessions, the session is part of the key, so
that what one session kept another does not find, whatever it names.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from typing import Any, Self

from .. import Cache, _place
from .._errors import MissError
from . import _session, _store
from ._store import StoreMiss

_KEYS = "dash/extensions/"


class FrameCacheBackend:
    """For dash-extensions 2: ``ServersideOutputTransform([FrameCacheBackend()])``.

    Parameters
    ----------
    cache : Cache, optional
        ``framecache.Cache()``.
    uid : str
        Names the backend in the browser; must be unique in the transform.
    namespace : str, optional
        Whose values these are: apps that give the same share them. By default that of
        `framecache.dash.init`, or else one made of the file that makes the backend.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made: Self = object.__new__(_extended(cls))  # type: ignore[arg-type]
        return made

    def __init__(
        self,
        cache: Cache | None = None,
        uid: str = "framecache",
        namespace: str | None = None,
    ) -> None:
        self._cache = Cache() if cache is None else cache
        self._uid = uid
        self._namespace = namespace
        self._caller = _place.of_application("")  # where no app is known

    @property
    def uid(self) -> str:
        """Names the backend in the browser."""
        return self._uid

    def get(self, key: str, ignore_expired: bool = False) -> Any:
        """The value, in the kind that was set; None if it is not there.

        Parameters
        ----------
        key : str
        ignore_expired : bool
            As the transform asks for what a token names: then its absence is a StoreMiss,
            for the callback would get None for its data.

        Returns
        -------
        any

        Raises
        ------
        StoreMiss
            It is not there, and `ignore_expired`.
        """
        try:
            return self._cache[self._name(key)].to_value()
        except MissError as error:
            if not ignore_expired:
                return None
            reason = "evicted" if error.reason == "never" else error.reason
            message = f"the server-side value {key!r} is not there (any more): {reason}"
            miss = StoreMiss(message)
            miss.component, miss.key = "an argument", key
            miss.reason, miss.age = reason, error.age
            raise miss from error

    def set(self, key: str, value: Any) -> None:
        """Keep the value until it is replaced, deleted or evicted.

        Parameters
        ----------
        key : str
        value : table, or any value that `Cache.put_value` takes

        Raises
        ------
        TypeError
            It cannot be kept; the message says where.
        BudgetError
            There is no room for it.
        """
        self._cache.put_value(self._name(key), value, ttl="never")

    def has(self, key: str) -> bool:
        """Whether the value is there.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
        """
        return self._name(key) in self._cache

    def delete(self, key: str) -> bool:
        """Delete the value.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
            False if there was none.
        """
        return self._cache.delete(self._name(key))

    def _name(self, key: str) -> str:
        session, namespace = "", self._namespace
        store = _store.current()
        if store is not None and store.session_check:
            session = _session.current() or ""
        if store is not None and namespace is None:
            namespace = store.namespace
        if namespace is None:
            namespace = self._caller
        what = f"{namespace}\0{session}\0{key}".encode("utf-8", "surrogateescape")
        return _KEYS + hashlib.sha256(what).hexdigest()


@functools.cache
def _extended(cls: Any) -> Any:
    """The class with dash-extensions' own as a base, by which it knows a backend."""
    if importlib.util.find_spec("dash_extensions") is None:
        return cls
    from dash_extensions.enrich import ServersideBackend

    if issubclass(cls, ServersideBackend):
        return cls
    return type(cls.__name__, (cls, ServersideBackend), {"__module__": cls.__module__})
