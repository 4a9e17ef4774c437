"""For pytest: ``pytest_plugins = ["framecache.testing"]``."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import framecache

__all__ = ["Clock", "disabled", "fake_clock", "framecache_cache", "leases"]

# A fixture: a private cache; fails on a leak.
def framecache_cache() -> Iterator[framecache.Cache]: ...
def leases(cache: framecache.Cache) -> list[str]: ...  # keys that are held, sorted

class Clock:
    now: float
    def __init__(self, cache: framecache.Cache, now: float) -> None: ...
    def advance(self, seconds: float) -> None: ...

def fake_clock(cache: framecache.Cache) -> AbstractContextManager[Clock]: ...

# Each get misses, each put is dropped.
def disabled() -> AbstractContextManager[None]: ...
