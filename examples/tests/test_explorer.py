"""`make app`: the explorer starts, shows the flights, its grid and the cache panel."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import Tab, chromium, free_port, needed, page, wait_for

pytestmark = needed


@pytest.fixture
def address(root: Path, environment: dict[str, str]) -> Iterator[str]:
    port = free_port()
    environment = environment | {"PORT": str(port), "WORKERS": "2"}
    environment.pop("FRAMECACHE_DIR")  # the explorer makes its own, and removes it
    run = root / "examples/dash/explorer/run"
    before = set(Path("/dev/shm").glob("framecache-explorer-*"))
    server = subprocess.Popen([run], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/", server)
        made = set(Path("/dev/shm").glob("framecache-explorer-*")) - before
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(timeout=300)
    assert not [path for path in made if path.exists()]


def text(opened: Any, selector: str, wanted: str) -> None:
    """Wait until what `selector` finds first says `wanted`."""
    opened.wait_for_function(
        f"(document.querySelector({selector!r})?.textContent || '').includes({wanted!r})",
    )


def test_explorer_shows_flights_grid_and_cache(address: str, tmp_path: Path) -> None:
    with page(address) as opened:
        text(opened, "#numbers", "336,776")
        opened.wait_for_selector("#series .scatterlayer .trace")
        opened.wait_for_selector("#by-airline .bars")
        opened.wait_for_selector("#scatter canvas")

        opened.click("text=La Guardia")
        text(opened, "#numbers", "232,114")  # without it, from the same tables

        opened.click("text=All flights")
        text(opened, "[row-index='0'] [col-id='leaves']", "2013-01-01 05:15")
        text(opened, "#grid-note", "336,776 of 336,776 flights")

        opened.locator("#tabs >> text=Cache").click()
        opened.wait_for_selector("#treemap .slice")
        text(opened, "#cache-cards", "used of 512.0 MiB")
        text(opened, "#frames", "flights")
        opened.wait_for_selector("#memory .bars .point")
        bars = opened.locator("#memory .bars .point").count()
        assert bars == 4  # two workers, and what copies would add
        shot = tmp_path / "cache.png"
        opened.screenshot(path=str(shot))
        assert shot.stat().st_size > 20_000

        opened.goto(f"{address}?tab=flights")
        text(opened, "[row-index='0'] [col-id='leaves']", "2013-01-01 05:15")


def test_page_opened_on_the_grid_asks_for_its_rows_and_nothing_else(address: str) -> None:
    with chromium() as browser:
        tab = Tab(browser, f"{address}?tab=flights")
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        tab.page.reload()
        text(tab.page, "[row-index='0'] [col-id='leaves']", "2013-01-01 05:15")
        tab.page.wait_for_timeout(2500)  # longer than the panel's tick
        paths = [urlsplit(url).path for url in asked]
        # The hints for the browser name what Dash asks for, or it would fetch twice.
        for path in ("/_dash-layout", "/_dash-dependencies", "/_dash-update-component"):
            assert paths.count(path) == 1, path
        assert sum("async-community" in path for path in paths) == 1
        assert not any("plotly" in path for path in paths)

        tab.click("text=Explore")
        text(tab.page, "#numbers", "336,776")
        tab.click("text=La Guardia")
        text(tab.page, "#numbers", "232,114")
        tab.click("text=All flights")
        tab.click("text=Explore")  # what was chosen there is kept
        text(tab.page, "#numbers", "232,114")
        assert tab.errors == []
