"""Flask-Caching (``CACHE_TYPE="framecache.flask.FrameCache"``) and cachelib backend.

Timeouts as in cachelib: None is the default, 0 never expires. Values as in `put_value`;
frames come back as the kind that was set. docs/flask.md has the settings.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _place, _values
from ._cache import Cache
from ._errors import (
    BudgetError,
    ConflictError,
    CorruptError,
    Error,
    NoSpaceError,
    UnsupportedError,
)
from ._settings import NEVER

try:
    from flask_caching.backends.base import BaseCache
except ImportError:
    try:
        from cachelib.base import BaseCache  # type: ignore[assignment]
    except ImportError:
        raise ImportError(
            "framecache.flask needs Flask-Caching, or cachelib: pip install Flask-Caching"
        ) from None

if TYPE_CHECKING:
    from flask import Flask

    from ._frame import Frame
    from ._settings import PutOptions

__all__ = ["FrameCache"]

_log = logging.getLogger("framecache")

_ABSENT = -1
_KEY_BYTES = 900  # longer keys are hashed; a key of the cache has at most 1,024
_SETTINGS = frozenset(
    (
        "budget", "watermarks", "capacity", "pool", "cold", "spill_dir", "spill_budget",
        "checksum", "threads", "populate", "huge", "mode", "janitor", "flight_max",
        "reclaim_wait", "read_only", "create", "helper_threads",
    )
)  # fmt: skip
_SLACK = 8  # at the threshold, one in so many goes at once, so that few sets look


class FrameCache(BaseCache):
    """A cachelib cache in shared memory: all processes of the machine have one.

    Parameters
    ----------
    cache_dir : path, optional
        The directory; ``FRAMECACHE_DIR``, or ``/dev/shm/framecache-<uid>``. One that
        exists must belong to this user and be writable by nobody else.
    threshold : int
        How many items there may be before the least recently used go; 0: any number.
        The budget in bytes holds all the same.
    default_timeout : int or timedelta
        Seconds, where `set` gives none; 0 never expires.
    key_prefix : str or callable
        Stands before every key. `clear` and `threshold` are about the keys that have it.
    namespace : str, optional
        Stands before the prefix: the same in two programs, they share what they set.
        Flask-Caching gives each application one of its own, made of its root path and its
        name; without an application there is none.
    allow_pickle : bool
        Pickle what `Cache.put_value` refuses, in a directory of one's own only.
    **kwargs
        Settings of `framecache.Cache`, such as ``budget="1GiB"``. Others are ignored.

    Raises
    ------
    AccessError, InvalidError
        The directory cannot be used, or a setting does not parse.
    """

    def __init__(
        self,
        cache_dir: str | None = None,
        threshold: int = 500,
        default_timeout: int = 300,
        **kwargs: Any,
    ) -> None:
        super().__init__(default_timeout)
        for name in ("ignore_errors", "ignore_delete_many_errors"):
            if name in kwargs:
                self.ignore_delete_many_errors = bool(kwargs[name])
        settings = {name: kwargs[name] for name in kwargs.keys() & _SETTINGS}
        self._cache = Cache(cache_dir, **settings)
        self._threshold = threshold
        self._key_prefix: str | Callable[[], str] = kwargs.get("key_prefix") or ""
        namespace = kwargs.get("namespace") or ""
        if not isinstance(namespace, str):
            raise TypeError(f"namespace={namespace!r}: a name is text")
        self._namespace = f"{namespace}:" if namespace else ""
        self._allow_pickle = bool(kwargs.get("allow_pickle", False))
        self._room = 0  # so many sets cannot pass the threshold

    @classmethod
    def factory(
        cls, app: Flask, config: Mapping[str, Any], args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> FrameCache:  # fmt: skip
        """What Flask-Caching calls: CACHE_OPTIONS win over the other settings.

        Parameters
        ----------
        app : flask.Flask
        config : mapping
            Of Flask: ``CACHE_DIR``, ``CACHE_THRESHOLD``, ``CACHE_DEFAULT_TIMEOUT``,
            ``CACHE_KEY_PREFIX``, ``CACHE_NAMESPACE``.
        args, kwargs
            ``CACHE_ARGS`` and ``CACHE_OPTIONS``.

        Returns
        -------
        FrameCache
        """
        options = dict(kwargs)
        options.setdefault("key_prefix", config.get("CACHE_KEY_PREFIX"))
        if options.get("namespace") is None:
            options["namespace"] = config.get("CACHE_NAMESPACE")
        if options["namespace"] is None:
            options["namespace"] = _place.of_application(app.import_name, app.root_path)
        positional = dict(
            zip(("cache_dir", "threshold", "default_timeout"), args, strict=False)
        )
        for name, setting in (
            ("cache_dir", "CACHE_DIR"),
            ("threshold", "CACHE_THRESHOLD"),
            ("default_timeout", "CACHE_DEFAULT_TIMEOUT"),
        ):
            if name in positional:
                options[name] = positional[name]
            elif config.get(setting) is not None:
                options.setdefault(name, config[setting])
        return cls(**options)

    @property
    def cache(self) -> Cache:
        """The `framecache.Cache` below, for whatever cachelib has no name for."""
        return self._cache

    # ---- Keys, timeouts ----

    def _prefix(self) -> str:
        prefix = self._key_prefix
        return f"flask:{self._namespace}{prefix() if callable(prefix) else prefix}"

    def _key(self, key: str) -> bytes:
        if not isinstance(key, str):
            raise TypeError(f"a key must be a str, not {type(key).__name__}: {key!r}")
        raw = f"{self._prefix()}{key}".encode("utf-8", "surrogatepass")
        if len(raw) <= _KEY_BYTES:
            return raw
        return raw[:64] + b"~" + hashlib.sha256(raw).hexdigest().encode()

    def _tag(self) -> str:
        prefix = self._prefix()
        if len(prefix.encode()) > 200:
            prefix = hashlib.sha256(prefix.encode()).hexdigest()
        return prefix

    def _seconds(self, timeout: float | datetime.timedelta | None) -> float:
        if timeout is None:
            timeout = self.default_timeout
        if isinstance(timeout, datetime.timedelta):
            return timeout.total_seconds()
        return timeout

    def _options(self, seconds: float, expect: int = 0) -> PutOptions:
        ttl = NEVER if seconds == 0 else max(1, min(int(seconds * 1000), 2**42))
        return ttl, 0, 0.0, expect, False, (self._tag().encode("utf-8", "replace"),)

    # ---- Get ----

    def get(self, key: str) -> Any:
        """The value, or None.

        Parameters
        ----------
        key : str

        Returns
        -------
        any
            A table in its kind, over the cache's bytes, held while it lives; arrays in
            other values are read-only. What is damaged or of an unknown type is logged,
            and None.

        Raises
        ------
        AccessError
            It has a pickle in it, and there is no `allow_pickle`.
        """
        try:
            return self._cache.get_value(self._key(key), allow_pickle=self._allow_pickle)
        except (CorruptError, UnsupportedError):
            _log.warning("cannot read %r, which is taken as a miss", key, exc_info=True)
            return None

    def has(self, key: str) -> bool:
        """Whether there is a value, which is not read.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
        """
        return self._key(key) in self._cache

    # ---- Set ----

    def set(
        self, key: str, value: Any, timeout: float | datetime.timedelta | None = None
    ) -> bool:
        """Store a value.

        Parameters
        ----------
        key : str
        value : any
            A table, or what `Cache.put_value` takes.
        timeout : float or timedelta, optional
            Seconds; None: the default, 0: never expires, below 0: has expired already.

        Returns
        -------
        bool
            False, and a line in the log, if there is no room for it.

        Raises
        ------
        TypeError
            It cannot be stored; the message has the path to what cannot.
        """
        seconds = self._seconds(timeout)
        if seconds < 0:  # has expired as it comes
            self._cache.delete(self._key(key))
            return True
        return self._put(key, value, self._options(seconds))

    def add(
        self, key: str, value: Any, timeout: float | datetime.timedelta | None = None
    ) -> bool:
        """Store a value as `set` does, but only if there is none.

        Parameters
        ----------
        key : str
        value : any
        timeout : float or timedelta, optional
            Seconds; None: the default, 0: never expires, below 0: has expired already.

        Returns
        -------
        bool
            False if there is one.
        """
        if self.has(key):
            return False
        seconds = self._seconds(timeout)
        return seconds < 0 or self._put(key, value, self._options(seconds, _ABSENT))

    def _put(self, key: str, value: Any, options: PutOptions) -> bool:
        self._make_room()
        try:
            _values.store(
                self._cache, self._key(key), value, options, self._allow_pickle
            ).release()
        except ConflictError:
            return False
        except (BudgetError, NoSpaceError) as error:
            _log.warning("cannot keep %r: %s", key, error)
            return False
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a number, atomically between processes; a key without one has 0.

        Parameters
        ----------
        key : str
        delta : int

        Returns
        -------
        int or None
            What it is now; None, and a line in the log, if there was no room.
        """
        place = self._key(key)
        while True:
            frame: Frame | None = self._cache.get(place)
            if frame is None:
                value, expect = 0, _ABSENT
            else:
                with frame:
                    value, expect = _values.load(frame), frame.sequence
            value = (value or 0) + delta
            options = self._options(max(self._seconds(None), 0), expect)
            try:
                _values.store(self._cache, place, value, options).release()
            except ConflictError:
                continue  # another was faster: what it made is counted on
            except (BudgetError, NoSpaceError) as error:
                _log.warning("cannot keep %r: %s", key, error)
                return None
            return value

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from a number, as `inc` adds.

        Parameters
        ----------
        key : str
        delta : int

        Returns
        -------
        int or None
        """
        return self.inc(key, -delta)

    # ---- Delete ----

    def delete(self, key: str) -> bool:
        """Delete the value.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
            Whether there was one.
        """
        return self._cache.delete(self._key(key))

    def delete_many(self, *keys: str) -> list[Any]:
        """Delete several values.

        Parameters
        ----------
        *keys : str

        Returns
        -------
        list of str
            The keys that have no value any more.
        """
        gone, failed = [], []
        for key in keys:
            try:
                self.delete(key)
                gone.append(key)
            except Error:
                _log.warning("cannot delete %r", key, exc_info=True)
                failed.append(key)
        if failed and not getattr(self, "ignore_delete_many_errors", True):
            raise RuntimeError(f"cannot delete these keys: {failed}")
        return gone

    def clear(self) -> bool:
        """Delete all that was set here, with this prefix; nothing else in the cache.

        Returns
        -------
        bool
            True.
        """
        self._cache.delete_tag(self._tag())
        return True

    # ---- Threshold ----

    def _make_room(self) -> None:
        if self._threshold <= 0:
            return
        if self._room > 0:
            self._room -= 1
            return
        over = len(self._cache) - self._threshold  # of all prefixes: at most too many
        if over > 0:
            over = self._prune()
        # others set too, and each of them knows only what it has counted
        self._room = max(0, -over) // 4

    def _prune(self) -> int:
        """Delete what is over the threshold, and a bit; by how much it is over then."""
        tag = self._tag()  # another's prefix may begin with ours
        infos = [i for i in self._cache.infos(self._prefix()) if tag in i["tags"]]
        over = len(infos) - self._threshold
        if over <= 0:
            return over
        infos.sort(key=lambda info: info["used"])
        over += self._threshold // _SLACK
        for info in infos[:over]:
            self._cache.delete(info["key"])
        return -(self._threshold // _SLACK)


# ---- What Flask has and the tree has not ----


def _response_of(response: Any) -> Any:
    if not response.is_sequence:
        raise TypeError("a streamed response cannot be stored: it has no body yet")
    return {
        "status": response.status,
        "headers": list(response.headers),
        "body": response.get_data(),
        "timeout": getattr(response, "timeout", None),
    }


def _response_class(kind: Any, wrap: Any = None) -> None:
    def decode(content: Any) -> Any:
        response = (wrap[0] if wrap else kind)(
            content["body"], status=content["status"], headers=content["headers"]
        )
        return wrap[1](response, content["timeout"]) if wrap else response

    tag = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    _values.register(kind, tag, _response_of, decode)


def _exception_class(kind: Any) -> None:
    """An HTTPException, which ``@cached`` keeps as what the view answers."""

    def decode(content: Any) -> Any:
        error = kind.__new__(kind)
        error.__dict__.update(content)
        return error

    _values.register(kind, f"werkzeug.{kind.__name__}", lambda e: dict(vars(e)), decode)


def _register() -> None:
    """Markup of templates, responses of which the body is known, HTTP errors."""
    try:
        import flask
        import markupsafe
        import werkzeug
        from werkzeug.exceptions import default_exceptions
    except ImportError:
        return
    _values.register(
        markupsafe.Markup, "markupsafe.Markup", str.__str__, markupsafe.Markup
    )
    _response_class(werkzeug.Response)
    _response_class(flask.Response)
    for kind in set(default_exceptions.values()):
        _exception_class(kind)
    try:
        from flask_caching import CachedResponse
    except ImportError:
        return
    _response_class(CachedResponse, (flask.Response, CachedResponse))


_register()
