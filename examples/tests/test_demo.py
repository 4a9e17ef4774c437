"""The demo, with a small table: it holds what it promises, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

measured = pytest.mark.skipif(
    "LD_PRELOAD" in os.environ, reason="a sanitizer's memory would be measured"
)


def run(root: Path, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, root / "examples/demo/demo.py", "--out", out, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False
    )


def left_over() -> list[Path]:
    return list(Path("/dev/shm").glob("framecache-demo-*"))


@measured
def test_demo_holds_and_shows_both_caches(
    root: Path, build: Path, tmp_path: Path
) -> None:
    done = run(root, tmp_path, "--bytes", str(64 << 20), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    for text in (
        "put, first time",
        "private memory",
        "delay by carrier, enlarged",
        "16 answers equal those of plain pandas",
        "a worker was killed",
        "evicted",
    ):
        assert text in done.stdout
    page = (tmp_path / "index.html").read_text()
    assert page.count("<svg ") == 4
    assert "http" not in page  # nothing is fetched
    assert not left_over()


@measured
def test_demo_refuses_what_does_not_fit_and_says_what_does(
    root: Path, tmp_path: Path
) -> None:
    done = run(root, tmp_path, "--bytes", str(1 << 45))
    assert done.returncode == 1
    assert "--bytes" in done.stderr
    assert not left_over()
