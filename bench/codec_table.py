"""Puts the table of the contest `codec` into a cache: New York's flights of 2013, as
`make demo` reads them, ten times.

    codec_table.py DIR       under the key "flights", in the cache DIR/table
"""

import sys
from pathlib import Path

import framecache

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples/demo"))
import data  # of examples/demo

COPIES = 10


def main() -> None:
    flights = data.enlarge(data.read_tables()["flights"], COPIES)
    with framecache.Cache(Path(sys.argv[1]) / "table", budget="2GiB") as cache:
        cache.put("flights", flights)


if __name__ == "__main__":
    main()
