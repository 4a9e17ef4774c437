"""FrameCacheBackend under dash-extensions' own transform, as its documents have it."""

import json
from typing import Any

import framecache
import framecache.dash
import pandas as pd
import pytest
from dash import dcc, html
from dash_extensions.enrich import (
    DashBlueprint,
    DashProxy,
    FileSystemBackend,
    Input,
    Output,
    Serverside,
    ServersideBackend,
    ServersideOutputTransform,
    Trigger,
    TriggerTransform,
)
from dash_tab import Tab
from framecache.dash import FrameCacheBackend, StoreMiss

FRAME = pd.DataFrame({"n": [1, 2, 3]})


def proxy(*backends: Any, key: str | None = None, of: Any = None) -> DashProxy:
    app = DashProxy(
        "app",
        transforms=[
            TriggerTransform(),
            ServersideOutputTransform(backends=list(backends)),
        ],
        suppress_callback_exceptions=True,
    )
    app.layout = html.Div(
        [dcc.Store(id="store"), html.Div(id="log"), html.Button(id="btn")]
    )

    @app.callback(Output("store", "data"), Trigger("btn", "n_clicks"))
    def query() -> Any:
        return Serverside(FRAME, key=key, backend=of)

    @app.callback(Output("many", "data"), Input("btn", "n_clicks"))
    def many(clicks: int) -> Any:
        return [Serverside(FRAME), Serverside(None), "plain"]

    @app.callback(Output("log", "children"), Input("store", "data"))
    def show(df: Any) -> Any:
        return f"{type(df).__name__} {len(df)}"

    @app.callback(Output("count", "children"), Input("many", "data"))
    def count(values: list[Any]) -> Any:
        return [type(value).__name__ for value in values]

    return app


def key_of(token: str) -> str:
    assert token.startswith("SERVERSIDE_")
    found = json.loads(token.removeprefix("SERVERSIDE_"))
    assert found["backend_uid"] == "framecache"
    return str(found["key"])


def visit(app: DashProxy) -> Tab:
    return Tab(app)


def test_the_documented_example(cache: framecache.Cache) -> None:
    tab = visit(proxy(FrameCacheBackend(cache)))
    token = tab.get("store.data", {"btn.n_clicks": 1})
    key_of(token)
    assert tab.get("log.children", {"store.data": token}) == "DataFrame 3"
    values = tab.get("many.data", {"btn.n_clicks": 1})
    assert tab.get("count.children", {"many.data": values}) == [
        "DataFrame", "NoneType", "str",
    ]  # fmt: skip


def test_a_key_of_ones_own_and_a_backend_by_object_or_uid(
    cache: framecache.Cache,
) -> None:
    one, two = FrameCacheBackend(cache), FrameCacheBackend(cache, uid="two")
    tab = visit(proxy(one, two, key="mine", of=two))
    token = tab.get("store.data", {"btn.n_clicks": 1})
    assert json.loads(token.removeprefix("SERVERSIDE_")) == {
        "backend_uid": "two", "key": "mine",
    }  # fmt: skip
    assert tab.get("log.children", {"store.data": token}) == "DataFrame 3"
    assert two.has("mine")


def test_beside_another_backend(cache: framecache.Cache, tmp_path: Any) -> None:
    files = FileSystemBackend(str(tmp_path))
    tab = visit(proxy(files, FrameCacheBackend(cache), of="framecache"))
    token = tab.get("store.data", {"btn.n_clicks": 1})
    key_of(token)
    assert tab.get("log.children", {"store.data": token}) == "DataFrame 3"


def test_a_blueprint_brings_its_transform_along(cache: framecache.Cache) -> None:
    backend = FrameCacheBackend(cache)
    part = DashBlueprint(transforms=[ServersideOutputTransform(backends=[backend])])
    part.layout = html.Div([dcc.Store(id="store"), html.Div(id="log")])

    @part.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return Serverside(FRAME.head(clicks))

    @part.callback(Output("log", "children"), Input("store", "data"))
    def show(df: Any) -> Any:
        return f"{type(df).__name__} {len(df)}"

    app = DashProxy("app", blueprint=part, suppress_callback_exceptions=True)
    tab = visit(app)
    token = tab.get("store.data", {"btn.n_clicks": 2})
    assert backend.has(key_of(token))
    assert tab.get("log.children", {"store.data": token}) == "DataFrame 2"


@pytest.mark.parametrize("value", [None, 0, "", [], {}, FRAME, [1, {"a": (1, 2)}]])
def test_the_backends_protocol(cache: framecache.Cache, value: Any) -> None:
    backend = FrameCacheBackend(cache)
    assert isinstance(backend, ServersideBackend)
    assert backend.uid == "framecache"
    assert not backend.has("key")
    assert backend.get("key") is None
    backend.set("key", value)
    assert backend.has("key")
    for found in (backend.get("key"), backend.get("key", ignore_expired=True)):
        assert type(found) is type(value)
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found, value)
        else:
            assert found == value
    assert backend.delete("key") is True
    assert not backend.has("key")


def test_what_is_gone_is_a_miss_and_no_none(cache: framecache.Cache) -> None:
    tab = visit(proxy(FrameCacheBackend(cache)))
    token = tab.get("store.data", {"btn.n_clicks": 1})
    cache.clear()
    with pytest.raises(StoreMiss) as miss:
        tab.get("log.children", {"store.data": token})
    assert miss.value.reason == "deleted"
    assert miss.value.key == key_of(token)


def test_values_do_not_expire_with_the_caches_default(directory: str) -> None:
    with framecache.Cache(directory, ttl="1s") as cache:
        FrameCacheBackend(cache).set("key", FRAME)
        FrameCacheBackend(cache).set("other", [1])
        assert [info["expires"] for info in cache.infos()] == [None, None]


def test_a_client_that_names_keys_reaches_only_what_the_transform_kept(
    cache: framecache.Cache,
) -> None:
    cache.put("secret", FRAME).release()
    tab = visit(proxy(FrameCacheBackend(cache)))
    for name in ("secret", "../secret", "dash/extensions/secret", "", "\0", "x" * 5000):
        token = "SERVERSIDE_" + json.dumps({"backend_uid": "framecache", "key": name})
        with pytest.raises(StoreMiss):
            tab.get("log.children", {"store.data": token})


def test_with_init_what_one_session_kept_another_does_not_find(
    cache: framecache.Cache,
) -> None:
    app = proxy(FrameCacheBackend(cache), key="easily guessed")
    framecache.dash.init(app, cache)
    mine, theirs = visit(app), visit(app)
    token = mine.get("store.data", {"btn.n_clicks": 1})
    assert mine.get("log.children", {"store.data": token}) == "DataFrame 3"
    with pytest.raises(StoreMiss):
        theirs.get("log.children", {"store.data": token})


def test_our_own_serverside_in_a_dash_proxy(cache: framecache.Cache) -> None:
    app = DashProxy("app", transforms=[TriggerTransform()])
    framecache.dash.init(app, cache)
    app.layout = html.Div(
        [dcc.Store(id="store"), html.Div(id="log"), html.Button(id="btn")]
    )

    @app.callback(Output("store", "data"), Trigger("btn", "n_clicks"))
    def query() -> Any:
        return framecache.dash.Serverside(FRAME)

    @app.callback(Output("log", "children"), Input("store", "data"))
    def show(df: Any) -> Any:
        return f"{type(df).__name__} {len(df)}"

    tab = visit(app)
    token = tab.get("store.data", {"btn.n_clicks": 1})
    assert len(token) == 125
    assert tab.get("log.children", {"store.data": token}) == "DataFrame 3"
