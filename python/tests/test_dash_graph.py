"""Series that refine on zoom: what is drawn of which part."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import tracemalloc
from collections.abc import Iterator
from typing import Any

import dash
import framecache
import numpy as np
import pyarrow as pa
import pytest
from framecache.dash import graph as of_graph
from framecache.dash.graph import RequestError, ResamplingGraph, resample

ROWS = 100_000
START = np.datetime64("2013-01-01", "us")
STEP = np.timedelta64(1, "m")


@pytest.fixture
def frame(cache: framecache.Cache) -> Any:
    value = np.sin(np.arange(ROWS) / 500)
    value[60_000] = 7.0
    table = pa.table(
        {
            "time": START + np.arange(ROWS) * STEP,
            "number": np.arange(ROWS),
            "value": value,
            "down": -np.arange(ROWS),
            "text": ["x"] * ROWS,
        }
    )
    with cache.put("t", table) as frame:
        yield frame


def test_the_whole_has_few_points_and_keeps_the_peak(frame: Any) -> None:
    x, y = resample(frame, "time", "value", points=500)
    assert len(x) == len(y) <= 500
    assert y.max() == 7.0
    assert (x[0], x[-1]) == (START, START + (ROWS - 1) * STEP)


def test_a_part_is_drawn_finer_with_a_point_on_each_side(frame: Any) -> None:
    x, _ = resample(
        frame, "time", "value", range=("2013-01-02", "2013-01-02 00:10:30.5"), points=500
    )
    minutes = ((x - START) / STEP).astype(int).tolist()
    assert minutes == list(range(1439, 1452))
    x, _ = resample(frame, "number", "value", range=(10.5, 14), points=500)
    assert x.tolist() == [10, 11, 12, 13, 14, 15]
    backwards, _ = resample(frame, "number", "value", range=(14, 10.5), points=500)
    assert backwards.tolist() == x.tolist()
    nothing, _ = resample(frame, "number", "value", range=(-9, -5), points=500)
    assert nothing.tolist() == [0]
    every, _ = resample(frame, "number", "value", range=(-math.inf, 1e300), points=500)
    assert (every[0], every[-1]) == (0, frame.rows - 1)


def test_a_zoom_copies_no_column(frame: Any) -> None:
    wide = np.arange(4 << 20)
    with tracing(wide.nbytes // 4):
        of_graph._within(wide, pa.int64(), (10.5, 20.5))
    real = wide.astype("f4")
    with tracing(real.nbytes // 4):
        of_graph._within(real, pa.float32(), (10.5, 20.5))


def test_data_frames_and_tables_are_drawn_too(frame: Any) -> None:
    want = resample(frame, "time", "value", points=300)
    for table in (pa.table(frame), frame.to_pandas()):
        got = resample(table, "time", "value", points=300)
        assert (got[0] == want[0]).all()
        assert (got[1] == want[1]).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"x": "nope"}, "no column 'nope'"),
        ({"y": "text"}, "no line to draw"),
        ({"x": "down"}, "does not ascend"),
        ({"x": "text"}, "no line to draw"),
        ({"method": "magic"}, "no method"),
        ({"range": ("soon", "later")}, "no place on the axis"),
        ({"x": "number", "range": ("2013-01-01", "2013-01-02")}, "is a time"),
        ({"range": (None, None)}, "no place on the axis"),
        ({"x": "number", "range": (1, float("nan"))}, "NaN is no place"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    frame: Any, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        resample(frame, **({"x": "time", "y": "value"} | arguments))


@contextlib.contextmanager
def tracing(most_bytes: int) -> Iterator[None]:
    """What numpy takes within stays below that."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield
        assert tracemalloc.get_traced_memory()[1] - before < most_bytes
    finally:
        tracemalloc.stop()


def ask(app: dash.Dash, shown: Any, changed: list[str]) -> Any:
    body = {
        "output": "g.figure",
        "outputs": {"id": "g", "property": "figure"},
        "inputs": [{"id": "g-window", "property": "data", "value": shown}],
        "changedPropIds": changed,
    }
    got = app.server.test_client().post("/_dash-update-component", json=body)
    assert got.status_code in (200, 204), got.data
    return json.loads(got.data or "{}").get("response", {}).get("g")


def test_graph_draws_all_at_first_and_patches_on_zoom(frame: Any) -> None:
    app = dash.Dash(__name__)
    graph = ResamplingGraph("g", lambda: frame, "time", ["value", "number"], points=400)
    app.layout = dash.html.Div(graph)
    figure = ask(app, None, [])["figure"]
    assert [trace["name"] for trace in figure["data"]] == ["value", "number"]
    assert figure["layout"]["xaxis"]["type"] == "date"
    x = np.frombuffer(base64.b64decode(figure["data"][0]["x"]["bdata"]))
    assert x[0] == 1356998400000
    assert len(x) <= 400
    zoom = ["2013-01-02", "2013-01-02 01:00"]
    changed = ["g-window.data"]
    patch = ask(app, zoom, changed)["figure"]["operations"]
    assert [p["location"] for p in patch] == [
        ["data", 0, "x"],
        ["data", 0, "y"],
        ["data", 1, "x"],
        ["data", 1, "y"],
    ]
    x = np.frombuffer(base64.b64decode(patch[0]["params"]["value"]["bdata"]))
    assert len(x) == 63
    assert "data" in ask(app, "all", changed)["figure"]
    assert "data" in ask(app, zoom, [])["figure"]  # drawn anew: all of it
