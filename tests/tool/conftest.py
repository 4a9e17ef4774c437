"""The real command, on a cache that the Python package has filled."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import framecache
import pytest
from harness import TOOL, Tool, clean_environment, parse


@pytest.fixture
def cache_dir() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="fc-tool-", dir="/dev/shm"))
    yield parent / "cache"
    shutil.rmtree(parent)


@pytest.fixture
def tool(cache_dir: Path) -> Tool:
    """Runs the command with FRAMECACHE_DIR set to this test's cache."""

    def run(
        *words: str | bytes | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        settings = {"FRAMECACHE_DIR": str(cache_dir), "FRAMECACHE_BUDGET": "256MiB"}
        return subprocess.run(
            [TOOL, *words],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env=clean_environment(**settings | environment),
            timeout=60,
        )

    return run


@pytest.fixture
def ask(tool: Tool) -> Any:
    """Runs the command with --json and returns its parsed answer; it must succeed."""

    def run(*words: str | bytes) -> Any:
        done = tool(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return parse(done.stdout)

    return run


@pytest.fixture
def cache(cache_dir: Path) -> Iterator[framecache.Cache]:
    with framecache.Cache(cache_dir, budget="256MiB", capacity=1024) as opened:
        yield opened
