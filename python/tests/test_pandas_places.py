"""Labels of each kind, in each place where labels stand, come back or are refused."""

from __future__ import annotations

import datetime
import importlib
import sys
from collections import Counter
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import versions
from dateutil import tz
from test_pandas_fixtures import goes_through, must_be, must_be_index

# What pandas raises for what it does not make; pandas 2 the AttributeError.
UNMADE = (ValueError, TypeError, LookupError, AssertionError, AttributeError)
BIG = 2**53 + 1
CET = datetime.timezone(datetime.timedelta(hours=1), "CET")
PARIS = tz.gettz("Europe/Paris") if versions.PANDAS_3 else CET  # not with dateutil 4
DAYS = pd.date_range("2020", periods=3)


def arrow(values: list[Any], kind: pa.DataType) -> pd.Index[Any]:
    return pd.Index(pd.array(values, dtype=pd.ArrowDtype(kind)))


def objects(*values: Any) -> pd.Index[Any]:
    return pd.Index(list(values), dtype=object, tupleize_cols=False)


LABELS: dict[str, pd.Index[Any]] = {
    "range": pd.RangeIndex(5, -1, -2),
    "large integers": pd.Index([BIG, 2**62 + 1, -7]),
    "uint64": pd.Index([2**64 - 1, 0, 5], dtype="uint64"),
    "int8": pd.Index([1, -2, 3], dtype="int8"),
    "floats": pd.Index([1.5, float("nan"), -0.0]),
    "bools": pd.Index([True, False, True]),
    "complex": pd.Index([1 + 2j, 3j, 0j]),
    "str": pd.Index(["b", None, "a"], dtype="str"),
    "string": pd.Index(["b", None, "a"], dtype="string"),
    "objects": objects("a", 1, 2.5),
    "tuples": objects((1, "a"), (2,), (3, None)),
    "missing objects": objects("a", pd.NA, "c"),
    "dates": objects(*DAYS.date),
    "times of Python": objects(datetime.datetime(2020, 1, 1, tzinfo=CET), 1, "a"),
    "days": DAYS,
    "days from later on": DAYS[::-1],
    "seconds": DAYS.as_unit("s"),
    "zoned": pd.date_range("2020", periods=3, tz="Asia/Tokyo"),
    "offset": pd.date_range("2020", periods=3, tz="+05:30"),
    "dateutil": pd.date_range("2020", periods=3, tz=PARIS),
    "named offset": pd.date_range("2020", periods=3, tz=CET),
    "custom days": pd.date_range("2020", periods=3, freq=pd.offsets.Easter()),
    "timedeltas": pd.timedelta_range("1h", periods=3, freq="90min"),
    "periods": pd.period_range("2020", periods=3, freq="Q-NOV"),
    "intervals": pd.IntervalIndex.from_breaks([BIG, BIG + 2, 2**62, 2**62 + 3]),
    "intervals of dateutil": pd.interval_range(pd.Timestamp("2020", tz=PARIS), periods=3),
    "intervals of days": pd.interval_range(pd.Timestamp("2020"), periods=3),
    "categories": pd.CategoricalIndex(["b", "a", None], ["c", "b", "a"], ordered=True),
    "categories of days": pd.CategoricalIndex(DAYS),
    "categories of a range": pd.CategoricalIndex([2, 0, 1], pd.RangeIndex(3)),
    "named categories": pd.CategoricalIndex([1, 2, 1], pd.Index([1, 2], name=("n", 1))),
    "categories of pyarrow": pd.CategoricalIndex(
        pd.Categorical.from_codes(
            [0, 1, -1], arrow(["a", "b"], pa.dictionary(pa.int8(), pa.string()))
        )
    ),
    "Int64": pd.Index([1, None, BIG], dtype="Int64"),
    "boolean": pd.Index([True, None, False], dtype="boolean"),
    "pyarrow's strings": arrow(["a", None, "b"], pa.string()),
    "pyarrow's dictionary": arrow(
        ["a", None, "b"], pa.dictionary(pa.int8(), pa.string())
    ),
    "pyarrow's times": arrow([*DAYS], pa.timestamp("us", "Europe/Rome")),
    "surrogates": objects("a", "\ud800", "c"),
    "zeros": objects("a\0", "b", "c"),
    "none": objects()[:0],
}
NAMES: list[Any] = [
    None, "n", 0, 1.5, ("a", 1), pd.NaT, np.int64(3), pd.Interval(0, 1),
    pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020", tz=PARIS),
    pd.Timestamp("2020", tz=CET), "\ud800", ("\ud800",), "a\0", "", 2**70,
]  # fmt: skip


def places(labels: pd.Index[Any], name: Any) -> dict[str, Any]:
    """Makers of what has the labels in it; some are none that pandas makes."""
    rows, index = range(len(labels)), labels.rename(name)
    level = labels.unique().dropna()

    def missing(level: Any) -> pd.MultiIndex:
        codes = [-1, len(level) - 1, 0, -1]
        return pd.MultiIndex(
            [level, pd.Index(["x", "y"])], [codes, [0, 1, 1, -1]], names=[name, "q"]
        ).remove_unused_levels()

    def categories() -> pd.Categorical:
        return pd.Categorical(labels, categories=level.rename(name))

    return {
        "alone": lambda: index,
        "rows": lambda: pd.DataFrame({"a": rows}, index=index),
        "no rows": lambda: pd.DataFrame({"a": rows}, index=index).iloc[:0],
        "columns": lambda: pd.DataFrame([rows], columns=index),
        "no columns": lambda: pd.DataFrame([rows], columns=index).iloc[:, :0],
        "series": lambda: pd.Series(rows, index=index, name=name),
        "column": lambda: pd.DataFrame({"a": labels}),
        "values": lambda: pd.Series(labels, name=name),
        "level": lambda: pd.MultiIndex.from_arrays([index, rows]),
        "levels": lambda: pd.DataFrame(
            {"a": rows}, index=pd.MultiIndex.from_arrays([index, rows])
        ),
        "one level": lambda: pd.Series(rows, index=pd.MultiIndex.from_arrays([index])),
        "level of columns": lambda: pd.DataFrame(
            [rows], columns=pd.MultiIndex.from_arrays([index, rows])
        ),
        "missing": lambda: missing(level),
        "missing, in turn": lambda: missing(level[::-1]),
        "missing rows": lambda: pd.Series(range(4), index=missing(level)),
        "missing columns": lambda: pd.DataFrame([range(4)], columns=missing(level)),
        "nothing": lambda: pd.MultiIndex([level, [1]], [[-1] * 3, [0] * 3]),
        "categories": lambda: pd.Series(categories()),
        "categories of rows": lambda: pd.DataFrame({"a": rows}, index=categories()),
        "categories of columns": lambda: pd.DataFrame([rows], columns=categories()),
        "categories of a level": lambda: pd.DataFrame(
            {"a": rows}, index=pd.MultiIndex.from_arrays([categories(), rows])
        ),
        "name": lambda: pd.Series([1], name=labels[1]),
        "name of rows": lambda: pd.Series([1], index=pd.Index([1], name=labels[1])),
    }  # fmt: skip


@pytest.fixture(scope="module")
def counts() -> Any:
    counts: Counter[str] = Counter()
    yield counts
    came, refused, unmade = (counts[of] for of in ("equal", "refused", "unmade"))
    print(f"\nlabels in their places: {came} equal, {refused} refused, {unmade} not made")


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_each_kind_come_back_from_each_place(
    cache: framecache.Cache, counts: Counter[str], kind: str
) -> None:
    if kind == "pyarrow's dictionary" and not versions.PANDAS_3:
        pytest.skip("pandas 2 takes no levels of them apart and together again")
    for place, make in places(LABELS[kind], "n").items():
        try:
            value = make()
            must_be(make(), value)  # which pandas itself does not find of each
        except UNMADE:
            counts["unmade"] += 1
            continue
        if (kind, place) == ("pyarrow's dictionary", "nothing"):
            continue  # of nulls, pandas compares the dictionaries too
        try:
            goes_through(cache, value, counts)
        except Exception as error:
            raise AssertionError(f"{kind}, {place}: {error!r}") from error


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_each_kind_come_back_from_each_place(
    cache: framecache.Cache, counts: Counter[str], name: Any
) -> None:
    for place, make in places(LABELS["large integers"], name).items():
        try:
            goes_through(cache, make(), counts)
        except Exception as error:
            raise AssertionError(f"{name!r}, {place}: {error!r}") from error


def test_the_categories_of_labels_lend_them_no_frequency(cache: framecache.Cache) -> None:
    rows = pd.CategoricalIndex(DAYS)
    with cache.put("key", pd.Series(range(3), index=rows)) as frame:
        back = frame.to_value().index
    assert not hasattr(back, "freq")
    must_be_index(back.categories, rows.categories)


def test_what_pandas_pickles_for_its_tests_comes_back(
    cache: framecache.Cache, counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel has the maker of the legacy pickles, but not the pickles."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # of which it takes the first away
    legacy = importlib.import_module("pandas.tests.io.generate_legacy_storage_files")
    found = legacy.create_pickle_data()
    made = [
        (f"{group}.{name}", value)
        for group, values in found.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index)
    ]
    assert len(made) > 20
    for name, value in made:
        try:
            goes_through(cache, value, counts)
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
