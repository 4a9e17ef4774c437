"""Celery: tasks take and give the key of a table, not the table.

    celery -A celery_app worker

A worker's processes are forked; the cache made here, before, works on in each of them.
"""

import os

import framecache
import pandas as pd
from celery import Celery

spool = os.environ.get("SPOOL", "/tmp/framecache-celery")
app = Celery("celery_app", broker="filesystem://", backend=f"file://{spool}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{spool}/queue",
    "data_folder_out": f"{spool}/queue",
    "control_folder": f"{spool}/control",
}

cache = framecache.Cache()


@app.task
def load(rows: int) -> str:
    """Puts a table, and says under which key."""
    key = f"numbers/{rows}"
    cache.put(key, pd.DataFrame({"x": range(rows)}), ttl="10m").release()
    return key


@app.task
def total(key: str) -> dict[str, int]:
    """Reads it where it lies, in whichever process this runs."""
    with cache[key] as frame:
        return {"sum": int(frame["x"].to_numpy().sum()), "pid": os.getpid()}
