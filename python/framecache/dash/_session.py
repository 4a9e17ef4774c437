"""Whose request it is: a cookie of our own, which no script can read.

It is set with the page, before the first callback asks for anything, on each of Dash's
servers: by a hook of Flask, by a small ASGI middleware for Quart and FastAPI. The
middleware also remembers the cookies for what runs within the request, WebSockets too.
"""

from __future__ import annotations

import contextvars
import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from dash import Dash
from dash._callback_context import context_value

COOKIE = "framecache_session"
_SHAPE = re.compile(r"[A-Za-z0-9_-]{22,64}\Z")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_cookies: contextvars.ContextVar[Mapping[str, str] | None] = contextvars.ContextVar(
    "framecache_dash_cookies", default=None
)
_app: contextvars.ContextVar[Dash | None] = contextvars.ContextVar(
    "framecache_dash_app", default=None
)


def valid(cookie: object) -> str | None:
    """The session's id, if it is one that we might have given."""
    return cookie if isinstance(cookie, str) and _SHAPE.match(cookie) else None


def _requests_cookies() -> Mapping[str, str] | None:
    """The cookies of the request that is being answered, on any server."""
    cookies = _cookies.get()
    if cookies is not None:
        return cookies
    try:
        from flask import has_request_context, request
    except ImportError:
        return None
    return request.cookies if has_request_context() else None


def app_of_request(apps: list[Dash]) -> Dash | None:
    """Which of the apps, on any server, is asked by the request; or shares its server."""
    if _app.get() is not None:
        return _app.get()
    try:
        from flask import current_app, has_request_context, request
    except ImportError:
        return None
    if not has_request_context():
        return None
    server = current_app._get_current_object()  # type: ignore[attr-defined]
    here = [app for app in apps if app.server is server]
    asked = [app for app in here if request.path.startswith(_prefix(app))]
    return max(asked or here, key=lambda app: len(_prefix(app)), default=None)


def _prefix(app: Dash) -> str:
    return app.config.routes_pathname_prefix or "/"


def of_call(context: Mapping[str, Any]) -> str | None:
    """The session of a callback; in a background worker, of who started it.

    A request's own cookies come first: where Dash calls coroutines from Flask, a thread
    goes on with the context of the last callback that it ran.
    """
    cookies = _requests_cookies()
    if cookies is None:
        cookies = context.get("cookies") or {}
    return valid(cookies.get(COOKIE))


def current() -> str | None:
    """The session of the request, or of the background callback, that is under way."""
    return of_call(context_value.get({}))


def page_of(context: Mapping[str, Any]) -> bytes:
    """Names the page load: two tabs, or a tab loaded again, are two."""
    arguments = context.get("args") or {}
    page = arguments.get("endId", "")
    if isinstance(page, (list, tuple)):
        page = page[0] if page else ""
    socket = context.get("dash_websocket")
    page = page or getattr(socket, "_renderer_id", "")
    return hashlib.sha256(str(page).encode()).digest()[:12]


def _wanted(app: Dash, method: str, path: str, kind: str) -> bool:
    """Whether the answer is a page of the app, or its layout."""
    prefix = _prefix(app)
    if method != "GET" or not path.startswith(prefix):
        return False
    return kind.startswith("text/html") or path == f"{prefix}_dash-layout"


def _cookie_path(app: Dash) -> str:
    return app.config.requests_pathname_prefix or "/"


def install(app: Dash) -> None:
    """Have the app's server give each browser its cookie."""
    kind = app.backend.server_type
    if kind == "flask":
        _install_flask(app)
    elif kind == "fastapi":
        app.server.add_middleware(_Middleware, dash_app=app)
    elif kind == "quart":
        app.server.asgi_app = _Middleware(app.server.asgi_app, dash_app=app)
    else:
        raise NotImplementedError(
            f"framecache.dash knows Dash's servers Flask, Quart and FastAPI, not {kind!r}"
        )


def _install_flask(app: Dash) -> None:
    from flask import request

    def give(response: Any) -> Any:
        if valid(request.cookies.get(COOKIE)) is None and _wanted(
            app, request.method, request.path, response.content_type or ""
        ):
            proto = _outermost(request.headers.get("X-Forwarded-Proto", request.scheme))
            response.set_cookie(
                COOKIE,
                secrets.token_urlsafe(24),
                path=_cookie_path(app),
                secure=proto == "https",
                httponly=True,
                samesite="Lax",
            )
        return response

    app.server.after_request(give)


class _Middleware:
    """ASGI: remembers the cookies, and adds ours to the page."""

    def __init__(self, app: Any, dash_app: Dash) -> None:
        self.app = app
        self._dash = dash_app

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        cookies = _parsed(scope)
        token, asked = _cookies.set(cookies), _app.set(self._dash)
        known = valid(cookies.get(COOKIE)) is not None
        try:
            await self.app(scope, receive, send if known else self._giving(scope, send))
        finally:
            _cookies.reset(token)
            _app.reset(asked)

    def _giving(self, scope: Scope, send: Send) -> Send:
        async def give(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                kind = _header(headers, b"content-type")
                if _wanted(self._dash, scope["method"], scope["path"], kind):
                    headers.append((b"set-cookie", self._cookie(scope).encode()))
                    message["headers"] = headers
            await send(message)

        return give

    def _cookie(self, scope: Scope) -> str:
        proto = _outermost(
            _header(scope["headers"], b"x-forwarded-proto") or scope.get("scheme", "")
        )
        secure = "; Secure" if proto == "https" else ""
        return (
            f"{COOKIE}={secrets.token_urlsafe(24)}; HttpOnly; SameSite=Lax; "
            f"Path={_cookie_path(self._dash)}{secure}"
        )


def _outermost(protocols: str) -> str:
    """The browser's own protocol, of those that a row of proxies has listed."""
    return protocols.partition(",")[0].strip().lower()


def _header(headers: Any, name: bytes) -> str:
    found = [bytes(value) for key, value in headers if key.lower() == name]
    return b"; ".join(found).decode("latin-1")


def _parsed(scope: Scope) -> dict[str, str]:
    pairs = (
        part.partition("=") for part in _header(scope["headers"], b"cookie").split(";")
    )
    # Of two the first is that of the longer path: this app's, and not one's above.
    found: dict[str, str] = {}
    for name, _, value in pairs:
        found.setdefault(name.strip(), value.strip().strip('"'))
    return found
