"""Ten graphs of one table that is loaded anew every 30 s, once in the machine, by a
process beside the web workers.

    python -m framecache refresh ten_graphs:table &
    gunicorn --workers 4 ten_graphs:server

The table comes from SQL straight to Arrow, by ADBC. The database is flights.sqlite, here,
or TEN_GRAPHS_DATABASE; where there is none it is made, of the demo's flights.
"""

import os
import sqlite3
from contextlib import closing

import framecache
import plotly.express as px
import pyarrow as pa
from adbc_driver_sqlite import dbapi
from dash import ALL, Dash, Input, Output, callback, ctx, dcc, html
from tables import flights

DATABASE = os.environ.get("TEN_GRAPHS_DATABASE", "flights.sqlite")
INTERVAL = float(os.environ.get("TEN_GRAPHS_SECONDS", "30"))
cache = framecache.Cache()


def make_database() -> None:
    draft = f"{DATABASE}.{os.getpid()}"
    with closing(sqlite3.connect(draft)) as connection:
        columns = flights()[["month", "carrier", "dep_delay"]]
        columns.to_sql("flights", connection, index=False)
    os.replace(draft, DATABASE)


def load() -> pa.Table:
    if not os.path.exists(DATABASE):
        make_database()
    with dbapi.connect(DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute("select month, carrier, dep_delay from flights")
        return cursor.fetch_arrow_table()


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
    frame = cache.next_frame(table.key, timeout=10)  # waits for the first one only
    means = frame.to_pandas().groupby(["carrier", "month"])["dep_delay"].mean()
    figures = []
    for graph in ctx.outputs_list[0]:
        carrier = graph["id"]["graph"]
        figures.append(px.bar(means[carrier], title=carrier))
    return figures, f"sequence {frame.sequence}, {frame.rows} rows"


if __name__ == "__main__":
    app.run()
