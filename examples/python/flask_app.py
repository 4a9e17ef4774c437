"""Flask: Flask-Caching with a cache that all workers share.

    gunicorn --preload --workers 4 flask_app:app

With --preload the app, and its cache, are made once and forked: that is all right.
"""

import os
from typing import Any

import pandas as pd
from flask import Flask
from flask_caching import Cache

app = Flask(__name__)
app.config["CACHE_TYPE"] = "framecache.flask.FrameCache"
app.config["CACHE_DIR"] = os.environ.get("FRAMECACHE_DIR")  # None: the usual place
cache = Cache(app)


@cache.memoize(timeout=600)
def flights(carrier: str) -> pd.DataFrame:
    """A DataFrame, which is not pickled: each worker sees the same pages."""
    return pd.DataFrame({"carrier": carrier, "delay": range(1000), "by": os.getpid()})


@app.get("/delay/<carrier>")
def delay(carrier: str) -> dict[str, Any]:
    """Who computed the table, and who read it."""
    table = flights(carrier)
    mean = float(table["delay"].mean())
    return {"mean": mean, "computed": int(table["by"].iloc[0]), "here": os.getpid()}


@app.get("/page")
@cache.cached(timeout=600)
def page() -> str:
    """A view that is run once."""
    return f"made by {os.getpid()}"
