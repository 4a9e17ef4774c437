from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

import framecache

__all__ = ["FrameCacheCollector"]

class FrameCacheCollector(Collector):
    def __init__(self, cache: framecache.Cache | None = None) -> None: ...
    def collect(self) -> Iterable[Metric]: ...
