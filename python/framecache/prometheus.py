"""What a cache does, for Prometheus.

>>> from prometheus_client import REGISTRY            # doctest: +SKIP
>>> REGISTRY.register(FrameCacheCollector(cache))     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "framecache.prometheus needs prometheus-client, which is not installed: "
        "pip install prometheus-client",
        name=error.name,
    ) from None

from . import _core
from ._cache import Cache

__all__ = ["FrameCacheCollector"]

_SCALES = {"_ns": 1e9, "_ms": 1e3}
_MISSES = "misses_"

_HELP = {
    "frames": "Frames that can be had by key.",
    "capacity_frames": "Frames at most.",
    "budget_bytes": "The budget.",
    "used_bytes": "All that is charged to the budget.",
    "hot_bytes": "Of frames that are not compressed.",
    "pool_bytes": "Kept for the next puts to recycle.",
    "zombie_frames": "Frames that were replaced or deleted, but are still held.",
    "zombie_bytes": "Of frames that were replaced or deleted, but are still held.",
    "writing_bytes": "Of puts that are going on.",
    "control_bytes": "Of the index and the counters.",
    "sequence": "Number of the newest frame.",
    "hits": "Gets that found a frame.",
    "misses": "Gets that found none, by reason.",
    "puts": "Frames that were put.",
    "put_bytes": "Of frames that were put.",
    "put_ns": "Time that puts took.",
    "replaced": "Frames replaced by another under their key.",
    "deleted": "Frames deleted.",
    "expired": "Frames removed after their time to live.",
    "fresh_bytes": "Written to new pages.",
    "recycled_bytes": "Written to recycled pages.",
    "evicted": "Frames dropped to make room.",
    "evicted_bytes": "Of frames dropped to make room.",
    "evicted_cost_ms": "Time to compute again what was dropped.",
    "refused_budget": "Puts refused: no room within the budget.",
    "refused_nospace": "Puts refused: the file system or the memory cgroup was full.",
    "pressure_epochs": "Times that all processes were asked to let idle frames go.",
    "reclaim_waits": "Puts that waited for memory to come free.",
    "reclaim_wait_ns": "Time that puts waited for memory to come free.",
    "sweeps": "Rounds of housekeeping.",
    "repaired": "Leftovers of killed processes that were put right.",
    "corrupt": "Damaged frames that were found and dropped.",
    "stale_hits": "Gets that were served a frame past its expiry.",
    "computed": "Results computed under single flight.",
    "computed_twice": "Results computed beside another caller that took too long.",
    "flight_waits": "Callers that waited for another's compute.",
    "flight_wait_ns": "Time that callers waited for another's compute.",
    "flights_inherited": "Computes taken over from a caller that ended or failed.",
    "linked_columns": "Columns that were shared instead of copied.",
    "linked_bytes": "Of columns that were shared instead of copied.",
    "shared_bytes": "Of columns that several frames share.",
    "cold_bytes": "Of compressed frames.",
    "cold_raw_bytes": "Of compressed frames, before they were compressed.",
    "spill_bytes": "Of compressed frames in the spill directory.",
    "cold_hits": "Gets of a compressed frame.",
    "demoted": "Frames compressed instead of dropped.",
    "promoted": "Frames decompressed for a get.",
    "spill_errors": "Compressed frames that the spill directory did not take.",
    "mapped_frames": "Frames that this process has mapped.",
    "mapped_bytes": "Of frames that this process has mapped.",
    "idle_frames": "Frames that are mapped, and held by nobody in this process.",
    "idle_bytes": "Of frames that are mapped, and held by nobody in this process.",
    "private_bytes": "Pages that this process's copy-on-write frames have of their own.",
    "descriptors": "Open descriptors of this process.",
}


class FrameCacheCollector(Collector):
    """`Cache.stats` as metrics: each counter and gauge, in bytes and seconds.

    They are of the cache, so of all processes that use it, and any one of them may serve
    them: do not add up what several serve. Only ``framecache_process_*`` is of the
    process that serves. Under gunicorn use a registry of its own with this collector, not
    prometheus_client's multiprocess mode, which leaves collectors out.

    Parameters
    ----------
    cache : Cache, optional
        By default ``Cache()``, as the environment says. Its directory is the label `dir`.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = Cache() if cache is None else cache  # an empty one is false

    def collect(self) -> Iterable[Metric]:
        """The metrics of now; none once the cache is closed.

        Returns
        -------
        iterable of prometheus_client.Metric
        """
        if self._cache.closed:
            return
        stats = self._cache.stats()
        yield self._misses(stats)
        for name, kind in _core.stat_kinds.items():
            if not name.startswith(_MISSES):
                yield self._metric(name, kind, stats[name])

    def _misses(self, stats: dict[str, Any]) -> Metric:
        metric = CounterMetricFamily(
            "framecache_misses", _HELP["misses"], labels=["dir", "reason"]
        )
        for name, value in stats.items():
            if name.startswith(_MISSES):
                metric.add_metric([self._cache.dir, name.removeprefix(_MISSES)], value)
        return metric

    def _metric(self, name: str, kind: str, value: int) -> Metric:
        text = _HELP.get(name, name.replace("_", " ").capitalize() + ".")
        title, amount = name, float(value)
        for unit, scale in _SCALES.items():
            if name.endswith(unit):
                title, amount = f"{name.removesuffix(unit)}_seconds", value / scale
        family = CounterMetricFamily if kind == "C" else GaugeMetricFamily
        prefix = "framecache_process_" if kind == "P" else "framecache_"
        metric: Metric = family(prefix + title, text, labels=["dir"])
        metric.add_metric([self._cache.dir], amount)
        return metric
