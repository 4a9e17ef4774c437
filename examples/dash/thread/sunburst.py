"""A slow query, kept on the server; a dropdown and a sunburst that read it.

python sunburst.py      # then open 127.0.0.1:8050
"""

import time

import plotly.express as px
from dash import Dash, Input, Output, dcc, html
from framecache.dash.callback import CallbackCache, Trigger  # was: dash_extensions
from framecache.flask import FrameCache as FileSystemCache  # was: flask_caching.backends

app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Query", id="query"),
        dcc.Dropdown(id="year"),
        dcc.Graph(id="sunburst"),
        dcc.Loading(dcc.Store(id="table")),
    ]
)
cc = CallbackCache(cache=FileSystemCache(cache_dir=None))


@cc.cached_callback(Output("table", "data"), [Trigger("query", "n_clicks")])
def query():
    time.sleep(0.2)  # a database would take its time
    return px.data.gapminder()


@cc.callback(Output("year", "options"), [Input("table", "data")])
def years(df):
    return sorted(df["year"].unique())


@cc.callback(
    Output("sunburst", "figure"), [Input("table", "data"), Input("year", "value")]
)
def sunburst(df, year):
    chosen = df[df["year"] == (year or df["year"].max())]
    return px.sunburst(
        chosen, path=["continent", "country"], values="pop", color="lifeExp"
    )


cc.register(app)
server = app.server

if __name__ == "__main__":
    app.run()
