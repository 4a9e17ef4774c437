"""Outputs reused while the arguments are the same: computed once for all workers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dash import NoUpdate

from .._errors import MissError
from . import _recompute
from ._call import Call
from ._serverside import Serverside
from ._store import Keep, Place
from ._token import stand_in

if TYPE_CHECKING:
    from ._bind import Bound

_MEMO = "dash/memo/"


class _NotKept(Exception):
    """The result is of this call only: it leaves an output as it is."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Memo:
    """The kept outputs of one callback for one set of arguments."""

    def __init__(self, this: Bound, call: Call, args: Any, kwargs: Any) -> None:
        self._this, self._call = this, call
        self._args, self._kwargs = args, kwargs
        plan = this.plan
        first = 1 if plan.progress else 0
        given, named = plan.arguments(args, kwargs)
        self._key = plan.memo_key(
            call,
            this.memo_identity,
            *(call.resolve(x, self._name) for x in (given[first:], named)),
        )

    @property
    def possible(self) -> bool:
        return self._key is not None

    @property
    def name(self) -> str:
        return _MEMO + (self._key or b"").hex()

    def _name(self, token: str) -> str:
        """A token's value by name: tokens differ, though the value be the same."""
        call = self._call
        found = call.store.locate(token, call.session, call.holder(token))
        key = found.token.key
        return stand_in(f"{key.hex()}-{found.backing.generation(key)}")

    def _how(self, index: int) -> Keep:
        number = index.to_bytes(4, "big")
        name = hashlib.sha256((self._key or b"") + number).digest()[:16]
        return (self._this.plan.kept(index) or Keep(bound=False))._replace(name=name)

    def keep(self, value: Any) -> bool:
        """Keep what the function returned; or raise _NotKept."""
        outputs = self._this.plan.flat(value)
        if NoUpdate.is_no_update(value) or any(map(NoUpdate.is_no_update, outputs)):
            raise _NotKept(value)
        for index, output in enumerate(outputs):
            how = self._how(index)
            if isinstance(output, Serverside):
                how = how._replace(ttl=output.ttl)
                output = output.value
            backing = self._call.store.registry.of(how.cache)
            assert how.name is not None
            backing.put(how.name, output, how.ttl)
        if self._call.store.on_miss == "recompute":
            self._note()
        return True

    def _note(self) -> None:
        """How the values were made, for who finds one gone."""
        call, plan = self._call, self._this.plan
        kept = [index for index in range(plan.count) if plan.kept(index) is not None]
        call.kept = [(self._output(index), plan.trail(index)) for index in kept]
        _recompute.note(call, self._this.identity, self._args, self._kwargs)
        call.kept = []

    def outputs(self) -> list[Any]:
        """Tokens, or plain values, for what is kept; raises MissError."""
        return [self._output(index) for index in range(self._this.plan.count)]

    def _output(self, index: int) -> Any:
        call, how = self._call, self._how(index)
        backing = call.store.registry.of(how.cache)
        assert how.name is not None
        if self._this.plan.kept(index) is None:
            return backing.get(how.name)
        if not backing.has(how.name):
            raise MissError(f"output {index} is kept no more")
        place = Place(call.session, call.page, f"output {index}")
        session = call.store.session_of(place, how.bound)
        return call.store.token(how.name, backing, session)

    def value(self, outputs: list[Any]) -> Any:
        """The outputs in the shape that Dash expects."""
        from dash._grouping import map_grouping

        return map_grouping(lambda index: outputs[index], self._this.plan.indices)

    def forget(self) -> None:
        self._call.store.cache.delete(self.name)


def reuse(
    this: Bound, call: Call, args: Any, kwargs: Any, compute: Callable[[], Any]
) -> Any:
    """The kept outputs; computed first, by one of all who ask, if need be."""
    memo = _Memo(this, call, args, kwargs)
    if not memo.possible:
        return this.finish(call, compute(), args, kwargs)

    def fill() -> bool:
        return memo.keep(compute())

    for last in (False, True):
        try:
            call.store.cache.get_or_compute(memo.name, fill)
        except _NotKept as plain:
            return this.finish(call, plain.value, args, kwargs)
        try:
            return memo.value(memo.outputs())
        except MissError:
            memo.forget()
            if last:
                raise
    raise AssertionError


async def reuse_async(
    this: Bound, call: Call, args: Any, kwargs: Any, compute: Callable[[], Awaitable[Any]]
) -> Any:
    """As `reuse`, for a coroutine function."""
    memo = _Memo(this, call, args, kwargs)
    if not memo.possible:
        value = await compute()
        return await asyncio.to_thread(this.finish, call, value, args, kwargs)

    async def fill() -> bool:
        return await asyncio.to_thread(memo.keep, await compute())

    for last in (False, True):
        try:
            await call.store.cache.aget_or_compute(memo.name, fill)
        except _NotKept as plain:
            return await asyncio.to_thread(this.finish, call, plain.value, args, kwargs)
        try:
            return memo.value(await asyncio.to_thread(memo.outputs))
        except MissError:
            memo.forget()
            if last:
                raise
    raise AssertionError
