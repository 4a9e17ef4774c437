"""How long a frame takes from one callback to the next: as JSON through the browser, and
kept on the server.

    python benchmark_callback.py
"""

import io
import time

import numpy as np
import pandas as pd
from dash import Dash, Input, Output, State, dcc, html
from framecache.dash.callback import CallbackCache  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends

sizes = [10**n for n in range(9)]
app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        dcc.Dropdown(sizes, 1, id="rows"),
        html.Button("Through the browser", id="plain"),
        dcc.Loading([dcc.Store(id="plain-frame"), dcc.Store(id="plain-made")]),
        html.Div(id="plain-log"),
        html.Button("On the server", id="kept"),
        dcc.Loading([dcc.Store(id="kept-frame"), dcc.Store(id="kept-made")]),
        html.Div(id="kept-log"),
    ]
)
cc = CallbackCache(cache=FileSystemCache(cache_dir=None))


def random_frame(rows):
    return pd.DataFrame({"rnd": np.random.rand(int(rows))})


def result(df, made):
    seconds = time.time() - made
    return f"{len(df)} rows, mean {df['rnd'].mean():.3f}, after {seconds:.4f} s"


@app.callback(
    [Output("plain-frame", "data"), Output("plain-made", "data")],
    [Input("plain", "n_clicks")],
    [State("rows", "value")],
)
def query_plain(clicks, rows):
    df = random_frame(rows)
    made = time.time()
    return df.to_json(), made


@app.callback(
    Output("plain-log", "children"),
    [Input("plain-frame", "data")],
    [State("plain-made", "data")],
)
def use_plain(data, made):
    return result(pd.read_json(io.StringIO(data)), made)


@cc.cached_callback(
    [Output("kept-frame", "data"), Output("kept-made", "data")],
    [Input("kept", "n_clicks")],
    [State("rows", "value")],
)
def query_kept(clicks, rows):
    return random_frame(rows), time.time()


@cc.callback(
    Output("kept-log", "children"),
    [Input("kept-frame", "data")],
    [State("kept-made", "data")],
)
def use_kept(df, made):
    return result(df, made)


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
