"""rm, clear and gc: what changes, and what they say about it."""

from typing import Any

import framecache
import pyarrow as pa
from harness import Tool, parse


def one(count: int = 1) -> pa.Table:
    return pa.table({"x": range(count)})


def test_rm_deletes_what_it_is_given_and_nothing_else(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    for key in "abcd":
        cache.put(key, one())
    assert ask("rm", "a") == {"deleted": 1}
    done = tool("rm", "b", "c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(cache) == ["d"]


def test_rm_of_a_missing_key_exits_1_and_deletes_the_rest(
    cache: framecache.Cache, tool: Tool
) -> None:
    cache.put("b", one())
    done = tool("rm", "a", "b")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert len(cache) == 0
    answer = parse(tool("rm", "a", "b", "--json").stdout)
    assert answer["error"]["code"] == "FC_E_MISS"


def test_rm_leaves_a_reader_what_it_holds(cache: framecache.Cache, tool: Tool) -> None:
    cache.put("k", one(1000))
    held = cache["k"]
    assert tool("rm", "k").returncode == 0
    assert "k" not in cache
    assert pa.table(held)["x"].to_pylist() == list(range(1000))
    held.release()


def test_clear_deletes_all_and_counts(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    for key in "abc":
        cache.put(key, one())
    assert ask("clear") == {"deleted": 3}
    assert len(cache) == 0
    assert tool("clear").stdout == "deleted 0 frames\n"
    cache.put("k", one())
    assert tool("clear").stdout == "deleted 1 frame\n"


def test_gc_empties_the_pool_and_says_what_came_free(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    cache.put("k", one(1_000_000))
    del cache["k"]
    before = cache.stats()
    answer = ask("gc")
    after = cache.stats()
    assert after["pool_bytes"] == 0
    assert answer["freed_bytes"] == before["used_bytes"] - after["used_bytes"]
    assert answer["used_bytes"] == after["used_bytes"] == after["control_bytes"]
    assert before["pool_bytes"] == 0 or answer["freed_bytes"] >= 8_000_000
    assert tool("gc").stdout == "freed 0 B\n"
