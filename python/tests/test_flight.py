"""One computes: threads, processes, coroutines and greenlets that ask for one key."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from crowd import Crowd, Tally, die, ended, forked, in_threads, until

# A process that other tests made threads in may be forked: that is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

TABLE = pa.table({"x": [1, 2, 3]})


# ---- What comes back ----


def test_a_hit_is_not_computed(cache: framecache.Cache) -> None:
    cache["k"] = TABLE

    def fail() -> Any:
        raise AssertionError("computed")

    assert cache.get_or_compute("k", fail).equals(TABLE)


VALUES: list[Any] = [
    pd.DataFrame({"x": [1.5, None], "s": ["a", "b"]}, index=pd.Index([5, 6], name="i")),
    pd.Series([1, 2], name="n"),
    pd.Series([1, 2]),
    pd.Series([1, 2], name=0),
    pd.Index(["a", "b"], name="letters"),
    pd.Index([3, 4]),
    pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["x", "y"]),
    pl.DataFrame({"x": [1, 2], "s": ["a", None]}),
    pl.Series("s", [1.5, 2.5]),
    TABLE,
    TABLE.replace_schema_metadata({"note": "kept"}),
    pa.record_batch({"x": [1, 2]}),
]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, pa.Table):
        return bool(left.equals(right, check_metadata=True))
    return bool(left.equals(right)) and getattr(left, "name", 0) == getattr(
        right, "name", 0
    )


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__module__)
def test_the_kind_that_was_put_comes_back(cache: framecache.Cache, value: Any) -> None:
    for _ in range(2):
        got = cache.get_or_compute("k", lambda: value)
        assert type(got) is type(value)
        assert same(got, value)
        del got
    cache["put"] = value
    with cache["put"] as frame:
        assert same(frame.to_value(), value)


def test_a_frame_comes_back_as_frame(cache: framecache.Cache) -> None:
    cache["source"] = pd.DataFrame({"a": [1], "b": [2]})

    def compute() -> framecache.Frame:
        with cache["source"] as source:
            return source.select(["b"])

    for _ in range(2):
        with cache.get_or_compute("k", compute) as frame:
            assert isinstance(frame, framecache.Frame)
            assert (frame.key, frame.columns) == ("k", ["b"])
            assert frame.to_pandas().equals(pd.DataFrame({"b": [2]}))
    with cache["source"] as source:
        table = source.to_arrow()
    cache["arrow"] = table  # was of pandas, and is a pyarrow.Table now
    cache["polars"] = pl.DataFrame({"a": [1]})
    with cache["polars"] as frame:
        cache["again"] = frame.to_arrow()
    for key in ("arrow", "again"):
        with cache[key] as frame:
            assert type(frame.to_value()) is pa.Table
    del table


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, pytest.raises, ...])
def test_what_cannot_be_stored_is_refused(cache: framecache.Cache, value: Any) -> None:
    with pytest.raises(TypeError, match=r"'k' gave cannot be kept: value"):
        cache.get_or_compute("k", lambda: value)
    assert cache.get_or_compute("k", lambda: TABLE).equals(TABLE)  # the flight has ended


def test_a_coroutine_is_refused_by_the_plain_call(cache: framecache.Cache) -> None:
    async def compute() -> pa.Table:
        return TABLE

    with pytest.raises(TypeError, match="aget_or_compute"):
        cache.get_or_compute("k", compute)


def test_what_does_not_fit_is_returned_all_the_same(
    cache: framecache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.budget = "1MiB"
    large = pa.table({"x": np.ones(1 << 20)})
    assert cache.get_or_compute("k", lambda: large) is large
    assert "cannot keep it" in caplog.text
    assert "k" not in cache


def test_the_time_of_a_compute_is_its_cost(cache: framecache.Cache) -> None:
    def compute() -> pa.Table:
        time.sleep(0.05)
        return TABLE

    cache.get_or_compute("k", compute)
    assert cache.info("k")["cost"] >= 0.05


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon"])
def test_timeouts_are_checked(cache: framecache.Cache, timeout: Any) -> None:
    with pytest.raises(ValueError, match=r"timeout|float"):
        cache.get_or_compute("k", lambda: TABLE, timeout=timeout)


def test_a_cold_frame_is_not_computed_again(cache: framecache.Cache) -> None:
    cache = framecache.Cache(cache.dir, cold=True, budget="8MiB")
    for number in range(20):
        cache[f"k{number}"] = pa.table({"x": np.full(1 << 17, number)})
    cold = [info["key"] for info in cache.infos() if info["cold"]]
    assert len(cold) >= 3

    async def afail() -> Any:
        raise AssertionError("computed")

    async def both() -> list[Any]:
        calls = [cache.aget_or_compute(cold[0], afail) for _ in range(5)]
        stale = cache.aget_or_compute(cold[1], afail, stale=60)
        return await asyncio.gather(*calls, stale)

    tables = [*asyncio.run(both()), cache.get_or_compute(cold[2], lambda: None)]
    for table, key in zip(tables, [cold[0]] * 5 + cold[1:3], strict=True):
        assert table["x"][-1].as_py() == int(key[1:])
    with cache[cold[0]] as frame:
        assert frame.rows == 1 << 17
    del tables, table


# ---- Threads ----


def test_threads_compute_once(cache: framecache.Cache) -> None:
    computed = []

    def compute() -> pa.Table:
        computed.append(1)
        time.sleep(0.05)
        return TABLE

    results = in_threads(20, lambda: cache.get_or_compute("k", compute))
    assert len(computed) == 1
    assert len(results) == 20 and all(result.equals(TABLE) for result in results)


def test_a_failure_goes_to_its_own_caller_only(cache: framecache.Cache) -> None:
    computed = []

    def compute() -> pa.Table:
        computed.append(1)
        time.sleep(0.01)
        if len(computed) <= 3:
            raise OSError(f"number {len(computed)}")
        return TABLE

    results = in_threads(20, lambda: cache.get_or_compute("k", compute))
    assert len(computed) == 4
    failures = [str(result) for result in results if isinstance(result, OSError)]
    assert sorted(failures) == ["number 1", "number 2", "number 3"]
    assert sum(isinstance(result, pa.Table) for result in results) == 17


def test_asking_for_the_own_key_is_a_deadlock(cache: framecache.Cache) -> None:
    def compute() -> Any:
        return cache.get_or_compute("k", compute)

    with pytest.raises(framecache.DeadlockError, match="'k'"):
        cache.get_or_compute("k", compute)
    with (
        framecache.Cache(cache.dir) as other,  # known beyond the one Cache object
        pytest.raises(RuntimeError, match="own key"),
    ):
        cache.get_or_compute("k", lambda: other.get_or_compute(b"k", lambda: TABLE))


def test_a_compute_may_put_its_own_key_and_ask_for_it(cache: framecache.Cache) -> None:
    def compute() -> Any:
        cache["k"] = TABLE
        return cache.get_or_compute("k", lambda: None)

    assert cache.get_or_compute("k", compute).equals(TABLE)


def test_two_keys_computed_crosswise_both_come(cache: framecache.Cache) -> None:
    inside = threading.Barrier(2)

    def crosswise(own: str, other: str) -> Any:
        def compute() -> pa.Table:
            inside.wait()  # both have their own flight now
            cache.get_or_compute(other, lambda: TABLE)
            return TABLE

        return cache.get_or_compute(own, compute)

    keys = iter([("a", "b"), ("b", "a")])
    results = in_threads(2, lambda: crosswise(*next(keys)))
    assert all(isinstance(result, pa.Table) for result in results), results


def test_who_waits_too_long_computes_too(cache: framecache.Cache) -> None:
    go = threading.Event()
    computed = []

    def slow() -> pa.Table:
        go.wait()
        return TABLE

    def quick() -> pa.Table:
        computed.append(1)
        return pa.table({"x": [9]})

    owner = threading.Thread(target=lambda: cache.get_or_compute("k", slow))
    owner.start()
    until(lambda: cache._flight_begin("k", 0) is None)
    results = in_threads(10, lambda: cache.get_or_compute("k", quick, timeout=2))
    go.set()
    owner.join()
    assert len(computed) == 1
    assert [result["x"][0].as_py() for result in results] == [9] * 10
    assert cache.stats()["computed_twice"] >= 1


# ---- Processes ----


def crowd_asks(
    cache: framecache.Cache,
    compute: Callable[[], Any],
    count: int,
    threads: int,
    timeout: float = 300,  # who has waited for so long computes too
) -> Crowd:
    def work() -> None:
        assert cache.get_or_compute("k", compute, timeout=timeout).equals(TABLE)

    return Crowd(count, work, threads)


def test_forked_processes_compute_once(cache: framecache.Cache, tally: Tally) -> None:
    def compute() -> pa.Table:
        tally.add()
        time.sleep(0.05)
        return TABLE

    assert crowd_asks(cache, compute, 5, 4).go().ended() == [0] * 5
    assert len(tally) == 1


def test_a_killed_owner_is_replaced_once(cache: framecache.Cache, tally: Tally) -> None:
    def compute() -> pa.Table:
        if tally.add() == 1:
            time.sleep(0.05)
            die()
        time.sleep(0.02)
        return TABLE

    codes = crowd_asks(cache, compute, 6, 4).go().ended()
    assert sorted(codes) == [-signal.SIGKILL, 0, 0, 0, 0, 0]
    assert len(tally) == 2


def test_a_stopped_owner_costs_one_more_compute(
    cache: framecache.Cache, tally: Tally
) -> None:
    def compute() -> pa.Table:
        if tally.add() == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(0.1)  # another thread may be the one to notice, a little later
        return TABLE

    crowd = crowd_asks(cache, compute, 6, 10, timeout=3).go()
    until(lambda: len(tally) >= 1)
    stopped = tally.pids[0]
    codes = [ended(pid) for pid in crowd.pids if pid != stopped]
    os.kill(stopped, signal.SIGCONT)
    assert [*codes, ended(stopped)] == [0] * 6
    assert len(tally) == 2


def test_a_failing_owner_in_another_process(
    cache: framecache.Cache, tally: Tally
) -> None:
    def compute() -> pa.Table:
        number = tally.add()
        time.sleep(0.02)
        if number <= 2:
            raise OSError("it failed")
        return TABLE

    codes = crowd_asks(cache, compute, 6, 4).go().ended()
    assert len(tally) == 3
    assert 1 <= codes.count(1) <= 2  # the callers of both may be in one process


SPAWNED = """
import os, sys, time
import framecache, pyarrow as pa

directory, tally = sys.argv[1:]
def compute():
    file = os.open(tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, b"%10d\\n" % os.getpid())
    os.close(file)
    time.sleep(0.1)
    return pa.table({"x": [1, 2, 3]})

with framecache.Cache(directory) as cache:
    print(cache.get_or_compute("k", compute)["x"].to_pylist())
"""


def test_fresh_interpreters_compute_once(cache: framecache.Cache, tally: Tally) -> None:
    run = [sys.executable, "-c", SPAWNED, cache.dir, tally.path]
    children = [subprocess.Popen(run, stdout=subprocess.PIPE) for _ in range(3)]
    assert [child.communicate()[0] for child in children] == [b"[1, 2, 3]\n"] * 3
    assert len(tally) == 1


def test_a_child_forked_inside_a_compute_has_no_flight(cache: framecache.Cache) -> None:
    def compute() -> pa.Table:
        pid = forked(lambda: None)  # whose exit must not end the flight
        assert ended(pid) == 0
        busy = in_threads(1, lambda: cache._flight_begin("k", 0))
        assert busy == [None]
        return TABLE

    assert cache.get_or_compute("k", compute).equals(TABLE)


def test_a_flight_that_is_dropped_lets_the_next_one_try(cache: framecache.Cache) -> None:
    flight = cache._flight_begin("k", 0)
    assert isinstance(flight, tuple) and flight[1] is None
    with framecache.Cache(cache.dir) as other:
        assert other._flight_begin("k", 0) is None
        del flight
        again = other._flight_begin("k", 0)
        assert isinstance(again, tuple)
        other._flight_end(again[0])
        other._flight_end(again[0])  # twice does no harm


def test_close_waits_for_a_compute(directory: str) -> None:
    cache = framecache.Cache(directory)
    inside, closing = threading.Event(), threading.Event()

    def compute() -> pa.Table:
        inside.set()
        closing.wait()
        return TABLE

    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.extend(
            in_threads(1, lambda: cache.get_or_compute("k", compute))
        )
    )
    thread.start()
    inside.wait()
    cache.close()
    closing.set()
    thread.join()
    assert isinstance(results[0], framecache.ClosedError)


def test_next_frame_comes_from_another_thread(cache: framecache.Cache) -> None:
    held = cache.put("k", TABLE)
    results: list[Any] = []
    waiter = threading.Thread(
        target=lambda: results.append(cache.next_frame("k", after=held))
    )
    waiter.start()
    cache["k"] = pa.table({"x": [7]})
    waiter.join()
    assert results.pop().to_value()["x"].to_pylist() == [7]
    held.release()
    with pytest.raises(framecache.WaitTimeout, match="'none'"):
        cache.next_frame("none", timeout=0.01)
