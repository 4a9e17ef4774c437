"""A line of 336,776 delays: the browser has 1,500 points, finer ones as one zooms in.

python examples/dash/zoom.py
"""

import flights
import framecache
from dash import Dash, html
from framecache.dash import ResamplingGraph

cache = framecache.Cache()
app = Dash(__name__)
server = app.server

app.layout = html.Div(
    ResamplingGraph(
        "delays",
        lambda: flights.table(cache),
        x="leaves",
        y=["dep_delay", "arr_delay"],
        points=1500,
    )
)


if __name__ == "__main__":
    app.run()
