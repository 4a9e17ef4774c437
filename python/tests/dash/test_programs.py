"""Two Dash programs of one user: neither gets the other's values."""

import os
import subprocess
import sys
from pathlib import Path

import framecache
import pytest

PROGRAM = """
import sys
sys.path.insert(0, {here!r})
import framecache.dash, pandas as pd
from dash import Dash, Input, Output, dcc, html
from framecache.dash import Serverside
from framecache.dash.callback import CallbackCache

WHOSE = {whose!r}
app = Dash({name}, prevent_initial_callbacks=True)
server = app.server
app.layout = html.Div([dcc.Store(id="named"), dcc.Store(id="reused"), html.Div(id="log")])
cc = CallbackCache(session_check=False, instant_refresh=False{options})

@cc.cached_callback(Output("reused", "data"), Input("button", "n_clicks"))
def reused(clicks):
    return pd.DataFrame({{"whose": [WHOSE]}})

@app.callback(Output("named", "data"), Input("button", "n_clicks"))
def named(clicks):
    return Serverside(pd.DataFrame({{"whose": [WHOSE]}}), key="table")

@app.callback(Output("log", "children"), Input("named", "data"), Input("reused", "data"))
def log(one, two):
    return f"{{one['whose'][0]}} {{two['whose'][0]}}"

cc.register(app)

def say(token=""):
    from dash_tab import Tab
    tab = Tab(app)
    tab.client.set_cookie("framecache_session", "s" * 32)
    given = {{"named.data": token}} if token else {{}}  # as it is kept now
    for name in ("named.data", "reused.data"):
        if name not in given:
            given[name] = tab.get(name, {{"button.n_clicks": 1}})
    print(tab.get("log.children", given))
    print(given["named.data"])

if __name__ == "__main__":
    say(*sys.argv[1:])
"""


def write(directory: Path, whose: str, name: str, options: str = "") -> None:
    directory.mkdir(exist_ok=True)
    here = os.path.dirname(__file__)
    text = PROGRAM.format(here=here, whose=whose, name=name, options=options)
    (directory / "app.py").write_text(text)


def run(directory: Path, *arguments: str, cache: framecache.Cache) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "FRAMECACHE_DIR": cache.dir},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["__name__", "'dashboard'", "'site'"])
def test_two_programs_have_values_and_results_of_their_own(
    cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    for whose in ("prod", "staging"):
        write(tmp_path / whose, whose, name)
    say = ("-c", "import app, sys; app.say(*sys.argv[1:])")
    said, token = run(tmp_path / "prod", *say, cache=cache)
    assert said == "prod prod"
    said, _ = run(tmp_path / "staging", *say, cache=cache)
    assert said == "staging staging"
    said, _ = run(tmp_path / "prod", *say, token, cache=cache)  # nor was it replaced
    assert said == "prod prod"


@pytest.mark.parametrize("name", ["__name__", "'dashboard'"])
def test_however_a_program_is_started_it_reuses_its_results(
    cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    write(tmp_path, "one", name)
    assert run(tmp_path, "app.py", cache=cache)[0] == "one one"
    file = tmp_path / "app.py"
    file.write_text(file.read_text().replace("'one'", "'two'"))
    for how in (["-c", "import app; app.say()"], ["-m", "app"]):
        assert run(tmp_path, *how, cache=cache)[0] == "two one"


def test_two_programs_of_one_namespace_share_what_has_a_name(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    for whose in ("prod", "staging"):
        write(tmp_path / whose, whose, "__name__", ', namespace="ours"')
    for whose in ("prod", "staging"):
        run(tmp_path, f"{whose}/app.py", cache=cache)
    # the named one is one; the functions are two, though they look the same
    assert len(list(cache.keys("dash/value/"))) == 3
