"""The route of the browser, on whichever server Dash runs: Flask, Quart or FastAPI."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from .._errors import Error, MissError
from .._frame import Frame
from ._query import Limits, RequestError
from ._serve import Answer, answer, refusal

if TYPE_CHECKING:
    import dash

SCRIPT = pathlib.Path(__file__).parent / "assets" / "framecache.js"
_FORGED = ("forged", "other session", "other store", "other host")
_NOT_YOURS = "not a token of this session and store: another's, or forged"


def install(
    app: dash.Dash,
    route: str,
    resolve: Callable[[str, Any], Any],
    authorize: Callable[[], bool] | None = None,
    limits: Limits | None = None,
) -> None:
    """Serve frames below `route`, and give pages ``window.framecache``.

    Parameters
    ----------
    app : dash.Dash
    route : str
        Begins with a slash; below the app's own prefix.
    resolve : callable
        Token and request (Dash's adapter) to the value; raises `MissError`, with reason
        "forged" if the token does not verify for this session and store.
    authorize : callable, optional
        Asked at each request, within its context: False refuses it.
    limits : Limits, optional
    """
    if not route.startswith("/") or route == "/" or route.endswith("/"):
        raise ValueError(f"route {route!r} is no path such as '/_framecache'")

    def respond(request: Any) -> Answer:
        return _respond(request, resolve, authorize, limits)

    app._add_url(route[1:], _VIEWS[app.backend.server_type](app, respond))
    _give_script(app, route)


def _give_script(app: dash.Dash, route: str) -> None:
    """Dash serves it with a fingerprint in its name, so that browsers keep it."""
    if not SCRIPT.exists():
        text = f"{SCRIPT} is missing: no window.framecache. scripts/build-js makes it"
        warnings.warn(text, RuntimeWarning, stacklevel=4)
        return
    address = app.config.requests_pathname_prefix.rstrip("/") + route
    script = {
        "namespace": "framecache",
        "relative_package_path": "dash/assets/framecache.js",
        "attributes": {"data-route": address},
    }
    app.scripts.append_script(script)


def _respond(
    request: Any,
    resolve: Callable[[str, Any], Any],
    authorize: Callable[[], bool] | None,
    limits: Limits | None,
) -> Answer:
    """Who asks comes before what is asked, so that refusals tell strangers nothing."""
    try:
        if authorize is not None and not authorize():
            raise RequestError(403, "authorize", "the application refuses this request")
        token = request.args.get("token")
        if not token:
            raise RequestError(400, "token", "no token: ?token=..., and perhaps &q={...}")
        frame = _frame(resolve, token, request)
        _check_pyarrow()
        return answer(
            frame,
            request.args.get("q"),
            limits=limits,
            if_none_match=request.headers.get("If-None-Match", ""),
            accept_encoding=request.headers.get("Accept-Encoding", ""),
        )
    except RequestError as error:
        return refusal(error)


def _check_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        text = "this server cannot serve frames: pyarrow is not installed there (pip "
        text += "install 'framecache[dash]')"
        raise RequestError(501, "pyarrow", text) from None


def _frame(resolve: Callable[[str, Any], Any], token: str, request: Any) -> Frame:
    try:
        value = resolve(token, request)
    except MissError as error:
        reason = str(error.reason)
        if reason in _FORGED:
            raise RequestError(403, "forged", _NOT_YOURS) from None
        text = f"the value is gone: {reason}"
        raise RequestError(410, reason, text) from None
    except Error as error:
        raise RequestError(503, "store", f"the store cannot be read: {error}") from None
    if not isinstance(value, Frame):
        kind = type(value).__name__
        raise RequestError(415, "value", f"the value is a {kind}, which is no table")
    return value


# ---- A view for each of Dash's servers ----

_Respond = Callable[[Any], Answer]


def _flask(app: dash.Dash, respond: _Respond) -> Callable[..., Any]:
    import flask

    def framecache_route() -> Any:
        given = respond(app.backend.request_adapter())
        reply = flask.Response(given.body, given.status)
        _set_headers(reply.headers, given)
        return reply

    return framecache_route


def _quart(app: dash.Dash, respond: _Respond) -> Callable[..., Any]:
    import quart

    def framecache_route() -> Any:  # Quart runs it in a thread
        given = respond(app.backend.request_adapter())
        reply = quart.Response(_asynchronous(given.body), given.status)
        _set_headers(reply.headers, given)
        return reply

    return framecache_route


def _fastapi(app: dash.Dash, respond: _Respond) -> Callable[..., Any]:
    from dash.backends import _fastapi as dash_fastapi
    from starlette.requests import Request
    from starlette.responses import StreamingResponse

    def framecache_route(request: Any) -> Any:  # FastAPI runs it in a thread
        # Dash tells its adapter of requests for its own paths only.
        token = dash_fastapi.set_current_request(request)
        try:
            given = respond(app.backend.request_adapter())
        finally:
            dash_fastapi.reset_current_request(token)
        return StreamingResponse(given.body, given.status, given.headers)

    framecache_route.__annotations__["request"] = Request
    return framecache_route


def _set_headers(headers: Any, given: Answer) -> None:
    if "Content-Type" not in given.headers:
        headers.pop("Content-Type", None)
    for name, value in given.headers.items():
        headers[name] = value


async def _asynchronous(body: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The body's pieces, each made in a thread, so that the event loop goes on."""
    import asyncio

    while (piece := await asyncio.to_thread(next, body, None)) is not None:
        yield piece


_VIEWS: dict[str, Callable[[dash.Dash, _Respond], Callable[..., Any]]] = {
    "flask": _flask,
    "fastapi": _fastapi,
    "quart": _quart,
}
