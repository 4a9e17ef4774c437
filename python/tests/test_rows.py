"""A Column is a sequence of its rows; a Frame says what it is not."""

import copy
import datetime
import decimal
import pickle
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import samples

TABLE = pa.table({
    "n": pa.array([3, None, 2], pa.int32()), "f": [1.5, None, -2.0], "i": [1, 2, 3],
    "s": ["x", None, "z"], "b": [True, False, None],
    "t": pa.array([5, 6, None], pa.timestamp("ms")),
    "zoned": pa.array([5, None, 7], pa.timestamp("us", "Europe/Paris")),
    "day": [datetime.date(2020, 1, 1), None, datetime.date(2021, 1, 1)],
    "d": [decimal.Decimal("1.50"), None, decimal.Decimal("2.25")],
    "list": [[1], None, [2, 3]], "struct": [{"a": 1}, None, {"a": 3}],
    "code": pa.array(["u", "v", None]).dictionary_encode(),
})  # fmt: skip
PANDAS = pd.DataFrame({
    "n": [1, 2, 3], "f": [1.5, np.nan, 2.0], "s": ["x", None, "z"],
    "b": [True, False, True],
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "t": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
    "zoned": pd.date_range("2020-01-01", periods=3, tz="Asia/Tokyo"),
    "p": pd.period_range("2020-01", periods=3, freq="M"),
    "c": pd.Categorical(["u", "v", None]), "z": [1j, 2j, 3j],
    "o": pd.Series([1, None, 3], dtype=object), "v": pd.interval_range(0, 3),
}, index=["p", "q", "r"])  # fmt: skip


def test_rows_are_what_arrow_gives(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        for name in TABLE.column_names:
            column, rows = frame[name], TABLE[name].to_pylist()
            assert list(column) == rows, name
            assert [column[n] for n in (-3, 1, 2)] == rows, name
            assert list(column[1:]) == rows[1:] == list(frame[1:][name]), name
            assert list(column[-2:2]) == rows[-2:2] and list(column[2:1]) == []
            assert len(column) == 3 and column.shape == (3,)
            assert rows[0] in column
        del column


@pytest.mark.parametrize("kind", list(samples.arrays()))
def test_rows_of_every_type(cache: framecache.Cache, kind: str) -> None:
    array = samples.arrays()[kind]
    with cache.put("k", pa.table({"c": array})) as frame:
        want = [repr(row) for row in array.to_pylist()]
        assert [repr(row) for row in frame["c"]] == want
        assert [repr(row) for row in reversed(frame["c"])] == want[::-1]
        assert frame["c"].to_arrow().equals(pa.array(frame["c"]))
        values = np.asarray(frame["c"])
        assert values.shape == frame["c"].shape and values.dtype == frame["c"].dtype
        del values


def test_rows_are_what_pandas_gives(cache: framecache.Cache) -> None:
    with cache.put("k", PANDAS) as frame:
        for name in PANDAS:
            column, rows = frame[name], PANDAS[name].tolist()
            assert repr(list(column)) == repr(rows), name
            assert repr([column[0], column[2]]) == repr([rows[0], rows[2]]), name
            assert np.asarray(column).dtype == column.dtype, name
        del column


def test_pandas_takes_a_column_as_its_values(cache: framecache.Cache) -> None:
    with cache.put("k", PANDAS) as frame:
        for name in ("n", "f", "s", "b", "t", "zoned", "p", "z", "v"):
            series = pd.Series(frame[name])
            want = PANDAS[name].reset_index(drop=True)
            pd.testing.assert_series_equal(
                series, want, check_names=False, check_freq=False
            )
            other = pd.DataFrame({"k": [1, 2, 3]})
            other["x"] = frame[name]
            pd.testing.assert_series_equal(
                other["x"], want, check_names=False, check_freq=False
            )
            assert other.assign(y=frame[name])["y"].equals(want)
        assert pd.Series(frame["c"]).tolist() == PANDAS["c"].tolist()
        assert sum(frame["n"]) == 6
        assert pd.to_datetime(frame["t"]).tolist() == PANDAS["t"].tolist()
        assert pd.DataFrame({"a": frame["n"]})["a"].tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match="length"):
            other = pd.DataFrame({"k": [1]})
            other["x"] = frame["n"]
        del series, other


def test_others_take_a_column(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        for name in TABLE.column_names:
            assert pa.table({"x": frame[name]})["x"].to_pylist() == list(frame[name])
            if name != "d":
                assert pl.Series(frame[name]).len() == 3
        assert frame["i"].to_arrow().equals(TABLE["i"].chunk(0))
        assert pd.Series(frame["list"]).map(len, na_action="ignore").tolist()[2] == 2


@pytest.mark.parametrize("wrong", [True, "n", 1.0, [0], None, np.array([True] * 3)])
def test_a_row_goes_by_its_number(cache: framecache.Cache, wrong: Any) -> None:
    with cache.put("k", TABLE) as frame:
        with pytest.raises(TypeError, match=r"row goes by its number.*to_numpy"):
            frame["n"][wrong]
        assert frame["n"][np.int64(0)] == 3
        for outside in (3, -4):
            with pytest.raises(IndexError, match="no row"):
                frame["n"][outside]
        with pytest.raises(ValueError, match="no step"):
            frame["n"][::2]


def test_a_frame_is_asked_for_columns_and_rows(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        for names in (["s", "n"], pd.Index(["s", "n"]), np.array(["s", "n"])):
            assert frame[names].columns == ["s", "n"]
        assert frame[[0, np.int64(-1)]].columns == ["n", "code"]
        assert frame[np.int64(1)].name == "f"
        assert frame[:2].rows == 2 and frame[1:]["i"][0] == 2
        assert frame[5:].rows == 0 and frame[-1:].rows == 1
        for wrong in ([True, False, True], np.array([True] * 3), True, None, 1.0, ("n",)):
            with pytest.raises(TypeError, match=r"by a mask.*to_pandas"):
                frame[wrong]
        with pytest.raises(TypeError, match="go by number"):
            frame["a":"b"]
        with pytest.raises(ValueError, match="no step"):
            frame[::2]
        with pytest.raises(framecache.ColumnError, match="'nothing'; there are 'n'"):
            frame[["nothing"]]


def test_a_frame_says_how_it_becomes_an_array_or_a_dataframe(
    cache: framecache.Cache,
) -> None:
    with cache.put("k", PANDAS) as frame:
        for make in (pd.DataFrame, np.asarray, np.array, pd.Series, list):
            with pytest.raises(TypeError, match=r"frame\.to_pandas\(\).*to_numpy\(\)"):
                make(frame)
        assert pl.DataFrame(frame.select(["n", "s"])).shape == (3, 2)


def test_copies_of_what_never_changes_are_itself(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        column = frame["n"]
        for one in (frame, column, frame.schema):
            assert copy.copy(one) is one and copy.deepcopy([one])[0] is one
        for one in (frame, column):
            with pytest.raises(TypeError, match="send its key"):
                pickle.dumps(one)
        del column, one
