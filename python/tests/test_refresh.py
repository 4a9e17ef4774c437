"""refresh: one process of the machine loads; the others take over, or only read."""

import json
import logging
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import framecache
import pyarrow as pa
import pytest
from crowd import Tally, die, ended, forked, until

NUMBERS = pa.table({"n": [0]})


class Loads:
    """A load that counts itself, across processes: the frame holds its number."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.tally = Tally(str(folder / "loads"))

    def __call__(self) -> pa.Table:
        return pa.table({"n": [self.tally.add()]})


@pytest.fixture
def loads(tmp_path: pathlib.Path) -> Loads:
    return Loads(tmp_path)


def number_of(frame: framecache.Frame) -> int:
    with frame:
        return int(frame["n"].to_numpy()[0])


def attached(cache: framecache.Cache) -> framecache.Cache:
    return framecache.Cache(cache.dir)


def test_it_loads_at_once_and_again_after_each_interval(
    cache: framecache.Cache, loads: Loads
) -> None:
    refresher = framecache.refresh("k", loads, 0.02, cache=cache, tags=["t"], ttl="1h")
    assert "k" not in cache
    refresher.start()
    seen: list[int] = []
    frame = None
    for _ in range(5):
        frame = cache.next_frame("k", after=frame)
        seen.append(int(frame["n"].to_numpy()[0]))
    refresher.stop()
    assert seen == sorted(set(seen))
    assert frame is not None
    assert frame.info["tags"] == ["t"]
    assert frame.info["expires"] - frame.info["created"] == pytest.approx(3600)
    done = len(loads.tally)
    time.sleep(0.06)
    assert len(loads.tally) == done
    del frame


def test_two_refreshers_of_a_process_load_once(
    cache: framecache.Cache, loads: Loads
) -> None:
    both = [framecache.refresh("k", loads, 1000, cache=cache) for _ in range(2)]
    for refresher in both:
        refresher.start()
    cache.next_frame("k").release()
    time.sleep(0.05)
    for refresher in both:
        refresher.stop()
    assert len(loads.tally) == 1


def forked_refresher(cache: framecache.Cache, loads: Loads, interval: float) -> int:
    def work() -> None:
        with attached(cache) as own:
            framecache.refresh("k", loads, interval, cache=own).run()

    return forked(work)


def test_when_the_process_that_loads_is_killed_another_takes_over(
    cache: framecache.Cache, loads: Loads
) -> None:
    pids = [forked_refresher(cache, loads, 0.05) for _ in range(2)]
    try:
        until(lambda: len(loads.tally) >= 3)
        first = loads.tally.pids[0]
        assert set(loads.tally.pids) == {first}
        os.kill(first, signal.SIGKILL)
        assert ended(first) == -signal.SIGKILL
        pids.remove(first)
        until(lambda: pids[0] in loads.tally.pids)
        before = len(loads.tally)
        until(lambda: len(loads.tally) >= before + 2)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            ended(pid)
        cache.collect()  # what those left that were killed while they put


def test_who_takes_over_waits_for_the_rest_of_the_interval(
    cache: framecache.Cache, loads: Loads
) -> None:
    cache.put("k", NUMBERS).release()
    refresher = framecache.refresh("k", loads, 1000, cache=cache).start()
    time.sleep(0.05)
    refresher.stop()
    assert len(loads.tally) == 0


def reader(cache: framecache.Cache, out: pathlib.Path, last: int) -> Callable[[], None]:
    def work() -> None:
        seen = []
        with attached(cache) as own:
            frame = None
            while not seen or seen[-1] < last:
                frame = own.next_frame("k", after=frame, timeout=60)
                seen.append(int(frame["n"].to_numpy()[0]))
            del frame
        out.write_text(json.dumps(seen))

    return work


def test_readers_in_other_processes_see_each_new_frame_once(
    cache: framecache.Cache, loads: Loads, tmp_path: pathlib.Path
) -> None:
    files = [tmp_path / f"seen{index}" for index in range(3)]
    readers = [forked(reader(cache, file, 8)) for file in files]
    refresher = framecache.refresh("k", loads, 0.25, cache=cache).start()
    assert [ended(pid) for pid in readers] == [0, 0, 0]
    refresher.stop()
    for file in files:
        seen = json.loads(file.read_text())
        assert seen == sorted(set(seen))  # none twice, none old after new
        assert seen[-1] >= 8 and len(seen) >= 5  # a busy machine may skip some


def test_a_load_that_fails_keeps_the_old_frame_and_is_tried_again(
    cache: framecache.Cache, loads: Loads, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([None, RuntimeError("the database is gone"), None])

    def load() -> pa.Table:
        outcome = next(outcomes, None)
        if outcome:
            raise outcome
        return loads()

    with caplog.at_level(logging.INFO, "framecache"):
        refresher = framecache.refresh("k", load, 0.02, cache=cache).start()
        until(lambda: "failed" in caplog.text)
        assert "k" in cache
        until(lambda: len(loads.tally) >= 2)
        refresher.stop()
    (failed,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "refresh of 'k' failed (1 in a row)" in failed.getMessage()
    assert failed.exc_info and "database" in str(failed.exc_info[1])
    assert any(r.getMessage().startswith("refreshed 'k': 1 rows") for r in caplog.records)


def test_what_is_no_table_is_a_failure_too(
    cache: framecache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    refresher = framecache.refresh("k", lambda: 7, 30, cache=cache).start()  # type: ignore
    until(lambda: "failed" in caplog.text)
    refresher.stop()
    assert "type int is no table" in caplog.text


def test_retries_come_later_and_later_but_not_later_than_the_interval(
    cache: framecache.Cache, caplog: pytest.LogCaptureFixture
) -> None:
    refresher = framecache.refresh("k", lambda: NUMBERS, 30, cache=cache)

    def fail() -> None:
        if refresher._failures == 7:
            refresher._stop.set()
        raise RuntimeError

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return self.is_set()

    refresher._load, refresher._stop = fail, Impatient()
    refresher.run()
    waits = [record.args[2] for record in caplog.records]  # type: ignore[index]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_it_ends_when_the_cache_is_closed(
    directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = framecache.Cache(directory, budget="64MiB", capacity=64)
    refresher = framecache.refresh("k", lambda: NUMBERS, 0.02, cache=own).start()
    own.next_frame("k").release()
    own.close()
    until(lambda: not refresher._is_running())
    assert "the refresh of 'k' ends" in caplog.text
    with pytest.raises(framecache.ClosedError):
        framecache.refresh("k", lambda: NUMBERS, cache=own).run()


def test_it_can_be_started_again_but_not_twice(
    cache: framecache.Cache, loads: Loads
) -> None:
    refresher = framecache.refresh("k", loads, 0.02, cache=cache).start()
    with pytest.raises(RuntimeError, match="runs already"):
        refresher.start()
    refresher.stop()
    done = len(loads.tally)
    refresher.start()
    until(lambda: len(loads.tally) > done)
    refresher.stop()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"interval": 0}, ValueError),
        ({"interval": "never"}, ValueError),
        ({"interval": None}, ValueError),
        ({"interval": "soon"}, ValueError),
        ({"ttl": -1}, ValueError),
        ({"tags": "t"}, TypeError),
        ({"load": NUMBERS}, TypeError),
    ],
)
def test_bad_arguments_are_refused_at_once(
    cache: framecache.Cache, arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        framecache.refresh(**{"key": "k", "load": lambda: 1, "cache": cache} | arguments)  # type: ignore


def test_a_key_may_be_as_long_as_any(cache: framecache.Cache) -> None:
    refresher = framecache.refresh("k" * 1024, lambda: NUMBERS, cache=cache).start()
    cache.next_frame("k" * 1024).release()
    refresher.stop()


def test_a_child_forked_in_between_does_not_keep_the_right_to_load(
    cache: framecache.Cache, loads: Loads
) -> None:
    ready, go = os.pipe()

    def leader() -> None:
        with attached(cache) as own:
            framecache.refresh("k", loads, 1000, cache=own).start()
            own.next_frame("k").release()
            child = forked(lambda: (os.close(go), os.read(ready, 1)))  # outlives it
            print(child)
            die()

    assert ended(forked(leader)) == -signal.SIGKILL
    cache.delete("k")
    refresher = framecache.refresh("k", loads, 1000, cache=cache).start()
    cache.next_frame("k").release()
    refresher.stop()
    os.close(go)
    os.close(ready)
    assert len(loads.tally) == 2


# ---- python -m framecache refresh ----


def scheduler(folder: pathlib.Path, target: str, directory: str) -> subprocess.Popen[str]:
    environment = os.environ | {"FRAMECACHE_DIR": directory}
    command = [sys.executable, "-m", "framecache", "refresh", target]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stderr=subprocess.PIPE
    )


JOBS = """
import framecache, pyarrow as pa

def job(key):
    return framecache.refresh(key, lambda: pa.table({"x": [1, 2]}), "50ms")

one = job("one")
def several():
    return [job("a"), job("b")]
class Holder:
    inner = one
nothing, wrong = [], 5
"""


@pytest.mark.parametrize(
    ("name", "keys"),
    [("one", {"one"}), ("several", {"a", "b"}), ("Holder.inner", {"one"})],
)
def test_the_command_runs_schedulers_until_a_signal(
    cache: framecache.Cache, tmp_path: pathlib.Path, name: str, keys: set[str]
) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    running = scheduler(tmp_path, f"jobs:{name}", cache.dir)
    frames = {key: cache.next_frame(key, timeout=60) for key in keys}
    for key, frame in frames.items():
        cache.next_frame(key, after=frame, timeout=60).release()
    del frame
    frames.clear()
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate()
    assert running.returncode == 0
    assert "refreshed 'one': 2 rows" in errors or "refreshed 'a': 2 rows" in errors


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("jobs", "not of the form MODULE:NAME"),
        ("jobs:gone", "module 'jobs' has no 'gone'"),
        ("nowhere:x", "there is no module 'nowhere'"),
        ("jobs:nothing", "is an empty list"),
        ("jobs:wrong", "is a int, and no Refresher"),
    ],
)
def test_the_command_says_what_is_wrong_with_its_target(
    cache: framecache.Cache, tmp_path: pathlib.Path, target: str, message: str
) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    running = scheduler(tmp_path, target, cache.dir)
    _, errors = running.communicate()
    assert running.returncode == 1
    assert message in errors
    assert "Traceback" not in errors
