"""on_miss="recompute": the callback that made a value runs again, as it ran then.

With each value a small note is kept: which callback, which arguments (as they came from
the browser, tokens and not values), and where in the result the value stood. When the
value is gone, the callback runs again, in one of all who miss it, and the value is put
back under its old key, so that every token for it is good again.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
from typing import TYPE_CHECKING, Any

from dash._callback_context import context_value
from dash._utils import AttributeDict
from dash.exceptions import PreventUpdate

from .. import _flight
from .._frame import Frame
from . import _store
from ._backing import NOTE
from ._call import Call
from ._serverside import Serverside
from ._store import Store, StoreMiss

if TYPE_CHECKING:
    from ._bind import Bound

_AGAIN = "dash/again/"
_MOMENT = _flight.policy(0.25, 0, (), None)
_LONGEST_NOTE = 64 << 10  # an upload's bytes are no arguments to keep
_CONTEXT = (
    "inputs_list", "states_list", "outputs_list", "input_values", "state_values",
    "triggered_inputs", "outputs_grouping", "using_outputs_grouping",
    "args_grouping", "using_args_grouping",
)  # fmt: skip


def note(call: Call, identity: str, args: Any, kwargs: Any) -> None:
    """Remember how the values of a call were made."""
    args = [None if callable(arg) else arg for arg in args]  # set_progress
    context = {name: call.context.get(name) for name in _CONTEXT}
    for token, trail in call.kept:
        what = [identity, args, kwargs, context, list(trail)]
        try:
            text = json.dumps(what)
        except TypeError:
            return  # arguments that did not come from the browser
        if len(text) <= _LONGEST_NOTE:
            key = call.store.signer.read(token).key
            call.store.cache.put_value(NOTE + key.hex(), text)


class _Once(_flight.Call):
    """Its result tells who waited that the value is there. With a cost of its own it
    would be refreshed before its moment is over: the callback ran beside the request."""

    __slots__ = ()

    def store(self, value: Any, cost: float) -> Frame:
        return super().store(value, 0.0)


def again(call: Call, token: str, component: object, miss: StoreMiss) -> Any:
    """The value of a token, made again; raises `miss` where that cannot be."""
    if miss.reason in ("forged", "other host"):
        raise miss
    store = call.store
    found = store.locate(token, call.session, component)
    name = found.token.key.hex()
    text = store.cache.get_value(NOTE + name)
    if text is None:
        raise miss

    def make() -> bool:
        if not found.backing.has(found.token.key):
            value = _made(call, *json.loads(text))
            if value is None:
                raise miss
            found.backing.put(found.token.key, value.value, value.ttl)
        return True

    _flight.run(_Once(store.cache, _AGAIN + name, _MOMENT), make)
    try:
        return store.fetch(token, call.session, component)
    except StoreMiss:  # made by another a moment ago, and gone since
        store.cache.delete(_AGAIN + name)
    _flight.run(_Once(store.cache, _AGAIN + name, _MOMENT), make)
    return store.fetch(token, call.session, component)


def for_request(store: Store, request: Any, token: str, miss: StoreMiss) -> None:
    """The same for a request of the browser to the route, outside of any callback.

    Parameters
    ----------
    request
        Dash's adapter of it: its cookies and headers are what the callback sees.
    """
    context = {
        "cookies": dict(request.cookies),
        "headers": dict(request.headers),
        "args": {},
        _store.APP: store.label,
    }
    try:
        again(Call(store, context), token, miss.component, miss)
    except PreventUpdate:  # it gives nothing now
        raise miss from None


def _made(
    call: Call, identity: str, args: Any, kwargs: Any, context: Any, trail: Any
) -> Serverside[Any] | None:
    """What the callback gives now where the value stood."""
    from ._bind import Bound

    this = Bound.known.get(identity)
    if this is None:
        return None
    kept = {
        name: call.context.get(name)
        for name in ("cookies", "headers", "args", _store.APP)
    }
    own = AttributeDict(**context, **kept, updated_props={})
    value = _run(this, Call(call.store, own), own, args, kwargs)
    for part in trail:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value if isinstance(value, Serverside) else None


def _run(this: Bound, call: Call, own: Any, args: Any, kwargs: Any) -> Any:
    def run() -> Any:
        context_value.set(own)
        given, named = this.arguments(call, tuple(args), kwargs)
        if this.plan.progress:
            given = (lambda _: None, *given[1:])
        value = this.function(*given, **named)
        if inspect.iscoroutine(value):
            value = _awaited(value)
        return this.plan.mark(call, value)

    return contextvars.copy_context().run(run)


def _awaited(coroutine: Any) -> Any:
    """A coroutine's result, from code that is none: on a loop and a thread of its own."""
    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(asyncio.run(coroutine))
        except BaseException as error:
            failed.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,))
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
