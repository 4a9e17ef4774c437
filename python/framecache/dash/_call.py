"""One call of a callback: what the tokens it gets stand for, and what it gives."""

from __future__ import annotations

import functools
import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dash import NoUpdate, Patch
from dash._utils import clean_property_name, stringify_id

from . import _session
from ._jobs import CACHED
from ._serverside import Serverside
from ._store import Place, Store, is_token

_PLAIN = frozenset((int, float, bool, type(None), str))

Trail = tuple[Any, ...]  # indices and names, from what the callback returned to a value
_INSIDE = (str, list, tuple, dict)  # where a token may stand
_OUTSIDE = (Serverside, list, tuple, dict, Patch)  # where a Serverside may


class Call:
    """What one call has to do with the store.

    Parameters
    ----------
    context
        Dash's, of this call: it holds the components, the cookies and the page.
    """

    def __init__(self, store: Store, context: Any) -> None:
        self.store = store
        self.context = context
        self.session = _session.of_call(context)
        self.kept: list[tuple[str, Trail]] = []  # the tokens made, and of what

    @functools.cached_property
    def page(self) -> bytes:
        """Names the page load that the call came from."""
        return _session.page_of(self.context)

    # ---- In ----

    def resolve(self, value: Any, fetch: Callable[[str], Any]) -> Any:
        """The value with whatever the tokens in it stand for."""
        kind = type(value)
        if kind is str:
            return fetch(value) if is_token(value) else value
        if kind is list or kind is tuple:
            made: list[Any] | None = None
            for at, item in enumerate(value):
                if isinstance(item, _INSIDE):
                    new = self.resolve(item, fetch)
                    if new is not item:
                        made = list(value) if made is None else made
                        made[at] = new
            return value if made is None else kind(made)
        if isinstance(value, dict):
            fresh = {
                name: self.resolve(item, fetch) if isinstance(item, _INSIDE) else item
                for name, item in value.items()
            }
            same = all(fresh[name] is item for name, item in value.items())
            return value if same else fresh
        return value

    def holder(self, token: str) -> Holder:
        """The component and property whose value has the token in it."""
        return Holder(self, token)

    def find_holder(self, token: str) -> str:
        for listed in (self.context.get("inputs_list"), self.context.get("states_list")):
            for spec in _leaves(listed):
                if _holds(spec.get("value"), token):
                    return name_of(spec)
        return "an argument"

    # ---- Out ----

    def keep(self, value: Any, spec: Any, path: str = "", trail: Trail = ()) -> Any:
        """The value with a token for each Serverside in it.

        `spec` is what Dash says of the outputs, in the shape of the value; `path` where
        in a property we are, `trail` where in the whole.
        """
        if isinstance(value, Serverside):
            return self._keep_one(value, spec, path, trail)
        if isinstance(value, Patch):
            return self._keep_patched(value, spec, path, trail)
        if isinstance(value, (list, tuple)):
            parts: Any = range(len(value))
        elif isinstance(value, dict) and not NoUpdate.is_no_update(value):
            parts = list(value)
        else:
            return value
        made = [
            self.keep(value[part], *_descend(spec, path, part), (*trail, part))
            if isinstance(value[part], _OUTSIDE)
            else value[part]
            for part in parts
        ]
        if all(new is value[part] for new, part in zip(made, parts, strict=True)):
            return value
        if isinstance(value, dict):
            return dict(zip(parts, made, strict=True))
        return made if isinstance(value, list) else tuple(made)  # named ones too

    def _keep_patched(self, value: Patch, spec: Any, path: str, trail: Trail) -> Patch:
        """The patch with tokens in what it puts somewhere."""
        made = Patch()
        for step in value._operations:
            params = dict(step["params"])
            if "value" in params:
                place = path + _place_of(step)
                params["value"] = self.keep(params["value"], spec, place, trail)
            made._operations.append({**step, "params": params})
        return made

    def _keep_one(
        self, value: Serverside[Any], spec: Any, path: str, trail: Trail
    ) -> str:
        component = name_of(spec) if _is_leaf(spec) else "an output"
        place = Place(self.session, self.page, component, path)
        how = value._how
        name = self._name(value, place)
        if name is not None:
            own = _bytes(self.store.namespace) + b"\0" + name
            how = how._replace(name=hashlib.sha256(own).digest()[:16])
        token = self.store.keep(value.value, place, how)
        self.kept.append((token, trail))
        return token

    def _name(self, value: Serverside[Any], place: Place) -> bytes | None:
        """What the value's key is made of, if it has one of its own."""
        if value.key is not None:
            session = self.store.session_of(place, value._how.bound)
            return b"named" + session + b"\0" + _bytes(value.key)
        cached = self.context.get(CACHED)
        if cached is None:
            return None
        # A background callback whose result is cached runs with each click all the same,
        # and is ended when the cached one is found: it must not replace what that names.
        return _bytes(f"cached{cached}\0{place.component}\0{place.path}")

    def output(self, value: Any) -> Any:
        """What the callback returned, with tokens."""
        grouped = self.context.get("using_outputs_grouping")
        specs = self.context.get("outputs_grouping" if grouped else "outputs_list")
        return self.keep(value, specs) if has_serverside(value) else value

    # ---- set_props ----

    def watch_props(self) -> None:
        """Have what the callback gives to `set_props` kept too."""
        context = self.context
        props = context.get("updated_props")
        if props is not None and not isinstance(props, _Props):
            context["updated_props"] = _Props(self, props)
        socket = context.get("dash_websocket")
        if socket is not None and not isinstance(socket, _Socket):
            context["dash_websocket"] = _Socket(self, socket)

    def prop(self, component_id: str, name: str, value: Any) -> Any:
        kept = len(self.kept)
        made = self.keep(value, {"id": component_id, "property": name})
        del self.kept[kept:]  # not part of what the callback returns
        return made


class Holder:
    """Names what holds a token, as text; it is looked for when a message asks."""

    def __init__(self, call: Call, token: str) -> None:
        self._call, self._token = call, token

    def __str__(self) -> str:
        return self._call.find_holder(self._token)


class _Props(dict[str, Any]):
    """Dash's `updated_props`, or the one of a background job, with tokens put in."""

    def __init__(self, call: Call, inner: dict[str, Any]) -> None:
        super().__init__(inner)
        self._call = call
        self._inner = inner

    def __setitem__(self, component_id: str, props: Any) -> None:
        made = {
            name: self._call.prop(component_id, name, value)
            for name, value in props.items()
        }
        super().__setitem__(component_id, made)
        self._inner[component_id] = made


class _Socket:
    """A callback's WebSocket, with tokens put into the properties it sends."""

    def __init__(self, call: Call, inner: Any) -> None:
        self._call = call
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def set_prop_sync(self, component_id: str, name: str, value: Any) -> Any:
        value = self._call.prop(component_id, name, value)
        return self._inner.set_prop_sync(component_id, name, value)

    async def set_prop(self, component_id: str, name: str, value: Any) -> Any:
        value = self._call.prop(component_id, name, value)
        return await self._inner.set_prop(component_id, name, value)


def has_serverside(value: Any) -> bool:
    """Whether there is a Serverside anywhere in it: most answers are large, with none."""
    items: Iterable[Any]
    if isinstance(value, (list, tuple)):
        items = value
    elif isinstance(value, dict):
        items = value.values()
    elif isinstance(value, Patch):
        items = [step["params"] for step in value._operations]
    else:
        return isinstance(value, Serverside)
    return any(type(item) not in _PLAIN and has_serverside(item) for item in items)


def _place_of(step: Mapping[str, Any]) -> str:
    """Where in a property a step of a Patch puts its value.

    What goes to a name takes the place of the value before it. Where in a list something
    stands the server does not know: it gets a place that nothing else has.
    """
    location = step["location"]
    named = step["operation"] in ("Assign", "Merge")
    if named and all(isinstance(part, str) for part in location):
        return "".join(f"/{part}" for part in location)
    return f"/{secrets.token_hex(8)}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# ---- Dash's descriptions of components ----


def _is_leaf(spec: Any) -> bool:
    return (
        isinstance(spec, Mapping)
        and "id" in spec
        and isinstance(spec.get("property"), str)
    )


def name_of(spec: Mapping[str, Any]) -> str:
    """``id.property``, as Dash writes it."""
    return f"{stringify_id(spec['id'])}.{clean_property_name(spec['property'])}"


def _leaves(spec: Any) -> Iterator[Mapping[str, Any]]:
    if _is_leaf(spec):
        yield spec
    elif isinstance(spec, (list, tuple)):
        for item in spec:
            yield from _leaves(item)


def _holds(value: Any, token: str) -> bool:
    if type(value) is str:
        return value == token
    if isinstance(value, dict):
        return any(_holds(item, token) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds(item, token) for item in value)
    return False


def _descend(spec: Any, path: str, part: Any) -> tuple[Any, str]:
    """The description and the path of a part of a value."""
    if _is_leaf(spec):
        return spec, f"{path}/{part}"
    if isinstance(spec, (list, tuple)) and isinstance(part, int) and part < len(spec):
        return spec[part], ""
    if isinstance(spec, Mapping) and part in spec:
        return spec[part], ""
    return None, f"{path}/{part}"
