"""Values that are no table, in and out of the cache, against pickle in a file on tmpfs.

    values.py DIR

Both sides run in turn in one process, and the best round of each counts.
"""

import json
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import framecache
import numpy as np

ROUNDS, TIMES = 200, 5
VALUES: dict[str, Any] = {
    "10_scalars": {
        "a": 1, "b": 2.5, "c": "text", "d": None, "e": True, "f": -7, "g": 1e9,
        "h": "more text", "i": 0, "j": "z" * 20,
    },
    "1_MB_array": {"weights": np.arange(131_072.0), "name": "model"},
    "100_dicts": [{"id": n, "name": f"n{n}", "share": n / 2} for n in range(100)],
}  # fmt: skip


def a_call(call: Callable[[], Any]) -> float:
    """Nanoseconds a call."""
    started = time.perf_counter_ns()
    for _ in range(TIMES):
        call()
    return (time.perf_counter_ns() - started) / TIMES


def main() -> None:
    scratch = Path(sys.argv[1])
    path = scratch / "pickle"

    def put_and_get(value: Any) -> Any:
        cache.put_value("k", value)
        return cache.get_value("k")

    def dump_and_load(value: Any) -> Any:
        with open(path, "wb") as file:
            pickle.dump(value, file, protocol=5)
        with open(path, "rb") as file:
            return pickle.load(file)

    with framecache.Cache(scratch / "cache", budget="256MiB") as cache:
        for name, value in VALUES.items():
            ours = theirs = float("inf")
            for _ in range(ROUNDS):
                ours = min(ours, a_call(lambda value=value: put_and_get(value)))
                theirs = min(theirs, a_call(lambda value=value: dump_and_load(value)))
            figure = {"figure": f"python/value/{name}", "unit": "ns"}
            print(json.dumps(figure | {"framecache": ours, "baseline": theirs}))


if __name__ == "__main__":
    main()
