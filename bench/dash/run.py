"""The thread's benchmark in a browser: the same app with a plain store, with pickle files
and with framecache, at 1, 10, ... rows.

    run.py [--least ROWS] [--most ROWS] [--runs N] [--minutes N] [--out FILE] [--only KIND,...]

A run is a click: one callback makes the frame and puts it into the store, the next takes
it out; its time goes from just after the frame is made to just before it is used. Then a
third callback reads the store, beside one that reads nothing: what both take in the
browser. A point is given up after 60 s, or when the tab dies; then larger ones are not
tried. Prints a table; the exit status is 0 unless framecache failed.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, Response, sync_playwright

HERE = Path(__file__).resolve().parent
KINDS = ("json", "pickle", "framecache")
WORKERS = 2
POINT_S = 60
READS = 15
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()


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


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def memory(self, *fields: str) -> int:
        """The sum of these fields of smaps_rollup over the workers, in bytes."""
        kib = 0
        for pid in self.workers():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in fields:
                        kib += int(value.split()[0])
        return kib * 1024


@contextmanager
def serving(kind: str, place: Path) -> Iterator[Server]:
    port = free_port()
    environment = os.environ | {"BENCH_STORE": kind, "BENCH_DIR": str(place / kind)}
    log = place / f"{kind}.log"
    command = [sys.executable, "-m", "gunicorn", "app:server", "--workers", str(WORKERS)]
    command += ["--bind", f"127.0.0.1:{port}", "--timeout", "300", "--chdir", str(HERE)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        server = Server(process, f"http://127.0.0.1:{port}/", log)
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(server.url + "_dash-layout", timeout=5).read()
                break
            if process.poll() is not None:
                raise SystemExit(
                    f"the server of {kind} ended:\n{log.read_text()[-3000:]}"
                )
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


# ---- The browser ----


class Tab:
    """One page of the app. Clicks, and waits for what the click changes."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page: Page = browser.new_page()
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


def measure(tab: Tab, server: Server, point: Point, runs: int, deadline: float) -> None:
    tab.set_rows(point.rows)
    started = time.monotonic()
    for _ in range(runs):
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


def all_points(arguments: argparse.Namespace) -> list[Point]:
    deadline = time.monotonic() + arguments.minutes * 60
    points: list[Point] = []
    with ExitStack() as stack:
        place = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(
                    prefix="framecache-in-browser-", dir="/dev/shm"
                )
            )
        )
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=CHROMIUM, args=QUIET
        )
        stack.callback(browser.close)
        kinds = {}
        for kind in arguments.only:
            server = stack.enter_context(serving(kind, place))
            kinds[kind] = (server, Tab(browser, server.url))
        rows = arguments.least
        while rows <= arguments.most and kinds:
            for kind, (server, tab) in list(kinds.items()):
                point = Point(kind, rows)
                points.append(point)
                try:
                    if time.monotonic() > deadline:
                        raise GaveUp(f"the {arguments.minutes:g} minutes were over")
                    measure(tab, server, point, arguments.runs, deadline)
                except GaveUp as error:
                    point.gave_up = str(error)
                    kept = arguments.out.with_name(f"dash-{kind}.log")
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    kept.write_bytes(server.log.read_bytes())
                    del kinds[kind]
                say(point)
                if kind == "json" and point.gave_up:
                    with suppress(Error):
                        tab.page.close()
            rows *= 10
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
    ratio = reading(points, "pickle", most) / reading(points, "framecache", most)
    print(f"further read at {most:,} rows, pickle / framecache: {ratio:.0f} (goal: 1000)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = int(float(os.environ.get("ROWS") or 1e8))
    parser.add_argument("--least", type=lambda t: int(float(t)), default=1)
    parser.add_argument("--most", type=lambda t: int(float(t)), default=rows)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("build/bench/dash.json"))
    parser.add_argument("--only", type=lambda t: t.split(","), default=list(KINDS))
    arguments = parser.parse_args()
    if not Path(CHROMIUM).exists():
        raise SystemExit(f"{CHROMIUM} is not there: apt-get install chromium")
    points = all_points(arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    taken = {"date": time.strftime("%Y-%m-%d"), "points": [asdict(p) for p in points]}
    arguments.out.write_text(json.dumps(taken, indent=1))
    judge(points)
    ours = [p for p in points if p.kind == "framecache"]
    return int(any(p.gave_up and "minutes" not in p.gave_up for p in ours))


if __name__ == "__main__":
    sys.exit(main())
