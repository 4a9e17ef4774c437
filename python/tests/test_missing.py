"""NaN and NaT are found while a put copies; the frame is that of a bitmap made before."""

from __future__ import annotations

import threading
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from framecache import _core, _settings
from framecache._pandas_in import table_of

ROWS = 300_000  # more than are looked through beforehand; a segment of its own
LARGE = 10_000_000  # 80 MB: two jobs, and pages that are mapped when written again
TYPES = ["float64", "float32", "float16", "datetime64[ns]", "timedelta64[us]"]
PAGE = 4096


def column(dtype: str, rows: int, missing: Any = slice(0)) -> np.ndarray[Any, Any]:
    values = (np.arange(rows) % 1000).astype(dtype)
    kind = values.dtype.kind
    values[missing] = np.nan if kind == "f" else np.array("NaT", dtype)
    return values


def put_before(cache: framecache.Cache, key: str, df: pd.DataFrame) -> framecache.Frame:
    """With the bitmaps of a pass of its own."""
    options = _settings.put_options(None)
    table = table_of(df)
    assert table is not None
    return cache._put_columns(key, options, *table)


def assert_same(cache: framecache.Cache, df: pd.DataFrame) -> None:
    """What a put makes is what the two passes make."""
    found = cache.put("found", df)
    with put_before(cache, "before", df) as before:
        a, b = pa.table(found), pa.table(before)
        assert a.schema.equals(b.schema, check_metadata=True)
        for name in df:
            one, other = a[name].chunk(0), b[name].chunk(0)
            assert one.null_count == other.null_count == int(df[name].isna().sum())
            assert _bits(one) == _bits(other)
        assert found.content_hash() == before.content_hash()
        assert found.nbytes == before.nbytes
    with found:
        pd.testing.assert_frame_equal(found.to_pandas(), df)


def _bits(array: Any) -> bytes | None:
    bits = array.buffers()[0]
    return None if bits is None else bits.to_pybytes()


PLACES = {
    "none": [],
    "first": [0],
    "last": [ROWS - 1],
    "middle": [ROWS // 2 + 1],
    "few": [70_001, 123_457, 290_003],
    "half": slice(0, None, 2),
    "all": slice(None),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("places", PLACES)
def test_a_column(cache: framecache.Cache, dtype: str, places: str) -> None:
    assert_same(cache, pd.DataFrame({"x": column(dtype, ROWS, PLACES[places])}))


@pytest.mark.parametrize("rows", [0, 1, 9, 1000, 65_536, 65_537, 140_000])
def test_of_any_length(cache: framecache.Cache, rows: int) -> None:
    for missing in ([], [rows - 1], [rows // 2], slice(None)):
        if rows or not missing:
            columns = {dtype: column(dtype, rows, missing) for dtype in TYPES}
            assert_same(cache, pd.DataFrame(columns))


def test_several_columns_of_which_some_have_missing_values(
    cache: framecache.Cache,
) -> None:
    """The second writing moves columns from the shared segment to ones of their own."""
    rows = 131_000  # 1 MB less a little; with a bitmap, more
    df = pd.DataFrame(
        {
            "int": np.arange(rows),
            "whole": column("float64", rows),
            "one": column("float64", rows, [99_991]),
            "time": column("datetime64[ns]", rows, [77_773]),
            "large": column("float64", rows),
            "text": [f"t{n % 5}" for n in range(rows)],
            "zone": pd.Series(column("datetime64[us]", rows, [80_021])).dt.tz_localize(
                "Europe/Berlin"
            ),
            "half": column("float32", rows, slice(1, None, 2)),
        }
    )
    for _ in range(3):  # to new files, and to those
        assert_same(cache, df)


def test_columns_that_lie_apart(cache: framecache.Cache) -> None:
    block = np.arange(4.0 * ROWS).reshape(ROWS, 4)
    block[200_003, 2] = np.nan
    df = pd.DataFrame(block, columns=list("abcd"))
    assert_same(cache, df)
    assert_same(cache, df[::2].reset_index(drop=True))


def test_an_index_of_times(cache: framecache.Cache) -> None:
    index = pd.DatetimeIndex(column("datetime64[ns]", ROWS, [150_001]), name="when")
    with cache.put("k", pd.DataFrame({"x": range(ROWS)}, index=index)) as frame:
        assert pa.table(frame)["when"].null_count == 1


@pytest.mark.parametrize("place", [100, LARGE // 3 + 1, LARGE - 1_000_003, None])
def test_a_large_frame_over_its_own_pages(
    cache: framecache.Cache, place: int | None
) -> None:
    """Each thread has a part; the missing value is in one of them, or nowhere."""
    df = pd.DataFrame({"x": column("float64", LARGE)}, copy=False)
    for _ in range(3):
        cache.put("k", df).release()
    recycled = cache.stats()["recycled_bytes"]
    if place is not None:
        df.loc[place, "x"] = np.nan
    with cache.put("k", df) as frame:
        assert cache.stats()["recycled_bytes"] > recycled
        values = frame.to_pandas()["x"].to_numpy()
        assert np.array_equal(values, df["x"].to_numpy(), equal_nan=True)
        array = pa.table(frame)["x"].chunk(0)
        assert array.null_count == (place is not None)
        if place is not None:
            assert not array[place].is_valid
            assert array[:place].null_count == array[place + 1 :].null_count == 0


def test_no_room_for_the_bitmap_is_an_error_and_nothing_is_there(directory: str) -> None:
    rows = 1 << 21
    units = rows * 8 // PAGE + 2  # the values and what ends them, and the manifest
    with framecache.Cache(directory, capacity=1024, budget="64MiB") as cache:
        control = cache.stats()["control_bytes"]
    budget = control + units * PAGE + 8 * PAGE
    with framecache.Cache(directory, capacity=1024, budget=budget) as cache:
        df = pd.DataFrame({"x": column("float64", rows)}, copy=False)
        cache.put("k", df).release()
        del cache["k"]
        df.loc[rows // 2 + 7, "x"] = np.nan
        with pytest.raises(framecache.BudgetError):
            cache.put("k", df)
        assert "k" not in cache
        cache.collect()
        assert cache.stats()["used_bytes"] == control
        assert [f for f in cache.verify(data=True) if f["level"] != "info"] == []


def test_values_that_change_meanwhile_give_a_sound_frame(
    cache: framecache.Cache,
) -> None:
    df = pd.DataFrame({"x": column("float64", ROWS), "y": column("float64", ROWS)})
    stop = threading.Event()

    def change() -> None:
        x, y = (df._mgr.blocks[0].values[n] for n in (0, 1))
        while not stop.is_set():
            for row in range(70_000, 290_000, 997):
                x[row] = np.nan
                y[row] = np.nan
                x[row] = 1.0
                y[row] = 1.0

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(60):
            with cache.put("k", df) as frame:
                for array in pa.table(frame).columns:
                    array.validate(full=True)
            assert [f for f in cache.verify(data=True) if f["level"] != "info"] == []
    finally:
        stop.set()
        thread.join()


def test_nan_of_other_producers_is_a_value(cache: framecache.Cache) -> None:
    values = pa.array(column("float64", ROWS, [3, 200_001]))
    assert values.null_count == 0
    dtype = pd.ArrowDtype(pa.float64())
    with cache.put("k", pa.table({"x": values})) as frame:
        assert pa.table(frame)["x"].null_count == 0
    series = pd.Series(pd.arrays.ArrowExtensionArray(values), dtype=dtype)
    with cache.put("k", pd.DataFrame({"x": series})) as frame:
        assert pa.table(frame)["x"].null_count == 0


def test_a_column_of_another_producers_frame_is_shared_if_none_is_missing(
    cache: framecache.Cache,
) -> None:
    cache.put("k", pa.table({"x": column("float64", ROWS)})).release()
    out = cache["k"].to_pandas()
    linked = cache.stats()["linked_columns"]
    with cache.put("again", out) as frame:
        assert cache.stats()["linked_columns"] == linked + 1
        pd.testing.assert_frame_equal(frame.to_pandas(), out)
    missing = column("float64", ROWS, [200_001])
    cache.put("k", pa.table({"x": missing})).release()
    out = cache["k"].to_pandas()
    with cache.put("again", out) as frame:
        assert cache.stats()["linked_columns"] == linked + 1
        assert pa.table(frame)["x"].null_count == 1


def test_the_extension_leaves_long_columns_to_the_put(cache: framecache.Cache) -> None:
    values = column("float64", ROWS, [5])
    assert cache._valid_bits(values, "g", "g") == (None, -1)
    assert _core.valid_bits(values, "g")[1] == 1
