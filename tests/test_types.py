"""The types that the package promises: mypy finds no error in it, and stubtest none
between the stubs and what is there when the program runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def checked(module: str, *arguments: str) -> None:
    """Run a module of mypy's in the repository; what it prints is why the test fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


pytestmark = pytest.mark.skipif(
    "LD_PRELOAD" in os.environ, reason="nothing here runs what a sanitizer watches"
)


def test_the_package_is_strictly_typed(tmp_path: Path) -> None:
    checked("mypy", "--cache-dir", str(tmp_path))


def test_stubs_agree_with_what_runs() -> None:
    checked(
        "mypy.stubtest",
        "framecache",
        "--concise",
        "--mypy-config-file=pyproject.toml",
        "--allowlist=tests/stubtest-allowlist.txt",
    )
