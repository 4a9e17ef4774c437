"""New York's flights of 2013, in the cache once for the machine."""

import sys
from pathlib import Path

import framecache
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))
import data  # of examples/demo

KEY = "flights"


def load() -> pd.DataFrame:
    """336,776 flights by the time they were to leave, with the airline's name."""
    files = data.find_files()
    flights = pd.read_csv(files["flights"])
    names = pd.read_csv(files["airlines"])
    flights = flights.merge(names, on="carrier", how="left")
    hour, minute = flights["sched_dep_time"].divmod(100)
    day = pd.to_datetime(flights[["year", "month", "day"]])
    flights["leaves"] = day + pd.to_timedelta(hour * 60 + minute, unit="min")
    for name in ("carrier", "origin", "dest", "name", "tailnum"):
        flights[name] = flights[name].astype("category")
    columns = [
        "leaves", "carrier", "name", "flight", "tailnum", "origin", "dest", "dep_delay",
        "arr_delay", "air_time", "distance",
    ]  # fmt: skip
    return flights.sort_values("leaves", kind="stable", ignore_index=True)[columns]


def table(cache: framecache.Cache) -> framecache.Frame:
    """The frame of the flights: loaded by whoever asks first, shared by all workers."""
    frame = cache.get(KEY)
    while frame is None:
        cache.get_or_compute(KEY, load)
        frame = cache.get(KEY)
    return frame
