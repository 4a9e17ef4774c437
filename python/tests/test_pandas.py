"""pandas in and out: what was put comes back equal, or its column is refused."""

import ctypes
import datetime
import decimal
import inspect
import subprocess
import sys
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import versions
from pandas.testing import assert_frame_equal, assert_series_equal

N = 100
THIRD = np.arange(N) % 3 == 0


def with_null(values: Any, null: Any = None) -> list[Any]:
    return [null if gone else value for value, gone in zip(values, THIRD, strict=True)]


WEST = datetime.timezone(-datetime.timedelta(minutes=90))
DAYS = [datetime.date(2020, 1, 1 + n % 28) for n in range(N)]
NUMBERS = {
    f"{kind}{bits}": np.arange(N).astype(f"{kind}{bits // 8}")
    for kind, sizes in (
        ("i", (8, 16, 32, 64)),
        ("u", (8, 16, 32, 64)),
        ("f", (16, 32, 64)),
    )
    for bits in sizes
}
COLUMNS: dict[str, Any] = {
    **NUMBERS,
    "nan": np.where(THIRD, np.nan, np.arange(N) * 0.5),
    "nan32": np.where(THIRD, np.nan, np.arange(N)).astype("f4"),
    "nan16": np.where(THIRD, np.nan, np.arange(N)).astype("f2"),
    "all nan": np.full(N, np.nan),
    "bool": np.arange(N) % 5 == 0,
    **{f"M8 {u}": np.arange(N).astype(f"M8[{u}]") for u in ("s", "ms", "us", "ns")},
    **{f"m8 {u}": np.arange(N).astype(f"m8[{u}]") for u in ("s", "ms", "us", "ns")},
    "NaT": pd.Series(pd.date_range("2020", periods=N, unit="us")).mask(THIRD),
    "NaT delta": pd.Series(pd.timedelta_range("1s", periods=N)).mask(THIRD),
    "Paris": pd.date_range("2020", periods=N, freq="h", tz="Europe/Paris"),
    "UTC": pd.date_range("2020", periods=N, tz="UTC", unit="ns"),
    "fixed": pd.date_range("2020", periods=N, tz=WEST),
    "zoned NaT": pd.Series(pd.date_range("2020", periods=N, tz="Asia/Tokyo")).mask(THIRD),
    "str": pd.array([f"é{n}" for n in range(N)], dtype="str"),
    "str null": pd.array(with_null(map(str, range(N))), dtype="str"),
    "string": pd.array(with_null(map(str, range(N))), dtype="string"),
    "string python": pd.array(with_null(map(str, range(N))), dtype="string[python]"),
    "object None": pd.Series(with_null(map(str, range(N))), dtype=object),
    "object NaN": pd.Series(with_null(map(str, range(N)), np.nan), dtype=object),
    "object NA": pd.Series(with_null(map(str, range(N)), pd.NA), dtype=object),
    "object": pd.Series([f"x{n}" for n in range(N)], dtype=object),
    "all None": pd.Series([None] * N, dtype=object),
    "bytes": pd.Series(with_null([bytes([n]) for n in range(N)]), dtype=object),
    "dates": pd.Series(DAYS, dtype=object),
    "decimals": pd.Series(with_null(map(decimal.Decimal, range(N))), dtype=object),
    **{
        f"{kind}": pd.array(with_null(range(N)), dtype=kind)
        for kind in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32",
                     "UInt64", "Float32", "Float64")
    },
    "Int64 full": pd.array(range(N), dtype="Int64"),
    "boolean": pd.array(with_null(np.arange(N) % 2 == 0), dtype="boolean"),
    "category": pd.Categorical(with_null([f"c{n % 7}" for n in range(N)])),
    "category object": pd.Categorical(
        ["a", "b"] * (N // 2), pd.Index(["b", "a", "unused"], dtype=object)
    ),
    "category ordered": pd.Categorical(["l", "h"] * (N // 2), ["l", "h"], ordered=True),
    "category int": pd.Categorical(np.arange(N) % 5),
    "category wide": pd.Categorical([n for n in range(N)] , range(300)),
    "category time": pd.Categorical(np.arange(N).astype("M8[s]")),
    "category zoned": pd.Categorical(pd.date_range("2020", periods=N, tz="UTC")),
    "category empty": pd.Categorical([None] * N),
    "arrow int": pd.array(with_null(range(N)), dtype="int32[pyarrow]"),
    "arrow string": pd.array(["a", None] * (N // 2), dtype=pd.ArrowDtype(pa.string())),
    "arrow time": pd.array([None] * N, dtype=pd.ArrowDtype(pa.timestamp("us"))),
}  # fmt: skip
if "na_value" in inspect.signature(pd.StringDtype).parameters:  # not in pandas 2.2
    kind = pd.StringDtype("python", na_value=np.nan)
    COLUMNS["str python"] = pd.array(with_null(map(str, range(N))), dtype=kind)


@pytest.mark.parametrize("mode", ["cow", "readonly", "copy"])
@pytest.mark.parametrize("name", list(COLUMNS))
def test_column_round_trips(cache: framecache.Cache, name: str, mode: str) -> None:
    frame = pd.DataFrame({name: COLUMNS[name]})
    for part in (
        frame,
        frame.head(0),
        frame.iloc[10:20],
        frame.iloc[::3].reset_index(drop=True),
    ):
        with cache.put("k", part) as stored:
            assert_frame_equal(stored.to_pandas(mode), part)
            assert_series_equal(stored[name].to_pandas(mode), part[name])


def test_all_columns_at_once(cache: framecache.Cache) -> None:
    frame = pd.DataFrame(COLUMNS)
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame)
        table = pa.table(stored)
        table.validate(full=True)
        assert table.num_columns == len(COLUMNS)
        for offset, rows in ((0, 5), (3, 50), (99, 1), (100, 0)):
            part = stored.slice(offset, rows).to_pandas()
            assert_frame_equal(part, frame.iloc[offset : offset + rows])


def test_what_pandas_calls_missing_is_null_to_others(cache: framecache.Cache) -> None:
    names = ["nan", "NaT", "zoned NaT", "str null", "object NaN", "Int64", "category"]
    frame = pd.DataFrame({name: COLUMNS[name] for name in names})
    with cache.put("k", frame) as stored:
        table = pa.table(stored)
        for name in names:
            assert table[name].null_count == int(frame[name].isna().sum()), name
            assert stored[name].null_count == table[name].null_count
        assert stored.slice(1, 50)["nan"].null_count == int(
            frame["nan"][1:51].isna().sum()
        )


INDEXES: dict[str, Any] = {
    "range": pd.RangeIndex(5, 5 + 3 * N, 3, name="r"),
    "backward": pd.RangeIndex(N, 0, -1),
    "numbers": pd.Index(np.arange(N)[::-1].copy()),
    "floats": pd.Index(np.arange(N) / 2, name="f"),
    "text": pd.Index([f"x{n}" for n in range(N)]),
    "objects": pd.Index([f"x{n}" for n in range(N)], dtype=object, name="o"),
    "times": pd.date_range("2020", periods=N, freq="h"),
    "zoned": pd.date_range("2020", periods=N, freq="D", tz="Europe/Paris", name="when"),
    "odd times": pd.DatetimeIndex(np.cumsum(np.arange(N)).astype("M8[s]")),
    "spans": pd.timedelta_range("1s", periods=N, freq="s"),
    "categories": pd.CategoricalIndex(["a", "b"] * (N // 2)),
    "bools": pd.Index([True, False] * (N // 2)),
    "nullable": pd.Index(pd.array(range(N), dtype="Int64")),
    "two": pd.MultiIndex.from_arrays([range(N), ["a", "b"] * (N // 2)], names=list("nm")),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(INDEXES))
def test_index_round_trips(cache: framecache.Cache, kind: str) -> None:
    frame = pd.DataFrame({"x": np.arange(N)}, index=INDEXES[kind])
    with cache.put("k", frame) as stored:
        for mode in ("cow", "copy"):
            assert_frame_equal(stored.to_pandas(mode), frame)
        part = stored.slice(7, 31).to_pandas()
        assert_frame_equal(part, frame.iloc[7:38])
        assert_frame_equal(stored.head(3).slice(1).to_pandas(), frame.iloc[1:3])
        if kind not in ("objects", "nullable"):  # dtypes that pyarrow does not restore
            assert_frame_equal(pa.table(stored).to_pandas(), frame, check_freq=False)
    with cache.put("k", frame.head(0)) as stored:
        empty = stored.to_pandas()
        assert_frame_equal(empty, frame.head(0), check_index_type=versions.INDEX_TYPE)


def test_a_range_is_not_the_index_of_other_rows(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": range(10)}, index=pd.RangeIndex(10, 20))
    keep = pa.array([n % 3 == 0 for n in range(10)])
    with cache.put("k", frame) as stored:
        tables = [pa.table(stored).filter(keep), pa.table(stored.slice(4, 3))]
    for table in tables:
        with cache.put("t", table) as stored:
            assert_frame_equal(stored.to_pandas(), table.to_pandas())
            assert_frame_equal(stored.slice(1).to_pandas(), table[1:].to_pandas())
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
        with cache.put("t", reader) as stored:
            assert stored.to_value().equals(table)


def test_index_named_as_a_column(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index([3, 4], name="x"))
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame)


def test_selection_without_the_index_has_a_plain_one(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1, 2], "y": [3, 4]}, index=["a", "b"])
    with cache.put("k", frame) as stored:
        assert_frame_equal(
            stored.select(["y"]).to_pandas(), frame[["y"]].reset_index(drop=True)
        )


@pytest.mark.parametrize(
    "columns",
    [pd.RangeIndex(3), pd.RangeIndex(2, 8, 2, name="n"), pd.Index([7, 3, 5]),
     pd.Index(["a", "b", "c"], name="letters"), pd.Index(["a", "b", "c"], dtype=object),
     pd.Index(["", " ", "é"])],
)  # fmt: skip
def test_labels_round_trip(cache: framecache.Cache, columns: Any) -> None:
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=columns)
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame, check_column_type="exact")


def test_no_columns_and_no_rows(cache: framecache.Cache) -> None:
    for frame in (pd.DataFrame(), pd.DataFrame(index=range(5)), pd.DataFrame({"a": []})):
        with cache.put("k", frame) as stored:
            assert_frame_equal(stored.to_pandas(), frame)


def test_attributes_come_back(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1]})
    frame.attrs = {"source": "a file", "n": [1, 2]}
    with cache.put("k", frame) as stored:
        stored.to_pandas().attrs["n"].append(3)  # nobody else's
        assert stored.to_pandas().attrs == frame.attrs
    frame.attrs = {"source": object()}
    with pytest.raises(TypeError, match="attrs"):
        cache.put("k", frame)


def test_series_and_index_become_a_table(cache: framecache.Cache) -> None:
    series = pd.Series([1.5, np.nan], index=["a", "b"], name="s")
    with cache.put("k", series) as stored:
        assert_frame_equal(stored.to_pandas(), series.to_frame())
    with cache.put("k", pd.Index([1, 2], name="i")) as stored:
        assert_frame_equal(stored.to_pandas(), pd.DataFrame({"i": [1, 2]}))
    with cache.put("k", pd.Series([1, 2])) as stored:
        assert_frame_equal(stored.to_pandas(), pd.DataFrame([1, 2]))


REFUSED: dict[str, Any] = {
    "things": pd.Series([object(), object()]),
    "sparse": pd.arrays.SparseArray([0, 1]),
    "swapped": np.array([1, 2], dtype=">i4"),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(REFUSED))
def test_column_that_would_come_back_wrong_is_refused(
    cache: framecache.Cache, kind: str
) -> None:
    frame = pd.DataFrame({"fine": range(len(REFUSED[kind])), "the column": REFUSED[kind]})
    with pytest.raises(TypeError, match="the column") as caught:
        cache.put("k", frame)
    assert isinstance(caught.value, framecache.ColumnTypeError)
    assert caught.value.column == "the column"
    assert "k" not in cache


# ---- Without a copy ----


def address(values: Any) -> int:
    return np.asarray(values).__array_interface__["data"][0]


ZERO_COPY = [
    "i64",
    "u8",
    "f32",
    "f64",
    "nan",
    "M8 ns",
    "NaT",
    "m8 s",
    "Paris",
    "zoned NaT",
]


@pytest.mark.parametrize("mode", ["cow", "readonly"])
def test_numbers_and_times_lie_in_the_mapping(cache: framecache.Cache, mode: str) -> None:
    rows = 200_000
    columns = {
        name: pd.Series(COLUMNS[name]).repeat(rows // N).array for name in ZERO_COPY
    }
    with cache.put("k", pd.DataFrame(columns)) as stored:
        frame = stored.to_pandas(mode, require_zero_copy=True)
        files = mapped_files(cache.dir)
        for name in ZERO_COPY:
            values = frame[name]
            if isinstance(values.dtype, pd.DatetimeTZDtype):
                values = values.array.view("i8")
            assert any(a <= address(values) < b for a, b in files), name
        del values, frame


def mapped_files(directory: str) -> list[tuple[int, int]]:
    """Address ranges of this process that files of the directory are mapped at."""
    ranges = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            if directory in line:
                first, last = line.split()[0].split("-")
                ranges.append((int(first, 16), int(last, 16)))
    return ranges


@versions.needs_pandas_3
def test_category_codes_and_strings_lie_in_the_mapping(cache: framecache.Cache) -> None:
    labels = pd.Categorical([f"c{n % 9}" for n in range(300_000)])
    words = pd.array([f"word {n}" for n in range(300_000)], dtype="str")
    with cache.put("k", pd.DataFrame({"c": labels, "s": words})) as stored:
        frame = stored.to_pandas(require_zero_copy=True)
        files = mapped_files(cache.dir)
        codes = frame["c"].array.codes
        assert any(a <= address(codes) < b for a, b in files)
        arrow = frame["s"].array.__arrow_array__()
        data = arrow.chunk(0).buffers()[2].address
        assert any(a <= data < b for a, b in files)
        del frame, codes, arrow


def test_cow_is_writable_and_nobody_else_sees_it(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": np.arange(300_000.0), "y": np.arange(300_000)})
    with cache.put("k", frame) as stored:
        one, two = stored.to_pandas("cow"), stored.to_pandas("cow")
        values = one["x"].to_numpy()
        assert address(values) != address(two["x"].to_numpy())
        one.loc[:, "x"] = 7.0
        one.loc[5, "y"] = -1
        assert_frame_equal(two, frame)
        assert_frame_equal(stored.to_pandas("readonly"), frame)
        assert (one["x"] == 7).all() and one["y"][5] == -1
        column = stored["x"].to_numpy("cow")
        column[0] = 99
        assert stored["x"].to_numpy()[0] == 0
        del one, two, values, column


def test_readonly_cannot_be_written(cache: framecache.Cache) -> None:
    with cache.put("k", pd.DataFrame({"x": np.arange(1000.0)})) as stored:
        frame = stored.to_pandas("readonly")
        values = frame["x"].to_numpy()
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            values.flags.writeable = True
        numbers = stored["x"].to_numpy()
        with pytest.raises(ValueError, match="read-only"):
            numbers[0] = 1
        with pytest.raises(TypeError, match="not writable"):
            (ctypes.c_char * 8).from_buffer(stored._column(0)[7])
        del frame, values, numbers


def test_copy_is_memory_of_its_own(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": np.arange(300_000.0)})
    with cache.put("k", frame) as stored:
        copied = stored.to_pandas("copy")
    assert not any(a <= address(copied["x"]) < b for a, b in mapped_files(cache.dir))
    copied.loc[0, "x"] = 5
    assert_frame_equal(cache["k"].to_pandas("copy"), frame)


@pytest.mark.parametrize("name", ["bool", "Int64", "object", "boolean", "bytes"])
def test_require_zero_copy_names_the_column_and_the_reason(
    cache: framecache.Cache, name: str
) -> None:
    with cache.put("k", pd.DataFrame({"fine": range(N), name: COLUMNS[name]})) as stored:
        with pytest.raises(
            framecache.ColumnTypeError, match=f"column '{name}'.*: "
        ) as caught:
            stored.to_pandas(require_zero_copy=True)
        assert caught.value.column == name


def test_unknown_mode(cache: framecache.Cache) -> None:
    with cache.put("k", pd.DataFrame({"x": [1]})) as stored:
        with pytest.raises(ValueError, match="mode 'shared'"):
            stored.to_pandas("shared")
        with pytest.raises(ValueError, match="mode 'shared'"):
            stored["x"].to_numpy("shared")


# ---- Tables that pyarrow made ----


@pytest.mark.filterwarnings("ignore:The truth value of an empty array")  # pandas 2
def test_pyarrow_tables_come_as_pyarrow_gives_them(cache: framecache.Cache) -> None:
    import samples

    for kind, array in samples.arrays().items():
        table = pa.table({"c": array, "n": range(5)})
        with cache.put("k", table) as stored:
            try:
                theirs = pa.table(stored).to_pandas()
            except (pa.ArrowException, TypeError):
                continue  # pyarrow has no pandas for it
            ours = stored.to_pandas()
            assert_frame_equal(ours, theirs, obj=kind)


def test_pandas_metadata_of_pyarrow_is_honoured(cache: framecache.Cache) -> None:
    frames = [
        pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="i")),
        pd.DataFrame(
            {"x": pd.array([1, None], dtype="Int64")}, index=pd.RangeIndex(3, 7, 2)
        ),
        pd.DataFrame(
            [[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])
        ),
        pd.DataFrame([[1.5, 2]], columns=[10, 20]),
        pd.DataFrame({"c": pd.Categorical(["x", None])}),
    ]
    for frame in frames:
        with cache.put("k", pa.Table.from_pandas(frame)) as stored:
            assert_frame_equal(stored.to_pandas(), frame)
    with (
        cache.put("k", pa.Table.from_pandas(frames[2])) as stored,
        pytest.raises(framecache.ColumnTypeError, match="without a copy"),
    ):
        stored.to_pandas(require_zero_copy=True)


def test_nulls_of_others_become_nan(cache: framecache.Cache) -> None:
    table = pa.table({
        "f": pa.array([1.5, None]), "i": pa.array([1, None]), "b": pa.array([True, None]),
        "t": pa.array([1, None], pa.timestamp("us", "UTC")),
        "c": pa.array(["a", None]).dictionary_encode(),
    })  # fmt: skip
    with cache.put("k", table) as stored:
        assert_frame_equal(stored.to_pandas(), table.to_pandas())
        assert np.isnan(stored["f"].to_numpy()[1])


def test_metadata_that_lies_does_no_harm(cache: framecache.Cache) -> None:
    with cache.put(
        "k", pd.DataFrame({"x": [1.5, np.nan], "y": ["a", "b"]}, index=[5, 6])
    ) as f:
        metadata = pa.table(f).schema.metadata
    other = pa.table({"x": ["now", "text"], "y": [1, None]})
    for table in (
        other.replace_schema_metadata(metadata),
        other.replace_schema_metadata({"pandas": "{", "framecache": "[]"}),
        other.replace_schema_metadata({"pandas": '{"columns": 3}'}),
    ):
        with cache.put("k", table) as stored:
            frame = stored.to_pandas()
            assert frame["x"].tolist() == ["now", "text"]
            assert frame["y"][0] == 1 and np.isnan(frame["y"][1])
            del frame


# ---- Without pyarrow ----

NO_PYARROW = """
import sys
sys.modules["pyarrow"] = None
import decimal
import numpy as np, pandas as pd, framecache
from pandas.testing import assert_frame_equal
assert pd.Series(["a"]).dtype.storage == "python"
frame = pd.DataFrame({
    "i": np.arange(9), "f": [1.5, np.nan, 2] * 3, "b": [True, False, True] * 3,
    "t": pd.date_range("2020", periods=9, tz="Europe/Paris"), "s": ["x", None, "z"] * 3,
    "o": pd.Series(["x", None, "z"] * 3, dtype=object),
    "d": [decimal.Decimal("1.5"), None, decimal.Decimal("1.50")] * 3,
    "c": pd.Categorical(list("abc") * 3),
    "n": pd.array([1, None, 3] * 3, dtype="Int32"),
}, index=pd.Index(list("abcdefghi"), name="key"))
with framecache.Cache(sys.argv[1]) as cache:
    with cache.put("k", frame) as stored:
        assert_frame_equal(stored.to_pandas(), frame)
        assert_frame_equal(stored.slice(2, 3).to_pandas(), frame.iloc[2:5])
        assert stored["s"].to_numpy().tolist() == ["x", None, "z"] * 3
    intervals = pd.interval_range(0, 1)
    for bad in (pd.Series(intervals), pd.Categorical(intervals)):
        try:
            cache.put("bad", pd.DataFrame({"bad": bad}))
        except TypeError as error:
            assert error.column == "bad", error
        else:
            raise AssertionError(bad)
print("fine")
"""


@versions.needs_pandas_3
def test_pandas_without_pyarrow(directory: str) -> None:
    run = [sys.executable, "-W", "error", "-c", NO_PYARROW, directory]
    out = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert (out.returncode, out.stdout) == (0, "fine\n"), out.stderr
