"""The cache panel: what is in the cache, how it does, and what the workers take."""

import itertools
import os
import time
from pathlib import Path
from typing import Any

import framecache
from figures import AMBER, BLUE, GREEN, GREY, RED, layout

GROUPS = {
    "flights": "tables",
    "memo": "selections",
    "grid": "row numbers of the grid",
    "dash": "callback values",
    "other": "other",
}
COLOURS = {
    "tables": BLUE,
    "selections": GREEN,
    "row numbers of the grid": AMBER,
    "callback values": "#7c3aed",
    "other": GREY,
}
HISTORY = 150  # samples
NOTE = (
    "Its own memory is Private_Clean + Private_Dirty of the process. A worker that "
    "unpickled the tables and selections would hold a copy of each besides; here all "
    "workers read the same pages."
)


def group(key: str) -> str:
    """What kind of frame it is, by its key."""
    if key == "flights":
        return GROUPS["flights"]
    if key.startswith("framecache.grid/"):
        return GROUPS["grid"]
    if "selection" in key:
        return GROUPS["memo"]
    return GROUPS["dash" if "dash" in key else "other"]


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


def sample(cache: framecache.Cache) -> dict[str, float]:
    """The counters that the curves are made of."""
    stats = cache.stats()
    misses = sum(int(v) for name, v in stats.items() if name.startswith("misses_"))
    return {
        "time": time.time(),
        "hits": int(stats["hits"]),
        "misses": misses,
        "computed": int(stats["computed"]),
    }


def cards(cache: framecache.Cache) -> list[tuple[str, str]]:
    """What the cards say: a label and a number."""
    stats = {name: int(v) for name, v in cache.stats().items() if not isinstance(v, str)}
    return [
        (f"used of {size(stats['budget_bytes'])}", size(stats["used_bytes"])),
        ("frames", f"{stats['frames']:,}"),
        ("hits", f"{stats['hits']:,}"),
        ("computed", f"{stats['computed']:,}"),
        ("evicted", f"{stats['evicted']:,}"),
        ("kept for recycling", size(stats["pool_bytes"])),
    ]


def treemap(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Frames by their bytes, within what they are."""
    groups = sorted({group(info["key"]) for info in infos})
    ids, labels, parents, values, colours, notes = [], [], [], [], [], []
    for name in groups:
        inside = [info for info in infos if group(info["key"]) == name]
        total = sum(info["bytes"] for info in inside)
        ids.append(name)
        labels.append(name)
        parents.append("")
        values.append(total)
        colours.append(COLOURS[name])
        notes.append(f"{len(inside)} frames, {size(total)}")
        for info in inside:
            ids.append(info["key"])
            labels.append(short_key(info["key"]))
            parents.append(name)
            values.append(info["bytes"])
            colours.append(COLOURS[name])
            notes.append(f"{info['rows']:,} rows, {size(info['bytes'])}")
    tree = {
        "type": "treemap", "ids": ids, "labels": labels, "parents": parents,
        "values": values, "branchvalues": "total", "customdata": notes,
        "texttemplate": "%{label}<br>%{customdata}", "textfont": {"size": 12},
        "hovertemplate": "%{label}<br>%{customdata}<extra></extra>",
        "marker": {"colors": colours, "line": {"width": 1.5, "color": "white"}},
        "tiling": {"pad": 2}, "pathbar": {"visible": False},
    }  # fmt: skip
    look = layout("Frames by bytes", margin={"l": 8, "r": 8, "t": 44, "b": 8})
    return {"data": [tree], "layout": look}


def short_key(key: str) -> str:
    """A key that fits: its readable end, or the beginning of a digest."""
    name = key.rsplit("/", 1)[-1]
    return name if len(name) <= 18 else f"{name[:16]}…"


def curves(history: list[dict[str, float]]) -> dict[str, Any]:
    """Hits and misses a second, from one sample to the next."""
    pairs = list(itertools.pairwise(history))
    moments = [
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(b["time"])) for _, b in pairs
    ]

    def rate(name: str) -> list[float]:
        return [
            round((b[name] - a[name]) / max(b["time"] - a["time"], 0.1), 2)
            for a, b in pairs
        ]

    data = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": moments,
            "y": rate(name), "line": {"color": colour, "width": 2, "shape": "hv"},
        }
        for name, colour in (("hits", BLUE), ("misses", RED), ("computed", GREEN))
    ]  # fmt: skip
    look = layout(
        "Hits, misses and computations a second",
        showlegend=True,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.14},
        yaxis={"rangemode": "tozero"},
        uirevision="curves",
    )
    return {"data": data, "layout": look}


# ---- The workers ----


def workers() -> list[int]:
    """The workers of this server: the processes that have this one's parent."""
    parent, found = os.getppid(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(entry.name))
    return sorted(found)


def memory(pid: int) -> dict[str, int]:
    """Bytes of a process: its own, and of the cache's frames those it has touched."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in rollup}
    return {
        "private": values["Private_Clean"] + values["Private_Dirty"],
        "shared": values.get("Pss_Shmem", 0),
    }


def memory_bars(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Each worker's own memory, beside what its own copies of the tables would add."""
    copies = sum(i["bytes"] for i in infos if group(i["key"]) in ("tables", "selections"))
    names, own = [], []
    for number, pid in enumerate(workers(), 1):
        try:
            own.append(memory(pid)["private"] / 2**20)
        except OSError:
            continue
        names.append(f"worker {number}")

    def bar(name: str, values: list[float], colour: str) -> dict[str, Any]:
        return {
            "type": "bar", "name": name, "x": names, "y": [round(v, 1) for v in values],
            "marker": {"color": colour},
            "hovertemplate": "%{y:.0f} MiB<extra>" + name + "</extra>",
        }  # fmt: skip

    data = [
        bar("its own memory", own, BLUE),
        bar("unpickled copies would add", [copies / 2**20] * len(names), GREY),
    ]
    look = layout(
        "Memory of each worker, MiB",
        barmode="stack",
        showlegend=True,
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.14},
        bargap=0.45,
    )
    return {"data": data, "layout": look}


def holders(cache: framecache.Cache) -> dict[str, str]:
    """The processes that have each frame mapped, by its key."""
    found: dict[str, list[str]] = {}
    for held in cache.holders():
        if held["key"] is not None:
            found.setdefault(held["key"], []).append(str(held["pid"]))
    return {key: ", ".join(pids) for key, pids in found.items()}


def frame_rows(
    cache: framecache.Cache, infos: list[dict[str, Any]], now: float
) -> list[dict[str, Any]]:
    """A row for each frame, the largest first."""
    held = holders(cache)
    return [
        {
            "key": info["key"],
            "kind": group(info["key"]),
            "size": size(info["bytes"]),
            "age": f"{max(now - info['created'], 0):.0f} s",
            "uses": info["uses"],
            "held": held.get(info["key"], "nobody"),
        }
        for info in sorted(infos, key=lambda info: -info["bytes"])[:200]
    ]
