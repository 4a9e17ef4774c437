"""The app that is measured: a frame of N random doubles goes into a store, and the
callbacks after it take the mean. BENCH_STORE says how the frame travels: "json" (a plain
dcc.Store), "pickle" (dash-extensions' files) or "framecache"; BENCH_DIR is where the
latter two keep it.

    BENCH_STORE=framecache BENCH_DIR=DIR gunicorn app:server
"""

import io
import json
import os
import time
from typing import Any

import flask
import numpy as np
import pandas as pd
from dash import Input, Output, State, dcc, html

STORE = os.environ["BENCH_STORE"]
DIR = os.environ["BENCH_DIR"]


def read_json(text: str) -> pd.DataFrame:
    return pd.read_json(io.StringIO(text))


def make_app() -> tuple[Any, Any, Any]:
    """The app; what makes a frame a store's value; what makes that a frame."""
    if STORE == "json":
        from dash import Dash

        return (
            Dash(__name__),
            pd.DataFrame.to_json,
            read_json,
        )
    if STORE == "pickle":
        from dash_extensions.enrich import (
            DashProxy,
            FileSystemBackend,
            Serverside,
            ServersideOutputTransform,
        )

        files = ServersideOutputTransform(backends=[FileSystemBackend(DIR, threshold=3)])
        return (
            DashProxy(__name__, transforms=[files], use_async=False),
            Serverside,
            lambda df: df,
        )
    import framecache
    from dash import Dash
    from framecache.dash import Serverside, init

    app = Dash(__name__, use_async=False)
    # A replaced value stays readable for a minute by default. Here its pages are to be
    # written again by the next run.
    init(app, framecache.Cache(DIR), grace=1)
    return app, Serverside, lambda df: df


app, to_store, from_store = make_app()
app.layout = html.Div(
    [
        dcc.Input(id="rows", type="number", value=1),
        html.Button("run", id="run"),
        html.Button("read", id="read"),
        html.Button("empty", id="empty"),
        dcc.Store(id="store"),
        dcc.Store(id="made"),
        html.Pre(id="chain"),
        html.Pre(id="read-out"),
        html.Pre(id="empty-out"),
    ]
)
server = app.server


@server.before_request
def note_arrival() -> None:
    flask.g.arrived = time.perf_counter()


def since_arrival() -> float:
    return time.perf_counter() - flask.g.arrived


@app.callback(
    Output("store", "data"),
    Output("made", "data"),
    Input("run", "n_clicks"),
    State("rows", "value"),
    prevent_initial_call=True,
)
def query(clicks: int, rows: int) -> tuple[Any, list[float]]:
    df = pd.DataFrame({"rnd": np.random.rand(int(rows))}, copy=False)
    made = time.time()
    return to_store(df), [clicks, made]


@app.callback(
    Output("chain", "children"),
    Input("store", "data"),
    State("made", "data"),
    prevent_initial_call=True,
)
def chain(data: Any, made: list[float]) -> str:
    df = from_store(data)
    seconds = time.time() - made[1]
    mean = float(df["rnd"].mean())
    return json.dumps({"n": made[0], "seconds": seconds, "rows": len(df), "mean": mean})


@app.callback(
    Output("read-out", "children"),
    Input("read", "n_clicks"),
    State("store", "data"),
    prevent_initial_call=True,
)
def read(clicks: int, data: Any) -> str:
    df = from_store(data)
    return json.dumps({"n": clicks, "server": since_arrival(), "rows": len(df)})


@app.callback(
    Output("empty-out", "children"),
    Input("empty", "n_clicks"),
    State("made", "data"),
    prevent_initial_call=True,
)
def empty(clicks: int, made: list[float]) -> str:
    return json.dumps({"n": clicks, "server": since_arrival(), "rows": 0})
