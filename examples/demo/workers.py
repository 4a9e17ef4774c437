"""Worker processes: each opens the store for itself, as a server's workers do, and does
what it is told over a pipe. When the pipe ends, so does the worker.
"""

import gc
import multiprocessing
import os
import signal
import statistics
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import memory
import pandas as pd
from data import LARGE
from questions import QUESTIONS
from stores import Store, StoreAt

REPLY_S = 120
LATER_GETS, LATER_S = 9, 0.5  # at most so many, and no new one after so long
SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Held:
    """What it took a worker to hold the enlarged flights and read all of them."""

    first_get_s: float
    later_get_s: float
    read_s: float


@dataclass(frozen=True)
class Answer:
    table: pd.DataFrame
    get_s: float
    seconds: float  # gets included


# ---- In the worker ----


@dataclass
class Desk:
    """What a worker has in front of it."""

    store: Store
    held: list[pd.DataFrame] = field(default_factory=list)

    def hold(self, key: str) -> Held:
        gc.collect()
        started = time.perf_counter()
        table = self.store.get(key)
        first = time.perf_counter() - started
        started = time.perf_counter()
        memory.read_every_page(table)
        read = time.perf_counter() - started
        later: list[float] = []
        while len(later) < LATER_GETS and sum(later) < LATER_S:
            del table  # never two of them at once
            started = time.perf_counter()
            table = self.store.get(key)
            later.append(time.perf_counter() - started)
        memory.read_every_page(table)
        self.held.append(table)
        return Held(first, statistics.median(later), read)

    def measure(self) -> memory.Memory:
        gc.collect()
        return memory.measure()

    def checksum(self) -> int:
        return sum(memory.read_every_page(table) for table in self.held)

    def drop(self) -> None:
        self.held.clear()
        gc.collect()

    def ask(self, question: str, large: bool) -> Answer:
        getting = 0.0

        def get(name: str) -> pd.DataFrame:
            nonlocal getting
            key = LARGE + name if large and name in ("flights", "weather") else name
            started = time.perf_counter()
            table = self.store.get(key)
            getting += time.perf_counter() - started
            return table

        started = time.perf_counter()
        table = QUESTIONS[question](get)
        return Answer(table, getting, time.perf_counter() - started)


def _work(pipe: Connection, where: StoreAt) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees to the end
    desk = Desk(where.open())
    while True:
        try:
            verb, arguments = pipe.recv()
        except EOFError:
            break
        pipe.send(("started", None))
        try:
            pipe.send(("done", getattr(desk, verb)(*arguments)))
        except Exception as error:  # told to who asked, who decides
            pipe.send(("failed", f"{type(error).__name__}: {error}"))
    desk.drop()
    desk.store.close()


# ---- In the parent ----


class WorkerFailed(Exception):
    """A worker could not do what it was told, or went."""


class Worker:
    def __init__(self, where: StoreAt) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_work, args=(theirs, where), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, verb: str, *arguments: Any) -> None:
        self.pipe.send((verb, arguments))
        self._hear("started")

    def result(self) -> Any:
        return self._hear("done")

    def call(self, verb: str, *arguments: Any) -> Any:
        self.tell(verb, *arguments)
        return self.result()

    def _hear(self, expected: str) -> Any:
        try:
            if not self.pipe.poll(REPLY_S):
                raise WorkerFailed(f"no reply within {REPLY_S} s")
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionError):
            raise WorkerFailed("the worker went") from None
        if kind != expected:
            raise WorkerFailed(str(value))
        return value

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        os.kill(self.process.pid or 0, signal.SIGKILL)
        self.process.join()

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(30)
        if self.process.is_alive():
            self.kill()


class Crew:
    """Several workers at once."""

    def __init__(self, where: StoreAt, count: int) -> None:
        self.where = where
        self.workers = [Worker(where) for _ in range(count)]

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.stop()

    def in_turn(self, verb: str, *arguments: Any) -> list[Any]:
        return [worker.call(verb, *arguments) for worker in self.workers]

    def at_once(self, verb: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
        """What each worker says to its own of `arguments`."""
        for worker, own in zip(self.workers, arguments, strict=False):
            worker.tell(verb, *own)
        return [worker.result() for worker in self.workers]

    def kill_one_at(self, verb: str, *arguments: Any) -> None:
        """Kills the last worker in the middle of that, and hires another."""
        victim = self.workers.pop()
        victim.tell(verb, *arguments)  # returns when it has begun
        victim.kill()
        self.workers.append(Worker(self.where))
