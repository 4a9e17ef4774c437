"""What framecache.register knows is obeyed everywhere: alone, inside, as an argument."""

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from framecache import _kinds
from pandas.testing import assert_frame_equal


class Sub(pd.DataFrame):
    """A subclass of pandas' own, as geopandas has one."""

    @property
    def _constructor(self) -> type:
        return Sub


class SubSeries(pd.Series):
    pass


class Exporter:
    """A class of someone's that exports Arrow."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return pa.table(self.inner).__arrow_c_stream__(requested_schema)


class Batch:
    """The same, of one batch."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object:
        return pa.record_batch(self.inner).__arrow_c_array__(requested_schema)


class Records:
    def __init__(self, inner: Any) -> None:
        self.inner = inner


@dataclasses.dataclass
class Point:
    x: int


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = dict(_kinds.extensions), dict(_kinds.extension_tags)
    yield
    for kept, now in zip(before, (_kinds.extensions, _kinds.extension_tags), strict=True):
        now.clear()
        now.update(kept)


def known() -> None:
    framecache.register(Sub, "t.Sub", pd.DataFrame, Sub)
    framecache.register(SubSeries, "t.SubSeries", pd.Series, SubSeries)
    framecache.register(Exporter, "t:Exporter", lambda e: e.inner, Exporter)
    framecache.register(Batch, "t.Batch", lambda b: b, Batch)
    framecache.register(Records, "t.Records", lambda r: r.inner, Records)
    framecache.register(Point, "t.Point", dataclasses.astuple, lambda p: Point(*p))


def table_like() -> dict[str, Any]:
    pandas = pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 7])
    return {
        "pandas": Sub(pandas),
        "series": SubSeries([1.5, 2.5], name="s"),
        "arrow": Exporter(pa.table({"a": [1, 2]})),
        "batch": Exporter(pa.record_batch({"a": [1, 2]})),
        "polars": Exporter(pl.DataFrame({"a": [1, 2]})),
        "polars series": Exporter(pl.Series("a", [1, 2])),
        "dataframe inside": Exporter(pandas),
        "numpy": Records(np.array([(1, 2.5)], dtype=[("a", "i8"), ("b", "f8")])),
    }


def alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, (pd.DataFrame, pd.Series, pl.Series, pl.DataFrame, pa.Table)):
        return bool(one.equals(other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tolist() == other.tolist()
    if hasattr(one, "inner"):
        return alike(one.inner, other.inner)
    return bool(one == other)


def by_put(cache: framecache.Cache, value: Any) -> Any:
    with cache.put("k", value) as stored:
        return stored.to_value()


def by_add(cache: framecache.Cache, value: Any) -> Any:
    assert cache.add("k", value)
    return cache.get_value("k")


def by_item(cache: framecache.Cache, value: Any) -> Any:
    cache.namespace("n")["k"] = value
    return cache.namespace("n").get_value("k")


def by_put_value(cache: framecache.Cache, value: Any) -> Any:
    cache.put_value("k", value)
    return cache.get_value("k")


def by_put_value_inside(cache: framecache.Cache, value: Any) -> Any:
    cache.put_value("k", {"a": [value]})
    return cache.get_value("k")["a"][0]


def by_pickle_allowed(cache: framecache.Cache, value: Any) -> Any:
    cache.put_value("k", value, allow_pickle=True)
    return cache.get_value("k")  # no pickle in it


def by_memoize(cache: framecache.Cache, value: Any) -> Any:
    kept = cache.memoize(version=1)(lambda: value)
    first = kept()
    assert kept.cache_info()["computed"] == 1
    assert alike(first, kept()) and kept.cache_info()["hits"] == 1
    return first


def by_get_or_compute(cache: framecache.Cache, value: Any) -> Any:
    first = cache.get_or_compute("k", lambda: value)
    assert alike(first, cache.get_or_compute("k", lambda: None))
    return first


def by_await(cache: framecache.Cache, value: Any) -> Any:
    async def compute() -> Any:
        return value

    return asyncio.run(cache.aget_or_compute("k", compute))


WAYS = [
    by_put, by_add, by_item, by_put_value, by_put_value_inside, by_pickle_allowed,
    by_memoize, by_get_or_compute, by_await,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", list(table_like()))
def test_tables_come_back_as_what_they_were(
    cache: framecache.Cache, kind: str, way: Callable[[Any, Any], Any]
) -> None:
    known()
    value = table_like()[kind]
    assert alike(way(cache, value), value)


@pytest.mark.parametrize("way", WAYS[3:])
def test_what_is_no_table_comes_back_too(
    cache: framecache.Cache, way: Callable[[Any, Any], Any]
) -> None:
    known()
    assert way(cache, Point(5)) == Point(5)


def test_what_exports_one_batch(cache: framecache.Cache) -> None:
    known()
    for way in (by_put, by_put_value, by_put_value_inside):
        back = way(cache, Batch(pa.record_batch({"a": [1, 2]})))
        assert type(back) is Batch
        assert pa.table(back.inner).to_pydict() == {"a": [1, 2]}


def test_a_frame_inside_lives_as_long_as_what_holds_it(cache: framecache.Cache) -> None:
    known()
    source = cache.put("source", pd.DataFrame({"a": [1, 2]}))
    with cache.put("k", Exporter(source)):
        pass
    back = cache.get_value("k")
    assert type(back) is Exporter
    assert back.inner.to_pandas()["a"].tolist() == [1, 2]
    back.inner.release()
    source.release()


def test_a_registered_table_is_a_table_to_others(cache: framecache.Cache) -> None:
    known()
    plain = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}, index=[5, 7, 9])
    for value in (Sub(plain), Exporter(plain)):
        cache.put_value("k", value)
        with cache["k"] as stored:
            assert stored.columns == ["a", "b", "__index_level_0__"]
            assert_frame_equal(stored.to_pandas(), plain)
            assert_frame_equal(pa.table(stored).to_pandas(), plain)
            assert stored.to_polars().height == 3
            part = stored.slice(1, 2).to_value()
            assert type(part) is type(value)
            part = part if isinstance(part, pd.DataFrame) else part.inner
            assert_frame_equal(pd.DataFrame(part), plain.iloc[1:])


UNKNOWING = """
import sys, framecache
with framecache.Cache(sys.argv[1]) as cache:
    assert cache["k"].to_pandas()["a"].tolist() == [1, 2]
    for get in (cache["k"].to_value, lambda: cache.get_value("k")):
        try:
            get()
        except framecache.UnsupportedError as error:
            assert "'t.Sub'" in str(error) and "register" in str(error), error
        else:
            raise AssertionError
print("fine")
"""


def test_a_process_that_does_not_know_the_tag_says_so(directory: str) -> None:
    known()
    with framecache.Cache(directory) as cache:
        cache.put("k", Sub({"a": [1, 2]})).release()
    run = [sys.executable, "-c", UNKNOWING, directory]
    out = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert (out.returncode, out.stdout) == (0, "fine\n"), out.stderr


def test_put_of_what_is_registered_and_no_table(cache: framecache.Cache) -> None:
    known()
    with pytest.raises(TypeError, match="put_value"):
        cache.put("k", Point(5))
    assert "k" not in cache


def test_what_is_encoded_as_itself_and_no_table(cache: framecache.Cache) -> None:
    framecache.register(Point, "t.Point", lambda p: p, lambda p: p)
    with pytest.raises(TypeError, match=r"'t\.Point' encodes it as the type it has"):
        cache.put_value("k", Point(1))
    with pytest.raises(TypeError, match="is no table"):
        cache.put("k", Point(1))
    with pytest.raises(TypeError, match=r"Point has no content"):
        framecache.content_hash([Point(1)])
    assert len(cache) == 0


def test_registered_types_as_arguments(cache: framecache.Cache) -> None:
    with pytest.raises(TypeError, match="Sub would come back"):
        framecache.content_hash(Sub({"a": [1]}))
    known()
    calls = []

    @cache.memoize()
    def total(table: Any) -> int:
        calls.append(1)
        return 5

    for value in (Sub({"a": [1]}), Sub({"a": [2]}), pd.DataFrame({"a": [1]}), Point(1),
                  Point(2), (1,)):  # fmt: skip
        assert total(value) == total(value) == 5
    assert len(calls) == 6
    for type_, key in ((Exporter, "t.E"), (Batch, "t.B")):
        framecache.register(type_, key, lambda e: e, type_)
        assert total(type_(pa.record_batch({"a": [1]}))) == 5
        assert total(type_(pa.record_batch({"a": [1]}))) == 5
        assert total(type_(pa.record_batch({"a": [2]}))) == 5
    assert len(calls) == 10


def test_a_type_whose_decode_fails_says_why(cache: framecache.Cache) -> None:
    framecache.register(Sub, "t.Sub", pd.DataFrame, lambda d: Sub(d["gone"]))
    with cache.put("k", Sub({"a": [1]})) as stored, pytest.raises(KeyError, match="gone"):
        stored.to_value()


@pytest.mark.parametrize("tag", ["", 5, "a\0b", "\ud800"])
def test_tags_are_names(tag: Any) -> None:
    with pytest.raises(ValueError, match="give a name"):
        framecache.register(Sub, tag, pd.DataFrame, Sub)
