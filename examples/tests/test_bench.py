"""The benchmark's driver: it runs contests, keeps their figures and renders them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_contest_gives_a_figure_beside_its_target(
    root: Path, build: Path, tmp_path: Path, cache_dir: Path
) -> None:
    if not (build / "bench/put_small").exists():
        pytest.skip("this build has no benchmarks")
    out = tmp_path / "results.json"
    done = subprocess.run(
        [
            sys.executable,
            root / "bench/run.py",
            build / "bench",
            "--only",
            "one row, new",
            "--dir",
            cache_dir.parent,
            "--out",
            out,
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    (figure,) = json.loads(out.read_text())["figures"]
    assert figure["figure"] == "put_one_row/new"
    assert figure["ratio"] == figure["framecache"] / figure["baseline"] > 0
    assert figure["met"] == (figure["ratio"] <= 1.8)
    assert ("ratio target met" in done.stdout) == figure["met"]
    assert not list(cache_dir.parent.iterdir())  # it tidies up


def test_a_contest_that_fails_fails_the_run(root: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    broken = programs / "put_small"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = subprocess.run(
        [
            sys.executable,
            root / "bench/run.py",
            programs,
            "--only",
            "one row, new",
            "--out",
            tmp_path / "results.json",
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_the_page_takes_its_numbers_from_the_results(root: Path, tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    results.write_text(
        json.dumps(
            {
                "machine": {
                    "when": "2000-01-01",
                    "cores": 3,
                    "memory_bytes": 2**30,
                    "kernel": "9",
                },
                "figures": [
                    {
                        "text": "a get",
                        "unit": "ns",
                        "framecache": 20.0,
                        "baseline": 100.0,
                        "ratio": 0.2,
                        "target": "at most 0.25",
                        "met": True,
                    }
                ],
                "left_out": {"another": "no room"},
            }
        )
    )
    page.write_text(
        "before\n<!-- figures: bench/report.py -->\nold\n<!-- end of figures -->\nafter\n"
    )
    subprocess.run(
        [sys.executable, root / "bench/report.py", results, "--page", page],
        check=True,
        timeout=600,
    )
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| a get | 20 ns | 100 ns | 0.200 | at most 0.25 | ratio target met |" in text
    assert "left out: no room" in text
