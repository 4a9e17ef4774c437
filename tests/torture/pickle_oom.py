"""What pickle does where tests/proc/test_pressure.c lets framecache: four processes put
and read data frames of mixed size in a memory cgroup of 1 GiB, through cachelib's
FileSystemCache on the same tmpfs.

    python tests/torture/pickle_oom.py [SECONDS]

Prints the outcome, killed or not, and fails nothing: it is a comparison, not a test.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 1 << 30
PROCESSES = 4
KEYS = 600
MOST_ROWS = (48 << 20) // 16
ROOTS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max", "memory.peak"),
)


def make_group() -> tuple[Path, str] | None:
    """The cgroup's directory and the name of its peak; None where it may not be."""
    for root, limit, peak in ROOTS:
        group = root / f"framecache-pickle-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(LIMIT))
        except OSError:
            group.rmdir()
            continue
        return group, peak
    return None


def work(group: str, directory: str, seconds: float) -> None:
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))

    import numpy as np
    import pandas as pd
    from cachelib import FileSystemCache

    cache = FileSystemCache(directory, threshold=500, default_timeout=0)
    dice = random.Random(os.getpid())
    put = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        key = dice.randrange(KEYS)
        rows = max(MOST_ROWS >> (key % 12), 1)
        frame = cache.get(str(key))
        if frame is None:
            values = np.arange(key * 1000, key * 1000 + rows)
            frame = pd.DataFrame({"v": values, "w": -values})
            if cache.set(str(key), frame):
                put += rows * 16
        assert len(frame) == rows
    print(f"  one process put {put >> 20} MiB", flush=True)


def outcome(process: subprocess.Popen[bytes]) -> str:
    status = process.wait()
    if status == -signal.SIGKILL:
        return "killed"
    return "fine" if status == 0 else f"failed with {status}"


def remove_group(group: Path) -> None:
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.05)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    made = make_group()
    if made is None:
        print("skipped: no memory cgroup can be made here")
        return
    group, peak = made
    directory = f"/dev/shm/framecache-pickle-{os.getpid()}"
    try:
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, "--work", str(group), directory, str(seconds)]
            )
            for _ in range(PROCESSES)
        ]
        outcomes = [outcome(worker) for worker in workers]
        used = (group / peak).read_text().strip() if (group / peak).exists() else "0"
        print(
            f"FileSystemCache and pickle in {LIMIT >> 20} MiB: {', '.join(outcomes)}; "
            f"peak {int(used) >> 20} MiB"
        )
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        remove_group(group)


if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "--work":
        work(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        main()
