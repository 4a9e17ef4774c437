"""What pandas' own tests are made of comes back equal, or is refused by name."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pandas._testing as tm
import pytest

conftest = pytest.importorskip("pandas.conftest", exc_type=ImportError)

EXTENSIONS = (*tm.ALL_INT_EA_DTYPES, *tm.FLOAT_EA_DTYPES, "boolean", "string", "category")
DTYPES = sorted({str(dtype) for dtype in [*tm.ALL_NUMPY_DTYPES, *EXTENSIONS]})


def used_level(index: pd.MultiIndex, number: int) -> pd.Index[Any]:
    """In the level's own order, which unstack shows."""
    codes = np.unique(index.codes[number])
    return index.levels[number].take(codes[codes >= 0])


def must_be_index(back: pd.Index[Any], index: pd.Index[Any]) -> None:
    """Equal, and in what pandas' assertion does not look at."""
    exact: Any = not isinstance(index, pd.MultiIndex)  # its levels are looked at below
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # frequencies of rows that pandas infers
        tm.assert_index_equal(back, index, exact=exact)
    assert type(back) is type(index)
    assert list(map(type, back.names)) == list(map(type, index.names))
    assert getattr(back, "freq", None) == getattr(index, "freq", None)
    if not isinstance(index, pd.MultiIndex):
        assert back.dtype == index.dtype
        if isinstance(index.dtype, pd.CategoricalDtype):
            must_be_index(back.dtype.categories, index.dtype.categories)
        return
    for number, level in enumerate(index.levels):
        ours, theirs = used_level(back, number), used_level(index, number)
        assert back.levels[number].dtype == level.dtype
        assert ours.equals(theirs) or len(ours) == len(theirs) == 0


def must_be(back: Any, value: Any) -> None:
    if isinstance(value, pd.Index):
        must_be_index(back, value)
        return
    assert type(back) is type(value)
    labels = {"check_column_type": False} if isinstance(value, pd.DataFrame) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tm.assert_equal(back, value, check_index_type=False, **labels)
    assert back.attrs == value.attrs and back.flags == value.flags
    must_be_index(back.index, value.index)
    if isinstance(value, pd.Series):
        assert type(back.name) is type(value.name)
        return
    must_be_index(back.columns, value.columns)


def uses_of(index: pd.Index[Any]) -> dict[str, Any]:
    """The places in which an index may stand."""
    rows = len(index)
    gone = index.insert(0, None) if rows else index
    uses: dict[str, Any] = {
        "itself": index,
        "named": index.rename(list(range(index.nlevels)) if index.nlevels > 1 else "é"),
        "sliced": index[1:3],
        "index": pd.DataFrame({"a": range(rows)}, index=index),
        "columns": pd.DataFrame([range(rows)], columns=index),
        "series": pd.Series(range(rows), index=index, name=("a", 1)),
        "with a missing label": pd.Series(range(len(gone)), index=gone),
    }
    if index.nlevels == 1:
        uses["column"] = pd.DataFrame({"a": index})
        uses["level"] = pd.MultiIndex.from_arrays([index, range(rows)])
        uses["level alone"] = pd.DataFrame(
            {"a": range(rows)}, index=pd.MultiIndex.from_arrays([index])
        )
        codes = np.arange(rows) % 3 - 1
        levels = [index.unique(), pd.Index(["x", "y"])]
        if rows > 3 and len(levels[0]) > 2 and not levels[0].hasnans:
            uses["level with missing codes"] = pd.MultiIndex(levels, [codes, codes])
            uses["level of columns with missing codes"] = pd.DataFrame(
                [range(rows)], columns=pd.MultiIndex(levels, [codes, codes])
            )
        if index.is_unique and not index.hasnans:
            named = index.rename("of the categories")
            uses["categories"] = pd.Series(pd.Categorical(index, categories=named))
            uses["category labels"] = pd.CategoricalIndex(index, categories=named)
    return uses


def fixtures() -> dict[str, Any]:
    """What the fixtures without arguments give, if it is of pandas."""
    found = {}
    for name, fixture in vars(conftest).items():
        if not type(fixture).__name__.startswith("Fixture"):
            continue
        function = getattr(
            fixture, "_get_wrapped_function", lambda f=fixture: f.__wrapped__
        )()
        try:
            value = function()
        except (TypeError, pytest.skip.Exception):  # of arguments, or of more packages
            continue
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
            found[name] = value
    return found


@pytest.fixture(scope="module")
def counts() -> Any:
    counts: Counter[str] = Counter()
    yield counts
    print(f"\npandas' fixtures: {counts['equal']} equal, {counts['refused']} refused")


def goes_through(cache: framecache.Cache, value: Any, counts: Counter[str]) -> None:
    """As a table of its own, and within a value."""
    try:
        frame = cache.put("key", value)
    except framecache.ColumnTypeError as error:
        assert str(error)
        counts["refused"] += 1
        return
    with frame:
        must_be(frame.to_value(), value)
    cache.put_value("key", {"a": [value]})
    must_be(cache.get_value("key")["a"][0], value)
    counts["equal"] += 1


@pytest.mark.parametrize("name", conftest.indices_dict)
def test_an_index_of_pandas_tests_comes_back_from_every_place(
    cache: framecache.Cache, counts: Counter[str], name: str
) -> None:
    for use, value in uses_of(conftest.indices_dict[name]).items():
        try:
            goes_through(cache, value, counts)
        except AssertionError as error:
            raise AssertionError(f"{name}, {use}: {error}") from error


@pytest.mark.parametrize("name", fixtures())
def test_what_pandas_fixtures_give_comes_back(
    cache: framecache.Cache, counts: Counter[str], name: str
) -> None:
    goes_through(cache, fixtures()[name], counts)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_of_pandas_tests_comes_back(
    cache: framecache.Cache, counts: Counter[str], dtype: str
) -> None:
    values = ["1", "0"] if dtype in ("str", "string", "bytes") else [1, 0]
    try:
        series = pd.Series(values).astype(dtype)
    except (TypeError, ValueError) as error:
        pytest.skip(f"pandas makes none: {error}")
    values = [series, series[:0], series.to_frame("a")]
    if series.dtype.kind != "S":  # which no Index has
        values.append(pd.Index(series))
    for value in values:
        goes_through(cache, value, counts)


# ---- At random ----

NAMES = (None, "a", "é\u0000"[:1], 0, 1.5, ("a", 1), pd.Timestamp("2020"), np.int64(3))


def random_days(random: random.Random, rows: int) -> pd.DatetimeIndex:
    """In Brazil the day of the change of the clock has no midnight."""
    zone = random.choice([None, "UTC", "America/Sao_Paulo"])
    if random.random() < 0.5:
        hours = pd.date_range("2017-10-13", periods=24 * 14, freq="h", tz=zone)
        return pd.Series(0, index=hours).resample("D").sum().index[:rows]
    freq = random.choice(["h", "ME", "W-TUE"])
    return pd.date_range("2017-11-13", periods=rows, freq=freq, tz=zone)


def random_index(random: random.Random, rows: int) -> pd.Index[Any]:
    def some(values: Any) -> list[Any]:
        return random.choices(values, k=rows)

    makers = [
        lambda: pd.RangeIndex(7, 7 + rows * 3, 3),
        lambda: random_days(random, rows),
        lambda: pd.timedelta_range("1h", periods=rows, freq="90min"),
        lambda: pd.period_range("2020", periods=rows, freq=random.choice(["M", "Q-NOV"])),
        lambda: pd.interval_range(0, rows, closed=random.choice(["left", "both"])),
        lambda: pd.Index(some([2**53 + 1, 2**62 + 1, -5])),
        lambda: pd.Index(some([True, False])),
        lambda: pd.Index(some("bac")),
        lambda: pd.Index(some(["b", 1, None, 2.5]), dtype=object),
        lambda: pd.CategoricalIndex(some("bac"), list("cab"), random.random() < 0.5),
        lambda: pd.Index(some([1, None]), dtype="Int16"),
        lambda: pd.Index(some([1.5, None]), dtype="float32"),
    ]  # fmt: skip
    return random.choice(makers)().rename(random.choice(NAMES))


def random_multi_index(random: random.Random, rows: int) -> pd.MultiIndex:
    levels, codes = [], []
    for _ in range(random.randint(1, 3)):
        level = random_index(random, 5).unique().dropna()
        if random.random() < 0.5:
            level = level[::-1]
        levels.append(level)
        low = -1 if random.random() < 0.6 or not len(level) else 0
        codes.append([random.randrange(low, len(level)) for _ in range(rows)])
    return pd.MultiIndex(levels, codes, names=[level.name for level in levels])


def random_labels(random: random.Random, rows: int) -> pd.Index[Any]:
    make = random_multi_index if random.random() < 0.5 else random_index
    return make(random, rows)


@pytest.mark.parametrize("seed", range(60))
def test_a_random_frame_comes_back_with_its_labels(
    cache: framecache.Cache, counts: Counter[str], seed: int
) -> None:
    made = random.Random(seed)
    for _ in range(5):
        rows, columns = made.randrange(12), made.randrange(4)
        frame = pd.DataFrame(np.arange(rows * columns).reshape(rows, columns))
        frame.index = random_labels(made, rows)
        frame.columns = random_labels(made, columns)
        for value in (frame, frame.index, *(frame.iloc[:, n] for n in range(columns))):
            try:
                goes_through(cache, value, counts)
            except AssertionError as error:
                raise AssertionError(f"{value!r}\n{error}") from error
