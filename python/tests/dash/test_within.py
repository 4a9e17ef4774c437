"""Values within what Dash takes besides lists and dicts: patches, named tuples."""

from collections import OrderedDict
from typing import Any, NamedTuple

import framecache
import pytest
from dash import Input, Output, Patch
from dash_tab import Tab
from framecache.dash import Serverside, StoreMiss
from test_serverside import new_app


def test_values_within_a_patch(cache: framecache.Cache) -> None:
    app = new_app(cache, grace=0)

    @app.callback(Output("store", "data"), Input("btn", "n_clicks"))
    def patch(clicks: int) -> Any:
        made = Patch()
        made["named"] = Serverside({"click": clicks})
        made["all"]["listed"].append(Serverside({"click": clicks}))
        made["number"] = clicks
        return made

    @app.callback(Output("out", "children"), Input("store", "data"))
    def show(data: Any) -> str:
        return repr(data)

    tab = Tab(app)
    made = [tab.get("store.data", {"btn.n_clicks": n}) for n in (1, 2)]
    first, second = [[step["params"]["value"] for step in m["operations"]] for m in made]
    assert (len(first[0]), first[2]) == (125, 1)
    data = {"all": {"listed": [first[1], second[1]]}, "named": second[0]}
    assert tab.get("out.children", {"store.data": data}) == repr(
        {"all": {"listed": [{"click": 1}, {"click": 2}]}, "named": {"click": 2}}
    )
    with pytest.raises(StoreMiss, match="deleted"):  # of the same name: replaced
        tab.get("out.children", {"store.data": first[0]})


class Pair(NamedTuple):
    one: Any
    other: Any


def test_values_within_named_tuples_and_kinds_of_dict() -> None:
    app = new_app()

    @app.callback(
        Output("one", "data"), Output("other", "data"), Input("btn", "n_clicks")
    )
    def pair(clicks: int) -> Any:
        return Pair(Serverside(clicks), OrderedDict(inner=Serverside(clicks)))

    answer = Tab(app).fire("..one.data...other.data..", {"btn.n_clicks": 3})["response"]
    assert len(answer["one"]["data"]) == len(answer["other"]["data"]["inner"]) == 125
