"""For tests of programs that use framecache.

With pytest, ``pytest_plugins = ["framecache.testing"]`` in the top ``conftest.py`` (or
``from framecache.testing import framecache_cache`` in any) gives the fixture
`framecache_cache`; the rest works without pytest too.

PYTEST_DONT_REWRITE: it may be imported before pytest asks for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import _core
from ._cache import Cache
from ._errors import NeverExisted, key_text

__all__ = ["Clock", "disabled", "fake_clock", "framecache_cache", "leases"]

F = TypeVar("F", bound=Callable[..., Any])

_COMPRESSED_S = 5.0  # every frame of a test's cache, on a busy machine

try:
    import pytest

    _fixture: Callable[[F], F] = pytest.fixture
except ImportError:  # leases, fake_clock and disabled do without

    def _fixture(function: F) -> F:
        return function


# ---- The fixture ----


@contextlib.contextmanager
def _directory() -> Iterator[str]:
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="framecache-test-", dir=shared)
    try:
        yield os.path.join(path, "cache")
    finally:
        shutil.rmtree(path)


@_fixture
def framecache_cache() -> Iterator[Cache]:
    """A pytest fixture: an empty cache of this test's own, in a directory of its own.

    At its end the test fails if a frame is still held, and names the keys; and if the
    cache is damaged. A test that has failed is not failed again for what its traceback
    holds. `fake_clock` takes this cache at any time.

    Yields
    ------
    Cache
        With a budget of 512 MB, in ``/dev/shm``.

    Examples
    --------
    >>> def test_report(framecache_cache):  # doctest: +SKIP
    ...     assert make_report(framecache_cache).rows == 3
    """
    with _directory() as path, Cache(path, budget="512MiB", capacity=1024) as cache:
        cache._take_test_clock()
        yield cache
        if not cache.closed and getattr(sys, "last_value", None) is None:
            _check(cache)


def _check(cache: Cache) -> None:
    if _held(cache):
        gc.collect()  # what only cycles hold
    problems = _held_for_long(cache)
    problems += [
        f"{finding['subject']}: {finding['text']}"
        for finding in cache.verify(data=True)
        if finding["level"] != "info"
    ]
    if problems:
        raise AssertionError("framecache_cache: " + "; ".join(problems))


def _held_for_long(cache: Cache) -> list[str]:
    """The library itself holds a frame while it compresses it, beside the program."""
    end = time.monotonic() + _COMPRESSED_S
    while (problems := _held(cache)) and time.monotonic() < end:
        time.sleep(0.005)
    return problems


def _held(cache: Cache) -> list[str]:
    keys = leases(cache)
    if keys:
        some = ", ".join(repr(key) for key in keys[:8]) + ", ..." * (len(keys) > 8)
        return [
            f"the frames of {some} are still held: by a Frame, or by an array, DataFrame "
            "or table made from one; let go of them (del, a with block) before the end"
        ]
    cache.collect()
    replaced = cache.stats()["zombie_frames"]
    if replaced:
        return [f"{replaced} frames that were replaced or deleted are still held"]
    return []


def leases(cache: Cache) -> list[str]:
    """The keys whose frames are held, sorted.

    Parameters
    ----------
    cache : Cache
        One that only this process uses: frames that others hold count too. Frames taken
        before this Cache first met `fake_clock` do not, the fixture's excepted.

    Returns
    -------
    list of str
        Of frames that are held by a Frame, or by anything made from one.
    """
    return sorted(info["key"] for info in cache.infos() if info["leased"])


# ---- The clock ----


class Clock:
    """The time of one Cache, standing still until told otherwise.

    Attributes
    ----------
    now : float
        Seconds since 1970; set it to jump, backwards too.
    """

    def __init__(self, cache: Cache, now: float) -> None:
        self._cache = cache
        self.now = now

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._now_ns / 1e9

    @now.setter
    def now(self, seconds: float) -> None:
        self._set(round(seconds * 1e9))

    def _set(self, now_ns: int) -> None:
        self._cache._set_test_clock(now_ns)
        self._now_ns = now_ns

    def advance(self, seconds: float) -> None:
        """Move the time on.

        Parameters
        ----------
        seconds : float
        """
        self._set(self._now_ns + round(seconds * 1e9))


@contextlib.contextmanager
def fake_clock(cache: Cache) -> Iterator[Clock]:
    """Stop the time of a Cache: what expires, does so when the test says.

    It is the time for ttl, stale, sliding and ages of this Cache in this process and its
    forked children, not for waits, nor for other Caches of the directory; they may remove
    what is past its expiry by their own clock.

    Parameters
    ----------
    cache : Cache
        Nothing else may be going on with it at the beginning.

    Returns
    -------
    context manager of Clock
        It begins at the present; afterwards the Cache follows the real time again.

    Raises
    ------
    RuntimeError
        Calls, builds, flights or iterations are going on.
    """
    now = time.time()
    if not cache._set_test_clock(round(now * 1e9)):
        cache._take_test_clock()
    clock = Clock(cache, now)
    try:
        yield clock
    finally:
        if not cache.closed:
            cache._set_test_clock(None)


# ---- The off switch ----

_switch = threading.RLock()
_depth = 0
_restore = contextlib.ExitStack()

_EXPECT = 3  # in PutOptions


def _miss(cache: Any, key: str | bytes) -> Any:
    name = key_text(key)
    error = NeverExisted(f"no frame under key {name!r}: framecache.testing.disabled()")
    error.key = name
    raise error


def _get(cache: Any, key: Any, default: Any = None, *, stale: bool = False) -> Any:
    return default


def _delete(cache: Any, key: str | bytes, strict: bool) -> bool:
    return _miss(cache, key) if strict else False


def _dropping(name: str, scratch: Cache) -> Callable[..., Any]:
    """A put that goes elsewhere, and from there at once; whoever put it has the frame."""
    put = getattr(_core.Cache, name)

    def drop(cache: Any, key: Any, options: tuple[Any, ...], *data: Any) -> Any:
        free = (*options[:_EXPECT], 0, *options[_EXPECT + 1 :])
        frame = put(scratch, key, free, *data)
        if name != "_build":  # a commit comes later, and its frame goes with the scratch
            _core.Cache._delete(scratch, key, False)
        return frame

    return drop


def _methods(scratch: Cache) -> dict[str, Any]:
    puts = ("_put_stream", "_put_array", "_put_columns", "_build")
    return {
        "get": _get,
        "__getitem__": _miss,
        "_peek": _miss,
        "__contains__": lambda cache, key: False,
        "__len__": lambda cache: 0,
        "_cursor": lambda cache, prefix: _core.Cache._cursor(scratch, b"\0nothing"),
        "_delete": _delete,
        "_delete_tag": lambda cache, tag: 0,
        "_delete_prefix": lambda cache, prefix: 0,
        "_touch": lambda cache, key, ttl_ms: False,
        "clear": lambda cache: 0,
        "_wait": lambda cache, key, sequence, timeout_ms: time.sleep(timeout_ms / 1e3),
        "_flight_begin": lambda cache, key, flags: (None, None),
        **{name: _dropping(name, scratch) for name in puts},
    }


def _turn_off() -> None:
    scratch = Cache(
        _restore.enter_context(_directory()), budget="50%", helper_threads=False
    )
    _restore.callback(scratch.close)
    for name, method in _methods(scratch).items():
        if name in vars(Cache):
            _restore.callback(setattr, Cache, name, vars(Cache)[name])
        else:
            _restore.callback(delattr, Cache, name)
        setattr(Cache, name, method)


@contextlib.contextmanager
def disabled() -> Iterator[None]:
    """Turn caching off in this process: each get misses, each put is dropped.

    Who puts still gets a Frame of what was put; memoized functions compute each time.
    Caches keep what they hold, untouched, and show it again afterwards. It holds for all
    threads, and may be nested.

    Returns
    -------
    context manager
    """
    global _depth
    with _switch:
        if not _depth:
            _turn_off()
        _depth += 1
    try:
        yield
    finally:
        with _switch:
            _depth -= 1
            if not _depth:
                _restore.close()
