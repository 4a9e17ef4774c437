"""The programs of examples/dash/thread/, each in a real browser: what is clicked, what
the page says then; and how little they differ from what they were.
"""

import contextlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import framecache
import pytest

ROOT = Path(__file__).resolve().parents[2]
THREAD = ROOT / "examples/dash/thread"
PROGRAMS = sorted(p.stem for p in THREAD.glob("*.py") if p.stem != "tables")

pytestmark = browser.needed


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.chromium() as started:
        yield started


@pytest.fixture
def use(chromium: Any, environment: dict[str, str]) -> Iterator[Any]:
    """Opens a program's page: ``use("sunburst")``. No error may come up on it."""
    with contextlib.ExitStack() as stack:
        tabs = []

        def open_page(module: str, workers: int = 2, **more: str) -> browser.Tab:
            server = browser.serve(
                THREAD, f"{module}:server", environment | more, workers
            )
            tab = browser.Tab(chromium, stack.enter_context(server))
            stack.callback(tab.context.close)
            tabs.append(tab)
            return tab

        yield open_page
        assert [tab.errors for tab in tabs] == [[] for _ in tabs]


def token_of(tab: browser.Tab, store: str) -> str:
    """The browser holds a short token in place of the data."""
    held = tab.store(store)
    assert isinstance(held, str) and len(held) < 500
    return held


def test_sunburst(use: Any) -> None:
    tab = use("sunburst")
    tab.click("#query")
    tab.page.wait_for_selector("#sunburst .sunburstlayer .slice")
    assert tab.page.locator("#sunburst .sunburstlayer .slice").count() > 100
    token_of(tab, "table")


def test_plain(use: Any) -> None:
    tab = use("plain")
    tab.click("#query")
    tab.page.wait_for_selector("#sunburst .sunburstlayer .slice")
    token_of(tab, "table")


def test_benchmark_callback(use: Any) -> None:
    tab = use("benchmark_callback")
    tab.click("#plain")
    tab.text("#plain-log", "1 rows")
    tab.click("#kept")
    first = tab.text("#kept-log", "1 rows")
    tab.click("#kept")
    tab.page.wait_for_function(
        "t => document.querySelector('#kept-log').textContent !== t", arg=first
    )
    token_of(tab, "kept-frame")
    token_of(tab, "kept-made")


@pytest.mark.parametrize("program", ["benchmark_enrich", "transform"])
def test_benchmark_on_the_server(use: Any, program: str) -> None:
    tab = use(program)
    tab.click("#run")
    assert re.search(r"1 rows, mean 0\.\d+, after", tab.text("#log", "after"))
    token_of(tab, "frame")


def test_scatter_draws_a_carrier_of_the_whole_table(use: Any) -> None:
    tab = use("scatter")
    tab.click("#load")
    tab.text("#log", "336776 rows")
    tab.page.wait_for_selector("#scatter .gl-container, #scatter .main-svg")
    token_of(tab, "flights")


def test_the_second_click_takes_what_is_there(use: Any, chromium: Any) -> None:
    tab = use("instant_refresh")
    tab.click("#query")
    first = tab.text("#log", "made at")
    seen = len(tab.responses)
    tab.click("#query")
    tab.page.wait_for_timeout(2500)
    assert len(tab.responses) > seen
    assert tab.text("#log", "made at") == first
    other = browser.Tab(chromium, tab.page.url)  # another session
    other.click("#query")
    assert other.text("#log", "made at") == first
    other.context.close()


def test_a_figure_goes_through_the_store(use: Any) -> None:
    tab = use("figure")
    tab.click("#make")
    tab.text("#log", "1704 points")
    tab.page.wait_for_selector("#graph .main-svg")
    token_of(tab, "figure")


def test_two_caches(use: Any) -> None:
    tab = use("two_caches", workers=1)  # SimpleCache is one process's
    tab.click("#load")
    tab.text("#log", "336776 flights, one of them 1301 minutes late")


def test_own_directory(use: Any, cache_dir: Path) -> None:
    tab = use("own_directory", OWN_DIRECTORY=str(cache_dir))
    tab.click("#load")
    tab.text("#log", "16 carriers, 336776 flights")
    token_of(tab, "carriers")
    for directory, table in ((cache_dir, 336776), (f"{cache_dir}-small", 16)):
        with framecache.Cache(directory) as cache:
            assert table in [info["rows"] for info in cache.infos()]


def test_ten_graphs_show_what_was_loaded_beside_them(
    use: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    database = tmp_path / "flights.sqlite"

    def fill(rows: int) -> None:
        carriers = "UA B6 EV DL AA MQ US 9E WN VX".split()
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("drop table if exists flights")
            connection.execute(
                "create table flights (month int, carrier, dep_delay real)"
            )
            connection.executemany(
                "insert into flights values (?, ?, ?)",
                [(1 + i % 12, carriers[i % 10], i % 60) for i in range(rows)],
            )

    more = {"TEN_GRAPHS_DATABASE": str(database), "TEN_GRAPHS_SECONDS": "1"}
    command = [sys.executable, "-m", "framecache", "refresh", "ten_graphs:table"]
    scheduler = subprocess.Popen(command, cwd=THREAD, env=environment | more)
    try:
        tab = use("ten_graphs", **more)
        tab.text("#loaded", "336776 rows")  # of the database that it has made
        fill(240)
        tab.text("#loaded", "240 rows")
        assert tab.page.locator(".js-plotly-plot").count() == 10
    finally:
        scheduler.terminate()
        scheduler.wait(30)


@pytest.mark.parametrize("program", PROGRAMS)
def test_at_most_two_lines_differ_from_what_it_was(program: str) -> None:
    text = (THREAD / f"{program}.py").read_text()
    changed = [line for line in text.splitlines() if "# was:" in line]
    named = [
        line for line in text.splitlines() if re.search(r"(from|import) framecache", line)
    ]
    if program not in ("plain", "ten_graphs"):
        assert len(changed) <= 2
    if program != "ten_graphs":  # new: its scheduler was a file of one's own
        assert set(named) <= set(changed), "a line of ours that is not marked"
