"""Dtypes, labels and names of every kind come back equal, or are refused by name."""

import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import versions
from framecache._frame import layout_of
from pandas.testing import (
    assert_frame_equal,
    assert_index_equal,
    assert_series_equal,
)

N = 24
GONE = [n % 3 == 1 for n in range(N)]


def objects(make: Callable[[int], Any], null: Any = None, *, nulls: bool = True) -> Any:
    values = [null if nulls and GONE[n] else make(n) for n in range(N)]
    return pd.Series(values, dtype=object)


def exact(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal with dtypes, labels, names, attrs, freq, and of objects the types."""
    assert_frame_equal(one, other, check_column_type=True, check_index_type=True)
    assert one.attrs == other.attrs
    assert list(one.columns.names) == list(other.columns.names)
    assert list(one.index.names) == list(other.index.names)
    assert list(map(type, one.columns)) == list(map(type, other.columns))
    assert getattr(one.columns, "freq", None) == getattr(other.columns, "freq", None)
    for position, dtype in enumerate(other.dtypes):
        if dtype == "object":
            pair = [frame.iloc[:, position] for frame in (one, other)]
            assert list(map(type, pair[0])) == list(map(type, pair[1]))


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    return pd.array((values * N)[:N], dtype=pd.ArrowDtype(kind))


KINDS: dict[str, Callable[[int], Any]] = {
    "str": lambda n: f"é{n}",
    "bytes": lambda n: bytes([n, 0, 255]) * (n % 4),
    "bool": lambda n: n % 2 == 0,
    "int": lambda n: n - 5,
    "int wide": lambda n: 2**63 + n,
    "float": lambda n: n / 4,
    "decimal": lambda n: decimal.Decimal(n) / 8,
    "date": lambda n: datetime.date(1, 1, 1) + datetime.timedelta(days=150_000 * n),
    "time": lambda n: datetime.time(n % 24, 59, n, 999_999 - n),
    "uuid": lambda n: uuid.UUID(int=n << 100 | n),
}
COLUMNS: dict[str, Any] = {
    **{f"object {k}": objects(make, nulls=False) for k, make in KINDS.items()},
    **{f"object {k} None": objects(make) for k, make in KINDS.items()},
    **{f"object {k} NaN": objects(make, np.nan) for k, make in KINDS.items()},
    **{f"object {k} NA": objects(make, pd.NA) for k, make in KINDS.items()},
    "object NaN only": pd.Series([np.nan] * N, dtype=object),
    "complex": np.where(GONE, complex("nan"), np.arange(N) * (1 + 2j)),
    "complex64": (np.arange(N) * 1j).astype("c8"),
    "period D": pd.period_range("2020", periods=N, freq="D"),
    "period M": pd.Series(pd.period_range("2020", periods=N, freq="M")).mask(GONE),
    "period 2h": pd.period_range("2020", periods=N, freq="2h"),
    "period quarter": pd.period_range("2020", periods=N, freq="Q-NOV"),
    "interval": pd.interval_range(0, N),
    "interval float": pd.Series(pd.interval_range(0.5, N + 0.5, N)).mask(GONE),
    "interval left": pd.interval_range(0, N, closed="left"),
    "interval times": pd.interval_range(pd.Timestamp("2020"), periods=N, freq="D"),
    "interval zoned": pd.interval_range(
        pd.Timestamp("2020", tz="Asia/Tokyo"), periods=N, freq="D"
    ),
    "interval spans": pd.interval_range(pd.Timedelta(0), periods=N, freq="h"),
    "cut": pd.cut(pd.Series(range(N)), 5),
    "qcut nulls": pd.qcut(pd.Series(range(N)).astype(float).mask(GONE), 3),
    "category period": pd.Categorical(pd.period_range("2020", periods=N, freq="D")),
    "category bool": pd.Categorical([n % 2 == 0 for n in range(N)]),
    "category dates": pd.Categorical(objects(KINDS["date"])),
    "category decimals": pd.Categorical(objects(KINDS["decimal"])),
    "category bytes": pd.Categorical(objects(KINDS["bytes"], nulls=False)[1:4].repeat(8)),
    "category Int64": pd.Categorical(pd.array([1, 2] * (N // 2), dtype="Int64")),
    "category arrow": pd.Categorical(arrow(["a", "b"], pa.string())),
    "category floats": pd.Categorical(np.arange(N) / 2),
    "category uuid": pd.Categorical(objects(KINDS["uuid"])),
    "category freq": pd.Categorical(pd.date_range("2020", periods=N, freq="h")),
    "arrow list": arrow([[1], None, []], pa.list_(pa.int64())),
    "arrow struct": arrow([{"a": 1, "b": "x"}, None],
                          pa.struct([("a", pa.int64()), ("b", pa.string())])),
    "arrow map": arrow([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    "arrow dictionary": arrow(["a", None, "b"], pa.dictionary(pa.int8(), pa.string())),
    "arrow decimal": arrow([decimal.Decimal("1.25"), None], pa.decimal128(9, 2)),
    "arrow zoned": arrow([None], pa.timestamp("ns", "Europe/Paris")),
    "arrow binary": arrow([b"ab", None], pa.binary()),
    "arrow fixed": arrow([b"ab", None], pa.binary(2)),
    "arrow bool": arrow([True, None, False], pa.bool_()),
    "arrow null": arrow([None], pa.null()),
    "arrow date": arrow([datetime.date(2020, 1, 1), None], pa.date32()),
    "arrow time": arrow([datetime.time(1, 2), None], pa.time64("us")),
}  # fmt: skip


@pytest.mark.parametrize("name", list(COLUMNS))
def test_column_comes_back(cache: framecache.Cache, name: str) -> None:
    frame = pd.DataFrame({name: COLUMNS[name]}).reset_index(drop=True)
    for part in (frame, frame.head(0), frame.iloc[5:9], frame.iloc[1:2]):
        with cache.put("k", part) as stored:
            for mode in ("cow", "readonly", "copy"):
                exact(stored.to_pandas(mode), part)
            table = pa.table(stored)
            table.validate(full=True)
    with cache.put("k", frame) as stored:
        exact(stored.slice(3, 11).to_pandas(), frame.iloc[3:14])
        series = stored[name].to_pandas()
        assert_series_equal(series, frame[name])
        with cache.put("again", stored.to_pandas()) as again:
            exact(again.to_pandas(), frame)


@pytest.mark.parametrize("name", list(COLUMNS))
def test_index_of_the_dtype_comes_back(cache: framecache.Cache, name: str) -> None:
    if name in ("arrow list", "arrow struct", "arrow map"):
        pytest.skip("pandas has no index of it")
    values = COLUMNS[name]
    dtype = object if getattr(values, "dtype", None) == "object" else None
    index = pd.Index(values, dtype=dtype, name="the index")
    frame = pd.DataFrame({"x": range(N)}, index=index)
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame)
        assert_frame_equal(stored.slice(2, 5).to_pandas(), frame.iloc[2:7])


ODD_LABELS: dict[str, Any] = {
    "twice": ["a", "a", "b"],
    "twice like ours": ["a", "a.1", "a"],
    "mixed": ["a", 1, 2.5],
    "numbers and their text": [1, "1", True],
    "floats": pd.Index([0.5, float("inf"), 1.5]),
    "nan": pd.Index([0.5, np.nan, 1.5]),
    "int8": pd.Index([1, 2, 3], dtype="int8"),
    "unsigned": pd.Index([1, 2, 2**64 - 1], dtype="uint64"),
    "bools": pd.Index([True, False, True]),
    "None": pd.Index(["a", None, "b"], dtype=object),
    "tuples": pd.Index([("a", 1), "b", ()], dtype=object, tupleize_cols=False),
    "bytes": pd.Index([b"a", b"\xff", b""], dtype=object),
    "dates": pd.Index([datetime.date(2020, 1, n) for n in (1, 2, 3)], dtype=object),
    "objects": pd.Index(
        [uuid.UUID(int=1), decimal.Decimal("1.50"), datetime.time(1)], dtype=object
    ),
    "times": pd.date_range("2020", periods=3, freq="D"),
    "times without freq": pd.to_datetime(["2020-01-01", "2020-01-05", "2020-01-06"]),
    "zoned": pd.date_range("2020", periods=3, freq="h", tz="Europe/Paris"),
    "spans": pd.timedelta_range("1s", periods=3, freq="s"),
    "periods": pd.period_range("2020", periods=3, freq="M"),
    "intervals": pd.interval_range(0, 3),
    "categories": pd.CategoricalIndex(["a", "b", "a"], ["b", "a", "c"], ordered=True),
    "nullable": pd.Index([1, 2, 2], dtype="Int64"),
    "two levels": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
    "two names": pd.MultiIndex.from_tuples(
        [("a", 1), ("a", 2), ("a", 2)], names=["letter", None]
    ),
    "three levels": pd.MultiIndex.from_product(
        [["x"], pd.date_range("2020", periods=3), [None]], names=[1, ("t", 2), "z"]
    ),
    "range": pd.RangeIndex(10, 16, 2, name="r"),
    "named by a number": pd.Index(["a", "b", "c"], name=7),
    "named by a tuple": pd.Index([1, 2, 3], name=("x", 1)),
    "empty text": ["", " ", "."],
    "object texts": pd.Index(["a", "b", "c"], dtype=object, name="n"),
    "string": pd.Index(["a", "b", "c"], dtype="string"),
}


@pytest.mark.parametrize("kind", list(ODD_LABELS))
def test_labels_come_back(cache: framecache.Cache, kind: str) -> None:
    frame = pd.DataFrame([[1, 2.5, "x"], [3, 4.5, None]], columns=ODD_LABELS[kind])
    with cache.put("k", frame) as stored:
        exact(stored.to_pandas(), frame)
        names = stored.columns
        assert len(set(names)) == 3  # so that others may ask by name
        part = stored.select(names[1:]).to_pandas()
        assert repr(list(part.columns)) == repr(list(frame.columns[1:]))
        pa.table(stored).to_pandas()
    with cache.put("k", frame.iloc[:0]) as stored:
        exact(stored.to_pandas(), frame.iloc[:0])
    with cache.put("k", frame.iloc[:, :0]) as stored:
        none, expected = stored.to_pandas(), frame.iloc[:, :0]
        assert_frame_equal(none, expected, check_column_type=versions.INDEX_TYPE)


def test_pyarrow_restores_columns_of_several_levels(cache: framecache.Cache) -> None:
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")], names=["one", "two"])
    frame = pd.DataFrame([[1, 2]], columns=columns)
    with cache.put("k", frame) as stored:
        assert_frame_equal(pa.table(stored).to_pandas(), frame)


def test_period_is_a_period_to_pyarrow_too(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"p": pd.period_range("2020", periods=3, freq="M")})
    with cache.put("k", frame) as stored:
        assert_frame_equal(pa.table(stored).to_pandas(), frame)


@pytest.mark.parametrize("kind", list(ODD_LABELS))
def test_index_and_series_come_back(cache: framecache.Cache, kind: str) -> None:
    index = ODD_LABELS[kind]
    if isinstance(index, list):
        index = pd.Index(index, dtype=object)
    with cache.put("k", index) as stored:
        back = stored.to_value()
        assert_index_equal(back, index, exact=True)
        assert list(back.names) == list(index.names)
        assert getattr(back, "freq", None) == getattr(index, "freq", None)
        assert_index_equal(stored.slice(1, 1).to_value(), index[1:2], exact=True)


@pytest.mark.parametrize("name", [None, "s", 5, 2.5, ("a", 1), pd.Timestamp("2020"), ""])
def test_series_with_any_name(cache: framecache.Cache, name: Any) -> None:
    series = pd.Series([1.5, np.nan, 2], index=list("abc"), name=name)
    series.attrs = {"unit": "m"}
    with cache.put("k", series) as stored:
        back = stored.to_value()
        assert_series_equal(back, series)
        assert back.name == name and type(back.name) is type(name)
        assert back.attrs == series.attrs


@pytest.mark.parametrize("name", [None, "i", 5, 2.5, ("a", 1), pd.Timestamp("2020")])
def test_index_with_any_name(cache: framecache.Cache, name: Any) -> None:
    for index in (pd.RangeIndex(3, name=name), pd.Index([5, 6, 8], name=name)):
        frame = pd.DataFrame({"x": [1, 2, 3]}, index=index)
        with cache.put("k", frame) as stored:
            back = stored.to_pandas()
        assert_frame_equal(back, frame)
        assert type(back.index) is type(index)
        assert type(back.index.name) is type(name)


def test_names_of_a_view_are_nobody_elses(cache: framecache.Cache) -> None:
    with cache.put("k", pd.DataFrame({"x": [1]})) as stored:
        one = stored.to_pandas()
        one.columns.name = "mine"
        assert stored.to_pandas().columns.name is None


def test_levels_named_alike(cache: framecache.Cache) -> None:
    index = pd.MultiIndex.from_arrays([[1, 2], [3, 4], [5, 6]], names=["x", "x", None])
    frame = pd.DataFrame({"x": [1, 2], "__index_level_2__": [3, 4]}, index=index)
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame)


def test_flags_come_back(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1]}).set_flags(allows_duplicate_labels=False)
    with cache.put("k", frame) as stored:
        assert not stored.to_pandas().flags.allows_duplicate_labels


class Letter(enum.StrEnum):
    A = "a"


class Odd(pd.DataFrame):
    @property
    def _constructor(self) -> type:
        return Odd


class OddSeries(pd.Series):
    pass


REFUSED: dict[str, Any] = {
    "derived from str": pd.Series(["b", Letter.A], dtype=object),
    "frames": pd.Series([pd.DataFrame(), pd.DataFrame()]),
    "sparse": pd.arrays.SparseArray([0.0, 1.0]),
    "swapped": np.array([1.5, 2.5], dtype=">f8"),
    "longdouble": np.array([1, 2], dtype=np.longdouble),
    "list view": pd.arrays.ArrowExtensionArray(
        pa.array([[[1]], [[2]]], pa.list_(pa.list_view(pa.int8())))
    ),
    "extension": pd.arrays.ArrowExtensionArray(pa.array([b"x" * 16] * 2, pa.uuid())),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_refused_by_name(cache: framecache.Cache, kind: str) -> None:
    frame = pd.DataFrame({"fine": [1, 2], "the column": REFUSED[kind]})
    for bad in (frame, frame["the column"]):
        with pytest.raises(framecache.ColumnTypeError, match="'the column'") as caught:
            cache.put("k", bad)
        assert caught.value.column == "the column"
    assert isinstance(caught.value, TypeError)
    assert "k" not in cache


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Odd({"x": [1]}), "Odd would come back as a DataFrame"),
        (OddSeries([1]), "OddSeries would come back as a Series"),
        (pd.DataFrame([[1]], columns=[object()]), "its label, a object"),
        (pd.DataFrame([[1]], columns=["a\0b"]), "zero byte"),
        (pd.DataFrame([[1]], index=pd.Index([5], name="a\0b")), "zero byte"),
        (pd.DataFrame([[1]], index=pd.Index([5], name="\ud800")), "Unicode"),
        (pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), "Unicode"),
        (pd.DataFrame([[1]], columns=pd.Index(["a"], name=object())), "label <object"),
        (pd.DataFrame([[1]], index=pd.Index([1], name=object())), "index's name"),
        (
            pd.DataFrame([[1], [2]], index=pd.date_range(
                "2020-01-01", periods=2,
                freq=pd.offsets.CustomBusinessDay(holidays=["2020-01-02"]))),
            "no name to find it by",
        ),
    ],
)  # fmt: skip
def test_what_is_around_the_columns_is_refused(
    cache: framecache.Cache, value: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        cache.put("k", value)
    assert "k" not in cache


# ---- dtype_backend ----


def mixed() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "i": [1, 2, 3], "f": [1.5, np.nan, 2], "b": [True, False, True],
            "s": ["x", None, "z"], "t": pd.date_range("2020", periods=3),
            "c": pd.Categorical(["a", "b", None]), "n": pd.array([1, None, 3], "Int8"),
            "o": np.array([datetime.date(2020, 1, 1), None, None], dtype=object),
            "p": pd.period_range("2020", periods=3, freq="D"), "z": [1j, 2j, 3j],
        },
        index=pd.Index(["a", "b", "c"], name="key"),
    )  # fmt: skip


@versions.needs_pandas_3
def test_numpy_nullable(cache: framecache.Cache) -> None:
    with cache.put("k", mixed()) as stored:
        frame = stored.to_pandas(dtype_backend="numpy_nullable")
        assert [str(dtype) for dtype in frame.dtypes][:4] == [
            "Int64", "Float64", "boolean", "string",
        ]  # fmt: skip
        back = frame.astype({"i": "int64", "f": "float64", "b": "bool", "s": "str"})
        assert_frame_equal(back, mixed())
        assert frame["f"].isna().tolist() == [False, True, False]


@versions.needs_pandas_3
def test_pyarrow_backend(cache: framecache.Cache) -> None:
    with cache.put("k", mixed()) as stored:
        frame = stored.to_pandas(dtype_backend="pyarrow", require_zero_copy=True)
        assert all(isinstance(d, pd.ArrowDtype) for d in frame.loc[:, :"o"].dtypes)
        assert frame["b"].dtype == "bool[pyarrow]"
        assert frame["f"].isna().tolist() == [False, True, False]
        assert_index_equal(frame.index, mixed().index)
        assert_frame_equal(frame[["p", "z"]], mixed()[["p", "z"]])
        table = pa.table(stored)
        for name in "ifbstcno":
            assert pa.chunked_array(frame[name].array.__arrow_array__()).equals(
                table[name]
            )


def test_backend_for_tables_of_others(cache: framecache.Cache) -> None:
    table = pa.table({"i": [1, None], "b": [True, None], "s": ["x", None], "f": [1.5, 2]})
    with cache.put("k", table) as stored:
        frame = stored.to_pandas(dtype_backend="numpy_nullable")
        assert [str(d) for d in frame.dtypes] == ["Int64", "boolean", "string", "Float64"]
        assert_frame_equal(
            stored.to_pandas(dtype_backend="pyarrow"),
            pa.table(stored).to_pandas(types_mapper=pd.ArrowDtype),
        )
        with pytest.raises(ValueError, match="dtype_backend 'arrow'"):
            stored.to_pandas(dtype_backend="arrow")


# ---- What frames of one schema share ----


def test_tables_that_differ_in_their_schema_only_a_little_are_not_mixed_up(
    cache: framecache.Cache,
) -> None:
    tables = [
        pd.DataFrame({"x": [1.0, 2.0], "y": [1, 2]}),
        pd.DataFrame({"x": [1, 2], "y": [1.0, 2.0]}),
        pd.DataFrame({"y": [1.0, 2.0], "x": [1, 2]}),
        pd.DataFrame({"x": [1.0, 2.0], "y": [1, 2]}, index=pd.RangeIndex(4, 6)),
        pd.DataFrame({"x": [1.0, 2.0], "y": [1, 2]}, index=pd.RangeIndex(2, name="n")),
        pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index([1, 2], name="y")),
        pd.DataFrame({"x": [1.0, None], "y": [None, 2.0]}),
        pd.DataFrame({0: [1.0, 2.0], 1: [1, 2]}),
        pd.DataFrame({"x": [b"1", b"2"], "y": [1, 2]}).astype({"x": object}),
    ]
    for _ in range(2):
        for number, table in enumerate(tables):
            cache.put(f"k{number}", table).release()
        for number, table in enumerate(tables):
            assert_frame_equal(cache[f"k{number}"].to_pandas(), table)


@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [5, 7]])
def test_a_name_given_to_labels_is_not_given_to_those_of_the_next(
    cache: framecache.Cache, labels: list[Any]
) -> None:
    table = pd.DataFrame([[1.0, 2.0]], columns=labels)
    cache.put("k", table).release()
    for _ in range(2):
        got = cache["k"].to_pandas()
        assert_frame_equal(got, table)
        got.columns.name = "mine"
        got.index.name = "mine too"


def test_a_selection_has_the_labels_and_the_index_of_its_columns(
    cache: framecache.Cache,
) -> None:
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}, index=pd.Index([7, 8], name="i"))
    with cache.put("k", table) as frame:
        for _ in range(2):
            assert_frame_equal(frame.to_pandas(), table)
            assert_frame_equal(frame.select(["b", "i"]).to_pandas(), table[["b"]])
            plain = table[["b"]].reset_index(drop=True)
            assert_frame_equal(frame.select(["b"]).to_pandas(), plain)


def test_frames_of_equal_schemas_read_it_once(cache: framecache.Cache) -> None:
    table = pd.DataFrame({"x": [1.0]})
    first = layout_of(cache.put("k", table))
    assert layout_of(cache.put("k", table + 1)) is first
    assert layout_of(cache.put("k", table.astype("f4"))) is not first


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris"])
def test_intervals_of_zoned_times_have_the_zone_that_pandas_gives(
    cache: framecache.Cache, zone: str
) -> None:
    sides = pd.date_range("2020", periods=4, tz=zone)
    table = pd.DataFrame({"x": pd.IntervalIndex.from_breaks(sides)})
    with cache.put("k", table) as frame:
        back = frame.to_pandas()
        assert_frame_equal(back, table)
        assert back["x"].array.left.tz == table["x"].array.left.tz
