"""An app with background callbacks, by diskcache or Celery: BACKGROUND says which.

With Celery this is also the worker's program: ``celery -A background_app:celery``.
"""

import os
from typing import Any

import dash
import framecache.dash
import pandas as pd
from dash import CeleryManager, Dash, DiskcacheManager, Input, Output, dcc, html
from framecache.dash import Serverside

FOLDER = os.environ["BACKGROUND_FOLDER"]


def manager() -> Any:
    if os.environ["BACKGROUND"] == "diskcache":
        import diskcache

        return DiskcacheManager(diskcache.Cache(FOLDER))
    from celery import Celery

    for name in ("queue", "results", "control"):
        os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
    global celery
    celery = Celery(
        "background_app",
        broker="filesystem://",
        backend=f"celery_files:Files+file://{FOLDER}/results",
        broker_transport_options={
            "data_folder_in": f"{FOLDER}/queue",
            "data_folder_out": f"{FOLDER}/queue",
            "control_folder": f"{FOLDER}/control",
        },
        broker_connection_retry_on_startup=True,
    )
    return CeleryManager(celery)


app = Dash("background_app", background_callback_manager=manager())
framecache.dash.init(app)
app.layout = html.Div([dcc.Store(id="store"), html.Div(id="out"), html.Div(id="tell")])


@app.callback(
    Output("store", "data"),
    Input("btn", "n_clicks"),
    background=True,
    progress=[Output("tell", "children")],
)
def query(set_progress: Any, clicks: int) -> Any:
    set_progress([Serverside({"pid": os.getpid()})])
    return Serverside(pd.DataFrame({"n": range(clicks), "pid": os.getpid()}))


@dash.callback(Output("out", "children"), Input("store", "data"), background=True)
async def show(df: pd.DataFrame) -> Any:
    dash.set_props("tell", {"data": Serverside([len(df)])})
    return f"{len(df)} {os.getpid() == df.pid[0]}"


@dash.callback(Output("bad", "children"), Input("store", "data"), background=True)
def bad(df: pd.DataFrame) -> Any:
    return Serverside(object())


@app.callback(Output("tell", "title"), Input("tell", "children"), Input("tell", "data"))
def told(progress: Any, data: Any) -> Any:
    return f"{progress} {data}"
