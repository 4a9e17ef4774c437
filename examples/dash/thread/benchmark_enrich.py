"""The benchmark in the second spelling: outputs that stay on the server.

python benchmark_enrich.py
"""

import time

import numpy as np
import pandas as pd
from dash import dcc, html
from framecache.dash.enrich import (  # was: dash_extensions.enrich
    Dash,
    Input,
    Output,
    ServersideOutput,
    State,
    Trigger,
)

sizes = [10**n for n in range(9)]
app = Dash(__name__, prevent_initial_callbacks=True)
server = app.server
app.layout = html.Div(
    [
        html.Button("Run", id="run"),
        dcc.Dropdown(sizes, 1, id="rows"),
        dcc.Loading([dcc.Store(id="frame"), dcc.Store(id="made")]),
        html.Div(id="log"),
    ]
)


@app.callback(
    [ServersideOutput("frame", "data"), ServersideOutput("made", "data")],
    Trigger("run", "n_clicks"),
    State("rows", "value"),
)
def query(rows):
    return pd.DataFrame({"rnd": np.random.rand(int(rows))}), time.time()


@app.callback(Output("log", "children"), Input("frame", "data"), State("made", "data"))
def use(df, made):
    seconds = time.time() - made
    return f"{len(df)} rows, mean {df['rnd'].mean():.3f}, after {seconds:.4f} s"


if __name__ == "__main__":
    app.run()
