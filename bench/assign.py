"""A frame of 1 GB in 50 columns gets one column more by ``df.assign`` and is put again.

    assign.py DIR

The columns that it had are linked: the time stands against that of the whole frame's put,
what it adds to the disk against the one column.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import framecache
import numpy as np
import pandas as pd

ROWS, COLUMNS, ROUNDS = 2_500_000, 50, 3


def figure(name: str, unit: str, ours: float, theirs: float, against: str) -> None:
    line = {"figure": name, "unit": unit, "framecache": ours, "baseline": theirs}
    print(json.dumps({**line, "against": against}), flush=True)


def put_ms(cache: framecache.Cache, key: str, df: pd.DataFrame) -> float:
    start = time.perf_counter()
    cache.put(key, df)
    return (time.perf_counter() - start) * 1e3


def real_bytes(directory: Path) -> int:
    """Of all files, each once, however many names it has."""
    found = (path.stat() for path in directory.rglob("*") if path.is_file())
    return sum({info.st_ino: info.st_blocks * 512 for info in found}.values())


def main() -> None:
    place = Path(sys.argv[1]) / "cache"
    cache = framecache.Cache(place, budget="4GiB", pool="0")
    values = np.arange(ROWS, dtype=float)
    whole = pd.DataFrame({f"c{i}": values + i for i in range(COLUMNS)})
    full, wider, grown = [], [], []
    for _ in range(ROUNDS):
        full.append(put_ms(cache, "whole", whole))
        df = cache["whole"].to_pandas().assign(x=values * 2)
        before = real_bytes(place)
        wider.append(put_ms(cache, "wider", df))
        grown.append(real_bytes(place) - before)
        del df
        cache.delete("wider")
    figure(
        "assign/put",
        "ms",
        statistics.median(wider),
        statistics.median(full),
        "the put of all columns",
    )
    figure("assign/memory", "bytes", statistics.median(grown), ROWS * 8, "the one column")
    cache.close()


if __name__ == "__main__":
    main()
