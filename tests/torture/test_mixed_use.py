"""The short form of mixed_use.py; `make torture` has the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("mixed_use.py")


@pytest.mark.timeout(600)
def test_mixed_use_leaves_nothing_behind() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "6"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "threads", "asyncio", "gevent", "fork", "spawn", "forkserver",
    ]  # fmt: skip
