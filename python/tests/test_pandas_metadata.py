"""A table of pyarrow with pandas' metadata gives the DataFrame that pyarrow gives."""

from __future__ import annotations

import datetime
import decimal
import json
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import versions
from pandas.testing import assert_frame_equal

pytestmark = [
    versions.needs_pandas_3,
    pytest.mark.skipif(not versions.PYARROW_20, reason="pyarrow 19 gives something else"),
]

DAYS = pd.date_range("2020", periods=3)
ZONED = pd.date_range("2020", periods=3, tz="Asia/Tokyo")
ROWS = {
    "numbers": pd.Index([5, 6, 7]),
    "named": pd.Index([5, 6, 7], name="n"),
    "named by a number": pd.Index([5, 6, 7], name=0),
    "named as a column": pd.Index([5, 6, 7], name="a"),
    "a range": pd.RangeIndex(2, 8, 2, name="r"),
    "days": DAYS.rename("t"),
    "seconds": DAYS.as_unit("s"),
    "zoned": ZONED,
    "levels": pd.MultiIndex.from_arrays([ZONED, ["a", "b", None]], names=["x", None]),
    "levels of one name": pd.MultiIndex.from_arrays([DAYS, [1, 2, 3]], names=["x", "x"]),
    "categories": pd.CategoricalIndex(["a", "b", "a"], ["b", "a"], ordered=True),
    "periods": pd.period_range("2020", periods=3, freq="M"),
    "intervals": pd.interval_range(0, 3),
}
COLUMNS = {
    "numbers": pd.Index([5, 9, 2], name=3),
    "days": DAYS,
    "zoned": ZONED,
    "objects": pd.Index(["a", "b", "c"], dtype=object, name="n"),
    "mixed": pd.Index(["a", 1, "c"], dtype=object),
    "bytes": pd.Index([b"a", b"b", b"c"], dtype=object),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 1)], names=["x", "y"]),
}


def must_be_pyarrows(cache: framecache.Cache, table: pa.Table) -> None:
    theirs = table.to_pandas()
    with cache.put("key", table) as frame:
        ours = frame.to_pandas()
    assert_frame_equal(ours, theirs, check_column_type=True, check_index_type=True)
    assert list(map(type, ours.index.names)) == list(map(type, theirs.index.names))
    assert type(ours.columns) is type(theirs.columns)
    assert list(ours.columns.names) == list(theirs.columns.names)


def without(table: pa.Table, position: int) -> pa.Table:
    return table.remove_column(position)


@pytest.mark.filterwarnings("ignore:The DataFrame has")  # names that are no text
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_as_pyarrow_gives_them(cache: framecache.Cache, name: str) -> None:
    frame = pd.DataFrame({"a": [1.5, 2, 3], "b": ["x", "y", None]}, index=ROWS[name])
    for keep in (None, True, False):
        table = pa.Table.from_pandas(frame, preserve_index=keep)
        must_be_pyarrows(cache, table)
        must_be_pyarrows(cache, table.slice(1))
        for position in range(table.num_columns):  # of a level that is gone, the others
            must_be_pyarrows(cache, without(table, position))


@pytest.mark.filterwarnings("ignore:The DataFrame has")
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_as_pyarrow_gives_them(cache: framecache.Cache, name: str) -> None:
    table = pa.Table.from_pandas(pd.DataFrame([[1, 2, 3]], columns=COLUMNS[name]))
    must_be_pyarrows(cache, table)
    must_be_pyarrows(cache, without(table, 1))


@pytest.mark.parametrize("zone", [None, "UTC", "+05:30", "Europe/Berlin", "Asia/Tokyo"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_in_the_recorded_zone(
    cache: framecache.Cache, zone: str | None, unit: str
) -> None:
    times = pa.array([0, 1 << 30, None], pa.timestamp(unit, zone))
    frame = pd.DataFrame({"a": ZONED, "b": DAYS, "i": ZONED, "j": [1, 2, 3]})
    for levels in ([], ["i"], ["i", "j"]):
        table = pa.Table.from_pandas(frame.set_index(levels) if levels else frame)
        for name in ("a", "b", "i"):
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, times)
        must_be_pyarrows(cache, table)


def test_times_that_the_recorded_unit_has_not_stay_as_they_are(
    cache: framecache.Cache,
) -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": ZONED}))
    times = pa.array([1 << 40, 0, None], pa.timestamp("s", "UTC"))
    with cache.put("key", table.set_column(0, "a", times)) as frame:
        assert frame.to_pandas()["a"].dtype == "datetime64[s, UTC]"


def test_dtypes_of_pandas_own_come_back(cache: framecache.Cache) -> None:
    columns: dict[str, Any] = {
        "numbers": pd.array([1, None], dtype="int64[pyarrow]"),
        "times": pd.array(DAYS[:2], dtype=pd.ArrowDtype(pa.timestamp("us"))),
        "large strings": pd.array(["a", None], dtype=pd.ArrowDtype(pa.large_string())),
        "strings": pd.array(["a", None], dtype="string[pyarrow]"),
        "categories": pd.Categorical(["x", None]),
        "bools": pd.array([True, None], dtype="boolean"),
        "periods": pd.period_range("2020", periods=2, freq="D"),
        "intervals": pd.interval_range(0, 2),
        "decimals": [decimal.Decimal("1.10"), None],
        "dates": [datetime.date(2020, 1, 1), None],
        "lists": [np.array([1]), np.array([2, 3])],
    }
    must_be_pyarrows(cache, pa.Table.from_pandas(pd.DataFrame(columns)))


def test_metadata_without_field_names_is_read(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=pd.Index([5, 6, 7]))
    table = pa.Table.from_pandas(frame)
    about = json.loads(table.schema.metadata[b"pandas"])
    for column in about["columns"]:
        del column["field_name"]
    for name in (None, "__index_level_0__", "n"):
        about["columns"][1]["name"] = name
        metadata = {"pandas": json.dumps(about)}
        with cache.put("key", table.replace_schema_metadata(metadata)) as stored:
            back = stored.to_pandas()
        wanted = None if name is None or name.startswith("__") else name
        assert_frame_equal(back, frame.rename_axis(wanted))
