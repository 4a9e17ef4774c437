"""Runs the contests of bench/ and prints their figures beside the targets.

    run.py BUILD [--rows N] [--only NAME] [--dir DIR] [--out FILE]

BUILD is where the programs are (build/release/bench). Every contest gets an empty
directory on tmpfs, which goes afterwards, however the contest ends. With --rows only that
contest runs. Figures are ratios of one run; times are reported, never judged: the exit
status says whether everything ran, not how fast.
"""

import argparse
import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import targets

HERE = Path(__file__).resolve().parent
TIMEOUT_S, ALL_S = 240, 1200  # for one contest, and for the run
PREFIX = "framecache-bench-"
MOUNT = "mount -t tmpfs -o huge=within_size,size=5g framecache-bench"
Figure = dict[str, Any]


@dataclass(frozen=True)
class Contest:
    """A program with its arguments; `room` is what it needs in DIR and in memory."""

    name: str
    program: str
    arguments: tuple[str, ...]
    room: int
    huge: bool = False
    prepare: str = ""  # a program of Python that goes before it in the same directory


GB = 10**9
CONTESTS = [
    Contest("import", "import.py", (), GB // 10),
    Contest("warm get, 40 keys", "warm_get", ("40", "1"), GB // 10),
    Contest("warm get, 6,000 keys", "warm_get", ("6000", "1"), GB // 10),
    Contest("warm get, 40 keys, two processes", "warm_get", ("40", "2"), GB // 10),
    Contest("warm get, 6,000 keys, two processes", "warm_get", ("6000", "2"), GB // 10),
    Contest("warm get beside puts", "warm_get", ("beside",), 3 * GB),
    Contest("first get, 1 row", "first_get", ("1",), GB // 10),
    Contest("first get, 10^8 rows", "first_get", ("100000000",), GB),
    Contest("put of one row, new", "put_small", ("new",), GB // 10),
    Contest("put of one row, replacing", "put_small", ("replace",), GB // 10),
    Contest("put of one row, at capacity", "put_small", ("capacity",), GB),
    Contest("60,000 frames", "many_frames", (), GB // 2),
    Contest("put of 800 MB, fresh", "put_large", ("fresh",), 3 * GB),
    Contest("put of 800 MB, recycled", "put_large", ("recycled",), 4 * GB),
    Contest("put of 800 MB, fresh, huge pages", "put_large", ("fresh",), 3 * GB, True),
    Contest(
        "put of 800 MB, recycled, huge pages",
        "put_large",
        ("recycled",),
        4 * GB,
        huge=True,
    ),
    *(
        Contest(f"put of 1 GB over frames of {mb} MB", "make_room", (mb,), 4 * GB)
        for mb in targets.VICTIM_MB
    ),
    *(
        Contest(
            f"put of 1 GB over frames of {mb} MB, compressing",
            "make_room",
            (mb, "compress"),
            4 * GB,
        )
        for mb in targets.VICTIM_MB
    ),
    Contest("df.assign of a frame of 1 GB", "assign.py", (), 5 * GB),
    Contest("readers of 1 GB", "readers", (), 2 * GB),
    Contest(
        "flights, compressed and back", "codec", (), 2 * GB, prepare="codec_table.py"
    ),
    Contest("get_or_compute on a hit", "flights", ("hit",), GB // 10),
    Contest("200 waiting threads", "flights", ("waiters",), GB // 10),
    *(
        Contest(f"waiters in Python, {mode}", "waiters.py", (mode,), GB // 2)
        for mode in ("threads", "processes", "asyncio")
    ),
    Contest("pandas: cache[key]", "pandas_frames.py", ("warm",), GB // 10),
    Contest("pandas: to_pandas()", "pandas_frames.py", ("to_pandas",), 2 * GB),
    Contest("pandas: 1 row", "pandas_frames.py", ("put", "1"), GB // 10),
    Contest("pandas: 10^6 rows", "pandas_frames.py", ("put", "1000000"), GB // 2),
    Contest("pandas: 10^8 rows", "pandas_frames.py", ("put", "100000000"), 5 * GB),
    Contest("values", "values.py", (), GB // 2),
    Contest("pandas: 8 workers with 2 GB", "pandas_frames.py", ("workers",), 7 * GB),
]


class Skipped(Exception):
    """A contest that cannot run here, and why."""


def rows_contest(rows: int) -> Contest:
    return Contest(f"{rows:,} rows in place", "rows", (str(rows),), rows * 8 + GB // 10)


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def program_of(name: str, build: Path) -> list[str]:
    if name.endswith(".py"):
        python = HERE.parent / ".venv/bin/python"
        if not python.exists():
            raise Skipped("no .venv with the package: make build")
        return [str(python), str(HERE / name)]
    program = build / name
    if not program.exists():
        raise Skipped(f"{program} was not built")
    return [str(program)]


def command_of(contest: Contest, build: Path, scratch: Path) -> list[str]:
    command = [*program_of(contest.program, build), str(scratch), *contest.arguments]
    if not contest.huge:
        return command
    # In a mount namespace of its own: the mount goes with the last process in it.
    mounted = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'{MOUNT} "$0" && exec "$@"',
        str(scratch),
    ]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        raise Skipped("a tmpfs with huge pages cannot be mounted here")
    return [*mounted, *command]


@contextlib.contextmanager
def scratch_in(base: Path) -> Iterator[Path]:
    """An empty directory that goes in any case; those of runs that were killed go now.
    A lock says which are in use.
    """
    for left in base.glob(PREFIX + "*"):
        with contextlib.suppress(OSError), locked(left):
            shutil.rmtree(left)
    place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
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


def run(contest: Contest, build: Path, base: Path, seconds: float) -> list[Figure]:
    """The figures that one contest prints. Raises Skipped, or SubprocessError."""
    if seconds <= 0:
        raise Skipped(f"the run has had its {ALL_S} s")
    free = min(available_bytes(), shutil.disk_usage(base).free)
    if free < contest.room * 5 // 4:
        raise Skipped(f"needs {contest.room / GB:.1f} GB, {free / GB:.1f} GB are free")
    with scratch_in(base) as scratch:
        command = command_of(contest, build, scratch)
        wait, env = min(seconds, TIMEOUT_S), clean_environment()
        if contest.prepare:
            first = [*program_of(contest.prepare, build), str(scratch)]
            subprocess.run(first, check=True, timeout=wait, env=env)
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=wait,
            env=env,
        )
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    for figure in figures:
        figure["figure"] += "/huge" if contest.huge else ""
        finish(figure)
    return figures


def clean_environment() -> dict[str, str]:
    """Defaults are measured, not what happens to be set."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FRAMECACHE_")
    }


def finish(figure: Figure) -> None:
    """Adds ratio, target and outcome."""
    target = targets.find(figure["figure"])
    figure["text"] = target.text
    figure["target"] = target.wording()
    ours, theirs = figure["framecache"], figure["baseline"]
    figure["ratio"] = ours / theirs if theirs else None
    figure["met"] = target.met(ours / theirs) if theirs else None


def number(value: float, unit: str) -> str:
    if unit == "ns":
        return f"{value:,.0f} ns" if value < 100_000 else f"{value / 1e6:,.2f} ms"
    if unit == "bytes":
        return f"{value / 1e6:,.2f} MB"
    return f"{value:,.2f} {unit}"


def outcome(figure: Figure) -> str:
    met = figure["met"]
    return "" if met is None else "ratio target met" if met else "ratio target NOT met"


def print_table(figures: list[Figure]) -> None:
    layout = "{:<50} {:>12} {:>12} {:>7}  {:<14} {}"
    print("\n" + layout.format("", "framecache", "baseline", "ratio", "target", ""))
    for f in figures:
        ratio = "" if f["ratio"] is None else f"{f['ratio']:.3f}"
        baseline = number(f["baseline"], f["unit"]) if f["baseline"] else ""
        print(
            layout.format(
                f["text"],
                number(f["framecache"], f["unit"]),
                baseline,
                ratio,
                f["target"],
                outcome(f),
            )
        )


def machine() -> dict[str, Any]:
    return {
        "kernel": platform.release().split("-")[0],
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument(
        "--rows", type=float, default=0, help="only a column of N doubles"
    )
    parser.add_argument("--only", default="", help="contests whose name has this in it")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm"))
    parser.add_argument(
        "--out", type=Path, default=HERE.parent / "build/bench/results.json"
    )
    return parser.parse_args()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is tidied up
    end = time.monotonic() + ALL_S
    wanted = arguments()
    contests = [rows_contest(int(wanted.rows))] if wanted.rows else CONTESTS
    contests = [c for c in contests if wanted.only in c.name]
    if not contests:
        raise SystemExit(f"no contest has '{wanted.only}' in its name")
    figures: list[Figure] = []
    skipped: dict[str, str] = {}
    failed = 0
    for contest in contests:
        started = time.monotonic()
        print(f"{contest.name} ...", end=" ", flush=True)
        try:
            left = end - time.monotonic()
            figures += run(contest, wanted.build.resolve(), wanted.dir, left)
            print(f"{time.monotonic() - started:.1f} s")
        except Skipped as reason:
            skipped[contest.name] = str(reason)
            print(f"left out: {reason}")
        except subprocess.SubprocessError as error:
            failed += 1
            skipped[contest.name] = str(error)
            print(f"FAILED: {error}")
    print_table(figures)
    name = f"rows_{int(wanted.rows)}.json" if wanted.rows else wanted.out.name
    out = wanted.out.with_name(name)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(
            {"machine": machine(), "figures": figures, "left_out": skipped}, indent=2
        )
        + "\n"
    )
    print(f"\nwritten to {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
