#!/usr/bin/env python3
"""The explorer under load: many users on 4 workers, and a grid in headless Chromium.

    .venv/bin/python bench/dash_users.py [--users 100] [--seconds 180] [--no-browser]
    .venv/bin/python bench/dash_users.py --users 0      # the grid only

Prints what it found, and writes it to build/bench/dash-users.json. The exit status is 0
only if no request failed and none came back empty.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples/tests"))
sys.path.insert(0, str(ROOT / "examples/dash/explorer"))

import browser  # noqa: E402  of examples/tests
import framecache  # noqa: E402

WORKERS = 4
BUDGET = "2GiB"  # what 100 users choose in a minute, so that nothing in use is evicted


class Memory(threading.Thread):
    """The workers' own memory, and the cache's, every two seconds."""

    def __init__(self, server: browser.Server, cache: framecache.Cache) -> None:
        super().__init__(daemon=True)
        self.server, self.cache = server, cache
        self.ended = threading.Event()
        self.samples: list[tuple[float, int, int, int]] = []

    def run(self) -> None:
        while not self.ended.wait(2):
            own = self.server.memory("Private_Clean", "Private_Dirty")
            stats = self.cache.stats()
            used, frames = int(stats["used_bytes"]), int(stats["frames"])
            self.samples.append((time.monotonic(), own, used, frames))


def start(directory: str) -> AbstractContextManager[browser.Server]:
    environment = os.environ | {
        "FRAMECACHE_DIR": directory, "FRAMECACHE_BUDGET": BUDGET,
    }  # fmt: skip
    folder = ROOT / "examples/dash/explorer"  # with its gunicorn.conf.py
    return browser.gunicorn(folder, "app:server", environment, WORKERS, "--threads", "4")


def load(
    address: str, users: int, seconds: int, folder: str
) -> tuple[list[dict[str, str]], list[str]]:
    """Locust's table: a row for each kind of request, and one for all; its failures."""
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "bench/dash_visitors.py"),
        "--headless", "--users", str(users), "--spawn-rate", str(max(users // 8, 1)),
        "--run-time", f"{seconds}s", "--host", address.rstrip("/"), "--csv",
        f"{folder}/locust", "--only-summary", "--loglevel", "ERROR",
        "--exit-code-on-error", "0",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds + 120)
    with open(f"{folder}/locust_failures.csv", newline="") as rows:
        failed = [f"{r['Name']}: {r['Error']}" for r in csv.DictReader(rows)]
    with open(f"{folder}/locust_stats.csv", newline="") as rows:
        return list(csv.DictReader(rows)), failed


# With its values: the grid draws an empty first row before it has any.
FIRST_ROW = "[row-index='0'] [col-id='leaves']:has-text('2013')"
# The page itself notes when that row has been painted: what drives the browser learns of
# it later, when the page has time to answer.
NOTE_FIRST_ROW = """
    new MutationObserver((_, self) => {
        const cell = document.querySelector("[row-index='0'] [col-id='leaves']");
        if (!cell?.textContent.startsWith("2013")) return;
        self.disconnect();
        requestAnimationFrame(
            () => setTimeout(() => { window.firstRow = performance.now(); })
        );
    }).observe(document, {childList: true, subtree: true, characterData: true});
"""


def first_rows(page: Any, address: str) -> dict[str, float]:
    """Milliseconds to the first row: of a page opened on the grid, and of a click."""
    page.add_init_script(NOTE_FIRST_ROW)
    page.wait_for_selector("#scatter canvas")  # what the page before it draws last
    page.goto(f"{address}?tab=flights", wait_until="commit")
    opened = float(page.wait_for_function("window.firstRow").json_value())
    page.goto(address)
    page.wait_for_selector("#scatter canvas")
    page.wait_for_timeout(1500)
    started = time.perf_counter()
    page.click("text=All flights")
    page.wait_for_selector(FIRST_ROW)
    clicked = (time.perf_counter() - started) * 1000
    return {"first_row_opened_ms": round(opened), "first_row_clicked_ms": round(clicked)}


def scrolled(page: Any, times: int = 30) -> dict[str, float]:
    """Milliseconds of the fetches while scrolling, of places nobody has looked at."""
    fetches: list[float] = []

    def note(request: Any) -> None:
        if "getRowsRequest" in (request.post_data or ""):
            timing = request.timing
            fetches.append(timing["responseEnd"] - timing["requestStart"])

    page.on("requestfinished", note)
    for row in range(5_000, 5_000 + 7_300 * times, 7_300):
        # Asked again until the row is there: a grid that shows its first row may have no
        # scroll bar yet, and then stays where it is.
        page.wait_for_function(
            f"dash_ag_grid.getApi('grid').ensureIndexVisible({row}),"
            f"(document.querySelector(\"[row-index='{row}'] [col-id='leaves']\")"
            "?.textContent || '').startsWith('2013')"
        )
    return {
        "fetch_median_ms": round(statistics.median(fetches), 1),
        "fetches": len(fetches),
    }


def grid(address: str) -> dict[str, float]:
    with browser.page(address) as page:
        return first_rows(page, address) | scrolled(page)


def users_report(
    rows: list[dict[str, str]], failed: list[str], memory: Memory
) -> dict[str, Any]:
    kept = memory.samples[len(memory.samples) // 2 :]  # the second half: it is warm
    mib = 1 / 2**20
    return {
        "requests": {
            row["Name"]: {
                "count": int(row["Request Count"]),
                "failures": int(row["Failure Count"]),
                "median_ms": float(row["Median Response Time"]),
            }
            for row in rows
        },
        "failures": failed,
        "private_mib_every_10_s": [round(s[1] * mib, 1) for s in memory.samples[::5]],
        "cache_mib_every_10_s": [round(s[2] * mib, 1) for s in memory.samples[::5]],
        "frames_every_10_s": [s[3] for s in memory.samples[::5]],
        "private_mib_a_minute": round(slope(kept, 1) * mib, 2),
        "cache_mib_a_minute": round(slope(kept, 2) * mib, 2),
    }


def slope(samples: list[tuple[float, int, int, int]], field: int) -> float:
    """How much a field grows a minute, by least squares."""
    fit = statistics.linear_regression(
        [s[0] for s in samples], [s[field] for s in samples]
    )
    return fit.slope * 60


def measure(folder: str, given: argparse.Namespace) -> dict[str, Any]:
    report: dict[str, Any] = {}
    with start(f"{folder}/cache") as server:
        if not given.no_browser:
            report["grid"] = grid(server.address)
        if not given.users:
            return report
        with framecache.Cache(f"{folder}/cache") as cache:
            memory = Memory(server, cache)
            memory.start()
            rows, failed = load(server.address, given.users, given.seconds, folder)
            memory.ended.set()
            memory.join()
        return report | users_report(rows, failed, memory)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--no-browser", action="store_true")
    given = parser.parse_args()
    report: dict[str, Any] = {"users": given.users, "workers": WORKERS}
    folder = tempfile.mkdtemp(prefix="framecache-users-", dir="/dev/shm")
    try:
        report |= measure(folder, given)
    finally:
        shutil.rmtree(folder)
    text = json.dumps(report, indent=2)
    print(text)
    output = ROOT / "build/bench/dash-users.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n")
    requests = report.get("requests", {})
    return int(any(kind["failures"] for kind in requests.values()))


if __name__ == "__main__":
    sys.exit(main())
