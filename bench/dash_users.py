#!/usr/bin/env python3
"""The explorer under load: many users on 4 workers, and a grid in headless Chromium.

    .venv/bin/python bench/dash_users.py [--users 100] [--seconds 45] [--no-browser]

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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples/tests"))
sys.path.insert(0, str(ROOT / "examples/dash/explorer"))

import browser  # noqa: E402  of examples/tests
import framecache  # noqa: E402

WORKERS = 4


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return sum(
        int(line.split()[1]) << 10
        for line in lines
        if line.startswith(("Private_Clean", "Private_Dirty"))
    )


class Memory(threading.Thread):
    """The workers' own memory, and the cache's, once a second."""

    def __init__(self, server: int, cache: framecache.Cache) -> None:
        super().__init__(daemon=True)
        self.server, self.cache = server, cache
        self.ended = threading.Event()
        self.samples: list[tuple[int, int]] = []

    def run(self) -> None:
        while not self.ended.wait(1):
            own = sum(private_bytes(pid) for pid in children(self.server))
            self.samples.append((own, int(self.cache.stats()["used_bytes"])))


def start(directory: str) -> tuple[subprocess.Popen[bytes], str]:
    port = browser.free_port()
    environment = os.environ | {
        "FRAMECACHE_DIR": directory, "FRAMECACHE_BUDGET": "512MiB",
    }  # fmt: skip
    folder = str(ROOT / "examples/dash/explorer")  # with its gunicorn.conf.py
    command = [
        sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--threads", "4",
        "--bind", f"127.0.0.1:{port}", "--log-level", "warning", "app:server",
    ]  # fmt: skip
    server = subprocess.Popen(command, env=environment, cwd=folder)
    address = f"http://127.0.0.1:{port}/"
    try:
        browser.wait_for(address, server)
    except AssertionError:
        server.terminate()
        raise
    return server, address


def load(address: str, users: int, seconds: int, folder: str) -> list[dict[str, str]]:
    """Locust's table: a row for each kind of request, and one for all."""
    command = [
        sys.executable, "-m", "locust", "-f", str(ROOT / "bench/dash_visitors.py"),
        "--headless", "--users", str(users), "--spawn-rate", str(max(users // 8, 1)),
        "--run-time", f"{seconds}s", "--host", address.rstrip("/"), "--csv",
        f"{folder}/locust", "--only-summary", "--loglevel", "ERROR",
        "--exit-code-on-error", "0",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=seconds + 120)
    with open(f"{folder}/locust_stats.csv", newline="") as rows:
        return list(csv.DictReader(rows))


def grid(address: str) -> dict[str, float]:
    """Milliseconds from a click to the first row, and of fetches while scrolling."""
    with browser.page(address) as page:
        page.wait_for_selector("#numbers .card")
        page.wait_for_load_state("networkidle")
        started = time.perf_counter()
        page.click("text=All flights")
        page.wait_for_selector("[row-index='0'] [col-id='leaves']")
        first = time.perf_counter() - started
        fetches: list[float] = []

        def note(request: Any) -> None:
            if "getRowsRequest" in (request.post_data or ""):
                timing = request.timing
                fetches.append(timing["responseEnd"] - timing["requestStart"])

        page.on("requestfinished", note)
        for row in range(5_000, 300_000, 7_300):
            page.evaluate(f"dash_ag_grid.getApi('grid').ensureIndexVisible({row})")
            page.wait_for_function(
                f"(document.querySelector(\"[row-index='{row}'] [col-id='leaves']\")"
                "?.textContent || '').startsWith('2013')"
            )
    return {
        "first_row_ms": round(first * 1000),
        "fetch_median_ms": round(statistics.median(fetches), 1),
        "fetches": len(fetches),
    }


def users_report(rows: list[dict[str, str]], memory: Memory) -> dict[str, Any]:
    kept = memory.samples[len(memory.samples) // 3 :]  # from when all users are there
    third = max(len(kept) // 3, 1)
    own = [sample[0] for sample in kept]
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
        "private_mib_first_third": round(statistics.mean(own[:third]) * mib, 1),
        "private_mib_last_third": round(statistics.mean(own[-third:]) * mib, 1),
        "cache_mib_at_most": round(max(sample[1] for sample in kept) * mib, 1),
    }


def measure(folder: str, given: argparse.Namespace) -> dict[str, Any]:
    server, address = start(f"{folder}/cache")
    report: dict[str, Any] = {}
    try:
        if not given.no_browser:
            report["grid"] = grid(address)
        with framecache.Cache(f"{folder}/cache") as cache:
            memory = Memory(server.pid, cache)
            memory.start()
            rows = load(address, given.users, given.seconds, folder)
            memory.ended.set()
            memory.join()
        return report | users_report(rows, memory)
    finally:
        server.terminate()
        server.wait(timeout=60)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=45)
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
    failures = report["requests"]["Aggregated"]["failures"]
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
