"""refresh: a key that one scheduler of the machine loads anew, again and again.

Who loads holds the flight of a key of its own, which the kernel lets go when the process
ends, however that happens: then another scheduler of the key takes over.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from ._cache import Cache
from ._errors import ClosedError, MissError, key_text
from ._settings import NEVER, milliseconds, tag_bytes

if TYPE_CHECKING:
    from ._settings import Duration

Key = str | bytes

_LOOK_S = 1.0  # who does not load looks this often whether the one who does is gone
_FIRST_RETRY_S = 1.0  # after a failure; doubled each time, up to the interval

_log = logging.getLogger("framecache")


class Refresher:
    """Loads a key every `interval` seconds, once in the machine; `refresh` makes it.

    Attributes
    ----------
    key : str
    interval : float
        Seconds from the beginning of one load to that of the next.
    """

    def __init__(
        self,
        key: Key,
        load: Callable[[], Any],
        interval: float,
        cache: Cache,
        options: dict[str, Any],
    ) -> None:
        self.key = key_text(key)
        self.interval = interval
        self._key = key
        raw = key if isinstance(key, bytes) else key.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
        self._lock = f"framecache.refresh:{digest}"  # keys have 1,024 bytes at most
        self._load = load
        self._cache = cache
        self._options = options
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0

    def run(self) -> None:
        """Load and wait in this thread, until `stop`.

        If another process, or another Refresher, loads the key already, it waits until
        that one is gone. A load that fails is logged (logger ``framecache``) and tried
        again after 1, 2, 4, ... seconds, `interval` at most; the old frame is served on.

        Raises
        ------
        ClosedError
            The cache was closed, or its directory removed.
        """
        while not self._stop.is_set():
            right = self._cache._flight_begin(self._lock, 0)
            if isinstance(right, tuple):
                try:
                    self._lead()
                finally:
                    self._cache._flight_end(right[0])
            else:
                self._stop.wait(min(_LOOK_S, self.interval))

    def _lead(self) -> None:
        self._failures = 0
        self._stop.wait(self._left_of_present())
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._once()
                self._failures = 0
                due = self.interval
            except ClosedError:
                raise
            except Exception:
                due = min(_FIRST_RETRY_S * 2 ** min(self._failures, 30), self.interval)
                self._failures += 1
                _log.warning(
                    "refresh of %r failed (%d in a row); the old frame is served on, and "
                    "it is tried again in %.3g s",
                    self.key, self._failures, due, exc_info=True,
                )  # fmt: skip
                began = time.monotonic()
            self._stop.wait(max(0.0, began + due - time.monotonic()))

    def _left_of_present(self) -> float:
        """Of the interval, when another has loaded the frame that is there."""
        try:
            age = time.time() - self._cache.info(self._key)["created"]
        except MissError:
            return 0.0
        return self.interval - age if 0 <= age < self.interval else 0.0

    def _once(self) -> None:
        began = time.monotonic()
        value = self._load()
        took = time.monotonic() - began
        with self._cache.put(
            self._key, value, cost=max(took, 1e-6), **self._options
        ) as frame:
            _log.info(
                "refreshed %r: %d rows, %d bytes in %.3g s",
                self.key, frame.rows, frame.nbytes, took,
            )  # fmt: skip

    def start(self) -> Self:
        """`run` in a daemon thread.

        Returns
        -------
        Refresher
            Itself.

        Raises
        ------
        RuntimeError
            It runs already.
        """
        if self._is_running():
            raise RuntimeError(f"the refresh of {self.key!r} runs already")
        self._stop.clear()
        name = f"framecache-refresh:{self.key}"
        self._thread = threading.Thread(
            target=self._run_in_thread, name=name, daemon=True
        )
        self._thread.start()
        return self

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except ClosedError as error:
            if not self._stop.is_set():
                _log.error("the refresh of %r ends: %s", self.key, error)

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End `run`, after the load that is going on; from any thread."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __repr__(self) -> str:
        return f"Refresher({self.key!r}, interval={self.interval:g})"


def refresh(
    key: Key,
    load: Callable[[], Any],
    interval: Duration = 30,
    *,
    cache: Cache | None = None,
    ttl: Duration | None = None,
    tags: Iterable[str] = (),
) -> Refresher:
    """A key that is loaded anew every `interval`, by one process of the machine.

    Readers take ``cache[key]``, or wait for each new frame with `Cache.next_frame`.

    Parameters
    ----------
    key : str or bytes
    load : callable
        Without arguments; returns the table, as `Cache.put` takes it.
    interval : duration
        From the beginning of one load to that of the next, if that has ended.
    cache : Cache, optional
        By default ``Cache()``, as the environment says.
    ttl : duration, optional
        How long each frame lives; longer than `interval`, or readers miss.
    tags : iterable of str
        Of each frame.

    Returns
    -------
    Refresher
        It does nothing before `Refresher.run` or `Refresher.start` is called;
        ``python -m framecache refresh module:name`` calls `run`.

    Raises
    ------
    ValueError
        `interval` or `ttl` is no duration above 0, or `interval` has no end.
    TypeError
        `load` cannot be called.

    Examples
    --------
    >>> refresher = framecache.refresh("flights", load_flights)  # doctest: +SKIP
    >>> refresher.start()                                        # doctest: +SKIP
    """
    every = milliseconds(interval, "interval")
    if interval is None or every == NEVER:
        raise ValueError(f"interval: {interval!r} has no end; give seconds or '30s'")
    if not callable(load):
        raise TypeError(f"load: a {type(load).__name__} cannot be called")
    milliseconds(ttl)
    tags = tuple(tags) if not isinstance(tags, (str, bytes)) else tags
    tag_bytes(tags)
    store = Cache() if cache is None else cache  # an empty one is false
    return Refresher(key, load, every / 1000, store, {"ttl": ttl, "tags": tags})
