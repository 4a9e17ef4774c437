"""The cache as a mapping of keys to frames, its errors, settings and housekeeping."""

import gc
import os
import pickle
import shutil
import stat
import threading
import time

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

ONE = pa.table({"x": [1]})


def table(number: int) -> pa.Table:
    return pa.table({"x": [number]})


def value(frame: framecache.Frame) -> int:
    with frame:
        return int(frame["x"].to_numpy()[0])


def test_mapping(cache: framecache.Cache) -> None:
    assert len(cache) == 0 and list(cache) == [] and "a" not in cache
    cache["a"] = table(1)
    cache["b"] = table(2)
    assert len(cache) == 2 and set(cache) == {"a", "b"} and "a" in cache
    assert value(cache["a"]) == 1 and value(cache["b"]) == 2
    cache["a"] = table(3)
    assert len(cache) == 2 and value(cache["a"]) == 3
    del cache["a"]
    assert "a" not in cache and len(cache) == 1
    assert cache.get("a") is None and cache.get("a", 5) == 5
    assert cache.get("a", default="d") == "d"
    assert cache.clear() == 1 and len(cache) == 0


@pytest.mark.parametrize(
    ("key", "text"),
    [("k", "k"), ("é", "é"), (b"k", "k"), (b"\xff\0x", "\udcff\0x"), ("\udcff\0x",) * 2,
     ("x" * 1024,) * 2, ("é" * 512,) * 2, (" ", " "), ("a/../b\n", "a/../b\n")],
)  # fmt: skip
def test_keys_come_back_as_text(
    cache: framecache.Cache, key: str | bytes, text: str
) -> None:
    with cache.put(key, ONE) as frame:
        assert frame.key == text
    assert list(cache.keys()) == [text]
    assert key in cache and text in cache
    assert value(cache[text]) == 1
    assert cache.delete(text) is True


@pytest.mark.parametrize("key", ["", b"", "x" * 1025, "é" * 513])
def test_key_of_a_wrong_length(cache: framecache.Cache, key: str | bytes) -> None:
    for call in (cache.__getitem__, cache.get, cache.delete, cache.touch, cache.info):
        with pytest.raises(framecache.InvalidError, match="key"):
            call(key)
    with pytest.raises(ValueError, match="key"):
        cache.put(key, ONE)


@pytest.mark.parametrize("key", [1, None, 1.5, ("a",), bytearray(b"a")])
def test_key_of_a_wrong_type(cache: framecache.Cache, key: object) -> None:
    for call in (cache.__getitem__, cache.get, cache.__contains__, cache.delete):
        with pytest.raises(TypeError, match="str or bytes"):
            call(key)
    with pytest.raises(TypeError, match="str or bytes"):
        cache.put(key, ONE)


@pytest.mark.parametrize("thing", [1, "text", [1], {"a": [1]}, None, np.zeros(3)])
def test_what_is_no_table(cache: framecache.Cache, thing: object) -> None:
    with pytest.raises(TypeError, match="no table"):
        cache.put("k", thing)


def test_miss_says_why(cache: framecache.Cache) -> None:
    with pytest.raises(framecache.NeverExisted) as never:
        cache["k"]
    assert (never.value.key, never.value.reason) == ("k", "never")
    assert isinstance(never.value, KeyError) and "k" in str(never.value)
    cache["k"] = ONE
    del cache["k"]
    with pytest.raises(framecache.Deleted) as deleted:
        cache["k"]
    assert deleted.value.reason == "deleted"
    assert deleted.value.age is not None and deleted.value.age < 60
    with pytest.raises(framecache.MissError):
        del cache["k"]
    assert cache.delete("k") is False and cache.touch("k") is False
    with pytest.raises(framecache.MissError):
        cache.info("k")


def test_time_to_live(cache: framecache.Cache) -> None:
    cache.put("k", ONE, ttl="10m").release()
    expires = cache.info("k")["expires"]
    assert expires is not None and 590 < expires - time.time() <= 600
    assert cache.touch("k", "never") is True
    assert cache.info("k")["expires"] is None
    cache.put("soon", ONE, ttl=0.001).release()
    time.sleep(0.05)
    with pytest.raises(framecache.Expired) as caught:
        cache["soon"]
    assert caught.value.reason == "expired"
    for wrong in (0, -1, "soon"):
        with pytest.raises(ValueError, match="ttl"):
            cache.put("k", ONE, ttl=wrong)


def test_expect_replaces_that_frame_only(cache: framecache.Cache) -> None:
    first = cache.put("k", table(1))
    second = cache.put("k", table(2), expect=first)
    with pytest.raises(framecache.ConflictError):
        cache.put("k", table(3), expect=first)
    assert value(cache["k"]) == 2
    assert second.sequence > first.sequence
    first.release()
    second.release()


def test_add_is_for_keys_that_are_absent(cache: framecache.Cache) -> None:
    assert cache.add("k", table(1)) is True
    assert cache.add("k", table(2)) is False
    assert value(cache["k"]) == 1


def test_prefixes(cache: framecache.Cache) -> None:
    for key in ("a:1", "a:2", "b:1", "a"):
        cache[key] = ONE
    assert set(cache.keys("a:")) == {"a:1", "a:2"}
    assert {info["key"] for info in cache.infos(b"b")} == {"b:1"}
    assert cache.delete_prefix("a:") == 2
    assert set(cache) == {"a", "b:1"}


def test_info(cache: framecache.Cache) -> None:
    before = time.time() - 1
    with cache.put("k", pa.table({"x": [1, 2], "y": ["a", "b"]}), cost=2.5) as frame:
        info = frame.info
        assert info["leased"] is True
        assert [i["leased"] for i in cache.infos()] == [True]
    assert info["key"] == "k" and info["rows"] == 2 and info["columns"] == 2
    assert info["cost"] == 2.5 and info["expires"] is None and info["bytes"] > 0
    assert before < info["created"] < time.time() + 1
    looked = cache.info("k")
    assert looked["leased"] is None and looked["sequence"] == info["sequence"]
    assert [i["leased"] for i in cache.infos()] == [False]


def test_a_walk_is_a_snapshot(cache: framecache.Cache) -> None:
    for number in range(10):
        cache[f"k{number}"] = ONE
    keys = cache.keys()
    seen = {next(keys)}
    cache["later"] = ONE
    seen |= set(keys)
    assert seen == {f"k{number}" for number in range(10)}


def test_reader_keeps_what_is_replaced_and_deleted(cache: framecache.Cache) -> None:
    cache["k"] = table(1)
    old = cache["k"]
    cache["k"] = table(2)
    assert value(cache["k"]) == 2 and old["x"].to_numpy()[0] == 1
    del cache["k"]
    cache.collect()
    assert old["x"].to_numpy()[0] == 1
    assert cache.stats()["zombie_frames"] == 1
    old.release()
    cache.collect()
    assert cache.stats()["zombie_frames"] == 0


def test_next_frame(cache: framecache.Cache) -> None:
    first = cache.put("k", table(1))
    assert value(cache.next_frame("k")) == 1
    with pytest.raises(framecache.WaitTimeout, match="'k'"):
        cache.next_frame("k", after=first, timeout=0.05)
    with pytest.raises(TimeoutError):
        cache.next_frame("nothing", timeout=0)
    thread = threading.Timer(0.1, cache.__setitem__, ("k", table(2)))
    thread.start()
    assert value(cache.next_frame("k", after=first, timeout=30)) == 2
    thread.join()
    first.release()
    del thread


def test_stats_count(directory: str) -> None:
    # Without helper threads, for one of them may be carrying the counts over just now.
    options = {"budget": "512MiB", "helper_threads": False}
    with framecache.Cache(directory, **options) as cache:
        cache["k"] = ONE
        cache["k"].release()
        cache.get("nothing")
        stats = cache.stats()
        assert stats["frames"] == 1 and stats["puts"] == 1
        assert stats["hits"] >= 1 and stats["misses_never"] == 1
        assert stats["budget_rule"] == "setting"
        assert stats["budget_bytes"] == 512 << 20 == cache.budget
        assert 0 < stats["used_bytes"] < stats["budget_bytes"]


def test_settings_say_their_value_and_origin(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMECACHE_WATERMARKS", "90:80")
    monkeypatch.delenv("FRAMECACHE_TTL", raising=False)
    spill = f"{directory}-{'s' * 80}"  # longer than other texts may be
    with framecache.Cache(
        directory, budget="64MiB", threads=3, cold=True, spill_dir=spill
    ) as cache:
        settings = cache.settings()
        assert settings["dir"] == (directory, "argument")
        assert settings["budget"] == ("64MiB", "argument")
        assert settings["watermarks"] == ("90:80", "FRAMECACHE_WATERMARKS")
        assert settings["ttl"] == ("never", "default")
        assert settings["threads"] == ("3", "argument")
        assert settings["cold"] == ("on", "argument")
        assert settings["spill_dir"] == (spill, "argument")
        told = {finding["subject"] for finding in framecache.doctor(directory)}
        assert set(settings) <= told
    with pytest.raises(framecache.ClosedError):
        cache.settings()


def test_budget_holds(cache: framecache.Cache) -> None:
    cache.budget = "8MiB"
    assert cache.budget == 8 << 20
    noise = np.random.default_rng(0).integers(0, 1 << 62, 1 << 17)
    megabyte = pa.table({"x": noise})  # nothing that compressing would help
    for number in range(20):
        cache[f"k{number}"] = megabyte
    stats = cache.stats()
    assert stats["used_bytes"] <= 8 << 20 and 0 < stats["frames"] < 8
    assert stats["evicted"] >= 12
    with pytest.raises(framecache.Evicted) as gone:
        cache["k0"]
    assert gone.value.reason == "evicted"


def test_frame_larger_than_the_budget_touches_nothing(cache: framecache.Cache) -> None:
    cache["k"] = ONE
    cache.budget = 4 << 20
    with pytest.raises(framecache.BudgetError) as caught:
        cache.put("big", pa.table({"x": np.zeros(1 << 20)}))
    error = caught.value
    assert isinstance(error, MemoryError) and error.code == "FC_E_BUDGET"
    assert error.asked_bytes > 8 << 20 and error.budget_bytes == 4 << 20
    assert list(cache) == ["k"]


def test_leased_frames_are_never_evicted(cache: framecache.Cache) -> None:
    cache.budget = 4 << 20
    megabyte = pa.table({"x": np.ones(1 << 17)})
    held = [cache.put(f"k{number}", megabyte) for number in range(2)]
    with pytest.raises(framecache.BudgetError) as caught:
        while True:
            held.append(cache.put(f"k{len(held)}", megabyte))
    assert caught.value.leased_bytes >= len(held) << 20
    assert all(frame["x"].to_numpy().sum() == 1 << 17 for frame in held)
    for frame in held:
        frame.release()


@pytest.mark.parametrize("budget", ["lots", "8XiB", "-1", "101%"])
def test_setting_that_does_not_parse_is_quoted(directory: str, budget: str) -> None:
    with pytest.raises(framecache.InvalidError, match=budget):
        framecache.Cache(directory, budget=budget)


def test_environment_is_read_and_arguments_win(
    directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMECACHE_DIR", directory)
    monkeypatch.setenv("FRAMECACHE_BUDGET", "64MiB")
    monkeypatch.setenv("FRAMECACHE_TTL", "1h")
    with framecache.Cache() as cache:
        assert cache.dir == directory and cache.budget == 64 << 20
        cache["k"] = ONE
        assert 3500 < cache.info("k")["expires"] - time.time() <= 3600
    with framecache.Cache(directory + "2", budget="32MiB", ttl="never") as cache:
        assert cache.budget == 32 << 20
        cache["k"] = ONE
        assert cache.info("k")["expires"] is None
    monkeypatch.setenv("FRAMECACHE_BUDGET", "a lot")
    with pytest.raises(framecache.InvalidError, match=r"FRAMECACHE_BUDGET.*a lot"):
        framecache.Cache(directory + "3")


def test_mode_and_create(directory: str) -> None:
    with pytest.raises(framecache.MissError):
        framecache.Cache(directory, create=False)
    assert not os.path.exists(directory)
    with framecache.Cache(directory, mode=0o750):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o750


def test_read_only_reads_and_refuses_to_write(directory: str) -> None:
    with framecache.Cache(directory) as cache:
        cache["k"] = ONE
        with framecache.Cache(directory, read_only=True) as reader:
            assert value(reader["k"]) == 1 and list(reader) == ["k"]
            with pytest.raises(PermissionError) as caught:
                reader["k"] = table(2)
            assert isinstance(caught.value, framecache.AccessError)
            assert caught.value.code == "FC_E_PERMISSION"
            with pytest.raises(framecache.AccessError):
                del reader["k"]


def test_after_close_every_call_says_so(directory: str) -> None:
    cache = framecache.Cache(directory)
    cache["k"] = ONE
    frame = cache["k"]
    walk = cache.keys()
    cache.close()
    cache.close()
    assert cache.closed and "closed" in repr(cache)
    calls = (
        lambda: cache["k"], lambda: cache.get("k"), lambda: "k" in cache,
        lambda: len(cache), lambda: list(cache), lambda: cache.put("k", ONE),
        lambda: cache.delete("k"), lambda: cache.clear(), lambda: cache.stats(),
        lambda: cache.verify(), lambda: cache.tick(), lambda: cache.collect(),
        lambda: cache.info("k"), lambda: cache.touch("k"), lambda: next(walk),
        lambda: cache.build("k", {"x": "g"}, 1), lambda: cache.budget,
        lambda: cache.delete_prefix("k"), lambda: cache.next_frame("k"),
        lambda: cache.put("k", pd.DataFrame({"x": [1]})), lambda: cache.add("k", ONE),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(framecache.ClosedError, match="closed"):
            call()
    assert isinstance(framecache.ClosedError(), ValueError)
    assert value(frame) == 1


def test_exports_outlive_cache_and_frame(directory: str) -> None:
    cache = framecache.Cache(directory)
    frame = cache.put("k", pd.DataFrame({"x": np.arange(300_000), "s": ["a"] * 300_000}))
    numbers = frame["x"].to_numpy()
    whole = frame.to_pandas()
    arrow = pa.table(frame)
    stream = frame.__arrow_c_stream__()
    frame.release()
    cache.close()
    del cache, frame
    gc.collect()
    assert numbers.sum() == arrow["x"].to_numpy().sum() == whole["x"].sum()
    assert whole["s"][299_999] == "a"
    reader = pa.RecordBatchReader._import_from_c_capsule(stream)
    assert reader.read_all().num_rows == 300_000


def test_released_frame_says_so(cache: framecache.Cache) -> None:
    frame = cache.put("k", ONE)
    column = frame["x"]
    frame.release()
    frame.release()
    assert "released" in repr(frame)
    for call in (
        lambda: frame.rows, lambda: frame.key, lambda: frame.to_pandas(),
        lambda: len(frame),
        lambda: pa.table(frame), lambda: frame.slice(0), lambda: frame.info,
        lambda: frame.__arrow_c_array__(), lambda: frame.__arrow_c_schema__(),
    ):  # fmt: skip
        with pytest.raises(framecache.ClosedError, match="released"):
            call()
    assert column.to_numpy()[0] == 1
    del column


def test_cache_pickles_as_its_settings(cache: framecache.Cache) -> None:
    cache["k"] = ONE
    with pickle.loads(pickle.dumps(cache)) as other:
        assert other.dir == cache.dir and value(other["k"]) == 1
        assert other.budget == cache.budget


def test_frame_does_not_pickle(cache: framecache.Cache) -> None:
    with cache.put("k", ONE) as frame, pytest.raises(TypeError, match="send its key"):
        pickle.dumps(frame)


def test_directory_removed_under_a_running_process(directory: str) -> None:
    with framecache.Cache(directory) as cache:
        frame = cache.put("k", ONE)
        shutil.rmtree(directory)
        with pytest.raises(framecache.ClosedError):
            cache.put("k", ONE)
        assert value(frame) == 1
        with framecache.Cache(directory) as again:
            assert len(again) == 0
            again["k"] = table(2)
            assert value(again["k"]) == 2


def test_path_objects_and_files_in_the_way(directory: str) -> None:
    import pathlib

    with framecache.Cache(pathlib.Path(directory)) as cache:
        assert cache.dir == directory
    os.makedirs(directory + "-other")
    path = os.path.join(directory + "-other", "file")
    with open(path, "w") as file:
        file.write("in the way")
    with pytest.raises(framecache.Error):
        framecache.Cache(path)


def test_housekeeping_without_threads(directory: str) -> None:
    with framecache.Cache(directory, helper_threads=False) as cache:
        before = threading.active_count()
        cache["k"] = ONE
        del cache["k"]
        assert cache.tick() > 0
        cache.collect()
        assert cache.stats()["pool_bytes"] == 0
        assert threading.active_count() == before
        assert cache.verify() == [] or all(f["level"] == "info" for f in cache.verify())


def test_verify_lists_damage(cache: framecache.Cache) -> None:
    cache["k"] = pa.table({"x": np.arange(300_000)})
    files = os.path.join(cache.dir, "frames")
    stray = os.path.join(files, "0003ff")
    with open(stray, "wb") as file:
        file.write(b"x" * 4096)
    found = [f for f in cache.verify() if f["level"] == "error"]
    assert found and all(set(f) == {"level", "subject", "text", "remedy"} for f in found)
    os.unlink(stray)


def test_doctor(directory: str) -> None:
    findings = framecache.doctor(directory)
    subjects = {finding["subject"] for finding in findings}
    assert {"budget", "capacity", "ttl"} <= subjects
    assert all(f["level"] in ("error", "warning", "info") for f in findings)
    assert not os.path.exists(directory)


def test_many_threads(cache: framecache.Cache) -> None:
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        try:
            for _ in range(150):
                key = f"k{rng.integers(6)}"
                choice = rng.integers(4)
                if choice == 0:
                    number = int(rng.integers(1000))
                    frame = pd.DataFrame({"x": np.full(2000, number)})
                    cache.put(key, frame).release()
                elif choice == 1:
                    cache.delete(key)
                elif (frame := cache.get(key)) is not None:
                    values = frame["x"].to_numpy()
                    frame.release()
                    assert (values == values[0]).all() and len(values) == 2000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_close_waits_for_calls_in_other_threads(directory: str) -> None:
    cache = framecache.Cache(directory, budget="1GiB")
    big = pa.table({"x": np.zeros(8_000_000)})
    outcomes: list[object] = []

    def work() -> None:
        try:
            while True:
                cache.put("k", big).release()
        except framecache.ClosedError:
            outcomes.append("closed")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    while "k" not in cache:
        time.sleep(0.005)
    cache.close()
    for thread in threads:
        thread.join()
    assert outcomes == ["closed"] * 3
