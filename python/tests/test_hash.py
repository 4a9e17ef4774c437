"""Content hashes over every Arrow type: what counts and what does not."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import samples
from framecache import _keys

ARRAYS = samples.arrays()
TYPES = list(ARRAYS)


def table_of(array: Any) -> pa.Table:
    return pa.table({"c": array, "n": pa.array(range(len(array)))})


def fresh(array: pa.Array) -> pa.Array:
    """The same rows in memory of their own, value by value."""
    if isinstance(array, pa.DictionaryArray):  # its dictionary is content
        codes = pa.array(array.indices.to_pylist(), array.indices.type)
        return pa.DictionaryArray.from_arrays(
            codes, array.dictionary, ordered=array.type.ordered
        )
    if isinstance(array, pa.RunEndEncodedArray):
        ends = list(range(1, len(array) + 1))
        return pa.RunEndEncodedArray.from_arrays(ends, array.to_pylist())
    return pa.concat_arrays([array.slice(row, 1) for row in range(len(array))])


@pytest.mark.parametrize("kind", TYPES)
def test_a_frame_hashes_as_its_table(cache: framecache.Cache, kind: str) -> None:
    array = ARRAYS[kind]
    for rows in (slice(0, 5), slice(1, 4), slice(2, 3), slice(3, 3)):
        table = table_of(array[rows])
        wanted = framecache.content_hash(table)
        assert len(wanted) == 16
        with cache.put("k", table) as frame:
            assert frame.content_hash() == framecache.content_hash(frame) == wanted
            back = pa.table(frame)
            assert framecache.content_hash(back) == wanted
        with cache.put("k", table_of(array)) as frame:
            part = frame.slice(rows.start, rows.stop - rows.start)
            renumbered = table.set_column(1, "n", [range(rows.start, rows.stop)])
            assert part.select(["c"]).content_hash() == framecache.content_hash(
                renumbered.select(["c"])
            )


@pytest.mark.parametrize("kind", TYPES)
def test_how_rows_lie_is_no_content(kind: str) -> None:
    array = ARRAYS[kind]
    wanted = framecache.content_hash(table_of(array))
    longer = pa.chunked_array([array, array, array], array.type)
    if not isinstance(array, pa.RunEndEncodedArray):
        longer = longer.combine_chunks()
    assert framecache.content_hash(table_of(longer[5:10])) == wanted
    assert framecache.content_hash(table_of(fresh(array))) == wanted
    chunked = pa.chunked_array([array[:2], array[2:2], array[2:]])
    assert framecache.content_hash(table_of(chunked)) == wanted


def gathered(array: pa.Array, order: list[int]) -> pa.Array:
    parts = [array[row : row + 1] for row in order]
    if isinstance(array, pa.RunEndEncodedArray):  # it cannot be joined
        values = [part.to_pylist()[0] for part in parts]
        ends = pa.array(range(1, len(order) + 1), pa.int32())
        return pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, pa.string()))
    return pa.concat_arrays([array[:0], *parts])


@pytest.mark.parametrize("kind", TYPES)
def test_values_nulls_and_their_order_are_content(kind: str) -> None:
    array, seen = ARRAYS[kind], {}
    for order in [
        [0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [0, 0, 2, 3, 4], [1, 1, 2, 3, 4],
        [4, 1, 2, 3, 0], [0, 2, 1, 3, 4], [0, 1, 2, 3], [0, 1, 2, 3, 4, 4], [1], [],
    ]:  # fmt: skip
        rows = gathered(array, order)
        digest = framecache.content_hash(pa.table({"c": rows}))
        assert seen.setdefault(digest, rows.to_pylist()) == rows.to_pylist()
        seen[digest] = rows.to_pylist()
    distinct = []
    for values in seen.values():
        assert values not in distinct
        distinct.append(values)
    assert len(distinct) == len(seen) > (3 if kind == "null" else 5)


def test_types_names_and_order_of_columns_are_content() -> None:
    empty = [pa.table({"c": array[:0]}) for array in ARRAYS.values()]
    stored = {str(samples.stored(table.schema.types[0])) for table in empty}
    assert len({framecache.content_hash(table) for table in empty}) == len(stored)
    a, b = pa.array([1, 2]), pa.array([1, 2])
    tables = [
        pa.table({"a": a, "b": b}), pa.table({"b": b, "a": a}), pa.table({"a": a}),
        pa.table({"ab": a}), pa.table({"a": a, "c": b}), pa.table({"a": []}),
        pa.table([a, b], schema=pa.schema({"a": a.type, "b": b.type}, {"m": "1"})),
        pa.table([a], schema=pa.schema([pa.field("a", pa.int64(), nullable=False)])),
        pa.table([a], schema=pa.schema([pa.field("a", a.type, metadata={"m": "1"})])),
        pa.table([a], schema=pa.schema([pa.field("a", a.type, metadata={"m": "2"})])),
    ]  # fmt: skip
    assert len({framecache.content_hash(table) for table in tables}) == len(tables)
    one = pa.schema([pa.field("a", pa.int64())], {"m": "1", "n": "2"})
    other = pa.schema([pa.field("a", pa.int64())], {"n": "2", "m": "1"})
    assert framecache.content_hash(pa.table([a], one)) == framecache.content_hash(
        pa.table([a], other)
    )


def test_rows_count_without_columns(cache: framecache.Cache) -> None:
    none = pa.table({"a": [1, 2, 3]}).select([])
    fewer = pa.table({"a": [1]}).select([])
    digests = {framecache.content_hash(none), framecache.content_hash(fewer)}
    assert len(digests) == 2
    with cache.put("k", pa.table({"a": [1, 2, 3]})) as frame:
        assert frame.select([]).content_hash() in digests


def with_garbage(values: list[Any], kind: pa.DataType, fill: int) -> pa.Array:
    """Null slots, and the bits behind the last row, hold what `fill` says."""
    array = pa.array(values, kind)
    buffers = [b if b is None else bytearray(b.to_pybytes()) for b in array.buffers()]
    width = kind.bit_width // 8
    for row, value in enumerate(values):
        if value is None:
            buffers[1][row * width : (row + 1) * width] = bytes([fill]) * width
    buffers[0][0] |= fill & (0xFF << len(values) & 0xFF)
    return pa.Array.from_buffers(
        kind, len(values), [pa.py_buffer(bytes(b)) for b in buffers]
    )


@pytest.mark.parametrize("kind", ["int8", "int64", "float32", "timestamp[us]"])
def test_what_stands_in_null_slots_is_no_content(kind: str) -> None:
    digests = {
        framecache.content_hash(
            pa.table({"c": with_garbage([1, None, 3, None], getattr_type(kind), fill)})
        )
        for fill in (0, 0x55, 0xFF)
    }
    assert len(digests) == 1


def getattr_type(kind: str) -> pa.DataType:
    return pa.timestamp("us") if kind.startswith("timestamp") else pa.type_for_alias(kind)


def test_what_stands_below_null_rows_is_no_content() -> None:
    def hash(array: pa.Array) -> bytes:
        return framecache.content_hash(pa.table({"c": array}))

    mask = pa.array([False, True, False])
    for hidden in (2, 7, None):
        offsets = pa.array([0, 1, 3, 4], pa.int32())
        items = pa.array([1, hidden, hidden, 4])
        lists = pa.ListArray.from_arrays(offsets, items, mask=mask)
        assert hash(lists) == hash(pa.array([[1], None, [4]]))
        structs = pa.StructArray.from_arrays([pa.array([1, hidden, 4])], ["x"], mask=mask)
        assert hash(structs) == hash(pa.array([{"x": 1}, None, {"x": 4}]))
    text = pa.Array.from_buffers(
        pa.string(), 2, [pa.py_buffer(b"\x02"), *pa.array(["garbage", "b"]).buffers()[1:]]
    )
    assert hash(text) == hash(pa.array([None, "b"]))
    ids, offsets = pa.array([0, 1, 0], pa.int8()), pa.array([1, 0, 0], pa.int32())
    unions = [
        pa.UnionArray.from_sparse(ids, [pa.array([1, x, 2]), pa.array([x, 5, x])])
        for x in (0, 9)
    ]
    assert hash(unions[0]) == hash(unions[1])
    dense = pa.UnionArray.from_dense(ids, offsets, [pa.array([2, 1]), pa.array([5])])
    packed = pa.UnionArray.from_dense(
        ids, pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2, 9]), pa.array([5])]
    )
    assert hash(dense) == hash(packed)


def test_runs_are_joined_and_dictionaries_count_as_they_stand() -> None:
    def hash(array: pa.Array) -> bytes:
        return framecache.content_hash(pa.table({"c": array}))

    runs = pa.RunEndEncodedArray.from_arrays
    assert hash(runs([2, 3, 5], ["a", "a", "b"])) == hash(runs([3, 5], ["a", "b"]))
    assert hash(runs([2, 5], ["a", "b"])) != hash(runs([3, 5], ["a", "b"]))
    assert hash(runs([1, 2, 3], [None, None, "b"])) == hash(runs([2, 3], [None, "b"]))
    coded = pa.DictionaryArray.from_arrays
    assert hash(coded([0, 1], ["a", "b"])) != hash(coded([1, 0], ["b", "a"]))
    assert hash(coded([0, 1], ["a", "b"])) != hash(coded([0, 1], ["a", "b", "c"]))
    assert hash(coded([0, None], ["a"])) == hash(
        coded(pa.array([0, 0], mask=np.array([False, True])), ["a"])
    )


def test_libraries_agree(cache: framecache.Cache) -> None:
    data = {"i": [1, None, 3], "s": ["a", "bc", None], "l": [[1], [], None]}
    polars, table = pl.DataFrame(data), pa.table(data)
    with cache.put("p", polars) as ours, cache.put("t", table) as theirs:
        assert ours.content_hash() == theirs.content_hash()
    frame = pd.DataFrame({"a": [1, 2]})
    with cache.put("k", frame) as first, cache.put("l", frame.copy()) as second:
        assert first.content_hash() == second.content_hash()
    with cache.put("l", frame.set_index(pd.Index([5, 6]))) as other:
        assert other.content_hash() != cache["k"].content_hash()


def test_tables_and_frames_count_alike_inside_of_values(cache: framecache.Cache) -> None:
    table = pa.table({"a": [1, 2]})
    with cache.put("k", table) as frame:
        inside = framecache.content_hash({"x": [frame]})
        assert inside == framecache.content_hash({"x": [table]})
        assert inside != framecache.content_hash({"x": [table.slice(1)]})
        assert framecache.content_hash(frame.select(["a", "a"]))


SCRIPT = """
import sys
import framecache
print(framecache.Cache(sys.argv[1])["k"].content_hash().hex())
"""


def test_another_process_finds_the_same(cache: framecache.Cache) -> None:
    table = pa.table({"x": np.arange(300_000.0), "s": ["a", None, "b"] * 100_000})
    with cache.put("k", table) as frame:
        wanted = frame.content_hash()
    assert wanted == framecache.content_hash(table)
    out = subprocess.check_output([sys.executable, "-c", SCRIPT, cache.dir], text=True)
    assert bytes.fromhex(out.strip()) == wanted


def test_a_released_frame_has_no_hash(cache: framecache.Cache) -> None:
    frame = cache.put("k", pa.table({"a": [1]}))
    frame.release()
    with pytest.raises(framecache.ClosedError, match="released"):
        frame.content_hash()


def test_what_contains_itself_has_no_hash() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="value: contains itself"):
        framecache.content_hash(loop)


# ---- Chunks, dictionaries and what lies below nulls ----


def own(array: pa.Array) -> pa.Array:
    """Equal to the bit, in memory of its own."""
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"c": array})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()["c"]


def coded(values: pa.Array, codes: list[int | None]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), values)


DICTIONARIES: dict[str, Callable[[], pa.Array]] = {
    "values once": lambda: pa.array(["x", "z", "y"]),
    "a value twice": lambda: pa.array(["x", "x", "y"]),
    "two nulls": lambda: pa.array([None, None, "y"]),
    "bools twice": lambda: pa.array([True, True, False]),
    "numbers twice": lambda: pa.array([1.5, 1.5, None]),
    "views": lambda: pa.array(
        ["x", "x", "a value that is no short one"], pa.string_view()
    ),
    "lists": lambda: pa.array([[1], [1], [2, None]]),
    "structs": lambda: pa.array([{"a": "x"}, {"a": "x"}, None]),
    "dictionaries": lambda: pa.array(["x", "y", "x"]).dictionary_encode(),
    "nulls": lambda: pa.nulls(3),
}


def put_hash(cache: framecache.Cache, table: pa.Table) -> bytes:
    with cache.put("k", table) as frame:
        return frame.content_hash()


def key_of(value: Any) -> bytes:
    return _keys.digest(value)


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_chunks_with_equal_dictionaries_hash_alike_wherever_they_lie(
    cache: framecache.Cache, kind: str
) -> None:
    one, two, three = (coded(DICTIONARIES[kind](), [0, 1, 2, None]) for _ in range(3))
    shared = pa.table({"c": pa.chunked_array([one, one, one])})
    copies = pa.table({"c": pa.chunked_array([one, two, three])})
    assert shared.equals(copies)
    wanted = framecache.content_hash(shared)
    assert framecache.content_hash(copies) == wanted
    assert put_hash(cache, shared) == put_hash(cache, copies) == wanted
    assert key_of(shared) == key_of(copies)
    codes = cache["k"].to_arrow()["c"].chunk(0).indices.to_pylist()
    assert codes == [0, 1, 2, None] * 3
    lists = [pa.ListArray.from_arrays([0, 2, 4], array) for array in (one, two)]
    within = pa.table({"c": pa.chunked_array([lists[0], lists[0]])})
    assert put_hash(cache, within) == framecache.content_hash(
        pa.table({"c": pa.chunked_array(lists)})
    )


@pytest.mark.parametrize("kind", DICTIONARIES)
def test_the_dictionary_of_a_chunk_without_rows_does_not_count(
    cache: framecache.Cache, kind: str
) -> None:
    one = coded(DICTIONARIES[kind](), [0, 1, 2])
    other = coded(DICTIONARIES[kind]().slice(1), [0, 1])
    table = pa.table({"c": pa.chunked_array([one])})
    more = pa.table({"c": pa.chunked_array([other[:0], one, other[:0]])})
    assert table.equals(more)
    wanted = framecache.content_hash(table)
    assert framecache.content_hash(more) == put_hash(cache, more) == wanted
    assert key_of(table) == key_of(more)


def test_whatever_can_be_put_can_be_hashed(cache: framecache.Cache) -> None:
    def numbered(first: int, count: int) -> pa.DictionaryArray:
        values = [str(i) for i in range(first, first + count)]
        return coded(pa.array(values), list(range(count)))

    wide = pa.chunked_array([numbered(0, 120), numbered(100, 120)])
    lists = [coded(pa.array([[1], [n]]), [0, 1]) for n in (2, 3)]
    months = cache.build("months", {"m": "tiM", "d": "tiD"}, rows=2)
    with months:
        for index in range(2):
            target = np.frombuffer(months._build.target(index)[3], np.int32)
            target[:] = range(len(target))
        frame = months.commit()
    intervals = pa.table(frame)
    assert framecache.content_hash(intervals) == frame.content_hash()
    double = pa.concat_tables([intervals, intervals])
    for table in (
        intervals,
        double,
        pa.table({"c": wide}),
        pa.table({"c": pa.chunked_array(lists)}),
        pa.table({"c": pa.chunked_array([], pa.dictionary(pa.int8(), pa.string()))}),
    ):
        assert put_hash(cache, table) == framecache.content_hash(table)
        assert framecache.content_hash(pa.table(cache["k"])) == put_hash(cache, table)
        assert key_of(table) == key_of(table.slice(0))


@pytest.mark.parametrize("kind", TYPES)
def test_cuts_anywhere_are_no_content(cache: framecache.Cache, kind: str) -> None:
    array = ARRAYS[kind]
    long = [array, array[1:3], array, array[4:]]
    rows = sum(map(len, long))
    wanted = None
    for seed in range(6):
        random = np.random.default_rng(seed)
        chunks = [own(part) if random.integers(2) else part for part in long]
        cuts = sorted(random.integers(0, rows + 1, 4))
        whole = pa.chunked_array(chunks, array.type)
        ends = [0, *cuts, rows]
        table = pa.table({"c": pa.chunked_array(
            [c for a, b in pairwise(ends) for c in whole[int(a) : int(b)].chunks],
            array.type,
        )})  # fmt: skip
        digest = framecache.content_hash(table), put_hash(cache, table), key_of(table)
        assert digest[0] == digest[1]
        assert digest == (wanted or digest)
        wanted = digest


def test_bytes_below_nulls_and_behind_the_rows_are_no_content() -> None:
    values = np.array([1, 77, 3])
    junk = pa.Array.from_buffers(
        pa.int64(), 3, [pa.py_buffer(b"\xfd"), pa.py_buffer(values.tobytes())]
    )
    plain = pa.array([1, None, 3])
    every = pa.Array.from_buffers(
        pa.int64(), 3, [pa.py_buffer(b"\x07"), pa.py_buffer(values.tobytes())]
    )
    texts = pa.Array.from_buffers(
        pa.string(),
        3,
        [
            pa.py_buffer(b"\x05"),
            pa.py_buffer(np.array([0, 1, 5, 6], np.int32).tobytes()),
            pa.py_buffer(b"ajunkb"),
        ],
    )
    masked = pd.arrays.IntegerArray(values, np.array([False, True, False]))
    nullable = pd.array([1, None, 3], "Int64")
    lists = pa.ListArray.from_arrays(
        pa.array([0, 1, 2], pa.int32()), pa.array([1, 9]), mask=pa.array([False, True])
    )
    polars = pl.Series("c", junk), pl.Series("c", [1, None, 3])
    for left, right in [
        (pa.table({"c": junk}), pa.table({"c": plain})),
        (junk, plain),
        (pa.table({"c": every}), pa.table({"c": pa.array([1, 77, 3])})),
        (texts, pa.array(["a", None, "b"])),
        (pa.array([[1], None]), lists),
        (pd.Series(masked), pd.Series(nullable)),
        (pd.DataFrame({"c": masked}), pd.DataFrame({"c": nullable})),
        (pd.Series([1.0, np.nan]), pd.Series([1.0, -np.nan])),
        polars,
        (polars[0].to_frame(), polars[1].to_frame()),
    ]:  # fmt: skip
        assert key_of(left) == key_of(right), left
        assert framecache.content_hash(left) == framecache.content_hash(right), left


def test_codes_of_polars_categories_are_no_content() -> None:
    words = pl.Series("c", ["a", "b", "a"], pl.Categorical)
    later = pl.Series("c", ["z", "b", "a", "b", "a"], pl.Categorical)[2:]
    struct = pl.struct("c")
    for make in (
        lambda series: series,
        pl.Series.to_frame,
        pl.Series.implode,
        lambda series: series.to_frame().select(s=struct),
    ):
        assert key_of(make(words)) == key_of(make(later))
