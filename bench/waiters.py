"""Python's waiters for one key: when the last of them has its table.

    waiters.py DIR threads|processes|asyncio

Threads: 25 in each of 8 processes; processes: 8; asyncio: 25 tasks in each of 8.
The time counts from the end of the compute, so that the put is in it.
"""

import asyncio
import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from statistics import median

import framecache
import pyarrow as pa

PROCESSES, ROUNDS, SERVED_NS = 8, 15, 20e6
COUNTS = {"threads": 25, "processes": 1, "asyncio": 25}
TABLE = pa.table({"x": [1.0]})


class Board:
    """Numbers that all processes see: the round, and when each waiter began and ended."""

    def __init__(self, waiters: int) -> None:
        self.waiters = waiters
        self._memory = mmap.mmap(-1, 8 * (1 + 2 * waiters))

    def get(self, place: int) -> int:
        return int(struct.unpack_from("<q", self._memory, 8 * place)[0])

    def set(self, place: int, value: int) -> None:
        struct.pack_into("<q", self._memory, 8 * place, value)

    def begun(self, waiter: int, number: int) -> None:
        self.set(1 + waiter, number)

    def served(self, waiter: int) -> None:
        self.set(1 + self.waiters + waiter, time.monotonic_ns())

    def all_begun(self, number: int) -> bool:
        return all(self.get(1 + i) == number for i in range(self.waiters))

    def last(self, since: int) -> int | None:
        times = [self.get(1 + self.waiters + i) for i in range(self.waiters)]
        return max(times) if min(times) > since else None


def never() -> pa.Table:
    raise RuntimeError("computed what another computes")


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.001)


def wait_in_thread(cache: framecache.Cache, board: Board, waiter: int) -> None:
    for number in range(1, ROUNDS + 1):
        until(lambda number=number: board.get(0) >= number)
        board.begun(waiter, number)
        cache.get_or_compute(f"key-{number}", never, timeout=60)
        board.served(waiter)


async def anever() -> pa.Table:
    return never()


async def wait_in_task(cache: framecache.Cache, board: Board, waiter: int) -> None:
    for number in range(1, ROUNDS + 1):
        while board.get(0) < number:
            await asyncio.sleep(0.001)
        board.begun(waiter, number)
        await cache.aget_or_compute(f"key-{number}", anever, timeout=60)
        board.served(waiter)


async def wait_in_loop(cache: framecache.Cache, board: Board, waiters: range) -> None:
    await asyncio.gather(*(wait_in_task(cache, board, waiter) for waiter in waiters))


def child(directory: str, mode: str, board: Board, waiters: range) -> None:
    cache = framecache.Cache(directory)
    if mode == "asyncio":
        asyncio.run(wait_in_loop(cache, board, waiters))
        return
    threads = [
        threading.Thread(target=wait_in_thread, args=(cache, board, waiter))
        for waiter in waiters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_round(cache: framecache.Cache, board: Board, number: int) -> int:
    done = 0

    def compute() -> pa.Table:
        nonlocal done
        board.set(0, number)
        until(lambda: board.all_begun(number))
        time.sleep(0.12)  # they sleep, and have looked for a dead owner
        done = time.monotonic_ns()
        return TABLE

    cache.get_or_compute(f"key-{number}", compute)
    until(lambda: board.last(done))
    last = board.last(done)
    assert last is not None
    return last - done


def main() -> int:
    directory, mode = sys.argv[1:]
    count = COUNTS[mode]
    board = Board(PROCESSES * count)
    pids = []
    for process in range(PROCESSES):
        pid = os.fork()
        if not pid:
            child(directory, mode, board, range(process * count, (process + 1) * count))
            os._exit(0)
        pids.append(pid)
    cache = framecache.Cache(directory)
    times = [one_round(cache, board, number) for number in range(1, ROUNDS + 1)]
    failed = [pid for pid in pids if os.waitpid(pid, 0)[1]]
    for name, value in ((mode, median(times)), (f"{mode}/worst", max(times))):
        figure = {
            "figure": f"flight/python/{name}", "unit": "ns", "framecache": value,
            "baseline": SERVED_NS, "against": "the promise",
        }  # fmt: skip
        print(json.dumps(figure))
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
