"""The benchmark in today's spelling of dash-extensions, with its transform.

python transform.py
"""

import time

import numpy as np
import pandas as pd
from dash_extensions.enrich import (
    DashProxy,
    Input,
    Output,
    Serverside,
    ServersideOutputTransform,
    State,
    dcc,
    html,
)
from framecache.dash import FrameCacheBackend  # was: not there

files = ServersideOutputTransform(backends=[FrameCacheBackend()])  # was: without backends
app = DashProxy(__name__, transforms=[files], prevent_initial_callbacks=True)
server = app.server
app.layout = html.Div(
    [
        html.Button("Run", id="run"),
        dcc.Dropdown([10**n for n in range(9)], 1, id="rows"),
        dcc.Loading([dcc.Store(id="frame"), dcc.Store(id="made")]),
        html.Div(id="log"),
    ]
)


@app.callback(
    Output("frame", "data"),
    Output("made", "data"),
    Input("run", "n_clicks"),
    State("rows", "value"),
)
def query(clicks, rows):
    df = pd.DataFrame({"rnd": np.random.rand(int(rows))})
    return Serverside(df), time.time()


@app.callback(Output("log", "children"), Input("frame", "data"), State("made", "data"))
def use(df, made):
    seconds = time.time() - made
    return f"{len(df)} rows, mean {df['rnd'].mean():.3f}, after {seconds:.4f} s"


if __name__ == "__main__":
    app.run()
