"""The names of ``dash_extensions.enrich`` for values that stay on the server.

>>> from framecache.dash.enrich import Dash, ServersideOutput, Input, Trigger
>>> app = Dash(__name__)                                        # doctest: +SKIP
>>> @app.callback(ServersideOutput("store", "data"), Trigger("btn", "n_clicks"))
... def query():                                                # doctest: +SKIP
...     return px.data.gapminder()
"""

from __future__ import annotations

from typing import Any, TypedDict

import dash
from dash.dependencies import Input, Output, State

from .. import Cache
from . import init
from ._backing import check_cache, frame_cache
from ._plan import Defaults, ServersideOutput, Trigger

__all__ = [
    "Dash",
    "FileSystemStore",
    "FrameStore",
    "Input",
    "Output",
    "OutputDefaults",
    "ServersideOutput",
    "State",
    "Trigger",
]


class OutputDefaults(TypedDict, total=False):
    """What a ServersideOutput takes that does not say otherwise."""

    backend: object
    session_check: bool
    namespace: str


class FrameStore(Cache):
    """A framecache Cache as the backend of outputs."""


def FileSystemStore(cache_dir: str | None = None, **kwargs: Any) -> FrameStore:
    """A store in a directory: on tmpfs (the default's place) values are shared memory.

    Parameters
    ----------
    cache_dir : str, optional
        ``FRAMECACHE_DIR``, or the default.
    **kwargs
        ``default_timeout``: seconds that values live, 0 is for ever; ``threshold``:
        accepted, without effect, for bytes are counted and not files (``budget=``); and
        settings of `Cache`.

    Returns
    -------
    FrameStore

    Raises
    ------
    AccessError
        The directory cannot be used: path, owner, mode and remedy.
    """
    kwargs.pop("threshold", None)
    timeout = kwargs.pop("default_timeout", None)
    if timeout is not None:
        kwargs["ttl"] = "never" if timeout == 0 else timeout
    return FrameStore(cache_dir, **kwargs)


class Dash(dash.Dash):
    """Dash whose callbacks may have server-side outputs.

    Parameters
    ----------
    output_defaults : dict, optional
        ``backend`` (a `FileSystemStore`, a framecache Cache, or a cache of Flask-Caching
        or cachelib), ``session_check``, and ``namespace`` as of `framecache.dash.init`.
    *args, **kwargs
        Of `dash.Dash`.
    """

    def __init__(
        self, *args: Any, output_defaults: OutputDefaults | None = None, **kwargs: Any
    ) -> None:
        defaults: dict[str, Any] = dict(output_defaults or {})
        backend = defaults.pop("backend", None)
        check_cache(backend)
        check = bool(defaults.pop("session_check", True))
        namespace = defaults.pop("namespace", None)
        if defaults:
            raise TypeError(
                f"output_defaults: {sorted(defaults)}; there are backend, session_check, "
                "namespace"
            )
        self._framecache_defaults = Defaults(backend, check)
        super().__init__(*args, **kwargs)
        init(self, frame_cache(backend), session_check=check, namespace=namespace)

    def callback(self, *args: Any, **kwargs: Any) -> Any:
        """As `dash.Dash.callback`.

        Parameters
        ----------
        *args, **kwargs
            Of `dash.Dash.callback`; and ``memoize``: whether outputs are reused while the
            arguments are the same, by all workers.

        Returns
        -------
        callable
            A decorator.
        """
        kwargs["framecache_outputs"] = self._framecache_defaults
        return super().callback(*args, **kwargs)
