"""What a Cache and a Namespace have in common: values, computing once, waiting.

The work is done by modules that are imported when first needed.
"""

from __future__ import annotations

from ._lazy import lazily
from ._settings import put_options, tag_list
from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from . import _flight, _memoize, _values
    from ._cache import Cache
    from ._flight import Counts, Policy
    from ._frame import Frame
    from ._memoize import Memoized
    from ._settings import Duration

    Key = str | bytes
else:
    lazily(globals(), "._flight", "._memoize", "._values")


def _check_compute(compute: object) -> None:
    if not callable(compute):
        raise TypeError(
            f"compute is a function that gives the value, and not an object of type "
            f"{type(compute).__name__}: get_or_compute(key, lambda: ...)"
        )


class Computing:
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
            Timestamp, Timedelta, Period and Interval of pandas; figures of plotly; and
            what `register` knows. Exactly these types: a subclass would come back as
            another.
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
            _values.require_private(cache.dir)
        tags = (*tag_list(tags), *self._own_tags())
        options = put_options(ttl, stale, tags, cost=cost)
        _values.store(cache, place, value, options, allow_pickle).release()

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
            value = _values.load(frame, allow_pickle, cache.dir)
        finally:
            if value is not frame:
                frame.release()
        return value

    def _policy(
        self,
        ttl: Duration | None,
        stale: Duration,
        tags: Iterable[str],
        timeout: float | None,
    ) -> Policy:
        policy = _flight.policy(ttl, stale, tags, timeout)
        own = tuple(tag.encode() for tag in self._own_tags())
        return policy._replace(tags=policy.tags + own)

    def _run(
        self, key: Key, compute: Callable[[], Any], policy: Policy, counts: Counts | None
    ) -> Any:
        return _flight.run(_flight.Call(*self._locate(key), policy, counts), compute)

    async def _arun(
        self,
        key: Key,
        compute: Callable[[], Awaitable[Any]],
        policy: Policy,
        counts: Counts | None,
    ) -> Any:
        return await _flight.arun(
            _flight.Call(*self._locate(key), policy, counts), compute
        )

    def get_or_compute(
        self,
        key: Key,
        compute: Callable[[], Any],
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> Any:
        """What is under `key`; if there is nothing, what `compute` returns.

        Of all callers of all processes one computes, the others wait for it. An owner
        that dies or fails is replaced by the next; a failure is raised to its own caller
        only. Inside a compute nobody waits: keys computed crosswise cost only work.

        Parameters
        ----------
        key : str or bytes
        compute : callable
            Returns a table, or any value that `put_value` takes.
        ttl, stale : duration
            As for `Cache.put`. With `stale`, an expired table is returned at once while
            one thread in the machine computes the new one; if that fails, the failure is
            logged (logger ``framecache``) and the stale one served on. Where the time to
            compute is known, refreshing begins by chance a little before the expiry.
        tags : iterable of str
        timeout : float, optional
            Seconds to wait for another's compute, which may be stopped: then one more
            computes, and after as long again everyone. None: ``FRAMECACHE_FLIGHT_MAX``.

        Returns
        -------
        The kind that was put: see `Frame.to_value`. What does not fit into the budget is
        returned as it was computed, and the failure logged.

        Raises
        ------
        DeadlockError
            `compute` asks for its own key.
        TypeError
            `compute` returned something that cannot be stored; the message says where.
        """
        _check_compute(compute)
        return self._run(key, compute, self._policy(ttl, stale, tags, timeout), None)

    async def aget_or_compute(
        self,
        key: Key,
        compute: Callable[[], Awaitable[Any]],
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> Any:
        """As `get_or_compute`, with a coroutine function; the loop is never held up.

        A stale table is refreshed by a task of the running loop. Cancelling the task that
        computes lets the next one try.
        """
        _check_compute(compute)
        policy = self._policy(ttl, stale, tags, timeout)
        return await self._arun(key, compute, policy, None)

    def memoize(
        self,
        f: Callable[..., Any] | None = None,
        /,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        key: Callable[..., Key] | None = None,
        ignore: Iterable[str] = (),
        tags: Iterable[str] = (),
        version: str | int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Decorate a function or coroutine function: `get_or_compute` by its arguments.

        Parameters
        ----------
        f : callable, optional
            The function; without, the call gives a decorator.
        ttl, stale, tags, timeout
            As for `get_or_compute`.
        key : callable, optional
            Makes the key from the arguments; otherwise they are hashed by content (see
            `content_hash`), defaults filled in.
        ignore : iterable of str
            Names of parameters that do not count, such as ``self`` or a connection.
        version : str or int, optional
            Part of the key: change it when what the function calls or closes over does
            something else. Its own code is part of the key too, and so is the object of a
            bound method and what a partial holds; if that cannot be hashed, say here
            which one it is.

        Returns
        -------
        Memoized
            Callable as the function is; with ``cache_clear``, ``cache_key``,
            ``cache_info`` and ``__wrapped__``.

        Raises
        ------
        TypeError
            It is a generator, or cannot be called; or an object is part of it that has no
            content to hash, and there is no `version`.
        ValueError
            `ignore` names no parameter; `ttl`, `stale` or `timeout` is no duration.

        Examples
        --------
        >>> @cache.memoize(ttl="10m", stale="1h")  # doctest: +SKIP
        ... def flights(carrier, year=2013):
        ...     return pd.read_sql(...)
        """
        policy = self._policy(ttl, stale, tags, timeout)
        ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        if not (key is None or callable(key)):
            raise TypeError(f"memoize: key={key!r} is no function that makes the key")

        def wrap(function: Callable[..., Any]) -> Memoized:
            if not callable(function):
                shown = repr(function) if isinstance(function, str) else type(function)
                raise TypeError(
                    f"memoize takes a function, and not {shown}: @cache.memoize, or "
                    "@cache.memoize(ttl=...), before it"
                )
            return _memoize.made(function, self, policy, key, ignored, version)

        return wrap if f is None else wrap(f)

    def next_frame(
        self, key: Key, *, after: Frame | None = None, timeout: float | None = None
    ) -> Frame:
        """Wait until the key has another frame.

        Parameters
        ----------
        key : str or bytes
        after : Frame, optional
            Another than this one; any.
        timeout : float, optional
            Seconds; without, as long as it takes.

        Returns
        -------
        Frame

        Raises
        ------
        WaitTimeout
            It had not after `timeout` seconds.
        """
        return _flight.Next(*self._locate(key), after, timeout).run()

    async def anext_frame(
        self, key: Key, *, after: Frame | None = None, timeout: float | None = None
    ) -> Frame:
        """As `next_frame`, without holding up the event loop."""
        return await _flight.Next(*self._locate(key), after, timeout).arun()
