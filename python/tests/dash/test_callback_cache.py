"""CallbackCache and the enriched Dash: the thread's two spellings."""

import datetime
import threading
from pathlib import Path
from typing import Any

import framecache
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
import pytest
from cachelib import FileSystemCache, SimpleCache
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash_tab import Tab
from framecache.dash import Serverside, StoreMiss, enrich
from framecache.dash.callback import CallbackCache, Trigger
from framecache.flask import FrameCache

FRAME = pd.DataFrame({"year": [1952, 1957, 1957], "pop": [1.0, 2.0, 3.0]})


def new_app() -> Dash:
    app = Dash("app", prevent_initial_callbacks=True, suppress_callback_exceptions=True)
    app.layout = html.Div(
        [dcc.Store(id="store"), dcc.Store(id="time"), html.Div(id="log")]
    )
    return app


def caches(kind: str, tmp_path: Path) -> Any:
    import flask_caching.backends

    return {
        "default": lambda: None,
        "framecache": framecache.Cache,
        "cachelib file": lambda: FileSystemCache(str(tmp_path / "files")),
        "cachelib memory": SimpleCache,
        "flask-caching": lambda: flask_caching.backends.FileSystemCache(
            str(tmp_path / "flask")
        ),
    }[kind]()


KINDS = ["default", "framecache", "cachelib file", "cachelib memory", "flask-caching"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_threads_program_with_each_cache(kind: str, tmp_path: Path) -> None:
    app = new_app()
    cc = CallbackCache(cache=caches(kind, tmp_path))

    @cc.cached_callback(
        [Output("store", "data"), Output("time", "data")],
        [Trigger("btn", "n_clicks")],
        [State("dd", "value")],
    )
    def query(value: int) -> Any:
        return FRAME.head(value), datetime.datetime(2020, 1, 1)

    @cc.callback(
        Output("log", "children"), [Input("store", "data")], [State("time", "data")]
    )
    def calc(df: pd.DataFrame, time: datetime.datetime) -> str:
        return f"{len(df)} {time.year}"

    cc.register(app)
    tab = Tab(app)
    answer = tab.fire("..store.data...time.data..", {"btn.n_clicks": 1}, {"dd.value": 2})
    data, time = (answer["response"][name]["data"] for name in ("store", "time"))
    assert tab.get("log.children", {"store.data": data}, {"time.data": time}) == "2 2020"


def test_each_callback_may_have_its_own_cache(
    tmp_path: Path, cache: framecache.Cache
) -> None:
    app = new_app()
    disk, memory = FileSystemCache(str(tmp_path / "files")), SimpleCache()
    cc = CallbackCache(cache=cache)

    @cc.cached_callback(Output("a", "data"), Input("btn", "n_clicks"), cache=disk)
    def on_disk(n: int) -> Any:
        return FRAME

    @cc.cached_callback(Output("b", "data"), Input("btn", "n_clicks"), cache=memory)
    def in_memory(n: int) -> Any:
        return None

    @cc.cached_callback(Output("c", "data"), Input("btn", "n_clicks"))
    def shared(n: int) -> Any:
        return px.sunburst(FRAME, path=["year"], values="pop")

    @cc.callback(Output("log", "children"), *[Input(name, "data") for name in "abc"])
    def log(a: Any, b: Any, c: Any) -> str:
        return f"{len(a)} {b} {type(c) is go.Figure}"

    cc.register(app)
    tab = Tab(app)
    given = {f"{n}.data": tab.get(f"{n}.data", {"btn.n_clicks": 1}) for n in "abc"}
    assert tab.get("log.children", given) == "3 None True"
    assert len(list((tmp_path / "files").iterdir())) >= 1
    assert len(memory._cache) == 1
    assert len(list(cache.keys("dash/value/"))) == 1


def test_a_foreign_caches_replaced_values_go_after_the_grace(tmp_path: Path) -> None:
    app = new_app()
    memory = SimpleCache()
    cc = CallbackCache(cache=memory)

    @cc.cached_callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(n: int) -> Any:
        return [n]

    @cc.callback(Output("log", "children"), Input("store", "data"))
    def log(data: Any) -> Any:
        return data

    cc.register(app)
    tab = Tab(app)
    tokens = [tab.get("store.data", {"btn.n_clicks": n}) for n in range(4)]
    assert [tab.get("log.children", {"store.data": t}) for t in tokens] == [
        [0], [1], [2], [3],
    ]  # fmt: skip
    assert len(memory._cache) == 4
    store = framecache.dash._store.of_app(app)
    assert store is not None
    store._slots._grace = 0
    token = tab.get("store.data", {"btn.n_clicks": 4})
    assert len(memory._cache) == 1
    memory.clear()
    with pytest.raises(StoreMiss, match="SimpleCache has expired or pruned it, or keeps"):
        tab.get("log.children", {"store.data": token})


def test_what_is_no_cache_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="cache='cache': neither a framecache"):
        CallbackCache(cache="cache")
    with pytest.raises(TypeError, match="cache=5: neither"):
        CallbackCache().cached_callback(Output("a", "data"), Input("b", "x"), cache=5)
    with pytest.raises(TypeError, match="cache=5: neither"):
        enrich.ServersideOutput("a", "data", backend=5)
    with pytest.raises(TypeError, match="cache=5: neither"):
        enrich.Dash("app", output_defaults={"backend": 5})


def counting(cc: CallbackCache, **options: Any) -> tuple[Dash, list[Any]]:
    app = new_app()
    ran: list[Any] = []

    @cc.cached_callback(
        [Output("store", "data"), Output("time", "data")],
        Input("dd", "value"),
        Trigger("btn", "n_clicks"),
        **options,
    )
    def query(value: int) -> Any:
        ran.append(value)
        return FRAME.head(value), len(ran)

    @cc.cached_callback(Output("next", "data"), Input("store", "data"))
    def following(df: pd.DataFrame) -> Any:
        ran.append("following")
        return df.head(1)

    cc.register(app)
    return app, ran


def fire(tab: Tab, value: int, clicks: int = 1) -> list[str]:
    given = {"dd.value": value, "btn.n_clicks": clicks}
    answer = tab.fire("..store.data...time.data..", given)["response"]
    return [answer["store"]["data"], answer["time"]["data"]]


def test_instant_refresh_computes_each_time() -> None:
    app, ran = counting(CallbackCache())
    tab = Tab(app)
    assert fire(tab, 1) != fire(tab, 1)
    assert ran == [1, 1]


@pytest.mark.parametrize("foreign", [False, True])
def test_without_it_a_sessions_result_is_reused_while_the_arguments_are_the_same(
    foreign: bool,
) -> None:
    cache = SimpleCache() if foreign else None
    app, ran = counting(CallbackCache(cache, instant_refresh=False))
    one, two = Tab(app), Tab(app)
    first = fire(one, 1, clicks=1)
    assert fire(one, 1, clicks=2) != first  # another token of the same value
    assert ran == [1]
    fire(one, 2)
    assert ran == [1, 2]
    fire(two, 1)
    assert ran == [1, 2, 1]
    one.get("next.data", {"store.data": first[0]})
    one.get("next.data", {"store.data": fire(one, 1)[0]})  # by the value, not the token
    assert ran == [1, 2, 1, "following"]


def test_without_the_session_check_results_are_every_sessions() -> None:
    app, ran = counting(CallbackCache(instant_refresh=False, session_check=False))
    one, two = Tab(app), Tab(app)
    fire(one, 1)
    data, _ = fire(two, 1)
    assert ran == [1]
    one.get("next.data", {"store.data": data})


def test_a_callback_may_differ_from_its_object() -> None:
    app, ran = counting(CallbackCache(), instant_refresh=False, session_check=False)
    one, two = Tab(app), Tab(app)
    fire(one, 1)
    fire(two, 1)
    assert ran == [1]


def test_an_evicted_result_is_computed_again(cache: framecache.Cache) -> None:
    app, ran = counting(CallbackCache(cache, instant_refresh=False))
    tab = Tab(app)
    fire(tab, 1)
    cache.delete_prefix("dash/value/")
    data, _ = fire(tab, 1)
    assert ran == [1, 1]
    tab.get("next.data", {"store.data": data})


def test_one_of_many_computes_what_all_ask_for() -> None:
    cc = CallbackCache(instant_refresh=False, session_check=False)
    app, ran = counting(cc)
    tabs = [Tab(app) for _ in range(8)]
    start = threading.Barrier(len(tabs))

    def run(tab: Tab) -> None:
        start.wait()
        fire(tab, 3)

    threads = [threading.Thread(target=run, args=(tab,)) for tab in tabs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran == [3]


def test_no_update_is_not_reused() -> None:
    app = new_app()
    cc = CallbackCache(instant_refresh=False)
    ran: list[int] = []

    @cc.cached_callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(n: int) -> Any:
        ran.append(n)
        return no_update

    cc.register(app)
    tab = Tab(app)
    for _ in range(2):
        assert tab.fire("store.data", {"btn.n_clicks": 1})["response"] == {}
    assert ran == [1, 1]


def test_register_is_once_and_later_callbacks_are_registered_at_once() -> None:
    app = new_app()
    cc = CallbackCache()
    cc.register(app)

    @cc.cached_callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(n: int) -> Any:
        return [n]

    assert len(Tab(app).get("store.data", {"btn.n_clicks": 1})) == 125
    with pytest.raises(RuntimeError, match="called before"):
        cc.register(app)


# ---- enrich ----


def test_the_threads_second_program() -> None:
    app = enrich.Dash("app", prevent_initial_callbacks=True)
    app.layout = html.Div(id="log")

    @app.callback(
        [
            enrich.ServersideOutput("store", "data"),
            enrich.ServersideOutput("time", "data"),
        ],
        enrich.Trigger("btn", "n_clicks"),
        enrich.State("dd", "value"),
    )
    def query(value: int) -> Any:
        return FRAME.head(value), datetime.datetime(2020, 1, 1)

    @app.callback(
        enrich.Output("log", "children"),
        enrich.Input("store", "data"),
        enrich.State("time", "data"),
    )
    def calc(df: pd.DataFrame, time: datetime.datetime) -> str:
        return f"{len(df)} {time.year}"

    tab = Tab(app)
    answer = tab.fire("..store.data...time.data..", {"btn.n_clicks": 1}, {"dd.value": 2})
    data, time = (answer["response"][name]["data"] for name in ("store", "time"))
    assert tab.get("log.children", {"store.data": data}, {"time.data": time}) == "2 2020"


def test_plain_and_serverside_outputs_of_one_callback_and_single_ones() -> None:
    app = enrich.Dash("app")
    app.layout = html.Div(id="log")

    @app.callback(
        enrich.ServersideOutput("store", "data"),
        enrich.Output("plain", "data"),
        enrich.Input("btn", "n_clicks"),
    )
    def query(n: int) -> Any:
        return [n], [n]

    @app.callback(
        enrich.ServersideOutput("none", "data"), enrich.Input("btn", "n_clicks")
    )
    def none(n: int) -> Any:
        return None if n else no_update

    tab = Tab(app)
    answer = tab.fire("..store.data...plain.data..", {"btn.n_clicks": 1})["response"]
    assert len(answer["store"]["data"]) == 125
    assert answer["plain"]["data"] == [1]
    assert len(tab.get("none.data", {"btn.n_clicks": 1})) == 125
    assert tab.fire("none.data", {"btn.n_clicks": 0})["response"] == {}


def test_backends_of_the_app_and_of_an_output(directory: str, tmp_path: Path) -> None:
    other = enrich.FileSystemStore(
        cache_dir=directory + "-two", budget="64MiB", capacity=64
    )
    disk = FileSystemCache(str(tmp_path / "files"))
    store = enrich.FileSystemStore(cache_dir=directory, default_timeout=1000, threshold=5)
    app = enrich.Dash("app", output_defaults={"backend": store, "session_check": False})
    app.layout = html.Div(id="log")

    def add(name: str, **options: Any) -> None:
        @app.callback(
            enrich.ServersideOutput(name, "data", **options),
            enrich.Input("btn", "n_clicks"),
        )
        def query(n: int) -> Any:
            return FRAME

    add("a")
    add("b", backend=other)
    add("c", backend=disk, session_check=True)

    @app.callback(
        enrich.Output("log", "children"), *[enrich.Input(n, "data") for n in "abc"]
    )
    def log(a: Any, b: Any, c: Any) -> str:
        return f"{len(a)} {len(b)} {len(c)}"

    tab = Tab(app)
    given = {f"{n}.data": tab.get(f"{n}.data", {"btn.n_clicks": 1}) for n in "abc"}
    assert tab.get("log.children", given) == "3 3 3"
    off = Tab(app, visit=False)
    assert off.get("a.data", {"btn.n_clicks": 1})
    with pytest.raises(framecache.dash.CookiesOff):
        off.get("c.data", {"btn.n_clicks": 1})
    assert len(list(other.keys("dash/value/"))) == 1
    (info, *_) = store.infos("dash/value/")
    assert info["expires"] is not None
    assert isinstance(store, enrich.FrameStore)
    other.close()


def test_memoize_reuses_kept_and_plain_outputs() -> None:
    app = enrich.Dash("app")
    app.layout = html.Div(id="log")
    ran: list[int] = []

    @app.callback(
        enrich.ServersideOutput("store", "data"),
        enrich.Output("plain", "data"),
        enrich.Input("dd", "value"),
        enrich.Trigger("btn", "n_clicks"),
        memoize=True,
    )
    async def query(value: int) -> Any:
        ran.append(value)
        return Serverside(FRAME.head(value), ttl="1h"), {"rows": value}

    @app.callback(enrich.Output("log", "children"), enrich.Input("store", "data"))
    def log(df: pd.DataFrame) -> int:
        return len(df)

    tab = Tab(app)
    for clicks in (1, 2):
        given = {"dd.value": 2, "btn.n_clicks": clicks}
        answer = tab.fire("..store.data...plain.data..", given)["response"]
        assert answer["plain"]["data"] == {"rows": 2}
        assert tab.get("log.children", {"store.data": answer["store"]["data"]}) == 2
    assert ran == [2]


def test_unknown_defaults_are_refused() -> None:
    with pytest.raises(TypeError, match=r"\['backends'\]"):
        enrich.Dash("app", output_defaults={"backends": 1})  # type: ignore[typeddict-unknown-key]


def test_a_worker_reads_what_another_kept_in_a_cache_that_it_never_wrote_to(
    tmp_path: Path,
) -> None:
    """Two workers of one program: the same callbacks, caches of the same places."""

    def worker(files: Any) -> Tab:
        app = new_app()
        cc = CallbackCache(cache=files, session_check=False)

        @cc.cached_callback(Output("store", "data"), Input("btn", "n_clicks"))
        def query(n: int) -> Any:
            return FRAME

        @cc.callback(Output("log", "children"), Input("store", "data"))
        def log(df: pd.DataFrame) -> str:
            return f"{len(df)} rows"

        cc.register(app)
        return Tab(app)

    for make in (
        lambda: FileSystemCache(str(tmp_path / "files")),
        lambda: FrameCache(str(tmp_path / "frames")),
    ):
        first, second = worker(make()), worker(make())
        token = first.get("store.data", {"btn.n_clicks": 1})
        assert second.get("log.children", {"store.data": token}) == "3 rows"
