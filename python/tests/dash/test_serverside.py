"""Plain Dash: Serverside out of callbacks, values into them."""

import datetime
import decimal
import functools
from typing import Any

import dash
import framecache
import framecache.dash
import pandas as pd
import plotly.graph_objects as go
import polars as pl
import pyarrow as pa
import pytest
from dash import (
    ALL,
    MATCH,
    Dash,
    Input,
    Output,
    State,
    ctx,
    dcc,
    html,
    no_update,
)
from dash_tab import All, Tab
from framecache.dash import Serverside
from framecache.dash._token import PREFIX
from framecache.testing import fake_clock

FRAME = pd.DataFrame({"x": [1.0, 2.5, None], "name": ["a", "b", "c"]})


def new_app(cache: framecache.Cache | None = None, **options: Any) -> Dash:
    app = Dash("app", suppress_callback_exceptions=True)
    framecache.dash.init(app, cache, **options)
    app.layout = html.Div([dcc.Store(id="store"), html.Div(id="out")])
    return app


def store_app(value: Any, cache: framecache.Cache | None = None, **options: Any) -> Dash:
    """An app that keeps a value, and tells its kind."""
    app = new_app(cache, **options)

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(value(clicks) if callable(value) else value)

    @app.callback(Output("out", "children"), Input("store", "data"))
    def show(data: Any) -> str:
        return f"{type(data).__name__} {len(data) if hasattr(data, '__len__') else data}"

    return app


def query(tab: Tab, clicks: int = 1) -> str:
    token = tab.get("store.data", {"btn.n_clicks": clicks})
    assert isinstance(token, str)
    return token


def show(tab: Tab, token: Any) -> str:
    return str(tab.get("out.children", {"store.data": token}))


def test_the_browser_gets_a_token_and_the_next_callback_the_frame(
    cache: framecache.Cache,
) -> None:
    tab = Tab(store_app(FRAME, cache))
    token = query(tab)
    assert token.startswith(PREFIX)
    assert len(token) == 125
    assert show(tab, token) == "DataFrame 3"


VALUES = [
    FRAME, FRAME.x, pd.Index(["a", "b"]), pl.DataFrame({"a": [1]}), pa.table({"a": [1]}),
    None, True, 3, 2.5, "text", b"bytes", [1, None], (1, 2), {"a": {1: 2}}, {1, 2},
    datetime.datetime(2020, 1, 2, 3, 4), decimal.Decimal("1.10"),
    go.Figure(go.Scatter(x=[1, 2], y=[3, 4])),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=[type(value).__name__ for value in VALUES])
def test_values_come_back_as_what_they_were(value: Any) -> None:
    app = new_app()
    seen: list[Any] = []

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(value)

    @app.callback(Output("out", "children"), Input("store", "data"))
    def show(data: Any) -> str:
        seen.append(data)
        return "shown"

    tab = Tab(app)
    token = tab.get("store.data", {"btn.n_clicks": 1})
    assert tab.get("out.children", {"store.data": token}) == "shown"
    assert type(seen[0]) is type(value)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(seen[0], value)
    elif not isinstance(value, (pd.Series, pd.Index, pl.DataFrame, pa.Table, dict)):
        assert seen[0] == value


def test_a_callback_may_write_into_its_frame_and_nobody_else_sees_it() -> None:
    app = new_app()

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(pd.DataFrame({"x": range(1000)}))

    @app.callback(Output("out", "children"), Input("store", "data"))
    def total(df: pd.DataFrame) -> int:
        before = int(df.x.sum())
        df["x"] = 0
        return before

    tab = Tab(app)
    token = tab.get("store.data", {"btn.n_clicks": 1})
    assert tab.get("out.children", {"store.data": token}) == 499500
    assert tab.get("out.children", {"store.data": token}) == 499500


# ---- Shapes of callbacks ----


def test_several_outputs_inputs_and_states() -> None:
    app = new_app()

    @app.callback(
        [Output("a", "data"), Output("b", "data"), Output("c", "children")],
        [Input("btn", "n_clicks")],
    )
    def query(clicks: int) -> Any:
        return Serverside(FRAME), Serverside([clicks]), "plain"

    @app.callback(Output("out", "children"), Input("a", "data"), State("b", "data"))
    def show(df: pd.DataFrame, listed: list[int]) -> str:
        return f"{len(df)} {listed}"

    tab = Tab(app)
    answer = tab.fire("..a.data...b.data...c.children..", {"btn.n_clicks": 7})["response"]
    assert answer["c"]["children"] == "plain"
    a, b = answer["a"]["data"], answer["b"]["data"]
    assert a != b
    assert tab.get("out.children", {"a.data": a}, {"b.data": b}) == "3 [7]"


def test_dicts_of_outputs_and_inputs() -> None:
    app = new_app()

    @app.callback(
        output={
            "one": Output("a", "data"),
            "two": (Output("b", "data"), Output("c", "x")),
        },
        inputs={
            "clicks": Input("btn", "n_clicks"),
            "more": (State("s", "v"), State("t", "v")),
        },
    )
    def query(clicks: int, more: Any) -> Any:
        return {"one": Serverside(FRAME), "two": [Serverside(clicks), more[1]]}

    @app.callback(
        Output("out", "children"),
        inputs={"df": Input("a", "data"), "rest": {"n": Input("b", "data")}},
    )
    def show(df: pd.DataFrame, rest: dict[str, int]) -> str:
        return f"{len(df)} {rest['n']}"

    tab = Tab(app)
    name = "..a.data...b.data...c.x.."
    answer = tab.fire(name, {"btn.n_clicks": 7}, {"s.v": 1, "t.v": 2})["response"]
    assert answer["c"]["x"] == 2
    given = {"a.data": answer["a"]["data"], "b.data": answer["b"]["data"]}
    assert tab.get("out.children", given) == "3 7"


def test_values_within_lists_and_dicts_of_a_property() -> None:
    app = new_app()

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return {"frames": [Serverside(FRAME), Serverside(FRAME.head(2))], "n": clicks}

    @app.callback(Output("out", "children"), Input("store", "data"))
    def show(data: dict[str, Any]) -> Any:
        return [len(df) for df in data["frames"]] + [data["n"]]

    tab = Tab(app)
    data = tab.get("store.data", {"btn.n_clicks": 7})
    assert len({*data["frames"]}) == 2
    assert tab.get("out.children", {"store.data": data}) == [3, 2, 7]


def test_patterns_all_and_match(cache: framecache.Cache) -> None:
    app = new_app(cache)

    @app.callback(
        Output({"type": "store", "index": MATCH}, "data"),
        Input({"type": "btn", "index": MATCH}, "n_clicks"),
    )
    def query(clicks: int) -> Any:
        return Serverside(FRAME.head(clicks))

    @app.callback(
        Output({"type": "copy", "index": ALL}, "data"),
        Input({"type": "store", "index": ALL}, "data"),
    )
    def copy(frames: list[pd.DataFrame]) -> Any:
        return [Serverside(len(frame)) for frame in frames[:-1]] + [no_update]

    @app.callback(
        Output("out", "children"), Input({"type": "copy", "index": ALL}, "data")
    )
    def show(data: list[Any]) -> Any:
        return data

    tab = Tab(app)
    tokens = []
    for index in (1, 2):
        out = {"id": {"type": "store", "index": index}, "property": "data"}
        tokens.append(
            tab.get(
                '{"index":["MATCH"],"type":"store"}.data',
                {f'{{"index":{index},"type":"btn"}}.n_clicks': index},
                outputs=out,
            )
        )
    assert tokens[0] != tokens[1]
    ids = [{"index": n, "type": "store"} for n in (1, 2)]
    given = All(*zip(ids, tokens, strict=True))
    copies = [{"index": n, "type": "copy"} for n in (1, 2)]
    answer = tab.fire(
        '{"index":["ALL"],"type":"copy"}.data',
        {'{"index":["ALL"],"type":"store"}.data': given},
        outputs=[{"id": one, "property": "data"} for one in copies],
        changed=['{"index":1,"type":"store"}.data'],
    )["response"]
    assert list(answer) == ['{"index":1,"type":"copy"}']
    kept = answer['{"index":1,"type":"copy"}']["data"]
    given = All((copies[0], kept), (copies[1], "text"))
    seen = tab.get(
        "out.children", {'{"index":["ALL"],"type":"copy"}.data': given}, changed=[]
    )
    assert seen == [1, "text"]
    assert len([key for key in cache.keys("dash/slot/")]) == 3


def test_no_update_and_prevent_update_pass() -> None:
    app = new_app()

    @app.callback(Output("a", "data"), Output("b", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        if clicks == 1:
            return no_update, Serverside(FRAME)
        if clicks == 2:
            return no_update
        raise dash.exceptions.PreventUpdate

    tab = Tab(app)
    name = "..a.data...b.data.."
    assert list(tab.fire(name, {"btn.n_clicks": 1})["response"]) == ["b"]
    assert tab.fire(name, {"btn.n_clicks": 2})["response"] == {}
    assert tab.fire(name, {"btn.n_clicks": 3}) is None


def test_set_props_keeps_values_too() -> None:
    app = new_app()

    @app.callback(Output("out", "title"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        dash.set_props("store", {"data": Serverside(FRAME)})
        dash.set_props("store", {"extra": 1})
        return "done"

    @app.callback(Input("btn", "n_clicks"))
    def only_props(clicks: int) -> None:
        dash.set_props({"type": "t", "index": 1}, {"data": [Serverside(FRAME)]})

    @app.callback(Output("out", "children"), Input("store", "data"))
    def rows(df: pd.DataFrame) -> int:
        return len(df)

    tab = Tab(app)
    update = tab.fire("out.title", {"btn.n_clicks": 1})["sideUpdate"]
    assert update["store"]["extra"] == 1
    assert tab.get("out.children", {"store.data": update["store"]["data"]}) == 3
    (name,) = [n for n, entry in app.callback_map.items() if entry["no_output"]]
    update = tab.fire(name, {"btn.n_clicks": 1}, outputs=[])["sideUpdate"]
    (token,) = update['{"index":1,"type":"t"}']["data"]
    assert token.startswith(PREFIX)


def test_coroutines() -> None:
    app = new_app()

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    async def query(clicks: int) -> Any:
        return Serverside(FRAME)

    @app.callback(Output("out", "children"), Input("store", "data"))
    async def show(df: pd.DataFrame) -> str:
        return f"{len(df)} {ctx.triggered_id}"

    tab = Tab(app)
    token = tab.get("store.data", {"btn.n_clicks": 1})
    assert tab.get("out.children", {"store.data": token}) == "3 store"


def test_callbacks_of_dash_itself_defined_before_and_after_init() -> None:
    @dash.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME)

    app = Dash("app", suppress_callback_exceptions=True)

    @app.callback(Output("copy", "data"), Input("store", "data"))
    def copy(df: pd.DataFrame) -> Any:
        return Serverside(df.head(2))

    framecache.dash.init(app)
    app.layout = html.Div(id="out")

    @dash.callback(Output("out", "children"), Input("copy", "data"))
    def show(df: pd.DataFrame) -> int:
        return len(df)

    tab = Tab(app)
    token = tab.get(
        "copy.data", {"store.data": tab.get("store.data", {"btn.n_clicks": 1})}
    )
    assert tab.get("out.children", {"copy.data": token}) == 2


def test_callbacks_defined_before_the_import_are_bound_by_init(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dash import _callback
    from framecache.dash import _bind

    app = Dash("app", suppress_callback_exceptions=True)
    app.layout = html.Div(id="out")
    monkeypatch.setattr(_callback, "register_callback", _bind._register)

    @app.callback([Output("store", "data")], Input("btn", "n_clicks"), State("s", "x"))
    def query(clicks: int, x: Any) -> Any:
        return [Serverside(FRAME)]

    @dash.callback(Output("out", "children"), inputs={"df": Input("store", "data")})
    async def show(df: pd.DataFrame) -> int:
        return len(df)

    framecache.dash.init(app)
    tab = Tab(app)
    answer = tab.fire("..store.data..", {"btn.n_clicks": 1}, {"s.x": 1})
    token = answer["response"]["store"]["data"]
    assert tab.get("out.children", {"store.data": token}) == 3


def test_a_bound_function_is_still_a_function() -> None:
    app = new_app()

    @app.callback(Output("out", "children"), Input("store", "data"))
    def twice(text: str) -> str:
        return text * 2

    assert twice("a") == "aa"


class Counter:
    """Callbacks that are no plain functions."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, data: pd.DataFrame) -> int:
        return len(data) + self.step

    def times(self, data: pd.DataFrame) -> int:
        return len(data) * self.step


def test_partials_methods_and_objects_are_callbacks_too() -> None:
    app = new_app()

    def kept(by: str, clicks: int) -> Any:
        return Serverside(FRAME.head(clicks), key=by)

    def size(data: pd.DataFrame, *, more: int) -> int:
        return len(data) + more

    app.callback(Output("store", "data"), Input("btn", "n_clicks"))(
        functools.partial(kept, "name")
    )
    readers = [
        functools.partial(size, more=10),
        Counter(2),
        Counter(5).times,
    ]
    for number, reader in enumerate(readers):
        app.callback(Output(f"out{number}", "children"), Input("store", "data"))(reader)
    tab = Tab(app)
    given = {"store.data": query(tab, 2)}
    assert [tab.get(f"out{n}.children", given) for n in range(3)] == [12, 4, 10]


def test_without_init_a_serverside_value_says_so() -> None:
    app = Dash("app")
    app.layout = html.Div(id="out")

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME)

    with pytest.raises(RuntimeError, match=r"init\(app\) must have been called"):
        Tab(app).fire("store.data", {"btn.n_clicks": 1})


def test_init_twice_and_wrong_options_are_refused() -> None:
    app = new_app()
    with pytest.raises(RuntimeError, match="called before"):
        framecache.dash.init(app)
    with pytest.raises(ValueError, match="on_miss='ignore'"):
        new_app(on_miss="ignore")
    for grace in (-1, float("inf"), "60s"):
        with pytest.raises(ValueError, match=f"grace={grace!r}: seconds as a number"):
            new_app(grace=grace)
    for wrong in ({"limits": 5}, {"authorize": "no"}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            new_app(**wrong)
    with pytest.raises(TypeError, match=r"no dash\.Dash"):
        framecache.dash.init(app.server)
    with pytest.raises(TypeError, match="is no framecache"):
        new_app({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ttl"):
        Serverside(1, ttl=0)
    with pytest.raises(TypeError, match="key=5"):
        Serverside(1, key=5)  # type: ignore[arg-type]


def test_a_value_that_cannot_be_kept_names_its_type() -> None:
    with pytest.raises(TypeError, match=r"store\.data: value: .*object"):
        query(Tab(store_app(object())))
    with pytest.raises(TypeError, match=r"store\.data: value\['a'\]: "):
        query(Tab(store_app({"a": object()})))


def test_a_table_within_a_dict_comes_back_within_it() -> None:
    tab = Tab(app := store_app({"a": FRAME, "n": 3}))
    store = framecache.dash._store.of_app(app)
    assert store is not None
    found = store.fetch(query(tab), tab.cookie, "store.data")
    assert found["n"] == 3
    pd.testing.assert_frame_equal(found["a"], FRAME)


def test_two_apps_in_a_process_have_a_store_each(
    cache: framecache.Cache, directory: str
) -> None:
    with framecache.Cache(directory + "-other", budget="64MiB", capacity=64) as other:
        one, two = Tab(store_app(FRAME, cache)), Tab(store_app([1], other))
        assert show(one, query(one)) == "DataFrame 3"
        assert show(two, query(two)) == "list 1"
        assert show(one, query(one)) == "DataFrame 3"
        assert len(list(other.keys("dash/value/"))) == 1
        del two


# ---- Slots ----


def values(cache: framecache.Cache) -> dict[str, float | None]:
    return {info["key"]: info["expires"] for info in cache.infos("dash/value/")}


def test_a_replaced_value_stays_for_the_grace_and_then_goes(
    cache: framecache.Cache,
) -> None:
    tab = Tab(store_app(lambda n: FRAME.head(n), cache, grace=60))
    first, second = query(tab, 1), query(tab, 2)
    assert first != second
    assert show(tab, first) == "DataFrame 1"
    assert show(tab, second) == "DataFrame 2"
    ends = sorted(values(cache).values(), key=lambda end: end or 0)
    assert ends[0] is None
    now = datetime.datetime.now().timestamp()
    assert ends[1] is not None
    assert now + 30 < ends[1] <= now + 61


def test_after_the_grace_a_replaced_value_takes_no_memory(
    cache: framecache.Cache,
) -> None:
    tab = Tab(store_app(lambda n: FRAME.head(n), cache, grace=60))
    with fake_clock(cache) as clock:
        for n in range(1, 6):
            query(tab, n)
        clock.advance(59)
        cache.tick()
        assert len(values(cache)) == 5
        clock.advance(2)
        cache.tick()
        assert len(values(cache)) == 1


def test_after_the_grace_the_miss_says_so(cache: framecache.Cache) -> None:
    tab = Tab(store_app(lambda n: FRAME.head(n), cache, grace=0))
    first, second = query(tab, 1), query(tab, 2)
    with pytest.raises(framecache.dash.StoreMiss) as miss:
        show(tab, first)
    assert miss.value.component == "store.data"
    assert miss.value.reason == "deleted"
    assert miss.value.age is not None
    assert miss.value.age < 60
    assert "store.data" in str(miss.value)
    assert show(tab, second) == "DataFrame 2"
    assert len(values(cache)) == 1


def test_a_replaced_value_lives_no_longer_for_its_grace(
    cache: framecache.Cache,
) -> None:
    app = new_app(cache, grace=60)

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME, ttl=5 if clicks == 1 else 500)

    tab = Tab(app)
    for clicks in (1, 2, 3):
        tab.get("store.data", {"btn.n_clicks": clicks})
    lives = [i["expires"] - i["created"] for i in cache.infos("dash/value/")]
    assert sorted(lives) == pytest.approx([5, 60, 500], abs=4)


def test_many_clicks_leave_one_value(cache: framecache.Cache) -> None:
    tab = Tab(store_app(lambda n: [n], cache, grace=0))
    for n in range(20):
        query(tab, n)
    assert len(values(cache)) == 1


def test_tabs_and_sessions_do_not_replace_each_others_values(
    cache: framecache.Cache,
) -> None:
    app = store_app(lambda n: FRAME.head(n), cache, grace=0)
    one = Tab(app)
    two = Tab(app, of=one)
    three = Tab(app)
    assert one.cookie == two.cookie != three.cookie
    tokens = [query(tab, n) for n, tab in enumerate((one, two, three), 1)]
    assert [show(tab, t) for tab, t in zip((one, two, three), tokens, strict=True)] == [
        "DataFrame 1", "DataFrame 2", "DataFrame 3",
    ]  # fmt: skip
    assert show(two, tokens[0]) == "DataFrame 1"  # the same browser's


def test_a_key_of_ones_own_is_one_value_in_the_session(cache: framecache.Cache) -> None:
    app = new_app(cache)

    @app.callback(Output("a", "data"), Output("b", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside([clicks], "shared", ttl=100), Serverside([clicks], "shared")

    one, two = Tab(app), Tab(app)
    for tab in (one, one, two):
        tab.fire("..a.data...b.data..", {"btn.n_clicks": 1})
    assert len(values(cache)) == 2


def test_ttl_is_the_values_own(cache: framecache.Cache) -> None:
    app = new_app(cache)

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME, ttl="10m")

    Tab(app).get("store.data", {"btn.n_clicks": 1})
    (end,) = values(cache).values()
    assert end is not None
    assert 500 < end - datetime.datetime.now().timestamp() < 601
