"""multiprocessing: workers that read one table, by fork, spawn or forkserver.

    python workers.py [fork|spawn|forkserver]

What is sent to a worker is the cache (it pickles as its settings) and a key. A Frame is
not sent: it would have to be copied, and the key is enough.
"""

import multiprocessing
import sys

import framecache
import numpy as np
import pandas as pd


def part(job: tuple[framecache.Cache, str, int, int]) -> float:
    """The sum of some rows; no row is copied to get here."""
    cache, key, first, rows = job
    with cache[key] as frame:
        return float(frame.slice(first, rows)["x"].to_numpy().sum())


def main(how: str) -> None:
    cache = framecache.Cache()
    rows, parts = 1_000_000, 4
    table = pd.DataFrame({"x": np.arange(rows, dtype="f8")})
    cache.put("numbers", table).release()
    step = rows // parts
    jobs = [(cache, "numbers", number * step, step) for number in range(parts)]
    with multiprocessing.get_context(how).Pool(parts) as pool:
        print(f"{how}: {sum(pool.map(part, jobs)):.0f}")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "spawn")
