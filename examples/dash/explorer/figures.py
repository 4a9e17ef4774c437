"""The figures of the flights, in one look."""

from typing import Any

import pandas as pd

INK, MUTED, LINE = "#1f2937", "#6b7280", "#e5e7eb"
BLUE, AMBER, GREEN, RED, GREY = "#2563eb", "#f59e0b", "#059669", "#dc2626", "#cbd5e1"
PALETTE = [BLUE, AMBER, GREEN, "#7c3aed", RED]

GRAPH = {"displayModeBar": False, "responsive": True}


def layout(title: str, **more: Any) -> dict[str, Any]:
    """A layout in the look of all figures."""
    axis = {
        "gridcolor": LINE, "zeroline": False, "linecolor": LINE, "automargin": True,
        "tickfont": {"color": MUTED, "size": 11}, "title": {"font": {"size": 12}},
    }  # fmt: skip
    given = {
        "title": {
            "text": title, "font": {"size": 14, "color": INK}, "x": 0, "xref": "paper",
            "xanchor": "left", "y": 0.97, "yanchor": "top",
        },
        "font": {"family": "system-ui, sans-serif", "color": INK, "size": 12},
        "paper_bgcolor": "white", "plot_bgcolor": "white",
        "margin": {"l": 48, "r": 16, "t": 44, "b": 40},
        "xaxis": axis | more.pop("xaxis", {}), "yaxis": axis | more.pop("yaxis", {}),
        "showlegend": False, "hoverlabel": {"font": {"size": 12}},
    }  # fmt: skip
    return given | more


def by_hour(table: pd.DataFrame) -> dict[str, Any]:
    """How late flights leave, by the hour they were to leave."""
    late = table.groupby(table["leaves"].dt.hour)["dep_delay"].mean()
    bars = {
        "type": "bar", "x": late.index.tolist(), "y": late.round(1).tolist(),
        "marker": {"color": BLUE}, "hovertemplate": "%{x}:00 — %{y} min<extra></extra>",
    }  # fmt: skip
    look = layout(
        "Mean departure delay by hour, minutes",
        xaxis={"title": {"text": "scheduled hour"}, "dtick": 3},
        bargap=0.25,
    )
    return {"data": [bars], "layout": look}


def by_airline(table: pd.DataFrame) -> dict[str, Any]:
    """The share of late flights of each airline, the worst on top."""
    known = table.dropna(subset=["arr_delay"])
    late = (known["arr_delay"] > 15).groupby(known["name"], observed=True).mean() * 100
    late = late.sort_values().tail(12)
    bars = {
        "type": "bar", "orientation": "h", "y": [short(n) for n in late.index],
        "x": late.round(1).tolist(), "marker": {"color": AMBER},
        "hovertemplate": "%{y} — %{x} %<extra></extra>",
    }  # fmt: skip
    look = layout("Arrived more than 15 minutes late, percent", bargap=0.3)
    return {"data": [bars], "layout": look}


def short(name: str) -> str:
    """An airline's name as people say it."""
    for tail in (" Inc.", " Co.", " Corporation", " Airlines", " Air Lines", " Airways"):
        name = name.removesuffix(tail)
    return name


def numbers(table: pd.DataFrame) -> list[tuple[str, str]]:
    """What the cards say: a label and a number."""
    if not len(table):
        return [("flights", "0")]
    late = (table["dep_delay"] > 15).mean() * 100
    return [
        ("flights", f"{len(table):,}"),
        ("mean departure delay", f"{table['dep_delay'].mean():.1f} min"),
        ("left more than 15 min late", f"{late:.1f} %"),
        ("cancelled", f"{table['dep_delay'].isna().mean() * 100:.1f} %"),
        ("destinations", f"{table['dest'].nunique()}"),
    ]
