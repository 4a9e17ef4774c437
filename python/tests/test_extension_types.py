"""Extension types: the storage that went in comes out, wherever the type stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import framecache
import pyarrow as pa
import pytest


class Strict(pa.ExtensionType):  # type: ignore[misc]
    """An extension type that takes no storage but its own, as most do."""

    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, "framecache.test.strict")

    def __arrow_ext_serialize__(self) -> bytes:
        return str(self.storage_type).encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Strict:
        if str(storage).encode() != serialized:
            raise ValueError(f"{storage} where {serialized.decode()} went in")
        return cls(storage)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    pa.register_extension_type(Strict(pa.string()))
    yield
    pa.unregister_extension_type("framecache.test.strict")


point = pa.struct([("x", pa.float64()), ("y", pa.float64())])
ring = pa.list_(pa.field("vertices", point, nullable=False))
corner = [{"x": 0.0, "y": 1.5}, {"x": 2.0, "y": -1.0}]
tensor = pa.struct([("data", pa.list_(pa.float32())), ("shape", pa.list_(pa.int32(), 2))])

STORAGES: dict[str, pa.Array] = {
    "string": pa.array(["a@x", None, "", "bb@y", "a string of some length"]),
    "large string": pa.array(["a", None, "bcd"], pa.large_string()),
    "string view": pa.array(["a", None, "a string of some length"], pa.string_view()),
    "binary": pa.array([b"a", None, b"\0\0", b"bcd"]),
    "binary view": pa.array([b"a", None, b"bytes of some length"], pa.binary_view()),
    "fixed binary": pa.array([b"abc", None], pa.binary(3)),
    "list": pa.array([[1, 2], None, [], [3]]),
    "large list": pa.array([[1, 2], None, [3]], pa.large_list(pa.int8())),
    "list view": pa.array([[1, 2], None, [3]], pa.list_view(pa.int8())),
    "large list view": pa.array([["a"], None, ["b"]], pa.large_list_view(pa.string())),
    "list of strings": pa.array([["a", None], None, ["b", ""]]),
    "list of string views": pa.array([["a"], None, ["b"]], pa.list_(pa.string_view())),
    "polygon": pa.array([[corner, corner], None, [], [corner]], pa.list_(ring)),
    "tensor": pa.array(
        [{"data": [1, 2, 3, 4], "shape": [2, 2]}, {"data": [5], "shape": [1, 1]}], tensor
    ),
    "map": pa.array([[("k", "v")], None, []], pa.map_(pa.string(), pa.string())),
    "fixed list": pa.array([["a", "b"], None], pa.list_(pa.string(), 2)),
    "dictionary": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "runs": pa.RunEndEncodedArray.from_arrays(
        pa.array([2, 3], pa.int32()), pa.array(["a", "b"])
    ),
    "numbers": pa.array([1, None, 3]),
}


def of(storage: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(Strict(storage.type), storage)


def wrapped(array: pa.Array) -> dict[str, pa.Array]:
    rows = len(array)
    return {
        "alone": array,
        "in lists": pa.LargeListArray.from_arrays([0, 0, rows], array),
        "in structs": pa.StructArray.from_arrays([array], ["inner"]),
    }


def expect(back: pa.Table, table: pa.Table) -> None:
    assert back.schema.equals(table.schema, check_metadata=False)
    assert back.to_pylist() == table.to_pylist()
    back.validate(full=True)


@pytest.mark.parametrize("kind", STORAGES)
def test_the_storage_that_went_in_comes_out(cache: framecache.Cache, kind: str) -> None:
    storage = STORAGES[kind]
    for place, array in wrapped(of(storage)).items():
        table = pa.table({"e": array, "beside": pa.array(["x"] * len(array))})
        frame = cache.put(place, table)
        back = frame.to_arrow()
        assert back.schema.field("e").type == table.schema.field("e").type, place
        assert back.schema.field("beside").type == pa.large_string()
        expect(back.select(["e"]), table.select(["e"]))
        expect(frame.slice(1).select(["e"]).to_arrow(), table.select(["e"]).slice(1))
        batches = pa.RecordBatchReader.from_stream(frame.select(["e"]).batches(1))
        expect(batches.read_all(), table.select(["e"]))
        expect(pa.table({"e": pa.array(frame["e"])}), table.select(["e"]))
        assert pa.schema(frame.schema).field("e").type == array.type
        assert frame.content_hash() == framecache.content_hash(table)
        assert frame.content_hash() == framecache.content_hash(back)
        again = cache.put("again", frame)
        expect(again.to_arrow().select(["e"]), table.select(["e"]))


@pytest.mark.parametrize("kind", STORAGES)
def test_chunks_and_slices_keep_the_storage(cache: framecache.Cache, kind: str) -> None:
    array = of(STORAGES[kind])
    chunks = pa.chunked_array([array, array.slice(1), array.slice(0, 0)])
    table = pa.table({"e": chunks})
    expect(cache.put("k", table).to_arrow(), table)
    nothing = table.slice(0, 0)
    expect(cache.put("k", nothing).to_arrow(), nothing)


@pytest.mark.parametrize("kind", STORAGES)
def test_tables_in_values_keep_the_storage(cache: framecache.Cache, kind: str) -> None:
    table = pa.table({"e": of(STORAGES[kind])})

    @cache.memoize(version="1")
    def both() -> dict[str, Any]:
        return {"table": table, "n": 1}

    for _ in range(2):
        expect(both()["table"], table)
    cache.put_value("k", [table])
    expect(cache.get_value("k")[0], table)


def test_an_extension_of_a_dictionary_comes_to_pandas(cache: framecache.Cache) -> None:
    storage = STORAGES["dictionary"]
    with cache.put("k", pa.table({"e": of(storage)})) as frame:
        assert frame.to_pandas()["e"].astype(object).tolist()[::2] == ["a", "b"]


def tagged(name: str, values: pa.Array, about: str = "") -> pa.Table:
    """A column of an extension type by its metadata, as another library's is."""
    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": about}
    field = pa.field("t", values.type, metadata=metadata)
    return pa.Table.from_arrays([values], schema=pa.schema([field]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("arrow.variable_shape_tensor", "tensor"),
        ("geoarrow.polygon", "polygon"),
        ("geoarrow.wkb", "binary"),
        ("geoarrow.wkt", "string view"),
        ("unheard.of", "list of string views"),
    ],
)
def test_a_name_counts_whether_it_is_registered_or_not(
    cache: framecache.Cache, name: str, kind: str
) -> None:
    table = pa.RecordBatchReader.from_stream(
        tagged(name, STORAGES[kind], "{}")
    ).read_all()
    back = cache.put("k", table).to_arrow()
    assert back.schema.equals(table.schema, check_metadata=True)
    expect(back, table)


def test_a_requested_form_is_given(cache: framecache.Cache) -> None:
    frame = cache.put("k", tagged("unheard.of", STORAGES["string"]))
    wanted = pa.schema([pa.field("t", pa.string_view())])
    reader = pa.RecordBatchReader._import_from_c_capsule(
        frame.__arrow_c_stream__(wanted.__arrow_c_schema__())
    )
    back = reader.read_all()
    assert back.schema.field("t").type == pa.string_view()
    assert back["t"].to_pylist() == STORAGES["string"].to_pylist()


def test_codes_that_would_have_to_widen_are_refused(cache: framecache.Cache) -> None:
    chunks = [
        of(
            pa.DictionaryArray.from_arrays(
                pa.array(range(100), pa.int8()),
                pa.array([str(i + first) for i in range(100)]),
            )
        )
        for first in (0, 100)
    ]
    table = pa.table({"e": pa.chunked_array(chunks)})
    with pytest.raises(ValueError, match=r"'e'.* below an extension name"):
        cache.put("k", table)
