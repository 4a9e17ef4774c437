"""Each test has a cache of its own; afterwards nobody holds a frame, and it is sound."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator

import framecache
import pytest
from framecache.testing import (
    framecache_cache,  # noqa: F401 - a fixture
    leases,
)

sys.path.insert(0, os.path.dirname(__file__))  # samples.py and the like, for the tests

from crowd import Tally, held


@pytest.fixture
def directory() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="framecache-test-", dir="/dev/shm")
    yield os.path.join(path, "cache")
    shutil.rmtree(path)


@pytest.fixture
def tally(directory: str) -> Tally:
    return Tally(f"{directory}.tally")


@pytest.fixture
def cache(directory: str) -> Iterator[framecache.Cache]:
    with framecache.Cache(directory, budget="512MiB", capacity=1024) as cache:
        yield cache
        if cache.closed:
            return
        if leases(cache):
            gc.collect()  # what a failed call's traceback held
        assert held(cache) == []
        assert [f for f in cache.verify(data=True) if f["level"] != "info"] == []
