"""Writes the figures of a run into docs/benchmarks.md, between its two marks.

    report.py [RESULTS ...] [--page FILE]

The numbers in the documentation come from here and nowhere else.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from run import number, outcome

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- figures: bench/report.py -->", "<!-- end of figures -->"


def table(results: dict[str, Any]) -> list[str]:
    lines = [
        "| | framecache | baseline | ratio | target | |",
        "|---|--:|--:|--:|---|---|",
    ]
    for f in results["figures"]:
        ratio = "" if f["ratio"] is None else f"{f['ratio']:.3f}"
        baseline = number(f["baseline"], f["unit"]) if f["baseline"] else ""
        lines.append(
            f"| {f['text']} | {number(f['framecache'], f['unit'])} | {baseline} "
            f"| {ratio} | {f['target']} | {outcome(f)} |"
        )
    for name, reason in results["left_out"].items():
        lines.append(f"| {name} | left out: {reason} | | | | |")
    return lines


def section(paths: list[Path]) -> str:
    lines: list[str] = []
    for path in paths:
        results = json.loads(path.read_text())
        host = results["machine"]
        lines += [
            f"Measured {host['when']}: {host['cores']} cores, "
            f"{host['memory_bytes'] / 2**30:.0f} GiB, Linux {host['kernel']}.",
            "",
        ]
        lines += [*table(results), ""]
    return "\n".join(lines)


def replace_section(page: str, text: str) -> str:
    head, _, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise SystemExit(f"the page lacks its marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{text}\n{END}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "results", type=Path, nargs="*", default=[ROOT / "build/bench/results.json"]
    )
    parser.add_argument("--page", type=Path, default=ROOT / "docs/benchmarks.md")
    wanted = parser.parse_args()
    page = wanted.page.read_text()
    wanted.page.write_text(replace_section(page, section(wanted.results)))


if __name__ == "__main__":
    main()
