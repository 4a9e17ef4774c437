"""The two caches, behind the same three calls: frames shared in memory, and the file
cache with pickle that people use today.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd


class Store(Protocol):
    def put(self, key: str, table: pd.DataFrame) -> None: ...
    def get(self, key: str) -> pd.DataFrame: ...
    def close(self) -> None: ...


class SharedFrames:
    """framecache: what get() returns lies on the frame's own pages."""

    def __init__(self, directory: str, budget: int) -> None:
        import framecache

        # The pool: a table that is replaced leaves its pages to the next one.
        self.cache = framecache.Cache(directory, budget=budget, pool="40%")

    def put(self, key: str, table: pd.DataFrame) -> None:
        self.cache.put(key, table).release()

    def get(self, key: str) -> pd.DataFrame:
        with self.cache[key] as frame:  # what is made of it keeps the lease
            return frame.to_pandas()

    def close(self) -> None:
        self.cache.close()


class PickledFiles:
    """cachelib's FileSystemCache: every get reads and unpickles a copy."""

    def __init__(self, directory: str) -> None:
        from cachelib import FileSystemCache

        self.cache: Any = FileSystemCache(directory, threshold=0, default_timeout=0)

    def put(self, key: str, table: pd.DataFrame) -> None:
        if not self.cache.set(key, table):
            raise OSError(f"FileSystemCache could not store {key}")

    def get(self, key: str) -> pd.DataFrame:
        table: pd.DataFrame | None = self.cache.get(key)
        if table is None:
            raise KeyError(key)
        return table

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class StoreAt:
    """Which store, and where: what a process needs to open it."""

    kind: str  # "framecache" or "files"
    directory: Path
    budget: int = 0  # bytes, of framecache

    def open(self) -> Store:
        if self.kind == "framecache":
            return SharedFrames(str(self.directory), self.budget)
        return PickledFiles(str(self.directory))
