"""A scatter over a whole table of 336,776 flights, by carrier.

python scatter.py
"""

import time

import plotly.express as px
from dash import Dash, Input, Output, State, dcc, html
from framecache.dash.callback import CallbackCache  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends
from tables import flights

table = flights()
carriers = sorted(table["carrier"].unique())
app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Load", id="load"),
        dcc.Dropdown(carriers, "UA", id="carrier"),
        dcc.Loading([dcc.Store(id="flights"), dcc.Store(id="loaded")]),
        html.Div(id="log"),
        dcc.Graph(id="scatter"),
    ]
)
cc = CallbackCache(cache=FileSystemCache(cache_dir=None))


@cc.cached_callback(
    [Output("flights", "data"), Output("loaded", "data")], [Input("load", "n_clicks")]
)
def load(clicks):
    return table[["carrier", "distance", "air_time", "dep_delay"]], time.time()


@cc.callback(
    [Output("log", "children"), Output("scatter", "figure")],
    [Input("flights", "data"), Input("carrier", "value")],
    [State("loaded", "data")],
)
def draw(df, carrier, loaded):
    seconds = time.time() - loaded
    chosen = df[df["carrier"] == carrier]
    figure = px.scatter(chosen, x="distance", y="air_time", render_mode="webgl")
    return f"{len(df)} rows were here after {seconds:.4f} s", figure


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
