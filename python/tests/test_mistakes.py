"""What people put, ask for and lack by mistake: each message says the right call."""

import re
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from framecache import _extras
from pyarrow import dataset, parquet

DF = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def mistakes(folder: Path) -> dict[str, tuple[Any, str]]:
    import adbc_driver_sqlite.dbapi

    parquet.write_table(pa.table({"a": [1]}), folder / "x.parquet")
    files = dataset.dataset(folder / "x.parquet")
    adbc = adbc_driver_sqlite.dbapi.connect()
    lite = sqlite3.connect(":memory:")
    return {
        "duckdb": (duckdb.connect(), r"connection\.sql\(query\), or connection\.execute"),
        "cursor": (adbc.cursor(), r"cursor\.execute\(query\), then \.fetch_record_batch"),
        "adbc": (adbc, r"connection\.cursor\(\)\.execute.*\.fetch_record_batch"),
        "sqlite": (lite, r"pd\.read_sql\(query, connection\)"),
        "sqlite cursor": (lite.execute("select 1"), r"pd\.read_sql\(query, connection\)"),
        "dataset": (files, r"dataset\.scanner\(\)\.to_reader\(\)"),
        "scanner": (files.scanner(), r"scanner\.to_reader\(\)"),
        "file": (parquet.ParquetFile(folder / "x.parquet"), r"file\.read\(\)"),
        "groups": (DF.groupby("a"), r"\.agg\("),
        "polars groups": (pl.DataFrame(DF).group_by("a"), r"\.agg\("),
    }


MISTAKES = [
    "duckdb", "cursor", "adbc", "sqlite", "sqlite cursor", "dataset", "scanner", "file",
    "groups", "polars groups",
]  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_gives_a_table_says_how(
    cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    every = mistakes(tmp_path)
    value, says = every[name]
    for put in (cache.put, cache.put_value, cache.namespace("n").put):
        with pytest.raises(TypeError, match=says):
            put("k", value)
    with pytest.raises(TypeError, match=says):
        cache.get_or_compute("k", lambda: value)
    assert len(cache) == 0
    every["cursor"][0].close()
    for connection in ("adbc", "sqlite", "duckdb"):
        every[connection][0].close()


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")
def test_the_reader_that_duckdbs_message_names_can_be_put(
    cache: framecache.Cache,
) -> None:
    with duckdb.connect() as connection:
        with pytest.raises(TypeError, match="connection") as caught:
            cache.put("k", connection)
        found = re.search(r"\.execute\(query\)\.(\w+)\(\)", str(caught.value))
        assert found is not None
        reader = getattr(connection.execute("select 7 a"), found[1])()
        with cache.put("k", reader) as frame:
            assert list(frame["a"]) == [7]


@pytest.mark.parametrize(
    "value",
    [{"a": [1]}, [1], np.arange(3), "x.parquet", None, lambda: DF, object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_says_so(cache: framecache.Cache, value: Any) -> None:
    with pytest.raises(TypeError, match=r"is no table.*put_value takes other values"):
        cache.put("k", value)


def test_a_key_comes_first(cache: framecache.Cache) -> None:
    space: Any
    for space in (cache, cache.namespace("n")):
        for call in (space.put, space.put_value, space.add, space.__setitem__):
            with pytest.raises(TypeError, match=r"comes first; this is .*DataFrame"):
                call(DF, "k")
        with pytest.raises(TypeError, match=r"comes first; this is .*function"):
            space.get_or_compute(lambda: DF, lambda: DF)
        with pytest.raises(TypeError, match=r"compute is a function.*DataFrame"):
            space.get_or_compute("k", DF)


def test_tags_are_a_list_of_text(cache: framecache.Cache) -> None:
    for space in (cache, cache.namespace("n")):
        calls: list[Any] = [
            partial(space.put, "k", DF), partial(space.add, "k", DF),
            partial(space.build, "k", {"x": "f8"}, 1), partial(space.put_value, "k", 1),
            partial(space.get_or_compute, "k", int), space.memoize,
        ]  # fmt: skip
        for tags in ([5], 5, None, "sql", b"sql", [b"sql"], [None]):
            for call in calls:
                with pytest.raises(TypeError, match="tags is a list of str"):
                    call(tags=tags)
        with pytest.raises(TypeError, match=r"tags is a list of str; in it is 5"):
            space.delete_tag(5)  # type: ignore[arg-type]
    assert len(cache) == 0


@pytest.mark.parametrize("wrong", ["name", 5, DF])
def test_memoize_takes_a_function(cache: framecache.Cache, wrong: Any) -> None:
    for decorate in (cache.memoize, cache.memoize(), cache.namespace("n").memoize):
        with pytest.raises(TypeError, match=r"memoize takes a function.*@cache\.memoize"):
            decorate(wrong)
    with pytest.raises(TypeError, match="no function that makes the key"):
        cache.memoize(key="name")


# ---- What is missing, or too old ----

LACKING = """
import sys
lacks, directory, call = sys.argv[1:]
for name in lacks.split():
    sys.modules[name] = None
import framecache
try:
    frame = framecache.Cache(directory)["k"]
    eval(call) if "=" not in call else exec(call)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("lacks", "call", "says"),
    [
        ("polars", "frame.to_polars()", "framecache[polars]"),
        ("polars", "frame['a'].to_polars()", "framecache[polars]"),
        ("pyarrow", "frame.to_arrow()", "framecache[pyarrow]"),
        ("pyarrow", "frame['a'].to_arrow()", "framecache[pyarrow]"),
        ("pandas", "frame.to_pandas()", "framecache[pandas]"),
        ("pandas", "frame['a'].to_pandas()", "framecache[pandas]"),
        ("pandas", "frame.to_value()", "framecache[pandas]"),
        ("dash", "__import__('framecache.dash')", "framecache[dash]"),
        ("dash", "__import__('framecache.dash.callback')", "framecache[dash]"),
        ("flask_caching cachelib", "__import__('framecache.flask')", "Flask-Caching"),
        ("prometheus_client", "__import__('framecache.prometheus')", "prometheus-client"),
    ],
)
def test_what_is_missing_says_how_to_install_it(
    cache: framecache.Cache, lacks: str, call: str, says: str
) -> None:
    cache.put("k", DF).release()
    done = subprocess.run(
        [sys.executable, "-c", LACKING, lacks, cache.dir, call],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Error " in done.stdout and f"pip install {says}" in done.stdout.replace(
        "'", ""
    ), done.stdout


def test_an_old_version_says_what_is_needed(
    cache: framecache.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_extras, "ready", set())
    monkeypatch.setattr(pl, "__version__", "0.20.31")
    with cache.put("k", DF) as frame:
        for call in (frame.to_polars, frame["a"].to_polars):
            with pytest.raises(ImportError, match=r"polars 0\.20\.31 is too old, 1\.36"):
                call()
        monkeypatch.setattr(pl, "__version__", "1.36.1rc2")
        assert frame.to_polars().shape == (2, 2)
        del call

    class Old:  # as DataFrames of that version: no __arrow_c_stream__
        __module__ = "polars.dataframe.frame"

    monkeypatch.setattr(pl, "__version__", "0.20.31")
    with pytest.raises(TypeError, match=r"polars 0\.20\.31 is too old"):
        cache.put("k", Old())


def test_the_least_versions_are_those_of_the_package() -> None:
    import tomllib

    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name, least in _extras.LEAST.items():
        assert f"{name}>={least}" in extras[name]


def test_a_column_is_named_once(cache: framecache.Cache) -> None:
    class Label:
        def __repr__(self) -> str:
            return "<some label>"

    label: Any = Label()
    for bad in (pd.DataFrame([[1]], columns=[label]), pd.Series([1], name=label)):
        with pytest.raises(framecache.ColumnTypeError, match="cannot be kept") as caught:
            cache.put("k", bad)
        assert str(caught.value).count("<some label>") == 1


# ---- Directories ----


def test_a_tilde_is_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    home = str(Path(directory).parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("FRAMECACHE_BUDGET", "16MiB")
    with framecache.Cache("~/a", spill_dir="~/spilled") as cache:
        assert cache.dir == f"{home}/a"
        assert cache.settings()["spill_dir"] == (f"{home}/spilled", "argument")
    monkeypatch.setenv("FRAMECACHE_DIR", "~/b")
    with framecache.Cache() as cache:
        assert cache.dir == f"{home}/b"
    assert any(f"{home}/b" in str(found) for found in framecache.doctor())
    with pytest.raises(framecache.InvalidError, match=r"no home directory.*'\./~nobody-"):
        framecache.Cache("~nobody-of-this-name/c")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_one_to_stand_in_says_what_to_make(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no/such: the directory.*mkdir -p") as caught:
        framecache.Cache(tmp_path / "no" / "such")
    assert isinstance(caught.value, framecache.SystemCallError)
    assert list(tmp_path.iterdir()) == []
