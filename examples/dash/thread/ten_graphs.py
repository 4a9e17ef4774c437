"""Ten graphs of one table that is loaded anew every 30 s, once in the machine, by a
process beside the web workers.

    python -m framecache refresh ten_graphs:table &
    gunicorn --workers 4 ten_graphs:server
"""

import os
import sqlite3

import framecache
import pandas as pd
import plotly.express as px
from dash import ALL, Dash, Input, Output, callback, ctx, dcc, html

DATABASE = os.environ.get("TEN_GRAPHS_DATABASE", "flights.sqlite")
INTERVAL = float(os.environ.get("TEN_GRAPHS_SECONDS", "30"))
cache = framecache.Cache()


def load() -> pd.DataFrame:
    with sqlite3.connect(DATABASE) as connection:
        return pd.read_sql("select month, carrier, dep_delay from flights", connection)


table = framecache.refresh("ten-graphs/flights", load, interval=INTERVAL, cache=cache)

app = Dash(__name__)
server = app.server
app.layout = html.Div(
    [
        dcc.Interval(id="tick", interval=INTERVAL * 1000),
        html.Div(id="loaded"),
        *(
            dcc.Graph(id={"graph": carrier})
            for carrier in "UA B6 EV DL AA MQ US 9E WN VX".split()
        ),
    ]
)


@callback(
    Output({"graph": ALL}, "figure"),
    Output("loaded", "children"),
    Input("tick", "n_intervals"),
)
def draw(ticks):
    frame = cache["ten-graphs/flights"]
    means = frame.to_pandas().groupby(["carrier", "month"])["dep_delay"].mean()
    figures = []
    for graph in ctx.outputs_list[0]:
        carrier = graph["id"]["graph"]
        figures.append(px.bar(means[carrier], title=carrier))
    return figures, f"sequence {frame.sequence}, {frame.rows} rows"


if __name__ == "__main__":
    app.run()
