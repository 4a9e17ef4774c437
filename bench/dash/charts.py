"""The thread's two charts, and a table, from what run.py wrote.

    charts.py [RESULTS] [--out DIR]

Writes dash-time.svg, dash-ratio.svg and dash-benchmark.md. Lines are means, bars one
standard deviation; both axes are logarithmic.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"json": "dcc.Store, JSON", "pickle": "pickle files", "framecache": "framecache"}
COLOURS = {"json": "#4c6ef5", "pickle": "#e8890c", "framecache": "#1b7f79"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 80, 170, 44, 56

Figure = dict[str, Any]  # a Point of run.py
Axis = Callable[[float], float]  # where a value stands, in pixels


@dataclass(frozen=True)
class Line:
    """One series: (rows, mean, deviation) and, where it ended early, why."""

    kind: str
    points: list[tuple[int, float, float]]
    ended: str = ""


def axis(low: float, high: float, from_px: float, to_px: float) -> Axis:
    a, b = math.log10(low), math.log10(high)
    return lambda v: from_px + (math.log10(v) - a) / (b - a) * (to_px - from_px)


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Whole powers of ten around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def power(value: float) -> str:
    exponent = round(math.log10(value))
    if 0 <= exponent <= 3:
        return str(10**exponent)
    return f'10<tspan dy="-6" font-size="9">{exponent}</tspan>'


def grid(
    title: str,
    unit: str,
    x: Axis,
    y: Axis,
    xs: tuple[float, float],
    ys: tuple[float, float],
) -> list[str]:
    out = [
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>'
    ]
    value = xs[0]
    while value <= xs[1] * 1.001:
        out.append(
            f'<path d="M{x(value):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e6e6e6"/>'
            f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
            f"{power(value)}</text>"
        )
        value *= 10
    value = ys[0]
    while value <= ys[1] * 1.001:
        out.append(
            f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#e6e6e6"/>'
            f'<text x="{LEFT - 10}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{power(value)}</text>"
        )
        value *= 10
    middle = (TOP + HEIGHT - BOTTOM) / 2
    out.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"rows</text>"
        f'<text transform="translate(22 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(unit)}</text>"
    )
    return out


def curve(line: Line, x: Axis, y: Axis, low: float) -> list[str]:
    colour = COLOURS[line.kind]
    path = "".join(
        f"{'M' if i == 0 else 'L'}{x(rows):.1f} {y(mean):.1f}"
        for i, (rows, mean, _) in enumerate(line.points)
    )
    out = [f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for rows, mean, deviation in line.points:
        top, bottom = y(mean + deviation), y(max(mean - deviation, low))
        out.append(
            f'<path d="M{x(rows):.1f} {top:.1f}V{bottom:.1f}" stroke="{colour}"/>'
            f'<path d="M{x(rows) - 4:.1f} {top:.1f}h8M{x(rows) - 4:.1f} {bottom:.1f}h8" '
            f'stroke="{colour}"/>'
            f'<circle cx="{x(rows):.1f}" cy="{y(mean):.1f}" r="3.5" fill="{colour}">'
            f"<title>{escape(NAMES[line.kind])}, {rows:,}: {mean:.4g}</title></circle>"
        )
    rows, mean, _ = line.points[-1]
    name = NAMES[line.kind] + (", until here" if line.ended else "")
    out.append(
        f'<text x="{x(rows) + 10:.1f}" y="{y(mean) + 4:.1f}" fill="{colour}">'
        f"{escape(name)}</text>"
    )
    return out


def chart(title: str, unit: str, lines: list[Line]) -> str:
    lines = [line for line in lines if line.points]
    xs = decades([rows for line in lines for rows, _, _ in line.points])
    ys = decades([v for line in lines for _, m, d in line.points for v in (m, m + d)])
    x = axis(*xs, LEFT, WIDTH - RIGHT)
    y = axis(*ys, HEIGHT - BOTTOM, TOP)
    parts = grid(title, unit, x, y, xs, ys)
    for line in lines:
        parts += curve(line, x, y, ys[0])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="{escape(title)}"><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(parts)
        + "</svg>\n"
    )


# ---- From the results ----


def spread(values: list[float]) -> tuple[float, float]:
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def times(points: list[Figure], kind: str) -> Line:
    mine = [p for p in points if p["kind"] == kind]
    ended = next((p["gave_up"] for p in mine if p["gave_up"]), "")
    return Line(
        kind, [(p["rows"], *spread(p["chain"])) for p in mine if p["chain"]], ended
    )


def ratios(points: list[Figure], kind: str) -> Line:
    """How many times longer `kind` took than framecache; deviations add in squares."""
    ours = {rows: (m, d) for rows, m, d in times(points, "framecache").points}
    line = times(points, kind)
    out = []
    for rows, mean, deviation in line.points:
        if rows in ours:
            base, base_deviation = ours[rows]
            ratio = mean / base
            relative = math.hypot(deviation / mean, base_deviation / base)
            out.append((rows, ratio, ratio * relative))
    return Line(kind, out, line.ended)


def milliseconds(values: list[float]) -> str:
    return f"{statistics.median(values) * 1000:,.1f}" if values else "-"


def cost(point: Figure) -> float:
    """Seconds that a read of the store adds to a callback, on the server."""
    if not point["server_read"]:
        return math.nan
    read, empty = (
        statistics.median(point[name]) for name in ("server_read", "server_empty")
    )
    return float(read - empty)


def times_ours(point: Figure, ours: dict[int, float]) -> str:
    """How many times what framecache's read adds."""
    ratio = cost(point) / max(ours.get(point["rows"], math.nan), 1e-5)
    return "" if point["kind"] == "framecache" or math.isnan(ratio) else f"{ratio:,.1f}"


def table(results: dict[str, Any]) -> str:
    lines = [
        f"Measured {results['date']}. Milliseconds, medians; memory of all workers.",
        "",
        "| rows | | chain, first | chain, later | read in the browser | empty callback "
        "| request to callback | the same, empty | difference | of framecache's, times "
        "| private MB | |",
        "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    points = results["points"]
    ours = {p["rows"]: cost(p) for p in points if p["kind"] == "framecache"}
    order = list(NAMES)
    for p in sorted(points, key=lambda p: (p["rows"], order.index(p["kind"]))):
        added = cost(p)
        lines.append(
            f"| {p['rows']:,} | {NAMES[p['kind']]} | {milliseconds(p['chain'][:1])} "
            f"| {milliseconds(p['chain'][1:])} | {milliseconds(p['read'])} "
            f"| {milliseconds(p['empty'])} | {milliseconds(p['server_read'])} "
            f"| {milliseconds(p['server_empty'])} "
            f"| {'-' if math.isnan(added) else f'{added * 1000:,.2f}'} "
            f"| {times_ours(p, ours)} "
            f"| {p['worker_private'] / 1e6:,.0f} | {p['gave_up']} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", type=Path, nargs="?", default=ROOT / "build/bench/dash.json"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    wanted = parser.parse_args()
    results = json.loads(wanted.results.read_text())
    points = results["points"]
    kinds = [k for k in NAMES if any(p["kind"] == k for p in points)]
    images = wanted.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    (images / "dash-time.svg").write_text(
        chart(
            "From the frame made to the frame in the next callback",
            "seconds",
            [times(points, k) for k in kinds],
        )
    )
    (images / "dash-ratio.svg").write_text(
        chart(
            "How many times longer than framecache",
            "ratio",
            [ratios(points, k) for k in kinds if k != "framecache"],
        )
    )
    page = wanted.out / "dash-benchmark.md"
    head = page.read_text().partition("<!-- figures")[0] if page.exists() else ""
    page.write_text(f"{head}<!-- figures: bench/dash/charts.py -->\n\n{table(results)}")


if __name__ == "__main__":
    main()
