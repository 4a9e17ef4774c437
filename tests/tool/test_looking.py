"""stat, ls and show: what stands in the cache, for people and as JSON."""

import base64
import datetime
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import framecache
import pyarrow as pa
import pytest
from harness import Tool, parse


def table() -> pa.Table:
    """A column of each type that `show` prints values of, and two that it does not."""
    utc = datetime.UTC
    noon = datetime.datetime(2013, 1, 1, 12, 0, 0, 250000, utc)
    return pa.table(
        {
            "flag": [True, None, False],
            "small": pa.array([-1, 2, None], pa.int8()),
            "big": pa.array([2**64 - 1, 0, 1], pa.uint64()),
            "half": pa.array([1.5, -0.25, None], pa.float16()),
            "real": [0.1, float("nan"), float("inf")],
            "price": pa.array(
                [Decimal("-12.05"), Decimal("0.00"), None], pa.decimal128(9, 2)
            ),
            "day": pa.array(
                [datetime.date(1969, 12, 31), None, datetime.date(2024, 2, 29)]
            ),
            "clock": pa.array([1, 3_600_000_001, None], pa.time64("us")),
            "when": pa.array([noon, None, noon], pa.timestamp("ms", "Europe/Paris")),
            "took": pa.array([90, None, -1], pa.duration("s")),
            "name": ["a", None, 'quo"te\n'],
            "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
            "kind": pa.array(["x", "y", None]).dictionary_encode(),
            "nothing": pa.nulls(3),
            "list": [[1], [], None],
            "record": [{"a": 1}, {"a": 2}, None],
        }
    )


def rows(text: str) -> list[list[str]]:
    """The cells of an aligned table: two blanks or more stand between them."""
    return [
        [cell for cell in line.split("  ") if cell.strip()] for line in text.splitlines()
    ]


def one(count: int = 1) -> pa.Table:
    return pa.table({"x": range(count)})


# ---- stat ----


def test_stat_tells_the_gauges_and_counters_of_the_cache(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    cache.put("a", one())
    cache.put("b", one(1000))
    del cache["a"]
    answer = ask("stat")
    assert answer["frames"] == 1
    assert answer["capacity_frames"] == 1024
    assert answer["budget_bytes"] == 256 << 20
    assert answer["budget_rule"] == "setting"
    assert answer["directory"] == cache.dir
    assert 0 < answer["hot_bytes"] < answer["used_bytes"] <= answer["budget_bytes"]
    stats = cache.stats()
    for name in ("used_bytes", "hot_bytes", "pool_bytes", "control_bytes", "sequence"):
        assert answer[name] == stats[name], name
    assert not {"mapped_frames", "descriptors"} & answer.keys()  # of this command alone
    text = tool("stat").stdout
    lines = dict(line.split(None, 1) for line in text.splitlines() if line.strip())
    assert lines["directory"] == cache.dir
    assert lines["frames"] == "1 of at most 1,024"
    assert not [line for line in text.splitlines() if line.endswith(" ")]
    assert "of 256.0 MiB" in text and "limited by: setting" in text


# ---- ls ----


def test_ls_lists_frames_sorted_by_key(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    for key, count in (("b/2", 12345), ("a", 1), ("b/1", 3), (b"b/\xff", 2)):
        cache.put(key, one(count), ttl="1h" if key == "a" else None)
    frames = ask("ls")["frames"]
    assert [frame.get("key", frame.get("key_base64")) for frame in frames] == [
        "a",
        "b/1",
        "b/2",
        base64.b64encode(b"b/\xff").decode(),
    ]
    assert [frame["rows"] for frame in frames] == [1, 3, 12345, 2]
    assert {frame["columns"] for frame in frames} == {1}
    assert frames[1]["expires_ns"] is None
    assert frames[0]["expires_ns"] - frames[0]["created_ns"] == pytest.approx(
        3.6e12, rel=1e-3
    )
    titles, *lines = rows(tool("ls").stdout)
    assert [title.strip() for title in titles] == (
        ["ROWS", "COLUMNS", "SIZE", "AGE", "USED", "EXPIRES", "USES", "LEASED", "KEY"]
    )
    assert [line[0].strip() for line in lines] == ["1", "3", "12,345", "2"]
    assert [line[-1].strip() for line in lines] == ["a", "b/1", "b/2", "b/\\xff"]


def test_ls_takes_a_prefix(cache: framecache.Cache, ask: Any) -> None:
    for key in ("sales/1", "sales/2", "stock/1", b"s\xff"):
        cache.put(key, one())
    assert [frame["key"] for frame in ask("ls", "sales/")["frames"]] == [
        "sales/1",
        "sales/2",
    ]
    assert len(ask("ls", "--escaped", "s\\xff")["frames"]) == 1
    assert ask("ls", "none")["frames"] == []


def test_ls_says_who_is_leased(cache: framecache.Cache, ask: Any) -> None:
    cache.put("k", one())
    held = cache["k"]
    assert [frame["leased"] for frame in ask("ls")["frames"]] == [True]
    held.release()


HOSTILE = [
    ("plain ünïcödé 漢字", "plain ünïcödé 漢字"),
    ("line\nbreak\ttab", "line\\x0abreak\\x09tab"),
    ("\x1b[2Jclear", "\\x1b[2Jclear"),
    ("back\\slash", "back\\\\slash"),
    ("\u202eevil", "\\xe2\\x80\\xaeevil"),
    ("c1\u009b31m", "c1\\xc2\\x9b31m"),
    (b"\x00\xff\xfe", "\\x00\\xff\\xfe"),
    (b"\xc3", "\\xc3"),
    (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ('q"uote', 'q"uote'),
]


@pytest.mark.parametrize(("key", "shown"), HOSTILE)
def test_a_key_is_shown_so_that_it_can_be_typed_and_harms_no_terminal(
    cache: framecache.Cache, tool: Tool, ask: Any, key: str | bytes, shown: str
) -> None:
    cache.put(key, one())
    assert tool("ls").stdout.splitlines()[1].endswith("  " + shown)
    raw = key if isinstance(key, bytes) else key.encode()
    (frame,) = ask("ls")["frames"]
    if "key" in frame:
        assert frame["key"].encode() == raw
    else:
        assert base64.b64decode(frame["key_base64"]) == raw
    answer = ask("show", "--escaped", shown)
    assert {answer.get("key"), answer.get("key_base64")} == {
        frame.get("key"),
        frame.get("key_base64"),
    }
    assert tool("rm", "-e", shown).returncode == 0
    assert len(cache) == 0


def test_a_key_that_looks_like_an_option_stands_behind_two_dashes(
    cache: framecache.Cache, tool: Tool
) -> None:
    cache.put("--json", one())
    assert tool("show", "--", "--json").returncode == 0
    assert tool("rm", "--", "--json").returncode == 0
    assert len(cache) == 0


# ---- show ----

EXPECTED = {
    # name: type, format, nulls, the first three values
    "flag": ("BOOL", "b", 1, [True, None, False]),
    "small": ("INT8", "c", 1, [-1, 2, None]),
    "big": ("UINT64", "L", 0, [2**64 - 1, 0, 1]),
    "half": ("FLOAT16", "e", 1, [1.5, -0.25, None]),
    "real": ("FLOAT64", "g", 0, [0.1, "NaN", "Infinity"]),
    "price": ("DECIMAL", "d:9,2", 1, ["-12.05", "0.00", None]),
    "day": ("DATE32", "tdD", 1, ["1969-12-31", None, "2024-02-29"]),
    "clock": ("TIME64", "ttu", 1, ["00:00:00.000001", "01:00:00.000001", None]),
    "when": (
        "TIMESTAMP",
        "tsm:Europe/Paris",
        1,
        ["2013-01-01T12:00:00.250Z", None, "2013-01-01T12:00:00.250Z"],
    ),
    "took": ("DURATION", "tDs", 1, ["90 s", None, "-1 s"]),
    "name": ("STRING", "U", 1, ["a", None, 'quo"te\n']),
    "raw": ("BINARY", "Z", 1, ["0x00ff", "0x", None]),
    "kind": ("DICTIONARY", "i", 1, ["x", "y", None]),
    "nothing": ("NA", "n", 3, [None, None, None]),
    "list": ("LIST", "+L", 1, None),
    "record": ("STRUCT", "+s", 1, None),
}


def test_show_tells_type_nulls_and_values_of_each_column(
    cache: framecache.Cache, ask: Any
) -> None:
    cache.put("k", table())
    answer = ask("show", "k")
    assert answer["key"] == "k"
    assert answer["rows"] == 3
    assert answer["columns"] == len(EXPECTED)
    schema = {
        column["name"]: (column["type"], column["format"], column["nulls"])
        for column in answer["schema"]
    }
    assert schema == {name: expected[:3] for name, expected in EXPECTED.items()}
    first = answer["first_rows"]
    shown = dict(zip(first["columns"], zip(*first["rows"], strict=True), strict=True))
    assert shown == {
        name: tuple(expected[3]) for name, expected in EXPECTED.items() if expected[3]
    }


def test_show_tells_the_least_and_the_greatest_where_they_are_known(
    cache: framecache.Cache, ask: Any, tool: Tool
) -> None:
    cache.put("k", table())
    bounds = {c["name"]: (c["min"], c["max"]) for c in ask("show", "k")["schema"]}
    assert bounds["small"] == (-1, 2)
    assert bounds["big"] == (0, 2**64 - 1)
    assert bounds["day"] == ("1969-12-31", "2024-02-29")
    assert bounds["took"] == ("-1 s", "90 s")
    assert bounds["name"] == (None, None)
    (line,) = [
        line
        for line in tool("show", "k").stdout.splitlines()
        if line.startswith("small ")
    ]
    assert line.split() == ["small", "INT8", "c", "1", "-1", "2"]


def test_show_says_where_a_frame_is_damaged(
    cache: framecache.Cache, cache_dir: Path, tool: Tool, ask: Any
) -> None:
    cache.put("k", pa.table({"s": pa.array(["abc"] * 100), "t": pa.array(["x"] * 100)}))
    cache.close()
    offsets = struct.pack("<101q", *range(0, 303, 3))
    (path,) = (p for p in (cache_dir / "frames").iterdir() if p.is_file())
    data = path.read_bytes()
    at = data.index(offsets) + 8 * 2
    path.write_bytes(data[:at] + struct.pack("<q", 1 << 40) + data[at + 8 :])
    rows = ask("show", "k", "--rows", "4")["first_rows"]["rows"]
    assert rows == [["abc", "x"], [None, "x"], [None, "x"], ["abc", "x"]]
    assert tool("show", "k").stdout.count("(damaged)") == 2


def test_show_prints_as_many_rows_as_asked(
    cache: framecache.Cache, ask: Any, tool: Tool
) -> None:
    cache.put("k", one(100))
    assert len(ask("show", "k")["first_rows"]["rows"]) == 5
    assert ask("show", "k", "--rows", "7")["first_rows"]["rows"] == [
        [x] for x in range(7)
    ]
    assert len(ask("show", "k", "--rows=1000")["first_rows"]["rows"]) == 100
    assert "first 2 rows:\nx\n0\n1\n" in tool("show", "k", "--rows", "2").stdout
    assert "rows:" not in tool("show", "k", "--rows", "0").stdout


def test_show_of_many_columns_prints_the_first_of_them_beside_each_other(
    cache: framecache.Cache, ask: Any, tool: Tool
) -> None:
    cache.put("k", pa.table({f"c{i}": [i] for i in range(300)}))
    assert len(ask("show", "k")["schema"]) == 300
    text = tool("show", "k").stdout
    assert "first 1 rows, first 8 columns:\nc0  c1  c2  c3  c4  c5  c6  c7\n" in text
    assert "c299" in text


@pytest.mark.parametrize(
    "empty", [pa.table({"x": pa.array([], pa.int64())}), pa.table({})]
)
def test_show_of_a_frame_without_rows_or_columns(
    cache: framecache.Cache, ask: Any, tool: Tool, empty: pa.Table
) -> None:
    cache.put("k", empty)
    assert ask("show", "k")["first_rows"]["rows"] == []
    assert tool("show", "k").returncode == 0


def test_show_does_not_count_as_a_use(cache: framecache.Cache, tool: Tool) -> None:
    cache.put("k", one())
    before = cache.info("k")["uses"]
    for _ in range(3):
        assert tool("show", "k").returncode == 0
    assert cache.info("k")["uses"] == before


def test_a_miss_says_why_and_exits_1(cache: framecache.Cache, tool: Tool) -> None:
    cache.put("gone", one())
    del cache["gone"]
    for key, why in (("never", "never there"), ("gone", "deleted")):
        done = tool("show", key)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("framecache: ")
        error = parse(tool("show", key, "--json").stdout)["error"]
        assert error["code"] == "FC_E_MISS"
        assert error["miss"] == why


def test_a_reader_undisturbed_by_looking_keeps_the_cache_as_it_is(
    cache: framecache.Cache, tool: Tool
) -> None:
    cache.put("k", one(1000))
    before = cache.stats()
    for words in (["stat"], ["ls"], ["show", "k"], ["verify", "--data"]):
        assert tool(*words).returncode == 0
    after = cache.stats()
    for name in ("frames", "used_bytes", "sequence", "puts", "deleted", "evicted"):
        assert after[name] == before[name], name
