"""Where values are kept: a framecache Cache, or a cache of Flask-Caching or cachelib."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import sys
import time
from typing import Any, NamedTuple, Protocol

from .. import _settings
from .._cache import Cache
from .._errors import ConflictError, Error, MissError, NeverExisted
from .._frame import Frame, Layout, layout_of
from ._token import directory_tag

_VALUE, _SLOT = "dash/value/", "dash/slot/"
NOTE = "dash/note/"  # how a value was made: _recompute.py
_NO_METADATA = b"\0\0\0\0"  # Arrow's encoding of no pairs
_ABSENT = -1
_REMEMBERED = 256


def text_of(key: bytes) -> str:
    """A token's key as the cache's."""
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


class Backing(Protocol):
    """Keeps values under 16 bytes."""

    tag: bytes  # names it in tokens
    limits_lives: bool  # `retire` gives a value its grace and no more
    remedy: str  # for who misses a value; empty: by the reason

    def put(self, key: bytes, value: Any, ttl: _settings.Duration | None) -> None: ...

    def get(self, key: bytes) -> Any: ...  # raises MissError

    def has(self, key: bytes) -> bool: ...

    def generation(self, key: bytes) -> int: ...  # another when it is put again

    def retire(self, key: bytes, grace: float, now: float) -> None: ...

    def frame(self, key: bytes) -> Frame: ...


class _Read(NamedTuple):
    """A frame that has been read, and need not be looked at again for what it holds."""

    name: str
    identity: tuple[int, int, int]
    layout: Layout


class FrameBacking:
    """Values in a framecache Cache: tables as frames, shared and not copied."""

    limits_lives = True
    remedy = ""

    def __init__(self, cache: Cache, ttl: _settings.Duration | None = None) -> None:
        self.cache = cache
        self.tag = directory_tag(cache.dir)
        self._ttl = ttl  # of values that are given none
        self._read: dict[bytes, _Read] = {}  # what has been, by key

    def put(self, key: bytes, value: Any, ttl: _settings.Duration | None) -> None:
        name = _VALUE + text_of(key)
        ttl = self._ttl if ttl is None else ttl
        self.cache.put_value(name, value, ttl=ttl)

    def get(self, key: bytes) -> Any:
        return self.frame(key).to_value()

    def has(self, key: bytes) -> bool:
        return (_VALUE + text_of(key)) in self.cache

    def generation(self, key: bytes) -> int:
        """Which of the values that there were under the key; 0: it is not there."""
        try:
            return int(self.cache.info(_VALUE + text_of(key))["sequence"])
        except MissError:
            return 0

    def frame(self, key: bytes) -> Frame:
        read = self._read.get(key)
        if read is None:
            return self._first(key)
        frame = self.cache[read.name]
        if frame._identity == read.identity:
            frame._memo = read.layout
        return frame

    def _first(self, key: bytes) -> Frame:
        name = _VALUE + text_of(key)
        frame = self.cache[name]
        layout = layout_of(frame)
        if layout.shared:
            if len(self._read) >= _REMEMBERED:
                self._read.clear()
            self._read[key] = _Read(name, frame._identity, layout)
        return frame

    def retire(self, key: bytes, grace: float, now: float) -> None:
        """Leave it its last `grace` seconds, for callbacks that are under way."""
        name = _VALUE + text_of(key)
        if grace <= 0:
            self.cache.delete(name)
            return
        with contextlib.suppress(MissError):
            expires = self.cache.info(name)["expires"]
            if expires is None or expires > now + grace:  # it may not live longer for it
                self.cache.touch(name, grace)


class ForeignBacking:
    """Values in a cache of Flask-Caching, cachelib or dash-extensions.

    These pickle, cannot say why a value is gone, and cannot shorten a life: a retired
    value goes when its slot is filled again and its grace is over.
    """

    limits_lives = False

    def __init__(self, cache: Any, ordinal: int) -> None:
        self.cache = cache
        place = getattr(cache, "_path", None) or getattr(cache, "cache_dir", None)
        name = os.path.abspath(place) if isinstance(place, str) else str(ordinal)
        identity = f"{type(cache).__qualname__} {name}"
        self.remedy = (
            f"{type(cache).__name__} has expired or pruned it, or keeps values to the "
            "process that set them: give it a longer timeout and a higher threshold, or "
            "a cache that all workers share"
        )
        self.tag = hashlib.sha256(b"foreign" + identity.encode()).digest()[:8]

    def put(self, key: bytes, value: Any, ttl: _settings.Duration | None) -> None:
        name = "dash-" + text_of(key)
        arguments: tuple[Any, ...] = (name, (value,))  # so that None is a value
        if ttl is not None:
            ms = _settings.milliseconds(ttl)
            arguments += (0 if ms == _settings.NEVER else max(1, round(ms / 1000)),)
        if self.cache.set(*arguments) is False:
            raise Error(f"{type(self.cache).__name__} did not keep the value ({name})")

    def get(self, key: bytes) -> Any:
        found = self.cache.get("dash-" + text_of(key))
        if not isinstance(found, tuple):
            error = NeverExisted(
                f"{type(self.cache).__name__} has no value under this key (any more): "
                "expired, pruned, or kept by another process, if it keeps to one"
            )
            error.key = text_of(key)
            raise error
        return found[0]

    def has(self, key: bytes) -> bool:
        return bool(self.cache.has("dash-" + text_of(key)))

    def frame(self, key: bytes) -> Frame:
        raise TypeError(
            f"the value is in a {type(self.cache).__name__}, not in a framecache Cache: "
            "only frames can be read from the browser"
        )

    def generation(self, key: bytes) -> int:
        """0: these caches do not say."""
        return 0

    def retire(self, key: bytes, grace: float, now: float) -> None:
        """Delete it."""
        delete = getattr(self.cache, "delete", None)
        if delete is not None:  # those of dash-extensions need not have it
            delete("dash-" + text_of(key))


class Slots:
    """Which value each component has: replaced by compare-and-put, so none is forgotten.

    A slot is a frame without rows whose columns' names are the keys: the present one
    first, then retired ones that wait for the end of their grace.
    """

    def __init__(self, home: Cache, grace: float) -> None:
        self._home = home
        self._grace = grace

    def fill(
        self, slot: bytes, key: bytes, ttl: _settings.Duration | None, backing: Backing
    ) -> None:
        """Make `key` the slot's value, and retire the one before."""
        name = _SLOT + text_of(slot)
        while True:
            before = self._home.get(name)
            names = [] if before is None else _names(before)
            expect = _ABSENT if before is None else before.sequence
            if before is not None:
                before.release()
            waiting, due = self._after(names, key, backing)
            options = _settings.put_options(ttl, expect=expect)
            try:
                columns = [_marker(text) for text in [key.hex(), *waiting]]
                with self._home._put_columns(
                    name, options, columns, 0, _NO_METADATA
                ) as made:
                    now = made._info["created"]
            except ConflictError:
                continue
            for old in due:
                backing.retire(old, self._grace, now)
                self._retire_note(old)
            return

    def _retire_note(self, key: bytes) -> None:
        """What is noted of how a value was made goes with it."""
        if self._grace > 0:
            self._home.touch(NOTE + key.hex(), self._grace)
        else:
            self._home.delete(NOTE + key.hex())

    def _after(
        self, names: list[str], key: bytes, backing: Backing
    ) -> tuple[list[str], list[bytes]]:
        """Who waits on, and who is to be retired, when `key` takes the place."""
        if not names or names[0] == key.hex():
            return names[1:], []
        if backing.limits_lives:
            return names[1:], [bytes.fromhex(names[0])]
        now = int(time.time() * 1000)
        waiting = [f"{names[0]}@{now}", *names[1:]]
        due = [text for text in waiting if now - int(text[33:]) >= self._grace * 1000]
        kept = [text for text in waiting if text not in due]
        return kept, [bytes.fromhex(text[:32]) for text in due]


def _names(slot: Frame) -> list[str]:
    """Its columns. No two slots have the same, so no layout of them is remembered."""
    return [field[0] for field in slot._layout()[0]]


def _marker(name: str) -> tuple[Any, ...]:
    return name, "C", 0, 0, 0, (None, b""), None


def check_cache(cache: object) -> None:
    """TypeError, where it is written, for what is no cache; None is the default one."""
    usable = all(callable(getattr(cache, name, None)) for name in ("get", "set", "has"))
    if not (cache is None or isinstance(cache, Cache) or usable):
        raise TypeError(
            f"cache={cache!r}: neither a framecache.Cache nor a cache of Flask-Caching, "
            "cachelib or dash-extensions (get, set, has)"
        )


# The caches that outputs were given, in the order in which the program names them. It is
# the same in all workers, so one may read what another kept in a cache without a path.
_declared: list[object] = []


def declare(cache: object | None) -> None:
    """Have every app know a cache, before any value is kept in it."""
    if cache is not None and not any(known is cache for known in _declared):
        check_cache(cache)
        _declared.append(cache)


def frame_cache(cache: object | None) -> Any:  # a framecache.Cache, or None
    """The framecache Cache that this is, or that a `framecache.flask.FrameCache` has."""
    flask = sys.modules.get("framecache.flask")
    if flask is not None and isinstance(cache, flask.FrameCache):
        inner: Cache = cache.cache
        return inner
    return cache if isinstance(cache, Cache) else None


def _backing_of(cache: Any) -> Backing:
    own = frame_cache(cache)
    if own is None:
        ordinal = next(at for at, known in enumerate(_declared) if known is cache)
        return ForeignBacking(cache, ordinal)
    timeout = None if own is cache else cache.default_timeout  # 0: for ever
    return FrameBacking(own, "never" if timeout == 0 else timeout)


class Registry:
    """The backings of an app, by the tag in the tokens."""

    def __init__(self, home: FrameBacking) -> None:
        self.home = home
        self._known: list[tuple[object, Backing]] = [(home.cache, home)]

    def of(self, cache: object | None) -> Backing:
        """The backing of a cache; made at the first call for it."""
        if cache is None:
            return self.home
        for known, backing in self._known:
            if known is cache:
                return backing
        declare(cache)
        made = _backing_of(cache)
        self._known.append((cache, made))
        return made

    def tagged(self, tag: bytes) -> Backing | None:
        if tag == self.home.tag:
            return self.home
        for cache in [*(known for known, _ in self._known), *_declared]:
            with contextlib.suppress(OSError):  # of one whose directory has gone
                backing = self.of(cache)
                if backing.tag == tag:
                    return backing
        return None
