"""Forked processes that start together, and a tally of what they did."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import framecache
from framecache.testing import leases


def forked(work: Callable[[], None]) -> int:
    """A child that does `work` and exits; 0 only if nothing was raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code; minus the signal's number if one killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Crowd:
    """`count` children with `threads` threads each, that wait for `go` to call `work`."""

    def __init__(self, count: int, work: Callable[[], None], threads: int = 1) -> None:
        ready, self._go = os.pipe()

        def child() -> None:
            os.close(self._go)
            os.read(ready, 1)  # the end of the file
            for result in in_threads(threads, work):
                if isinstance(result, BaseException):
                    raise result

        self.pids = [forked(child) for _ in range(count)]
        os.close(ready)

    def go(self) -> "Crowd":
        os.close(self._go)
        return self

    def ended(self) -> list[int]:
        return [ended(pid) for pid in self.pids]


def in_threads(count: int, call: Callable[[], Any]) -> list[Any]:
    """What each of `count` threads got, or the exception it was left with."""
    results: list[Any] = []

    def one() -> None:
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Tally:
    """Lines in a file that all processes append to: the pids of who did it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def add(self) -> int:
        """How many there are with this one."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, b"%10d\n" % os.getpid())
            return os.lseek(file, 0, os.SEEK_CUR) // 11
        finally:
            os.close(file)

    @property
    def pids(self) -> list[int]:
        if not os.path.exists(self.path):
            return []
        with open(self.path) as lines:
            return [int(line) for line in lines]

    def __len__(self) -> int:
        return len(self.pids)


def mark(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def until(condition: Callable[[], object]) -> None:
    """Waits for what will be; pytest's own limit ends a test where it is not."""
    while not condition():
        time.sleep(0.002)


def held(cache: framecache.Cache) -> list[str]:
    """The keys whose frames are held, and stay so: the library itself holds a frame while
    it compresses it, beside the program."""
    end = time.monotonic() + 10
    while (keys := leases(cache)) and time.monotonic() < end:
        time.sleep(0.005)
    return keys


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
