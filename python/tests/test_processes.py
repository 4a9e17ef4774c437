"""Real second processes: spawned and forked readers and writers, killed ones."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

ROWS = 300_000
FRAME = pd.DataFrame({"x": np.arange(ROWS), "s": [f"s{n % 7}" for n in range(ROWS)]})

# A process that other tests made threads in may be forked: that is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


def private_bytes() -> int:
    with open("/proc/self/smaps_rollup") as lines:
        fields = dict(
            line.split(":", 1) for line in lines if ":" in line and " kB" in line
        )
    return sum(
        int(fields[f].split()[0]) << 10 for f in ("Private_Clean", "Private_Dirty")
    )


def read(cache: framecache.Cache, pipe: Connection) -> None:
    frame = cache["k"]
    total = int(frame["x"].to_numpy().sum())
    words = frame.to_pandas()["s"].iloc[-1]
    pipe.send((total, words, frame.sequence))
    pipe.recv()  # holds the frame until told
    pipe.send("done")


def replace(cache: framecache.Cache, pipe: Connection) -> None:
    with cache.put("k", pd.DataFrame({"x": [7]})) as frame:
        pipe.send(frame.sequence)
    cache["from child"] = pd.DataFrame({"x": [os.getpid()]})
    pipe.recv()


def grow(cache: framecache.Cache, pipe: Connection) -> None:
    with cache["warm"] as frame:
        frame["x"].to_numpy().sum()
    before = private_bytes()
    frame = cache["big"]
    total = frame["x"].to_numpy().sum()
    pipe.send((float(total), private_bytes() - before))
    pipe.recv()


class Child:
    """A process that runs `target(cache, pipe)`; the cache is pickled, or forked."""

    def __init__(self, method: str, target: Any, cache: framecache.Cache) -> None:
        context: Any = multiprocessing.get_context(method)
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=target, args=(cache, other))
        self.process.start()
        other.close()

    def __enter__(self) -> "Child":
        return self

    def hear(self) -> Any:
        assert self.pipe.poll(60), "the child says nothing"
        return self.pipe.recv()

    def __exit__(self, *_: object) -> None:
        if self.process.is_alive() and self.process.exitcode is None:
            with contextlib.suppress(BrokenPipeError):
                self.pipe.send("go")
        self.process.join(60)
        self.pipe.close()
        self.process.close()


METHODS = ["spawn", "fork"]


def leased(cache: framecache.Cache) -> list[bool]:
    return [info["leased"] for info in cache.infos("k")]


@pytest.mark.parametrize("method", METHODS)
def test_another_process_reads_it(cache: framecache.Cache, method: str) -> None:
    with cache.put("k", FRAME) as frame:
        sequence = frame.sequence
    with Child(method, read, cache) as child:
        assert child.hear() == (int(FRAME["x"].sum()), "s0", sequence)
        assert leased(cache) == [True]
        child.pipe.send("go")
        assert child.hear() == "done"
        child.process.join(60)
        assert child.process.exitcode == 0
        assert leased(cache) == [False]


@pytest.mark.parametrize("method", METHODS)
def test_another_process_replaces_it(cache: framecache.Cache, method: str) -> None:
    held = cache.put("k", FRAME)
    with Child(method, replace, cache) as child:
        sequence = child.hear()
        assert sequence > held.sequence
        with cache.next_frame("k", after=held, timeout=60) as new:
            assert new.sequence == sequence
        assert (held["x"].to_numpy() == FRAME["x"]).all()
    held.release()
    with cache["from child"] as frame:
        assert frame["x"].to_numpy()[0] != os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_killed_reader_leaves_no_lease(cache: framecache.Cache, method: str) -> None:
    cache["k"] = FRAME
    with Child(method, read, cache) as child:
        child.hear()
        assert leased(cache) == [True]
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.join(60)
        assert child.process.exitcode == -signal.SIGKILL
        assert leased(cache) == [False]
    del cache["k"]
    cache.collect()
    assert cache.stats()["zombie_frames"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_reader_needs_no_memory_of_its_own(cache: framecache.Cache, method: str) -> None:
    cache["warm"] = pa.table({"x": np.ones(300_000)})
    rows = 16 << 20
    held = cache.put("big", pa.table({"x": np.ones(rows)}))
    assert held["x"].to_numpy().sum() == rows  # pages that one process maps are its own
    with Child(method, grow, cache) as child:
        total, grown = child.hear()
        assert total == rows
        assert grown < rows * 8 // 100
    held.release()


def test_forked_child_may_close_and_exit(cache: framecache.Cache) -> None:
    held = cache.put("k", FRAME)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            assert held["x"].to_numpy()[5] == 5
            held.release()
            cache.put("child", FRAME).release()
            cache.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert leased(cache) == [True]
    assert held["x"].to_numpy()[-1] == ROWS - 1
    assert "child" in cache
    held.release()


def test_fork_while_other_threads_put(cache: framecache.Cache) -> None:
    stop = threading.Event()

    def work(key: str) -> None:
        while not stop.is_set():
            cache.put(key, FRAME.head(50_000)).release()

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    with cache.put("child", FRAME.head(1000)) as frame:
                        assert frame.rows == 1000
                    with cache["child"] as frame:
                        code = int(frame["x"].to_numpy()[-1] != 999)
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_interrupt_ends_a_wait(directory: str) -> None:
    import subprocess

    script = """
import sys, framecache
cache = framecache.Cache(sys.argv[1])
print("waiting", flush=True)
try:
    cache.next_frame("never")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    run = [sys.executable, "-c", script, directory]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=600)[0] == "interrupted\n"
