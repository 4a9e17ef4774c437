"""Frames filled in place."""

import gc
import threading

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal


@pytest.mark.parametrize("rows", [0, 1, 9, 300_000])
def test_what_is_filled_is_the_frame(cache: framecache.Cache, rows: int) -> None:
    rng = np.random.default_rng(1)
    schema = {"x": float, "n": "int32", "t": "datetime64[us]", "b": bool, "d": "m8[s]"}
    with cache.build("k", schema, rows) as b:
        assert b.rows == rows
        rng.random(out=b["x"])
        b["n"][:] = np.arange(rows)
        b["t"][:] = np.arange(rows).astype("M8[us]")
        b["b"][:] = np.arange(rows) % 3 == 0
        b["d"] = np.arange(rows).astype("m8[s]")
    expected = pd.DataFrame({
        "x": np.random.default_rng(1).random(rows),
        "n": np.arange(rows, dtype="i4"),
        "t": np.arange(rows).astype("M8[us]"),
        "b": np.arange(rows) % 3 == 0,
        "d": np.arange(rows).astype("m8[s]"),
    })  # fmt: skip
    assert_frame_equal(b.frame.to_pandas(), expected)
    assert_frame_equal(cache["k"].to_pandas(), expected)
    pa.table(b.frame).validate(full=True)
    b.frame.release()


def test_rows_given_back(cache: framecache.Cache) -> None:
    with cache.build("k", {"x": "float64"}, 1_000_000) as b:
        b["x"][:3] = [1, 2, 3]
        b.commit(3)
    with b.frame as frame:
        assert frame["x"].to_numpy().tolist() == [1, 2, 3]
        assert frame.nbytes < 100_000


def test_nulls(cache: framecache.Cache) -> None:
    rows = 21
    gone = np.arange(rows) % 4 == 1
    with cache.build("k", {"x": "float64", "y": "l"}, rows) as b:
        b["x"][:] = 1.5
        b["y"][:] = 7
        b.set_nulls("x", gone)
        b.set_nulls("y", gone[:10])
    with b.frame as frame:
        table = pa.table(frame)
        assert table["x"].to_pylist() == [None if n else 1.5 for n in gone]
        assert table["y"].to_pylist() == [None if n else 7 for n in gone[:10]] + [7] * 11
        assert frame["x"].null_count == gone.sum()
        assert np.isnan(frame["x"].to_numpy()).tolist() == gone.tolist()


def test_strings(cache: framecache.Cache) -> None:
    words = [f"wörd {n}" if n % 5 else None for n in range(1000)]
    with cache.build("k", {"s": str, "z": "bytes", "n": int}, 1000) as b:
        b.reserve("s", 100_000)
        b.extend("s", words[:300])
        b.extend("s", iter(words[300:]))
        b.extend("z", [b"\xff"] * 1000)
        b["n"][:] = 1
        with pytest.raises(framecache.ColumnTypeError, match="'s'"):
            b["s"]
        with pytest.raises(TypeError):
            b.extend("s", [1.5])
    with b.frame as frame:
        assert pa.table(frame)["s"].to_pylist() == words
        assert pa.table(frame)["z"].to_pylist() == [b"\xff"] * 1000


def test_column_with_rows_missing_is_named(cache: framecache.Cache) -> None:
    b = cache.build("k", {"s": "string"}, 3)
    b.extend("s", ["a"])
    with pytest.raises(framecache.InvalidError, match="s"):
        b.commit()
    assert "k" not in cache


def test_exception_aborts(cache: framecache.Cache) -> None:
    used = cache.stats()["used_bytes"]
    with pytest.raises(ZeroDivisionError), cache.build("k", {"x": "g"}, 1_000_000) as b:
        b["x"][:] = 1
        raise ZeroDivisionError
    assert "k" not in cache
    with pytest.raises(framecache.ClosedError):
        b.commit()
    with pytest.raises(framecache.ClosedError, match="not been committed"):
        b.frame  # noqa: B018
    del b
    cache.collect()
    assert cache.stats()["used_bytes"] <= used


def test_array_alive_at_commit_stays_valid_and_apart(cache: framecache.Cache) -> None:
    rows = 300_000
    with cache.build("k", {"x": "float64", "b": bool}, rows) as b:
        x = b["x"]
        x[:] = 1
        b["b"][:] = True
        b.set_nulls("x", np.arange(rows) == 5)
    x[:] = 2  # memory of the build still, and of nobody else
    with b.frame as frame:
        assert frame["x"].to_numpy()[:5].tolist() == [1] * 5
        assert frame["x"].null_count == 1
        assert frame["b"].to_numpy().all()
    del x, b
    gc.collect()
    cache.collect()
    assert [f for f in cache.verify() if f["level"] != "info"] == []


def test_array_alive_at_commit_beside_strings_is_an_error(
    cache: framecache.Cache,
) -> None:
    b = cache.build("k", {"x": "float64", "s": str}, 2)
    x = b["x"]
    x[:] = 1
    with pytest.raises(BufferError, match="1 array"):
        b.commit()
    with pytest.raises(BufferError, match="alive"):
        b.extend("s", ["a", "b"])
    del x
    b.extend("s", ["a", "b"])
    with b.commit() as frame:
        assert pa.table(frame).to_pylist() == [{"x": 1, "s": "a"}, {"x": 1, "s": "b"}]


def test_array_that_outlives_builder_and_cache(directory: str) -> None:
    cache = framecache.Cache(directory, budget="64MiB")
    b = cache.build("k", {"x": "float64"}, 300_000)
    x = b["x"]
    cache.close()
    del b, cache
    gc.collect()
    x[:] = 3
    assert x.sum() == 900_000


def test_threads_fill_different_columns(cache: framecache.Cache) -> None:
    names = [f"c{n}" for n in range(8)]
    with cache.build("k", dict.fromkeys(names, "int64"), 200_000) as b:

        def fill(number: int) -> None:
            b[names[number]][:] = number

        threads = [threading.Thread(target=fill, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        del threads
    with b.frame as frame:
        for number, name in enumerate(names):
            assert (frame[name].to_numpy() == number).all()


@pytest.mark.parametrize("kind", ["g", "float64", float, np.float64, np.dtype("f8")])
def test_ways_to_name_a_type(cache: framecache.Cache, kind: object) -> None:
    with cache.build("k", {"x": kind}, 2) as b:
        b["x"][:] = 1
    with b.frame as frame:
        assert frame.schema.formats == ["g"]


def test_schema_of_pyarrow(cache: framecache.Cache) -> None:
    schema = pa.schema([("x", pa.float32()), ("s", pa.string())])
    with cache.build("k", schema, 1) as b:
        b[0][:] = 2.5
        b.extend(1, ["a"])
    with b.frame as frame:
        assert pa.table(frame).to_pylist() == [{"x": 2.5, "s": "a"}]


@pytest.mark.parametrize("schema", [{"x": "q?"}, {"x": complex}, {"x": object()}, 5])
def test_schema_that_is_none(cache: framecache.Cache, schema: object) -> None:
    with pytest.raises((TypeError, framecache.InvalidError)):
        cache.build("k", schema, 1)


def test_rows_out_of_range(cache: framecache.Cache) -> None:
    with pytest.raises(framecache.Error):
        cache.build("k", {"x": "g"}, -1)
    with pytest.raises(framecache.InvalidError):
        cache.build("k", {"x": "g"}, 2).commit(3)
    b = cache.build("k", {"x": "g"}, 2)
    for wrong in ("y", 1, -1):
        with pytest.raises(framecache.ColumnError):
            b[wrong]
    with pytest.raises(ValueError, match="mask"):
        b.set_nulls("x", np.zeros(3, dtype=bool))
    b.abort()
    b.abort()


def test_build_beyond_the_budget(cache: framecache.Cache) -> None:
    with pytest.raises(framecache.BudgetError) as caught:
        cache.build("k", {"x": "g"}, 1 << 40)
    assert caught.value.asked_bytes >= 1 << 43
    assert caught.value.budget_bytes == 512 << 20
