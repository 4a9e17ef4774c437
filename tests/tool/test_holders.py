"""holders: which process holds which frame."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import framecache
import pyarrow as pa
import pytest
from harness import Tool

HOLD = """
import sys
import framecache

cache = framecache.Cache(sys.argv[1])
frames = [cache[key] for key in sys.argv[2:]]
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold(cache: framecache.Cache) -> Iterator[Any]:
    """Starts processes that hold the frames of these keys until the test ends."""
    children: list[subprocess.Popen[str]] = []

    def start(*keys: str) -> int:
        command = [sys.executable, "-c", HOLD, str(cache.dir), *keys]
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        return child.pid

    yield start
    for child in children:
        child.kill()
        child.communicate()


def put(cache: framecache.Cache, key: str, rows: int) -> None:
    """In another process, so that this one holds nothing."""
    script = (
        "import sys, framecache, pyarrow as pa\n"
        "cache = framecache.Cache(sys.argv[1])\n"
        "cache.put(sys.argv[2], pa.table({'x': range(int(sys.argv[3]))})).release()"
    )
    command = [sys.executable, "-c", script, str(cache.dir), key, str(rows)]
    subprocess.run(command, check=True)


def others(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [held for held in found if held["pid"] != os.getpid()]


def test_each_process_is_named_with_its_frames(
    cache: framecache.Cache, ask: Any, hold: Any
) -> None:
    put(cache, "big", 300_000)  # a segment of its own
    put(cache, "small", 3)
    put(cache, "free", 3)
    bytes_of = {info["key"]: info["bytes"] for info in cache.infos()}
    first, second = hold("big", "small"), hold("big")
    for found in (ask("holders")["holders"], others(cache.holders())):
        assert sorted((held["key"], held["pid"]) for held in found) == sorted(
            [("big", first), ("big", second), ("small", first)]
        )
        for held in found:
            assert held["bytes"] == bytes_of[held["key"]]
            assert str(cache.dir) in held["command"]
            assert held["command"].startswith(sys.executable)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert [(held["key"], held["pid"]) for held in ask("holders")["holders"]] == [
        ("big", second)
    ]


def test_what_was_replaced_is_held_without_a_key(
    cache: framecache.Cache, ask: Any, tool: Tool, hold: Any
) -> None:
    put(cache, "k", 3)
    pid = hold("k")
    put(cache, "k", 4)
    (held,) = ask("holders")["holders"]
    assert held["key"] is None
    assert held["pid"] == pid
    assert held["bytes"] >= 4096
    text = tool("holders").stdout
    assert "(replaced or deleted)" in text
    assert f"{pid}  " in text
    assert [held["key"] for held in others(cache.holders())] == [None]


def test_another_cache_is_another_matter(cache: framecache.Cache, ask: Any) -> None:
    with (
        framecache.Cache(f"{cache.dir}-other", budget="64MiB") as other,
        other.put("k", pa.table({"x": [1]})),
    ):
        assert ask("holders")["holders"] == []
        assert cache.holders() == []
        assert [held["pid"] for held in other.holders()] == [os.getpid()]


def is_readable(path: str) -> bool:
    try:
        with open(path) as file:
            file.read()
    except OSError:
        return False
    return True


def test_it_says_whether_these_are_all(ask: Any, tool: Tool, hold: Any) -> None:
    hold()
    everyone = ask("holders")["all"]
    outermost = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
    if not (outermost and is_readable("/proc/1/maps")):
        assert everyone is False
    assert ("there may be others" in tool("holders").stdout) is not everyone
