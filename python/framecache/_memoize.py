"""What a Cache and a Namespace compute: get_or_compute, memoize, next_frame."""

from __future__ import annotations

import functools
import hashlib
import sys
import types
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _flight, _keys
from ._errors import key_text
from ._flight import Call, Counts, Next, Policy
from ._settings import Duration
from ._values import Values

if TYPE_CHECKING:
    import asyncio
    import inspect

    from ._frame import Frame
else:
    from ._lazy import Lazy

    asyncio, inspect = Lazy("asyncio"), Lazy("inspect")

Key = str | bytes

_PREFIX_BYTES = 200  # longer names are hashed: they stand in tags too, of 255 bytes


class Computing(Values):
    """The methods that a Cache and a Namespace have in common."""

    __slots__ = ()

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
        return _flight.run(Call(*self._locate(key), policy, counts), compute)

    async def _arun(
        self,
        key: Key,
        compute: Callable[[], Awaitable[Any]],
        policy: Policy,
        counts: Counts | None,
    ) -> Any:
        return await _flight.arun(Call(*self._locate(key), policy, counts), compute)

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
            something else. Its own code is part of the key too.

        Returns
        -------
        Memoized
            Callable as the function is; with ``cache_clear``, ``cache_key``,
            ``cache_info`` and ``__wrapped__``.

        Examples
        --------
        >>> @cache.memoize(ttl="10m", stale="1h")  # doctest: +SKIP
        ... def flights(carrier, year=2013):
        ...     return pd.read_sql(...)
        """
        policy = self._policy(ttl, stale, tags, timeout)
        ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)

        def wrap(function: Callable[..., Any]) -> Memoized:
            kind = AsyncMemoized if inspect.iscoroutinefunction(function) else Memoized
            return kind(function, self, policy, key, ignored, version)

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
        return Next(*self._locate(key), after, timeout).run()

    async def anext_frame(
        self, key: Key, *, after: Frame | None = None, timeout: float | None = None
    ) -> Frame:
        """As `next_frame`, without holding up the event loop."""
        return await Next(*self._locate(key), after, timeout).arun()


def _function_name(function: Any) -> str:
    """The same in every process; scripts are told apart by their file."""
    module = getattr(function, "__module__", None) or "?"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    if module in ("__main__", "__mp_main__"):  # the same file in a spawned child
        path = getattr(sys.modules.get(module), "__file__", None)
        code = getattr(inspect.unwrap(function), "__code__", None)
        path = path or (code.co_filename if code else "")
        module = f"__main__[{_absolute(path)}]"
    text = f"{module}.{name}"
    if len(text.encode()) > _PREFIX_BYTES:
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        text = f"{name[:64].encode().decode('ascii', 'replace')}~{digest}"
    return text


def _feed_code(hash: Any, code: types.CodeType) -> None:
    about = (
        code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
    )  # fmt: skip
    hash.update(b"code:%d:" % len(code.co_consts))
    hash.update(code.co_code + repr(about).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _feed_code(hash, constant)
        elif isinstance(constant, frozenset):  # whose order differs between processes
            hash.update(repr(sorted(map(repr, constant))).encode())
        else:
            hash.update(repr(constant).encode("utf-8", "surrogatepass"))


def _code_digest(function: Any) -> str:
    """Of what the function does: edited, or another of the name, it has other results."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    hash = hashlib.blake2b(digest_size=6)
    if code is not None:
        _feed_code(hash, code)
    digest: str = hash.hexdigest()
    return digest


def _absolute(path: str) -> str:
    import os

    return os.path.realpath(path) if path and not path.startswith("<") else path


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return None


def _check_ignored(signature: inspect.Signature | None, ignored: Iterable[str]) -> None:
    if signature is None:
        unknown = list(ignored)
    else:
        unknown = [name for name in ignored if name not in signature.parameters]
    if unknown:
        raise ValueError(f"ignore: the function has no parameter {unknown[0]!r}")


class Memoized:
    """A function whose results are in the cache; made by `Cache.memoize`."""

    def __init__(
        self,
        function: Callable[..., Any],
        store: Computing,
        policy: Policy,
        key: Callable[..., Key] | None,
        ignored: tuple[str, ...],
        version: str | int | None,
    ) -> None:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("memoize: a generator gives no table")
        functools.update_wrapper(self, function)
        name = _function_name(function)
        self._signature = _signature(function)
        _check_ignored(self._signature, ignored)
        self._store = store
        self._make_key = key
        self._ignored = ignored
        self._prefix = f"{name}#{_code_digest(function)}"
        if version is not None:
            self._prefix += f"@{version}"
        self._tag = f"memoize:{name}"
        self._policy = policy._replace(tags=(*policy.tags, self._tag.encode()))
        self._counts = Counts()

    __wrapped__: Callable[..., Any]
    __qualname__: str

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.__wrapped__
        return self._store._run(
            self.cache_key(*args, **kwargs),
            lambda: function(*args, **kwargs),
            self._policy,
            self._counts,
        )

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else BoundMemoized(self, instance)

    def cache_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of these arguments.

        Parameters
        ----------
        *args, **kwargs
            As the function takes them.

        Returns
        -------
        str

        Raises
        ------
        TypeError
            An argument cannot be hashed by content; the message names it.
        """
        if self._make_key is not None:
            return f"{self._prefix}:{key_text(self._make_key(*args, **kwargs))}"
        return f"{self._prefix}:{_keys.digest(self._arguments(args, kwargs), '').hex()}"

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if self._signature is None:
            return {"args": args, "kwargs": kwargs}
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        for name in self._ignored:
            del bound.arguments[name]
        return dict(bound.arguments)

    def cache_clear(self, *args: Any, **kwargs: Any) -> int:
        """Delete the result of these arguments; without any, all results of the function.

        Parameters
        ----------
        *args, **kwargs
            As the function takes them.

        Returns
        -------
        int
            How many went.
        """
        cache, key = self._store._locate(
            self.cache_key(*args, **kwargs) if args or kwargs else "-"
        )
        return int(cache.delete(key)) if args or kwargs else cache.delete_tag(self._tag)

    def cache_info(self) -> dict[str, int]:
        """What this process's calls found.

        Returns
        -------
        dict
            `hits`, `misses`, `stale_hits`, `computed`.
        """
        counts = self._counts
        return {name: getattr(counts, name) for name in
                ("hits", "misses", "stale_hits", "computed")}  # fmt: skip

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled by name, as functions are

    def __repr__(self) -> str:
        return f"<memoized {self._prefix}>"


class AsyncMemoized(Memoized):
    """A coroutine function whose results are in the cache."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)
        else:  # Python 3.11
            self._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.__wrapped__
        return await self._store._arun(
            self.cache_key(*args, **kwargs),
            lambda: function(*args, **kwargs),
            self._policy,
            self._counts,
        )


class BoundMemoized:
    """A memoized method of one object, which counts as its first argument."""

    __slots__ = ("__self__", "_memoized")

    def __init__(self, memoized: Memoized, instance: object) -> None:
        self._memoized = memoized
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._memoized(self.__self__, *args, **kwargs)

    def cache_key(self, *args: Any, **kwargs: Any) -> str:
        """The key of these arguments and the object."""
        return self._memoized.cache_key(self.__self__, *args, **kwargs)

    def cache_clear(self, *args: Any, **kwargs: Any) -> int:
        """Delete one result; without arguments, all of the function, of all objects."""
        if args or kwargs:
            return self._memoized.cache_clear(self.__self__, *args, **kwargs)
        return self._memoized.cache_clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memoized, name)

    def __repr__(self) -> str:
        return f"<bound {self._memoized!r} of {self.__self__!r}>"
