"""The figures that `make bench` is about, what each promises, and how it is printed."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Target:
    """A promise about framecache / baseline of one figure."""

    figure: str
    text: str
    kind: Literal["at most", "at least", "none"] = "none"
    ratio: float = 0.0

    def met(self, ratio: float) -> bool | None:
        if self.kind == "none":
            return None
        return ratio <= self.ratio if self.kind == "at most" else ratio >= self.ratio

    def wording(self) -> str:
        return "-" if self.kind == "none" else f"{self.kind} {self.ratio:g}"


def _warm(keys: int, processes: int) -> list[Target]:
    crowd = f"{keys:,} keys, {processes} process" + (
        "es at once" if processes > 1 else ""
    )
    name = f"{keys}_keys/{processes}_processes"
    return [
        Target(f"warm_get/{name}", f"warm get, {crowd}", "at most", 0.25),
        Target(f"warm_get_value/{name}", "... with a column found and a value read"),
        Target(f"warm_get_renewed/{name}", "... against a transaction kept and renewed"),
        Target(f"warm_get_held/{name}", "... against a snapshot kept open"),
    ]


VICTIM_MB = ("1000", "100", "8", "1")


def _make_room(mb: str) -> list[Target]:
    name = f"make_room/1GB/{mb}MB"
    text = f"put of 1 GB that has to evict as much, in frames of {mb} MB"
    return [
        Target(name, text, "at most", 1.05),
        Target(f"{name}/thread", "... processor time of the thread that puts"),
        Target(f"{name}/process", "... and of all its threads"),
        Target(f"{name}/compressing", "... and compresses what goes, for 250 ms"),
    ]


FLIGHTS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time"),
    *("sched_arr_time", "arr_delay", "carrier", "flight", "tailnum", "origin", "dest"),
    *("air_time", "distance", "hour", "minute", "time_hour"),
)


def _column(name: str) -> list[Target]:
    return [
        Target(f"codec/{name}", f"column {name}, and by LZ4 alone"),
        Target(f"codec/{name}/demote", f"... {name}: demotion"),
        Target(f"codec/{name}/promote", f"... {name}: promotion"),
    ]


TARGETS: list[Target] = [
    Target("import/30_ms", "import framecache, against 30 ms", "at most", 1.0),
    Target("import/numpy", "... against an import of numpy"),
    *_warm(40, 1),
    *_warm(6000, 1),
    *_warm(40, 2),
    *_warm(6000, 2),
    Target(
        "warm_get_p99/beside_puts", "p99 of warm gets beside 800 MB puts", "at most", 2.0
    ),
    Target("first_get/1_rows", "first get, 1 row", "at most", 1.3),
    Target("first_get/100000000_rows", "first get, 10^8 rows", "at most", 1.3),
    Target("put_800MB/fresh", "put of 800 MB, fresh pages", "at least", 0.95),
    Target("put_800MB/recycled", "put of 800 MB, recycled pages", "at least", 0.4),
    Target("put_800MB/fresh/huge", "... fresh, huge=within_size"),
    Target("put_800MB/recycled/huge", "... recycled, huge=within_size", "at least", 0.9),
    *(target for mb in VICTIM_MB for target in _make_room(mb)),
    Target(
        "assign/put", "df.assign(x=...) of 50 columns, 1 GB, put again", "at most", 0.05
    ),
    Target("assign/memory", "... and what it adds to the disk", "at most", 1.05),
    Target("put_one_row/new", "put of one row, new key", "at most", 1.8),
    Target("put_one_row/replace", "put of one row, replacing", "at most", 1.2),
    Target("put_one_row/at_capacity", "put of one row, at capacity", "at most", 2.0),
    Target("60000_frames/warm_get", "60,000 frames: warm get", "at most", 1.3),
    Target("60000_frames/first_get", "60,000 frames: first get", "at most", 1.3),
    Target("60000_frames/first_get_cold", "... of frames not used since they were put"),
    Target("60000_frames/put_replace", "60,000 frames: replacing put", "at most", 1.3),
    Target("60000_frames/put_new", "60,000 frames: new put", "at most", 1.3),
    Target("codec/all", "flights, compressed, and by LZ4 alone"),
    Target(
        "codec/all/demote", "flights: demotion, with its file and checks", "at least", 0.8
    ),
    Target("codec/all/demote/shuffled", "... against LZ4 of bytes shuffled before"),
    Target("codec/all/promote", "flights: promotion, to a mapped frame", "at least", 0.8),
    Target("codec/all/promote/warm", "... against decoding to memory that is there"),
    *(target for column in FLIGHTS for target in _column(column)),
    Target("flight/hit", "get_or_compute on a hit, more than get", "at most", 1.0),
    Target("flight/waiters", "200 waiting threads served", "at most", 1.0),
    Target("flight/waiters/worst", "... in the worst of 25 rounds"),
    Target("flight/python/threads", "200 waiting Python threads served", "at most", 1.0),
    Target("flight/python/threads/worst", "... in the worst of 15 rounds"),
    Target("flight/python/processes", "8 waiting Python processes", "at most", 1.0),
    Target("flight/python/processes/worst", "... in the worst of 15 rounds"),
    Target("flight/python/asyncio", "200 waiting coroutines, 8 loops", "at most", 1.0),
    Target("flight/python/asyncio/worst", "... in the worst of 15 rounds"),
    Target(
        "1GB_reader/private", "one more reader of 1 GB: private memory", "at most", 0.01
    ),
    Target(
        "1GB_reader/summed_pss", "one more reader of 1 GB: summed PSS", "at most", 0.01
    ),
    Target("python/warm_get", "cache[key] in Python, against 1 µs", "at most", 1.0),
    Target(
        "python/to_pandas", "to_pandas(), 20 x 10^7 numbers, against 300 µs", "at most", 1
    ),
    Target("python/put_get/1", "pandas, 1 row: put and get, by pickle", "at most", 1 / 2),
    Target("python/put_get/1000000", "pandas, 10^6 rows: ...", "at most", 1 / 3),
    Target("python/put_get/100000000", "pandas, 10^8 rows, replaced", "at most", 1 / 5),
    Target("python/put_get_first/100000000", "... for the first time", "at most", 1 / 2),
    Target("python/reader/100000000", "... a further reader", "at most", 1e-4),
    Target("python/value/10_scalars", "a dict of 10 scalars: put and get, by pickle"),
    Target("python/value/1_MB_array", "a dict with an array of 1 MB"),
    Target("python/value/100_dicts", "a list of 100 dicts"),
    Target(
        "python/workers_private",
        "8 workers, 2 GB as pandas: private of 2 GB",
        "at most",
        0.03,
    ),
    Target("python/worker_private", "... one of them, and one that unpickles"),
]


def find(figure: str) -> Target:
    """The target of a figure; of ROWS=n, which names itself, one is made."""
    for target in TARGETS:
        if target.figure == figure:
            return target
    name, _, what = figure.partition("/")
    rows = f"{int(name.removeprefix('rows_')):,} rows"
    if what == "private":
        return Target(figure, f"{rows}: private memory of a reader", "at most", 0.01)
    return Target(figure, f"{rows}: " + what.replace("_", " "))
