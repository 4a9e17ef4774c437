"""Importing framecache is quick: nothing comes along that is not needed at once."""

import subprocess
import sys

HEAVY = """
    numpy pandas pyarrow polars duckdb flask dash plotly pytest prometheus_client
    asyncio inspect subprocess multiprocessing concurrent.futures ssl html.entities
    argparse email http unittest
""".split()

# All that an import may load, besides what the interpreter has when it begins. Each of
# typing, re, collections, functools, json, logging and datetime takes as long as this.
NEEDED = """
    __future__ _weakrefset itertools math types weakref
    framecache framecache._cache framecache._core framecache._errors framecache._frame
    framecache._lazy framecache._methods framecache._settings framecache._types
""".split()


def run(program: str, *options: str) -> str:
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    ).stdout


def imported_by(program: str, *options: str) -> set[str]:
    return set(run(f"import sys\n{program}\nprint(*sys.modules)", *options).split())


def test_importing_loads_what_a_cache_needs_and_nothing_else() -> None:
    loaded = imported_by("import framecache") - imported_by("")
    assert loaded - set(NEEDED) == set()
    assert "framecache._core" in loaded


def test_nor_does_opening_a_cache(directory: str) -> None:
    program = (
        "import framecache\n"
        f"with framecache.Cache({directory!r}, budget='64MiB', ttl='1h') as cache:\n"
        "    cache.get('k')\n"
        "    assert 'k' not in cache\n"
        "    assert len(cache) == 0"
    )
    assert imported_by(program) - imported_by("") - set(NEEDED) == set()


def test_values_need_no_heavy_module(directory: str) -> None:
    program = (
        "import framecache\n"
        f"with framecache.Cache({directory!r}, budget='64MiB') as cache:\n"
        "    cache.put_value('k', {'a': [1, 2.5, 'x']})\n"
        "    assert cache.get_value('k') == {'a': [1, 2.5, 'x']}"
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


def test_each_public_name_can_be_asked_for_first() -> None:
    program = (
        "import framecache\n"
        "names = [name for name in dir(framecache) if not name.startswith('_')]\n"
        "missing = set(names) - set(vars(framecache))\n"
        "assert {'Builder', 'Memoized', 'refresh', 'register'} <= missing\n"
        "for name in names:\n"
        "    getattr(framecache, name)\n"
        "assert set(names) <= set(vars(framecache))\n"
        "from framecache import *\n"
        "assert register is framecache.register\n"
        "try:\n"
        "    framecache.nonesuch\n"
        "except AttributeError as error:\n"
        "    print(error)"
    )
    assert run(program) == "module 'framecache' has no attribute 'nonesuch'\n"


FORK_WITHIN_AN_IMPORT = """
import importlib.abc, os, sys, threading, time
import framecache

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "json":  # which the first value needs
            begun.set()
            time.sleep(0.3)

def put():
    cache.put_value("k", [1])

sys.modules.pop("json", None)
begun = threading.Event()
sys.meta_path.insert(0, Slow())
cache = framecache.Cache({directory!r}, budget="64MiB")
thread = threading.Thread(target=put)
thread.start()
begun.wait()
child = os.fork()
if not child:
    threading.Timer(20, os._exit, [3]).start()
    cache.put_value("child", [2])
    os._exit(0)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), cache.get_value("child"))
"""


def test_a_fork_while_a_thread_imports_leaves_a_child_that_can_import(
    directory: str,
) -> None:
    program = FORK_WITHIN_AN_IMPORT.format(directory=directory)
    assert run(program, "-W", "ignore") == "0 [2]\n"
