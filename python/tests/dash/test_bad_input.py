"""What the browser may send that is not what the server gave: never another's value."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dash
import flask
import framecache
import framecache.dash
import pandas as pd
import pytest
from dash import Dash, Input, Output, dcc, html
from dash_tab import Tab
from framecache.dash import CookiesOff, Serverside, StoreMiss, _store

FRAME = pd.DataFrame({"secret": ["Kant", "Hume", "Mill"]})


def new_app(
    cache: framecache.Cache | None = None,
    ttl: Any = None,
    frame: pd.DataFrame = FRAME,
    **options: Any,
) -> Dash:
    app = Dash("app", suppress_callback_exceptions=True)
    framecache.dash.init(app, cache, **options)
    app.layout = html.Div([dcc.Store(id="store"), html.Div(id="out")])

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(frame, ttl=ttl)

    @app.callback(Output("out", "children"), Input("store", "data"))
    def show(data: Any) -> str:
        return f"text: {data}" if isinstance(data, str) else type(data).__name__

    return app


def query(tab: Tab) -> str:
    return str(tab.get("store.data", {"btn.n_clicks": 1}))


token_of = query


def show(tab: Tab, value: Any) -> Any:
    return tab.get("out.children", {"store.data": value})


def miss_of(tab: Tab, token: str) -> StoreMiss:
    with pytest.raises(StoreMiss) as caught:
        show(tab, token)
    assert caught.value.component == "store.data"
    assert str(caught.value).startswith("store.data: ")
    return caught.value


def test_user_text_that_begins_as_a_token_stays_text() -> None:
    tab = Tab(new_app())
    token = query(tab)
    for text in (
        token[:5],
        token[:8] + "hello",
        "fct1.",
        token + " pasted",
        "fct1.x" * 20,
    ):
        assert show(tab, text) == f"text: {text}"


@pytest.mark.parametrize("change", ["sign", "key", "short", "long", "half"])
def test_a_forged_or_truncated_token_is_a_miss(change: str) -> None:
    tab = Tab(new_app())
    token = query(tab)
    other = {
        "sign": token[:-1] + ("A" if token[-1] != "A" else "B"),
        "key": token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
        "short": token[:-1],
        "long": token + "A",
        "half": token[: len(token) // 2],
    }[change]
    miss = miss_of(tab, other)
    assert miss.reason == "forged"
    assert "Kant" not in str(miss)
    assert show(tab, token) == "DataFrame"


def test_a_token_of_another_session_is_a_miss() -> None:
    app = new_app()
    mine, theirs = Tab(app), Tab(app)
    miss = miss_of(theirs, query(mine))
    assert miss.reason == "forged"
    assert "another session" in str(miss)


def test_a_token_of_a_store_with_another_secret_is_a_miss(directory: str) -> None:
    tab = Tab(new_app())
    with framecache.Cache(directory + "-other", budget="64MiB", capacity=64) as other:
        stranger = Tab(new_app(other))
        stranger.client.set_cookie("framecache_session", tab.cookie or "")
        assert miss_of(stranger, query(tab)).reason == "forged"


def test_a_token_of_another_store_of_the_same_secret_is_a_miss(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMECACHE_SECRET", "the secret of all the hosts")
    tab = Tab(new_app())
    with framecache.Cache(directory + "-other", budget="64MiB", capacity=64) as other:
        stranger = Tab(new_app(other))
        stranger.client.set_cookie("framecache_session", tab.cookie or "")
        miss = miss_of(stranger, query(tab))
        assert miss.reason == "other host"
        assert miss.age is not None
        assert directory + "-other" in str(miss)


def test_a_token_of_another_host_is_a_miss() -> None:
    app = new_app()
    tab = Tab(app)
    token = query(tab)
    store = _store.of_app(app)
    assert store is not None
    store._host = b"else"
    miss = miss_of(tab, token)
    assert miss.reason == "other host"
    assert "on another host" in str(miss)


def test_an_expired_value_is_a_miss_with_its_age(cache: framecache.Cache) -> None:
    tab = Tab(new_app(cache, ttl=0.05))
    token = query(tab)
    time.sleep(0.1)
    miss = miss_of(tab, token)
    assert miss.reason == "expired"
    assert miss.age is not None
    assert 0 <= miss.age < 60
    assert "longer ttl" in str(miss)


def test_an_evicted_value_is_a_miss(directory: str) -> None:
    with framecache.Cache(directory, budget="8MiB", capacity=64, cold=False) as cache:
        tab = Tab(new_app(cache, frame=pd.DataFrame({"x": range(400_000)})))
        token = query(tab)
        for number in range(20):
            cache.put(f"other {number}", pd.DataFrame({"x": range(100_000)})).release()
        miss = miss_of(tab, token)
        assert miss.reason == "evicted"
        assert "FRAMECACHE_BUDGET" in str(miss)


def test_what_nobody_remembers_was_evicted(cache: framecache.Cache) -> None:
    tab = Tab(new_app(cache))
    token = query(tab)
    store = _store.of_app(tab.app)
    assert store is not None
    found = store.locate(token, tab.cookie, "store.data")
    never = framecache.NeverExisted("no such key")
    miss = store.gone(never, found, "store.data")
    assert (miss.reason, miss.age) == ("evicted", None)


def test_a_miss_is_a_key_error_and_survives_pickling() -> None:
    import pickle

    app = new_app()
    mine, theirs = Tab(app), Tab(app)
    miss = pickle.loads(pickle.dumps(miss_of(theirs, query(mine))))
    assert isinstance(miss, KeyError)
    assert (miss.component, miss.reason, miss.age) == ("store.data", "forged", None)
    assert str(miss).startswith("store.data: ")


# ---- Cookies ----


def test_the_cookie_is_no_scripts_and_no_other_sites() -> None:
    client = new_app().server.test_client()
    given = client.get("/").headers["Set-Cookie"]
    assert given.startswith("framecache_session=")
    assert "HttpOnly" in given
    assert "SameSite=Lax" in given
    assert "Secure" not in given
    assert "Set-Cookie" not in client.get("/").headers  # once
    for headers, base in (
        ({}, "https://x/"),
        ({"X-Forwarded-Proto": "https"}, None),
        ({"X-Forwarded-Proto": "HTTPS, http"}, None),  # a row of proxies
    ):
        fresh = new_app().server.test_client()
        reply = fresh.get("/", headers=headers, base_url=base)
        assert "Secure" in reply.headers["Set-Cookie"]


def test_no_cookie_comes_with_what_may_be_cached_or_is_anothers() -> None:
    server = flask.Flask("server")
    app = Dash("app", server=server, url_base_pathname="/app/")
    framecache.dash.init(app)
    app.layout = html.Div()
    server.add_url_rule("/other", view_func=lambda: "a page of the server's own")
    client = server.test_client()
    for path in ("/other", "/app/_dash-dependencies", "/app/_favicon.ico"):
        assert "Set-Cookie" not in client.get(path).headers
    assert "Path=/app/" in client.get("/app/").headers["Set-Cookie"]


@pytest.mark.parametrize("cookie", ["", "x", "a b" * 20, "é" * 30, "A" * 500, "../" * 10])
def test_a_cookie_that_we_did_not_make_is_none(cookie: str) -> None:
    tab = Tab(new_app(), visit=False)
    tab.client.set_cookie("framecache_session", cookie)
    with pytest.raises(CookiesOff):
        query(tab)


def test_with_cookies_off_callbacks_that_use_the_store_say_so() -> None:
    app = new_app()
    on = Tab(app)
    token = query(on)
    off = Tab(app, visit=False)
    with pytest.raises(CookiesOff, match=r"store\.data: .*session_check=False"):
        query(off)
    with pytest.raises(CookiesOff, match=r"store\.data: .*Cookies are off"):
        show(off, token)
    assert show(off, "fct1. text") == "text: fct1. text"  # others work


def test_an_endpoint_of_a_callback_is_called_for_nobodys_session() -> None:
    app = new_app()

    @app.callback(
        Output("rows", "children"), Input("store", "data"), api_endpoint="/rows"
    )
    async def rows(data: Any) -> str:
        return type(data).__name__

    app.callback_api_paths = {}
    app.setup_apis()
    mine, theirs = Tab(app), Tab(app)
    token = query(mine)
    assert mine.get("rows.children", {"store.data": token}) == "DataFrame"
    reply = theirs.client.post("/rows", json={"data": token})  # in the same thread
    assert reply.json == "str"


def test_without_the_session_check_no_cookie_is_needed() -> None:
    app = new_app(session_check=False)
    off = Tab(app, visit=False)
    token = query(off)
    assert show(off, token) == "DataFrame"
    assert show(Tab(app), token) == "DataFrame"


def test_an_app_whose_server_comes_later_has_cookie_and_route() -> None:
    app = Dash("app", server=False)
    framecache.dash.init(app)
    app.layout = html.Div()

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME)

    server = flask.Flask("server")
    app.init_app(server)
    app.init_app(server)
    tab = Tab(app)
    assert tab.cookie is not None
    served = tab.client.get("/_framecache", query_string={"token": token_of(tab)})
    assert served.status_code == 200


# ---- on_miss ----


def test_on_miss_none() -> None:
    app = new_app(on_miss="none", ttl=0.05)
    tab = Tab(app)
    token = query(tab)
    time.sleep(0.1)
    assert show(tab, token) == "NoneType"
    assert show(Tab(app), token) == "NoneType"
    assert show(tab, token[:-1]) == "NoneType"


def recomputing(cache: framecache.Cache, takes: float = 0.0) -> tuple[Tab, list[Any]]:
    """Two callbacks in a row, and which of them ran."""
    app = Dash("app", suppress_callback_exceptions=True)
    framecache.dash.init(app, cache, on_miss="recompute")
    app.layout = html.Div()
    ran: list[Any] = []

    @app.callback(
        Output("a", "data"),
        Output("b", "data"),
        Input("btn", "n_clicks"),
        prevent_initial_call=True,
    )
    async def first(clicks: int) -> Any:
        ran.append(("first", clicks, dash.ctx.triggered_id))
        await asyncio.sleep(takes)
        return {"frames": [Serverside(pd.DataFrame({"n": [clicks] * clicks}))]}, "plain"

    @app.callback(Output("c", "data"), Input("a", "data"))
    def second(data: Any) -> Any:
        ran.append("second")
        return Serverside(int(data["frames"][0].n.sum()))

    @app.callback(Output("out", "children"), Input("c", "data"))
    def third(total: int) -> int:
        return total

    return Tab(app), ran


def test_on_miss_recompute_runs_what_made_the_value_with_its_arguments(
    cache: framecache.Cache,
) -> None:
    tab, ran = recomputing(cache)
    data = tab.fire("..a.data...b.data..", {"btn.n_clicks": 7})["response"]["a"]["data"]
    token = tab.get("c.data", {"a.data": data})
    assert tab.get("out.children", {"c.data": token}) == 49
    assert len(ran) == 2
    cache.delete_prefix("dash/value/")
    assert tab.get("out.children", {"c.data": token}) == 49
    assert ran[2:] == [("first", 7, "btn"), "second"]
    assert tab.get("out.children", {"c.data": token}) == 49  # back under its key
    assert len(ran) == 4
    cache.delete_prefix("dash/value/")  # gone again before a moment is over
    assert tab.get("out.children", {"c.data": token}) == 49
    assert len(ran) == 6


def test_on_miss_recompute_runs_a_slow_callback_once_for_each_time_it_is_gone(
    cache: framecache.Cache,
) -> None:
    tab, ran = recomputing(cache, takes=0.5)
    data = tab.fire("..a.data...b.data..", {"btn.n_clicks": 2})["response"]["a"]["data"]
    token = tab.get("c.data", {"a.data": data})
    for gone in range(1, 6):
        cache.delete_prefix("dash/value/")
        assert tab.get("out.children", {"c.data": token}) == 4
        assert len(ran) == 2 + 2 * gone


def test_a_frame_that_the_browser_asks_for_is_made_again_too(
    cache: framecache.Cache,
) -> None:
    tab, ran = recomputing(cache)
    data = tab.fire("..a.data...b.data..", {"btn.n_clicks": 7})["response"]["a"]["data"]
    asked = {"token": data["frames"][0], "q": '{"rows": [0, 2]}'}
    kept = tab.client.get("/_framecache", query_string=asked)
    cache.delete_prefix("dash/value/")
    again = tab.client.get("/_framecache", query_string=asked)
    assert (again.status_code, again.data) == (200, kept.data)
    assert ran[1:] == [("first", 7, "btn")]
    cache.delete_prefix("dash/value/")
    stranger = Tab(tab.app).client.get("/_framecache", query_string=asked)
    assert stranger.status_code == 403
    cache.delete_prefix("dash/")
    gone = tab.client.get("/_framecache", query_string=asked)
    assert (gone.status_code, gone.json["reason"]) == (410, "deleted")
    assert len(ran) == 2


def test_a_callback_that_gives_nothing_now_leaves_the_browsers_frame_gone(
    cache: framecache.Cache,
) -> None:
    app = new_app(cache, on_miss="recompute")
    given = [pd.DataFrame({"n": [1]})]

    @app.callback(Output("once", "data"), Input("go", "n_clicks"))
    def once(clicks: int) -> Any:
        if not given:
            raise dash.exceptions.PreventUpdate
        return Serverside(given.pop())

    tab = Tab(app)
    token = tab.get("once.data", {"go.n_clicks": 1})
    cache.delete_prefix("dash/value/")
    gone = tab.client.get("/_framecache", query_string={"token": token})
    assert (gone.status_code, gone.json["reason"]) == (410, "deleted")


def test_what_cannot_be_recomputed_is_a_miss(cache: framecache.Cache) -> None:
    tab, ran = recomputing(cache)
    data = tab.fire("..a.data...b.data..", {"btn.n_clicks": 7})["response"]["a"]["data"]
    token = tab.get("c.data", {"a.data": data})
    cache.delete_prefix("dash/")
    with pytest.raises(StoreMiss) as miss:
        tab.get("out.children", {"c.data": token})
    assert miss.value.reason == "deleted"
    with pytest.raises(StoreMiss) as miss:
        tab.get("out.children", {"c.data": token[:-1]})
    assert miss.value.reason == "forged"
    assert len(ran) == 2


def test_a_replaced_values_note_goes_with_it(cache: framecache.Cache) -> None:
    tab, _ = recomputing(cache)
    for clicks in range(1, 5):
        tab.fire("..a.data...b.data..", {"btn.n_clicks": clicks})
    forever = [i for i in cache.infos("dash/note/") if i["expires"] is None]
    assert len(forever) == 1


def test_arguments_too_large_to_note_are_not_noted(cache: framecache.Cache) -> None:
    app = new_app(cache, on_miss="recompute")
    tab = Tab(app)
    tab.get("store.data", {"btn.n_clicks": "x" * 100_000})
    assert list(cache.keys("dash/note/")) == []


# ---- In one's own routes ----


def test_read_gives_the_value_in_ones_own_routes() -> None:
    app = new_app()

    def rows() -> str:
        return str(len(framecache.dash.read(flask.request.args["token"])))

    def or_none() -> str:
        return str(framecache.dash.read(flask.request.args["token"], default=None))

    app.server.add_url_rule("/rows", view_func=rows)
    app.server.add_url_rule("/or-none", view_func=or_none)
    mine, theirs = Tab(app), Tab(app)
    token = query(mine)
    assert mine.client.get("/rows", query_string={"token": token}).text == "3"
    for path in ("/rows", "/_framecache"):
        with ThreadPoolExecutor(1) as fresh:  # a thread that has run no callback
            asked = fresh.submit(mine.client.get, path, query_string={"token": token})
        assert asked.result().status_code == 200
    with pytest.raises(StoreMiss):
        theirs.client.get("/rows", query_string={"token": token})
    assert theirs.client.get("/or-none", query_string={"token": token}).text == "None"
    with pytest.raises(ValueError, match="not a token"):
        mine.client.get("/rows", query_string={"token": "fct1.text"})


def test_read_knows_the_app_of_the_request_and_of_the_callback() -> None:
    server = flask.Flask("server")
    apps = []
    for prefix in ("/one/", "/two/"):
        app = Dash("app", server=server, url_base_pathname=prefix)
        framecache.dash.init(app, on_miss="none", session_check=prefix == "/one/")
        app.layout = html.Div()
        apps.append(app)
    seen: list[Any] = []

    def look() -> str:
        store = _store.current()
        seen.append(store and store.label)
        return ""

    for path in ("/one/own", "/two/own", "/other"):
        server.add_url_rule(path, path, view_func=look)
    client = server.test_client()
    for path in ("/two/own", "/one/own", "/two/own"):
        client.get(path)
    labels = [getattr(_store.of_app(app), "label", "") for app in apps]
    assert seen == [labels[1], labels[0], labels[1]]
    app = new_app()

    @app.callback(Output("rows", "children"), Input("store", "data"))
    def rows(df: pd.DataFrame) -> int:
        token = dash.ctx.inputs["store.data"]
        return len(framecache.dash.read(token))

    tab = Tab(app)
    assert tab.get("rows.children", {"store.data": query(tab)}) == 3


def test_the_browsers_route_serves_only_its_own_session() -> None:
    app = new_app()
    mine, theirs, off = Tab(app), Tab(app), Tab(app, visit=False)
    token = query(mine)
    own = mine.client.get("/_framecache", query_string={"token": token})
    assert own.status_code == 200
    assert b"Kant" in own.data
    other = f"fct2{token[4:]}"  # what is signed is right
    refused = ((theirs, token), (off, token), (mine, token[:-1]), (mine, "text"))
    for tab, given in (*refused, (mine, other)):
        reply = tab.client.get("/_framecache", query_string={"token": given})
        assert reply.status_code == 403
        assert b"Kant" not in reply.data


# ---- Workers ----

_WORKER = """
import os, sys
sys.path.insert(0, {folder!r})
from test_bad_input import new_app
app = new_app()
app.run(port=int(sys.argv[1]))
"""


def test_a_worker_restarted_between_callbacks_still_knows_the_value(
    tmp_path: Path,
) -> None:
    import requests

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = _WORKER.format(folder=os.path.dirname(__file__))
    url = f"http://127.0.0.1:{port}/"
    tab = Tab(new_app(), visit=False)
    session = requests.Session()

    def post(output: str, inputs: dict[str, Any]) -> Any:
        body = tab.body(output, inputs)
        reply = session.post(
            url + "_dash-update-component?endId=a", json=body, timeout=300
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["response"]

    token = None
    for _ in range(2):
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-c", program, str(port)], stdout=log, stderr=log
            )
        try:
            for _ in range(300):
                try:
                    session.get(url, timeout=300)
                    break
                except requests.ConnectionError:
                    assert worker.poll() is None, (tmp_path / "log").read_text()
                    time.sleep(0.1)
            if token is None:
                token = post("store.data", {"btn.n_clicks": 1})["store"]["data"]
            shown = post("out.children", {"store.data": token})
            assert shown["out"]["children"] == "DataFrame"
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("version", ["4.4.0", "3.9", "4.4.0rc1"])
def test_a_dash_that_does_not_tell_tabs_apart_is_refused_by_name(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dash, "__version__", version)
    with pytest.raises(ImportError, match=rf"4\.4\.1 or later.*{version}.*pip install"):
        framecache.dash._bind.install()


@pytest.mark.parametrize("version", ["4.4.1", "4.10.0", "5.0"])
def test_later_versions_of_dash_are_taken(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dash, "__version__", version)
    framecache.dash._bind.install()
