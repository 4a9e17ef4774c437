"""Time to live, stale frames and their refresh, sliding, tags, namespaces, misses."""

import asyncio
import logging
import os
import pickle
import threading
import time
from typing import Any

import framecache
import numpy as np
import pyarrow as pa
import pytest
from crowd import Tally, ended, forked, until

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

SHORT = 0.05  # seconds: enough to be put, little to wait for


def numbered(n: int) -> pa.Table:
    return pa.table({"n": [n]})


def number(table: Any) -> int:
    if isinstance(table, framecache.Frame):
        with table:
            return int(table["n"].to_numpy()[0])
    return int(table["n"][0].as_py())


def expire(cache: framecache.Cache, key: str) -> None:
    until(lambda: key not in cache)


# ---- Stale ----


def test_a_stale_frame_is_had_by_who_asks(cache: framecache.Cache) -> None:
    cache.put("k", numbered(1), ttl=SHORT, stale=600).release()
    with cache["k"] as frame:
        assert not frame.is_stale and frame.info["stale"] is False
    expire(cache, "k")
    assert cache.get("k") is None
    assert cache.get("k", "default", stale=False) == "default"
    with pytest.raises(framecache.Expired) as caught:
        cache["k"]
    assert caught.value.reason == "expired" and caught.value.age >= 0
    with cache.get("k", stale=True) as frame:
        assert frame.is_stale
        info = frame.info
        assert info["stale"] is True
        assert info["stale_until"] - info["expires"] == pytest.approx(600)
    assert cache.stats()["stale_hits"] >= 1


def test_without_a_stale_time_there_is_none(cache: framecache.Cache) -> None:
    cache.put("k", numbered(1), ttl=SHORT).release()
    expire(cache, "k")
    assert cache.get("k", stale=True) is None
    cache.put("k", numbered(1), ttl=SHORT, stale="never").release()
    assert cache.info("k")["stale_until"] is None
    expire(cache, "k")
    assert number(cache.get("k", stale=True)) == 1


def test_one_refreshes_in_the_background(cache: framecache.Cache) -> None:
    cache.put("k", numbered(1), ttl=SHORT, stale=600).release()
    expire(cache, "k")
    inside, go = threading.Event(), threading.Event()
    computed = []

    def compute() -> pa.Table:
        computed.append(threading.current_thread())
        inside.set()
        go.wait()
        return numbered(2)

    def ask() -> int:
        return number(cache.get_or_compute("k", compute, ttl=600, stale=600))

    assert ask() == 1  # at once, while another thread computes
    inside.wait()
    assert [ask() for _ in range(10)] == [1] * 10
    with framecache.Cache(cache.dir) as other:
        assert number(other.get_or_compute("k", compute, stale=600)) == 1
    go.set()
    until(lambda: "k" in cache)
    assert ask() == 2
    assert len(computed) == 1
    assert computed[0] is not threading.current_thread()
    computed[0].join()


def test_one_process_of_all_refreshes(cache: framecache.Cache, directory: str) -> None:
    tally, asked = Tally(f"{directory}.tally"), Tally(f"{directory}.asked")
    go = f"{directory}.go"

    @cache.memoize(ttl=SHORT, stale=600)
    def f() -> pa.Table:
        if tally.add() > 1:
            until(lambda: os.path.exists(go))
        return numbered(len(tally))

    assert number(f()) == 1
    time.sleep(SHORT)

    def work() -> None:
        for _ in range(20):
            assert number(f()) == 1
            time.sleep(0.002)
        assert f.cache_info()["stale_hits"] == 20
        asked.add()
        until(lambda: os.path.exists(go))  # stay, for the refresh may be ours
        until(lambda: number(f()) > 1)

    pids = [forked(work) for _ in range(4)]
    until(lambda: len(asked) == 4 and len(tally) >= 2)
    assert len(tally) == 2
    open(go, "w").close()
    assert [ended(pid) for pid in pids] == [0] * 4
    cache.collect()  # a next refresh may have been cut by its process's end


def test_a_failed_refresh_is_logged_and_the_stale_frame_served(
    cache: framecache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    computed = []

    @cache.memoize(ttl=SHORT, stale=600)
    def f() -> pa.Table:
        computed.append(1)
        if len(computed) == 2:
            raise OSError("the database is down")
        return numbered(len(computed))

    assert number(f()) == 1
    expire(cache, f.cache_key())
    with caplog.at_level(logging.WARNING, "framecache"):
        assert number(f()) == 1
        until(lambda: "the database is down" in caplog.text)
    assert "stale frame is served on" in caplog.text
    until(lambda: number(f()) == 3)  # the next one tries again
    assert f.cache_info()["stale_hits"] >= 1


def test_beyond_the_stale_time_a_failure_is_raised(cache: framecache.Cache) -> None:
    cache.put("k", numbered(1), ttl=SHORT, stale=SHORT).release()
    until(lambda: cache.get("k", stale=True) is None)

    def fail() -> pa.Table:
        raise OSError("it failed")

    with pytest.raises(OSError, match="it failed"):
        cache.get_or_compute("k", fail, stale=SHORT)


def test_coroutines_refresh_in_a_task(
    cache: framecache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("k", numbered(1), ttl=SHORT, stale=600).release()
    expire(cache, "k")
    computed = []

    async def compute() -> pa.Table:
        computed.append(1)
        await asyncio.sleep(0.02)
        if len(computed) == 1:
            raise OSError("it failed")
        return numbered(2)

    async def ask() -> int:
        return number(await cache.aget_or_compute("k", compute, ttl=600, stale=600))

    async def main() -> None:
        assert await asyncio.gather(*[ask() for _ in range(10)]) == [1] * 10
        while "it failed" not in caplog.text:
            await asyncio.sleep(0.001)
        assert len(computed) == 1
        assert await ask() == 1
        while await ask() != 2:
            await asyncio.sleep(0.001)

    asyncio.run(main())
    assert len(computed) == 2


def test_a_dear_table_is_refreshed_before_it_expires(cache: framecache.Cache) -> None:
    cache.put("k", numbered(1), ttl=600, cost=600).release()
    computed = []

    def compute() -> pa.Table:
        computed.append(1)
        return numbered(2)

    # At one cost before the expiry, each caller refreshes with a chance of 1/e.
    until(lambda: number(cache.get_or_compute("k", compute, ttl=600)) == 2)
    assert computed


# ---- Time to live ----


@pytest.mark.parametrize("ttl", [0, -1, "-1", "x", "", float("nan")])
def test_wrong_times(cache: framecache.Cache, ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl"):
        cache.put("k", numbered(1), ttl=ttl)
    with pytest.raises(ValueError, match="ttl"):
        cache.get_or_compute("k", lambda: numbered(1), ttl=ttl)
    if ttl != 0:
        with pytest.raises(ValueError, match="stale"):
            cache.put("k", numbered(1), stale=ttl)
    with pytest.raises(TypeError):
        cache.put("k", numbered(1), ttl=[])  # type: ignore[arg-type]
    assert "k" not in cache


def test_a_sliding_frame_lives_while_it_is_used(cache: framecache.Cache) -> None:
    ttl = 0.5
    cache.put("k", numbered(1), ttl=ttl, sliding=True).release()
    before = cache.info("k")["expires"]
    until(lambda: number(cache["k"]) and cache.info("k")["expires"] > before)
    cache.put("plain", numbered(1), ttl=ttl).release()
    before = cache.info("plain")["expires"]
    number(cache["plain"])
    assert cache.info("plain")["expires"] == before
    expire(cache, "k")  # when it is not used


# ---- Tags ----


def test_tags(cache: framecache.Cache) -> None:
    cache.put("a", numbered(1), tags=["x", "y"]).release()
    cache.put("b", numbered(1), tags=["y", "é"]).release()
    cache.add("c", numbered(1), tags=["z"])
    with cache.build("d", {"n": "int64"}, 1, tags=["z"]) as build:
        build["n"][0] = 1
    cache["e"] = numbered(1)
    assert sorted(cache.info("a")["tags"]) == ["x", "y"]
    tags = {info["key"]: sorted(info["tags"]) for info in cache.infos()}
    assert (tags["b"], tags["e"]) == (["y", "é"], [])
    assert cache.delete_tag("none") == 0
    assert cache.delete_tag("é") == 1
    with pytest.raises(framecache.Deleted) as caught:
        cache["b"]
    assert caught.value.reason == "invalidated"
    assert cache.delete_tag("x", "z") == 3
    assert list(cache) == ["e"]
    assert cache.delete_tag() == 0


def test_wrong_tags(cache: framecache.Cache) -> None:
    with pytest.raises(TypeError, match="list of str"):
        cache.put("k", numbered(1), tags="text")
    with pytest.raises(ValueError, match="tags"):
        cache.put("k", numbered(1), tags=[f"t{n}" for n in range(65)])
    with pytest.raises(ValueError, match="tag"):
        cache.put("k", numbered(1), tags=["x" * 256])
    cache.put("k", numbered(1), tags=[f"t{n}" for n in range(64)]).release()
    assert cache.delete_tag("t63") == 1


# ---- Namespaces ----


def test_a_namespace_is_a_store_of_its_own(cache: framecache.Cache) -> None:
    space = cache.namespace("reports")
    assert (space.cache, space.name) == (cache, "reports")
    cache["k"] = numbered(0)
    assert "k" not in space and space.get("k", "none") == "none"
    space["k"] = numbered(1)
    space.put("tagged", numbered(2), tags=["t"]).release()
    assert space.add(b"added", numbered(3)) and not space.add("added", numbered(3))
    with space.build("built", {"n": "int64"}, 1) as build:
        build["n"][0] = 4
    del build
    assert number(space.get_or_compute("computed", lambda: numbered(5))) == 5
    assert sorted(space) == ["added", "built", "computed", "k", "tagged"]
    assert sorted(space.keys("bui")) == ["built"] and len(space) == 5
    assert number(space["k"]) == 1 and number(cache["reports:k"]) == 1
    assert space.info("tagged")["key"] == "tagged"
    assert number(space.next_frame("k")) == 1
    assert space.touch("k", "1h") and space.delete("k") and not space.delete("k")
    with pytest.raises(framecache.Deleted):
        space["k"]
    assert space.delete_prefix("tag") == 1
    del space["built"]
    assert cache.namespace("reports").clear() == 2  # the tag says which, in any process
    assert list(cache) == ["k"]


def test_a_namespace_memoizes(cache: framecache.Cache) -> None:
    one, two = cache.namespace("one"), cache.namespace("two")
    computed = []

    def f(n: int) -> pa.Table:
        computed.append(n)
        return numbered(n)

    in_one, in_two = one.memoize(f), two.memoize(ttl=60)(f)
    for _ in range(2):
        assert number(in_one(1)) == number(in_two(1)) == 1
    assert len(computed) == 2
    assert in_one.cache_key(1) in one
    assert one.clear() == 1 and in_one.cache_clear(1) == 0
    assert in_two.cache_clear(1) == 1

    @one.memoize
    async def g() -> pa.Table:
        return numbered(7)

    assert number(asyncio.run(g())) == 7
    assert list(one) == [g.cache_key()]


@pytest.mark.parametrize("name", ["", "a:b", "x" * 201, "é" * 101])
def test_wrong_names(cache: framecache.Cache, name: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        cache.namespace(name)


def test_a_namespace_pickles(cache: framecache.Cache) -> None:
    cache.namespace("n")["k"] = numbered(3)
    other = pickle.loads(pickle.dumps(cache.namespace("n")))
    assert number(other["k"]) == 3
    other.cache.close()


# ---- Misses ----


def test_misses_say_why(cache: framecache.Cache) -> None:
    with pytest.raises(framecache.NeverExisted) as caught:
        cache["k"]
    assert caught.value.age is None
    cache["k"] = numbered(1)
    del cache["k"]
    with pytest.raises(framecache.Deleted) as deleted:
        cache["k"]
    assert deleted.value.age is not None
    budget = cache.budget
    cache["large"] = pa.table({"x": np.random.default_rng(1).random(1 << 20)})
    cache.budget = "4MiB"
    with pytest.raises(framecache.MissError) as caught_any:
        cache["large"]
    assert isinstance(caught_any.value, framecache.Evicted)
    cache.budget = budget
