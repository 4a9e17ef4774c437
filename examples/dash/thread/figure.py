"""A plotly figure through the store: made once, drawn by one callback, read by another.

python figure.py
"""

import plotly.express as px
from dash import Dash, Input, Output, dcc, html
from framecache.dash.callback import CallbackCache, Trigger  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends

app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Make", id="make"),
        dcc.Store(id="figure"),
        html.Div(id="log"),
        dcc.Graph(id="graph"),
    ]
)
cc = CallbackCache(cache=FileSystemCache(cache_dir=None))


@cc.cached_callback(Output("figure", "data"), [Trigger("make", "n_clicks")])
def make():
    return px.scatter(px.data.gapminder(), x="gdpPercap", y="lifeExp", log_x=True)


@cc.callback(Output("graph", "figure"), [Input("figure", "data")])
def draw(figure):
    return figure


@cc.callback(Output("log", "children"), [Input("figure", "data")])
def tell(figure):
    return f"{len(figure.data[0].x)} points"


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
