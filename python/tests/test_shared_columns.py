"""A DataFrame over a frame's columns is put again: nulls are taken from these columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from versions import PANDAS_3

ROWS = 200_001  # 1.6 MB: a column has a segment of its own


def sample() -> pd.DataFrame:
    values = np.arange(ROWS, dtype=float)
    holes = np.where(values % 3 == 0, np.nan, values)
    times = pd.Series(pd.date_range("2020", periods=ROWS, freq="s", unit="us"))
    gone = times.mask(times.index % 5 == 0)
    return pd.DataFrame(
        {
            "whole": values,
            "holes": holes,
            "times": times,
            "gone": gone,
            "zone": gone.dt.tz_localize("UTC"),
            "wait": gone - gone[1],
            "int": np.arange(ROWS),
            "bool": values % 2 == 0,
            "text": [f"t{i % 7}" for i in range(ROWS)],
        }
    )


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    with framecache.Cache(tmp_path / "cache", budget="256MiB") as cache:
        yield cache


def nulls(frame: framecache.Frame) -> dict[str, int]:
    table = pa.table(frame)
    return {name: table[name].null_count for name in table.column_names}


def is_known(cache: framecache.Cache, values: Any, kind: str, format: str) -> bool:
    """Whether the nulls are a frame's: they come as its bytes, not as new ones."""
    bitmap, count = cache._valid_bits(values, kind, format)
    if count == -1:  # the put will find them
        assert bitmap is None
        return False
    assert bitmap is not None, "give a column with nulls"
    expected = framecache._core.valid_bits(values, kind)
    assert (bytes(memoryview(bitmap)), count) == expected
    assert not isinstance(bitmap, bytes)
    return True


def put_again(cache: framecache.Cache, df: pd.DataFrame) -> int:
    """How many columns of it were linked; and that all of it came as it is."""
    before = cache.stats()["linked_columns"]
    with cache.put("again", df) as frame:
        linked = int(cache.stats()["linked_columns"]) - int(before)
        assert nulls(frame) == {name: int(df[name].isna().sum()) for name in df}
        pd.testing.assert_frame_equal(frame.to_pandas(), df)
    return linked


def test_columns_with_and_without_nulls_are_linked(cache: framecache.Cache) -> None:
    df = sample()
    cache["k"] = df
    out = cache["k"].to_pandas()
    assert is_known(cache, out["holes"].to_numpy(), "g", "g")
    assert is_known(cache, out["gone"].to_numpy().view("i8"), "t", "tsu:")
    wider = out.assign(new=1.5)
    linked = put_again(cache, wider)
    # bool is packed anew, and text may be; assign() of pandas 2 copies all the others.
    assert linked >= 6 or not PANDAS_3
    pd.testing.assert_frame_equal(wider, df.assign(new=1.5))


def test_another_format_is_looked_through(cache: framecache.Cache) -> None:
    cache["k"] = sample()
    values = cache["k"].to_pandas()["gone"].to_numpy().view("i8")
    assert not is_known(cache, values, "t", "tDu")


@pytest.mark.parametrize("column", ["whole", "holes", "gone"])
def test_a_stored_to_column_is_looked_through(
    cache: framecache.Cache, column: str
) -> None:
    cache["k"] = sample()
    out = cache["k"].to_pandas()
    linked = put_again(cache, out)
    place = out.columns.get_loc(column)
    out.iloc[ROWS - 1, place] = pd.NaT if column == "gone" else np.nan
    assert put_again(cache, out) == linked - 1
    pd.testing.assert_frame_equal(cache["k"].to_pandas(), sample())


@pytest.mark.parametrize(
    "rows", [slice(0, ROWS - 1), slice(1, ROWS), slice(64, ROWS - 8)]
)
def test_slices_are_looked_through(cache: framecache.Cache, rows: slice) -> None:
    cache["k"] = sample()
    part = cache["k"].to_pandas().iloc[rows]
    assert not is_known(cache, part["holes"].to_numpy(), "g", "g")
    before = cache.stats()["linked_columns"]
    with cache.put("part", part) as frame:
        assert nulls(frame) == {name: int(part[name].isna().sum()) for name in part}
        pd.testing.assert_frame_equal(frame.to_pandas(), part)
    assert cache.stats()["linked_columns"] == before


def test_of_a_frame_that_is_gone(cache: framecache.Cache) -> None:
    df = sample()
    cache["k"] = df
    deleted = cache["k"].to_pandas()
    cache.delete("k")
    assert is_known(cache, deleted["holes"].to_numpy(), "g", "g")
    assert put_again(cache, deleted) >= 6
    cache["k"] = df
    replaced = cache["k"].to_pandas()
    cache["k"] = df[["whole"]]
    assert put_again(cache, replaced) >= 6


def test_nan_that_is_no_null_is_found(cache: framecache.Cache) -> None:
    values = np.where(np.arange(ROWS) % 3 == 0, np.nan, 1.0)
    cache["arrow"] = pa.table({"x": values})
    assert nulls(cache["arrow"]) == {"x": 0}
    assert put_again(cache, cache["arrow"].to_pandas()) == 0
    present = np.zeros(ROWS, dtype=bool)
    nullable = pd.DataFrame({"x": pd.arrays.FloatingArray(values, present)})
    cache["nullable"] = nullable
    bare = np.asarray(cache["nullable"].to_pandas()["x"].array._data)
    assert put_again(cache, pd.DataFrame({"x": bare}, copy=False)) == 0
    pyarrows = pd.DataFrame({"x": pd.Series(pa.array(values), dtype="double[pyarrow]")})
    cache["pyarrow"] = pyarrows
    column = cache["pyarrow"].to_arrow()["x"].chunk(0)
    bare = column.to_numpy(zero_copy_only=True)
    assert put_again(cache, pd.DataFrame({"x": bare}, copy=False)) == 0
