"""The route on each of Dash's servers: who may ask, and what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import dash
import framecache
import pyarrow as pa
import pytest
from framecache.dash import Limits, _route

SERVERS = ("flask", "fastapi", "quart")


class Reply:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def error(self) -> dict[str, str]:
        told: dict[str, str] = json.loads(self.body)
        return told


Get = Callable[..., Reply]


def client(app: dash.Dash) -> Get:
    """A function that gets a path with parameters and headers, on any server."""
    kind = app.backend.server_type
    if kind == "flask":
        flask_client = app.server.test_client()

        def get(path: str, headers: Any = None, **parameters: str) -> Reply:
            got = flask_client.get(path, query_string=parameters, headers=headers)
            return Reply(got.status_code, got.headers, got.data)
    elif kind == "quart":

        def get(path: str, headers: Any = None, **parameters: str) -> Reply:
            async def ask() -> Reply:
                quart_client = app.server.test_client()
                got = await quart_client.get(
                    path, query_string=parameters, headers=headers
                )
                return Reply(got.status_code, got.headers, await got.get_data())

            return asyncio.run(ask())
    else:
        import httpx

        def get(path: str, headers: Any = None, **parameters: str) -> Reply:
            async def ask() -> Reply:
                transport = httpx.ASGITransport(app.server)
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://test"
                ) as web:
                    got = await web.get(path, params=parameters, headers=headers)
                    return Reply(got.status_code, got.headers, got.content)

            return asyncio.run(ask())

    return get


class Store:
    """Values by token, as the session's store hands them out."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.allowed = True

    def resolve(self, token: str, request: Any) -> Any:
        value = self.values.get(token)
        if isinstance(value, Exception):
            raise value
        if value is None:
            raise miss("forged")
        return value


def miss(reason: str) -> framecache.MissError:
    error = framecache.MissError(f"secret-key-of-another: {reason}")
    error.reason = reason
    return error


@pytest.fixture(params=SERVERS)
def store(request: pytest.FixtureRequest, cache: framecache.Cache) -> Iterator[Store]:
    store = Store()
    backend = None if request.param == "flask" else request.param
    app = dash.Dash(__name__, **({"backend": backend} if backend else {}))
    app.layout = dash.html.Div("page")
    _route.install(app, "/_framecache", store.resolve, lambda: store.allowed)
    store.get = client(app)  # type: ignore[attr-defined]
    frame = cache.put("secret-key", pa.table({"x": list(range(100_000))}))
    store.values = {
        "good": frame,
        "gone": miss("expired"),
        "theirs": miss("other session"),
        "text": "a text",
    }
    yield store
    frame.release()


def test_frame_comes_as_a_stream(store: Any) -> None:
    got = store.get("/_framecache", token="good")
    assert got.status == 200
    assert got.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert got.headers["Cache-Control"] == "private, no-cache"
    assert pa.ipc.open_stream(got.body).read_all()["x"].to_pylist()[-1] == 99_999
    got = store.get("/_framecache", token="good", q='{"rows": [5, 7]}')
    assert pa.ipc.open_stream(got.body).read_all()["x"].to_pylist() == [5, 6]


def test_what_the_browser_has_is_not_sent_again(store: Any) -> None:
    tag = store.get("/_framecache", token="good").headers["ETag"]
    got = store.get("/_framecache", token="good", headers={"If-None-Match": tag})
    assert (got.status, got.body) == (304, b"")
    assert got.headers["ETag"] == tag


def test_browser_that_has_it_is_still_refused_when_it_may_not(store: Any) -> None:
    tag = store.get("/_framecache", token="good").headers["ETag"]
    store.allowed = False
    got = store.get("/_framecache", token="good", headers={"If-None-Match": tag})
    assert (got.status, got.error["reason"]) == (403, "authorize")


@pytest.mark.parametrize(
    ("parameters", "status", "reason"),
    [
        ({}, 400, "token"),
        ({"token": ""}, 400, "token"),
        ({"token": "unheard"}, 403, "forged"),
        ({"token": "theirs"}, 403, "forged"),
        ({"token": "gone"}, 410, "expired"),
        ({"token": "text"}, 415, "value"),
        ({"token": "good", "q": '{"columns": ["nope"]}'}, 400, "column"),
        ({"token": "good", "q": '{"rows": [-1, 5]}'}, 400, "rows"),
        (
            {"token": "good", "q": '{"downsample": {"y": "x", "points": 1000000}}'},
            413,
            "downsample",
        ),
        ({"token": "unheard", "q": '{"columns": ["nope"]}'}, 403, "forged"),
    ],
)
def test_refusals_have_a_status_and_words(
    store: Any, parameters: dict[str, str], status: int, reason: str
) -> None:
    got = store.get("/_framecache", **parameters)
    assert (got.status, got.error["reason"]) == (status, reason)
    assert got.error["error"]
    assert got.headers["Cache-Control"] == "no-store"
    assert b"secret-key" not in got.body


def test_another_sessions_token_is_answered_as_a_forged_one(store: Any) -> None:
    theirs = store.get("/_framecache", token="theirs")
    forged = store.get("/_framecache", token="unheard")
    assert (theirs.status, theirs.body) == (forged.status, forged.body)


def test_page_loads_the_script_and_is_told_the_route(store: Any) -> None:
    page = store.get("/").body.decode()
    tag = re.search(r"<script[^>]*framecache/dash/assets/framecache[^>]*>", page)
    assert tag, page
    assert 'data-route="/_framecache"' in tag[0]
    source = re.search(r'src="([^"]+)"', tag[0])
    assert source
    script = store.get(source[1])
    assert script.status == 200
    assert b"framecache=(()=>" in script.body


def test_route_is_below_the_prefix_of_the_app() -> None:
    app = dash.Dash(__name__, url_base_pathname="/below/")
    app.layout = dash.html.Div()
    _route.install(app, "/frames", Store().resolve)
    get = client(app)
    assert get("/below/frames", token="x").status == 403
    assert 'data-route="/below/frames"' in get("/below/").body.decode()


def test_limits_are_those_of_the_app(cache: framecache.Cache) -> None:
    app = dash.Dash(__name__)
    app.layout = dash.html.Div()
    store = Store()
    _route.install(app, "/frames", store.resolve, limits=Limits(rows=2))
    with cache.put("k", pa.table({"x": [1, 2, 3]})) as frame:
        store.values["good"] = frame
        got = client(app)("/frames", token="good")
    assert got.status == 413
    assert "3 rows, at most 2" in got.error["error"]


@pytest.mark.parametrize("route", ["frames", "/", "/frames/", ""])
def test_route_must_be_a_path(route: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        _route.install(dash.Dash(__name__), route, Store().resolve)


def test_without_pyarrow_the_answer_says_so(
    cache: framecache.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    app = dash.Dash(__name__)
    app.layout = dash.html.Div()
    store = Store()
    _route.install(app, "/frames", store.resolve)
    with cache.put("k", pa.table({"x": [1]})) as frame:
        store.values["good"] = frame
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        got = client(app)("/frames", token="good")
    assert got.status == 501
    assert got.error["reason"] == "pyarrow"
    assert "pip install 'framecache[dash]'" in got.error["error"]
