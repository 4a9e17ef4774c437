"""narwhals takes a Frame through its public plugin entry point, and so do its users."""

import subprocess
import sys
from typing import Any

import framecache
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

nw = pytest.importorskip("narwhals")
pytest.importorskip("narwhals.plugins")  # of versions from 2.8 on

DF = pd.DataFrame(
    {"a": [1, 2, 2], "b": ["x", None, "z"], "t": pd.date_range("2020", periods=3)}
)
TABLES: dict[str, tuple[Any, type]] = {
    "pandas": (DF.set_index("b"), pd.DataFrame),
    "polars": (pl.DataFrame(DF), pl.DataFrame),
    "pyarrow": (pa.table({"a": [1, 2, 2]}), pa.Table), "series": (DF["a"], pd.DataFrame),
    "batch": (pa.record_batch({"a": [1, 2, 2]}), pa.Table),
    "polars series": (pl.Series("a", [1, 2, 2]), pl.DataFrame),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TABLES))
def test_a_frame_is_a_dataframe_of_the_kind_that_was_put(
    cache: framecache.Cache, kind: str
) -> None:
    put, native = TABLES[kind]
    with cache.put("k", put) as frame:
        made = nw.from_native(frame, eager_only=True)
        assert type(made.to_native()) is native
        assert made["a"].to_list() == [1, 2, 2]
        assert made.filter(nw.col("a") > 1).shape[0] == 2
        assert made.group_by("a").agg(nw.len()).shape == (2, 2)
        series = nw.from_native(frame["a"], series_only=True)
        assert series.to_list() == [1, 2, 2] and series.sum() == 5
        if kind == "pandas":
            pd.testing.assert_frame_equal(made.to_native(), put)
        del made, series


def test_each_version_of_the_api_takes_it(cache: framecache.Cache) -> None:
    import narwhals.stable.v1 as v1
    import narwhals.stable.v2 as v2

    with cache.put("k", DF) as frame:
        for api in (v1, v2):
            made = api.from_native(frame)
            assert type(made) is api.DataFrame and made.shape == (3, 3)

        @nw.narwhalify
        def rows(table: Any) -> Any:
            return table.filter(nw.col("a") == 2)

        assert list(rows(frame).index) == [1, 2]
        with pytest.raises(TypeError, match="series"):
            nw.from_native(frame["a"])
        del made


def test_altair_and_plotly_take_a_frame(cache: framecache.Cache) -> None:
    altair = pytest.importorskip("altair")
    from plotly import express

    with cache.put("k", DF) as frame:
        chart = altair.Chart(frame).mark_point().encode(x="a", y="b").to_dict()
        (rows,) = chart["datasets"].values()
        assert [row["a"] for row in rows] == [1, 2, 2]
        assert chart["encoding"]["x"]["type"] == "quantitative"
        figure = express.scatter(frame, x="t", y="a")
        assert sorted(y for trace in figure.data for y in trace.y) == [1, 2, 2]


ALONE = """
import narwhals, sys
class Other: pass
assert narwhals.from_native(Other(), pass_through=True).__class__ is Other
heavy = {"numpy", "pandas", "polars", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""


def test_it_imports_nothing_heavy_for_what_is_not_ours() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE], check=True)
