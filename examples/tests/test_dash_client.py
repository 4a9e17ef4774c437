"""The examples of the browser's side, in headless Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import needed, page, serve

pytestmark = needed
FLIGHTS = 336_776


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, root: Path, environment: dict[str, str]
) -> Iterator[Any]:
    """The page of the example that the test names."""
    application = f"{request.param}:server"
    with (
        serve(root / "examples/dash", application, environment) as address,
        page(address) as opened,
    ):
        yield opened


def example(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("opened", [name], indirect=True)


@example("clientside")
def test_whole_table_is_drawn_from_typed_arrays_in_the_browser(opened: Any) -> None:
    opened.click("#load")
    opened.wait_for_function(
        f"document.querySelector('#note').textContent == '{FLIGHTS} flights'"
    )
    trace = "document.querySelector('#scatter .js-plotly-plot').data[0]"
    opened.wait_for_function(
        "(document.querySelector('#scatter .js-plotly-plot')?.data || []).length > 0"
    )
    assert opened.evaluate(f"{trace}.x.constructor.name") == "Float64Array"
    assert opened.evaluate(f"{trace}.y.length") == FLIGHTS
    token = opened.evaluate(
        "performance.getEntriesByType('resource').map(e => e.name)"
        ".filter(name => name.includes('/_framecache?'))"
    )
    assert len(token) == 1
    refused = opened.evaluate(
        "framecache.table('fct1.nonsense').catch(e => [e.status, e.reason])"
    )
    assert refused == [403, "forged"]
    wrong = opened.evaluate(
        "framecache.table(new URL(performance.getEntriesByType('resource')"
        ".map(e => e.name).filter(n => n.includes('/_framecache?'))[0])"
        ".searchParams.get('token'), {columns: ['nope']}).catch(e => e.message)"
    )
    assert "no column 'nope'" in wrong


@example("grid")
def test_grid_scrolls_sorts_and_filters_all_rows(opened: Any) -> None:
    first = "[row-index='0'] [col-id='{}']"
    opened.wait_for_selector(first.format("leaves"))
    opened.wait_for_function(
        "document.querySelector(\"[row-index='0'] [col-id='leaves']\")"
        ".textContent.startsWith('2013-01-01T05:')"
    )
    opened.wait_for_function(  # asked again: at first there may be no scroll bar yet
        "dash_ag_grid.getApi('grid').ensureIndexVisible(300000),"
        "(document.querySelector(\"[row-index='300000'] [col-id='leaves']\")"
        "?.textContent || '').startsWith('2013-')"
    )
    opened.evaluate(
        "dash_ag_grid.getApi('grid').applyColumnState("
        "{state: [{colId: 'dep_delay', sort: 'desc'}]})"
    )
    opened.evaluate("dash_ag_grid.getApi('grid').ensureIndexVisible(0)")
    opened.wait_for_function(
        "document.querySelector(\"[row-index='0'] [col-id='dep_delay']\")"
        "?.textContent == '1301'"
    )
    opened.evaluate(
        "dash_ag_grid.getApi('grid').setFilterModel({carrier: "
        "{filterType: 'text', type: 'equals', filter: 'ua'}})"
    )
    opened.wait_for_function(
        "document.querySelector(\"[row-index='0'] [col-id='dep_delay']\")"
        "?.textContent == '483'"
    )
    assert opened.evaluate("dash_ag_grid.getApi('grid').getDisplayedRowCount()") == 58_665


@example("zoom")
def test_line_refines_on_zoom_and_back(opened: Any) -> None:
    plot = "document.querySelector('#delays .js-plotly-plot')"
    seen = f"({plot}?._fullData?.[0]?.x?.length || 0)"
    opened.wait_for_function(f"{seen} > 1000 && {seen} <= 1500")
    opened.evaluate(
        f"Plotly.relayout({plot}, "
        "{'xaxis.range[0]': '2013-02-01', 'xaxis.range[1]': '2013-02-02'})"
    )
    opened.wait_for_function(f"{seen} > 700 && {seen} < 1000")  # a day's flights, all
    opened.evaluate(f"Plotly.relayout({plot}, {{'xaxis.autorange': true}})")
    opened.wait_for_function(f"{seen} > 1000 && {seen} <= 1500")
