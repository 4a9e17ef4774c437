"""polars: what goes in comes back or is refused by name, and to_polars() never panics."""

from __future__ import annotations

import decimal
from typing import Any

import framecache
import polars as pl
import pyarrow as pa
import pytest

Dec = decimal.Decimal
VALUES = [Dec("1.50"), Dec("-2.25"), None, Dec("3.00"), Dec("-0.01")]
DECIMALS = {32: pa.decimal32(9, 2), 64: pa.decimal64(12, 2)}


def shapes(array: pa.Array) -> dict[str, pa.Array]:
    offsets = pa.array([0, 1, 5], pa.int32())
    words = pa.array(list("abcde"))
    whole = array.drop_null()
    return {
        "alone": array,
        "in lists": pa.ListArray.from_arrays(offsets, array),
        "in large lists": pa.LargeListArray.from_arrays([0, 1, 5], array),
        "in structs": pa.StructArray.from_arrays([array, words], ["d", "w"]),
        "in arrays": pa.FixedSizeListArray.from_arrays(array, 5),
        "in maps": pa.MapArray.from_arrays(offsets, words, array),
        "in dictionaries": pa.DictionaryArray.from_arrays(pa.array([0, 2, 1, 0]), whole),
        "in lists of structs": pa.ListArray.from_arrays(
            offsets, pa.StructArray.from_arrays([array], ["d"])
        ),
    }


def plain(value: Any) -> Any:
    """Maps are lists of pairs in pyarrow, lists of structs or dicts in polars."""
    if not isinstance(value, list):
        return value
    if value and all(isinstance(item, tuple) for item in value):
        return dict(value)
    if value and all(isinstance(item, dict) and "key" in item for item in value):
        return {item["key"]: item["value"] for item in value}
    return [plain(item) for item in value]


@pytest.mark.parametrize("shape", shapes(pa.array(VALUES, DECIMALS[32])))
@pytest.mark.parametrize("bits", DECIMALS)
def test_small_decimals_are_read_right_wherever_they_stand(
    cache: framecache.Cache, bits: int, shape: str
) -> None:
    array = shapes(pa.array(VALUES, DECIMALS[bits]))[shape]
    table = pa.table({"x": array, "n": range(len(array))})
    with cache.put("k", table) as frame:
        for part, wanted in ((frame, array), (frame.slice(1), array[1:])):
            expected = plain(wanted.to_pylist())
            for made in (
                part.to_polars()["x"],
                pl.DataFrame(part)["x"],
                pl.DataFrame(part.batches(1))["x"],
                pl.Series(part["x"]),
                part["x"].to_polars(),
            ):
                assert plain(made.to_list()) == expected
        assert frame.to_arrow()["x"].type == cache["k"].to_arrow()["x"].type
        if shape == "alone":
            assert pa.table(frame)["x"].type == array.type


def test_decimals_are_cast_to_more_bits_when_asked(cache: framecache.Cache) -> None:
    array = pa.array(VALUES * 20, DECIMALS[32])
    with cache.put("k", pa.table({"x": array})) as frame:
        for kind in (pa.decimal64(9, 2), pa.decimal128(9, 2), pa.decimal256(9, 2)):
            wanted = pa.schema([("x", kind)])
            for first in (0, 1, 64, 70):
                part = frame.slice(first)
                stream = part.__arrow_c_stream__(wanted.__arrow_c_schema__())
                back = pa.RecordBatchReader._import_from_c_capsule(stream).read_all()
                back.validate(full=True)
                assert back["x"].to_pylist() == array[first:].to_pylist()
        for kind in (pa.decimal128(10, 2), pa.decimal128(9, 3), pa.int64()):
            wanted = pa.schema([("x", kind)])
            with pytest.raises(TypeError, match="decimals to more bits"):
                frame.__arrow_c_stream__(wanted.__arrow_c_schema__())


REFUSED = {
    "Object": pl.Series("x", [object(), None], dtype=pl.Object),
    "Int128": pl.Series("x", [1, None], pl.Int128),
    "list of Int128": pl.Series("x", [[1], None], pl.List(pl.Int128)),
    "struct of Int128": pl.Series("x", [{"a": 1}], pl.Struct({"a": pl.Int128})),
    "array of none": pl.Series("x", [[]], pl.Array(pl.Int8, 0)),
}
if hasattr(pl, "Extension"):
    REFUSED["extension of Int128"] = pl.Series("x", [1, None], pl.Int128).ext.to(
        pl.Extension("framecache.test.wide", pl.Int128, None)
    )
if hasattr(pl, "UInt128"):
    REFUSED["UInt128"] = pl.Series("x", [1, None], pl.UInt128)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_could_not_come_back_is_refused_by_name(
    cache: framecache.Cache, kind: str
) -> None:
    series = REFUSED[kind]
    table = series.to_frame().with_columns(n=1)
    for value in (series, table):
        with pytest.raises(framecache.ColumnTypeError, match=r"column 'x' .*dtype") as e:
            cache.put("k", value)
        assert e.value.column == "x"
        with pytest.raises(TypeError, match="column 'x'"):
            cache.put_value("k", {"a": [value]})
    assert "k" not in cache
    if kind != "Object":
        with pytest.raises(framecache.ColumnTypeError):
            cache.put("k", table.lazy())


class Tagged(pa.ExtensionType):  # type: ignore[misc]
    def __init__(self, storage: pa.DataType) -> None:
        super().__init__(storage, "framecache.test.tagged")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: pa.DataType, serialized: bytes) -> Tagged:
        return cls(storage)


def extension(storage: pa.Array) -> pa.Array:
    return pa.ExtensionArray.from_storage(Tagged(storage.type), storage)


STORAGES = {
    "int": pa.array([1, 2, None]),
    "string": pa.array(["a", "b", None]),
    "uuid": pa.array([b"a" * 16, b"b" * 16, None], pa.binary(16)),
    "list": pa.array([[1], [], None]),
    "struct": pa.array([{"a": 1}, {"a": None}, None]),
    "list view": pa.array([[1], [], None], pa.list_view(pa.int8())),
    "large list view": pa.array([[1], [], None], pa.large_list_view(pa.int8())),
    "decimal": pa.array([Dec("1.5"), Dec("2.5"), None], pa.decimal32(5, 1)),
}


@pytest.mark.parametrize("kind", STORAGES)
def test_dictionaries_of_extension_types_come_as_their_values(
    cache: framecache.Cache, kind: str
) -> None:
    storage = STORAGES[kind]
    values = extension(storage)
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), values)
    wanted = storage.take(pa.array([0, 1, None, 0])).to_pylist()
    for array, rows in [
        (coded, wanted),
        (values, storage.to_pylist()),
        (pa.ListArray.from_arrays(pa.array([0, 4], pa.int32()), coded), [wanted]),
        (pa.StructArray.from_arrays([coded], ["a"]), [{"a": row} for row in wanted]),
    ]:
        with cache.put("k", pa.table({"x": array, "n": range(len(array))})) as frame:
            assert frame.to_polars()["x"].to_list() == rows
            assert frame["x"].to_polars().to_list() == rows
            assert frame.to_polars()["n"].to_list() == list(range(len(array)))


READ = {
    "runs": pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None]),
    "dictionaries of dictionaries": pa.DictionaryArray.from_arrays(
        [0, 1, 0], pa.array(["a", None]).dictionary_encode()
    ),
}
UNREAD = {
    "unions": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]),
    "intervals": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "decimals of 256 bits": pa.array([Dec(1)], pa.decimal256(50, 0)),
    "fixed lists of none": pa.array([[]], pa.list_(pa.int8(), 0)),
    "a scale below zero": pa.array([Dec(100)], pa.decimal128(5, -2)),
}


@pytest.mark.parametrize("kind", READ)
def test_what_only_pyarrow_can_unfold_comes_by_pyarrow(
    cache: framecache.Cache, kind: str
) -> None:
    array = READ[kind]
    with cache.put("k", pa.table({"x": array, "n": range(len(array))})) as frame:
        assert frame.to_polars()["x"].to_list() == array.to_pylist()
        assert frame["x"].to_polars().to_list() == array.to_pylist()


@pytest.mark.parametrize("kind", UNREAD)
def test_to_polars_raises_for_a_column_and_never_panics(
    cache: framecache.Cache, kind: str
) -> None:
    array = UNREAD[kind]
    table = pa.table({"n": range(len(array)), "x": array})
    with cache.put("k", table) as frame:
        for call in (frame.to_polars, frame["x"].to_polars):
            with pytest.raises(framecache.ColumnTypeError, match="'x'") as e:
                call()
            assert e.value.column == "x"
        assert frame.select(["n"]).to_polars()["n"].to_list() == list(range(len(array)))
