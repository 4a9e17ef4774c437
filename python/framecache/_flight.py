"""Single flight: of all callers of the machine that miss a key, one computes it.

Who may compute is decided by the C library, without waiting. The waiting is done here,
in short steps: a thread gives up the GIL for 50 ms at most, so that signals get through
and a dead owner is replaced; a coroutine or a greenlet sleeps, so that its loop goes on.

A context (contextvars) knows what it computes itself, since many coroutines and greenlets
share a thread. It never waits inside a compute, or two keys computed crosswise would wait
for each other; and asking for its own key is a deadlock.
"""

from __future__ import annotations

import contextvars
import logging
import math
import sys
import threading
import time
import types
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _values
from ._errors import BudgetError, DeadlockError, NoSpaceError, WaitTimeout, key_text
from ._frame import Frame
from ._kinds import value_of
from ._lazy import lazily
from ._settings import milliseconds, stale_milliseconds, tag_bytes

if TYPE_CHECKING:
    import asyncio

    from ._cache import Cache
    from ._settings import Duration, PutOptions
else:
    lazily(globals(), "asyncio")

Key = str | bytes

_GET_STALE, _GET_NOWAIT, _FLIGHT_SECOND = 1, 4, 16
_WAIT_MS = 50  # a waiting thread looks this often for signals and dead owners
_NAP_S = 0.010  # a coroutine or greenlet that cannot have a watch looks this often
_LARGE_BYTES = 4 << 20  # a loop does not convert more than this itself

_log = logging.getLogger("framecache")


class Policy(NamedTuple):
    """How a computed table is kept, and how long to wait for another's compute."""

    ttl_ms: int
    stale_ms: int
    tags: tuple[bytes, ...]
    timeout: float | None

    def options(self, cost: float) -> PutOptions:
        return (self.ttl_ms, self.stale_ms, max(cost, 1e-6), 0, False, self.tags)


def policy(
    ttl: Duration | None, stale: Duration, tags: Iterable[str], timeout: float | None
) -> Policy:
    """Checked; ValueError for what is no duration."""
    if timeout is not None:
        timeout = float(timeout)
        if not timeout >= 0:  # NaN too
            raise ValueError(f"timeout: {timeout!r} is not 0 or more seconds")
    return Policy(milliseconds(ttl), stale_milliseconds(stale), tag_bytes(tags), timeout)


class Flight:
    """A compute of this context: with the right to it (a capsule), or without."""

    __slots__ = ("_cache", "_capsule", "active", "place")

    def __init__(self, cache: Cache, place: tuple[str, bytes], capsule: object) -> None:
        self._cache = cache
        self._capsule = capsule
        self.place = place
        self.active = True

    def end(self) -> None:
        self.active = False
        capsule, self._capsule = self._capsule, None
        if capsule is not None:
            self._cache._flight_end(capsule)


_own: contextvars.ContextVar[tuple[Flight, ...]] = contextvars.ContextVar(
    "framecache_flights", default=()
)


class Counts:
    """What `cache_info` tells. The GIL is not given up within an addition."""

    __slots__ = ("computed", "hits", "misses", "stale_hits")

    def __init__(self) -> None:
        self.hits = self.misses = self.stale_hits = self.computed = 0


def _in_loop() -> bool:
    """Whether this thread runs a loop of asyncio's."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


class Call:
    """One call for a key; what to do next, but for the waiting."""

    __slots__ = ("cache", "cold", "counts", "flags", "key", "limit", "policy", "started")

    def __init__(
        self, cache: Cache, key: Key, policy: Policy, counts: Counts | None = None
    ) -> None:
        self.cache = cache
        self.key = key
        self.policy = policy
        self.flags = _GET_STALE if policy.stale_ms else 0
        self.limit = cache._flight_limit if policy.timeout is None else policy.timeout
        self.counts = Counts() if counts is None else counts
        self.cold = False
        self.started = 0.0  # waiting since; 0: has not waited

    @property
    def place(self) -> tuple[str, bytes]:
        key = self.key
        raw = key if isinstance(key, bytes) else key.encode("utf-8", "surrogateescape")
        return self.cache.dir, raw

    def attempt(self, fast: bool = False) -> tuple[Frame | None, Flight | None]:
        """A frame to serve, a flight to compute in, both; or neither: wait.

        `fast`: neither too, and `cold` set, if the frame must be decompressed first.
        """
        mine = _own.get()
        nested = False
        if mine:
            mine = tuple(flight for flight in mine if flight.active)
            nested = bool(mine)
            place = self.place
            if any(flight.place == place for flight in mine):
                return self._of_own_key(), None
        begun = self.cache._flight_begin(
            self.key, self.flags | (_GET_NOWAIT if fast else 0)
        )
        self.cold = fast and begun is None and self._may_be_cold()
        if not (self.started or self.cold):
            self._count(begun)
        if isinstance(begun, Frame):
            return begun, None
        if isinstance(begun, tuple):
            return begun[1], Flight(self.cache, self.place, begun[0])
        if self.cold:
            return None, None
        here = begun is False and not fast and _in_loop()
        return None, self._second(nested, here)

    def _may_be_cold(self) -> bool:
        """There is a frame, or may be a stale one, so it is not that another computes."""
        return bool(self.flags) or self.cache._wait(self.key, 0, 0)

    def _count(self, begun: Any) -> None:
        frame = begun[1] if isinstance(begun, tuple) else begun
        if not isinstance(frame, Frame):
            self.counts.misses += 1
        elif self.flags and frame.is_stale:
            self.counts.stale_hits += 1
        else:
            self.counts.hits += 1

    def _of_own_key(self) -> Frame:
        frame: Frame | None = self.cache.get(self.key, stale=bool(self.flags))
        if frame is None:
            raise DeadlockError(
                f"this context is computing key {key_text(self.key)!r} already: a "
                "compute must not ask for its own key"
            )
        return frame

    def _second(self, nested: bool, here: bool) -> Flight | None:
        """The key's other flight, for who must not wait, or has waited; then without.

        `here`: a coroutine of the very loop that this call would bring to a stand.
        """
        waited = time.monotonic() - self.started if self.started else 0.0
        at_once = nested or (here and not self.started)
        if not (at_once or waited >= self.limit):
            return None
        begun = self.cache._flight_begin(self.key, self.flags | _FLIGHT_SECOND)
        if isinstance(begun, tuple):
            if begun[1] is not None:
                begun[1].release()
            return Flight(self.cache, self.place, begun[0])
        if isinstance(begun, Frame):
            begun.release()  # came just now; the next attempt gets it
            return None
        if at_once or waited >= 2 * self.limit:
            return Flight(self.cache, self.place, None)
        return None

    def wait_begins(self) -> None:
        if not self.started:
            self.started = time.monotonic()

    def store(self, value: Any, cost: float) -> Frame:
        options = self.policy.options(cost)
        try:
            return _values.store(self.cache, self.key, value, options)
        except _values.Unstorable as error:
            raise TypeError(
                f"what the compute of {key_text(self.key)!r} gave cannot be kept: {error}"
            ) from error

    def keep(self, value: Any, cost: float) -> Any:
        """Puts what was computed, and gives what later callers will get."""
        try:
            return serve(self.store(value, cost))
        except (BudgetError, NoSpaceError) as error:
            _log.warning("computed %r, but cannot keep it: %s", key_text(self.key), error)
            return value


def serve(frame: Frame) -> Any:
    """The value; its frame is released unless it is the value."""
    value = value_of(frame)
    if value is not frame:
        frame.release()
    return value


# ---- Threads and greenlets ----


def _greenlets() -> bool:
    """Whether a wait in C would stop other greenlets of this thread."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("time"))


def wait(cache: Cache, key: Key, sequence: int, seconds: float) -> bool:
    """Until the key has another frame (True), or a while; look again in both cases."""
    if not _greenlets():
        return cache._wait(key, sequence, max(1, min(_WAIT_MS, int(seconds * 1000))))
    watched = cache._watch_open(key, sequence)
    if watched is None:
        time.sleep(max(0.0, min(_NAP_S, seconds)))
        return False
    import gevent.select

    watch, descriptor = watched
    try:
        gevent.select.select([descriptor], [], [], max(0.0, min(_WAIT_MS / 1e3, seconds)))
    finally:
        cache._watch_close(watch)
    return cache._wait(key, sequence, 0)


def run(call: Call, compute: Callable[[], Any]) -> Any:
    """`get_or_compute`."""
    there = False
    while True:
        frame, flight = call.attempt()
        if frame is not None or flight is not None:
            break
        call.wait_begins()
        if there:  # but cannot be had: no busy loop
            time.sleep(0.001)
        there = wait(call.cache, call.key, 0, 1.0)
    if flight is None:
        assert frame is not None
        return serve(frame)
    if frame is None:
        return _compute(call, flight, compute, call.keep)
    _refresh(call, flight, compute)
    return serve(frame)


def _compute(
    call: Call,
    flight: Flight,
    compute: Callable[[], Any],
    keep: Callable[[Any, float], Any],
) -> Any:
    token = _own.set((*_own.get(), flight))
    try:
        call.counts.computed += 1
        began = time.monotonic()
        value = compute()
        if isinstance(value, types.CoroutineType):
            value.close()
            raise TypeError("the compute gave a coroutine: use aget_or_compute()")
        return keep(value, time.monotonic() - began)
    finally:
        _own.reset(token)
        flight.end()


def _drop(call: Call) -> Callable[[Any, float], None]:
    return lambda value, cost: call.store(value, cost).release()


def _told(call: Call) -> None:
    _log.warning(
        "the refresh of %r failed; the stale frame is served on",
        key_text(call.key),
        exc_info=True,
    )


def _refresh(call: Call, flight: Flight, compute: Callable[[], Any]) -> None:
    """Computes in a thread, so that the caller has the stale frame at once."""

    def work() -> None:
        _own.set(())
        try:
            _compute(call, flight, compute, _drop(call))
        except Exception:
            _told(call)

    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(work,), name="framecache-refresh", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter is ending
        flight.end()
        _told(call)


# ---- Coroutines ----

_polls: dict[tuple[Any, str, bytes], asyncio.Task[None]] = {}
_refreshes: set[asyncio.Task[None]] = set()  # a loop keeps weak references only


async def _naps(cache: Cache, key: Key, sequence: int, seconds: float) -> None:
    """Until the key has another frame than `sequence`, or `seconds` have passed."""
    nap, end = 0.001, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(nap, left))
        if cache._wait(key, sequence, 0):
            return
        nap = min(2 * nap, _NAP_S)


async def _change(cache: Cache, key: Key, sequence: int, seconds: float) -> None:
    """As `_naps`, but told by a descriptor where there can be one; or a flight ended."""
    watched = cache._watch_open(key, sequence)
    if watched is None:
        return await _naps(cache, key, sequence, seconds)
    watch, descriptor = watched
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    try:
        loop.add_reader(descriptor, told.set)
        try:
            async with asyncio.timeout(seconds):
                await told.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(descriptor)
    except NotImplementedError:  # a loop without descriptors
        await _naps(cache, key, sequence, seconds)
    finally:
        cache._watch_close(watch)


async def _await(call: Call) -> None:
    """All coroutines of a loop that wait for a key share one poll of it."""
    place = (asyncio.get_running_loop(), *call.place)
    poll = _polls.get(place)
    if poll is None:
        poll = asyncio.create_task(_change(call.cache, call.key, 0, _WAIT_MS / 1000))
        _polls[place] = poll
        poll.add_done_callback(lambda _: _polls.pop(place, None))
    await asyncio.wait({poll})
    if not poll.cancelled():
        poll.result()


async def arun(call: Call, compute: Callable[[], Awaitable[Any]]) -> Any:
    """`aget_or_compute`."""
    while True:
        frame, flight = call.attempt(fast=True)
        if call.cold:
            frame, flight = await asyncio.to_thread(call.attempt)
        if frame is not None or flight is not None:
            break
        call.wait_begins()
        await _await(call)
    if flight is None:
        assert frame is not None
        return await _aserve(frame)
    if frame is None:
        return await _acompute(call, flight, compute, call.keep)
    task = asyncio.create_task(_arefresh(call, flight, compute))
    _refreshes.add(task)
    task.add_done_callback(_refreshes.discard)
    return await _aserve(frame)


async def _aserve(frame: Frame) -> Any:
    if frame.nbytes > _LARGE_BYTES:
        return await asyncio.to_thread(serve, frame)
    return serve(frame)


async def _acompute(
    call: Call,
    flight: Flight,
    compute: Callable[[], Awaitable[Any]],
    keep: Callable[[Any, float], Any],
) -> Any:
    token = _own.set((*_own.get(), flight))
    try:
        call.counts.computed += 1
        began = time.monotonic()
        value = await compute()
        return await asyncio.to_thread(keep, value, time.monotonic() - began)
    finally:
        _own.reset(token)
        flight.end()


async def _arefresh(
    call: Call, flight: Flight, compute: Callable[[], Awaitable[Any]]
) -> None:
    _own.set(())  # a task has a context of its own
    try:
        await _acompute(call, flight, compute, _drop(call))
    except Exception:
        _told(call)
    finally:
        flight.end()


# ---- The next frame ----


class Next:
    """The wait for another frame than `after`."""

    __slots__ = ("cache", "end", "key", "sequence", "timeout")

    def __init__(
        self, cache: Cache, key: Key, after: Frame | None, timeout: float | None
    ) -> None:
        self.cache = cache
        self.key = key
        self.sequence = 0 if after is None else after.sequence
        self.timeout = timeout
        self.end = math.inf if timeout is None else time.monotonic() + timeout

    def look(self) -> Frame | None:
        frame: Frame | None = self.cache.get(self.key)
        if frame is not None and frame.sequence != self.sequence:
            return frame
        if self.left() <= 0:
            name = key_text(self.key)
            raise WaitTimeout(f"no new frame for {name!r} in {self.timeout} s")
        return None

    def left(self) -> float:
        return self.end - time.monotonic()

    def run(self) -> Frame:
        there = False
        while (frame := self.look()) is None:
            if there:
                time.sleep(0.001)
            there = wait(self.cache, self.key, self.sequence, min(1.0, self.left()))
        return frame

    async def arun(self) -> Frame:
        while (frame := self.look()) is None:
            await _change(self.cache, self.key, self.sequence, min(1.0, self.left()))
        return frame
