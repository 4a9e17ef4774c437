"""What notebooks show of a Cache and of a Frame. Works without pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _text

if TYPE_CHECKING:
    from ._cache import Cache
    from ._frame import Frame

_ROWS, _COLUMNS, _FRAMES = 5, 20, 20
_LEFT = ' style="text-align:left"'


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def escape(text: str) -> str:
    """As html.escape, which imports a table of all names that there are."""
    return text.translate(_ESCAPES)


def _cells(tag: str, texts: list[str], style: str = "") -> str:
    return "".join(f"<{tag}{style}>{escape(text)}</{tag}>" for text in texts)


def _table(titles: list[list[str]], rows: list[list[str]], style: str = "") -> str:
    head = "".join(f"<tr>{_cells('th', row, _LEFT)}</tr>" for row in titles)
    body = "".join(f"<tr>{_cells('td', row, style)}</tr>" for row in rows)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _facts(pairs: list[tuple[str, str]]) -> str:
    return "<br>".join(f"<b>{escape(name)}</b> {escape(text)}" for name, text in pairs)


def frame_html(frame: Frame) -> str:
    """`Frame._repr_html_`."""
    if frame._released:
        return "<p>Frame (released)</p>"
    rows, count = frame.shape
    columns = _text.columns_of(frame)[:_COLUMNS]
    more = ["…"] * (count > _COLUMNS)
    titles = [[name for name, _ in columns] + more, [kind for _, kind in columns] + more]
    cells = _text.first_rows(frame, _ROWS, _COLUMNS)
    body = [list(row) + more for row in zip(*cells, strict=True)]
    if rows > _ROWS:
        body.append(["…"] * len(titles[0]))
    size = f"{rows:,} rows, {count:,} columns, {_text.size_text(frame.nbytes)}"
    facts = [("Frame", repr(frame.key)), ("size", size)]
    facts += _text.about(frame._info) + _text.place_of(frame)
    return f"<div><p>{_facts(facts)}</p>{_table(titles, body)}</div>"


def cache_html(cache: Cache) -> str:
    """`Cache._repr_html_`."""
    if cache.closed:
        return f"<p>Cache {escape(cache.dir)} (closed)</p>"
    stats = cache.stats()
    infos = sorted(cache.infos(), key=lambda info: (-int(info["bytes"]), info["key"]))
    facts = [("Cache", cache.dir), ("frames", f"{len(infos):,}"), ("used", _used(stats))]
    asked = int(stats["hits"]) + sum(
        int(value) for name, value in stats.items() if name.startswith("misses_")
    )
    if asked:
        facts.append(("hits", f"{int(stats['hits']) / asked:.1%} of {asked:,} gets"))
    titles = ["key", "rows", "columns", "bytes", "age", "expires", "held", "mapped by"]
    mapped = _text.mapped_by(cache)
    body = [
        [*_line(info), ", ".join(mapped.get(info["key"], []))] for info in infos[:_FRAMES]
    ]
    if len(infos) > _FRAMES:
        body.append([f"… {len(infos) - _FRAMES:,} more"] + [""] * (len(titles) - 1))
    return f"<div><p>{_facts(facts)}</p>{_table([titles], body, _LEFT)}</div>"


def _used(stats: dict[str, Any]) -> str:
    used, budget = int(stats["used_bytes"]), int(stats["budget_bytes"])
    share = f" ({used / budget:.1%})" if budget else ""
    return f"{_text.size_text(used)} of {_text.size_text(budget)}{share}"


def _line(info: dict[str, Any]) -> list[str]:
    about = dict(_text.about(info))
    sizes = [f"{info['rows']:,}", f"{info['columns']:,}", _text.size_text(info["bytes"])]
    held = "yes" if info["leased"] else ""
    return [info["key"], *sizes, about["age"], about.get("expires", ""), held]
