"""The app of matrix.py: SPELLING and BACKEND say which."""

import os
from typing import Any

import dash
import framecache.dash
import pandas as pd
from dash import Input, Output, dcc, html

SPELLING = os.environ.get("SPELLING", "plain")


def layout() -> html.Div:
    return html.Div(
        [
            html.Button("Query", id="btn"),
            dcc.Store(id="store"),
            html.Div(id="log"),
            html.Div(id="pid"),
        ]
    )


def frame(clicks: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(1000), "clicks": clicks})


def told(df: pd.DataFrame) -> tuple[str, str]:
    return f"{len(df)} rows of click {df.clicks[0]}", str(os.getpid())


SHOWN = [Output("log", "children"), Output("pid", "children")]


def plain() -> dash.Dash:
    app = dash.Dash(
        "app", backend=os.environ.get("BACKEND", "flask"), prevent_initial_callbacks=True
    )
    framecache.dash.init(app)

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return framecache.dash.Serverside(frame(clicks))

    app.callback(*SHOWN, Input("store", "data"))(told)
    return app


def callback() -> dash.Dash:
    from framecache.dash.callback import CallbackCache

    app = dash.Dash("app", prevent_initial_callbacks=True)
    cc = CallbackCache()
    cc.cached_callback(Output("store", "data"), [Input("btn", "n_clicks")])(frame)
    cc.callback(SHOWN, [Input("store", "data")])(told)
    cc.register(app)
    return app


def enrich() -> dash.Dash:
    from framecache.dash.enrich import Dash, ServersideOutput

    app = Dash("app", prevent_initial_callbacks=True)
    app.callback(ServersideOutput("store", "data"), Input("btn", "n_clicks"))(frame)
    app.callback(*SHOWN, Input("store", "data"))(told)
    return app


def extensions() -> dash.Dash:
    from dash_extensions import enrich as theirs
    from framecache.dash import FrameCacheBackend

    transform = theirs.ServersideOutputTransform(backends=[FrameCacheBackend()])
    app = theirs.DashProxy("app", prevent_initial_callbacks=True, transforms=[transform])

    @app.callback(theirs.Output("store", "data"), theirs.Input("btn", "n_clicks"))
    def query(clicks: int) -> Any:
        return theirs.Serverside(frame(clicks))

    app.callback(*SHOWN, theirs.Input("store", "data"))(told)
    return app


spellings = {
    "plain": plain, "callback": callback, "enrich": enrich, "extensions": extensions,
}  # fmt: skip
app = spellings[SPELLING]()
app.layout = layout()
server = app.server
