"""Background callbacks: values are resolved, and kept, in the process that computes."""

import gc
import importlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dash_tab import Failed, Tab


def close_all(handle: Any) -> None:
    """Close a diskcache's databases: `close` leaves those of Flask's other threads, and
    CPython 3.13 warns of each that is dropped while it is open."""
    handle.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del handle._local
        gc.collect()  # a connection is in a cycle with its statements


@pytest.fixture(params=["diskcache", "celery"])
def program(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    from dash.background_callback.managers import BaseBackgroundCallbackManager as Base

    if request.param == "celery" and "LD_PRELOAD" in os.environ:
        pytest.skip("a Celery worker under a sanitizer takes minutes to start")
    monkeypatch.setenv("BACKGROUND", request.param)
    monkeypatch.setenv("BACKGROUND_FOLDER", str(tmp_path / "background"))
    (tmp_path / "background").mkdir()
    monkeypatch.setattr(Base, "managers", [])
    monkeypatch.setattr(Base, "functions", [])
    sys.modules.pop("background_app", None)
    module = importlib.import_module("background_app")
    worker = None
    log = (tmp_path / "worker.log").open("w+")
    if request.param == "celery":
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "background_app:celery", "worker",
             "--pool=solo", "--loglevel=INFO"],
            cwd=Path(__file__).parent, stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )  # fmt: skip
    yield module
    if worker is not None:
        worker.terminate()
        worker.wait(30)
    else:
        close_all(module.app._background_manager.handle)
    log.seek(0)
    print(log.read())
    log.close()
    sys.modules.pop("background_app", None)


def run(tab: Tab, output: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Start a background callback, ask for it as the renderer does, and gather all."""
    started = tab.fire(output, inputs)
    address = f"&cacheKey={started['cacheKey']}&job={started['job']}"
    told: dict[str, Any] = {}
    for _ in range(400):
        reply = tab.client.post(
            f"/_dash-update-component?endId={tab.page}{address}",
            json=tab.body(output, inputs),
        )
        if reply.status_code == 204:  # it ended between Dash's looks at result and job
            continue
        if reply.status_code != 200:
            raise Failed(reply.status_code, reply.text)
        told.update(reply.json)
        if "response" in told:
            return told
        time.sleep(0.1)
    raise TimeoutError(told)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a threaded process
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(180)
def test_background_callbacks_get_and_give_values(program: ModuleType) -> None:
    tab = Tab(program.app)
    answer = run(tab, "store.data", {"btn.n_clicks": 3})
    token = answer["response"]["store"]["data"]
    assert len(token) == 125
    progress = answer.get("progress")  # the last may come and go between two questions

    shown = run(tab, "out.children", {"store.data": token})
    length, same = shown["response"]["out"]["children"].split()
    assert length == "3"
    assert same == str(os.environ["BACKGROUND"] == "celery")  # a process each, or one
    data = shown["sideUpdate"]["tell"]["data"]
    assert len(data) == 125

    given = {"tell.children": progress and progress["tell.children"], "tell.data": data}
    told = tab.get("tell.title", given)
    assert told.endswith(" [3]")
    if progress:
        assert told.startswith("{'pid': ")

    from dash.exceptions import BackgroundCallbackError

    with pytest.raises(BackgroundCallbackError, match=r"bad\.children: value: .*object"):
        run(tab, "bad.children", {"store.data": token})
    with pytest.raises(BackgroundCallbackError, match=r"store\.data: .*forged"):
        run(tab, "out.children", {"store.data": token[:-1]})


def length(tab: Tab, token: str) -> str:
    shown = run(tab, "out.children", {"store.data": token})
    return str(shown["response"]["out"]["children"]).split()[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a threaded process
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(180)
def test_results_of_the_same_arguments_are_each_sessions_own(program: ModuleType) -> None:
    tabs = Tab(program.app), Tab(program.app)
    names = [tab.fire("store.data", {"btn.n_clicks": 3}) for tab in tabs]
    assert names[0]["cacheKey"].split("~")[0] != names[1]["cacheKey"].split("~")[0]
    program.app._background_manager.cache_by = [lambda: "one for all"]
    for tab in tabs:
        answer = run(tab, "store.data", {"btn.n_clicks": 3})
        assert length(tab, answer["response"]["store"]["data"]) == "3"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a threaded process
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(180)
def test_a_cached_results_values_stay_whatever_comes_after(program: ModuleType) -> None:
    from framecache.dash import _backing, _store

    program.app._background_manager.cache_by = [lambda: 1]
    store = _store.of_app(program.app)
    assert store is not None
    store._slots._grace = 0  # of the process that forks, or of Celery's worker: 60
    tab = Tab(program.app)
    made = [
        run(tab, "store.data", {"btn.n_clicks": clicks})["response"]["store"]["data"]
        for clicks in (3, 4, 3)
    ]
    assert made[0] == made[2] != made[1]
    assert [length(tab, token) for token in made] == ["3", "4", "3"]
    # Dash computes it again with each click, also if it is not waited for.
    name = "dash/value/" + _backing.text_of(store.signer.read(made[0]).key)
    before = store.cache.info(name)["sequence"]
    tab.fire("store.data", {"btn.n_clicks": 3})
    end = time.monotonic() + 300
    while store.cache.info(name)["sequence"] == before and time.monotonic() < end:
        time.sleep(0.05)
    assert store.cache.info(name)["sequence"] != before
    assert length(tab, made[0]) == "3"
