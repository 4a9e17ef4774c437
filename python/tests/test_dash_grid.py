"""AG Grid's requests against a frame, beside what pandas says."""

from __future__ import annotations

import decimal
import json
import threading
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from framecache.dash import _serve, grid
from framecache.dash.grid import RequestError, grid_columns, grid_rows

ROWS = 3_000


def samples() -> pa.Table:
    rng = np.random.default_rng(3)
    text = np.array(["Anna", "bert", "Carl", "dora"])[rng.integers(0, 4, ROWS)]
    hours = np.datetime64("2013-01-01", "us") + rng.integers(
        0, 48, ROWS
    ) * np.timedelta64(1, "h")
    return pa.table(
        {
            "row": np.arange(ROWS),
            "text": pa.array(text, mask=rng.random(ROWS) < 0.1),
            "kind": pa.array(text).dictionary_encode(),
            "small": rng.integers(-5, 5, ROWS).astype(np.int8),
            "byte": rng.integers(-128, 128, ROWS).astype(np.int8),
            "short": rng.integers(-(2**15), 2**15, ROWS).astype(np.int16),
            "wide": rng.integers(-(2**60), 2**60, ROWS),
            "middle": pa.array(rng.integers(0, 2**31, ROWS), mask=rng.random(ROWS) < 0.2),
            "real": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.1),
            "time": pa.array(hours, mask=rng.random(ROWS) < 0.1),
            "truth": rng.random(ROWS) < 0.5,
            "money": pa.array([decimal.Decimal(i % 7) / 2 for i in range(ROWS)]),
        }
    )


TABLE = samples()
DF = TABLE.to_pandas()


@pytest.fixture
def frame(cache: framecache.Cache) -> Any:
    with cache.put("t", TABLE) as frame:
        yield frame


def rows(frame: Any, **request: Any) -> list[int]:
    request = {"startRow": 0, "endRow": ROWS} | request
    got = grid_rows(frame, request, columns=["row"])
    assert got is not None
    assert got["rowCount"] == len(got["rowData"])
    return [row["row"] for row in got["rowData"]]


def by(*columns: str) -> list[dict[str, str]]:
    return [
        {"colId": c.removeprefix("-"), "sort": "desc" if c[0] == "-" else "asc"}
        for c in columns
    ]


@pytest.mark.parametrize(
    "column",
    ["text", "kind", "small", "byte", "short", "wide", "middle", "real", "time", "truth",
     "money"],
)  # fmt: skip
@pytest.mark.parametrize("down", [False, True])
def test_sorts_as_pandas_does_nulls_last(frame: Any, column: str, down: bool) -> None:
    keys = DF[column].astype(float if column == "money" else DF[column].dtype)
    keys = keys.astype(str).where(keys.notna()) if column == "kind" else keys
    want = keys.sort_values(ascending=not down, kind="stable", na_position="last")
    assert rows(frame, sortModel=by(("-" if down else "") + column)) == list(want.index)


def test_sorts_by_several_columns(frame: Any) -> None:
    want = DF.sort_values(
        ["small", "text", "real"], ascending=[False, True, False], kind="stable"
    )
    assert rows(frame, sortModel=by("-small", "text", "-real")) == list(want.row)


def text(operation: str, wanted: str | None = None) -> dict[str, Any]:
    return {"filterType": "text", "type": operation, "filter": wanted}


def number(operation: str, wanted: float, to: float | None = None) -> dict[str, Any]:
    return {"filterType": "number", "type": operation, "filter": wanted, "filterTo": to}


def date(operation: str, first: str, to: str | None = None) -> dict[str, Any]:
    return {"filterType": "date", "type": operation, "dateFrom": first, "dateTo": to}


SOME = int(DF.middle.dropna().iloc[0])
DAY2 = pd.Timestamp("2013-01-02")
FILTERS: list[tuple[str, dict[str, Any], Any]] = [
    ("text", text("contains", "AN"), DF.text.str.contains("an", case=False)),
    (
        "text",
        text("notContains", "an"),
        ~DF.text.str.contains("an", case=False, na=False),
    ),
    ("text", text("equals", "BERT"), DF.text == "bert"),
    ("text", text("notEqual", "bert"), DF.text != "bert"),
    ("text", text("startsWith", "c"), DF.text == "Carl"),
    ("text", text("endsWith", "A"), DF.text.isin(["Anna", "dora"])),
    ("text", text("blank"), DF.text.isna()),
    ("text", text("notBlank"), DF.text.notna()),
    ("kind", text("contains", "r"), DF.kind.isin(["bert", "Carl", "dora"])),
    ("kind", {"filterType": "set", "values": ["bert"]}, DF.kind == "bert"),
    ("text", {"filterType": "set", "values": [None]}, DF.text.isna()),
    ("small", {"filterType": "set", "values": [2, 3.0, 2.5, 300]}, DF.small.isin([2, 3])),
    ("small", number("equals", 2), DF.small == 2),
    ("small", number("notEqual", 2), DF.small != 2),
    ("small", number("lessThan", -1.5), DF.small < -1.5),
    ("real", number("lessThanOrEqual", 0), DF.real <= 0),
    ("real", number("greaterThan", 0.5), DF.real > 0.5),
    ("middle", number("greaterThanOrEqual", 2**30), DF.middle >= 2**30),
    ("middle", number("notEqual", SOME), DF.middle != SOME),
    ("small", number("inRange", -2, 2), DF.small.between(-2, 2, inclusive="neither")),
    ("money", number("greaterThan", 1.5), DF.money.astype(float) > 1.5),
    ("time", date("equals", "2013-01-02 00:00:00"), DF.time.dt.normalize() == DAY2),
    ("time", date("notEqual", "2013-01-02 00:00:00"), DF.time.dt.normalize() != DAY2),
    ("time", date("lessThan", "2013-01-02 00:00:00"), DF.time < DAY2),
    ("time", date("greaterThan", "2013-01-01 00:00:00"), DF.time >= DAY2),
    ("time", date("equals", "2013-01-01 05:00:00"), DF.time == "2013-01-01 05:00"),
    (
        "time",
        date("inRange", "2013-01-01 20:00:00", "2013-01-01 22:00:00"),
        DF.time.between("2013-01-01 20:00", "2013-01-01 22:00"),
    ),
    (
        "small",
        {"operator": "OR", "conditions": [number("equals", 1), number("equals", 3)]},
        DF.small.isin([1, 3]),
    ),
    (
        "small",
        {
            "operator": "AND",
            "condition1": number("greaterThan", 1),
            "condition2": number("lessThan", 4),
        },
        DF.small.isin([2, 3]),
    ),
]


@pytest.mark.filterwarnings("ignore:Downcasting object dtype")  # pandas 2
@pytest.mark.parametrize(("column", "model", "want"), FILTERS)
def test_filters_as_pandas_does(
    frame: Any, column: str, model: dict[str, Any], want: Any
) -> None:
    want = want.fillna(False).astype(bool)
    assert 0 < want.sum() < ROWS
    assert rows(frame, filterModel={column: model}) == list(DF.row[want])


@pytest.mark.parametrize("zone", ["America/New_York", "+05:30", "UTC"])
def test_a_day_is_that_of_the_columns_zone(cache: framecache.Cache, zone: str) -> None:
    times = pd.date_range("2013-03-09", periods=96, freq="h", tz=zone)  # a short day too
    with cache.put("k", pd.DataFrame({"row": range(96), "time": times})) as frame:
        for day in ("2013-03-09", "2013-03-10", "2013-03-11"):
            model = {"time": date("equals", f"{day} 00:00:00")}
            want = [row for row, time in enumerate(times) if str(time.date()) == day]
            assert rows(frame, filterModel=model) == want


def test_sort_and_filters_together(frame: Any) -> None:
    model = {"small": number("greaterThan", 0), "text": text("contains", "a")}
    kept = DF[(DF.small > 0) & DF.text.str.contains("a", case=False, na=False)]
    want = list(kept.sort_values("real", ascending=False, kind="stable").row)
    got = rows(frame, filterModel=model, sortModel=by("-real"))
    assert got == want
    page = grid_rows(
        frame,
        {"startRow": 10, "endRow": 20, "filterModel": model, "sortModel": by("-real")},
    )
    assert page is not None
    assert [row["row"] for row in page["rowData"]] == want[10:20]
    assert page["rowCount"] == len(want)
    assert list(page["rowData"][0]) == TABLE.column_names


def test_row_numbers_are_computed_once_and_kept_in_the_cache(
    cache: framecache.Cache, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[object] = []
    order = grid._order.order

    def counted(*arguments: Any) -> Any:
        computed.append(arguments)
        return order(*arguments)

    monkeypatch.setattr(grid._order, "order", counted)
    request = {"startRow": 0, "endRow": 10, "sortModel": by("real")}
    threads = [
        threading.Thread(target=grid_rows, args=(frame, request), kwargs={"cache": cache})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = grid_rows(frame, request, cache=cache)
    assert first == grid_rows(frame, request)  # without a cache: once more
    assert len(computed) == 2
    filtered = request | {"filterModel": {"small": number("equals", 1)}}
    assert grid_rows(frame, filtered, cache=cache) == grid_rows(frame, filtered)
    assert len(computed) == 3  # the kept order served the filtered one
    keys = list(cache.keys(grid.PREFIX))
    assert len(keys) == 2
    assert all("small" not in key and key != "t" for key in keys)


def test_a_replaced_frame_is_sorted_anew(cache: framecache.Cache) -> None:
    request = {"startRow": 0, "endRow": 3, "sortModel": by("x")}
    for values in ([3, 1, 2], [6, 5, 4]):
        with cache.put("k", pa.table({"x": values})) as frame:
            got = grid_rows(frame, request, cache=cache)
            assert got is not None
            assert [row["x"] for row in got["rowData"]] == sorted(values)


def test_parts_of_a_frame_are_sorted_each_by_itself(cache: framecache.Cache) -> None:
    table = pa.table({"x": [3, 1, 2, 9, 8, 7], "y": [1, 6, 2, 5, 3, 4]})

    def ascending(part: framecache.Frame, column: str) -> list[int]:
        request = {"startRow": 0, "endRow": 9, "sortModel": by(column)}
        got = grid_rows(part, request, cache=cache)
        assert got is not None
        return [row[column] for row in got["rowData"]]

    with cache.put("k", table) as frame:
        assert ascending(frame, "x") == [1, 2, 3, 7, 8, 9]
        assert ascending(frame.slice(1, 3), "x") == [1, 2, 9]
        assert ascending(frame.slice(3, 3), "x") == [7, 8, 9]
        assert ascending(frame.select(["y", "x"]), "y") == [1, 2, 3, 4, 5, 6]


def test_rows_come_even_if_there_is_no_room_for_their_numbers(directory: str) -> None:
    with (
        framecache.Cache(directory, budget="4MiB", capacity=64) as cache,
        cache.put("k", pa.table({"x": np.arange(400_000)[::-1]})) as frame,
    ):
        request = {"startRow": 0, "endRow": 2, "sortModel": by("x")}
        got = grid_rows(frame, request, cache=cache)
        assert got == {"rowData": [{"x": 0}, {"x": 1}], "rowCount": 400_000}


def test_cells_are_json(cache: framecache.Cache) -> None:
    table = pa.table(
        {
            "big": [2**60],
            "real": [float("inf")],
            "time": pa.array([1_357_000_000_000_000_001], pa.timestamp("ns")),
            "span": pa.array([1_500_000_000], pa.duration("ns")),
            "bytes": [b"\x01\xff"],
            "list": [[1, 2]],
            "struct": [{"a": None, "b": 2**60}],
            "none": pa.nulls(1),
        }
    )
    with cache.put("k", table) as frame:
        got = grid_rows(frame, {"startRow": 0, "endRow": 10})
    assert got is not None
    assert json.loads(json.dumps(got["rowData"], allow_nan=False)) == [
        {
            "big": str(2**60),
            "real": None,
            "time": "2013-01-01T00:26:40",
            "span": 1.5,
            "bytes": "01ff",
            "list": [1, 2],
            "struct": {"a": None, "b": str(2**60)},
            "none": None,
        }
    ]


def test_cells_that_python_cannot_hold_are_numbers_of_their_unit(
    cache: framecache.Cache,
) -> None:
    table = pa.table(
        {
            "far": pa.array([2**55, None], pa.timestamp("s")),
            "zone": pa.array([1, None], pa.timestamp("us", "No/Where")),
            "day": pa.array([2**30, None], pa.date32()),
            "span": pa.array([2**62, None], pa.duration("s")),
            "days": pa.array([[2**30], None], pa.list_(pa.date32())),
        }
    )
    with cache.put("k", table) as frame:
        got = grid_rows(frame, {"startRow": 0, "endRow": 2})
    assert got is not None
    assert list(got["rowData"][0].values()) == [
        str(2**55), "1970-01-01T00:00:00.000001", str(2**30), str(2**62), "?"
    ]  # fmt: skip
    assert set(got["rowData"][1].values()) == {None}


def test_types_without_an_order_or_a_line_are_refused(cache: framecache.Cache) -> None:
    interval = pa.array([(1, 2, 3)] * 9, pa.month_day_nano_interval())
    union = pa.UnionArray.from_sparse(pa.array([0] * 9, pa.int8()), [pa.array([1] * 9)])
    with cache.put("k", pa.table({"i": interval, "u": union})) as frame:
        with pytest.raises(RequestError, match="cannot be sorted"):
            grid_rows(frame, {"startRow": 0, "endRow": 2, "sortModel": by("i")})
        query = json.dumps({"downsample": {"y": "u", "points": 4}})
        answer = _serve.answer(frame, query)
        assert answer.status == 400
        assert b"no line to draw" in b"".join(answer.body)


def test_pages_beyond_the_end_are_empty(frame: Any) -> None:
    for sort in ([], by("real")):
        page = {"startRow": ROWS, "endRow": ROWS + 5, "sortModel": sort}
        got = grid_rows(frame, page)
        assert got == {"rowData": [], "rowCount": ROWS}
    assert grid_rows(frame, None) is None


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ([], "no object"),
        ({"startRow": -1, "endRow": 5}, "are none"),
        ({"startRow": 5, "endRow": 1}, "are none"),
        ({"startRow": "0", "endRow": 1}, "are none"),
        ({"startRow": 0, "endRow": 1_000_000}, "at most 10000 at a time"),
        ({"sortModel": by("nope")}, "no column 'nope'"),
        ({"sortModel": [{"colId": 3, "sort": "asc"}]}, "no column's name"),
        ({"sortModel": [{"colId": "row", "sort": "up"}]}, "neither asc nor desc"),
        ({"sortModel": "row"}, "no list"),
        ({"sortModel": by("row", "small", "-row")}, "column 'row' is sorted by twice"),
        (
            {"filterModel": {"row": {"conditions": [{"conditions": [{}]}]}}},
            "conditions within conditions",
        ),
        ({"filterModel": []}, None),
        ({"filterModel": [1]}, "no object"),
        ({"filterModel": {"nope": {}}}, "no column 'nope'"),
        ({"filterModel": {"row": 5}}, "column 'row': no object"),
        ({"filterModel": {"row": text("contains", "x")}}, None),
        ({"filterModel": {"text": text("magic", "x")}}, "no operation 'magic'"),
        ({"filterModel": {"text": text("contains")}}, "a text of at most"),
        ({"filterModel": {"text": text("contains", "a\ud800")}}, "half a surrogate"),
        ({"filterModel": {"row": number("magic", 1)}}, "no operation"),
        ({"filterModel": {"row": number("equals", "x")}}, "no value of type"),  # type: ignore[arg-type]
        ({"filterModel": {"time": date("equals", "soon")}}, "no date"),
        ({"filterModel": {"text": date("equals", "2013-01-01")}}, "column 'text'"),
        ({"filterModel": {"row": {"filterType": "set"}}}, "has values"),
        ({"filterModel": {"row": {"filterType": "magic", "type": "x"}}}, "none of text"),
        ({"filterModel": {"row": {"operator": "XOR", "conditions": [{}]}}}, "AND or OR"),
        ({"filterModel": {"row": {"conditions": []}}}, "1 to 20"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    frame: Any, request_: Any, says: str | None
) -> None:
    if says is None:
        grid_rows(frame, request_)
        return
    with pytest.raises(RequestError, match=says):
        grid_rows(frame, request_)


def test_column_definitions_have_the_filter_of_their_type(frame: Any) -> None:
    found = {one["field"]: one["filter"] for one in grid_columns(frame)}
    assert list(found) == TABLE.column_names
    assert found["small"] == found["money"] == "agNumberColumnFilter"
    assert found["time"] == "agDateColumnFilter"
    assert found["kind"] == found["text"] == "agTextColumnFilter"
    assert [one["field"] for one in grid_columns(frame, ["text"])] == ["text"]
