"""Whose code it is: no program gets another's results, all processes of one share."""

import compileall
import os
import subprocess
import sys
from pathlib import Path

import framecache
import pytest
from framecache import _place

APP = """
import multiprocessing, pickle, sys
import framecache, pyarrow as pa
{before}
cache = framecache.Cache(sys.argv[1] if len(sys.argv) > 1 else None)
WHOSE = {whose!r}

@cache.memoize
def load(n):
    return pa.table({{"whose": [WHOSE]}})

class Report:
    @classmethod
    def rows(cls):
        return pa.table({{"whose": [WHOSE]}})

rows = cache.memoize(Report.rows)

def keys():
    return [load.cache_key(1), rows.cache_key()]

if __name__ == "__main__":
    print(*keys(), load(1)["whose"][0])
"""


def run(directory: Path, *arguments: str, cache: str = "", **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "FRAMECACHE_DIR": cache, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def program(directory: Path, whose: str, name: str = "app.py", before: str = "") -> Path:
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(APP.format(whose=whose, before=before))
    return file


PRINT = "import app; print(*app.keys(), app.load(1)['whose'][0])"


def test_two_programs_of_one_name_have_results_of_their_own(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    for whose in ("prod", "staging"):
        program(tmp_path / whose, whose)
        for how in (["app.py"], ["-c", PRINT], ["-m", "app"]):
            assert run(tmp_path / whose, *how, cache=cache.dir).split()[-1] == whose
    clear = "import app; print(app.load.cache_clear())"
    assert run(tmp_path / "prod", "-c", clear, cache=cache.dir) == "1"
    left = "import app; print(app.load.cache_key(1) in app.cache)"
    assert run(tmp_path / "staging", "-c", left, cache=cache.dir) == "True"


SPAWN = """
import multiprocessing, sys
import app
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(*pool.apply(app.keys), "spawned")
"""
SENT = "import pickle, app; print(*pickle.loads(pickle.dumps(app.keys))(), 'sent')"
FORKED = """
import multiprocessing, app
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(*pool.apply(app.keys), "forked")
"""
MAIN_SPAWNS = """
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(*pool.apply(keys), "its own child")
"""


def test_however_a_program_is_started_its_keys_are_the_same(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    file = program(tmp_path / "real", "one")
    (tmp_path / "real" / "spawn.py").write_text(SPAWN)
    (tmp_path / "link").symlink_to("real")
    elsewhere = str(tmp_path)
    ways = [
        (file.parent, ["app.py"]),
        (file.parent, ["-m", "app"]),
        (file.parent, ["-c", PRINT]),
        (file.parent, ["-c", SENT]),
        (file.parent, ["-c", FORKED]),
        (file.parent, ["spawn.py"]),
        (tmp_path, ["real/app.py"]),
        (tmp_path, ["link/app.py"]),
        (tmp_path, [f"{elsewhere}/link/../real/app.py"]),
    ]
    every = {tuple(run(where, *how, cache=cache.dir).split()[:2]) for where, how in ways}
    assert len(every) == 1, every
    file.write_text(file.read_text() + MAIN_SPAWNS)
    first, second = run(file.parent, "app.py", cache=cache.dir).splitlines()[:2]
    assert first.split()[:2] == second.split()[:2]


def test_gunicorn_and_the_script_have_the_same_keys(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    file = program(tmp_path, "one")
    config = tmp_path / "conf.py"
    text = """
bind = "unix:{0}/socket"
preload_app = {1}
def post_worker_init(worker):
    import app, os
    open("{0}/keys", "w").write(" ".join(app.keys()))
    os.kill(os.getppid(), 15)
"""
    for preload in (False, True):
        config.write_text(text.format(tmp_path, preload))
        run(tmp_path, "-m", "gunicorn", "-c", "conf.py", "app:keys", cache=cache.dir)
        keys = (tmp_path / "keys").read_text()
        assert keys == " ".join(run(tmp_path, str(file), cache=cache.dir).split()[:2])
        (tmp_path / "keys").unlink()


def test_modules_of_one_name_in_two_packages_are_two(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    for whose in ("a", "b"):
        program(tmp_path / whose, whose, "jobs.py")
        (tmp_path / whose / "__init__.py").touch()
    both = (
        "import a.jobs, b.jobs; print(*[m.load(1)['whose'][0] for m in (a.jobs, b.jobs)])"
    )
    assert run(tmp_path, "-c", both, cache=cache.dir) == "a b"


def test_links_to_one_file_and_modules_without_source_are_two(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    before = "import os; ME = os.path.dirname(__file__)"
    program(tmp_path, "shared", before=before)
    keys = set()
    for whose in ("prod", "staging"):
        (tmp_path / whose).mkdir()
        (tmp_path / whose / "app.py").symlink_to("../app.py")
        keys.add(run(tmp_path / whose, "-c", PRINT, cache=cache.dir).split()[0])
    assert len(keys) == 2
    compileall.compile_file(str(tmp_path / "app.py"), quiet=1, legacy=True)
    for whose in ("third", "fourth"):
        (tmp_path / whose).mkdir()
        (tmp_path / whose / "app.pyc").write_bytes((tmp_path / "app.pyc").read_bytes())
        keys.add(run(tmp_path / whose, "-c", PRINT, cache=cache.dir).split()[0])
    assert len(keys) == 4


def test_a_directory_with_any_name_will_do(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    for name in (b"caf\xe9", "größe".encode(), b"x" * 220, b"a:b"):
        file = program(tmp_path / os.fsdecode(name), "one")
        clear = "import app; app.load(1); print(app.load.cache_clear())"
        assert run(file.parent, "-c", clear, cache=cache.dir) == "1"


# ---- Notebooks ----

NOTEBOOK = """
import os, sys
del __file__
cell = open(sys.argv[1]).read()
number = sys.argv[2]
import framecache, pyarrow as pa
cache = framecache.Cache()
shapes = {
    "ipykernel": f"/tmp/ipykernel_{os.getpid()}/{number}.py",
    "xeus": f"/tmp/xpython_{os.getpid()}/{number}.py",
    "ipython": f"<ipython-input-{number}-{os.getpid():x}>",
    "colab": f"/tmp/ipython-input-{number}.py",
    "marimo": f"/tmp/marimo_{os.getpid()}/__marimo__cell_{number}_.py",
    "databricks": f"/root/.ipykernel/{os.getpid()}/command-{number}",
    "unknown": f"/nowhere/{os.getpid()}/{number}.py",
}
for shape, name in shapes.items():
    exec(compile(cell, name, "exec"), globals())
    print(shape, load.cache_key(1))
"""
CELL = """
@cache.memoize
def load(n):
    return pa.table({"n": [n]})
"""


def test_a_cell_that_is_edited_elsewhere_and_a_new_kernel_have_the_same_keys(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    (tmp_path / "kernel.py").write_text(NOTEBOOK)
    cell = tmp_path / "cell"
    edited = CELL.replace("[n]", "[n + 1]")
    printed = []
    for number, text in enumerate((CELL, f"# more\nx = 5\n{CELL}\ny = 6", edited)):
        cell.write_text(text)
        printed.append(run(tmp_path, "kernel.py", "cell", str(number), cache=cache.dir))
    assert printed[0] == printed[1]
    assert not set(printed[2].splitlines()) & set(printed[0].splitlines())


def test_two_notebooks_of_one_directory_are_two(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    (tmp_path / "kernel.py").write_text(NOTEBOOK)
    (tmp_path / "code.py").write_text("__vsc_ipynb_file__ = '/home/c.ipynb'\n" + NOTEBOOK)
    (tmp_path / "cell").write_text(CELL)
    name = f"{tmp_path}/a.ipynb"
    jupyter = run(
        tmp_path, "kernel.py", "cell", "1", cache=cache.dir, JPY_SESSION_NAME=name
    )
    assert jupyter.count(f"{name}:load#") == len(jupyter.splitlines())
    assert "/home/c.ipynb:load#" in run(tmp_path, "code.py", "cell", "1", cache=cache.dir)


def test_what_was_typed_counts_by_the_directory_it_was_begun_in(tmp_path: Path) -> None:
    source = "def f(): pass"
    names: dict[str, object] = {"__name__": "__main__", "_dh": [str(tmp_path)]}
    exec(source, names)
    assert _place.of_function(names["f"]) == f"{tmp_path}/<interactive>"


# ---- Streamlit ----

MAIN = """
import streamlit as st
st.navigation([st.Page("one.py"), st.Page("two.py")]).run()
"""
PAGE = """
import framecache, pyarrow as pa, streamlit as st
cache = framecache.Cache()
TITLE = {title!r}
@cache.memoize
def load():
    return pa.table({{"title": [TITLE]}})
st.text(load()["title"][0].as_py())
"""


def test_pages_of_streamlit_have_results_of_their_own(
    cache: framecache.Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("FRAMECACHE_DIR", cache.dir)
    (tmp_path / "main.py").write_text(MAIN)
    for title in ("one", "two"):
        (tmp_path / f"{title}.py").write_text(PAGE.format(title=title))
    app = AppTest.from_file(str(tmp_path / "main.py"), default_timeout=600).run()
    assert not app.exception and app.text[0].value == "one"
    app.switch_page("two.py").run()
    assert not app.exception and app.text[0].value == "two"


# ---- Flask ----

SITE = """
import flask, flask_caching, sys
app = flask.Flask({name})
app.config.update(CACHE_TYPE="framecache.flask.FrameCache", {config})
cache = flask_caching.Cache(app)
WHOSE = {whose!r}

@app.route("/")
@cache.cached()
def index():
    return WHOSE

@cache.memoize()
def load(n):
    return WHOSE

def say(*what):
    with app.test_request_context():
        if "clear" in what:
            cache.clear()
        if "has" in what:
            print(cache.cache.has("view//"))
        else:
            print(app.test_client().get("/").text, load(1))

if __name__ == "__main__":
    say(*sys.argv[1:])
"""


def site(directory: Path, whose: str, config: str = "", name: str = "__name__") -> None:
    directory.mkdir(exist_ok=True)
    text = SITE.format(whose=whose, config=config, name=name)
    (directory / "app.py").write_text(text)


SAY = "import app; app.say()"


@pytest.mark.parametrize("name", ["__name__", "'site'"])
def test_two_flask_programs_of_one_name_have_views_of_their_own(
    cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    site(tmp_path / "prod", "prod", name=name)
    site(tmp_path / "staging", "staging", name=name)
    for whose in ("prod", "staging"):
        found = run(tmp_path, f"{whose}/app.py", cache=cache.dir)
        assert found == f"{whose} {whose}"
    run(tmp_path, "prod/app.py", "clear", cache=cache.dir)
    assert run(tmp_path / "staging", "app.py", "has", cache=cache.dir) == "True"


@pytest.mark.parametrize("name", ["__name__", "'site'"])
def test_however_a_flask_program_is_started_it_has_one_cache(
    cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    site(tmp_path, "one", name=name)
    assert run(tmp_path, "app.py", cache=cache.dir) == "one one"
    file = tmp_path / "app.py"
    file.write_text(file.read_text().replace("'one'", "'two'"))
    assert run(tmp_path, "-c", SAY, cache=cache.dir).startswith("one ")
    assert run(tmp_path, "-m", "app", cache=cache.dir) == "one one"
    assert run(tmp_path.parent, str(file), cache=cache.dir) == "one one"


def test_two_flask_programs_of_one_namespace_share(
    cache: framecache.Cache, tmp_path: Path
) -> None:
    settings = ('CACHE_NAMESPACE="ours"', 'CACHE_OPTIONS={"namespace": "ours"}')
    for whose, setting in zip(("prod", "staging"), settings, strict=True):
        site(tmp_path / whose, whose, setting)
    assert run(tmp_path / "prod", "app.py", cache=cache.dir) == "prod prod"
    assert run(tmp_path / "staging", "app.py", cache=cache.dir) == "prod prod"
    assert all(key.startswith("flask:ours:flask_cache_") for key in cache)


def test_a_namespace_is_text() -> None:
    from framecache.flask import FrameCache

    with pytest.raises(TypeError, match="namespace=5"):
        FrameCache(namespace=5)
