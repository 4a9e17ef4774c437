"""pandas in and out of the cache, against pickle in a file on the same tmpfs.

    pandas_frames.py DIR warm | to_pandas | put ROWS | workers

Prints figures as JSON lines, as the C programs do. Both sides run in turn in one process,
and the best round of each counts.
"""

import gc
import json
import multiprocessing
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import framecache
import numpy as np
import pandas as pd

WORKERS, PICKLE_WORKERS = 8, 2  # eight with pickle might not fit into memory


def report(figure: str, ours: float, theirs: float, unit: str = "ns") -> None:
    print(
        json.dumps(
            {"figure": figure, "framecache": ours, "baseline": theirs, "unit": unit}
        ),
        flush=True,
    )


def best(call: Callable[[], Any], times: int, rounds: int = 7) -> float:
    """Nanoseconds a call, of the best round."""
    least = float("inf")
    for _ in range(rounds):
        started = time.perf_counter_ns()
        for _ in range(times):
            call()
        least = min(least, (time.perf_counter_ns() - started) / times)
    return least


def warm(cache: framecache.Cache, scratch: Path) -> None:
    with cache.put("k", pd.DataFrame({"x": np.arange(1000.0)})):
        report("python/warm_get", best(lambda: cache["k"], 2_000, 50), 1_000)


def to_pandas(cache: framecache.Cache, scratch: Path) -> None:
    """20 columns of 10^7 rows; built in place, so that nothing else takes memory."""
    rows, kinds = 10**7, ["float64", "int32", "int64", "float32"]
    schema = {f"c{n}": kinds[n % 4] for n in range(20)}
    with cache.build("k", schema, rows) as build:
        for n in range(20):
            build[n][:] = n
    frame = build.frame
    report("python/to_pandas", best(frame.to_pandas, 3, 100), 300_000)
    shown = frame.to_pandas(require_zero_copy=True)
    assert shown.shape == (rows, 20) and shown["c7"].iloc[-1] == 7


# ---- Put and get ----


def put_and_get(cache: framecache.Cache, key: str, frame: pd.DataFrame) -> pd.DataFrame:
    cache.put(key, frame).release()
    return cache[key].to_pandas()


def dump_and_load(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    with open(path, "wb") as file:
        pickle.dump(frame, file, protocol=5)
    with open(path, "rb") as file:
        return pickle.load(file)


def put(cache: framecache.Cache, scratch: Path, rows: int) -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(1).random(rows)})
    path = scratch / "pickle"
    times, rounds = (1, 3) if rows >= 10**8 else (1, 60) if rows >= 10**4 else (10, 300)
    if rows >= 10**8:
        put_for_the_first_time(cache, path, frame)
    ours = theirs = float("inf")
    for _ in range(rounds):  # in turn: who comes first changes nothing
        ours = min(ours, best(lambda: put_and_get(cache, "k", frame), times, 1))
        theirs = min(theirs, best(lambda: dump_and_load(path, frame), times, 1))
    report(f"python/put_get/{rows}", ours, theirs)
    if rows >= 10**8:
        reader = framecache.Cache(cache.dir)
        with open(path, "rb") as file:
            load = best(lambda: (file.seek(0), pickle.load(file)), 1, 3)
        call = best(lambda: reader["k"].to_pandas(), 3, 50)
        report(f"python/reader/{rows}", call, load)


def put_for_the_first_time(
    cache: framecache.Cache, path: Path, frame: pd.DataFrame
) -> None:
    """Into new files, on both sides; of memory that this machine has given out before."""
    ours = theirs = float("inf")
    for number in range(3):
        cache.clear()
        cache.collect()
        first = best(lambda: put_and_get(cache, "k", frame), 1, 1)
        path.unlink(missing_ok=True)
        second = best(lambda: dump_and_load(path, frame), 1, 1)
        if number:
            ours, theirs = min(ours, first), min(theirs, second)
    report(f"python/put_get_first/{len(frame)}", ours, theirs)


# ---- Private memory ----


def private_bytes() -> int:
    total = 0
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def work(directory: str, path: str | None, ready: Any, done: Any, results: Any) -> None:
    """What holding the frame costs this worker, while all of them hold it."""
    cache = framecache.Cache(directory)
    pd.DataFrame({"x": np.arange(10.0)}).sum()
    before = private_bytes()
    if path is None:
        frame = cache["k"].to_pandas()
    else:
        with open(path, "rb") as file:
            frame = pickle.load(file)
    total = sum(float(frame[name].to_numpy().sum()) for name in frame)
    gc.collect()
    ready.wait()
    results.put((private_bytes() - before, total))
    done.wait()


def measure(directory: str, path: str | None, count: int) -> list[int]:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(count), context.Barrier(count)
    results: Any = context.Queue()
    arguments = (directory, path, ready, done, results)
    workers = [context.Process(target=work, args=arguments) for _ in range(count)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=200) for _ in workers]
    for worker in workers:
        worker.join()
    assert len({total for _, total in found}) == 1
    return [size for size, _ in found]


def workers(cache: framecache.Cache, scratch: Path) -> None:
    columns, rows = 25, 10**7
    schema = dict.fromkeys((f"c{n}" for n in range(columns)), "float64")
    with cache.build("k", schema, rows) as build:
        for n in range(columns):
            build[n][:] = n
    size = columns * rows * 8
    ours = measure(cache.dir, None, WORKERS)
    report("python/workers_private", sum(ours), size, "bytes")
    frame = build.frame.to_pandas("copy")
    path = scratch / "pickle"
    with open(path, "wb") as file:
        pickle.dump(frame, file, protocol=5)
    del frame, build
    cache.clear()
    cache.collect()
    theirs = measure(cache.dir, str(path), PICKLE_WORKERS)
    report("python/worker_private", max(ours), min(theirs), "bytes")


def main() -> None:
    scratch = Path(sys.argv[1])
    tasks: dict[str, Any] = {"warm": warm, "to_pandas": to_pandas, "workers": workers}
    with framecache.Cache(scratch / "cache", budget="10GiB") as cache:
        if sys.argv[2] == "put":
            put(cache, scratch, int(sys.argv[3]))
        else:
            tasks[sys.argv[2]](cache, scratch)


if __name__ == "__main__":
    main()
