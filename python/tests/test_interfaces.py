"""polars, pyarrow, DuckDB, numpy, nanoarrow and ADBC: in and out."""

import sys
from collections.abc import Iterator
from typing import Any

import adbc_driver_sqlite.dbapi as adbc
import duckdb
import framecache
import nanoarrow as na
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal as assert_polars_equal
from versions import needs_polars_2

# ---- polars ----


def polars_frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "i": [1, None, 3], "f": [1.5, float("nan"), None], "b": [True, None, False],
            "s": ["a", None, "é"], "bytes": [b"x", None, b""],
            "cat": pl.Series(["a", "b", None], dtype=pl.Categorical),
            "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
            "list": [[1], None, [2, 3]], "struct": [{"x": 1}, {"x": None}, None],
            "t": pl.Series([1, 2, None], dtype=pl.Datetime("ms", "Europe/Paris")),
            "d": pl.Series([1, None, 2], dtype=pl.Duration("us")),
            "date": pl.Series([1, None, 2], dtype=pl.Date),
            "time": pl.Series([1, None, 2], dtype=pl.Time), "null": [None] * 3,
        }
    )  # fmt: skip


@needs_polars_2
def test_polars_comes_back(cache: framecache.Cache) -> None:
    given = polars_frame()
    for part in (given, given.head(0), given.slice(1, 2), pl.concat([given, given])):
        with cache.put("k", part) as frame:
            assert_polars_equal(frame.to_polars(), part)
            assert_polars_equal(frame.to_value(), part)
            assert_polars_equal(frame.slice(1).to_polars(), part.slice(1))


def test_a_lazy_frame_is_collected(cache: framecache.Cache) -> None:
    query = polars_frame().lazy().filter(pl.col("i") > 1).select("i", "s")
    with cache.put("k", query) as frame:
        assert_polars_equal(frame.to_value(), query.collect())
        lazy = frame.to_polars().lazy().select(pl.col("i").sum())
        assert lazy.collect().item() == 3


def test_a_query_that_fails_raises_its_own_error(cache: framecache.Cache) -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        cache.put("k", pl.LazyFrame({"a": [1]}).select("b"))
    assert "k" not in cache


# ---- pyarrow ----


@pytest.mark.parametrize("kind", ["table", "batch", "reader", "chunked", "array"])
def test_pyarrow_goes_in(cache: framecache.Cache, kind: str) -> None:
    table = pa.table({"a": [1, 2, 3], "s": ["x", None, "z"]})
    given: dict[str, Any] = {
        "table": table,
        "batch": table.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(
            table.schema, iter(table.to_batches(max_chunksize=2))
        ),
        "chunked": pa.chunked_array([[1, 2], [3]]),
        "array": pa.array([1, 2, 3]),
    }
    with cache.put("k", given[kind]) as frame:
        back = pa.table(frame)
        assert back.column(0).to_pylist() == [1, 2, 3]
        if kind in ("table", "batch", "reader"):
            assert back.to_pylist() == table.to_pylist()
        assert type(frame.to_value()) is (pa.RecordBatch if kind == "batch" else pa.Table)


# ---- DuckDB ----


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


QUERY = (
    "select i, i * 0.5 as x, 's' || (i % 7) as s, i % 2 = 0 as b from range(50000) t(i)"
)


def test_a_relation_goes_in(
    cache: framecache.Cache, duck: duckdb.DuckDBPyConnection
) -> None:
    relation = duck.sql(QUERY)
    with cache.put("k", relation) as frame:
        assert frame.shape == (50_000, 4)
        assert pa.table(frame).to_pylist() == relation.to_arrow_table().to_pylist()
    with cache.put("k", relation.to_arrow_reader(1000)) as frame:
        assert frame.rows == 50_000


def test_a_frame_is_a_table_of_duckdb(
    cache: framecache.Cache, duck: duckdb.DuckDBPyConnection
) -> None:
    with cache.put("k", duck.sql(QUERY)) as frame:
        wanted = duck.sql(f"select s, sum(x) from ({QUERY}) group by s order by s")
        batches = frame.batches(3_000)
        for source in ("frame", "batches"):
            found = duck.sql(f"select s, sum(x) from {source} group by s order by s")
            assert found.fetchall() == wanted.fetchall(), source
            wanted = duck.sql(f"select s, sum(x) from ({QUERY}) group by s order by s")
        reader = pa.RecordBatchReader.from_stream(batches)
        assert [b.num_rows for b in reader] == [3_000] * 16 + [2_000]
        del batches, reader, found


# ---- numpy ----


def structured() -> np.ndarray[Any, Any]:
    dtype = [("i", "i4"), ("f", "f8"), ("b", "?"), ("s", "U5"), ("bytes", "S3"),
             ("t", "M8[ms]"), ("d", "m8[s]"), ("z", "c16"), ("u", "u1")]  # fmt: skip
    values = np.zeros(5, dtype=dtype)
    values["i"], values["f"] = range(5), [1.5, np.nan, 2, 3, -0.0]
    values["b"], values["s"] = [1, 0, 1, 1, 0], ["a", "", "é", "wider", "x"]
    values["bytes"], values["t"] = [b"a", b"", b"xyz", b"b", b"c"], range(5)
    values["t"][2] = "NaT"
    values["z"] = np.arange(5) * 1j
    return values


def test_a_structured_array_comes_back(cache: framecache.Cache) -> None:
    given = structured()
    for part in (given, given[:0], given[::2], given[["i", "s"]]):
        with cache.put("k", part) as frame:
            for back in (frame.to_numpy(), frame.to_value()):
                assert [*back.dtype.fields] == [*part.dtype.fields]
                for name in part.dtype.names:
                    assert back[name].dtype == part[name].dtype
                    np.testing.assert_array_equal(back[name], part[name])
            assert frame.columns == list(part.dtype.names)
    with cache.put("k", given) as frame:
        assert frame.slice(1, 2).to_numpy().tolist()[1] == given[2].tolist()
        assert pa.table(frame)["s"].to_pylist() == given["s"].tolist()
        assert_index = frame.to_pandas()
        assert assert_index["i"].tolist() == [0, 1, 2, 3, 4]


def test_a_table_of_others_as_a_structured_array(cache: framecache.Cache) -> None:
    table = pa.table({
        "i": [1, 2], "n": [1, None], "s": ["x", None], "b": [True, False],
        "c": pa.array(["p", "q"]).dictionary_encode(),
        "cn": pa.array(["p", None]).dictionary_encode(),
        "ci": pa.array([5, 6]).dictionary_encode(),
    })  # fmt: skip
    with cache.put("k", table) as frame:
        array = frame.to_numpy()
        assert array.flags.owndata and array.flags.writeable
        assert array.dtype["i"] == "i8" and array.dtype["n"] == "f8"
        assert array["s"].tolist() == ["x", None] and array["b"].tolist() == [True, False]
        assert array["c"].tolist() == ["p", "q"] and array["cn"].tolist() == ["p", None]
        assert array["ci"].tolist() == [5, 6] and np.isnan(array["n"][1])
    with cache.put("k", pa.table({"fine": [1], "a list": [[1]]})) as frame:
        with pytest.raises(framecache.ColumnTypeError, match="a list") as caught:
            frame.to_numpy()
        assert caught.value.column == "a list"
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with (
        cache.put("k", twice) as frame,
        pytest.raises(framecache.ColumnError, match="'a'"),
    ):
        frame.to_numpy()


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ([("fine", "i4"), ("bad", "i4", (2,))], "'bad'"),
        ([("fine", "i4"), ("bad", [("x", "i4")])], "'bad'"),
        ([("fine", "i4"), ("bad", ">i4")], "'bad'"),
        ([("fine", "i4"), ("bad", "V3")], "'bad'"),
        ([("fine", "i4"), ("bad", "M8[D]")], "'bad'"),
    ],
)
def test_fields_that_are_no_columns_are_refused(
    cache: framecache.Cache, dtype: Any, message: str
) -> None:
    with pytest.raises(framecache.ColumnTypeError, match=message):
        cache.put("k", np.zeros(2, dtype=dtype))
    assert "k" not in cache


def test_arrays_that_are_no_tables_are_refused(cache: framecache.Cache) -> None:
    with pytest.raises(TypeError, match="no table"):
        cache.put("k", np.zeros((2, 2), dtype=[("a", "i4")]))
    with pytest.raises(TypeError, match="mask"):
        cache.put("k", np.ma.zeros(2, dtype=[("a", "i4")]))
    with pytest.raises(TypeError, match="ndarray is no table"):
        cache.put("k", np.zeros(3))


# ---- nanoarrow ----


def test_nanoarrow(cache: framecache.Cache) -> None:
    for given in (
        na.Array([1, 2, None], na.int64()),
        na.c_array([1, 2, None], na.int64()),
        na.ArrayStream([1, 2, None], na.int64()),
    ):
        with cache.put("k", given) as frame:
            assert pa.table(frame).column(0).to_pylist() == [1, 2, None]
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    with cache.put("k", na.Array(table)) as frame:
        assert na.Array(frame).to_pylist() == table.to_pylist()
        assert na.ArrayStream(frame).read_all().to_pylist() == table.to_pylist()
        assert na.Array(frame["b"]).to_pylist() == ["x", None]
        assert na.c_schema(frame.schema).n_children == 2


# ---- ADBC ----


def test_adbc_results_go_in_as_streams(cache: framecache.Cache) -> None:
    query = "select 1 as a, 'x' as b union all select 2, null"
    wanted = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    with adbc.connect() as connection, connection.cursor() as cursor:
        for fetch in (cursor.fetch_record_batch, cursor.fetch_arrow):
            cursor.execute(query)
            with cache.put("k", fetch()) as frame:
                assert pa.table(frame).to_pylist() == wanted


def test_streams_do_not_pass_pandas(
    cache: framecache.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    import framecache._pandas_in as inward

    def never(*_: Any) -> Any:
        raise AssertionError("pandas was asked to encode")

    monkeypatch.setattr(inward, "_from_frame", never)
    with duckdb.connect() as connection:
        cache.put("k", connection.sql("select 1 as a")).release()
    cache.put("k", pl.DataFrame({"a": [1]})).release()
    with pytest.raises(AssertionError):
        cache.put("k", pd.DataFrame({"a": [1]}))
    assert "pandas" in sys.modules


# ---- Columns longer than their table ----


def struct_of(rows: int, *columns: pa.Array) -> pa.Array:
    kind = pa.struct([(f"c{n}", column.type) for n, column in enumerate(columns)])
    return pa.Array.from_buffers(kind, rows, [None], children=list(columns))


def test_a_column_longer_than_its_table_is_cut(cache: framecache.Cache) -> None:
    with cache.put("k", struct_of(2, pa.array([1, 2, 3]), pa.array(["a", "b"]))) as frame:
        assert pa.table(frame).to_pylist() == [{"c0": 1, "c1": "a"}, {"c0": 2, "c1": "b"}]
