"""Server-side values for Dash 4: return ``Serverside(df)``, and get the frame as input.

In the browser a value is an opaque token, signed and bound to the session and the store.

>>> app = Dash(__name__)                                  # doctest: +SKIP
>>> framecache.dash.init(app)                             # doctest: +SKIP
>>> @callback(Output("store", "data"), Input("load", "n_clicks"))  # doctest: +SKIP
... def query(n):
...     return Serverside(df)
>>> @callback(Output("table", "children"), Input("store", "data"))  # doctest: +SKIP
... def show(df):
...     return str(df.describe())
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import Cache, _extras, _place

try:
    from dash import Dash
except ModuleNotFoundError:
    _extras.need("dash", "framecache.dash")
    raise
from . import _bind, _recompute, _route, _session, _store
from ._backend import FrameCacheBackend
from ._query import Limits, RequestError
from ._serverside import Serverside
from ._store import CookiesOff, OnMiss, Store, StoreMiss
from .graph import ResamplingGraph, resample
from .grid import grid_columns, grid_rows

__all__ = [
    "CookiesOff",
    "FrameCacheBackend",
    "Limits",
    "OnMiss",
    "RequestError",
    "ResamplingGraph",
    "Serverside",
    "StoreMiss",
    "grid_columns",
    "grid_rows",
    "init",
    "read",
    "resample",
]

_RAISE = object()

_bind.install()


def init(
    app: Dash,
    cache: Cache | None = None,
    on_miss: OnMiss = "raise",
    session_check: bool = True,
    *,
    grace: float = 60,
    route: str = "/_framecache",
    authorize: Callable[[], bool] | None = None,
    limits: Limits | None = None,
    namespace: str | None = None,
) -> None:
    """Let the app's callbacks keep values on the server.

    Call it once, where the app is made; callbacks may be defined before or after.

    Parameters
    ----------
    app : Dash
        On Flask, Quart or FastAPI.
    cache : Cache, optional
        Where values are kept; ``framecache.Cache()``.
    on_miss : {"raise", "none", "recompute"}
        When a value is gone: raise `StoreMiss`, give None, or run the callback that made
        it again with the arguments it had then. What is forged, or of another session or
        store, is never recomputed.
    session_check : bool
        Only the session that made a value may read it. Needs cookies.
    grace : float
        Seconds a replaced value stays readable by its token, for callbacks under way.
    route : str
        Where the browser reads frames, below the app's prefix.
    authorize : callable, optional
        Called within a request to `route`; False refuses it.
    limits : Limits, optional
        How much one request to `route` may ask for.
    namespace : str, optional
        Whose `Serverside(key=...)` and reused results these are: apps that give the same
        share them. By default each app has its own, made of its root path, its name and
        its prefix.

    Raises
    ------
    AccessError
        The cache directory cannot be used: path, owner, mode and remedy.
    InvalidError
        ``FRAMECACHE_SECRET`` is too short.
    RuntimeError
        It was called before for this app.
    TypeError
        `app`, `cache`, `authorize`, `limits` or `namespace` is none.
    ValueError
        `on_miss`, `grace` or `route` is none.
    NotImplementedError
        The app is on another server.
    """
    if not isinstance(app, Dash):
        raise TypeError(f"app={app!r} is no dash.Dash")
    if not (limits is None or isinstance(limits, Limits)):
        raise TypeError(f"limits={limits!r} is no framecache.dash.Limits")
    if not (authorize is None or callable(authorize)):
        raise TypeError(f"authorize={authorize!r} cannot be called")
    if _store.of_app(app) is not None:
        raise RuntimeError("framecache.dash.init(app) was called before for this app")
    store = Store(cache, on_miss, session_check, grace, route, authorize)
    store.namespace = _namespace(app, namespace)
    if hasattr(app, "_initialized_server"):
        _add_route(app, store, limits)
    else:  # Dash(server=False): app.init_app(server) comes later
        _serve_later(app, store, limits)
    _store.attach(app, store)
    _bind.adopt(app)


def _namespace(app: Dash, given: str | None) -> str:
    if given is None:
        prefix = app.config.requests_pathname_prefix or "/"
        return _place.of_application(app.config.name, prefix=prefix)
    if not isinstance(given, str):
        raise TypeError(f"namespace={given!r}: a name is text")
    return given


def _add_route(app: Dash, store: Store, limits: Limits | None) -> None:
    _route.install(app, store.route, _reader(store), store.authorize, limits)
    _session.install(app)


def _serve_later(app: Dash, store: Store, limits: Limits | None) -> None:
    init_app = app.init_app

    def init_and_serve(*args: Any, **kwargs: Any) -> None:
        init_app(*args, **kwargs)
        del app.init_app  # the class's again
        _add_route(app, store, limits)

    app.init_app = init_and_serve  # type: ignore[method-assign]


def _reader(store: Store) -> Callable[[str, Any], Any]:
    def resolve(token: str, request: Any) -> Any:
        try:
            return store.for_browser(token, _session.current())
        except StoreMiss as miss:
            if store.on_miss != "recompute":
                raise
            _recompute.for_request(store, request, token, miss)
            return store.for_browser(token, _session.current())

    return resolve


def read(token: str, *, default: Any = _RAISE) -> Any:
    """The value of a token, within a request of one's own routes or a callback.

    Parameters
    ----------
    token : str
        As the browser has it.
    default : any, optional
        Instead of a value that is gone, or not for this session.

    Returns
    -------
    any
        The value in its kind; a frame's bytes are held while it lives.

    Raises
    ------
    StoreMiss
        It is gone, or not for this session, and no `default` is given.
    CookiesOff
        It is bound to a session, and the request has none.
    ValueError
        It is no token.
    RuntimeError
        There is no app with a store.
    """
    store = _store.current()
    if store is None:
        raise RuntimeError("no app with a store: call framecache.dash.init(app) first")
    if not _store.is_token(token):
        raise ValueError("not a token of framecache.dash")
    try:
        return store.fetch(token, _session.current(), "token")
    except StoreMiss:
        if default is _RAISE:
            raise
        return default
