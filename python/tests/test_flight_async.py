"""One computes, and loops go on: coroutines and greenlets that ask for one key."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import framecache
import pyarrow as pa
import pytest
from crowd import ended, forked, in_threads, mark, until

# A process that other tests made threads in may be forked: that is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

TABLE = pa.table({"x": [1, 2, 3]})


# ---- Coroutines ----


async def slowly(computed: list[int]) -> pa.Table:
    computed.append(1)
    await asyncio.sleep(0.02)
    return TABLE


def test_coroutines_compute_once(cache: framecache.Cache) -> None:
    computed: list[int] = []

    async def main() -> list[Any]:
        calls = [cache.aget_or_compute("k", lambda: slowly(computed)) for _ in range(200)]
        return await asyncio.gather(*calls)

    results = asyncio.run(main())
    assert len(computed) == 1
    assert len(results) == 200 and all(result.equals(TABLE) for result in results)
    del results


def test_the_loop_goes_on_while_another_process_computes(
    cache: framecache.Cache, directory: str
) -> None:
    inside, go = f"{directory}.inside", f"{directory}.go"

    def owner() -> None:
        def compute() -> pa.Table:
            mark(inside)
            until(lambda: os.path.exists(go))
            return TABLE

        cache.get_or_compute("k", compute)

    async def ticks() -> None:
        for _ in range(50):
            await asyncio.sleep(0.002)
        mark(go)  # if the loop stood still, this would not come

    async def never() -> pa.Table:
        raise AssertionError("computed twice")

    async def main() -> list[Any]:
        waiters = [cache.aget_or_compute("k", never) for _ in range(20)]
        return (await asyncio.gather(ticks(), *waiters))[1:]

    pid = forked(owner)
    until(lambda: os.path.exists(inside))
    assert all(result.equals(TABLE) for result in asyncio.run(main()))
    assert ended(pid) == 0


def test_coroutines_take_over_from_a_killed_process(
    cache: framecache.Cache, directory: str
) -> None:
    inside = f"{directory}.inside"

    def compute() -> pa.Table:
        mark(inside)
        time.sleep(600)
        return TABLE

    pid = forked(lambda: cache.get_or_compute("k", compute))
    until(lambda: os.path.exists(inside))
    computed: list[int] = []

    async def main() -> list[Any]:
        waiters = [
            asyncio.create_task(cache.aget_or_compute("k", lambda: slowly(computed)))
            for _ in range(20)
        ]
        await asyncio.sleep(0.05)
        assert not computed
        os.kill(pid, signal.SIGKILL)
        return await asyncio.gather(*waiters)

    assert all(result.equals(TABLE) for result in asyncio.run(main()))
    assert len(computed) == 1
    assert ended(pid) == -signal.SIGKILL


def test_a_failure_of_a_coroutine_goes_to_its_caller(cache: framecache.Cache) -> None:
    computed: list[int] = []

    async def compute() -> pa.Table:
        table = await slowly(computed)
        if len(computed) == 1:
            raise OSError("it failed")
        return table

    async def main() -> list[Any]:
        calls = [cache.aget_or_compute("k", compute) for _ in range(20)]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(main())
    assert sum(isinstance(result, OSError) for result in results) == 1
    assert sum(isinstance(result, pa.Table) for result in results) == 19
    assert len(computed) == 2
    del results


def test_a_cancelled_compute_lets_the_next_one_try(cache: framecache.Cache) -> None:
    async def forever() -> pa.Table:
        await asyncio.sleep(600)
        return TABLE

    async def main() -> Any:
        first = asyncio.create_task(cache.aget_or_compute("k", forever))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(cache.aget_or_compute("k", lambda: slowly([])))
        await asyncio.sleep(0.01)
        first.cancel()
        return await second

    assert asyncio.run(main()).equals(TABLE)


def test_a_coroutine_that_asks_for_its_own_key(cache: framecache.Cache) -> None:
    async def compute() -> Any:
        inner = asyncio.create_task(cache.aget_or_compute("k", compute))
        return await inner

    with pytest.raises(framecache.DeadlockError):
        asyncio.run(cache.aget_or_compute("k", compute))


def test_coroutines_computing_crosswise(cache: framecache.Cache) -> None:
    async def main() -> list[Any]:
        inside = asyncio.Barrier(2)

        async def compute(other: str) -> pa.Table:
            await inside.wait()
            await cache.aget_or_compute(other, lambda: slowly([]))
            return TABLE

        return await asyncio.gather(
            cache.aget_or_compute("a", lambda: compute("b")),
            cache.aget_or_compute("b", lambda: compute("a")),
        )

    assert all(result.equals(TABLE) for result in asyncio.run(main()))


def test_a_plain_call_inside_the_loop_does_not_wait_for_it(
    cache: framecache.Cache,
) -> None:
    async def main() -> Any:
        owner = asyncio.create_task(cache.aget_or_compute("k", lambda: slowly([])))
        await asyncio.sleep(0)
        result = cache.get_or_compute("k", lambda: TABLE)  # the loop stands still here
        await owner
        return result

    assert asyncio.run(main()).equals(TABLE)


def test_threads_and_loops_share_flights(cache: framecache.Cache) -> None:
    computed: list[int] = []

    def compute() -> pa.Table:
        computed.append(1)
        time.sleep(0.05)
        return TABLE

    async def acompute() -> pa.Table:
        return await slowly(computed)

    def call() -> Any:
        if threading.current_thread().name.endswith(("1", "3", "5", "7", "9")):
            return cache.get_or_compute("k", compute)
        return asyncio.run(cache.aget_or_compute("k", acompute))

    results = in_threads(10, call)
    assert len(computed) == 1
    assert all(result.equals(TABLE) for result in results)
    del results


def test_anext_frame(cache: framecache.Cache) -> None:
    async def main() -> Any:
        waiting = asyncio.create_task(cache.anext_frame("k"))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        cache["k"] = TABLE
        with await waiting as frame:
            return frame.rows

    assert asyncio.run(main()) == 3
    with pytest.raises(framecache.WaitTimeout):
        asyncio.run(cache.anext_frame("none", timeout=0.01))


# ---- Greenlets ----

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys, time
import gevent
import framecache, pyarrow as pa

cache = framecache.Cache(sys.argv[1])
computed, ticks = [], []

def ticker():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)

def compute():
    computed.append(1)
    before = len(ticks)
    while len(ticks) < before + 10:  # for ever, if the waiters stop the hub
        gevent.sleep(0.001)
    return pa.table({"x": [1, 2, 3]})

gevent.spawn(ticker)
calls = [gevent.spawn(cache.get_or_compute, "k", compute) for _ in range(50)]
gevent.joinall(calls, raise_error=True)
assert len(computed) == 1, computed
assert all(call.value["x"].to_pylist() == [1, 2, 3] for call in calls)

@cache.memoize(ttl=0.05, stale=60)
def refreshed():
    computed.append(2)
    gevent.sleep(0.01)
    return pa.table({"n": [len(computed)]})

first = refreshed()["n"][0].as_py()
gevent.sleep(0.1)
assert refreshed()["n"][0].as_py() == first
while refreshed()["n"][0].as_py() == first:
    gevent.sleep(0.005)
print("done")
"""


def test_greenlets_wait_without_stopping_the_hub(directory: str) -> None:
    pytest.importorskip("gevent")
    run = [sys.executable, "-c", GREENLETS, directory]
    child = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert child.stdout == "done\n", child.stderr


def test_a_loop_is_told_and_does_not_look(
    cache: framecache.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for a frame, and for a flight, without a look every few milliseconds."""
    looks = []
    look = framecache.Cache._wait
    monkeypatch.setattr(
        framecache.Cache, "_wait", lambda *args: looks.append(args) or look(*args)
    )

    async def main() -> None:
        waiting = [asyncio.create_task(cache.anext_frame("k")) for _ in range(20)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(cache.put, "k", TABLE)
        frames = await asyncio.gather(*waiting)
        assert {frame.sequence for frame in frames} == {frames[0].sequence}
        for frame in frames:
            frame.release()

    asyncio.run(main())
    assert not looks


def test_a_loop_without_descriptors_looks(cache: framecache.Cache) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, *args: Any) -> Any:
            raise NotImplementedError

    async def main() -> None:
        waiting = asyncio.create_task(cache.anext_frame("k"))
        await asyncio.sleep(0.05)
        cache.put("k", TABLE).release()
        (await waiting).release()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_watches_are_closed(cache: framecache.Cache) -> None:
    async def main() -> None:
        for _ in range(3):
            waiting = [asyncio.create_task(cache.anext_frame("k")) for _ in range(5)]
            await asyncio.sleep(0.01)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(framecache.WaitTimeout):
            await cache.anext_frame("k", timeout=0.01)

    asyncio.run(main())
    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_helper_threads_a_loop_looks(directory: str) -> None:
    with framecache.Cache(directory, helper_threads=False) as cache:
        assert cache._watch_open("k", 0) is None

        async def main() -> None:
            waiting = asyncio.create_task(cache.anext_frame("k"))
            await asyncio.sleep(0.05)
            cache.put("k", TABLE).release()
            (await waiting).release()

        asyncio.run(main())
