"""The route below HTTP: a frame and a request in, a status and an Arrow stream out."""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import zlib
from typing import Any

import framecache
import numpy as np
import pyarrow as pa
import pytest
from framecache.dash import _serve
from framecache.dash._query import Limits

ROWS = 200_000


@functools.cache
def samples() -> pa.Table:
    rng = np.random.default_rng(5)
    value = np.sin(np.arange(ROWS) / 5_000) + rng.normal(0, 0.01, ROWS)
    value[77_777] = 9.0
    start = np.datetime64("2013-01-01", "us")
    return pa.table(
        {
            "time": start + np.arange(ROWS) * np.timedelta64(1, "m"),
            "value": value,
            "delay": pa.array(
                [None if i % 10 == 0 else i % 100 for i in range(ROWS)], pa.int64()
            ),
            "carrier": ["AA" if i % 3 else "UA" for i in range(ROWS)],
            "late": np.arange(ROWS) % 2 == 0,
        }
    )


@pytest.fixture
def frame(cache: framecache.Cache) -> Any:
    with cache.put("t", samples()) as frame:
        yield frame


def ask(frame: Any, **query: Any) -> _serve.Answer:
    return _serve.answer(frame, json.dumps(query) if query else None)


def table_of(answer: _serve.Answer) -> pa.Table:
    body = b"".join(answer.body)
    assert answer.status == 200, body
    return pa.ipc.open_stream(body).read_all()


def error_of(answer: _serve.Answer) -> str:
    assert answer.headers["Content-Type"] == "application/json"
    return str(json.loads(b"".join(answer.body))["error"])


def test_whole_frame_comes_in_batches(frame: Any) -> None:
    answer = ask(frame)
    pieces = list(answer.body)
    assert len(pieces) == 5  # four batches, and the end
    table = pa.ipc.open_stream(b"".join(pieces)).read_all()
    assert table.num_rows == ROWS
    assert table["value"].to_pylist() == frame["value"].to_numpy().tolist()
    assert table.schema.field("carrier").type == pa.string()


def test_columns_come_in_the_order_asked_by_name_or_number(frame: Any) -> None:
    table = table_of(ask(frame, columns=["carrier", 0], rows=[5, 8]))
    assert table.column_names == ["carrier", "time"]
    assert table["carrier"].to_pylist() == ["AA", "UA", "AA"]


def test_rows_beyond_the_end_are_none(frame: Any) -> None:
    assert table_of(ask(frame, rows=[ROWS - 2, ROWS + 50])).num_rows == 2
    assert table_of(ask(frame, rows=[ROWS + 1, None])).num_rows == 0
    assert table_of(ask(frame, rows=[3, 3])).num_rows == 0


def test_rows_count_what_the_filter_left(frame: Any) -> None:
    asked = {"carrier": "UA", "delay": {"min": 10, "max": 20}}
    whole = pa.table(frame).to_pandas()
    want = whole[(whole.carrier == "UA") & whole.delay.between(10, 20)]
    got = table_of(ask(frame, filter=asked)).to_pandas()
    assert got.value.tolist() == want.value.tolist()
    some = table_of(ask(frame, filter=asked, rows=[7, 12]))
    assert some["value"].to_pylist() == want.value.tolist()[7:12]


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ({"delay": None}, ROWS // 10),
        ({"delay": [1, 2, None]}, ROWS // 10 + ROWS // 50),
        ({"delay": {"min": 98.5}}, ROWS // 100),
        ({"late": True}, ROWS // 2),
        ({"time": {"max": "2013-01-01T00:04:00Z"}}, 5),
        ({"time": {"max": "2013-01-01T01:04:00+01:00"}}, 5),
        ({"time": {"max": 1356998400000 + 240_000}}, 5),
        ({"carrier": ["UA", "nobody"]}, (ROWS + 2) // 3),
        ({"delay": 10**30}, 0),
        ({"delay": [1, 2.5, 10**30, -1e300]}, ROWS // 100),
        ({"carrier": "UA", "late": False, "time": {"max": "2013-01-01T00:20"}}, 3),
    ],
)
def test_filters_by_value_list_range_and_null(
    frame: Any, wanted: dict[str, Any], rows: int
) -> None:
    assert table_of(ask(frame, filter=wanted, columns=["value"])).num_rows == rows


@pytest.mark.parametrize(
    "wanted", ["0e-99999999", "1e-999999999", "1e999999999", "nan", "-inf", True, "1,5"]
)
def test_no_decimal_kills_the_server(cache: framecache.Cache, wanted: object) -> None:
    with cache.put("money", pa.table({"euro": [decimal.Decimal("1.50")]})) as frame:
        assert table_of(ask(frame, filter={"euro": "1.5"})).num_rows == 1
        assert "is no value of type" in error_of(ask(frame, filter={"euro": wanted}))


@pytest.mark.parametrize("method", ["minmax", "lttb", "minmaxlttb"])
@pytest.mark.parametrize("x", ["time", None])
def test_downsampling_keeps_the_shape(frame: Any, method: str, x: str | None) -> None:
    asked = {"x": x, "y": "value", "points": 500, "method": method}
    table = table_of(ask(frame, columns=["time", "value"], downsample=asked))
    assert 400 <= table.num_rows <= 500
    times = table["time"].to_numpy()
    assert (times[:-1] < times[1:]).all()
    if method != "lttb":
        assert max(table["value"].to_pylist()) == 9.0


def test_downsampling_leaves_nulls_out_and_obeys_rows_and_filter(frame: Any) -> None:
    asked = {"x": "time", "y": "delay", "points": 100}
    table = table_of(ask(frame, rows=[1000, 50_000], downsample=asked))
    assert table.num_rows <= 100
    assert table["delay"].null_count == 0
    assert table["time"][0].as_py() >= datetime.datetime(2013, 1, 1, 16, 40)
    table = table_of(ask(frame, filter={"carrier": "UA"}, downsample=asked))
    assert set(table["carrier"].to_pylist()) == {"UA"}


def test_few_rows_are_not_downsampled(frame: Any) -> None:
    asked = {"y": "delay", "points": 100}
    assert table_of(ask(frame, rows=[0, 100], downsample=asked)).num_rows == 100


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ({"columns": ["nope"]}, 400, "no column 'nope'"),
        ({"columns": [5]}, 400, "no column 5; there are 5"),
        ({"columns": [-1]}, 400, "-1 is no column"),
        ({"columns": [True]}, 400, "true is no column"),
        ({"columns": ["time", 0]}, 400, "twice"),
        ({"columns": []}, 400, "no list"),
        ({"columns": "time"}, 400, "no list"),
        ({"rows": [-5, 5]}, 400, "0 or more"),
        ({"rows": [5, 4]}, 400, "not before the first"),
        ({"rows": [0.5, 4]}, 400, "whole numbers"),
        ({"rows": 10}, 400, "no pair"),
        ({"filter": ["carrier"]}, 400, "no object"),
        ({"filter": {"nope": 1}}, 400, "no column 'nope'"),
        ({"filter": {"delay": "x"}}, 400, "column 'delay': \"x\" is no value of type"),
        ({"filter": {"carrier": 1}}, 400, "column 'carrier'"),
        ({"filter": {"late": 1}}, 400, "column 'late'"),
        ({"filter": {"time": "yesterday"}}, 400, "column 'time'"),
        ({"filter": {"time": 1e300}}, 400, "column 'time'"),
        ({"filter": {"delay": {"from": 1}}}, 400, "a range is"),
        ({"filter": {"delay": {}}}, 400, "a range is"),
        ({"filter": {"delay": list(range(1001))}}, 400, "at most 1000"),
        ({"downsample": {"x": "time"}}, 400, "no y"),
        ({"downsample": 7}, 400, "downsample is"),
        ({"downsample": {"y": "value", "points": 1_000_000}}, 413, "at most 100000"),
        ({"downsample": {"y": "value", "points": -1}}, 400, "4 at least"),
        ({"downsample": {"y": "value", "method": "magic"}}, 400, "there are minmax"),
        ({"downsample": {"y": "carrier"}}, 400, "no line to draw"),
        ({"downsample": {"x": "value", "y": "delay"}}, 400, "does not ascend"),
        ({"limit": 5}, 400, 'no parameter "limit"'),
    ],
)
def test_bad_requests_say_what_is_wrong(
    frame: Any, query: dict[str, Any], status: int, says: str
) -> None:
    answer = ask(frame, **query)
    assert answer.status == status
    assert says in error_of(answer)


@pytest.mark.parametrize(
    "text", ["{", "[]", '"x"', "NaN", '{"rows": [0, Infinity]}', "[" * 5000]
)
def test_parameters_that_are_no_json_object_are_refused(frame: Any, text: str) -> None:
    answer = _serve.answer(frame, text)
    assert answer.status == 400
    assert "JSON" in error_of(answer)


def test_limits_hold_and_name_the_remedy(frame: Any) -> None:
    answer = _serve.answer(frame, None, limits=Limits(rows=1000))
    assert answer.status == 413
    text = error_of(answer)
    assert "200000 rows, at most 1000" in text
    assert "downsample" in text
    answer = _serve.answer(frame, None, limits=Limits(bytes=1000))
    assert answer.status == 413
    assert "at most 1000" in error_of(answer)
    answer = _serve.answer(frame, " " * 9000)
    assert answer.status == 414
    assert "at most 8000" in error_of(answer)


def test_gzip_only_where_it_is_taken_and_helps(cache: framecache.Cache) -> None:
    even = cache.put("even", pa.table({"x": np.zeros(100_000)}))
    noise = np.random.default_rng(1).random(100_000)
    odd = cache.put("odd", pa.table({"x": noise}))
    packed = _serve.answer(even, None, accept_encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"].startswith("Accept-Encoding")
    body = zlib.decompress(b"".join(packed.body), wbits=31)
    assert pa.ipc.open_stream(body).read_all().num_rows == 100_000
    for frame, taken in ((even, ""), (even, "br, gzip;q=0"), (odd, "gzip")):
        plain = _serve.answer(frame, None, accept_encoding=taken)
        assert "Content-Encoding" not in plain.headers
        assert table_of(plain).num_rows == 100_000
    even.release()
    odd.release()


def test_etag_is_of_the_generation_and_the_parameters(cache: framecache.Cache) -> None:
    first = cache.put("k", pa.table({"x": [1], "y": [2]}))
    tag = ask(first).headers["ETag"]
    assert ask(first).headers["ETag"] == tag
    assert ask(first, columns=["x"]).headers["ETag"] != tag
    assert "k" not in json.loads(tag.removeprefix("W/"))
    same = _serve.answer(first, None, if_none_match=f'"a", {tag}')
    assert (same.status, list(same.body)) == (304, [])
    assert same.headers["ETag"] == tag
    second = cache.put("k", pa.table({"x": [1], "y": [2]}))
    again = _serve.answer(second, None, if_none_match=tag)
    assert again.status == 200
    assert again.headers["Cache-Control"] == "private, no-cache"
    first.release()
    second.release()


def test_bad_request_with_a_fitting_etag_is_still_refused(frame: Any) -> None:
    answer = _serve.answer(frame, '{"columns": ["nope"]}', if_none_match="*")
    assert answer.status == 400


D = decimal.Decimal


@pytest.mark.parametrize(
    ("array", "type"),
    [
        (pa.array([D("1.25"), None], pa.decimal128(9, 2)), pa.float64()),
        (pa.array([D("-1.25"), None], pa.decimal64(18, 2)), pa.string()),
        (pa.array([D("1.25"), None], pa.decimal256(60, 2)), pa.string()),
        (pa.array([np.float16(1.5), None], pa.float16()), pa.float32()),
        (pa.array(["a", None], pa.string_view()), pa.string()),
        (pa.array([b"a", None], pa.large_binary()), pa.binary()),
        (pa.array([[1], None], pa.list_view(pa.int32())), pa.list_(pa.int32())),
        (pa.array([[D("1.5")], None], pa.list_(pa.decimal128(5, 1))), None),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), pa.string()),
        (
            pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), ["a", "b"]),
            pa.dictionary(pa.int32(), pa.string()),
        ),
        (pa.array([{"a": D("1.5")}, None], pa.struct({"a": pa.decimal128(5, 1)})), None),
    ],
    ids=str,
)
def test_types_that_no_browser_reads_are_cast(
    cache: framecache.Cache, array: Any, type: Any
) -> None:
    with cache.put("k", pa.table({"c": array})) as frame:
        for query in ({}, {"filter": {"c": None}}, {"rows": [1, None]}):
            table = table_of(ask(frame, **query))
            if type is not None:
                assert table.schema.field("c").type == type
            assert "decimal" not in str(table.schema)
    with cache.put("k", pa.table({"c": array})) as frame:
        got = table_of(ask(frame))["c"].to_pylist()
    want = array.to_pylist()
    assert len(got) == len(want)
    assert [g is None for g in got] == [w is None for w in want]


def test_strings_beyond_the_32_bit_offsets_are_moved() -> None:
    from framecache.dash import _browser

    offsets = np.array([2**31 + 5, 2**31 + 6, 2**31 + 8], np.int64)
    text = np.zeros(2**31 + 16, np.uint8)  # pages that are never written
    text[2**31 + 5 : 2**31 + 8] = list(b"abc")
    array = pa.Array.from_buffers(
        pa.large_string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )
    given = pa.record_batch({"c": array})
    cast = _browser.batch(given, _browser.schema(given.schema))
    assert cast["c"].to_pylist() == ["a", "bc"]


def test_frame_is_held_while_the_body_is_read(cache: framecache.Cache) -> None:
    frame = cache.put("k", pa.table({"x": np.arange(200_000)}))
    answer = ask(frame)
    frame.release()
    cache.delete("k")
    assert table_of(answer)["x"].to_pylist()[-1] == 199_999


def test_no_columns_or_no_rows_are_tables_too(cache: framecache.Cache) -> None:
    with cache.put("k", pa.table({"x": pa.array([], pa.int8())})) as frame:
        assert table_of(ask(frame)).num_rows == 0
        asked = {"y": "x", "points": 10}
        assert table_of(ask(frame, downsample=asked)).num_rows == 0
