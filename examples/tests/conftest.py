"""Where the built programs are, and a cache directory that goes after the test."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))  # browser.py, for the tests
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def build() -> Path:
    """The build that is tested."""
    return Path(os.environ.get("FC_TEST_BUILD", ROOT / "build/release"))


@pytest.fixture
def cache_dir() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="framecache-test-", dir="/dev/shm"))
    yield directory / "cache"
    shutil.rmtree(directory)


@pytest.fixture
def environment(cache_dir: Path) -> dict[str, str]:
    """For a program: this cache, a budget that any machine has, nothing else set."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FRAMECACHE_")}
    return kept | {"FRAMECACHE_DIR": str(cache_dir), "FRAMECACHE_BUDGET": "512MiB"}
