"""FrameCache as a cachelib cache, and below Flask-Caching's decorators."""

import datetime
import logging
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pytest

flask = pytest.importorskip("flask")
flask_caching = pytest.importorskip("flask_caching")
from framecache.flask import FrameCache  # noqa: E402

Make = Callable[..., FrameCache]


@pytest.fixture
def make(directory: str) -> Iterator[Make]:
    made: list[FrameCache] = []

    def factory(*args: Any, **kwargs: Any) -> FrameCache:
        kwargs.setdefault("cache_dir", directory)
        kwargs.setdefault("budget", "64MiB")
        made.append(FrameCache(*args, **kwargs))
        return made[-1]

    yield factory
    for cache in made:
        cache.cache.close()


@pytest.fixture
def c(make: Make) -> FrameCache:
    return make()


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():  # the test's own timeout ends it
        time.sleep(0.01)


VALUES: dict[str, Any] = {
    "false": False, "zero": 0, "empty": {}, "text": "é", "list": [{}, [512], None],
    "mixed": {"a": [], 256: "b", (1, 2): {3}}, "bytes": b"\0x", "float": 1.5,
    "when": datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
}  # fmt: skip


# ---- cachelib's interface ----


def test_it_is_a_cache_of_both_libraries(c: FrameCache) -> None:
    import cachelib
    from flask_caching.backends.base import BaseCache

    assert isinstance(c, cachelib.BaseCache)
    assert isinstance(c, BaseCache)


def test_what_is_set_can_be_got(c: FrameCache) -> None:
    for key, value in VALUES.items():
        assert c.set(key, value) is True
        assert c.get(key) == value
        assert c.has(key)
    assert c.get_many(*VALUES) == list(VALUES.values())
    assert c.get_dict(*VALUES) == VALUES
    assert c.get_dict("text", "unknown") == {"text": "é", "unknown": None}


def test_set_many_names_the_keys(c: FrameCache) -> None:
    assert c.set_many(VALUES) == list(VALUES)
    assert c.get_dict(*VALUES) == VALUES


def test_tables_and_arrays_come_back_as_they_were_set(c: FrameCache) -> None:
    table = pd.DataFrame({"a": [1, 2]}, index=["x", "y"])
    c.set("table", table)
    c.set("inside", {"table": table, "array": np.arange(3)})
    pd.testing.assert_frame_equal(c.get("table"), table)
    pd.testing.assert_frame_equal(c.get("inside")["table"], table)
    assert c.get("inside")["array"].tolist() == [0, 1, 2]
    with c.cache["flask:table"] as frame:  # shared with whoever knows framecache
        assert frame.columns[0] == "a"


def test_what_cannot_be_stored_is_refused_by_its_path(c: FrameCache) -> None:
    c.set("k", 1)
    with pytest.raises(TypeError, match=r"value\['a'\]\[0\]: a builtins.object"):
        c.set("k", {"a": [object()]})
    assert c.get("k") == 1


def test_pickle_on_demand(make: Make, directory: str) -> None:
    c = make(allow_pickle=True)
    c.set("k", {"f": os.path.join, "r": range(3)})
    assert c.get("k") == {"f": os.path.join, "r": range(3)}
    with pytest.raises(framecache.AccessError, match="pickle"):
        make().get("k")
    os.chmod(directory, 0o770)
    with pytest.raises(framecache.AccessError, match="mode 0770"):
        c.get("k")
    os.chmod(directory, 0o700)


def test_delete_says_whether_there_was_one(c: FrameCache) -> None:
    c.set("k", 1)
    assert c.delete("k") is True
    assert c.get("k") is None
    assert c.delete("k") is False
    c.set_many(VALUES)
    keys = [*VALUES, "unknown"]
    assert c.delete_many(*keys) == keys  # all of them are gone
    assert c.get_many(*VALUES) == [None] * len(VALUES)


def test_add_leaves_what_is_there(c: FrameCache) -> None:
    assert c.add("k", False) is True
    assert c.add("k", 2) is False
    assert c.get("k") is False
    assert c.add("other", None) is True  # a stored None is there, too
    assert c.add("other", 1) is False
    assert c.has("other")


def test_add_after_expiry(c: FrameCache) -> None:
    c.set("k", 1, timeout=0.02)
    wait_for(lambda: not c.has("k"))
    assert c.add("k", 2) is True
    assert c.get("k") == 2


def test_of_many_adders_one_wins(c: FrameCache) -> None:
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda: won.append(c.add("k", 1))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


@pytest.mark.parametrize("number", [0, 10, 5_000_000_000_000, -7])
def test_inc_and_dec(c: FrameCache, number: int) -> None:
    assert c.inc("i", number) == number
    assert c.dec("d", number) == -number
    assert c.get("i") == number
    assert c.dec("i", 5) == number - 5
    assert c.inc("i") == number - 4
    assert c.get("i") == number - 4
    c.set("text", "x")
    with pytest.raises(TypeError):
        c.inc("text")
    c.set("nothing", None)
    assert c.inc("nothing", 2) == 2


def test_inc_loses_nothing_between_caches(make: Make) -> None:
    caches = [make() for _ in range(3)]

    def work(cache: FrameCache) -> None:
        for _ in range(40):
            cache.inc("n")

    threads = [threading.Thread(target=work, args=(cache,)) for cache in caches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caches[0].get("n") == 120


# ---- Timeouts ----


def expires_in(c: FrameCache, key: str) -> float | None:
    info = c.cache.info(f"flask:{key}")
    return None if info["expires"] is None else info["expires"] - info["created"]


def test_timeouts(make: Make) -> None:
    c = make(default_timeout=100)
    for key, timeout, seconds in (
        ("default", None, 100), ("given", 60, 60), ("never", 0, None),
        ("delta", datetime.timedelta(minutes=2), 120), ("part", 0.5, 0.5),
        ("zero", datetime.timedelta(), None),
    ):  # fmt: skip
        assert c.set(key, 1, timeout)
        assert expires_in(c, key) == (seconds and pytest.approx(seconds, abs=0.1)), key
        assert c.add(f"{key} added", 1, timeout)
        assert expires_in(c, f"{key} added") == (
            seconds and pytest.approx(seconds, abs=0.1)
        )
    c.inc("n")
    assert expires_in(c, "n") == pytest.approx(100, abs=0.1)
    never = make(default_timeout=0, key_prefix="never")
    never.set("k", 1)
    assert expires_in(never, "neverk") is None


def test_a_negative_timeout_has_expired(c: FrameCache) -> None:
    c.set("k", 1)
    assert c.set("k", 2, timeout=-1) is True
    assert c.get("k") is None
    assert c.add("k", 3, timeout=-1) is True
    assert not c.has("k")


def test_what_has_expired_is_gone(c: FrameCache) -> None:
    c.set("soon", 1, timeout=0.02)
    c.set("never", 2, timeout=0)
    wait_for(lambda: not c.has("soon"))
    assert c.get("soon") is None
    assert c.get("never") == 2


# ---- Keys ----


def test_keys_are_text(c: FrameCache) -> None:
    for key in (1, b"k", None, ("a",)):
        with pytest.raises(TypeError, match="a key must be a str"):
            c.set(key, 1)  # type: ignore[arg-type]
    for key in ("", "é\0\ud800", "x" * 5000, "x" * 4999 + "y"):
        c.set(key, key)
    assert c.get("x" * 5000) == "x" * 5000
    assert c.get("x" * 4999 + "y") == "x" * 4999 + "y"
    assert c.get("") == ""
    assert c.get("é\0\ud800") == "é\0\ud800"


def test_clear_is_for_one_prefix(make: Make) -> None:
    a, b = make(key_prefix="a"), make(key_prefix=lambda: "b")
    a.set("k", 1)
    b.set("k", 2)
    a.cache.put_value("own", 3)
    assert a.clear() is True
    assert (a.get("k"), b.get("k"), a.cache.get_value("own")) == (None, 2, 3)


# ---- Room ----


def test_beyond_the_threshold_the_unused_go(make: Make) -> None:
    c = make(threshold=20)
    for number in range(20):
        c.set(str(number), number)
        time.sleep(0.001)
    for number in range(10):
        assert c.get(str(number)) == number
    time.sleep(0.001)
    c.cache.tick()
    for number in range(20, 28):
        c.set(str(number), number)
    left = [number for number in range(28) if c.has(str(number))]
    assert 17 <= len(left) <= 21
    assert set(range(20, 28)) <= set(left)


def test_the_threshold_is_of_ones_own_prefix(make: Make) -> None:
    theirs, mine = make(key_prefix="app_", threshold=0), make(threshold=10)
    for number in range(30):
        theirs.set(str(number), number)
    for number in range(40):
        mine.set(str(number), number)
    assert [theirs.get(str(number)) for number in range(30)] == list(range(30))
    assert 1 <= sum(mine.has(str(number)) for number in range(40)) <= 11


def test_no_threshold(make: Make) -> None:
    c = make(threshold=0)
    assert len(c.set_many({str(n): n for n in range(600)})) == 600
    assert sum(c.has(str(n)) for n in range(600)) == 600


def test_what_does_not_fit_is_false_and_logged(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    c = make(budget="32MiB")
    with caplog.at_level(logging.WARNING, "framecache"):
        assert c.set("k", np.zeros(8 << 20)) is False
        assert c.set_many({"a": 1, "k": np.zeros(8 << 20)}) == ["a"]
    assert "cannot keep 'k'" in caplog.text


def test_damage_is_a_miss(c: FrameCache, caplog: pytest.LogCaptureFixture) -> None:
    from framecache import _values

    columns = [_values._column("tree", b"{", 1)]
    options = (0, 0, 0.0, 0, False, ())
    c.cache._put_columns("flask:k", options, columns, 1, _values._METADATA).release()
    assert c.get("k") is None
    assert "cannot read 'k'" in caplog.text


def test_unknown_settings_are_ignored(make: Make) -> None:
    c = make(hash_method=None, whatever=1, ignore_errors=True)
    assert c.set("k", 1)
    assert c.ignore_delete_many_errors is True


def test_it_works_with_cachelib_alone(directory: str) -> None:
    program = (
        "import sys\n"
        "sys.modules['flask_caching'] = None\n"
        "sys.modules['flask'] = None\n"
        "from framecache.flask import FrameCache\n"
        "import cachelib\n"
        f"c = FrameCache({directory!r})\n"
        "assert type(c).__mro__[1] is cachelib.BaseCache\n"
        "assert c.set('k', [1]) and c.get('k') == [1] and c.inc('n') == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ---- Flask-Caching ----


class App:
    def __init__(self, directory: str, **config: Any) -> None:
        self.app = flask.Flask("test")
        self.app.testing = True
        self.app.config.update(
            CACHE_TYPE="framecache.flask.FrameCache", CACHE_DIR=directory, **config
        )
        self.cache = flask_caching.Cache(self.app)
        self.calls: list[Any] = []

    def count(self, *what: Any) -> int:
        self.calls.append(what)
        return len(self.calls)


@pytest.fixture
def site(directory: str) -> Iterator[App]:
    site = App(directory, DEBUG=True, CACHE_OPTIONS={"budget": "64MiB"})
    yield site
    site.cache.cache.cache.close()


def test_settings_of_flask_caching(directory: str) -> None:
    site = App(
        directory, CACHE_DEFAULT_TIMEOUT=11, CACHE_THRESHOLD=7, CACHE_KEY_PREFIX="p_",
        CACHE_OPTIONS={"budget": "48MiB", "hash_method": None}, CACHE_NAMESPACE="ours",
    )  # fmt: skip
    backend = site.cache.cache
    assert type(backend) is FrameCache
    assert backend.cache.dir == directory
    assert backend.cache.budget == 48 << 20
    assert (backend.default_timeout, backend._threshold) == (11, 7)
    with site.app.app_context():
        site.cache.set("k", 1)
    assert list(backend.cache) == ["flask:ours:p_k"]
    backend.cache.close()
    site = App(
        "/nonexistent", CACHE_ARGS=[directory, 9], CACHE_OPTIONS={"default_timeout": 5}
    )
    backend = site.cache.cache
    assert (backend.cache.dir, backend._threshold) == (directory, 9)
    assert backend.default_timeout == 5
    backend.cache.close()


def test_cached_views(site: App) -> None:
    @site.app.route("/text")
    @site.cache.cached(timeout=60)
    def text() -> str:
        return f"call {site.count()}"

    @site.app.route("/tuple")
    @site.cache.cached(60, unless=lambda: "u" in flask.request.args)
    def with_status() -> Any:
        return f"{site.count()}", 201, {"X-Mine": "yes"}

    @site.app.route("/response")
    @site.cache.cached(60)
    def response() -> Any:
        made = flask.make_response(f"{site.count()}", 202)
        made.headers["X-Mine"] = "yes"
        return made

    @site.app.route("/own")
    @site.cache.cached(60)
    def own_timeout() -> Any:
        made = flask.make_response(f"{site.count()}")
        return flask_caching.CachedResponse(made, timeout=50)

    @site.app.route("/error")
    @site.cache.cached(60)
    def error() -> Any:
        site.count()
        flask.abort(404, "not here")

    client = site.app.test_client()
    for path in ("/text", "/tuple", "/response", "/own", "/error"):
        first, again = client.get(path), client.get(path)
        assert (first.status, first.data) == (again.status, again.data), path
        assert dict(first.headers) == dict(again.headers), path
    assert len(site.calls) == 5
    assert client.get("/tuple").headers["X-Mine"] == "yes"
    assert client.get("/error").status_code == 404
    client.get("/tuple?u=1")
    assert len(site.calls) == 6


def test_query_strings_and_keys(site: App) -> None:
    @site.app.route("/q")
    @site.cache.cached(60, query_string=True)
    def query() -> str:
        return f"{site.count()}"

    @site.app.route("/k")
    @site.cache.cached(60, make_cache_key=lambda: flask.request.args["k"])
    def keyed() -> str:
        return f"{site.count()}"

    @site.app.route("/f")
    @site.cache.cached(60, forced_update=lambda: "f" in flask.request.args)
    def forced() -> str:
        return f"{site.count()}"

    client = site.app.test_client()
    assert client.get("/q?a=1&b=2").data == client.get("/q?b=2&a=1").data
    assert client.get("/q?a=2").data == b"2"
    assert client.get("/k?k=x&n=1").data == client.get("/k?k=x&n=2").data
    assert client.get("/f").data == client.get("/f").data == b"4"
    assert client.get("/f?f=1").data == b"5"


def test_a_streamed_response_is_an_error_of_the_cache(site: App) -> None:
    with pytest.raises(TypeError, match="streamed"):
        site.cache.cache.set("k", flask.Response(iter(["a"]), mimetype="text/plain"))


def test_memoize(site: App) -> None:
    @site.cache.memoize(60)
    def add(a: int, b: int = 0) -> Any:
        return {"sum": a + b, "n": site.count()}

    @site.cache.memoize(60, unless=lambda f, *args, **kwargs: args == (9,))
    def unless(a: int) -> int:
        return site.count()

    with site.app.app_context():
        assert add(1, 2) == add(1, b=2) == add(a=1, b=2)
        assert add(2)["n"] == 2
        site.cache.delete_memoized(add, 1, 2)
        assert add(1, 2)["n"] == 3
        assert add(2)["n"] == 2
        site.cache.delete_memoized(add)
        assert add(2)["n"] == 4
        assert unless(1) == unless(1) == 5
        assert unless(9) == 6
        assert unless(9) == 7
        site.cache.clear()
        assert unless(1) == 8


class Shape:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Shape({self.name})"


def test_memoized_methods_and_tables(site: App) -> None:
    class Data(Shape):
        @site.cache.memoize(60)
        def table(self, rows: int) -> pd.DataFrame:
            site.count()
            return pd.DataFrame({"x": range(rows), "name": self.name})

    with site.app.app_context():
        one, two = Data("one"), Data("two")
        pd.testing.assert_frame_equal(one.table(3), one.table(3))
        assert two.table(3)["name"][0] == "two"
        assert len(site.calls) == 2
        site.cache.delete_memoized(one.table)
        one.table(3)
        two.table(3)
        assert len(site.calls) == 3


def test_none_is_kept_when_asked(site: App) -> None:
    @site.cache.memoize(60, cache_none=True)
    def kept() -> None:
        site.count()

    @site.cache.memoize(60)
    def not_kept() -> None:
        site.count()

    with site.app.app_context():
        kept()
        kept()
        assert len(site.calls) == 1
        not_kept()
        not_kept()
        assert len(site.calls) == 3


def test_template_fragments(site: App) -> None:
    source = (
        "{% cache 60, 'part', who %}<b>{{ who }} {{ n() }}</b>{% endcache %}"
        "{% cache 'del', 'part', 'gone' %}{% endcache %}"
    )
    with site.app.test_request_context():

        def render(who: str) -> str:
            return flask.render_template_string(source, who=who, n=site.count)

        assert render("<a>") == render("<a>") == "<b>&lt;a&gt; 1</b>"
        assert render("b") == "<b>b 2</b>"
        key = flask_caching.make_template_fragment_key("part", vary_on=["b"])
        assert type(site.cache.get(key)).__name__ == "Markup"
        site.cache.delete(key)
        assert render("b") == "<b>b 3</b>"


def test_the_cache_of_the_app(site: App) -> None:
    with site.app.app_context():
        assert site.cache.set("k", {"a": (1, 2)})
        assert site.cache.get("k") == {"a": (1, 2)}
        assert site.cache.add("k", 1) is False
        assert site.cache.has("k")
        assert site.cache.set_many({"x": 1, "y": 2}) == ["x", "y"]
        assert site.cache.get_dict("x", "y") == {"x": 1, "y": 2}
        assert site.cache.cache.inc("x") == 2
        assert site.cache.delete_many("x", "y")
        assert site.cache.delete("k") is True
        assert site.cache.clear()


def test_processes_share_it(directory: str) -> None:
    site = App(directory, CACHE_NAMESPACE="ours")
    with site.app.app_context():
        site.cache.set("k", [1, 2])
    program = (
        "from framecache.flask import FrameCache\n"
        f"c = FrameCache({directory!r}, key_prefix='flask_cache_', "
        "namespace='ours')\n"
        "assert c.get('k') == [1, 2]\n"
        "assert c.inc('n', 5) == 5\n"
    )
    with warnings.catch_warnings():
        subprocess.run([sys.executable, "-c", program], check=True)
    with site.app.app_context():
        assert site.cache.cache.inc("n") == 6
