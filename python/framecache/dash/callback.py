"""CallbackCache: callbacks registered on an object of their own, then on the app.

>>> cc = CallbackCache()                                        # doctest: +SKIP
>>> @cc.cached_callback(Output("store", "data"), Trigger("btn", "n_clicks"))
... def query():                                                # doctest: +SKIP
...     return px.data.gapminder()  # stays on the server
>>> @cc.callback(Output("dd", "options"), Input("store", "data"))
... def options(df):                                            # doctest: +SKIP
...     return sorted(df["year"].unique())
>>> cc.register(app)                                            # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dash import Dash

from .. import Cache
from . import _store, init
from ._backing import check_cache, frame_cache
from ._plan import Defaults, Trigger

__all__ = ["CallbackCache", "Trigger"]

F = TypeVar("F", bound=Callable[..., Any])


class CallbackCache:
    """Callbacks whose results stay on the server.

    Parameters
    ----------
    cache : optional
        Where they are kept: a framecache Cache (by default ``framecache.Cache()``), or
        any cache of Flask-Caching or cachelib.
    session_check : bool
        Whether a result is its session's alone; False shares results between sessions.
    instant_refresh : bool
        Compute each time. False: a result is reused while the arguments are the same, by
        all workers; the key is made of the function, its arguments and, with
        `session_check`, the session.
    namespace : str, optional
        As of `framecache.dash.init`: apps that give the same share results.
    """

    def __init__(
        self,
        cache: Cache | object | None = None,
        *,
        session_check: bool = True,
        instant_refresh: bool = True,
        namespace: str | None = None,
    ) -> None:
        check_cache(cache)
        self._cache = cache
        self._session_check = session_check
        self._instant_refresh = instant_refresh
        self._namespace = namespace
        self._callbacks: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
        self._app: Dash | None = None

    def callback(self, *args: Any, **kwargs: Any) -> Callable[[F], F]:
        """As ``app.callback``; arguments that are kept on the server come as they are.

        Parameters
        ----------
        *args, **kwargs
            Of ``app.callback``.

        Returns
        -------
        callable
            A decorator that gives the function back.
        """
        return self._collect(args, kwargs)

    def cached_callback(self, *args: Any, **kwargs: Any) -> Callable[[F], F]:
        """A callback of which all that the function returns stays on the server.

        Parameters
        ----------
        *args, **kwargs
            Of ``app.callback``; and ``cache``, ``session_check`` and ``instant_refresh``
            for this callback, other than the object's.

        Returns
        -------
        callable
            A decorator that gives the function back.
        """
        cache = kwargs.pop("cache", self._cache)
        check_cache(cache)
        bound = kwargs.pop("session_check", self._session_check)
        refresh = kwargs.pop("instant_refresh", self._instant_refresh)
        kwargs["framecache_kept"] = Defaults(cache, bound)
        kwargs["memoize"] = not refresh
        return self._collect(args, kwargs)

    def _collect(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[F], F]:
        def wrap(function: F) -> F:
            if self._app is not None:
                self._app.callback(*args, **kwargs)(function)
            else:
                self._callbacks.append((args, kwargs, function))
            return function

        return wrap

    def register(self, app: Dash) -> None:
        """Register the callbacks on the app; those defined later at once.

        Parameters
        ----------
        app : dash.Dash
            `framecache.dash.init` is called for it, unless it was.

        Raises
        ------
        AccessError
            The cache directory cannot be used: path, owner, mode and remedy.
        RuntimeError
            It was called before.
        """
        if self._app is not None:
            raise RuntimeError("register() was called before")
        if _store.of_app(app) is None:
            init(
                app,
                frame_cache(self._cache),
                session_check=self._session_check,
                namespace=self._namespace,
            )
        self._app = app
        for args, kwargs, function in self._callbacks:
            app.callback(*args, **kwargs)(function)
        self._callbacks.clear()
