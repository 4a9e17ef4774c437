"""Bars as inline SVG: no script, no font, no host but this page."""

from dataclasses import dataclass
from html import escape

COLOURS = ("#1b7f79", "#c9653a")
WIDTH, LABEL, BAR, GAP = 760, 260, 16, 14


@dataclass(frozen=True)
class Bars:
    """Two bars a row; None: nothing was measured. `unit` follows the numbers."""

    title: str
    unit: str
    rows: list[tuple[str, float | None, float | None]]
    note: str = ""


def short(value: float) -> str:
    for size in (100.0, 10.0, 1.0):
        if abs(value) >= size:
            return f"{value:,.{0 if size == 100 else 1 if size == 10 else 2}f}"
    return f"{value:.3g}"


def svg(bars: Bars, series: tuple[str, str]) -> str:
    """The chart. Bars are as long as their numbers, on one scale that begins at zero."""
    values = [v for _, *pair in bars.rows for v in pair if v is not None]
    most = max(values, default=0) or 1
    room = WIDTH - LABEL - 120
    parts, y = [], 0
    for label, *pair in bars.rows:
        parts.append(
            f'<text x="{LABEL - 10}" y="{y + BAR + 5}" text-anchor="end">'
            f"{escape(label)}</text>"
        )
        for value, colour, name in zip(pair, COLOURS, series, strict=True):
            title = f"{name}, {label}"
            parts.append(_bar(y, value, most, room, colour, title, bars.unit))
            y += BAR + 2
        y += GAP
    head = f'<svg viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(bars.title)}">'
    return head + "".join(parts) + "</svg>"


def _bar(
    y: int,
    value: float | None,
    most: float,
    room: int,
    colour: str,
    title: str,
    unit: str,
) -> str:
    text = "not measured" if value is None else f"{short(value)} {unit}"
    length = 0.0 if value is None else max(value / most * room, 1)
    return (
        f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" '
        f'fill="{colour}"><title>{escape(title)}: {escape(text)}</title></rect>'
        f'<text x="{LABEL + length + 6:.1f}" y="{y + BAR - 4}">{escape(text)}</text>'
    )
