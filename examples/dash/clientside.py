"""A scatter of the whole flights table, drawn by the browser from Arrow columns.

The callback puts a token into the store. The clientside callback reads two columns of the
frame behind it, of the carrier that is chosen, and hands the typed arrays to plotly.

    python examples/dash/clientside.py
"""

import flights
import framecache
from dash import Dash, Input, Output, callback, clientside_callback, dcc, html
from framecache.dash import Serverside, init

cache = framecache.Cache()
app = Dash(__name__)
init(app, cache)
server = app.server

app.layout = html.Div(
    [
        html.Button("Load", id="load"),
        dcc.Dropdown(["", "UA", "B6", "EV", "DL"], "", id="carrier"),
        dcc.Store(id="flights"),
        dcc.Graph(id="scatter"),
        html.Pre(id="note"),
    ]
)


@callback(Output("flights", "data"), Input("load", "n_clicks"), prevent_initial_call=True)
def load(clicks: int) -> Serverside[framecache.Frame]:
    return Serverside(flights.table(cache))


clientside_callback(
    """
    async function(token, carrier) {
        if (!token) return [dash_clientside.no_update, dash_clientside.no_update];
        try {
            const table = await framecache.table(token, {
                columns: ["distance", "arr_delay", "leaves"],
                filter: carrier ? {carrier} : {},
            });
            const trace = {
                type: "scattergl", mode: "markers", marker: {size: 3, opacity: 0.4},
                x: framecache.column(table, "leaves"),
                y: framecache.column(table, "arr_delay"),
            };
            const figure = {data: [trace], layout: {xaxis: {type: "date"}}};
            return [figure, `${table.numRows} flights`];
        } catch (error) {
            return [dash_clientside.no_update, `${error.status}: ${error.message}`];
        }
    }
    """,
    Output("scatter", "figure"),
    Output("note", "children"),
    Input("flights", "data"),
    Input("carrier", "value"),
)


if __name__ == "__main__":
    app.run()
