"""Random nested types, cut and chunked at random, by seed: what comes back is equal."""

import random
import string
from collections.abc import Callable
from typing import Any

import framecache
import pyarrow as pa
import pytest
import samples

Random = random.Random
FLAT: list[tuple[pa.DataType, Callable[[Random], Any]]] = [
    (pa.int8(), lambda r: r.randrange(-128, 128)),
    (pa.uint16(), lambda r: r.randrange(1 << 16)),
    (pa.int64(), lambda r: r.randrange(-(1 << 63), 1 << 63)),
    (pa.float64(), lambda r: r.uniform(-1e9, 1e9)),
    (pa.bool_(), lambda r: r.random() < 0.5),
    (pa.null(), lambda r: None),
    (pa.date32(), lambda r: samples.DAY),
    (pa.timestamp("us", "UTC"), lambda r: samples.INSTANT),
    (pa.string(), lambda r: "".join(r.choices(string.printable, k=r.randrange(30)))),
    (pa.large_string(), lambda r: "é" * r.randrange(9)),
    (pa.string_view(), lambda r: "v" * r.randrange(40)),
    (pa.binary(), lambda r: r.randbytes(r.randrange(20))),
    (pa.binary(5), lambda r: r.randbytes(5)),
    (pa.decimal128(12, 3), lambda r: samples.D(r.randrange(10**9)) / 1000),
    (pa.dictionary(pa.int16(), pa.string()), lambda r: r.choice("abcdef")),
]


def make_type(r: Random, depth: int) -> tuple[pa.DataType, Callable[[Random], Any]]:
    """A type, and a maker of values of it."""
    if depth == 0 or r.random() < 0.3:
        return r.choice(FLAT)
    shape = r.randrange(6)
    inner, make = make_type(r, depth - 1)
    value = nullable(make)
    if shape < 3:
        kind = (pa.list_, pa.large_list, pa.list_view)[shape](inner)
        return kind, lambda r: [value(r) for _ in range(r.randrange(5))]
    if shape == 3:
        size = r.randrange(4)
        return pa.list_(inner, size), lambda r: [value(r) for _ in range(size)]
    if shape == 4:
        kind = pa.map_(pa.string(), inner)
        return kind, lambda r: [(k, value(r)) for k in r.sample("pqrs", r.randrange(4))]
    other, make_other = make_type(r, depth - 1)
    second = nullable(make_other)
    kind = pa.struct([("a", inner), ("b", other)])
    return kind, lambda r: {"a": value(r), "b": second(r)}


def nullable(make: Callable[[Random], Any]) -> Callable[[Random], Any]:
    return lambda r: None if r.random() < 0.2 else make(r)


def make_column(r: Random, rows: int) -> pa.ChunkedArray:
    """`rows` rows in several chunks, each cut out of a longer array."""
    kind, make = make_type(r, 3)
    value = nullable(make) if r.random() < 0.8 else make
    chunks = []
    while rows:
        count = r.randrange(1, rows + 1)
        before, behind = r.randrange(12), r.randrange(3)
        values = [value(r) for _ in range(before + count + behind)]
        chunks.append(pa.array(values, kind).slice(before, count))
        rows -= count
    return pa.chunked_array(chunks, kind)


@pytest.mark.parametrize("seed", range(60))
def test_random_tables_come_back(cache: framecache.Cache, seed: int) -> None:
    r = Random(seed)
    rows = r.choice([0, 1, 7, 8, 9, 63, 64, 65, 500, 3000])
    columns = {f"c{n}": make_column(r, rows) for n in range(r.randrange(1, 5))}
    table = pa.table(columns)
    wanted = table.to_pylist()
    with cache.put("k", table) as frame:
        back = pa.table(frame)
        back.validate(full=True)
        assert back.to_pylist() == wanted
        for field, given in zip(back.schema, table.schema, strict=True):
            assert field.type == samples.stored(given.type)
        first = r.randrange(rows + 1)
        count = r.randrange(rows - first + 1)
        part = pa.table(frame.slice(first, count))
        part.validate(full=True)
        assert part.to_pylist() == wanted[first : first + count]
        batches = pa.RecordBatchReader.from_stream(frame.slice(first).batches(50))
        assert batches.read_all().to_pylist() == wanted[first:]
        asked = pa.RecordBatchReader.from_stream(frame, schema=castable(table.schema))
        assert asked.read_all().to_pylist() == wanted
        with cache.put("again", frame.slice(first, count)) as again:
            assert pa.table(again).to_pylist() == wanted[first : first + count]


def castable(schema: pa.Schema) -> pa.Schema:
    """The schema as given, but list views, which no export makes."""
    fields = []
    for field in schema:
        if "list_view" in str(field.type):
            field = field.with_type(samples.stored(field.type))
        fields.append(field)
    return pa.schema(fields)
