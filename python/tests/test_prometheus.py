"""framecache.prometheus, read back by prometheus_client's own parser."""

import framecache
import pyarrow as pa
import pytest
from framecache import _core
from framecache.prometheus import _HELP, FrameCacheCollector
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
from prometheus_client.parser import text_string_to_metric_families as parse

TABLE = pa.table({"x": list(range(1000))})


@pytest.fixture
def registry(cache: framecache.Cache) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(FrameCacheCollector(cache))
    return registry


def families(registry: CollectorRegistry) -> dict[str, Metric]:
    text = generate_latest(registry).decode()
    return {family.name: family for family in parse(text)}


def test_every_counter_and_gauge_is_there_with_its_type_and_help(
    registry: CollectorRegistry,
) -> None:
    found = families(registry)
    assert len(found) == 1 + sum(
        not name.startswith("misses_") for name in _core.stat_kinds
    )
    for family in found.values():
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge")
    assert found["framecache_puts"].type == "counter"
    assert found["framecache_used_bytes"].type == "gauge"
    assert found["framecache_process_mapped_bytes"].type == "gauge"


def test_help_names_no_counter_that_is_not_there() -> None:
    assert set(_HELP) - {"misses"} <= set(_core.stat_kinds)


def test_openmetrics_takes_it_too(registry: CollectorRegistry) -> None:
    text = exposition.generate_latest(registry).decode()
    assert {family.name for family in strict(text)} == set(families(registry))


def test_values_are_those_of_stats_in_bytes_and_seconds(
    cache: framecache.Cache, registry: CollectorRegistry
) -> None:
    cache.put("k", TABLE).release()
    cache["k"].release()
    for _ in range(3):
        cache.get("nothing")
    stats = cache.stats()
    where = {"dir": cache.dir}
    value = registry.get_sample_value
    assert value("framecache_puts_total", where) == 1
    assert value("framecache_hits_total", where) == stats["hits"]
    assert value("framecache_used_bytes", where) == cache.stats()["used_bytes"]
    assert value("framecache_put_seconds_total", where) == stats["put_ns"] / 1e9 > 0
    assert value("framecache_misses_total", where | {"reason": "never"}) == 3
    assert value("framecache_misses_total", where | {"reason": "evicted"}) == 0
    assert not any(name.endswith(("_ns", "_ms")) for name in families(registry))


def test_two_caches_fit_into_one_registry_and_a_closed_one_is_silent(
    cache: framecache.Cache, directory: str
) -> None:
    registry = CollectorRegistry()
    with framecache.Cache(directory + "-2", budget="64MiB", capacity=64) as other:
        collectors = [FrameCacheCollector(cache), FrameCacheCollector(other)]
        found = [metric for each in collectors for metric in each.collect()]
        assert {s.labels["dir"] for m in found for s in m.samples} == {
            cache.dir, other.dir
        }  # fmt: skip
        registry.register(collectors[0])
    assert list(collectors[1].collect()) == []
