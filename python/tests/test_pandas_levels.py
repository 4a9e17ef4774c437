"""A MultiIndex keeps its levels; zones and names without a name are refused."""

from __future__ import annotations

import datetime
import decimal
import zoneinfo
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import versions
from test_pandas_fixtures import must_be

BIG = 2**53 + 1
LEVELS = {
    "int64": pd.Index([BIG, 2**62 + 1]),
    "uint8": pd.Index([1, 2], dtype="uint8"),
    "bool": pd.Index([False, True]),
    "interval of int64": pd.IntervalIndex.from_breaks([0, BIG, 2**62 + 1]),
    "interval of times": pd.interval_range(pd.Timestamp("2020", tz="UTC"), periods=2),
    "Int64": pd.Index([BIG, 2], dtype="Int64"),
    "float32": pd.Index([1.5, 2.5], dtype="float32"),
    "str": pd.Index(["b", "a"]),
    "object": pd.Index([BIG, "a"], dtype=object),
    "datetime": pd.DatetimeIndex(["2020-01-01", "2021-01-01"]),
    "period": pd.PeriodIndex(["2020-01", "2020-03"], freq="M"),
    "range": pd.RangeIndex(2),
}


def back(cache: framecache.Cache, value: Any) -> Any:
    with cache.put("key", value) as frame:
        made = frame.to_value()
    cache.put_value("value", {"in": [value]})
    must_be(cache.get_value("value")["in"][0], value)
    return made


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("codes", [[0, -1, 1], [1, 0, -1], [-1, -1, -1], [1, 1, 1], []])
def test_a_level_with_missing_labels_keeps_dtype_and_values(
    cache: framecache.Cache, name: str, codes: list[int]
) -> None:
    other = list(range(len(codes)))
    index = pd.MultiIndex([LEVELS[name], pd.Index([5, 6, 7])], [codes, other])
    rows = pd.DataFrame({"a": other}, index=index.rename(["s", ("t", 1)]))
    for value in (index, rows, pd.DataFrame([other], columns=index), rows["a"]):
        must_be(back(cache, value), value)


def test_labels_of_pyarrows_dictionaries_keep_their_dtype(
    cache: framecache.Cache,
) -> None:
    kind = pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))
    labels = pd.Index(["3", "4"], dtype=kind)
    value = pd.DataFrame([[1, 2]], columns=labels)
    must_be(back(cache, value), value)
    for codes in ([0, -1, 1], [1, 0, -1], [-1, -1, -1], [1, 1, 1]):
        index = pd.MultiIndex([labels, [5, 6, 7]], [codes, [0, 1, 2]])
        with cache.put("key", index) as frame:
            made = frame.to_value()  # pandas compares dictionaries by their codes
        assert made.levels[0].dtype == kind
        assert list(map(str, made)) == list(map(str, index))


def test_large_integers_beside_a_missing_label_are_found_again(
    cache: framecache.Cache,
) -> None:
    index = pd.MultiIndex.from_tuples([("a", BIG), ("b", None)], names=["s", "n"])
    with cache.put("key", pd.DataFrame({"v": [1, 2]}, index=index)) as frame:
        made = frame.to_pandas()
        assert frame.to_arrow()["n"].to_pylist() == [BIG, None]
    assert made.iloc[:1].reset_index()["n"].tolist() == [BIG]
    assert made.index.get_loc(("a", BIG)) == 0


def test_the_order_of_levels_is_kept_for_unstack(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"k": list("cabca"), "n": [3, 1, 2, 1, 3], "v": range(5)})
    grouped = frame.groupby(["k", "n"], sort=False)["v"].sum()
    index = grouped.index.set_levels([list("bca")[::-1], [1, 3, 2]])
    for value in (grouped, grouped.set_axis(index), grouped[1:4]):
        made = back(cache, value)
        must_be(made, value)
        pd.testing.assert_frame_equal(made.unstack(), value.unstack())


def test_a_multi_index_of_one_level_stays_one(cache: framecache.Cache) -> None:
    counts = pd.DataFrame({"a": [1, 1, 2]})[["a"]].value_counts()
    must_be(back(cache, counts), counts)
    frame = counts.to_frame("n")
    must_be(back(cache, frame), frame)
    with cache.put("key", frame) as stored, stored[1:] as part:
        must_be(part.to_pandas(), frame[1:])


def test_days_over_a_change_of_the_clock_at_midnight_keep_their_frequency(
    cache: framecache.Cache,
) -> None:
    hours = pd.date_range("2017-10-13", periods=72, freq="h", tz="America/Sao_Paulo")
    days = pd.Series(1.0, index=hours).resample("D").sum()
    assert days.index.freq is not None
    for value in (
        days,
        days.index,
        days.to_frame("a").T,
        pd.Series(days.index.astype("category")),
    ):
        must_be(back(cache, value), value)


def test_the_categories_index_has_its_name(cache: framecache.Cache) -> None:
    for name in ("foo", 1, ("a", 2)):
        categories = pd.Categorical([1, 2], categories=pd.Index([1, 2], name=name))
        for value in (pd.DataFrame({"a": categories}), pd.CategoricalIndex(categories)):
            must_be(back(cache, value), value)


# ---- Zones and names that have no name ----


class Fixed(datetime.tzinfo):
    """A zone that nobody knows by its name."""

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(hours=1)

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(0)

    def tzname(self, when: datetime.datetime | None) -> str:
        return "Europe/Berlin"

    def __str__(self) -> str:
        return "Europe/Berlin"


def zones() -> dict[str, datetime.tzinfo]:
    dateutil = pytest.importorskip("dateutil.tz")
    hour = datetime.timedelta(hours=1)
    return {
        "own": Fixed(),
        "named like another": datetime.timezone(hour, "CET"),
        "named": datetime.timezone(hour, "X"),
        "with seconds": datetime.timezone(hour + datetime.timedelta(seconds=7)),
        "dateutil": dateutil.gettz("Europe/Berlin"),
        "dateutil's offset": dateutil.tzoffset("n", 3600),
        "without a key": no_key(),
    }


def no_key() -> datetime.tzinfo:
    import importlib.resources

    try:
        data = importlib.resources.files("tzdata.zoneinfo.Europe") / "Paris"
    except ModuleNotFoundError:
        return Fixed()
    with data.open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)


def zoned(zone: datetime.tzinfo) -> dict[str, Any]:
    one = pd.Timestamp("2020-01-01", tz=zone)
    index = pd.DatetimeIndex([one, one + pd.Timedelta("1D")])
    levels = pd.MultiIndex.from_arrays([index, [1, 2]])
    intervals = pd.interval_range(one, periods=2)
    return {
        "column": pd.DataFrame({"a": index}),
        "index": pd.DataFrame({"a": [1, 2]}, index=index),
        "labels": pd.DataFrame([[1, 2]], columns=index),
        "a label": pd.DataFrame([[1, 2]], columns=pd.Index([one, "x"], dtype=object)),
        "name": pd.Series([1], name=one),
        "name in a tuple": pd.Series([1], name=(one, 1)),
        "index's name": pd.Series([1], index=pd.Index([1], name=one)),
        "labels' name": pd.DataFrame([[1]], columns=pd.Index(["a"], name=one)),
        "intervals": pd.DataFrame({"a": intervals}),
        "labels of intervals": pd.DataFrame([[1, 2]], columns=intervals),
        "level": levels,
        "level of labels": pd.DataFrame([[1, 2]], columns=levels),
        "categories": pd.Series(pd.Categorical(index)),
    }


@pytest.mark.parametrize("zone", zones())
def test_a_zone_without_a_name_is_refused_wherever_it_stands(
    cache: framecache.Cache, zone: str
) -> None:
    for place, value in zoned(zones()[zone]).items():
        for put in (cache.put, cache.put_value):
            with pytest.raises(framecache.ColumnTypeError):
                put(place, value)
        assert place not in cache


@pytest.mark.parametrize("zone", [
    datetime.UTC, datetime.timezone(datetime.timedelta(hours=-3, minutes=-30)),
    zoneinfo.ZoneInfo("Europe/Berlin"),
])  # fmt: skip
def test_a_zone_with_a_name_comes_back_from_wherever_it_stands(
    cache: framecache.Cache, zone: datetime.tzinfo
) -> None:
    for value in zoned(zone).values():
        must_be(back(cache, value), value)


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_a_name_that_is_no_text_is_refused(cache: framecache.Cache, name: str) -> None:
    levels = pd.MultiIndex.from_arrays([[1], [2]], names=[name, "x"])
    for value in (
        pd.Series([1], name=name),
        pd.Series([1], name=(name, 1)),
        pd.Index([1], name=name),
        pd.Series([1], index=pd.Index([1], name=name)),
        pd.DataFrame([[1]], columns=pd.Index([name], dtype=object)),
        pd.DataFrame({"a": [1]}, index=levels),
    ):
        with pytest.raises(framecache.ColumnTypeError):
            cache.put("key", value)
        assert "key" not in cache


def test_metadata_of_the_former_form_is_read(cache: framecache.Cache) -> None:
    """Labels of several levels were written by the levels' values."""
    from framecache import _pandas_labels as labels

    levels = [{"name": "s", "dtype": "object"}, {"name": None, "dtype": "int64"}]
    packed = [{"tuple": ["a", 1]}, {"tuple": ["b", 2]}]
    index = labels.unpack_index({"levels": levels}, packed)
    assert index.tolist() == [("a", 1), ("b", 2)] and list(index.names) == ["s", None]
    assert np.asarray(index.codes).tolist() == [[0, 1], [0, 1]]


@pytest.mark.skipif(not versions.PYARROW_20, reason="decimals of few bits")
@pytest.mark.parametrize("kind", ["decimal", "list", "long list", "map", "struct"])
def test_levels_of_which_pyarrow_makes_no_dictionary(
    cache: framecache.Cache, kind: str
) -> None:
    few, long = pa.decimal64(5, 2), list(range(2000))
    arrays = {
        "decimal": pa.array([decimal.Decimal("2.20"), decimal.Decimal("1.10")], few),
        "list": pa.array([[2, None], []]),
        "long list": pa.array([long, [*long[:1000], 0, *long[1001:]]]),
        "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
        "struct": pa.array([{"a": 2}, {"a": 1}]),
    }
    chunks = pa.chunked_array([arrays[kind]])
    labels = pd.Index(pd.arrays.ArrowExtensionArray(chunks))
    codes = [[1, -1, 0, 1], [0, 1, 0, 1]]
    index = pd.MultiIndex(
        levels=[labels, ["x", "y"]], codes=codes, verify_integrity=False
    )
    back = cache.put("k", pd.DataFrame({"a": range(4)}, index=index)).to_pandas().index
    assert [list(level) for level in back.codes] == codes
    assert back.levels[0].dtype == labels.dtype
    level = pa.chunked_array(back.levels[0].array.__arrow_array__())
    assert level.to_pylist() == chunks.to_pylist()
