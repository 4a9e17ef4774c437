"""The types that a browser reads: what Arrow's JavaScript cannot, is cast here.

Tried with apache-arrow 21.2: it knows no run-ends and no list views, loses the sign of
decimals of 64 bits and the value of those of 256, fails on dictionaries with 64-bit
indices, and gives half floats as raw bits. 64-bit offsets it reads, but slowly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._query import bad

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT_DIGITS = 15  # decimals up to here are the same number as a float64


def readable(type: pa.DataType) -> pa.DataType:
    """The type that a column of `type` has in the browser; itself if that can be read."""
    import pyarrow as pa

    t = pa.types
    if isinstance(type, pa.BaseExtensionType):
        return readable(type.storage_type)
    if t.is_decimal(type):
        return pa.float64() if type.precision <= _EXACT_DIGITS else pa.string()
    if t.is_large_string(type) or t.is_string_view(type):
        return pa.string()
    if t.is_large_binary(type) or t.is_binary_view(type):
        return pa.binary()
    if t.is_float16(type):
        return pa.float32()
    if t.is_run_end_encoded(type):
        return readable(type.value_type)
    if t.is_dictionary(type):
        index = pa.int32() if type.index_type.bit_width == 64 else type.index_type
        return pa.dictionary(index, readable(type.value_type), type.ordered)
    return _nested(type)


def _nested(type: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    t = pa.types
    lists = (t.is_list, t.is_large_list, t.is_list_view, t.is_large_list_view)
    if any(check(type) for check in lists):
        return pa.list_(_field(type.value_field))
    if t.is_fixed_size_list(type):
        return pa.list_(_field(type.value_field), type.list_size)
    if t.is_struct(type):
        return pa.struct([_field(type.field(i)) for i in range(type.num_fields)])
    if t.is_map(type):
        key, item = _field(type.key_field), _field(type.item_field)
        return pa.map_(key, item, type.keys_sorted)
    return type


def _field(field: pa.Field) -> pa.Field:
    return field.with_type(readable(field.type))


def schema(given: pa.Schema) -> pa.Schema:
    """The schema of an answer; what a library notes on the table stays here."""
    import pyarrow as pa

    return pa.schema([_field(field) for field in given])


def batch(given: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """A batch cast to `wanted`; columns that have their type already are not copied.

    Raises
    ------
    RequestError
        A column's type cannot be cast: run-ends within a list, say.
    """
    import pyarrow as pa

    columns = [
        _cast(column, field) for column, field in zip(given.columns, wanted, strict=True)
    ]
    return pa.record_batch(columns, schema=wanted)


def _cast(array: Any, field: pa.Field) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    original = array.type
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if array.type == field.type:
        return array
    try:
        return array.cast(field.type)
    except pa.ArrowInvalid:  # its offsets are beyond 32 bits: the rows are not
        return _moved(array).cast(field.type)
    except pa.ArrowNotImplementedError:
        raise bad(
            "column",
            f"column {field.name!r} of type {original} cannot be read in a browser: "
            "leave it out of columns",
        ) from None


def _moved(array: Any) -> Any:
    """The same rows in memory of their own, with offsets from 0."""
    import numpy as np

    return array.take(np.arange(len(array)))
