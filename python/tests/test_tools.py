"""polars and DuckDB: tool(frame) equals tool(pyarrow table), uncopied where they can."""

import duckdb
import framecache
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import samples
from polars.testing import assert_frame_equal, assert_series_equal

ARRAYS = samples.arrays()


class Stream:
    """A pyarrow table by its C stream only, as polars sees a frame."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def polars_of(table: object) -> pl.DataFrame | None:
    try:
        return pl.DataFrame(table)
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        TypeError,
        ValueError,
    ):
        return None


@pytest.mark.parametrize("kind", list(ARRAYS))
@pytest.mark.filterwarnings("ignore:Extension type:UserWarning")
def test_polars_equals_polars_of_pyarrow(
    cache: framecache.Cache, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    table = pa.table({"c": ARRAYS[kind], "n": list(range(5))})
    with cache.put("k", table) as frame:
        expected = polars_of(pa.table(frame))
        if expected is None:
            pytest.skip("polars does not take the type")
        assert_frame_equal(frame.to_polars(), expected)
        assert_series_equal(frame["c"].to_polars(), expected["c"])
        if kind.startswith(("decimal32", "decimal64")):
            return  # polars reads these beyond their end, pyarrow's too
        assert_frame_equal(pl.DataFrame(frame), expected)
        if polars_of(Stream(pa.table(frame).slice(1, 3))) is not None:
            assert_frame_equal(pl.DataFrame(frame.slice(1, 3)), expected.slice(1, 3))


def test_polars_goes_in(cache: framecache.Cache) -> None:
    data = pl.DataFrame({
        "i": [1, None, 3], "s": ["a", None, "c"], "l": [[1], None, []],
        "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical), "b": [True, None, False],
    })  # fmt: skip
    with cache.put("k", data) as frame:
        assert_frame_equal(frame.to_polars(), data, categorical_as_str=True)
    with cache.put("k", data["i"]) as frame:
        assert frame["i"].to_polars().to_list() == [1, None, 3]
    with cache.put("k", data.lazy().filter(pl.col("i") > 1).collect()) as frame:
        assert frame.rows == 1


def test_polars_numbers_are_not_copied(cache: framecache.Cache) -> None:
    numbers = pa.table({"x": np.arange(300_000.0)})
    with cache.put("k", numbers) as frame:
        series = frame.to_polars()["x"]
        ours = frame["x"].to_numpy().__array_interface__["data"][0]
        theirs = series.to_numpy(allow_copy=False).__array_interface__["data"][0]
        assert ours == theirs
        del series


def duckdb_of(table: object) -> list[tuple[object, ...]] | None:
    with duckdb.connect() as connection:
        try:
            connection.register("t", table)
            return connection.sql("select * from t").fetchall()
        except duckdb.Error:
            return None


@pytest.mark.parametrize("kind", list(ARRAYS))
def test_duckdb_equals_duckdb_of_pyarrow(cache: framecache.Cache, kind: str) -> None:
    table = pa.table({"c": ARRAYS[kind], "n": list(range(5))})
    with cache.put("k", table) as frame:
        expected = duckdb_of(pa.table(frame))
        if expected is None:
            pytest.skip("DuckDB does not take the type")
        assert duckdb_of(frame) == expected
        assert duckdb_of(frame.slice(2)) == expected[2:]


def test_duckdb_finds_the_frame_by_its_name(cache: framecache.Cache) -> None:
    table = pa.table({"g": ["a", "b"] * 5000, "x": list(range(10_000))})
    with cache.put("k", table) as frame:  # noqa: F841 - DuckDB sees it
        total = duckdb.sql("select g, sum(x) from frame group by g order by g").fetchall()
    assert total == [("a", 24_995_000), ("b", 25_000_000)]


def test_duckdb_goes_in(cache: framecache.Cache) -> None:
    with duckdb.connect() as connection:
        relation = connection.sql("select range as x, 'v' || range as s from range(5000)")
        with cache.put("k", relation) as frame:
            assert frame.shape == (5000, 2)
            assert pa.table(frame)["s"][4999].as_py() == "v4999"
        del relation
