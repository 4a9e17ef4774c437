"""Outputs reused (instant_refresh=False): what they are known by, and for how long."""

from typing import Any

import framecache
import framecache.dash
import pandas as pd
import pytest
from dash import Dash, Input, Output, dcc, html
from dash_tab import Tab
from framecache.dash import Serverside
from framecache.dash._token import stand_in
from framecache.dash.callback import CallbackCache
from framecache.dash.enrich import ServersideOutput

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


def new_app() -> Dash:
    app = Dash("app", prevent_initial_callbacks=True, suppress_callback_exceptions=True)
    app.layout = html.Div([dcc.Store(id="a"), dcc.Store(id="b"), html.Div(id="log")])
    return app


def chained(
    cache: framecache.Cache, source: Any, session_check: bool = False
) -> tuple[Tab, list[Any]]:
    """`a` is what `source` gives, `b` is made of `a` and reused, `log` is `b`."""
    app = new_app()
    cc = CallbackCache(cache, instant_refresh=False, session_check=session_check)
    ran: list[Any] = []

    @cc.callback(Output("a", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return source(clicks)

    @cc.cached_callback(Output("b", "data"), Input("a", "data"))
    def total(table: Any) -> Any:
        ran.append(table)
        return table if isinstance(table, str) else float(table["x"].sum())

    @cc.callback(Output("log", "children"), Input("b", "data"))
    def log(value: Any) -> Any:
        return value

    cc.register(app)
    return Tab(app), ran


def totals(tab: Tab, data: Any) -> Any:
    return tab.get("log.children", {"b.data": tab.get("b.data", {"a.data": data})})


def test_no_text_of_a_browser_stands_for_a_value(cache: framecache.Cache) -> None:
    tab, _ = chained(cache, lambda _: Serverside(FRAME))
    token = tab.get("a.data", {"btn.n_clicks": 1})
    store = framecache.dash._store.of_app(tab.app)
    assert store is not None
    key = store.signer.read(token).key
    guess = f"{key.hex()}-{store.registry.home.generation(key)}"
    for text in (guess, f"value {key.hex()}"):
        assert totals(tab, text) == text
    assert totals(tab, token) == 6.0
    with pytest.raises(framecache.dash.StoreMiss, match="forged"):
        totals(tab, stand_in(guess))


def test_a_value_that_is_kept_anew_under_its_key_is_another_argument(
    cache: framecache.Cache,
) -> None:
    tab, ran = chained(cache, lambda n: Serverside(FRAME * n, key="the one"))
    for clicks, runs in ((1, 1), (2, 2), (2, 3)):
        token = tab.get("a.data", {"btn.n_clicks": clicks})
        assert totals(tab, token) == totals(tab, token) == 6.0 * clicks
        assert len(ran) == runs


def test_an_edited_callback_computes_anew(cache: framecache.Cache) -> None:
    def program(factor: int) -> Tab:
        app = new_app()
        cc = CallbackCache(cache, instant_refresh=False, session_check=False)
        one, two = (lambda n: n), (lambda n: n * 2)
        function = one if factor == 1 else two
        cc.cached_callback(Output("b", "data"), Input("btn", "n_clicks"))(function)

        @cc.callback(Output("log", "children"), Input("b", "data"))
        def log(value: Any) -> Any:
            return value

        cc.register(app)
        return Tab(app)

    for factor in (1, 2):
        tab = program(factor)
        token = tab.get("b.data", {"btn.n_clicks": 7})
        assert tab.get("log.children", {"b.data": token}) == 7 * factor


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_callback_that_misses_in_its_own_cache_runs_once(
    cache: framecache.Cache, coroutine: bool
) -> None:
    app = new_app()
    cc = CallbackCache(cache, instant_refresh=False)
    ran: list[int] = []

    def query(clicks: int) -> Any:
        ran.append(clicks)
        return cache["not there"].to_value()

    async def aquery(clicks: int) -> Any:
        return query(clicks)

    made = cc.cached_callback(Output("b", "data"), Input("btn", "n_clicks"))
    made(aquery if coroutine else query)
    cc.register(app)
    with pytest.raises(framecache.NeverExisted, match="not there"):
        Tab(app).fire("b.data", {"btn.n_clicks": 1})
    assert ran == [1]


def test_each_of_very_many_outputs_has_its_own_value(cache: framecache.Cache) -> None:
    app = new_app()
    cc = CallbackCache(cache, instant_refresh=False)
    ids = [f"n{number}" for number in range(260)]

    @cc.cached_callback([Output(id, "data") for id in ids], Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return list(range(len(ids)))

    @cc.callback(Output("log", "children"), Input("n0", "data"), Input("n256", "data"))
    def log(first: int, later: int) -> Any:
        return [first, later]

    cc.register(app)
    tab = Tab(app)
    name = ".." + "...".join(f"{id}.data" for id in ids) + ".."
    answer = tab.fire(name, {"btn.n_clicks": 1})["response"]
    given = {f"{id}.data": answer[id]["data"] for id in ("n0", "n256")}
    assert tab.get("log.children", given) == [0, 256]


def test_what_was_reused_is_recomputed_when_it_is_gone(cache: framecache.Cache) -> None:
    app = Dash("app", suppress_callback_exceptions=True)
    app.layout = html.Div()
    framecache.dash.init(app, cache, on_miss="recompute")
    ran: list[int] = []

    @app.callback(
        Output("plain", "data"),
        ServersideOutput("b", "data"),
        Input("btn", "n_clicks"),
        memoize=True,
    )
    async def query(clicks: int) -> Any:
        ran.append(clicks)
        return clicks, FRAME * clicks

    @app.callback(Output("log", "children"), Input("b", "data"))
    def log(table: pd.DataFrame) -> float:
        return float(table["x"].sum())

    tab = Tab(app)
    for _ in range(2):
        answer = tab.fire("..plain.data...b.data..", {"btn.n_clicks": 3})["response"]
    assert answer["plain"]["data"] == 3
    token = answer["b"]["data"]
    assert ran == [3]
    cache.delete_prefix("dash/value/")
    assert tab.get("log.children", {"b.data": token}) == 18.0
    assert tab.get("log.children", {"b.data": token}) == 18.0
    assert ran == [3, 3]
