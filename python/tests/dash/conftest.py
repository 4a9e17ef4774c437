"""For tests of Dash: a cache of their own as the default, and no app left behind."""

import gc
import os
import sys
from collections.abc import Iterator

import dash._callback
import framecache.dash
import pytest
from crowd import held

sys.path.insert(0, os.path.dirname(__file__))  # dash_tab.py, for the tests


@pytest.fixture(autouse=True)
def of_its_own(directory: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FRAMECACHE_DIR", directory)
    monkeypatch.setenv("FRAMECACHE_BUDGET", "256MiB")
    monkeypatch.setenv("FRAMECACHE_CAPACITY", "1024")
    monkeypatch.delenv("FRAMECACHE_SECRET", raising=False)
    yield
    dash._callback.GLOBAL_CALLBACK_MAP.clear()
    dash._callback.GLOBAL_CALLBACK_LIST.clear()
    dash._get_app.APP = None
    framecache.dash._store._stores.clear()
    framecache.dash._store._by_label.clear()


@pytest.fixture
def cache(directory: str) -> Iterator[framecache.Cache]:
    """The cache of the test's app; afterwards nobody holds a frame, and it is sound."""
    with framecache.Cache(directory) as cache:
        yield cache
        gc.collect()
        assert held(cache) == []
        assert [f for f in cache.verify(data=True) if f["level"] != "info"] == []
