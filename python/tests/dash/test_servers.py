"""Dash on FastAPI and on Quart: cookies, callbacks, the route, WebSockets."""

import warnings
from collections.abc import Iterator
from typing import Any

import dash
import framecache
import framecache.dash
import pandas as pd
import pytest
from dash import Dash, Input, Output, dcc, html
from dash_tab import Tab
from framecache.dash import Serverside

with warnings.catch_warnings():  # of httpx, whose successor is not pinned here
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

FRAME = pd.DataFrame({"n": [1, 2, 3]})

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def new_app(backend: str, **options: Any) -> Dash:
    app = Dash("app", backend=backend, suppress_callback_exceptions=True, **options)
    framecache.dash.init(app, on_miss="recompute")
    app.layout = html.Div([dcc.Store(id="store"), html.Div(id="out")])

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME.head(clicks))

    @dash.callback(Output("out", "children"), Input("store", "data"))
    async def show(df: pd.DataFrame) -> Any:
        dash.set_props("out", {"title": Serverside([len(df)])})
        return f"{type(df).__name__} {len(df)}"

    @app.callback(Output("out", "id"), Input("out", "title"))
    def told(title: Any) -> Any:
        return str(title)

    return app


class Remote(Tab):
    """A tab of a server that is no Flask."""

    def __init__(self, app: Dash, client: TestClient) -> None:
        self.app, self.client, self.page = app, client, "page"

    def fire(self, output: str, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        reply = self.client.post(
            "/_dash-update-component?endId=page", json=self.body(output, inputs)
        )
        assert reply.status_code == 200, reply.text
        return reply.json()


@pytest.fixture(params=["fastapi", "quart"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tab(backend: str) -> Iterator[Remote]:
    app = new_app(backend)
    with TestClient(app.server) as client:
        yield Remote(app, client)


def test_the_page_brings_the_cookie_and_callbacks_get_values(tab: Remote) -> None:
    given = tab.client.get("/").headers["Set-Cookie"]
    assert given.startswith("framecache_session=")
    assert "HttpOnly; SameSite=Lax; Path=/" in given
    assert "Secure" not in given
    assert "Set-Cookie" not in tab.client.get("/").headers
    token = tab.get("store.data", {"btn.n_clicks": 2})
    answer = tab.fire("out.children", {"store.data": token})
    assert answer["response"]["out"]["children"] == "DataFrame 2"
    data = answer["sideUpdate"]["out"]["title"]
    assert tab.get("out.id", {"out.title": data}) == "[2]"
    served = tab.client.get("/_framecache", params={"token": token})
    assert served.status_code == 200


def test_what_is_gone_is_made_again_for_the_browser(tab: Remote) -> None:
    tab.client.get("/")
    token = tab.get("store.data", {"btn.n_clicks": 2})
    with framecache.Cache() as cache:
        cache.delete_prefix("dash/value/")
    served = tab.client.get("/_framecache", params={"token": token})
    assert served.status_code == 200


def test_over_https_the_cookie_is_secure(tab: Remote) -> None:
    for proto in ("https", "https, http"):
        tab.client.cookies.clear()
        reply = tab.client.get("/", headers={"X-Forwarded-Proto": proto})
        assert reply.headers["Set-Cookie"].endswith("; Secure")


def test_of_two_cookies_the_one_of_the_longer_path_counts(tab: Remote) -> None:
    """An app below another one's path: the browser sends its own cookie first."""
    tab.client.get("/")
    token = tab.get("store.data", {"btn.n_clicks": 2})
    own = tab.client.cookies["framecache_session"]
    tab.client.cookies.clear()
    tab.client.headers["Cookie"] = (
        f"framecache_session={own}; framecache_session={'x' * 32}"
    )
    answer = tab.fire("out.children", {"store.data": token})
    assert answer["response"]["out"]["children"] == "DataFrame 2"
    assert tab.client.get("/_framecache", params={"token": token}).status_code == 200


def test_another_session_and_no_session_get_nothing(tab: Remote, backend: str) -> None:
    tab.client.get("/")
    token = tab.get("store.data", {"btn.n_clicks": 2})
    for visit in (True, False):
        with TestClient(tab.app.server, raise_server_exceptions=False) as client:
            if visit:
                client.get("/")
            body = tab.body("out.children", {"store.data": token})
            reply = client.post("/_dash-update-component?endId=page", json=body)
            assert reply.status_code == 500
            assert "DataFrame" not in reply.text
            assert client.get("/_framecache", params={"token": token}).status_code == 403


def test_callbacks_by_websocket(backend: str) -> None:
    app = new_app(backend, websocket_callbacks=True)
    with TestClient(app.server) as client:
        client.get("/")
        tab = Remote(app, client)
        headers = {"origin": "http://testserver", "host": "testserver"}

        def ask(socket: Any, page: str, output: str, inputs: dict[str, Any]) -> list[Any]:
            socket.send_json(
                {
                    "type": "callback_request",
                    "rendererId": page,
                    "requestId": "1",
                    "payload": tab.body(output, inputs),
                }
            )
            told: list[Any] = []
            while not any(m["type"] == "callback_response" for m in told):
                message = socket.receive_json()
                told += message if isinstance(message, list) else [message]
            return told

        with client.websocket_connect("/_dash-ws-callback", headers=headers) as socket:
            tokens = []
            for page in ("one", "two"):
                (answer,) = ask(socket, page, "store.data", {"btn.n_clicks": 2})
                tokens.append(answer["payload"]["data"]["response"]["store"]["data"])
            for token in tokens:
                told = ask(socket, "one", "out.children", {"store.data": token})
                answer = told[-1]["payload"]["data"]["response"]
                assert answer["out"]["children"] == "DataFrame 2"
                assert "fct1." in str(told[:-1])
        slots = list(framecache.Cache().keys("dash/slot/"))
        assert len(slots) == 3  # store of two pages, out.title of one
