"""framecache.testing: the fixture and its leak check, the clock, the off switch."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from crowd import ended, forked
from framecache.testing import disabled, fake_clock, leases

TABLE = pa.table({"x": [1, 2, 3]})


def run_pytest(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """A test of somebody else's, in a process of its own."""
    (folder / "conftest.py").write_text('pytest_plugins = ["framecache.testing"]\n')
    (folder / "test_it.py").write_text(
        "import framecache, numpy as np, pyarrow as pa\n"
        "from framecache.testing import *\n\n\n" + textwrap.dedent(body)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c",
               os.devnull, "--rootdir", folder, folder]  # fmt: skip
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment
    )


# ---- The fixture ----


def test_the_fixture_is_an_empty_cache_of_its_own(
    framecache_cache: framecache.Cache,
) -> None:
    assert len(framecache_cache) == 0
    assert framecache_cache.dir != framecache.Cache().dir
    framecache_cache["k"] = TABLE
    assert framecache_cache["k"].rows == 3


def test_a_test_that_keeps_a_lease_fails_and_its_key_is_named(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        import pytest

        kept = []

        @pytest.mark.parametrize("export", [
            lambda frame: frame,
            lambda frame: frame["x"].to_numpy(),
            lambda frame: frame.to_pandas(),
            lambda frame: pa.table(frame),
        ])
        def test_leak(framecache_cache, export):
            cache = framecache_cache
            cache["leaky key"] = pa.table({"x": np.arange(900.0)})
            cache["other"] = pa.table({"x": [1]})
            with fake_clock(cache):
                kept.append(export(cache["leaky key"]))
        """,
    )
    assert done.returncode == 1
    assert "4 passed, 4 errors" in done.stdout
    assert done.stdout.count("the frames of 'leaky key' are still held") >= 4


def test_a_replaced_frame_that_is_held_fails_the_test_too(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        kept = []

        def test_leak(framecache_cache):
            framecache_cache["k"] = pa.table({"x": [1]})
            kept.append(framecache_cache["k"])
            framecache_cache["k"] = pa.table({"x": [2]})
        """,
    )
    assert done.returncode == 1
    assert "1 frames that were replaced or deleted are still held" in done.stdout


def test_one_that_lets_go_passes_and_one_that_fails_fails_once(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        def test_cycle(framecache_cache):
            framecache_cache["k"] = pa.table({"x": [1]})
            loop = [framecache_cache["k"]]
            loop.append(loop)

        def test_own_failure(framecache_cache):
            framecache_cache["k"] = pa.table({"x": [1]})
            frame = framecache_cache["k"]
            assert frame.rows == 2
        """,
    )
    assert "1 failed, 1 passed in" in done.stdout


def test_leases_names_what_is_held(framecache_cache: framecache.Cache) -> None:
    for key in ("b", "a", "c"):
        framecache_cache[key] = TABLE
    b, a = framecache_cache["b"], framecache_cache["a"]["x"].to_numpy()
    assert leases(framecache_cache) == ["a", "b"]
    b.release()
    del a
    assert leases(framecache_cache) == []


# ---- The clock ----


def test_frames_expire_when_the_clock_says(framecache_cache: framecache.Cache) -> None:
    with fake_clock(framecache_cache) as clock:
        framecache_cache.put("k", TABLE, ttl="1h", stale="1h").release()
        clock.advance(3599)
        assert "k" in framecache_cache
        clock.advance(1)
        assert "k" not in framecache_cache
        with framecache_cache.get("k", stale=True) as stale:
            assert stale.is_stale
        clock.now += 7200
        with pytest.raises(framecache.Expired) as raised:
            framecache_cache["k"]
        assert raised.value.age == 7200


def test_a_memoized_function_computes_again_when_the_clock_says(
    framecache_cache: framecache.Cache,
) -> None:
    calls = []

    @framecache_cache.memoize(ttl=60)
    def table() -> pa.Table:
        calls.append(1)
        return TABLE

    with fake_clock(framecache_cache) as clock:
        table(), table()
        assert len(calls) == 1
        clock.advance(60)
        table()
    assert len(calls) == 2


def test_afterwards_time_is_real_again(framecache_cache: framecache.Cache) -> None:
    with fake_clock(framecache_cache) as clock:
        clock.advance(-1e6)
        framecache_cache.put("k", TABLE, ttl=10).release()
        assert "k" in framecache_cache
    assert "k" not in framecache_cache


def test_any_cache_takes_the_clock_and_keeps_its_frames(cache: framecache.Cache) -> None:
    cache["k"] = TABLE
    held = cache["k"]
    with fake_clock(cache) as clock:
        assert cache["k"].rows == held.rows == 3
        cache.put("short", TABLE, ttl=1).release()
        clock.advance(1)
        assert "short" not in cache
    assert held.to_arrow().equals(TABLE)
    del held


def test_frames_outlive_a_cache_with_a_clock(directory: str) -> None:
    cache = framecache.Cache(directory, budget="64MiB", capacity=64)
    with fake_clock(cache):
        cache["k"] = TABLE
        held = cache["k"]
        cache["k"] = TABLE
        cache.close()
    del cache
    held.release()  # reclaims, and asks for the time


def test_the_clock_cannot_change_in_the_midst_of_something(
    cache: framecache.Cache,
) -> None:
    cache["k"] = TABLE
    walk = cache.infos()
    next(walk)
    with pytest.raises(RuntimeError, match="clock cannot change"), fake_clock(cache):
        pass
    del walk
    assert "k" in cache
    with fake_clock(cache):
        assert "k" in cache


def test_a_forked_child_has_the_clock(framecache_cache: framecache.Cache) -> None:
    with fake_clock(framecache_cache) as clock:
        framecache_cache.put("k", TABLE, ttl=60).release()

        def child() -> None:
            assert "k" in framecache_cache
            clock.advance(60)
            assert "k" not in framecache_cache

        assert ended(forked(child)) == 0
        framecache_cache.put("k", TABLE, ttl=60).release()
        clock.advance(59)
        assert "k" in framecache_cache


# ---- The off switch ----


def test_while_disabled_each_get_misses(framecache_cache: framecache.Cache) -> None:
    cache = framecache_cache
    cache.put("k", TABLE, tags=["t"]).release()
    space = cache.namespace("n")
    space["k"] = TABLE
    with disabled():
        for store in (cache, space):
            assert store.get("k") is None
            assert store.get("k", 7) == 7
            assert "k" not in store
            assert list(store) == [] and len(store) == 0
            assert not store.delete("k") and not store.touch("k", 5)
            for ask in (store.__getitem__, store.info, store.__delitem__):
                with pytest.raises(framecache.NeverExisted, match="disabled"):
                    ask("k")
        assert cache.delete_tag("t") == cache.delete_prefix("") == cache.clear() == 0
    assert cache["k"].rows == space["k"].rows == 3


def test_while_disabled_each_put_is_dropped_and_its_frame_is_good(
    framecache_cache: framecache.Cache,
) -> None:
    cache = framecache_cache
    old = cache.put("k", TABLE)
    pandas = pd.DataFrame({"x": [4.0, 5.0]})
    with disabled():
        for value in (pandas, pa.table(pandas), pa.record_batch(pandas)):
            frame = cache.put("k", value, expect=old)
            assert frame.key == "k"
            assert frame["x"].to_numpy().tolist() == [4, 5]
            assert cache.add("k", value)
            assert "k" not in cache
        with cache.build("k", {"x": "int64"}, 2) as b:
            b["x"][:] = 1
        assert b.frame.rows == 2
        assert "k" not in cache
    assert frame["x"].to_numpy().tolist() == [4, 5]
    assert cache["k"].sequence == old.sequence
    del frame, old, b


def test_while_disabled_memoized_functions_compute_each_time(
    framecache_cache: framecache.Cache,
) -> None:
    calls = []

    @framecache_cache.memoize
    def table(n: int) -> pd.DataFrame:
        calls.append(n)
        return pd.DataFrame({"x": np.arange(n)})

    table(2)
    with disabled():
        with disabled():
            assert len(table(2)) == 2
        assert len(table(2)) == 2
    table(2)
    assert calls == [2, 2, 2]


def test_it_is_off_in_all_threads_and_on_again_for_good(
    framecache_cache: framecache.Cache,
) -> None:
    framecache_cache["k"] = TABLE
    before = dict(vars(framecache.Cache))
    seen = []
    with disabled():
        thread = threading.Thread(target=lambda: seen.append("k" in framecache_cache))
        thread.start()
        thread.join()
    assert seen == [False]
    assert dict(vars(framecache.Cache)) == before
    with pytest.raises(ZeroDivisionError), disabled():
        _ = 1 / 0
    assert "k" in framecache_cache
