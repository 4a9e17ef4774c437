"""Columns, labels and attrs of objects of any types come back exactly, without pickle."""

import collections
import datetime
import decimal
import importlib.resources
import io
import os
import subprocess
import sys
import uuid
import zoneinfo
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import versions
from framecache import _core
from framecache._values_in import encode_alone
from pandas.testing import assert_frame_equal, assert_series_equal

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NAN = float("nan")
OBJECTS: dict[str, list[Any]] = {
    "text and numbers": ["a", 1, 2.5, True, -0.0, 1e300, 2**70, -(2**63)],
    "each missing value": ["a", None, NAN, pd.NaT, pd.NA, np.float64("nan")],
    "only None and NaN": [None, NAN, None],
    "only NaT": [pd.NaT, pd.NaT],
    "dates and NaT": [datetime.date(2020, 1, 1), pd.NaT],
    "numbers without bounds": [float("inf"), -float("inf"), 2**64, None],
    "odd text": ['a"b\\\n\x00\x1f\x7fé', "\ud800", "", "日本", 1],
    "moments": [
        datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999),
        None, datetime.datetime(1969, 12, 31, 23, 59, 59, 1),
    ],
    "moments and NaT": [datetime.datetime(2020, 1, 1), pd.NaT],
    "moments of a zone": [datetime.datetime(2020, 1, 1, tzinfo=BERLIN), NAN],
    "spans": [datetime.timedelta(-1, 5, 7), pd.NA, datetime.timedelta(100_000_000)],
    "long spans": [datetime.timedelta.max, datetime.timedelta.min],
    **{
        f"all {kind}": [np.dtype(kind).type(1), None, np.dtype(kind).type(0)]
        for kind in ("i1", "i2", "i8", "u4", "u8", "f2", "f4", "f8", "bool", "c16", "g")
    },
    "all f8, NaN": [np.float64("nan"), np.float64("-0.0"), NAN],
    "lists": [[1, 2], [3, 4], None, [], [[None, "x"]]],
    "tuples": [(1, 2), (3, (4, "x")), ()],
    "dicts": [
        {"a": 1, "b": [1, (2,)]}, {}, {"tuple": 1, "dict": {"tuple": [1]}}, {"": {}}, NAN,
        {"b": 1, "a": {"x": None, "\ud800": 1}}, {"dict": [1, 2]}, {(1, 2): None, 3: "x"},
    ],
    "sets": [{1, 2, "a"}, frozenset({3, (1, 2)}), set()],
    "times": [
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2021, 10, 31, 2, 30, tzinfo=BERLIN, fold=1),
        datetime.time(1, tzinfo=datetime.UTC), datetime.timedelta(1, 2, 3),
        datetime.date(1, 1, 1),
    ],
    "pandas": [
        pd.Timestamp("2020"), pd.Timestamp("2020", tz="UTC"), pd.Timedelta("1D"),
        pd.Timestamp("2020-06-01", tz=datetime.timezone(datetime.timedelta(hours=3))),
        pd.Period("2024", "Q-NOV"), pd.Interval(0, 1, "both"),
        pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")),
    ],
    "numpy": [
        np.int8(1), np.float32(2.5), np.float64(1), np.str_("x"), np.bytes_(b"x"),
        np.bool_(True), np.datetime64("2020", "Y"), np.timedelta64(3, "D"),
    ],
    "arrays": [np.arange(3.0), np.arange(60).reshape(3, 20), np.array([None, "a"])],
    "bytes": [b"x" * 100, bytearray(b"y"), b"", 1j],
    "ids": [uuid.UUID(int=5), "5"],
    "decimals": [decimal.Decimal("1.50"), decimal.Decimal("-Infinity"), None],
    "decimals and NaN": [decimal.Decimal("NaN"), decimal.Decimal(1)],
    "int and bool": [1, True, False, 0],
    "int and float": [1, 1.0, 2.5],
    "deep": [eval("[" * 40 + "]" * 40), 1],
    "none at all": [],
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same type at every depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and same(one.ravel().tolist(), other.ravel().tolist())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return one == other
    return repr(one) == repr(other)


def column(values: list[Any]) -> pd.Series:
    array = np.fromiter(values, dtype=object, count=len(values))
    return pd.Series(array, dtype=object, name="x")


@pytest.mark.parametrize("kind", list(OBJECTS))
def test_objects_come_back_exactly(cache: framecache.Cache, kind: str) -> None:
    values = OBJECTS[kind]
    series = column(values)
    index = pd.Index(series.to_numpy(), dtype=object, tupleize_cols=False)
    numbers = pd.DataFrame({"n": range(len(values))}, index=index)
    for given, read in (
        (series.to_frame(), lambda back: back["x"]),
        (series, list),
        (index, list),
        (numbers, lambda back: back.index),
    ):
        with cache.put("k", given) as stored:
            assert same(list(read(stored.to_value())), values)
            part = stored.slice(1, 2).to_value()
            assert same(list(read(part)), values[1:3])
            pa.table(stored).validate(full=True)
        cache.put_value("v", {"inside": [given]})
        assert same(list(read(cache.get_value("v")["inside"][0])), values)


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_objects_are_objects_to_every_backend(
    cache: framecache.Cache, backend: Any
) -> None:
    with cache.put("k", column([1, "a", None]).to_frame()) as stored:
        back = stored.to_pandas(dtype_backend=backend)
        assert same(back["x"].tolist(), [1, "a", None])


def csv_of_two_types() -> pd.DataFrame:
    text = "a,b\n" + "1,x\n" * 300_000 + "q,y\n"
    with pytest.warns(pd.errors.DtypeWarning):
        return pd.read_csv(io.StringIO(text), low_memory=True)


SALES = pd.DataFrame(
    {
        "town": ["A", "A", "B"],
        "year": [1, 2, 1],
        "n": [1.0, 2, 3],
        "t": ["x y", "z", None],
    }
)
MADE = {
    "csv": csv_of_two_types,
    "pivot": lambda: SALES.pivot_table("n", "town", "year", "sum", margins=True),
    "describe": lambda: SALES.describe(include="all"),
    "transposed": lambda: SALES.T,
    "split": lambda: SALES["t"].astype(object).str.split().to_frame(),
    "agg list": lambda: SALES.groupby("town").agg(list),
    "agg set": lambda: SALES[["town", "n"]].groupby("town").agg(set),
    "json": lambda: pd.read_json(io.StringIO('[{"a": {"b": [1, null]}}, {"a": 5}]')),
    "reset": lambda: SALES.describe(include="all").reset_index(),
    "stack": lambda: SALES.stack().to_frame("v"),
    "iterrows": lambda: pd.DataFrame([row for _, row in SALES.iterrows()]),
}


@pytest.mark.parametrize("name", list(MADE))
def test_what_pandas_makes_comes_back(cache: framecache.Cache, name: str) -> None:
    frame = MADE[name]()
    with cache.put("k", frame) as stored:
        back = stored.to_pandas()
    assert_frame_equal(back, frame)
    for position, dtype in enumerate(frame.dtypes):
        if dtype == "object":
            pair = [f.iloc[:, position].tolist() for f in (back, frame)]
            assert same(*pair)


class Text(str):
    pass


class Point(collections.namedtuple("Point", "x y")):
    pass


def zone_of_nobody() -> datetime.tzinfo:
    """It could be put, and not be found again."""
    with (importlib.resources.files("tzdata") / "zoneinfo/UTC").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file, key="Nowhere/Here")


@pytest.mark.parametrize(
    ("value", "path", "type_"),
    [
        (object(), "row 2", "builtins.object"),
        (Text("a"), "row 2", "Text"),
        ([{"k": object()}], r"row 2\[0\]\['k'\]", "builtins.object"),
        (Point(1, 2), "row 2", "Point"),
        (collections.OrderedDict(a=1), "row 2", "collections.OrderedDict"),
        (pd.DataFrame({"a": [1]}), "row 2", "DataFrame"),
        (datetime.datetime(2020, 1, 1, tzinfo=type("Z", (datetime.tzinfo,), {})()),
         "row 2", "time zone"),
        (datetime.datetime(2020, 1, 1, tzinfo=zone_of_nobody()), "row 2", "time zone"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named_with_its_row(
    cache: framecache.Cache, value: Any, path: str, type_: str
) -> None:
    for given in (column(["a", 1, value]).to_frame(), column(["a", 1, value])):
        with pytest.raises(
            framecache.ColumnTypeError, match=f"column 'x': {path}: .*{type_}"
        ) as caught:
            cache.put("k", given)
        assert caught.value.column == "x"
    assert "k" not in cache


def test_a_list_in_itself_is_refused(cache: framecache.Cache) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(framecache.ColumnTypeError, match=r"row 1.*contains itself"):
        cache.put("k", column([1, endless]).to_frame())


def test_registered_types_are_kept_in_columns(cache: framecache.Cache) -> None:
    framecache.register(Point, "tests.objects.Point", tuple, lambda parts: Point(*parts))
    with cache.put("k", column([Point(1, "a"), None]).to_frame()) as stored:
        assert same(stored.to_pandas()["x"].tolist(), [Point(1, "a"), None])


def test_others_see_json(cache: framecache.Cache) -> None:
    values = [1, "a", None, [1, {"k": 2.5}], (True,), {"b": 1, "a": [{}]}]
    texts = ["1", '"a"', None, '[1,{"dict":["k",2.5]}]', '{"tuple":[true]}',
             '{"b":1,"a":[{}]}']  # fmt: skip
    with cache.put("k", column(values).to_frame()) as stored:
        assert stored.to_polars()["x"].to_list() == texts
        assert pl.DataFrame(stored)["x"].to_list() == texts
        assert pa.table(stored)["x"].to_pylist() == texts
        assert stored["x"].to_numpy().tolist() == texts


def test_what_is_written_in_c_is_what_python_writes() -> None:
    for values in OBJECTS.values():
        for value in values:
            expected = encode_alone(value, "")
            array = np.fromiter([value], dtype=object, count=1)
            *_, data, nulls = _core.encode_values(
                array, pd.NA, pd.NaT, 0, lambda item, row: encode_alone(item, "")
            )
            assert (data, nulls) == (expected, 0)


# ---- Labels, names, attrs ----

LABELS = [
    *OBJECTS["text and numbers"], *OBJECTS["each missing value"][1:], *OBJECTS["times"],
    *OBJECTS["pandas"], *OBJECTS["numpy"], *OBJECTS["ids"], *OBJECTS["decimals"],
    frozenset({1, 2}), (1, (np.int64(2), pd.Timestamp("2020"))), 1j, b"x",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LABELS)))
def test_labels_and_names_of_any_type(cache: framecache.Cache, number: int) -> None:
    labels = pd.Index([LABELS[number], "z"], dtype=object, tupleize_cols=False)
    frame = pd.DataFrame([[1, 2.5], [3, 4.5]], columns=labels, index=labels)
    with cache.put("k", frame) as stored:
        back = stored.to_pandas()
        assert same(list(back.columns), list(labels))
        assert same(list(back.index), list(labels))
    if getattr(LABELS[number], "fold", 0) and not versions.PANDAS_3:
        return  # pandas 2 has no label of this hour
    series = pd.Series([1.5], name=LABELS[number])
    assert same(cache.put("k", series).to_value().name, LABELS[number])
    named = pd.DataFrame({"a": [1]}, index=pd.RangeIndex(1, name=LABELS[number]))
    assert same(cache.put("k", named).to_pandas().index.name, LABELS[number])


@pytest.mark.parametrize(
    "label",
    [datetime.datetime(2020, 10, 25, 2, 30, fold=1), datetime.time(2, 30, fold=1)],
)
def test_a_label_says_which_of_two_equal_hours_it_is(
    cache: framecache.Cache, label: Any
) -> None:
    labels = pd.Index([label, "z"], dtype=object, name=label)
    levels = pd.MultiIndex.from_arrays([labels, [1, 2]])
    for columns in (labels, levels):
        frame = pd.DataFrame([[1, 2]], columns=columns)
        back = cache.put("k", frame).to_pandas().columns
        assert (back.names[0].fold, back.get_level_values(0)[0].fold) == (1, 1)
    named = pd.DataFrame({"a": [1]}, index=pd.RangeIndex(1, name=label))
    assert cache.put("k", named).to_pandas().index.name.fold == 1
    series = pd.Series([1], name=(label, "z"))
    assert cache.put("k", series).to_value().name[0].fold == 1


@pytest.mark.parametrize("name", [np.float16(1.5), np.datetime64(1, "25s")])
def test_a_name_of_which_pandas_makes_no_label_is_refused(
    cache: framecache.Cache, name: Any
) -> None:
    for named in (pd.Series([1], name=name), pd.Index([1], name=name)):
        with pytest.raises(framecache.ColumnTypeError, match=type(name).__name__):
            cache.put("k", named)
    assert "k" not in cache


@pytest.mark.parametrize(
    "attrs",
    [
        {"a": (1, 2)}, {1: "x"}, {"a": NAN, "b": [1]}, {"s": "\ud83d\ude00"},
        {"t": datetime.date(2020, 1, 1), "data": np.arange(3)}, {"n": 2**80},
        {"x": np.float64(1.5), "y": {1, 2}}, {"plain": [{"a": [None, True, 1.5, "é"]}]},
    ],
)  # fmt: skip
def test_attrs_come_back_exactly(cache: framecache.Cache, attrs: Any) -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    frame.attrs = attrs
    for given in (frame, frame["x"]):
        with cache.put("k", given) as stored:
            assert same(stored.to_value().attrs, attrs)
            stored.to_value().attrs["mine"] = 1  # nobody else's
            assert same(stored.to_value().attrs, attrs)
            plain = {k: v for k, v in attrs.items() if k in ("plain", "b")}
            if versions.PYARROW_20:  # which restores them
                assert pa.table(stored).to_pandas().attrs == plain


def test_attrs_that_cannot_be_kept_are_named(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1]})
    frame.attrs = {"fine": (1,), "bad": {"deep": [object()]}}
    with pytest.raises(TypeError, match=r"df\.attrs\['bad'\]\['deep'\]\[0\]: a .*object"):
        cache.put("k", frame)
    assert "k" not in cache


# ---- Hashes ----

HASHES = """
import sys, framecache, pandas as pd
frame = pd.DataFrame({"x": [{"a", "b", "c", 1}, frozenset("xyz"), {"k": {"q", "r"}}, 1]})
with framecache.Cache(sys.argv[1]) as cache:
    print(framecache.content_hash(frame), cache.put("k", frame).content_hash())
"""


def test_hashes_are_the_same_in_every_process(directory: str) -> None:
    run = [sys.executable, "-c", HASHES, directory]
    found = {
        subprocess.run(
            run, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": s}
        ).stdout
        for s in ("1", "2", "3")
    }
    assert len(found) == 1


def test_the_order_of_a_dict_in_a_column_is_no_content() -> None:
    def hashed(value: Any) -> bytes:
        return framecache.content_hash(column([value, 1]).to_frame())

    one = hashed({"a": 1, "b": [{"p": 1, "q": 2}]})
    assert one == hashed({"b": [{"q": 2, "p": 1}], "a": 1})
    assert one != hashed({"a": 1, "b": [{"p": 2, "q": 1}]})
    assert hashed([1, 2]) != hashed([2, 1]) != hashed((2, 1))
    assert len({hashed(value) for value in (1, 1.0, True, "1", None, NAN)}) == 6


# ---- Damage ----


@pytest.mark.parametrize(
    "text",
    [
        "[1", '{"no such tag":1}', '{"a":1,"b"}', "1,2", '{"dict":[1]}', "", "\x00",
        '{"table":[null,0]}', '{"pickle":"00"}', '{"array":["<i8",[9],"C","00"]}',
    ],
)  # fmt: skip
def test_damaged_objects_are_corrupt(cache: framecache.Cache, text: str) -> None:
    good = column([1, "a"]).to_frame()
    metadata = pa.table(cache.put("k", good)).schema.metadata
    table = pa.table({"x": pa.array([text, "5"], pa.large_string())})
    stored = cache.put("k", table.replace_schema_metadata(metadata))
    with stored, pytest.raises(framecache.CorruptError, match="column 'x'"):
        stored.to_pandas()


def test_a_series_of_a_categorical_of_objects(cache: framecache.Cache) -> None:
    series = pd.Series(pd.Categorical([(1, "a"), (2, "b"), None, (1, "a")]), name="c")
    with cache.put("k", series) as stored:
        back = stored.to_value()
        assert_series_equal(back, series)
        assert same(list(back.cat.categories), list(series.cat.categories))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([datetime.datetime(2020, 1, 1), None], pl.Datetime("us")),
        ([datetime.timedelta(1), pd.NaT], pl.Duration("us")),
        ([np.float32(1.5), np.float32(2)], pl.Float32),
        ([np.bool_(True), None], pl.Boolean),
    ],
)
def test_objects_of_one_type_are_that_to_others(
    cache: framecache.Cache, values: list[Any], kind: Any
) -> None:
    with cache.put("k", column(values).to_frame()) as stored:
        there = stored.to_polars()["x"]
        assert there.dtype == kind
        assert there.to_list() == [None if pd.isna(v) else v for v in values]


def test_what_stands_below_nulls_and_beyond_dates(cache: framecache.Cache) -> None:
    good = column([datetime.datetime(2020, 1, 1), None]).to_frame()
    metadata = pa.table(cache.put("k", good)).schema.metadata
    numbers = np.array([2**62, 5], dtype="i8")
    for bits, fine in ((b"\2", True), (b"\3", False)):
        buffers = [pa.py_buffer(bits), pa.py_buffer(numbers)]
        array = pa.Array.from_buffers(pa.timestamp("us"), 2, buffers)
        table = pa.table({"x": array}).replace_schema_metadata(metadata)
        with cache.put("k", table) as stored:
            if fine:
                moment = datetime.datetime(1970, 1, 1, 0, 0, 0, 5)
                assert stored.to_pandas()["x"].tolist() == [None, moment]
            else:
                with pytest.raises(framecache.CorruptError, match="column 'x'"):
                    stored.to_pandas()
