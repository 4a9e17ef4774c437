"""put_value and get_value: what goes in comes out, or is refused by its path."""

import contextlib
import datetime
import decimal
import json
import math
import os
import struct
import threading
import uuid
import zoneinfo
from collections import OrderedDict
from typing import Any

import framecache
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from framecache import _kinds, _values, _values_in
from hypothesis import given, settings
from hypothesis import strategies as st

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
MISSING = object()


def leased(cache: framecache.Cache) -> list[str]:
    return [info["key"] for info in cache.infos() if info["leased"]]


def _kind(value: Any) -> str:
    return type(value).__name__


def same(a: Any, b: Any) -> bool:
    """Equal in type, content, order, sign of zero and bits of NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (set, frozenset)):
        return a == b and sorted(map(_kind, a)) == sorted(map(_kind, b))
    if isinstance(a, (datetime.datetime, datetime.time)):
        return a == b if type(a) is int else repr(a) == repr(b) and a.fold == b.fold
    if isinstance(a, memoryview):
        return (a.format, a.shape, a.tobytes()) == (b.format, b.shape, b.tobytes())
    if isinstance(a, np.ndarray):
        if a.dtype == object:
            return a.shape == b.shape and same(a.tolist(), b.tolist())
        flags = a.flags.c_contiguous, a.flags.f_contiguous
        others = b.flags.c_contiguous, b.flags.f_contiguous
        return bool(
            (a.dtype, a.shape) == (b.dtype, b.shape)
            and a.tobytes() == b.tobytes()
            and (flags == others or not any(flags) or not any(others))
        )
    if isinstance(a, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return a == b if type(a) is int else repr(a) == repr(b)


SAMPLES = [
    None, True, False, 0, -1, 2**63, -(2**63) - 1, 10**5000, 0.0, -0.0, 1e308, 5e-324,
    math.inf, -math.inf, math.nan, struct.unpack("<d", b"\1\0\0\0\0\0\xf8\xff")[0],
    complex(-0.0, math.nan), "", "text", "é\0\u2028", "\ud800", "\ud83d\ude00", b"",
    b"abc", bytes(range(256)) * 2, bytes(1 << 17), bytearray(b"x" * 100), [], (), {},
    set(), frozenset(), [1, [2, (3, {4}, frozenset({5}))]], {"a": {"b": [1]}},
    {1: "a", None: 2, (1, 2): 3, 2.5: 4, False: 1, b"k": 5, frozenset({1}): 6},
    {"\ud83d\ude00": "\ud800"}, {"z": 1, "a": 2, "m": 3}, {"dict": [1, 2, 3]},
    datetime.datetime(2024, 2, 29, 12, 30, 15, 123456), datetime.datetime.min,
    datetime.datetime(2024, 10, 27, 2, 30, tzinfo=PARIS, fold=1),
    datetime.datetime(1, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(-datetime.timedelta(hours=3))),
    datetime.timezone(datetime.timedelta(seconds=3), "name"), PARIS, datetime.UTC,
    datetime.date.max, datetime.time(1, 2, 3, 4, PARIS, fold=1), datetime.time(0),
    datetime.timedelta.min, datetime.timedelta(microseconds=-1),
    decimal.Decimal("-0E+5"), decimal.Decimal("sNaN123"), decimal.Decimal("1.10"),
    uuid.UUID(int=2**127), memoryview(b"abc"), memoryview(b""),
    memoryview(np.arange(6, dtype="i4").reshape(2, 3)), memoryview(np.zeros(0)),
]  # fmt: skip


@pytest.mark.parametrize("value", SAMPLES, ids=_values_in.shown)
def test_what_is_put_comes_back(cache: framecache.Cache, value: Any) -> None:
    for wrapped in (value, [value], {"key": value}, (value, value)):
        cache.put_value("k", wrapped)
        assert same(cache.get_value("k", MISSING), wrapped)


def test_timezones_come_back_as_the_same_objects(cache: framecache.Cache) -> None:
    cache.put_value("k", [PARIS, datetime.UTC])
    assert cache.get_value("k")[0] is PARIS
    assert cache.get_value("k")[1] is datetime.UTC


ARRAYS = [
    np.arange(12).astype(kind).reshape(3, 4)
    for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g",
                 "c8", "c16", "?", ">i4", ">f8", "M8[ns]", "M8[D]", "m8[3s]")
] + [
    np.array(["a", "bcd", ""]), np.array([b"a", b"bcd"]), np.array(["é"], dtype=">U4"),
    np.array([(1, 2.5, "x")], dtype=[("a", "i4"), ("b", ">f8"), ("c", "U3")]),
    np.zeros(2, dtype=[("a", "i1", (2, 3)), ("in", [("x", "M8[s]"), ("y", "S2")])]),
    np.zeros(3, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    np.zeros(2, dtype=[(("title", "name"), "i4")]), np.zeros(2, dtype="V5"),
    np.array(5), np.array("NaT", dtype="M8[us]"), np.empty((0, 3)), np.empty((3, 0), "U"),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.arange(20)[::3],
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2), np.arange(4)[::-1],
    np.broadcast_to(np.arange(3), (4, 3)), np.arange(1 << 15), np.zeros((0,), "M8[ns]"),
    np.array([1, None, "a", (1, 2)], dtype=object), np.empty((2, 0), dtype=object),
    np.array([[1, [2]], [{3}, 4.5]], dtype=object), np.array(None, dtype=object),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_arrays_come_back(cache: framecache.Cache, array: Any) -> None:
    cache.put_value("k", {"one": array, "again": [array]})
    back = cache.get_value("k")
    assert same(back["one"], array)
    assert same(back["again"], [array])


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_scalars_and_dtypes_come_back(cache: framecache.Cache, array: Any) -> None:
    if array.dtype == object or not array.size:
        return
    scalar = array.reshape(-1)[0]
    cache.put_value("k", [scalar, array.dtype])
    back = cache.get_value("k")
    assert same(back[0], scalar)
    assert back[1] == array.dtype


@pytest.mark.parametrize("rows", [10, 10**6])
def test_arrays_lie_over_the_mapping_and_keep_the_lease(
    cache: framecache.Cache, rows: int
) -> None:
    cache.put_value("k", {"a": np.arange(rows), "text": "x"})
    array = cache.get_value("k")["a"]
    again = cache.get_value("k")["a"]
    assert array.ctypes.data == again.ctypes.data  # the same bytes
    assert array.ctypes.data % 64 == 0
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True
    del again
    assert leased(cache) == ["k"]
    cache.delete("k")
    assert int(array.sum()) == rows * (rows - 1) // 2
    del array
    assert leased(cache) == []


def test_what_has_no_array_keeps_no_lease(cache: framecache.Cache) -> None:
    cache.put_value("k", {"a": b"x" * 1000, "b": np.float32(1.5), "c": [1, 2]})
    value = cache.get_value("k")
    assert leased(cache) == []
    assert value["a"] == b"x" * 1000


def test_pandas_scalars_come_back(cache: framecache.Cache) -> None:
    value = [
        pd.Timestamp("2024-02-29 12:30:15.123456789"),
        pd.Timestamp("2024-02-29", tz=zoneinfo.ZoneInfo("Europe/Paris")),
        pd.Timestamp("2024-02-29").as_unit("s"),
        pd.Timedelta("3 days 00:00:00.000000001"),
        pd.NaT,
        pd.NA,
    ]
    cache.put_value("k", value)
    back = cache.get_value("k")
    assert repr(back) == repr(value)
    assert [type(item) for item in back] == [type(item) for item in value]
    assert back[2].unit == "s"


# ---- Misses, None, tables ----


def test_none_is_no_miss(cache: framecache.Cache) -> None:
    cache.put_value("k", None)
    assert cache.get_value("k", MISSING) is None
    assert cache.get_value("other", MISSING) is MISSING
    assert cache.get_value("other") is None
    cache.delete("k")
    assert cache.get_value("k", MISSING) is MISSING


def test_a_table_is_put_as_a_table(cache: framecache.Cache) -> None:
    table = pd.DataFrame({"a": [1, 2]})
    cache.put_value("k", table)
    with cache["k"] as frame:
        assert frame.columns == ["a"]
    pd.testing.assert_frame_equal(cache.get_value("k"), table)
    cache.put("k", table["a"]).release()
    pd.testing.assert_series_equal(cache.get_value("k"), table["a"])
    with cache["k"] as frame:
        cache.put_value("copy", frame)
    with cache.get_value("copy") as frame:
        assert isinstance(frame, framecache.Frame)


def test_a_value_is_a_frame_of_a_tree_and_buffers(cache: framecache.Cache) -> None:
    cache.put_value("k", {"a": [1, "x"], "b": np.arange(3), "c": bytes(1 << 17)})
    with cache["k"] as frame:
        assert frame.columns == ["tree", "buffers", "buffer 0"]
        assert frame.rows == 1
        tree = frame.select(["tree"]).to_arrow()["tree"][0].as_py()
        assert json.loads(tree)["dict"][:2] == ["a", [1, "x"]]
        assert frame.to_value()["c"] == bytes(1 << 17)


def test_values_have_ttl_tags_and_cost(cache: framecache.Cache) -> None:
    cache.put_value("k", [1], ttl="1h", stale=60, tags=["t"], cost=2.5)
    info = cache.info("k")
    assert (info["tags"], info["cost"]) == (["t"], 2.5)
    assert 3500 < info["expires"] - info["created"] < 3700
    assert cache.delete_tag("t") == 1
    with pytest.raises(TypeError, match="tags"):
        cache.put_value("k", 1, tags="t")


def test_a_namespace_has_values_of_its_own(cache: framecache.Cache) -> None:
    space = cache.namespace("n")
    space.put_value("k", {"a": 1})
    assert space.get_value("k") == {"a": 1}
    assert cache.get_value("n:k") == {"a": 1}
    assert cache.get_value("k") is None
    assert space.clear() == 1
    assert space.get_value("k", 5) == 5


# ---- memoize ----


def test_get_or_compute_keeps_values(cache: framecache.Cache) -> None:
    calls = []

    def compute() -> Any:
        calls.append(1)
        return {"a": (1, None), "b": np.arange(3)}

    first = cache.get_or_compute("k", compute)
    again = cache.get_or_compute("k", compute)
    assert first["a"] == again["a"] == (1, None)
    assert not first["b"].flags.writeable  # what later callers get, the first gets too
    assert len(calls) == 1


def test_memoize_keeps_none(cache: framecache.Cache) -> None:
    calls = []

    @cache.memoize(ttl=60)
    def nothing(x: int) -> None:
        calls.append(x)

    assert nothing(1) is None
    assert nothing(1) is None
    assert calls == [1]


async def _async_value(cache: framecache.Cache) -> None:
    async def compute() -> Any:
        return {1, 2}

    assert await cache.aget_or_compute("k", compute) == {1, 2}
    assert await cache.aget_or_compute("k", compute) == {1, 2}


def test_aget_or_compute_keeps_values(cache: framecache.Cache) -> None:
    import asyncio

    asyncio.run(_async_value(cache))


# ---- Refused ----


class Point:
    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self) -> int:
        return hash((self.x, self.y))


class Nowhere(datetime.tzinfo):
    pass


class OddFigure(go.Figure):  # type: ignore[misc]
    """As plotly-resampler's figures are."""


class Text(str):
    __slots__ = ()


TEXT_ARRAYS = [np.dtypes.StringDType()] if hasattr(np.dtypes, "StringDType") else []


@pytest.mark.parametrize(
    ("value", "path"),
    [
        *((np.array(["a"], dtype=kind), "no fixed width") for kind in TEXT_ARRAYS),
        (object(), r"value: a builtins\.object"),
        ({"a": [1, 2, 3, object()]}, r"value\['a'\]\[3\]: a builtins"),
        ({"a": {2: (1, Point(1, 2))}}, r"value\['a'\]\[2\]\[1\]: a .*test_values\.Point"),
        ({Point(1, 2): 1}, r"value key <.*>: a .*test_values\.Point"),
        ([{Point(1, 2)}], r"value\[0\] item <.*>: a .*test_values\.Point"),
        ([OrderedDict(a=1)], r"value\[0\]: a collections\.OrderedDict"),
        (Text("x"), r"value: a .*test_values\.Text"),
        ([lambda: 1], r"value\[0\]: a builtins\.function"),
        (memoryview(np.zeros((2, 0))), "memoryview of several dimensions"),
        (memoryview(np.zeros(2, dtype=">i4")), "memoryview of format '>i'"),
        ([OddFigure()], r"value\[0\]: a .*OddFigure cannot be stored"),
        (range(3), "value: a builtins.range"),
        (np.zeros(2, dtype=[("a", object)]), "holds Python objects"),
        (np.array([1, object()], dtype=object), r"value\[1\]: a builtins"),
        (np.ma.masked_array([1], [True]), "MaskedArray"),
        (datetime.datetime(2024, 1, 1, tzinfo=Nowhere()), "time zone"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named_by_its_path(
    cache: framecache.Cache, value: Any, path: str
) -> None:
    cache.put_value("k", "before")
    with pytest.raises(TypeError, match=path):
        cache.put_value("k", value)
    assert cache.get_value("k") == "before"


def test_what_contains_itself_is_refused(cache: framecache.Cache) -> None:
    loop: list[Any] = [1]
    loop.append({"again": (loop,)})
    with pytest.raises(TypeError, match=r"value\[1\]\['again'\]\[0\].*contains itself"):
        cache.put_value("k", loop)
    twice = [[1]] * 2  # met twice, but not within itself
    cache.put_value("k", twice)
    assert cache.get_value("k") == twice


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = ([value], (value,), {"a": value})[level % 3]
    return value


def test_depth_is_limited(cache: framecache.Cache) -> None:
    cache.put_value("k", nested(128))
    assert cache.get_value("k") == nested(128)
    with pytest.raises(TypeError, match="nested deeper than 128 levels"):
        cache.put_value("k", nested(129))


def test_sharing_that_explodes_is_refused(
    cache: framecache.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_values_in, "_MOST_ITEMS", 1 << 12)
    value: Any = [1]
    for _ in range(30):
        value = [value, value]
    with pytest.raises(TypeError, match="more than 4096 items"):
        cache.put_value("k", value)


def test_a_closed_cache_says_so(directory: str) -> None:
    cache = framecache.Cache(directory)
    cache.put_value("k", np.arange(5))
    array = cache.get_value("k")
    cache.close()
    assert array.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(framecache.ClosedError):
        cache.get_value("k")
    with pytest.raises(framecache.ClosedError):
        cache.put_value("k", 1)


def test_a_value_beyond_the_budget_is_refused(directory: str) -> None:
    with framecache.Cache(directory, budget="32MiB", capacity=1024) as cache:
        with pytest.raises(framecache.BudgetError):
            cache.put_value("k", {"a": np.zeros(8 << 20)})
        assert cache.get_value("k") is None


# ---- register ----


def test_registered_types_come_back(cache: framecache.Cache) -> None:
    framecache.register(Point, "test.Point", lambda p: [p.x, p.y], lambda c: Point(*c))
    try:
        value = {"a": [Point(1, np.arange(3).sum()), Point("x", Point(None, 2))]}
        cache.put_value("k", value)
        assert cache.get_value("k") == value
        with pytest.raises(TypeError, match=r"value\['a'\]\[0\]: a builtins.object"):
            cache.put_value("k", {"a": Point(object(), 1)})
        with pytest.raises(ValueError, match="belongs to"):
            framecache.register(Text, "test.Point", str, Text)
        del _kinds.extension_tags["test.Point"]
        with pytest.raises(framecache.UnsupportedError, match=r"test\.Point.*register"):
            cache.get_value("k")
    finally:
        _kinds.extensions.pop(Point)
        _kinds.extension_tags.pop("test.Point", None)


def test_an_error_of_decode_is_its_own(cache: framecache.Cache) -> None:
    def decode(content: Any) -> Point:
        raise ValueError("not today")

    framecache.register(Point, "test.Point", lambda p: p.x, decode)
    try:
        cache.put_value("k", Point(1, 2))
        with pytest.raises(ValueError, match="not today"):
            cache.get_value("k")
    finally:
        _kinds.extensions.pop(Point)
        _kinds.extension_tags.pop("test.Point")


def test_register_refuses_what_is_known() -> None:
    with pytest.raises(ValueError, match="int can be stored"):
        framecache.register(int, "test.int", str, int)
    with pytest.raises(ValueError, match="tag"):
        framecache.register(Point, "", str, str)  # type: ignore[arg-type]


# ---- Pickle ----


def test_pickle_is_read_and_written_on_demand_only(cache: framecache.Cache) -> None:
    value = {"a": Point(1, 2), "b": [1]}
    with pytest.raises(TypeError, match="Point"):
        cache.put_value("k", value)
    cache.put_value("k", value, allow_pickle=True)
    with pytest.raises(framecache.AccessError, match="allow_pickle=True"):
        cache.get_value("k")
    assert cache.get_value("k", allow_pickle=True) == value
    with pytest.raises(TypeError, match="cannot be pickled either"):
        cache.put_value("k", [lambda: 1], allow_pickle=True)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o722])
def test_no_pickle_where_others_may_write(cache: framecache.Cache, mode: int) -> None:
    cache.put_value("k", Point(1, 2), allow_pickle=True)
    os.chmod(cache.dir, mode)
    try:
        named = rf"{cache.dir} \(owner {os.getuid()}, mode {mode:04o}\).*mode 0700"
        with pytest.raises(framecache.AccessError, match=named):
            cache.get_value("k", allow_pickle=True)
        with pytest.raises(framecache.AccessError, match=named):
            cache.put_value("k", 1, allow_pickle=True)
        cache.put_value("k", 1)
        assert cache.get_value("k", allow_pickle=True) == 1  # has no pickle in it
    finally:
        os.chmod(cache.dir, 0o700)


# ---- Damage ----


def put_raw(cache: framecache.Cache, tree: bytes, small: bytes = b"") -> None:
    columns = [_values._column("tree", tree, len(tree))]
    if small:
        columns.append(_values._column("buffers", small, len(small)))
    options = (0, 0, 0.0, 0, False, ())
    cache._put_columns("k", options, columns, 1, _values._METADATA).release()


@pytest.mark.parametrize(
    "tree",
    [
        "", "{", '{"unknown": 1}', '{"int": "x"}', '{"int": 5}', '{"tuple": 5}', "[1] 2",
        '{"dict": [1]}', '{"dict": [[], 1]}', '{"set": [[]]}', '{"bytes": "zz"}', "\x00",
        '{"bytes": [0, 100]}', '{"bytes": [-8, 8]}', '{"bytes": [7]}', '{"a": 1, "b": 2}',
        '{"array": ["<f8", [3], "C", [0, 8]]}', '{"array": ["<f8", [1], "C", [0, 16]]}',
        '{"array": ["|O", [1], "C", [0, 8]]}',
        '{"array": ["<f8", [-1], "C", [0, 8]]}', '{"array": ["<f8", [1], "X", [0, 8]]}',
        '{"array": ["x y", [1], "C", [0, 8]]}', '{"array": [5, [1], "C", [0, 8]]}',
        '{"array": ["<i1", [1099511627776, 1099511627776], "C", [0, 8]]}',
        '{"objects": [[1099511627776], []]}', '{"scalar": ["<f8", "00"]}',
        '{"scalar": ["|O", "0000000000000000"]}', '{"datetime": ["x", 0, null]}',
        '{"datetime": ["2024-01-01", 0, "../../../etc/passwd"]}', '{"uuid": "1"}',
        '{"datetime": ["2024-01-01", 5, null]}', '{"timedelta": [1e300, 0, 0]}',
        '{"memoryview": ["P", [1], "00"]}', '{"memoryview": ["i", [5], "00000000"]}',
        '{"decimal": "x"}', '{"complex": "00"}', '{"float": "00"}', '{"zone": [[1e9]]}',
        '{"figure": ["object", {}]}', '{"pandas": "x"}', '{"extension": 1}',
        "[" * 100_000, '{"tuple":' * 5000, "\ud800",
    ],
)  # fmt: skip
def test_what_is_damaged_is_an_error(cache: framecache.Cache, tree: str) -> None:
    put_raw(cache, tree.encode("utf-8", "surrogatepass"), bytes(64))
    with pytest.raises(framecache.CorruptError, match="'k' holds a damaged value"):
        cache.get_value("k")


def test_a_time_zone_that_is_not_known_here_is_no_damage(cache: framecache.Cache) -> None:
    put_raw(cache, b'{"zone": "Mars/Olympus"}')
    with pytest.raises(framecache.UnsupportedError, match="Mars/Olympus"):
        cache.get_value("k")


def test_a_pickle_among_damage_is_not_run(cache: framecache.Cache) -> None:
    put_raw(cache, b'[{"pickle": "80059504000000"}, {"unknown": 1}]')
    with pytest.raises(framecache.AccessError):
        cache.get_value("k")


@given(data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    frame: Any = _Raw(data)
    with contextlib.suppress(framecache.Error):
        _values._values_out.decode(frame, ["tree"], _values._refuse_pickle)


class _Raw:
    """As much of a frame as the decoder asks for."""

    key = "k"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def _column(self, index: int) -> tuple[Any, ...]:
        return "tree", "Z", "BINARY", 0, 1, 0, 0, self.data, None, None, None


# ---- Random values ----

hashable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(st.characters()) | st.binary(max_size=100) | st.decimals(allow_nan=False)
    | st.uuids() | st.dates() | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.timezones()),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
values = st.recursive(
    hashable | st.floats() | st.complex_numbers() | st.times()
    | st.binary(min_size=65, max_size=300).map(bytearray),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
    | st.sets(hashable, max_size=3) | st.dictionaries(hashable, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(value=values)
@settings(max_examples=200, deadline=None)
def test_random_values_come_back(value: Any) -> None:
    encoded = _values_in.encode(value)
    columns: Any = _Columns([encoded.tree, encoded.small])
    back = _values._values_out.decode(columns, ["tree", "buffers"], bool)
    assert same(back, value)


class _Columns(_Raw):
    def __init__(self, columns: list[bytes]) -> None:
        self.columns = columns

    def _column(self, index: int) -> tuple[Any, ...]:
        return "", "Z", "BINARY", 0, 1, 0, 0, self.columns[index], None, None, None


def test_values_go_between_threads(cache: framecache.Cache) -> None:
    failures = []

    def work(number: int) -> None:
        for round in range(50):
            cache.put_value(f"k{number % 2}", {"n": [number] * 3, "a": np.arange(round)})
            value = cache.get_value("k0", {"n": [0] * 3})
            if len(set(value["n"])) != 1:
                failures.append(value)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
