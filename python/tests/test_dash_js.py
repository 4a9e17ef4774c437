"""The browser's half: its own tests, and what it reads of what the server writes."""

from __future__ import annotations

import datetime
import decimal
import json
import os
import pathlib
import subprocess
from typing import Any

import framecache
import numpy as np
import pyarrow as pa
import pytest
from framecache.dash import _route, _serve

JS = pathlib.Path(__file__).parents[1] / "js"
D = decimal.Decimal
DAY = datetime.date(2013, 1, 2)
MOMENT = datetime.datetime(2013, 1, 2, 3, 4, 5)
MS = 1357095845000  # of MOMENT


def node(*arguments: str, stdin: bytes = b"") -> bytes:
    kept = {name: v for name, v in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        ["node", *arguments],
        cwd=JS,
        env=kept,  # without a sanitizer's runtime
        input=stdin,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout


def test_helper_of_the_browser() -> None:
    tests = [str(path) for path in sorted((JS / "tests").glob("*.test.mjs"))]
    assert tests
    assert b"# fail 0" in node("--test", "--test-reporter=tap", *tests)


def test_script_is_in_the_package_with_its_licences() -> None:
    text = _route.SCRIPT.read_text()
    assert text.count("framecache=(()=>") == 1
    licences = _route.SCRIPT.with_name("framecache.js.txt").read_text()
    for name in ("apache-arrow", "flatbuffers", "tslib"):
        assert f"==== {name} " in licences
    assert "https://registry" not in (JS / "package-lock.json").read_text()


CASES: list[tuple[str, Any, list[Any]]] = [
    ("int8", pa.array([1, None, -3], pa.int8()), [1, None, -3]),
    ("uint64", pa.array([1, None, 2**40], pa.uint64()), [1, None, 2**40]),
    ("float16", pa.array([np.float16(1.5), None], pa.float16()), [1.5, None]),
    ("bool", pa.array([True, None, False]), [True, None, False]),
    ("null", pa.nulls(2), [None, None]),
    ("text", pa.array(["ä", None, ""], pa.large_string()), ["ä", None, ""]),
    ("text_view", pa.array(["ä" * 20, None], pa.string_view()), ["ä" * 20, None]),
    ("bytes", pa.array([b"\x01\x02", None], pa.large_binary()), [[1, 2], None]),
    ("date32", pa.array([DAY, None], pa.date32()), [MS - 11045000, None]),
    ("time_s", pa.array([MOMENT, None], pa.timestamp("s")), [MS, None]),
    ("time_ns", pa.array([MOMENT, None], pa.timestamp("ns", "UTC")), [MS, None]),
    ("decimal32", pa.array([D("-1.25"), None], pa.decimal32(9, 2)), [-1.25, None]),
    ("decimal64", pa.array([D("-1.25"), None], pa.decimal64(18, 2)), ["-1.25", None]),
    ("decimal128", pa.array([D("-3.5"), None], pa.decimal128(38, 1)), ["-3.5", None]),
    ("decimal256", pa.array([D("-3.5"), None], pa.decimal256(76, 1)), ["-3.5", None]),
    ("list", pa.array([[1, 2], None], pa.large_list(pa.int8())), [[1, 2], None]),
    ("list_view", pa.array([[1, 2], None], pa.list_view(pa.int8())), [[1, 2], None]),
    ("pairs", pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
    ("struct", pa.array([{"a": 1, "b": "x"}, None]), [{"a": 1, "b": "x"}, None]),
    ("runs", pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), ["a", "a", "b"]),
    ("category", pa.array(["a", None, "b"]).dictionary_encode(), ["a", None, "b"]),
    (
        "category_i64",
        pa.DictionaryArray.from_arrays(pa.array([0, None, 1]), ["a", "b"]),
        ["a", None, "b"],
    ),
    (
        "union",
        pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()),
            pa.array([0, 0, 1], pa.int32()),
            [pa.array([1, 3]), pa.array(["b"])],
        ),
        [1, "b", 3],
    ),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Each case as the browser sees it; one call of node for all of one length."""
    found: dict[str, list[Any]] = {}
    directory = f"/dev/shm/framecache-test-{tmp_path_factory.mktemp('js').name}"
    with framecache.Cache(directory, budget="64MiB", capacity=64) as cache:
        for rows in sorted({len(case[1]) for case in CASES}):
            columns = {name: array for name, array, _ in CASES if len(array) == rows}
            with cache.put("k", pa.table(columns)) as frame:
                stream = b"".join(_serve.answer(frame, None).body)
            found |= json.loads(node("tests/values.mjs", stdin=stream))
        cache.clear()
    subprocess.run(["rm", "-r", directory], check=True)
    return found


@pytest.mark.parametrize(("name", "array", "want"), CASES, ids=[c[0] for c in CASES])
def test_browser_reads_every_type(
    seen: dict[str, list[Any]], name: str, array: Any, want: list[Any]
) -> None:
    assert seen[name] == want
