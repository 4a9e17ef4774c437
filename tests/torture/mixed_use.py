"""Mixed use of one cache by threads, asyncio, gevent, fork, spawn and forkserver.

All of them put, get, compute, delete and hold tables and values at once, for so many
seconds. At the end, in every process: no lease, and as many descriptors and mappings of
the cache as after its first round; and the cache verifies clean. Exits 1 otherwise.

    python tests/torture/mixed_use.py [SECONDS=20]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

if sys.argv[1:2] == ["--gevent"]:
    from gevent import monkey

    monkey.patch_all()

import framecache
import numpy as np
import pandas as pd

KEYS = 12
BUDGET = "96MiB"
_SPARE = 4  # mappings of frames that the library keeps for the next get, and the pool


def table(random: random.Random) -> pd.DataFrame:
    rows = random.choice((1, 100, 20_000, 200_000))
    number = random.randrange(1000)
    return pd.DataFrame(
        {"n": np.full(rows, number), "x": np.full(rows, number / 7), "s": str(number)}
    )


def value(random: random.Random) -> Any:
    number = random.randrange(1000)
    array = np.full(random.choice((3, 50_000)), number)
    return {"n": number, "array": array, "parts": [table(random), (number, None, "é")]}


def check(found: Any) -> None:
    """What is read is of one piece, whoever wrote it and whatever was evicted since."""
    if isinstance(found, pd.DataFrame):
        if len(found):
            n = found["n"].iloc[0]
            assert (found["n"] == n).all()
            assert found["s"].iloc[-1] == str(n)
    elif isinstance(found, dict):
        assert (found["array"] == found["n"]).all()
        assert found["parts"][1][0] == found["n"]
        check(found["parts"][0])


def step(cache: framecache.Cache, random: random.Random, held: list[Any]) -> None:
    """One use, of a kind that chance chooses."""
    key = f"k{random.randrange(KEYS)}"
    kind = random.randrange(9)
    try:
        if kind == 0:
            cache.put(key, table(random), tags=["tables"]).release()
        elif kind == 1:
            cache.put_value(key, value(random), ttl=random.choice((0.05, 60)))
        elif kind < 5:
            found = cache.get_value(key)
            check(found)
            held.append(found)
        elif kind == 5:
            check(cache.get_or_compute(key, lambda: value(random), stale=5, ttl=0.2))
        elif kind == 6 and (frame := cache.get(key)) is not None:
            held.append(frame.slice(0, 10).select([0]))
            held.append(frame.to_arrow())
        elif kind == 7:
            cache.delete(key)
        elif random.random() < 0.05:
            cache.delete_tag("tables")
    except (framecache.BudgetError, framecache.NoSpaceError):
        held.clear()  # what is held is what is in the way
    if len(held) > 8:
        del held[: random.randrange(1, 8)]


def use(cache: framecache.Cache, seed: int, until: float) -> None:
    chance = random.Random(seed)
    held: list[Any] = []
    while time.monotonic() < until:
        step(cache, chance, held)


# ---- Ways to run at once ----


def by_threads(cache: framecache.Cache, seed: int, until: float) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            use(cache, seed + number, until)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def by_asyncio(cache: framecache.Cache, seed: int, until: float) -> None:
    async def work(number: int) -> None:
        chance = random.Random(seed + number)
        held: list[Any] = []

        async def compute() -> Any:
            await asyncio.sleep(0.001)
            return value(chance)

        while time.monotonic() < until:
            try:
                key = f"k{chance.randrange(KEYS)}"
                check(await cache.aget_or_compute(key, compute, ttl=0.1, stale=1))
            except (framecache.BudgetError, framecache.NoSpaceError):
                held.clear()
            step(cache, chance, held)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(4)))

    asyncio.run(all_of_them())


def _in_child(directory: str, seed: int, until: float) -> None:
    with framecache.Cache(directory, budget=BUDGET) as cache:
        watched(lambda seconds: use(cache, seed, seconds), cache, until)


def _forked(cache: framecache.Cache, seed: int, until: float) -> None:
    """With what the parent had: its cache, and frames that it held."""
    use(cache, seed, until)
    gc.collect()


def by_processes(how: str) -> Callable[[framecache.Cache, int, float], None]:
    def run(cache: framecache.Cache, seed: int, until: float) -> None:
        context = multiprocessing.get_context(how)
        frame = cache.get("k0")  # is held over the fork
        while time.monotonic() < until:
            part = min(until, time.monotonic() + 3)
            work, first = (_forked, cache) if how == "fork" else (_in_child, cache.dir)
            children = [
                context.Process(target=work, args=(first, seed + number, part))
                for number in range(2)
            ]
            for child in children:
                child.start()
            use(cache, seed, part)
            for child in children:
                child.join()
                if child.exitcode:
                    raise AssertionError(f"a child by {how} ended with {child.exitcode}")
        del frame

    return run


def by_gevent(cache: framecache.Cache, seed: int, until: float) -> None:
    """In a process of its own, which is patched before it imports anything else."""
    seconds = max(1.0, until - time.monotonic())
    command = [sys.executable, __file__, "--gevent", cache.dir, str(seed), str(seconds)]
    subprocess.run(command, check=True, timeout=seconds * 10 + 60)


def _gevent_main(directory: str, seed: int, seconds: float) -> None:
    import gevent

    with framecache.Cache(directory, budget=BUDGET) as cache:

        def work(number: int, until: float) -> None:
            chance = random.Random(seed + number)
            held: list[Any] = []
            while time.monotonic() < until:
                step(cache, chance, held)
                gevent.sleep(0)

        def all_of_them(until: float) -> None:
            jobs = [gevent.spawn(work, number, until) for number in range(3)]
            gevent.joinall(jobs, raise_error=True)

        watched(all_of_them, cache, time.monotonic() + seconds)


# ---- Leaks ----


def holdings(directory: str) -> tuple[int, int]:
    """Descriptors of this process but those of frames; and these, with their mappings."""
    gc.collect()
    frames, others = 0, 0
    with open("/proc/self/maps") as maps:
        frames += sum(f"{directory}/frames/" in line for line in maps)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the list
            ours = f"{directory}/frames/" in os.readlink(f"/proc/self/fd/{name}")
            frames, others = frames + ours, others + (not ours)
    return others, frames


def watched(run: Callable[[float], None], cache: framecache.Cache, until: float) -> None:
    """Runs a first part, counts, runs the rest, and counts again."""
    now = time.monotonic()
    run(now + (until - now) / 4)
    cache.tick()
    before = holdings(cache.dir)
    run(until)
    cache.tick()
    after = holdings(cache.dir)
    if after[0] > before[0] + _SPARE or after[1] > before[1] + KEYS * (_SPARE + 1):
        raise AssertionError(
            f"process {os.getpid()} has {after[0]} descriptors, and {after[1]} of frames "
            f"with their mappings; it had {before} after a quarter of its time"
        )


def leaks(directory: str) -> list[str]:
    """What is wrong when everybody has let go."""
    with framecache.Cache(directory) as cache:
        found = [f"{info['key']} is leased" for info in cache.infos() if info["leased"]]
        cache.collect()
        found += [f["text"] for f in cache.verify(data=True) if f["level"] != "info"]
        cache.clear()
        cache.collect()
        files = os.listdir(os.path.join(directory, "frames"))
        return found + [f"{name} stays" for name in files]


def main(seconds: float) -> int:
    parent = tempfile.mkdtemp(prefix="framecache-mixed-", dir="/dev/shm")
    directory = os.path.join(parent, "cache")
    ways: list[tuple[str, Callable[[framecache.Cache, int, float], None]]] = [
        ("threads", by_threads), ("asyncio", by_asyncio), ("gevent", by_gevent),
        ("fork", by_processes("fork")), ("spawn", by_processes("spawn")),
        ("forkserver", by_processes("forkserver")),
    ]  # fmt: skip
    try:
        with framecache.Cache(directory, budget=BUDGET, capacity=1024) as cache:
            for number, (name, way) in enumerate(ways):
                until = time.monotonic() + seconds / len(ways)
                began = int(cache.stats()["puts"])

                def run(end: float, way: Any = way, seed: int = number * 100) -> None:
                    way(cache, seed, end)

                watched(run, cache, until)
                print(f"{name}: {int(cache.stats()['puts']) - began} puts", flush=True)
        found = leaks(directory)
        for text in found:
            print(f"left over: {text}")
        return bool(found)
    finally:
        shutil.rmtree(parent)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--gevent"]:
        _gevent_main(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else 20.0))
