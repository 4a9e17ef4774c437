"""The thread's benchmark in a browser: the same app with framecache, with pickle files
and with a plain store, at 1, 10, ... rows.

    run.py [--least ROWS] [--most ROWS] [--runs N] [--minutes N] [--out FILE]
           [--only KIND,...]

A run is a click: one callback makes the frame and puts it into the store, the next takes
it out; its time goes from just after the frame is made to just before it is used. Then a
third callback reads the store, beside one that reads nothing: what both take in the
browser, and on the server. A point is given up after 60 s, or when the tab dies; then
larger ones of the kind are not tried. The kinds take turns, JSON last, since it alone may
use up the minutes. Prints a table; the exit status is 0 unless framecache failed.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, Response

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "examples/tests"))

import browser  # noqa: E402  of examples/tests

KINDS = ("framecache", "pickle", "json")
WORKERS = 2
POINT_S = 60
READS = 25
LARGE, PAUSE_S = 10**7, 1.5  # so that app.py's grace is over, and its pages are free
NEEDS = {"framecache": 2.5, "pickle": 5.0, "json": 1.0}  # memory, in frames


@dataclass
class Point:
    """What one kind took at one number of rows. Seconds; bytes."""

    kind: str
    rows: int
    chain: list[float] = field(default_factory=list)  # put, browser, get: each run
    read: list[float] = field(default_factory=list)  # in the browser
    empty: list[float] = field(default_factory=list)
    server_read: list[float] = field(default_factory=list)  # request to callback
    server_empty: list[float] = field(default_factory=list)
    worker_private: int = 0  # of all workers, after the runs
    worker_pss: int = 0
    gave_up: str = ""


class GaveUp(Exception):
    """A point cannot be had; the text says why."""


# ---- The server ----


@contextmanager
def serving(kind: str, place: Path) -> Iterator[browser.Server]:
    environment = os.environ | {"BENCH_STORE": kind, "BENCH_DIR": str(place / kind)}
    path = log_of(kind, place)
    with path.open("wb") as log, ExitStack() as stack:
        started = browser.gunicorn(
            HERE, "app:server", environment, WORKERS, "--timeout", "300", log=log
        )
        try:
            server = stack.enter_context(started)
        except AssertionError as error:
            told = path.read_text()[-3000:]
            raise SystemExit(f"the server of {kind}: {error}\n{told}") from None
        yield server
    shutil.rmtree(place / kind, ignore_errors=True)


def log_of(kind: str, place: Path) -> Path:
    return place / f"{kind}.log"


def check_memory(point: Point) -> None:
    """A machine without room would kill some process, perhaps another one's."""
    wanted = point.rows * 8 * NEEDS[point.kind]
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) << 10 for line in lines if "MemAvailable" in line)
    if wanted > free:
        raise GaveUp(
            f"it takes about {wanted / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free"
        )


# ---- The browser ----


class Tab:
    """One page of the app. Clicks, and waits for what the click changes."""

    def __init__(self, chromium: Browser, url: str) -> None:
        self.page: Page = chromium.new_page()
        self.crashed = False
        self.failed = ""
        self.page.on("crash", lambda _: setattr(self, "crashed", True))
        self.page.on("response", self._note)
        self.page.goto(url)
        self.page.wait_for_selector("#empty")
        self.clicks = dict.fromkeys(("run", "read", "empty"), 0)

    def _note(self, response: Response) -> None:
        if response.status >= 400:
            self.failed = f"the server answered {response.status}"

    def set_rows(self, rows: int) -> None:
        box = self.page.locator("#rows")
        box.fill(str(rows))
        box.press("Tab")

    def click(self, button: str, out: str) -> tuple[dict[str, Any], float]:
        """What the callback wrote, and the seconds its request took in the browser."""
        self.clicks[button] += 1
        try:
            self.page.evaluate("performance.clearResourceTimings()")
            self.page.click("#" + button, timeout=POINT_S * 1000)
            self.page.wait_for_function(
                "([id, n]) => { const t = document.getElementById(id).textContent;"
                " return t && JSON.parse(t).n === n; }",
                arg=[out, self.clicks[button]],
                timeout=POINT_S * 1000,
            )
            told = json.loads(self.page.locator("#" + out).text_content() or "")
            took = self.page.evaluate(
                "() => { const all = performance.getEntriesByType('resource').filter("
                "e => e.name.includes('_dash-update-component'));"
                " return all.length ? all[all.length - 1].duration / 1000 : NaN; }"
            )
        except Error as error:
            if self.crashed or "crash" in str(error).lower():
                raise GaveUp("the tab crashed") from None
            if "Timeout" in str(error):
                raise GaveUp(self.failed or f"nothing after {POINT_S} s") from None
            raise GaveUp(str(error).splitlines()[0]) from None
        return told, float(took)


def measure(
    tab: Tab, server: browser.Server, point: Point, runs: int, deadline: float
) -> None:
    tab.set_rows(point.rows)
    started = time.monotonic()
    for run in range(runs):
        if run and point.rows >= LARGE:
            time.sleep(PAUSE_S)
        told, _ = tab.click("run", "chain")
        if told["rows"] != point.rows:
            raise GaveUp(f"{told['rows']} rows came out of {point.rows}")
        point.chain.append(float(told["seconds"]))
        if time.monotonic() - started > POINT_S or time.monotonic() > deadline:
            break
    for _ in range(READS):
        for button, times, server_times in (
            ("read", point.read, point.server_read),
            ("empty", point.empty, point.server_empty),
        ):
            told, took = tab.click(button, button + "-out")
            times.append(took)
            server_times.append(float(told["server"]))
        if time.monotonic() - started > 2 * POINT_S or time.monotonic() > deadline:
            break
    point.worker_private = server.memory("Private_Clean", "Private_Dirty")
    point.worker_pss = server.memory("Pss")


def points_of(
    kind: str, chromium: Browser, place: Path, given: argparse.Namespace, deadline: float
) -> Iterator[Point]:
    """A kind's points, each when it has been measured; the one given up is the last."""
    with serving(kind, place) as server:
        tab = Tab(chromium, server.address)
        measure(tab, server, Point(kind, 1), 3, deadline)  # imports, and first requests
        rows = given.least
        while rows <= given.most:
            point = Point(kind, rows)
            try:
                if time.monotonic() > deadline:
                    raise GaveUp(f"the {given.minutes:g} minutes were over")
                check_memory(point)
                measure(tab, server, point, given.runs, deadline)
            except GaveUp as error:
                point.gave_up = str(error)
            yield point
            if point.gave_up:
                kept = given.out.with_name(f"dash-{kind}.log")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(log_of(kind, place).read_bytes())
                break
            rows *= 10
        with suppress(Error):
            tab.page.close()


def all_points(given: argparse.Namespace) -> list[Point]:
    deadline = time.monotonic() + given.minutes * 60
    points: list[Point] = []
    with ExitStack() as stack:
        place = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="framecache-in-browser-", dir="/dev/shm")
        )
        for kind in sorted(given.only, key=KINDS.index):
            with browser.chromium() as chromium:
                for point in points_of(kind, chromium, Path(place), given, deadline):
                    say(point)
                    points.append(point)
    return points


# ---- What it says ----


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def say(point: Point) -> None:
    first = point.chain[0] if point.chain else float("nan")
    line = f"{point.kind:10} {point.rows:>13,} rows"
    if point.chain:
        later_ms = median(point.chain[1:]) * 1000
        line += (
            f"  chain {first * 1000:9.1f} ms first, {later_ms:9.1f} after"
            f"  read {median(point.read) * 1000:8.1f} ms,"
            f" empty {median(point.empty) * 1000:6.1f}"
            f"  workers {point.worker_private / 1e6:8.1f} MB private"
        )
    if point.gave_up:
        line += f"  gave up: {point.gave_up}"
    print(line, flush=True)


def later(points: list[Point], kind: str, rows: int) -> float:
    found = [p for p in points if (p.kind, p.rows) == (kind, rows)]
    return median(found[0].chain[1:] or found[0].chain) if found else float("nan")


def reading(points: list[Point], kind: str, rows: int) -> float:
    """From request to callback, less what that takes without a store; at least 10 us."""
    found = [p for p in points if (p.kind, p.rows) == (kind, rows)]
    if not found:
        return float("nan")
    return max(median(found[0].server_read) - median(found[0].server_empty), 1e-5)


def judge(points: list[Point]) -> None:
    """The goals, and what came out. They fail nothing."""
    ours = [p for p in points if p.kind == "framecache" and p.read]
    if ours:
        most = max(median(p.read) - median(p.empty) for p in ours) * 1000
        print(f"read less empty, framecache, the most: {most:.2f} ms (goal: at most 2)")
    for kind, rows, goal in (("json", 10**6, 100), ("pickle", 10**8, 5)):
        ratio = later(points, kind, rows) / later(points, "framecache", rows)
        print(f"chain at {rows:,} rows, {kind} / framecache: {ratio:.1f} (goal: {goal})")
    most = 10**8
    theirs, own = reading(points, "pickle", most), reading(points, "framecache", most)
    print(
        f"further read at {most:,} rows, less an empty callback, on the server: pickle "
        f"{theirs * 1000:.1f} ms / framecache {own * 1000:.2f} ms: {theirs / own:.0f} "
        "(goal: 1000)"
    )


def kinds(text: str) -> list[str]:
    """Of an argument: names with commas between."""
    named = text.split(",")
    if unknown := set(named) - set(KINDS):
        raise argparse.ArgumentTypeError(f"{unknown}: there are {', '.join(KINDS)}")
    return named


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = int(float(os.environ.get("ROWS") or 1e8))
    parser.add_argument("--least", type=lambda t: int(float(t)), default=1)
    parser.add_argument("--most", type=lambda t: int(float(t)), default=rows)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("build/bench/dash.json"))
    parser.add_argument("--only", type=kinds, default=list(KINDS))
    arguments = parser.parse_args()
    if not shutil.which("chromium"):
        raise SystemExit("no chromium: scripts/setup installs it")
    points = all_points(arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    taken = {"date": time.strftime("%Y-%m-%d"), "points": [asdict(p) for p in points]}
    arguments.out.write_text(json.dumps(taken, indent=1))
    judge(points)
    ours = [p for p in points if p.kind == "framecache"]
    return int(any(p.gave_up and "minutes" not in p.gave_up for p in ours))


if __name__ == "__main__":
    sys.exit(main())
