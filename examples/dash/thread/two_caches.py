"""Two caches in one app: shared memory for the large table, the process's own for a line.

python two_caches.py
"""

from cachelib import SimpleCache
from dash import Dash, Input, Output, dcc, html
from framecache.dash.callback import CallbackCache, Trigger  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends
from tables import flights

app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Load", id="load"),
        dcc.Loading([dcc.Store(id="flights"), dcc.Store(id="summary")]),
        html.Div(id="log"),
    ]
)
cc = CallbackCache(cache=FileSystemCache(cache_dir=None))


@cc.cached_callback(Output("flights", "data"), [Trigger("load", "n_clicks")])
def load():
    return flights()


@cc.cached_callback(
    Output("summary", "data"), [Input("flights", "data")], cache=SimpleCache()
)
def summarise(df):
    return {"rows": len(df), "latest": float(df["dep_delay"].max())}


@cc.callback(Output("log", "children"), [Input("summary", "data")])
def log(summary):
    return f"{summary['rows']} flights, one of them {summary['latest']:.0f} minutes late"


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
