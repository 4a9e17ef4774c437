"""The same click again, in any session, takes the result that is there: one query in all.

python instant_refresh.py
"""

import time

from dash import Dash, Input, Output, dcc, html
from framecache.dash.callback import CallbackCache, Trigger  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends
from tables import flights

app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Query", id="query"),
        dcc.Loading([dcc.Store(id="flights"), dcc.Store(id="made")]),
        html.Div(id="log"),
    ]
)
cc = CallbackCache(
    cache=FileSystemCache(cache_dir=None), instant_refresh=False, session_check=False
)


@cc.cached_callback(
    [Output("flights", "data"), Output("made", "data")], [Trigger("query", "n_clicks")]
)
def query():
    time.sleep(1)
    return flights(), time.time()


@cc.callback(Output("log", "children"), [Input("flights", "data"), Input("made", "data")])
def log(df, made):
    return f"{len(df)} rows, made at {made:.3f}"


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
