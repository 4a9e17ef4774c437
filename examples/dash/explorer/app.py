"""The explorer: a year of flights, and the cache that serves it.

make app            # gunicorn with 4 workers on http://127.0.0.1:8050
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import dash_ag_grid as dag
import figures
import panel
import tables
from dash import (
    ALL,
    Dash,
    Input,
    Output,
    State,
    callback,
    clientside_callback,
    dcc,
    html,
    no_update,
)
from dash.exceptions import PreventUpdate
from flask import Response, has_request_context, request
from framecache.dash import (
    ResamplingGraph,
    Serverside,
    grid_columns,
    grid_rows,
    init,
)

cache = tables.cache
app = Dash(
    __name__,
    title="framecache explorer",
    update_title="",
    use_async=False,  # no callback here is a coroutine; an event loop each costs 5 ms
    suppress_callback_exceptions=True,  # a tab comes when it is shown, see below
)
init(app, cache, on_miss="recompute")
server = app.server
server.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000  # assets' addresses say which
GRID_SCRIPT = "/_dash-component-suites/dash_ag_grid/async-community.js"


# ---- The page ----


def filters() -> html.Div:
    months = {i + 1: name for i, name in enumerate(tables.MONTHS)}
    return html.Div(
        [
            field(
                "Airlines",
                dcc.Dropdown(
                    tables.airlines(), [], id="carriers", multi=True, placeholder="all"
                ),
            ),
            field(
                "From",
                dcc.Checklist(
                    [{"label": v, "value": k} for k, v in tables.ORIGINS.items()],
                    list(tables.ORIGINS), id="origins", inline=True,
                ),
            ),
            field(
                "Months",
                dcc.RangeSlider(1, 12, 1, value=[1, 12], marks=months, id="months"),
            ),
        ],
        className="filters",
    )  # fmt: skip


def field(label: str, what: Any) -> html.Div:
    return html.Div([html.Label(label), what], className="field")


def graph(id: str, height: int = 290) -> html.Div:
    style = {"height": f"{height}px"}
    inner = dcc.Graph(id=id, config=figures.GRAPH, style=style)
    return html.Div(inner, className="box")


SCATTER = figures.layout(
    "Minutes in the air by miles, drawn by the browser",
    xaxis={"title": {"text": "miles"}},
)


def explore() -> html.Div:
    look = figures.layout("Departure delay of each flight, minutes — drag to zoom in")
    series = ResamplingGraph(
        "series",
        lambda table: table,
        x="leaves",
        y="dep_delay",
        points=2000,
        inputs=[Input("selection", "data")],
        layout=look,
        trace={"line": {"width": 1, "color": figures.BLUE}, "type": "scatter"},
        config=figures.GRAPH,
        style={"height": "240px"},
    )
    return html.Div(
        [
            dcc.Store(id="selection"),
            dcc.Store(id="scatter-look", data=SCATTER),
            filters(),
            html.Div(id="numbers", className="cards"),
            html.Div(series, className="box"),
            html.Div(
                [graph("by-hour"), graph("by-airline"), graph("scatter")], className="row"
            ),
        ]
    )


WIDTHS = {"leaves": 1.7, "name": 2.2}


def all_rows() -> html.Div:
    defs = grid_columns(tables.all_flights())
    for one in defs:
        one["floatingFilter"] = True
        one["headerName"] = one["field"].replace("_", " ")
        one["flex"] = WIDTHS.get(one["field"], 1)
    minutes = "(params.value || '').replace('T', ' ').slice(0, 16)"
    defs[0]["valueFormatter"] = {"function": minutes}
    grid = dag.AgGrid(
        id="grid",
        rowModelType="infinite",
        columnDefs=defs,
        defaultColDef={"minWidth": 90},
        dashGridOptions={
            "cacheBlockSize": 100,
            "maxBlocksInCache": 30,
            "maxConcurrentDatasourceRequests": 1,  # Dash drops the older of two answers
            "rowHeight": 32,
        },
        style={"height": "calc(100vh - 170px)", "minHeight": "420px"},
    )
    return html.Div([html.Div(id="grid-note", className="note"), grid])


FLEX = {"key": 2.2, "kind": 2, "size": 1.3, "age": 1, "uses": 0.9, "held": 1.1}


def cache_panel() -> html.Div:
    table = dag.AgGrid(
        id="frames",
        columnDefs=[
            {"field": name, "headerName": "held by" if name == "held" else name}
            | {"flex": FLEX[name], "tooltipField": name}
            for name in FLEX
        ],
        dashGridOptions={"rowHeight": 30},
        getRowId="params.data.key",
        style={"height": "322px"},
    )
    return html.Div(
        [
            dcc.Store(id="history", data=[]),
            dcc.Interval(id="tick", interval=2000),
            html.Div(id="cache-cards", className="cards"),
            html.Div([graph("treemap", 300), table], className="row halves"),
            html.Div(
                [graph("curves", 260), graph("memory", 260)], className="row halves"
            ),
            html.Div(id="memory-note", className="note"),
        ]
    )


def tab_of_address() -> str:
    """Which tab the page's address asks for, as /?tab=flights; the first by default."""
    address = urlsplit(request.referrer or "") if has_request_context() else urlsplit("")
    asked = parse_qs(address.query).get("tab", [""])[0]
    return asked if asked in TABS else "explore"


TABS = {
    "explore": ("Explore", explore()),
    "flights": ("All flights", all_rows()),
    "cache": ("Cache", cache_panel()),
}
HELD_BACK = [name for name in TABS if name != "flights"]  # the grid computes nothing yet


def page() -> html.Div:
    """The page, without what would keep the tab that is shown waiting."""
    shown = tab_of_address()
    held = [name for name in HELD_BACK if name != shown]
    tabs = [
        dcc.Tab(
            None if name in held else content, label=label, value=name,
            className="tab", selected_className="tab chosen",
            **({"id": {"tab": name}} if name in HELD_BACK else {}),
        )
        for name, (label, content) in TABS.items()
    ]  # fmt: skip
    return html.Div(
        [
            html.Header([html.B("framecache"), html.Span("flights from New York, 2013")]),
            dcc.Store(id="held", data=held),
            dcc.Tabs(tabs, id="tabs", value=shown),
        ],
        className="page",
    )


app.layout = page


# Of the tabs held back only: Dash lets what is inside of an output wait for it.
@callback(
    Output({"tab": ALL}, "children"),
    Output("held", "data"),
    Input("tabs", "value"),
    State("held", "data"),
    prevent_initial_call=True,
)
def open_tab(shown: str, held: list[str]) -> tuple[list[Any], list[str]]:
    """A tab's content and its callbacks, when it is shown for the first time."""
    if shown not in held:
        raise PreventUpdate
    contents = [TABS[name][1] if name == shown else no_update for name in HELD_BACK]
    return contents, [name for name in held if name != shown]


@server.after_request
def hint(response: Response) -> Response:
    """What Dash's scripts will ask for, the browser fetches beside them."""
    if request.path == "/":
        now = request.args.get("tab") in ("flights", "cache")
        response.headers["Link"] = ", ".join(
            [
                "</_dash-layout>; rel=preload; as=fetch; crossorigin",
                "</_dash-dependencies>; rel=preload; as=fetch; crossorigin",
                f"<{GRID_SCRIPT}>; rel={'preload' if now else 'prefetch'}; as=script",
            ]
        )
    return response


def cards(numbers: list[tuple[str, str]]) -> list[html.Div]:
    return [
        html.Div(
            [html.Div(number, className="number"), html.Div(label)], className="card"
        )
        for label, number in numbers
    ]


# ---- Explore ----


@callback(
    Output("selection", "data"),
    Input("carriers", "value"),
    Input("origins", "value"),
    Input("months", "value"),
)
def choose(carriers: list[str], origins: list[str], months: list[int]) -> Any:
    chosen = tables.selection(tuple(sorted(carriers)), tuple(sorted(origins)), *months)
    return Serverside(chosen)


@callback(
    Output("numbers", "children"),
    Output("by-hour", "figure"),
    Output("by-airline", "figure"),
    Input("selection", "data"),
    prevent_initial_call=True,
)
def summarise(table: Any) -> tuple[Any, Any, Any]:
    return (
        cards(figures.numbers(table)),
        figures.by_hour(table),
        figures.by_airline(table),
    )


# Drawing it keeps the browser busy: so when the numbers are there, not before them.
clientside_callback(
    """
    async function(numbers, token, look) {
        if (!token) return dash_clientside.no_update;
        const table = await framecache.table(token, {
            columns: ["distance", "air_time"],
            filter: {air_time: {min: 0}},
            rows: [0, 60000],
        });
        const trace = {
            type: "scattergl", mode: "markers", hoverinfo: "skip",
            marker: {size: 3, opacity: 0.25, color: "#059669"},
            x: framecache.column(table, "distance"),
            y: framecache.column(table, "air_time"),
        };
        return {data: [trace], layout: look};
    }
    """,
    Output("scatter", "figure"),
    Input("numbers", "children"),
    State("selection", "data"),
    State("scatter-look", "data"),
    prevent_initial_call=True,
)


# ---- All flights ----


@callback(
    Output("grid", "getRowsResponse"),
    Output("grid-note", "children"),
    Input("grid", "getRowsRequest"),
    prevent_initial_call=True,
)
def rows(request: dict[str, Any] | None) -> tuple[Any, str]:
    answer = grid_rows(tables.all_flights(), request, cache=cache)
    count = answer["rowCount"] if answer else 0
    whole = len(tables.all_flights())
    return answer, f"{count:,} of {whole:,} flights, sorted and filtered on the server"


# ---- Cache ----


@callback(
    Output("history", "data"),
    Output("curves", "figure"),
    Output("cache-cards", "children"),
    Output("treemap", "figure"),
    Output("frames", "rowData"),
    Output("memory", "figure"),
    Output("memory-note", "children"),
    Input("tick", "n_intervals"),
    State("history", "data"),
)
def watch(ticks: int | None, history: list[dict[str, float]]) -> tuple[Any, ...]:
    now = panel.sample(cache)
    history = [*history, now][-panel.HISTORY :]
    infos = list(cache.infos())
    return (
        history,
        panel.curves(history),
        cards(panel.cards(cache)),
        panel.treemap(infos),
        panel.frame_rows(cache, infos, now["time"]),
        panel.memory_bars(infos),
        panel.NOTE,
    )


if __name__ == "__main__":
    app.run(port=8050)
