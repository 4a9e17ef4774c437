"""What a callback's declaration may say: Trigger, ServersideOutput, memoize."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dash import NoUpdate
from dash._grouping import flatten_grouping, grouping_len, make_grouping_by_index
from dash.dependencies import Input, Output, handle_grouped_callback_args

from .._memoize import function_name
from ._backing import check_cache, declare
from ._call import Call
from ._serverside import Serverside, kept_elsewhere
from ._store import Keep


class Trigger(Input):
    """As Input, but the callback does not get it as an argument."""


class ServersideOutput(Output):
    """An output whose value stays on the server.

    Parameters
    ----------
    backend : optional
        Where it is kept: a framecache Cache, a `FileSystemStore`, or a cache of
        Flask-Caching or cachelib; the app's default.
    session_check : bool, optional
        Whether only the session that made it may read it; the app's default.
    arg_check : bool
        With ``memoize``: whether the arguments are part of the key.
    """

    def __init__(
        self,
        component_id: Any,
        component_property: str,
        *,
        backend: object | None = None,
        session_check: bool | None = None,
        arg_check: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(component_id, component_property, **kwargs)
        check_cache(backend)
        self.backend = backend
        self.session_check = session_check
        self.arg_check = arg_check


class Defaults(NamedTuple):
    """Of an app's, or a CallbackCache's, server-side outputs."""

    cache: object | None = None
    bound: bool | None = None


NO_DEFAULTS = Defaults()


class Plan:
    """How a callback's arguments and outputs differ from Dash's.

    Attributes
    ----------
    identity : str
        Names the callback, the same in every process.
    memoize : bool
        Whether the outputs are reused when the arguments are the same.
    """

    def __init__(
        self,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        *,
        all_kept: Defaults | None = None,
        defaults: Defaults = NO_DEFAULTS,
        memoize: bool = False,
    ) -> None:
        output, inputs, states, indices, _ = handle_grouped_callback_args(
            list(args), dict(kwargs)
        )
        self._dropped = _triggers(indices, [*inputs, *states])
        self._single = isinstance(output, Output)
        flat = [output] if self._single else flatten_grouping(output)
        self.indices = make_grouping_by_index(output, list(range(grouping_len(output))))
        self._kept = [_kept_output(item, all_kept, defaults) for item in flat]
        for keep in self._kept:
            if keep is not None:
                declare(keep.cache)
        self._arg_check = all(getattr(item, "arg_check", True) for item in flat)
        self.memoize = memoize
        self._outputs = [str(item) for item in flat]
        background = kwargs.get("background") or {}
        progress = background.get("progress") if isinstance(background, dict) else None
        self.progress = [item.to_dict() for item in progress or ()]

    def identity(self, function: Callable[..., Any]) -> str:
        return " ".join([function_name(function), *self._outputs])

    # ---- Arguments ----

    def arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Without those of triggers."""
        if self._dropped:
            first = 1 if self.progress else 0
            args = tuple(
                arg for at, arg in enumerate(args) if at - first not in self._dropped
            )
            kwargs = {k: v for k, v in kwargs.items() if k not in self._dropped}
        return args, kwargs

    # ---- Outputs ----

    def mark(self, call: Call, value: Any) -> Any:
        """The value with a Serverside for each output that is to stay."""
        if not any(self._kept):
            return value
        return self._mark(call, value, self.indices)

    def _mark(self, call: Call, value: Any, indices: Any) -> Any:
        if NoUpdate.is_no_update(value):
            return value
        if isinstance(indices, int):
            return self._mark_one(call, value, indices)
        if isinstance(indices, dict) and isinstance(value, dict):
            return {
                name: self._mark(call, item, indices[name]) if name in indices else item
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple)) and len(value) == len(indices):
            return [
                self._mark(call, item, index)
                for item, index in zip(value, indices, strict=True)
            ]
        return value  # of another shape: Dash says so

    def _mark_one(self, call: Call, value: Any, index: int) -> Any:
        how = self._kept[index]
        if how is None or isinstance(value, Serverside) or NoUpdate.is_no_update(value):
            return value
        specs = call.context.get("outputs_list")
        spec = specs if self._single else specs[index]
        if isinstance(spec, list) and isinstance(value, (list, tuple)):  # ALL
            return [
                item if NoUpdate.is_no_update(item) else kept_elsewhere(item, how)
                for item in value
            ]
        return kept_elsewhere(value, how)

    # ---- Memo ----

    def memo_key(self, call: Call, identity: str, args: Any, kwargs: Any) -> bytes | None:
        """16 bytes for the function, its arguments and, if asked for, the session.

        None where it cannot be: outputs by pattern, of which there are any number.
        """
        specs = call.context.get("outputs_list") or []
        specs = [specs] if self._single else list(specs)
        if any(isinstance(spec, list) for spec in specs):
            return None
        named = [str(spec.get("id")) for spec in specs]
        own = call.store.namespace
        what = [own, identity, named, [args, kwargs] if self._arg_check else None]
        text = json.dumps(what, sort_keys=True, default=repr)
        bound = any(
            call.store.session_check if how.bound is None else how.bound
            for how in self._kept
            if how is not None
        )
        session = (call.session or "") if bound else ""
        return hashlib.sha256(f"memo {session} {text}".encode()).digest()[:16]

    def flat(self, value: Any) -> list[Any]:
        """The outputs one by one."""
        return [value] if self._single else list(flatten_grouping(value, self.indices))

    def kept(self, index: int) -> Keep | None:
        return self._kept[index]

    def trail(self, index: int) -> tuple[Any, ...]:
        """Where an output stands in what the function returns: indices and names."""
        found = _trail(self.indices, index)
        assert found is not None
        return found

    @property
    def count(self) -> int:
        return len(self._kept)


def _triggers(indices: Any, flat: Sequence[Any]) -> frozenset[Any]:
    """Positions, or names, of the arguments that are triggers."""
    if isinstance(indices, dict):
        pairs: Any = indices.items()
    elif isinstance(indices, (list, tuple)):
        pairs = enumerate(indices)
    else:
        pairs = [(0, indices)]
    return frozenset(
        name
        for name, index in pairs
        if isinstance(index, int) and isinstance(flat[index], Trigger)
    )


def _trail(indices: Any, wanted: int) -> tuple[Any, ...] | None:
    if isinstance(indices, int):
        return () if indices == wanted else None
    pairs = indices.items() if isinstance(indices, dict) else enumerate(indices)
    for part, inner in pairs:
        found = _trail(inner, wanted)
        if found is not None:
            return (part, *found)
    return None


def _kept_output(
    output: Output, all_kept: Defaults | None, defaults: Defaults
) -> Keep | None:
    if isinstance(output, ServersideOutput):
        cache = defaults.cache if output.backend is None else output.backend
        check = output.session_check
        return Keep(cache=cache, bound=defaults.bound if check is None else check)
    if all_kept is not None:
        return Keep(cache=all_kept.cache, bound=all_kept.bound)
    return None
