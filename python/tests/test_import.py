"""Importing framecache is quick: nothing comes along that is not needed at once."""

import subprocess
import sys

HEAVY = """
    numpy pandas pyarrow polars duckdb flask dash plotly pytest prometheus_client
    asyncio inspect subprocess multiprocessing concurrent.futures ssl html.entities
    argparse email http unittest
""".split()


def imported_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_loads_no_heavy_module() -> None:
    loaded = imported_by("import framecache") - imported_by("")
    assert loaded & set(HEAVY) == set()
    assert "framecache._core" in loaded


def test_nor_does_opening_a_cache(directory: str) -> None:
    program = (
        "import framecache\n"
        f"with framecache.Cache({directory!r}, budget='64MiB') as cache:\n"
        "    cache.get('k')\n"
        "    assert len(cache) == 0"
    )
    assert imported_by(program) & set(HEAVY) - imported_by("") == set()


def test_what_is_imported_late_is_there_when_it_is_asked_for(directory: str) -> None:
    program = (
        "import framecache\n"
        f"cache = framecache.Cache({directory!r}, budget='64MiB')\n"
        "@cache.memoize\n"
        "async def f(): pass\n"
        "assert type(f).__name__ == 'AsyncMemoized'\n"
        "import inspect\n"
        "assert inspect.iscoroutinefunction(f.__wrapped__)"
    )
    assert "inspect" in imported_by(program)
