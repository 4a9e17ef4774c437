"""The sunburst in plain Dash 4: `init`, and `Serverside` around what stays on the server.

python plain.py
"""

import time

import plotly.express as px
from dash import Dash, Input, Output, dcc, html
from framecache.dash import Serverside, init  # was: not there

app = Dash(__name__, prevent_initial_callbacks=True)
app.layout = html.Div(
    [
        html.Button("Query", id="query"),
        dcc.Dropdown(id="year"),
        dcc.Graph(id="sunburst"),
        dcc.Loading(dcc.Store(id="table")),
    ]
)
init(app)  # was: not there
server = app.server


@app.callback(Output("table", "data"), Input("query", "n_clicks"))
def query(clicks):
    time.sleep(0.2)
    return Serverside(px.data.gapminder())  # was: to JSON, and back in the others


@app.callback(Output("year", "options"), Input("table", "data"))
def years(df):
    return sorted(df["year"].unique())


@app.callback(
    Output("sunburst", "figure"), Input("table", "data"), Input("year", "value")
)
def sunburst(df, year):
    chosen = df[df["year"] == (year or df["year"].max())]
    return px.sunburst(
        chosen, path=["continent", "country"], values="pop", color="lifeExp"
    )


if __name__ == "__main__":
    app.run()
