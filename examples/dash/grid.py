"""All 336,776 flights in an AG Grid: the browser has a page of them at a time.

python examples/dash/grid.py
"""

import dash_ag_grid as dag
import flights
import framecache
from dash import Dash, Input, Output, callback, html
from framecache.dash import grid_columns, grid_rows

cache = framecache.Cache()
app = Dash(__name__)
server = app.server

app.layout = html.Div(
    dag.AgGrid(
        id="grid",
        rowModelType="infinite",
        columnDefs=grid_columns(flights.table(cache)),
        dashGridOptions={
            "cacheBlockSize": 100,
            "maxBlocksInCache": 20,
            "maxConcurrentDatasourceRequests": 1,  # Dash drops the older of two answers
        },
        style={"height": "90vh"},
    )
)


@callback(
    Output("grid", "getRowsResponse"),
    Input("grid", "getRowsRequest"),
    prevent_initial_call=True,
)
def rows(request: dict | None) -> dict | None:
    return grid_rows(flights.table(cache), request, cache=cache)


if __name__ == "__main__":
    app.run()
