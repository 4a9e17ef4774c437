"""Between Dash and the callback: tokens become values, and values tokens.

Each function that is registered as a callback is wrapped, whichever decorator did it and
whether before or after `init`. The wrapper runs where the function runs: in a worker of
the web server, in the process or the Celery worker of a background callback. Without a
store, or called directly, the function is as it was.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import dash
from dash import Dash, dependencies
from dash import _callback as dash_callback
from dash._callback_context import context_value
from dash.background_callback.managers import BaseBackgroundCallbackManager

from .. import _memoize
from . import _jobs, _memo, _recompute, _store
from ._call import Call
from ._plan import Defaults, Plan
from ._store import StoreMiss

_MARK = "__framecache_bound__"
_BEGUN = "framecache_begun"


class Bound:
    """A callback's function, and what its declaration says.

    Attributes
    ----------
    identity : str
        Names it, the same in every process.
    memo_identity : str
        The same, and its code: edited, it computes anew.
    """

    known: ClassVar[dict[str, Bound]] = {}  # by identity, for what is computed again

    def __init__(self, function: Callable[..., Any], plan: Plan) -> None:
        self.function = function
        self.plan = plan
        self.identity = plan.identity(function)
        self.memo_identity = ""
        if plan.memoize:
            # Not careful: outputs tell objects apart.
            code = _memoize.identity(function, careful=False)
            self.memo_identity = f"{code} {self.identity}"
        Bound.known[self.identity] = self

    def begin(self) -> Call | None:
        """What to do about the call that Dash makes now; None: nothing."""
        context = context_value.get({})
        store = _store.of_context(context) if context else None
        if store is None or context.get(_BEGUN):
            return None
        context[_BEGUN] = True  # once: a thread may keep the context of its last call
        call = Call(store, context)
        call.watch_props()
        return call

    def arguments(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Without triggers, and with values for tokens."""
        args, kwargs = self.plan.arguments(args, kwargs)

        def fetch(token: str) -> Any:
            return _fetch(call, token)

        return call.resolve(args, fetch), call.resolve(kwargs, fetch)

    def progress(self, call: Call, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """With a `set_progress` that keeps values too."""
        specs = self.plan.progress
        if not specs or not args or not callable(args[0]):
            return args
        tell = args[0]

        def set_progress(value: Any) -> None:
            listed = isinstance(value, (list, tuple))
            tell(call.keep(value, specs if listed else specs[0]))
            call.kept.clear()

        return set_progress, *args[1:]

    def finish(self, call: Call, value: Any, args: Any, kwargs: Any) -> Any:
        """What goes to Dash for what the function returned."""
        made = call.output(self.plan.mark(call, value))
        if call.kept and call.store.on_miss == "recompute":
            _recompute.note(call, self.identity, args, kwargs)
        return made


def _fetch(call: Call, token: str) -> Any:
    component = call.holder(token)
    try:
        return call.store.fetch(token, call.session, component)
    except StoreMiss as miss:
        if call.store.on_miss == "none":
            return None
        if call.store.on_miss == "recompute":
            return _recompute.again(call, token, component, miss)
        raise


def bound(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    """The function as Dash is to call it."""
    if getattr(function, _MARK, False):
        return function
    made = _bound_async if inspect.iscoroutinefunction(function) else _bound_sync
    wrapper = made(Bound(function, plan))
    setattr(wrapper, _MARK, True)
    return wrapper


def _bound_sync(this: Bound) -> Callable[..., Any]:
    @functools.wraps(this.function)
    def run(*args: Any, **kwargs: Any) -> Any:
        call = this.begin()
        if call is None:
            return this.function(*args, **kwargs)
        args = this.progress(call, args)
        compute = functools.partial(_compute, this, call, args, kwargs)
        if this.plan.memoize:
            return _memo.reuse(this, call, args, kwargs, compute)
        return this.finish(call, compute(), args, kwargs)

    return run


def _compute(this: Bound, call: Call, args: Any, kwargs: Any) -> Any:
    given, named = this.arguments(call, args, kwargs)
    return this.function(*given, **named)


def _bound_async(this: Bound) -> Callable[..., Any]:
    @functools.wraps(this.function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        call = this.begin()
        if call is None:
            return await this.function(*args, **kwargs)
        args = this.progress(call, args)

        async def compute() -> Any:
            # Frames may be large, or cold: the loop goes on meanwhile.
            given, named = await asyncio.to_thread(this.arguments, call, args, kwargs)
            return await this.function(*given, **named)

        if this.plan.memoize:
            return await _memo.reuse_async(this, call, args, kwargs, compute)
        value = await compute()
        return await asyncio.to_thread(this.finish, call, value, args, kwargs)

    return run


# ---- Every callback that Dash registers ----

_register: Callable[..., Any] = dash_callback.register_callback


@functools.wraps(_register)
def _register_bound(
    callback_list: Any, callback_map: Any, prevent: Any, *args: Any, **kwargs: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    memoize = bool(kwargs.pop("memoize", False))
    all_kept = kwargs.pop("framecache_kept", None)
    defaults = kwargs.pop("framecache_outputs", Defaults())
    plan = Plan(args, kwargs, all_kept=all_kept, defaults=defaults, memoize=memoize)
    decorate = _register(callback_list, callback_map, prevent, *args, **kwargs)

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        decorate(bound(function, plan))
        return function

    return wrap


def install() -> None:
    """Have every callback bound that is registered from now on.

    Raises
    ------
    ImportError
        This Dash does not tell a callback which page load asks: the values of two tabs
        would be one.
    """
    if [int(number) for number in re.findall(r"\d+", dash.__version__)[:3]] < [4, 4, 1]:
        raise ImportError(
            f"framecache.dash needs Dash 4.4.1 or later, and this is {dash.__version__}: "
            "pip install -U dash"
        )
    if dash_callback.register_callback is _register:
        dash_callback.register_callback = _register_bound  # type: ignore[assignment]
        _jobs.install()


def adopt(app: Dash) -> None:
    """Bind the callbacks that were registered before `framecache.dash` was imported."""
    for entries in (dash_callback.GLOBAL_CALLBACK_MAP, app.callback_map):
        for entry in list(entries.values()):
            if "callback" in entry:
                _adopt_one(entry)


def _adopt_one(entry: Mapping[str, Any]) -> None:
    cell = _cell(entry["callback"], "func")
    function = cell.cell_contents
    if getattr(function, _MARK, False):
        return
    output = entry["output"]
    inputs = entry["raw_inputs"]
    states = [dependencies.State(s["id"], s["property"]) for s in entry["state"]]
    plan = Plan([output, *inputs, *states], {"background": entry["background"]})
    cell.cell_contents = wrapper = bound(function, plan)
    if entry["background"] is not None:
        _adopt_job(function, wrapper)


def _adopt_job(function: Any, wrapper: Any) -> None:
    jobs = BaseBackgroundCallbackManager.functions
    for at, (key, known, progress) in enumerate(jobs):
        if known is function:
            jobs[at] = (key, wrapper, progress)
            for manager in BaseBackgroundCallbackManager.managers:
                job = manager.func_registry[key]
                _cell(getattr(job, "run", job), "fn").cell_contents = wrapper


def _cell(function: Any, name: str) -> Any:
    """The variable of an enclosing function, where Dash holds the callback's."""
    free = getattr(getattr(function, "__code__", None), "co_freevars", ())
    if name not in free:
        raise RuntimeError(
            "a callback was registered before framecache.dash was imported, and this "
            "version of Dash keeps it where it cannot be reached: import framecache.dash "
            "first"
        )
    return function.__closure__[free.index(name)]
