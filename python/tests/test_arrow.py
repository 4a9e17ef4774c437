"""Every Arrow type in and out, by pyarrow; the C data interface and its capsules."""

import ctypes
import gc

import framecache
import pyarrow as pa
import pytest
import samples
from versions import PYARROW_20

ARRAYS = samples.arrays()
TYPES = list(ARRAYS)


def check(cache: framecache.Cache, table: pa.Table) -> pa.Table:
    """Puts it; what comes back must be of the stored types, valid and equal."""
    with cache.put("k", table) as frame:
        back = pa.table(frame)
    back.validate(full=True)
    fields = [f.with_type(samples.stored(f.type)) for f in table.schema]
    assert back.schema.equals(
        pa.schema(fields, table.schema.metadata), check_metadata=True
    )
    assert back.num_rows == table.num_rows
    for column, wanted in zip(back.columns, table.columns, strict=True):
        assert column.num_chunks <= 1
        assert column.to_pylist() == wanted.to_pylist()
    return back


@pytest.mark.parametrize("kind", TYPES)
def test_type_comes_back_as_stored(cache: framecache.Cache, kind: str) -> None:
    check(cache, pa.table({"c": ARRAYS[kind]}))


@pytest.mark.parametrize("kind", TYPES)
def test_sliced_input_comes_back(cache: framecache.Cache, kind: str) -> None:
    for offset, length in ((1, 3), (3, 2), (4, 1), (2, 0)):
        check(cache, pa.table({"c": ARRAYS[kind].slice(offset, length)}))


@pytest.mark.parametrize("kind", TYPES)
def test_chunks_become_one(cache: framecache.Cache, kind: str) -> None:
    array = ARRAYS[kind]
    chunks = [array, array.slice(1, 3), array.slice(0, 0), array.slice(4)]
    check(cache, pa.table({"c": pa.chunked_array(chunks)}))


@pytest.mark.parametrize("kind", TYPES)
def test_many_rows_come_back(cache: framecache.Cache, kind: str) -> None:
    if kind == "union sparse" and not PYARROW_20:
        pytest.skip("pyarrow 19 gives other values of joined sparse unions")
    chunk = pa.concat_arrays([ARRAYS[kind]] * 50) if kind != "run end" else ARRAYS[kind]
    check(cache, pa.table({"c": pa.chunked_array([chunk.slice(3)] * 40)}))


@pytest.mark.parametrize("kind", TYPES)
def test_slice_of_frame_equals_slice_of_table(cache: framecache.Cache, kind: str) -> None:
    table = pa.table({"c": ARRAYS[kind], "n": list(range(5))})
    with cache.put("k", table) as frame:
        for offset, length in ((0, 5), (1, 3), (3, 2), (4, 1), (5, 0)):
            part = pa.table(frame.slice(offset, length))
            part.validate(full=True)
            assert part.to_pylist() == table.slice(offset, length).to_pylist()
            column = pa.array(frame.slice(1).slice(offset)["c"])
            column.validate(full=True)
            assert column.to_pylist() == ARRAYS[kind].slice(1).slice(offset).to_pylist()


@pytest.mark.parametrize("kind", TYPES)
def test_empty_table_keeps_types(cache: framecache.Cache, kind: str) -> None:
    check(cache, pa.table({"c": ARRAYS[kind].slice(0, 0)}))
    check(cache, pa.table({"c": pa.chunked_array([], ARRAYS[kind].type)}))


def test_all_types_at_once_with_metadata(cache: framecache.Cache) -> None:
    fields = [
        pa.field(kind, array.type, metadata={"note": kind, "n": str(number)})
        for number, (kind, array) in enumerate(ARRAYS.items())
    ]
    schema = pa.schema(fields, {"whole": "table", "empty": ""})
    check(cache, pa.table(list(ARRAYS.values()), schema=schema))


def test_not_nullable_fields_stay_so(cache: framecache.Cache) -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
    check(cache, pa.table({"a": [1, 2]}, schema=schema))


def test_no_columns_with_rows(cache: framecache.Cache) -> None:
    struct = pa.array([{}] * 7, pa.struct([]))
    with cache.put("k", struct) as frame:
        assert frame.shape == (7, 0)
        assert pa.array(frame).to_pylist() == [{}] * 7


def test_array_that_is_no_struct_becomes_a_column(cache: framecache.Cache) -> None:
    with cache.put("k", pa.array([1, None, 3])) as frame:
        assert frame.shape == (3, 1)
        assert pa.table(frame).column(0).to_pylist() == [1, None, 3]


def test_dictionaries_that_differ_by_chunk(cache: framecache.Cache) -> None:
    chunks = [
        pa.array(["a", "b", None]).dictionary_encode(),
        pa.array(["c", "a"]).dictionary_encode(),
    ]
    check(cache, pa.table({"c": pa.chunked_array(chunks)}))


def test_record_batch_reader_is_read_to_its_end(cache: framecache.Cache) -> None:
    batches = [pa.record_batch({"a": [n, n + 1]}) for n in range(0, 10, 2)]
    reader = pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches))
    with cache.put("k", reader) as frame:
        assert pa.table(frame)["a"].to_pylist() == list(range(10))


def test_frame_is_itself_a_table_to_put(cache: framecache.Cache) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    with cache.put("k", table) as frame, cache.put("k2", frame.slice(1)) as again:
        assert pa.table(again).to_pylist() == table.slice(1).to_pylist()


def test_array_export_is_one_struct(cache: framecache.Cache) -> None:
    with cache.put("k", pa.table({"a": [1, 2], "b": ["x", None]})) as frame:
        batch = pa.record_batch(frame)
        assert batch.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_batches_cut_the_rows(cache: framecache.Cache) -> None:
    with cache.put("k", pa.table({"a": list(range(10))})) as frame:
        reader = pa.RecordBatchReader.from_stream(frame.batches(4))
        assert [batch.num_rows for batch in reader] == [4, 4, 2]
        with pytest.raises(ValueError, match="batches of 0 rows"):
            frame.batches(0)


def test_requested_schema_casts_back(cache: framecache.Cache) -> None:
    table = pa.table({"s": ["a", None], "l": [[1], None], "i": [1, 2]})
    with cache.put("k", table) as frame:
        assert pa.table(frame).schema != table.schema
        for make in (frame.__arrow_c_stream__, frame.batches(1).__arrow_c_stream__):
            stream = make(table.schema.__arrow_c_schema__())
            read = pa.RecordBatchReader._import_from_c_capsule(stream).read_all()
            assert read.equals(table)
        capsules = frame.__arrow_c_array__(table.schema.__arrow_c_schema__())
        assert pa.RecordBatch._import_from_c_capsule(*capsules).to_pylist() == (
            table.to_pylist()
        )
        strings = pa.array(frame["s"], type=pa.string())
        assert strings.type == pa.string() and strings.to_pylist() == ["a", None]


def test_requested_schema_that_cannot_be_met_names_the_column(
    cache: framecache.Cache,
) -> None:
    wanted = pa.schema([("number", pa.list_(pa.int64()))])
    with (
        cache.put("k", pa.table({"number": [1, 2]})) as frame,
        pytest.raises(framecache.ColumnTypeError, match="number") as caught,
    ):
        frame.__arrow_c_stream__(wanted.__arrow_c_schema__())
    assert caught.value.column == "number"


def test_schema_goes_to_pyarrow(cache: framecache.Cache) -> None:
    table = pa.table({"a": [1], "b": [1.5]}).replace_schema_metadata({"x": "y"})
    with cache.put("k", table) as frame:
        schema = frame.schema
        assert pa.schema(schema).equals(table.schema, check_metadata=True)
        assert schema.names == ["a", "b"] and schema.formats == ["l", "g"]
        assert schema.metadata == {b"x": b"y"} and len(schema) == 2
        assert "a: l" in repr(schema)
        del schema


# ---- Capsules ----


def test_unused_capsules_release_what_they_hold(cache: framecache.Cache) -> None:
    frame = cache.put("k", pa.table({"a": [1, 2]}))
    capsules = [
        frame.__arrow_c_schema__(),
        *frame.__arrow_c_array__(),
        frame.__arrow_c_stream__(),
        frame["a"].__arrow_c_schema__(),
        *frame["a"].__arrow_c_array__(),
    ]
    frame.release()
    del frame
    gc.collect()
    assert [info["leased"] for info in cache.infos()] == [True]
    del capsules
    gc.collect()
    assert [info["leased"] for info in cache.infos()] == [False]


def test_used_capsule_is_refused(cache: framecache.Cache) -> None:
    class Once:
        def __init__(self) -> None:
            self.capsule = pa.table({"a": [1]}).__arrow_c_stream__()

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.capsule

    once = Once()
    cache.put("k", once).release()
    with pytest.raises(ValueError, match="used already"):
        cache.put("k", once)


def test_capsule_of_another_kind_is_refused(cache: framecache.Cache) -> None:
    class Wrong:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.schema([]).__arrow_c_schema__()

    class NoCapsule:
        def __arrow_c_array__(self, requested_schema: object = None) -> object:
            return 1, 2

    with pytest.raises(TypeError, match="arrow_array_stream"):
        cache.put("k", Wrong())
    with pytest.raises(TypeError, match="arrow_schema"):
        cache.put("k", NoCapsule())
    with (
        cache.put("k", pa.table({"a": [1]})) as frame,
        pytest.raises(TypeError, match="arrow_schema"),
    ):
        frame.__arrow_c_stream__("schema")


def test_producer_that_fails_midway_leaves_nothing(cache: framecache.Cache) -> None:
    schema = pa.schema([("a", pa.int64())])

    def batches():
        yield pa.record_batch({"a": [1, 2]}, schema)
        raise RuntimeError("the database went away")

    with pytest.raises(framecache.Error, match="the database went away"):
        cache.put("k", pa.RecordBatchReader.from_batches(schema, batches()))
    assert "k" not in cache


def test_object_whose_dunder_raises(cache: framecache.Cache) -> None:
    class Bad:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise KeyError("no stream today")

    with pytest.raises(KeyError, match="no stream today"):
        cache.put("k", Bad())


class _Schema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p), ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p), ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64), ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p), ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )  # fmt: skip


class _Array(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64), ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64), ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64), ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p), ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p), ("private_data", ctypes.c_void_p),
    )  # fmt: skip


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)


class _Raw:
    """A producer whose structs can be wrong in any way."""

    def __init__(self, format: bytes | None, n_buffers: int, length: int) -> None:
        release = ctypes.cast(_release, ctypes.c_void_p)
        self.values = (ctypes.c_int64 * 4)(1, 2, 3, 4)
        self.buffers = (ctypes.c_void_p * 3)(None, ctypes.addressof(self.values), None)
        self.schema = _Schema(format=format, name=b"bad", flags=2, release=release)
        self.array = _Array(
            length=length, n_buffers=n_buffers, release=release,
            buffers=ctypes.cast(self.buffers, ctypes.c_void_p),
        )  # fmt: skip

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return (
            _new_capsule(ctypes.addressof(self.schema), b"arrow_schema", None),
            _new_capsule(ctypes.addressof(self.array), b"arrow_array", None),
        )


def test_well_formed_raw_array_goes_in(cache: framecache.Cache) -> None:
    with cache.put("k", _Raw(b"l", 2, 4)) as frame:
        assert pa.table(frame).column(0).to_pylist() == [1, 2, 3, 4]


@pytest.mark.parametrize(("format", "width"), [(b"tiM", 4), (b"tiD", 8)])
def test_intervals_that_pyarrow_cannot_make(
    cache: framecache.Cache, format: bytes, width: int
) -> None:
    raw = _Raw(format, 2, 4)
    with cache.put("k", raw) as frame:
        assert frame.schema.formats == [format.decode()]
        assert bytes(frame._column(0)[7]) == bytes(raw.values)[: 4 * width]


@pytest.mark.parametrize(
    ("format", "n_buffers", "length"),
    [(b"q?", 2, 4), (None, 2, 4), (b"", 2, 4), (b"ts", 2, 4), (b"l", 1, 4), (b"l", 3, 4),
     (b"l", 2, -1), (b"l", 2, 2**62), (b"+s", 1, 4), (b"+w:x", 1, 4), (b"d:400,2", 2, 4)],
)  # fmt: skip
def test_malformed_struct_is_an_error(
    cache: framecache.Cache, format: bytes | None, n_buffers: int, length: int
) -> None:
    if (format, n_buffers, length) == (b"+s", 1, 4):
        raw = _Raw(format, 2, length)  # a struct has one buffer
    else:
        raw = _Raw(format, n_buffers, length)
    with pytest.raises(framecache.Error) as caught:
        cache.put("k", raw)
    assert caught.value.code in ("FC_E_INVALID", "FC_E_TYPE")
    assert "k" not in cache


def test_wide_table(cache: framecache.Cache) -> None:
    count = 5_000
    table = pa.table({f"c{n}": [n] for n in range(count)})
    with cache.put("k", table) as frame:
        assert len(frame.columns) == count
        assert frame["c4999"].to_numpy()[0] == 4999
        assert pa.table(frame).equals(table)
