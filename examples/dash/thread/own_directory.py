"""Where the values go: a directory for all outputs, and another for one of them.

python own_directory.py DIR
"""

import os

from dash import dcc, html
from framecache.dash.enrich import (  # was: dash_extensions.enrich
    Dash,
    FileSystemStore,
    Input,
    Output,
    ServersideOutput,
    Trigger,
)
from tables import flights

DIR = os.environ.get("OWN_DIRECTORY", "/dev/shm/framecache-thread")
small = FileSystemStore(cache_dir=DIR + "-small")
defaults = dict(backend=FileSystemStore(cache_dir=DIR), session_check=True)
app = Dash(__name__, output_defaults=defaults, prevent_initial_callbacks=True)
server = app.server
app.layout = html.Div(
    [
        html.Button("Load", id="load"),
        dcc.Loading([dcc.Store(id="flights"), dcc.Store(id="carriers")]),
        html.Div(id="log"),
    ]
)


@app.callback(ServersideOutput("flights", "data"), Trigger("load", "n_clicks"))
def load():
    return flights()


@app.callback(
    ServersideOutput("carriers", "data", backend=small), Input("flights", "data")
)
def carriers(df):
    return df.groupby("carrier", as_index=False)["dep_delay"].mean()


@app.callback(
    Output("log", "children"), Input("carriers", "data"), Input("flights", "data")
)
def log(means, df):
    return f"{len(means)} carriers, {len(df)} flights"


if __name__ == "__main__":
    app.run()
