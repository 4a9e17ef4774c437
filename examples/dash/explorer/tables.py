"""What the pages show: the flights, and the part of them that somebody has chosen."""

import functools
import sys
from pathlib import Path

import framecache
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1]))
import flights  # of examples/dash

cache = framecache.Cache()

ORIGINS = {"EWR": "Newark", "JFK": "John F. Kennedy", "LGA": "La Guardia"}
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def all_flights() -> framecache.Frame:
    return flights.table(cache)


@cache.memoize(ttl="30m", tags=["selection"])
def selection(
    carriers: tuple[str, ...], origins: tuple[str, ...], first: int, last: int
) -> pd.DataFrame:
    """The flights of some airlines (none: all), airports and months."""
    table = all_flights().to_pandas()
    keep = table["leaves"].dt.month.between(first, last) & table["origin"].isin(origins)
    if carriers:
        keep &= table["carrier"].isin(carriers)
    return table[keep].reset_index(drop=True)


@functools.cache
def airlines() -> list[dict[str, str]]:
    """Options of a dropdown, the largest airline first."""
    table = all_flights().select(["carrier", "name"]).to_pandas()
    counts = table.value_counts(["carrier", "name"])
    return [{"label": name, "value": carrier} for carrier, name in counts.index]
