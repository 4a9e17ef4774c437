"""Tables inside of values, and figures."""

import gc
import json
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from framecache import _core, _values, _values_in

TABLE = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "text": ["x", None, "z"],
        "when": pd.to_datetime(["2024-02-29", None, "2024-03-01"]).tz_localize("UTC"),
        "flag": pd.array([True, None, False], dtype="boolean"),
        "code": pd.Categorical(["u", "v", "u"]),
    },
    index=pd.Index([5, 6, 7], name="id"),
)


def leased(cache: framecache.Cache) -> list[str]:
    return [info["key"] for info in cache.infos() if info["leased"]]


def test_tables_of_pandas_come_back(cache: framecache.Cache) -> None:
    value = {
        "table": TABLE,
        "part": [TABLE.iloc[1:], TABLE["text"], TABLE.index],
        "empty": (TABLE.iloc[:0], pd.DataFrame()),
    }
    cache.put_value("k", value)
    back = cache.get_value("k")
    pd.testing.assert_frame_equal(back["table"], TABLE)
    pd.testing.assert_frame_equal(back["part"][0], TABLE.iloc[1:])
    pd.testing.assert_series_equal(back["part"][1], TABLE["text"])
    pd.testing.assert_index_equal(back["part"][2], TABLE.index)
    pd.testing.assert_frame_equal(back["empty"][0], TABLE.iloc[:0])
    pd.testing.assert_frame_equal(back["empty"][1], pd.DataFrame())


def test_tables_of_others_come_back(cache: framecache.Cache) -> None:
    table = pl.DataFrame({"a": [1.5, None], "b": ["x", "y"]})
    chunked = pa.concat_tables([pa.table({"x": [1, 2]}), pa.table({"x": [3]})])
    value = [table, table["b"], chunked, chunked.to_batches()[0], table.clear()]
    value += [chunked.slice(1, 1), pa.table({"x": pa.array([], "int64")}), table[1:]]
    value += [pl.concat([table, table], rechunk=False)]
    cache.put_value("k", value)
    back = cache.get_value("k")
    assert [type(item) for item in back] == [type(item) for item in value]
    for there, here in zip(back, value, strict=True):
        assert there.equals(here)


def test_a_frame_inside_is_a_frame(cache: framecache.Cache) -> None:
    cache["table"] = TABLE
    with cache["table"] as frame:
        cache.put_value("k", {"all": frame, "part": frame.slice(1, 2)})
    back = cache.get_value("k")
    assert type(back["all"]) is framecache.Frame
    pd.testing.assert_frame_equal(back["all"].to_pandas(), TABLE)
    pd.testing.assert_frame_equal(back["part"].to_pandas("readonly"), TABLE.iloc[1:])
    assert back["part"].select(["n"]).slice(1)["n"].to_numpy().tolist() == [3]
    assert pa.table(back["part"])["n"].to_pylist() == [2, 3]
    part = framecache.content_hash(back["part"])
    assert framecache.content_hash(back["all"].slice(1)) == part
    assert framecache.content_hash(back["all"]) != part


def test_tables_of_one_value_are_told_apart_as_arguments(
    cache: framecache.Cache,
) -> None:
    for number in (1, 2):
        cache[f"t{number}"] = pd.DataFrame({"x": [number]})
    with cache["t1"] as one, cache["t2"] as two:
        cache.put_value("k", [one, two])

    @cache.memoize
    def total(frame: framecache.Frame) -> int:
        return int(frame["x"].to_numpy().sum())

    assert [total(frame) for frame in cache.get_value("k")] == [1, 2]


def test_tables_inside_lie_over_the_mapping(cache: framecache.Cache) -> None:
    rows = 1 << 18
    table = pd.DataFrame({"x": np.arange(rows, dtype="f8"), "y": np.ones(rows)})
    cache.put_value("k", {"table": table})
    with cache["k"] as frame:
        inside = frame._nested(frame.columns.index("table 0"))
        assert inside.to_pandas("readonly", require_zero_copy=True).equals(table)
        address = inside["x"].to_numpy().ctypes.data
        del inside
    back = cache.get_value("k")["table"]
    back.iloc[0, 0] = -1.0  # of its own
    polars = cache.get_value("k")["table"]
    assert polars.iloc[0, 0] == 0.0
    cache.put_value("p", [pl.DataFrame({"x": np.arange(rows, dtype="f8")})])
    first, again = cache.get_value("p")[0], cache.get_value("p")[0]
    addresses = {t["x"].to_numpy().ctypes.data for t in (first, again)}
    assert len(addresses) == 1
    assert address not in addresses
    del back, polars, first, again
    gc.collect()
    assert leased(cache) == []


def test_a_column_that_cannot_be_kept_is_named(cache: framecache.Cache) -> None:
    bad = pd.DataFrame({"fine": [1], "mixed": [object()]})
    with pytest.raises(TypeError, match=r"value\['t'\]\[1\]: column 'mixed'"):
        cache.put_value("k", {"t": [1, bad]})


class Failing:
    """A stream that gives no batch."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        def batches() -> Any:
            raise RuntimeError("the database has gone")
            yield

        schema = pa.schema([("x", pa.int64())])
        reader = pa.RecordBatchReader.from_batches(schema, batches())
        return reader.__arrow_c_stream__(requested_schema)


def test_a_stream_that_fails_says_why(cache: framecache.Cache) -> None:
    with pytest.raises(framecache.SystemCallError, match="the database has gone"):
        cache.put_value("k", [Failing()])
    with pytest.raises(TypeError, match="capsule"):
        _core.stream_batches("x")
    assert cache.get_value("k") is None


def test_a_damaged_reference_to_a_table_is_an_error(cache: framecache.Cache) -> None:
    for tree in (b'{"table": [null, 0]}', b'{"table": ["polars", "x"]}'):
        columns = [_values._column("tree", tree, len(tree))]
        options = (0, 0, 0.0, 0, False, ())
        cache._put_columns("k", options, columns, 1, _values._METADATA).release()
        with pytest.raises(framecache.CorruptError):
            cache.get_value("k")


# ---- Figures ----


def test_figures_come_back(cache: framecache.Cache) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    x = np.linspace(0, 1, 10_000)
    figure = go.Figure(
        [go.Scatter(x=x, y=np.sin(x), name="wave"), go.Bar(x=["a", "b"], y=[1, 2])],
        layout={"title": {"text": "Two"}, "xaxis": {"range": [0, 1]}},
        frames=[go.Frame(data=[go.Bar(y=[3, 4])], name="next")],
    )
    cache.put_value("k", {"figure": figure})
    back = cache.get_value("k")["figure"]
    assert type(back) is go.Figure
    assert json.loads(back.to_json()) == json.loads(figure.to_json())
    assert leased(cache) == []  # plotly copies what it is given
    assert np.array_equal(back.data[0].x, x)
    back.update_layout(title_text="Three")  # its own
    back.data[0].update(name="line")
    assert cache.get_value("k")["figure"].layout.title.text == "Two"
    tree = _values_in.encode(figure)
    assert len(tree.tree) < 20_000  # the numbers are no text
    assert len(tree.large) == 2


def test_figures_of_dates_and_categories_come_back(cache: framecache.Cache) -> None:
    px = pytest.importorskip("plotly.express")
    table = pd.DataFrame(
        {
            "day": pd.date_range("2024-01-01", periods=4),
            "n": [1, 2, 3, 4],
            "c": list("abab"),
        }
    )
    figure = px.line(table, x="day", y="n", color="c")
    cache.put_value("k", figure)
    back = cache.get_value("k")
    assert json.loads(back.to_json()) == json.loads(figure.to_json())


def test_columns_are_no_tables_and_are_refused_by_their_path(
    cache: framecache.Cache,
) -> None:
    with cache.put("t", pa.table({"x": [1]})) as frame:
        for column in (pa.array([1, 2]), pa.chunked_array([[1], [2]]), frame["x"]):
            name = type(column).__name__
            with pytest.raises(TypeError, match=rf"value\['a'\]: a {name} is a column"):
                cache.put_value("k", {"a": column})
    assert "k" not in cache
