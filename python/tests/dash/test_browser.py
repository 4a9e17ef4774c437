"""One smoke test per spelling, in a real browser."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dash
import framecache
import framecache.dash
import pandas as pd
import plotly.express as px
import pytest
from dash import Input, Output, State, clientside_callback, dcc, html
from framecache.dash import FrameCacheBackend, Serverside, enrich
from framecache.dash.callback import CallbackCache, Trigger
from werkzeug.serving import make_server

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
FRAME = pd.DataFrame(
    {"year": [1952, 1957, 1957], "land": ["a", "b", "c"], "pop": [1, 2, 3]}
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: scripts/setup installs it"),
    pytest.mark.skipif(
        "LD_PRELOAD" in os.environ, reason="Chromium does not run under a sanitizer"
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Serves an app and opens it; afterwards the page must have met no error."""
    servers: list[Any] = []
    errors: list[str] = []
    contexts: list[Any] = []

    def open_page(app: dash.Dash, context: Any = None) -> Any:
        server = make_server("127.0.0.1", 0, app.server, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        if context is None:
            context = chromium.new_context()
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        return page

    yield open_page
    for context in contexts:
        context.close()
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
    assert errors == []


def layout() -> html.Div:
    return html.Div(
        [
            html.Button("Query", id="btn"),
            dcc.Dropdown(id="dd", options=[1952, 1957], value=1957),
            dcc.Store(id="store"),
            dcc.Store(id="time"),
            dcc.Graph(id="graph"),
            html.Div(id="log"),
            html.Div(id="client"),
            html.Div(id="token"),
        ]
    )


def log_of(page: Any, text: str) -> None:
    page.wait_for_function(
        "text => document.querySelector('#log').innerText === text", arg=text
    )


def sunburst(df: pd.DataFrame) -> Any:
    return px.sunburst(df, path=["year", "land"], values="pop")


def test_callback_cache(visit: Callable[..., Any]) -> None:
    app = dash.Dash("app", prevent_initial_callbacks=True)
    app.layout = layout()
    cc = CallbackCache()

    @cc.cached_callback(Output("store", "data"), [Trigger("btn", "n_clicks")])
    def query() -> Any:
        return FRAME

    @cc.callback(
        [Output("log", "children"), Output("graph", "figure")],
        [Input("store", "data"), Input("dd", "value")],
    )
    def show(df: pd.DataFrame, year: int) -> Any:
        df = df.query(f"year == {year}")
        return f"{len(df)} rows", sunburst(df)

    cc.register(app)
    page = visit(app)
    page.click("#btn")
    log_of(page, "2 rows")
    page.wait_for_selector("#graph .sunburstlayer path")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
        "framecache_session", True, "Lax",
    )  # fmt: skip


def test_enrich(visit: Callable[..., Any]) -> None:
    app = enrich.Dash("app", prevent_initial_callbacks=True)
    app.layout = layout()

    @app.callback(
        [
            enrich.ServersideOutput("store", "data"),
            enrich.ServersideOutput("time", "data"),
        ],
        enrich.Trigger("btn", "n_clicks"),
        enrich.State("dd", "value"),
    )
    def query(year: int) -> Any:
        return FRAME.query(f"year == {year}"), sunburst(FRAME)

    @app.callback(
        enrich.Output("log", "children"),
        enrich.Output("graph", "figure"),
        enrich.Input("store", "data"),
        enrich.State("time", "data"),
    )
    def show(df: pd.DataFrame, figure: Any) -> Any:
        return f"{len(df)} rows", figure

    page = visit(app)
    page.click("#btn")
    log_of(page, "2 rows")
    page.wait_for_selector("#graph .sunburstlayer path")


def test_dash_extensions(visit: Callable[..., Any]) -> None:
    from dash_extensions import enrich as theirs

    app = theirs.DashProxy(
        "app",
        prevent_initial_callbacks=True,
        transforms=[theirs.ServersideOutputTransform(backends=[FrameCacheBackend()])],
    )
    app.layout = layout()

    @app.callback(theirs.Output("store", "data"), theirs.Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return theirs.Serverside(FRAME)

    @app.callback(theirs.Output("log", "children"), theirs.Input("store", "data"))
    def show(df: pd.DataFrame) -> Any:
        return f"{len(df)} rows"

    page = visit(app)
    page.click("#btn")
    log_of(page, "3 rows")


def plain_app(**options: Any) -> dash.Dash:
    app = dash.Dash("app", prevent_initial_callbacks=True)
    framecache.dash.init(app, **options)
    app.layout = layout()

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"), State("dd", "value"))
    def query(clicks: int, year: int) -> Any:
        return Serverside(FRAME.query(f"year == {year}"))

    clientside_callback(
        "function (token) { return token; }",  # passes on what it cannot read
        Output("time", "data"),
        Input("store", "data"),
    )
    clientside_callback(
        """async function (token) {
            const table = await window.framecache.table(token, {columns: ["pop"]});
            return [`${table.numRows} in the browser`, token];
        }""",
        [Output("client", "children"), Output("token", "children")],
        Input("store", "data"),
    )

    @dash.callback(Output("log", "children"), Input("time", "data"))
    def show(df: pd.DataFrame) -> str:
        return f"{len(df)} rows" if isinstance(df, pd.DataFrame) else f"text: {df}"

    return app


def test_plain_dash_and_clientside_chains(visit: Callable[..., Any]) -> None:
    page = visit(plain_app())
    page.click("#btn")
    log_of(page, "2 rows")
    page.wait_for_function(
        "document.querySelector('#client').innerText === '2 in the browser'"
    )
    token = page.inner_text("#token")
    assert len(token) == 125
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=os.path.join(os.environ["SCREENSHOTS"], "plain.png"))


def test_two_tabs_have_a_value_each(
    visit: Callable[..., Any], cache: framecache.Cache
) -> None:
    app = plain_app(grace=0)
    one = visit(app)
    one.click("#btn")
    log_of(one, "2 rows")
    two = visit(app, one.context)
    two.click("#btn")
    log_of(two, "2 rows")
    assert len(list(cache.keys("dash/value/"))) == 2
    two.evaluate(
        "token => dash_clientside.set_props('time', {data: token})", "fct1. text"
    )
    log_of(two, "text: fct1. text")
    token = one.inner_text("#token")
    two.evaluate("token => dash_clientside.set_props('time', {data: token})", token)
    log_of(two, "2 rows")  # of the same browser


def test_with_cookies_off_the_page_is_told(visit: Callable[..., Any]) -> None:
    app = plain_app()
    app.enable_dev_tools(debug=True, dev_tools_hot_reload=False)
    serve = app.server.wsgi_app

    def without_cookies(environ: dict[str, Any], start: Any) -> Any:
        environ.pop("HTTP_COOKIE", None)
        return serve(environ, start)

    app.server.wsgi_app = without_cookies
    page = visit(app)
    with page.expect_response(
        lambda reply: '"output":"store.data"' in (reply.request.post_data or "")
    ) as answer:
        page.click("#btn")
    assert answer.value.status == 500
    assert "store.data: the request has no cookie" in answer.value.text()
