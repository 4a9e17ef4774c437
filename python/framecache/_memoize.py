"""Functions whose results are in the cache, by their arguments."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import _keys, _place
from ._errors import key_text
from ._flight import Counts, Policy
from ._lazy import lazily
from ._settings import tag_bytes

if TYPE_CHECKING:
    import asyncio
    import inspect

    from ._methods import Computing
else:
    lazily(globals(), "asyncio", "inspect")

Key = str | bytes

_PREFIX_BYTES = 200  # longer names are hashed: they stand in tags too, of 255 bytes


def function_name(function: Any) -> str:
    """Its file and its name: the same in every process, and of no other program."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    text = f"{_place.of_function(function)}:{name}"
    if len(raw := text.encode("utf-8", "surrogateescape")) > _PREFIX_BYTES:
        digest = hashlib.blake2b(raw, digest_size=16).hexdigest()
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


def _feed_function(hash: Any, function: Any) -> None:
    """What it does; TypeError where an object is part of it that has no content to hash.

    An instance with ``__call__``, a bound method, a partial: each is of its own object.
    """
    state = function
    if isinstance(function, functools.partial):
        _feed_function(hash, function.func)
        state = (function.args, function.keywords)
    elif isinstance(function, types.MethodType):
        _feed_function(hash, function.__func__)
        state = function.__self__
    elif (inner := inspect.unwrap(function)) is not function:
        while function is not inner:  # each decorator by what it does
            if hasattr(function, "__code__"):
                _feed_code(hash, function.__code__)
            function = function.__wrapped__
        return _feed_function(hash, inner)
    elif hasattr(function, "__code__"):
        return _feed_code(hash, function.__code__)
    elif isinstance(function, types.BuiltinMethodType):
        state = function.__self__
    elif hasattr(function, "__qualname__"):  # a class, or a function in C
        return None
    if state is None or isinstance(state, types.ModuleType):
        return None
    if isinstance(state, type):  # of a class method
        whose = f"{_place.of_function(state)}:{state.__qualname__}"
        hash.update(whose.encode("utf-8", "surrogateescape"))
    else:
        hash.update(_keys.digest(state, f"a {type(function).__qualname__} of an object"))


def identity(function: Any, careful: bool = True) -> str:
    """Name and digest of a function: edited, or another of the name, it is another.

    `careful`: TypeError where an object without content is part of it; else that is left
    out.
    """
    hash = hashlib.blake2b(digest_size=6)
    try:
        _feed_function(hash, function)
    except TypeError as error:
        if careful:
            raise TypeError(
                f"memoize: {error}, so its results cannot be told from those of another: "
                "memoize a function, or say by version= which one it is"
            ) from None
    return f"{function_name(function)}#{hash.hexdigest()}"


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
        self._signature = _signature(function)
        _check_ignored(self._signature, ignored)
        self._store = store
        self._make_key = key
        self._ignored = ignored
        self._prefix = identity(function, careful=version is None)
        if version is not None:
            self._prefix += f"@{version}"
        self._tag = f"memoize:{function_name(function)}"
        self._policy = policy._replace(tags=(*policy.tags, *tag_bytes([self._tag])))
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


def made(function: Callable[..., Any], *about: Any) -> Memoized:
    """What `Cache.memoize` makes of a function or a coroutine function."""
    kind = AsyncMemoized if inspect.iscoroutinefunction(function) else Memoized
    return kind(function, *about)
