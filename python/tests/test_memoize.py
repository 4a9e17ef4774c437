"""Functions whose results are in the cache: keys by content, methods, clearing."""

import asyncio
import datetime
import decimal
import functools
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
import zoneinfo
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from crowd import Crowd, Tally, die
from framecache import _keys

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def made(*values: Any) -> pa.Table:
    CALLS.append(values)
    return pa.table({"x": [str(value) for value in values]})


# ---- Calls ----


def test_equal_calls_compute_once(cache: framecache.Cache) -> None:
    @cache.memoize
    def f(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> pa.Table:
        return made(a, b, c)

    for call in (lambda: f(1), lambda: f(1, 2), lambda: f(a=1, c=3), lambda: f(b=2, a=1)):
        assert call()["x"].to_pylist() == ["1", "2", "3"]
    assert len(CALLS) == 1
    for call in (lambda: f(2), lambda: f(1, 2, 3), lambda: f(1, d=4), lambda: f(1, c=4)):
        call()
    assert len(CALLS) == 5
    assert f(1, e=1, d=2) is not None and f(1, d=2, e=1) is not None
    assert len(CALLS) == 6
    info = f.cache_info()
    assert info == {"hits": 4, "misses": 6, "stale_hits": 0, "computed": 6}


def test_it_looks_like_the_function(cache: framecache.Cache) -> None:
    def f(a: int) -> pa.Table:
        """Says what."""
        return made(a)

    g = cache.memoize(ttl=60)(f)
    assert (g.__wrapped__, g.__name__, g.__doc__) == (f, "f", "Says what.")
    assert inspect.signature(g) == inspect.signature(f)
    assert g.cache_key(1) not in cache and g(1).num_rows == 1 and g.cache_key(1) in cache
    assert cache.info(g.cache_key(1))["expires"] is not None
    assert not inspect.iscoroutinefunction(g)


def test_results_are_of_the_caller_alone(cache: framecache.Cache) -> None:
    @cache.memoize
    def f() -> pd.DataFrame:
        return pd.DataFrame({"x": np.arange(10_000)})

    first = f()
    first.loc[0, "x"] = 99
    first["y"] = 1
    assert f().equals(pd.DataFrame({"x": np.arange(10_000)}))


def test_a_wrong_call_is_the_functions_own_error(cache: framecache.Cache) -> None:
    f = cache.memoize(lambda a: made(a))
    with pytest.raises(TypeError, match="argument"):
        f()
    with pytest.raises(TypeError, match="argument"):
        f.cache_key(1, 2)


def test_a_failure_is_not_kept(cache: framecache.Cache) -> None:
    @cache.memoize
    def f() -> pa.Table:
        made()
        if len(CALLS) == 1:
            raise OSError("it failed")
        return made()

    with pytest.raises(OSError, match="it failed"):
        f()
    assert f().num_rows == 0


def test_methods(cache: framecache.Cache) -> None:
    class Report:
        def __init__(self, name: str) -> None:
            self.name = name

        @cache.memoize(key=lambda self, year: f"{self.name}/{year}")
        def by_key(self, year: int) -> pa.Table:
            return made(self.name, year)

        @cache.memoize(ignore=["self"])
        def of_all(self, year: int) -> pa.Table:
            return made(self.name, year)

        @cache.memoize
        def refused(self) -> pa.Table:
            return made()

        @staticmethod
        @cache.memoize
        def static(year: int) -> pa.Table:
            return made(year)

    a, b = Report("a"), Report("b")
    assert a.by_key(1)["x"][0].as_py() == "a" and b.by_key(1)["x"][0].as_py() == "b"
    assert a.by_key(1) and len(CALLS) == 2
    assert a.by_key.cache_key(1).endswith(":a/1")
    assert a.by_key.cache_clear(1) == 1 and a.by_key.cache_clear(1) == 0
    assert a.of_all(1)["x"][0].as_py() == "a" and b.of_all(1)["x"][0].as_py() == "a"
    assert Report.static(1) and a.static(1) and len(CALLS) == 4
    assert a.of_all.cache_info()["hits"] == 1
    with pytest.raises(TypeError, match=r"\['self'\].*Report has no content"):
        a.refused()
    assert b.by_key.cache_clear() == 1
    assert Report.of_all(a, 1)["x"][0].as_py() == "a"


def test_ignored_parameters(cache: framecache.Cache) -> None:
    @cache.memoize(ignore=["connection"])
    def f(a: int, connection: object) -> pa.Table:
        return made(a)

    f(1, object()), f(1, connection=None)
    assert len(CALLS) == 1
    with pytest.raises(ValueError, match="'conection'"):
        cache.memoize(ignore=["conection"])(f.__wrapped__)


def test_versions_and_clearing(cache: framecache.Cache) -> None:
    def f(a: int) -> pa.Table:
        return made(a)

    one, two = cache.memoize(version=1)(f), cache.memoize(version="2")(f)
    one(1), one(2), two(1)
    assert len(CALLS) == 3
    assert one.cache_clear(1) == 1
    one(2), two(1)
    assert len(CALLS) == 3
    assert one.cache_clear() == 2  # all versions
    assert len(cache) == 0


def test_other_code_of_the_same_name_is_another_function(
    cache: framecache.Cache,
) -> None:
    one, two = (cache.memoize(f) for f in (lambda n: made(n), lambda n: made(n + 1)))
    assert [f(1)["x"][0].as_py() for f in (one, two)] == ["1", "2"]

    def define(text: str) -> Any:
        names: dict[str, Any] = {"made": made, "__name__": __name__}
        exec(f"def f(n):\n    return {text}", names)
        return cache.memoize(names["f"])

    edited = [define(text) for text in ("made(n)", "made(n, 1)", "made(n, {1, 'a'})")]
    assert len({f.cache_key(1) for f in edited}) == 3
    again = define("made(n)")
    edited[0](1), again(1)
    assert again.cache_info()["hits"] == 1
    assert edited[1].cache_clear() == 1  # of all that have the name


def test_tags_and_ttl_are_given_to_the_frames(cache: framecache.Cache) -> None:
    @cache.memoize(tags=["sql"], ttl="1h", stale="1m")
    def f() -> pa.Table:
        return made()

    f()
    info = cache.info(f.cache_key())
    assert "sql" in info["tags"]
    assert info["stale_until"] - info["expires"] == pytest.approx(60)
    assert cache.delete_tag("sql") == 1


@pytest.mark.parametrize(
    "wrong",
    [{"ttl": -1}, {"ttl": "soon"}, {"ttl": float("nan")}, {"ttl": 0}, {"stale": -1},
     {"stale": "x"}, {"timeout": -1}],
)  # fmt: skip
def test_wrong_options_are_told_when_decorating(
    cache: framecache.Cache, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cache.memoize(**wrong)


def test_generators_are_refused(cache: framecache.Cache) -> None:
    def f() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        cache.memoize(f)


def test_a_long_name_and_a_builtin(cache: framecache.Cache) -> None:
    f = lambda: made()  # noqa: E731
    f.__qualname__ = "x" * 3000
    assert cache.memoize(f)().num_rows == 0
    g = cache.memoize(pa.table)
    assert g({"x": [1]}).equals(pa.table({"x": [1]}))
    assert g({"x": [1]}).equals(g({"x": [1]}))
    assert g.cache_info()["computed"] == 1


class Times:
    """A callable of an object, or a method of one: what it does depends on `factor`."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, n: int) -> pa.Table:
        return made(n * self.factor)

    @classmethod
    def twice(cls, n: int) -> pa.Table:
        return made(n * 2)


def test_partials_are_told_apart_by_what_they_hold(cache: framecache.Cache) -> None:
    def product(a: int, b: int) -> pa.Table:
        return made(a * b)

    def total(a: int, b: int) -> pa.Table:
        return made(a + b)

    partials = [
        functools.partial(product, 3),
        functools.partial(product, 4),
        functools.partial(total, 3),
        functools.partial(functools.partial(total), b=4),
    ]
    found = [cache.memoize(one)(5)["x"][0].as_py() for one in partials]
    assert found == ["15", "20", "8", "9"]
    again = cache.memoize(functools.partial(product, 3))
    again(5)
    assert again.cache_info() == {"hits": 1, "misses": 0, "stale_hits": 0, "computed": 0}


def test_what_is_of_an_object_needs_a_version(cache: framecache.Cache) -> None:
    for of_object in (Times(2), Times(2).__call__, functools.partial(Times(2))):
        with pytest.raises(TypeError, match=r"Times has no content to hash.*version="):
            cache.memoize(of_object)
    two, three = (cache.memoize(Times(n), version=n) for n in (2, 3))
    assert [f(7)["x"][0].as_py() for f in (two, three)] == ["14", "21"]
    assert cache.memoize(Times.twice)(7).num_rows == 1  # the class is known by its name


def test_methods_of_objects_with_content_are_told_apart_by_it(
    cache: framecache.Cache,
) -> None:
    one, two = ({"a": made(n)} for n in (1, 2))
    assert cache.memoize(one.get)("a")["x"][0].as_py() == "1"
    assert cache.memoize(two.get)("a")["x"][0].as_py() == "2"


def test_coroutine_functions(cache: framecache.Cache) -> None:
    class Report:
        @cache.memoize(ignore=["self"])
        async def table(self, year: int) -> pa.Table:
            return made(year)

    @cache.memoize
    async def f(a: int) -> pa.Table:
        """Says what."""
        await asyncio.sleep(0.01)
        return made(a)

    async def main() -> None:
        results = await asyncio.gather(*[f(1) for _ in range(20)], f(2))
        assert [result["x"][0].as_py() for result in results] == ["1"] * 20 + ["2"]
        report = Report()
        await report.table(1), await report.table(1)

    asyncio.run(main())
    assert len(CALLS) == 3
    assert isinstance(f, framecache.AsyncMemoized) and f.__doc__ == "Says what."
    assert asyncio.iscoroutinefunction(f) or inspect.iscoroutinefunction(f)
    info = f.cache_info()
    assert (info["hits"] + info["misses"], info["computed"]) == (21, 2)
    assert f.cache_clear(1) == 1


def module_level(n: int) -> pa.Table:
    return made(n)


def test_it_pickles_by_name(cache: framecache.Cache, monkeypatch: Any) -> None:
    f = cache.memoize(module_level)
    module = sys.modules[module_level.__module__]
    monkeypatch.setattr(module, "module_level", f)
    assert pickle.loads(pickle.dumps(f)) is f


# ---- Processes ----

PROCESSES, EACH = 8, 1250


@pytest.mark.parametrize("killed", [False, True])
def test_ten_thousand_calls_compute_once(
    cache: framecache.Cache, directory: str, killed: bool
) -> None:
    tally = Tally(f"{directory}.tally")

    @cache.memoize(ttl=600)
    def f(n: int) -> pa.Table:
        time.sleep(0.05)
        if tally.add() == 1 and killed:
            die()
        return pa.table({"n": [n]})

    def work() -> None:
        for _ in range(EACH):
            assert f(7)["n"][0].as_py() == 7
        assert f.cache_info()["hits"] >= EACH - 1

    codes = Crowd(PROCESSES, work).go().ended()
    assert sorted(codes) == [-signal.SIGKILL] * killed + [0] * (PROCESSES - killed)
    assert len(tally) == 1 + killed


SCRIPT = """
import multiprocessing, sys
import framecache, pyarrow as pa

cache = framecache.Cache(sys.argv[1])

@cache.memoize
def f(n):
    assert n not in {"one", "two", "three"}
    return pa.table({"n": [n for m in range(1)]})

if __name__ == "__main__":
    f(1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(f.cache_key, (1,)) == f.cache_key(1), "another key there"
        print(pool.apply(f, (1,))["n"].to_pylist(), pool.apply(f.cache_info))
"""


def test_a_spawned_child_of_a_script_has_the_same_keys(
    directory: str, tmp_path: Any
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = [sys.executable, str(script), directory]
    child = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert child.stdout.startswith("[1] {'hits': 1, 'misses': 0"), child.stderr


# ---- Content ----

AWARE = datetime.datetime(2024, 1, 2, 3, 4, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))
DISTINCT: list[Any] = [
    None, True, False, 0, 1, -1, 2**70, 0.0, 1.0, float("inf"), "", "1", "a", b"a", b"",
    [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}), [1, 2], [2, 1],
    [[1], 2], [1, [2]], ["ab", "c"], ["a", "bc"], {"a": 1}, {"a": 2}, {"b": 1},
    {"a": 1, "b": 2}, {1: "a"}, {"1": "a"}, [None], [[]],
    datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2), AWARE,
    AWARE.replace(tzinfo=datetime.UTC), AWARE.replace(tzinfo=None),
    datetime.time(3, 4), datetime.time(3, 4, tzinfo=datetime.UTC),
    datetime.timedelta(1), datetime.timedelta(0, 1),
    decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal("NaN"),
    uuid.UUID(int=1), np.int64(1), np.int32(1), np.float64(1), np.str_("a"),
    np.datetime64(1, "s"), np.datetime64(1, "ms"),
    np.arange(4), np.arange(4).reshape(2, 2), np.arange(4.0), np.arange(4, dtype="i4"),
    np.array([], dtype="i8"), np.array([], dtype="f8"), np.array(1), np.array("a"),
    np.array(["a", None], dtype=object), np.array([1, 2], dtype="M8[s]"),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), np.array([True, False]),
    pd.NaT, pd.NA, pd.Timestamp(1), pd.Timestamp(1, tz="UTC"), pd.Timedelta(1),
    pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), pd.DataFrame({"b": [1, 2]}),
    pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1, 2]}, index=[5, 6]),
    pd.DataFrame({"a": [1, 2], "b": [1, 2]}), pd.DataFrame({"a": ["x", None]}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
    pd.DataFrame({"a": pd.Categorical(["y", "x"])}),
    pd.DataFrame({"a": [1.0, np.nan]}), pd.DataFrame({"a": [decimal.Decimal(1)]}),
    pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Series([1, 2], name=0),
    pd.Index([1, 2]), pd.date_range("2024", periods=2),
    pl.DataFrame({"a": [1, 2]}), pl.DataFrame({"a": [1, 3]}), pl.DataFrame({"b": [1, 2]}),
    pl.Series("a", [1, 2]), pl.DataFrame({"a": ["x", None]}),
    pa.table({"a": [1, 2]}), pa.table({"a": [1, 3]}), pa.table({"b": [1, 2]}),
    pa.array([1, 2]), pa.array([1, None]), pa.record_batch({"a": [1, 2]}),
]  # fmt: skip


def test_different_contents_have_different_hashes() -> None:
    hashes = [framecache.content_hash(value) for value in DISTINCT]
    assert {len(digest) for digest in hashes} == {16}
    for index, digest in enumerate(hashes):
        twin = hashes.index(digest)
        assert twin == index, (DISTINCT[index], DISTINCT[twin])


def test_equal_contents_have_equal_hashes() -> None:
    table = pa.table({"a": list(range(20)), "s": [None, "x"] * 10})
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    frame = pd.DataFrame({"a": np.arange(40), "s": list("abcd") * 10})
    numbers = np.arange(24).reshape(4, 6)
    polars = pl.DataFrame({"a": range(20), "s": ["x", None] * 10})
    for left, right in [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (table, chunked),
        (table.slice(3, 9), pa.Table.from_pylist(table.to_pylist()[3:12])),
        (frame, frame.copy()),
        (frame.iloc[::2], frame.iloc[::2].copy()),
        (frame["s"], frame["s"].copy()),
        (numbers, np.asfortranarray(numbers)),
        (numbers[:, ::2], numbers[:, ::2].copy()),
        (polars, pl.concat([polars[:7], polars[7:]])),
        (polars[3:9], pl.DataFrame(polars[3:9].to_dicts())),
        (polars.to_series(0), pl.Series("a", range(20))),
        ("a" * 10, "".join("a" for _ in range(10))),
    ]:
        assert framecache.content_hash(left) == framecache.content_hash(right), left


def test_a_frame_is_an_argument_by_what_it_is(cache: framecache.Cache) -> None:
    table = pa.table({"a": [1, 2, 3], "b": [4, 5, 6]})
    cache["k"], cache["l"] = table, table
    seen = set()
    with cache["k"] as frame, cache["l"] as other:
        views = [frame, other, frame.select(["a"]), frame.select(["b", "a"])]
        views += [frame.slice(1), frame.head(1), frame.slice(1, 1), frame["a"]]
        for view in views:
            seen.add(_keys.digest(view))
        assert len(seen) == len(views)
        with cache["k"] as again:
            assert _keys.digest(again) in seen
            assert _keys.digest(again.select(["a"])) in seen
        with pytest.raises(TypeError, match="same name"):
            _keys.digest(frame.select(["a", "a"]))
    cache["k"] = table
    with cache["k"] as frame:
        assert _keys.digest(frame) not in seen
    del views, view


def test_a_frames_bytes_are_not_read(cache: framecache.Cache) -> None:
    rows = 32 << 20
    with cache.put("k", pa.table({"x": np.zeros(rows)})):
        pass
    script = f"""
import framecache, resource
from framecache import _keys
cache = framecache.Cache({cache.dir!r})
frame = cache["k"]
_keys.digest(frame)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
_keys.digest(frame)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = subprocess.check_output([sys.executable, "-c", script])
    assert int(faults) < rows * 8 // 4096 // 100


class Thing:
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Thing(), "value: "),
        ([1, Thing()], r"value\[1\]: "),
        ({"a": [(), {"b": Thing()}]}, r"value\['a'\]\[1\]\['b'\]: "),
        ({frozenset([3, Thing]): 1}, r"value key .* item "),
        (np.array([1, Thing()], dtype=object), r"value\[1\]: "),
        (pd.DataFrame({"x": [Thing()]}), "value: column 'x'"),
        (pl.LazyFrame({"x": [1]}), "value: a polars.*LazyFrame"),
        (np.ma.masked_array([1], [True]), "MaskedArray"),
        (lambda: 1, "function"),
        (iter(b"a"), "bytes_iterator"),
    ],
)
def test_the_path_to_what_has_no_content(value: Any, path: str) -> None:
    with pytest.raises(TypeError, match=path):
        framecache.content_hash(value)


HASHES = """
import datetime, decimal, uuid
import framecache, numpy as np, pandas as pd, polars as pl, pyarrow as pa

values = [
    {"a", "b", "c", "d"}, {"x": 1, "y": {"z"}}, frozenset({1, "1", None}), "text", 2**80,
    datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), decimal.Decimal("1.5"),
    uuid.UUID(int=7), np.arange(5.0), pd.DataFrame({"a": [1, 2], "s": ["x", None]}),
    pd.Series(pd.Categorical(["a", "b"])), pl.DataFrame({"a": ["x", None]}),
    pa.table({"a": pa.array(["x", None]).dictionary_encode()}),
]
print(framecache.content_hash(values).hex())
"""


def test_hashes_are_the_same_in_every_process() -> None:
    hashes = {
        subprocess.check_output(
            [sys.executable, "-c", HASHES], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("0", "1", "12345")
    }
    assert len(hashes) == 1


def test_a_table_as_argument(cache: framecache.Cache) -> None:
    @cache.memoize
    def total(frame: pd.DataFrame) -> pa.Table:
        return made(frame["x"].sum())

    frame = pd.DataFrame({"x": np.arange(100_000)})
    assert total(frame).equals(total(frame.copy()))
    frame.loc[77, "x"] = 0
    assert total(frame)["x"][0].as_py() == str(frame["x"].sum())
    assert len(CALLS) == 2


def test_counts_under_threads(cache: framecache.Cache) -> None:
    @cache.memoize
    def f(n: int) -> pa.Table:
        return made(n)

    threads = [
        threading.Thread(target=lambda: [f(n % 10) for n in range(500)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    info = f.cache_info()
    assert info["hits"] + info["misses"] == 4000
    assert info["computed"] == len(CALLS) == 10


def _negative(function: Any) -> Any:
    @functools.wraps(function)
    def negative(x: int) -> Any:
        return -function(x)

    return negative


def _twice(function: Any) -> Any:
    @functools.wraps(function)
    def twice(x: int) -> Any:
        return function(function(x))

    return twice


def test_decorated_otherwise_it_is_another_function(cache: framecache.Cache) -> None:
    def double(x: int) -> int:
        return 2 * x

    ways = [double, _negative(double), _twice(double), _negative(_twice(double))]
    assert [cache.memoize(way)(5) for way in ways] == [10, -10, 20, -20]
    hits = [cache.memoize(way) for way in (_negative(double), functools.cache(double))]
    assert [way(5) for way in hits] == [-10, 10]
    assert [way.cache_info()["misses"] for way in hits] == [0, 0]
