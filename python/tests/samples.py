"""A pyarrow table for every type of the columnar format, and what it is stored as."""

import datetime
import decimal
import uuid
from typing import Any

import numpy as np
import pyarrow as pa

DAY = datetime.date(2024, 2, 29)
NOON = datetime.time(12, 30, 15)
INSTANT = datetime.datetime(2024, 2, 29, 12, 30, 15)
SPAN = datetime.timedelta(days=3, seconds=7)
MONTHS = pa.MonthDayNano([3, -4, 5_000])
D = decimal.Decimal
H = np.float16  # pyarrow took no plain numbers for it once


def _union(mode: str) -> pa.Array:
    ids = pa.array([0, 1, 0, 1, 1], pa.int8())
    if mode == "sparse":
        children = [pa.array([1, 2, None, 4, 5]), pa.array(["a", "b", "c", None, "e"])]
        return pa.UnionArray.from_sparse(ids, children)
    children = [pa.array([1, None]), pa.array(["a", "b", None])]
    offsets = pa.array([0, 0, 1, 1, 2], pa.int32())
    return pa.UnionArray.from_dense(ids, offsets, children)


def arrays() -> dict[str, pa.Array]:
    """Five rows of each type, with nulls where the type has them."""
    typed: list[tuple[list[Any], pa.DataType]] = [
        ([None] * 5, pa.null()),
        ([True, None, False, True, True], pa.bool_()),
        ([H(1.5), None, H(-0.0), H("inf"), H(2.0)], pa.float16()),
        ([1.5, None, -0.0, float("inf"), 2.0], pa.float32()),
        ([1.5, None, -0.0, float("inf"), 2.0], pa.float64()),
        ([D("1.25"), None, D("-3.50"), D("0"), D("99.99")], pa.decimal32(7, 2)),
        ([D("1.25"), None, D("-3.50"), D("0"), D("99.99")], pa.decimal64(12, 2)),
        ([D("1.25"), None, D("-3.50"), D("0"), D("99.99")], pa.decimal128(20, 2)),
        ([D("1.25"), None, D("-3.50"), D("0"), D("99.99")], pa.decimal256(50, 2)),
        ([DAY, None, DAY, DAY, None], pa.date32()),
        ([DAY, None, DAY, DAY, None], pa.date64()),
        ([MONTHS, None, MONTHS, MONTHS, None], pa.month_day_nano_interval()),
        ([b"abc", None, b"", b"\xff\0", b"z" * 40], pa.binary()),
        ([b"abc", None, b"", b"\xff\0", b"z" * 40], pa.large_binary()),
        ([b"abc", None, b"", b"\xff\0", b"z" * 40], pa.binary_view()),
        ([b"abc", None, b"xyz", b"\xff\0!", b"zzz"], pa.binary(3)),
        (["abc", None, "", "é", "z" * 40], pa.string()),
        (["abc", None, "", "é", "z" * 40], pa.large_string()),
        (["abc", None, "", "é", "z" * 40], pa.string_view()),
        ([[1, 2], None, [], [None, 4], [5]], pa.list_(pa.int32())),
        ([[1, 2], None, [], [None, 4], [5]], pa.large_list(pa.int32())),
        ([[1, 2], None, [], [None, 4], [5]], pa.list_view(pa.int32())),
        ([[1, 2], None, [], [None, 4], [5]], pa.large_list_view(pa.int32())),
        ([[1, 2], None, [3, 4], [None, 6], [7, 8]], pa.list_(pa.int32(), 2)),
        (
            [["a", None], None, [], ["bc"], ["d", ""]],
            pa.list_(pa.field("word", pa.string(), nullable=False)),
        ),
        (
            [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 3, "b": None}, {}],
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ),
        ([[("k", 1), ("l", None)], None, [], [("m", 3)], [("n", 4)]],
         pa.map_(pa.string(), pa.int32())),
        ([["a"], ["b", None], None, [], ["a"]],
         pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        ([[{"x": [1.5]}], None, [], [None, {"x": None}], [{"x": []}]],
         pa.list_(pa.struct([("x", pa.list_(pa.float64()))]))),
        (["a", None, "b", "a", "c"], pa.dictionary(pa.int32(), pa.string())),
        ([10, None, 20, 10, 30], pa.dictionary(pa.uint16(), pa.int64(), ordered=True)),
    ]  # fmt: skip
    for bits in (8, 16, 32, 64):
        for prefix in ("", "u"):
            kind = pa.type_for_alias(f"{prefix}int{bits}")
            typed.append(([1, None, 0, 2 ** (bits - 1) - 1, 5], kind))
    for unit in ("s", "ms", "us", "ns"):
        typed.append(([INSTANT, None, INSTANT, None, INSTANT], pa.timestamp(unit)))
        typed.append(([INSTANT, None] * 2 + [None], pa.timestamp(unit, "Europe/Paris")))
        typed.append(([SPAN, None, SPAN, -SPAN, SPAN], pa.duration(unit)))
    typed += [([NOON, None, NOON, NOON, None], pa.time32(unit)) for unit in ("s", "ms")]
    typed += [([NOON, None, NOON, NOON, None], pa.time64(unit)) for unit in ("us", "ns")]
    made = {str(kind): pa.array(values, kind) for values, kind in typed}
    made["union sparse"] = _union("sparse")
    made["union dense"] = _union("dense")
    made["run end"] = pa.RunEndEncodedArray.from_arrays([2, 3, 5], ["a", None, "b"])
    made["extension uuid"] = pa.array(
        [uuid.UUID(int=n).bytes if n else None for n in range(5)], pa.uuid()
    )
    made["extension json"] = pa.array(['{"a": 1}', None, "[]", "1", "2"], pa.json_())
    return made


def stored(kind: pa.DataType) -> pa.DataType:
    """The type out for a type in: the table of docs/format.md."""
    wide = {
        pa.string(): pa.large_string(), pa.string_view(): pa.large_string(),
        pa.binary(): pa.large_binary(), pa.binary_view(): pa.large_binary(),
    }  # fmt: skip
    types = pa.types
    if kind in wide:
        return wide[kind]
    if (
        types.is_list(kind) or types.is_large_list(kind)
        or types.is_list_view(kind) or types.is_large_list_view(kind)
    ):  # fmt: skip
        return pa.large_list(_field(kind.value_field))
    if types.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field), kind.list_size)
    if types.is_struct(kind):
        return pa.struct([_field(kind.field(i)) for i in range(kind.num_fields)])
    if types.is_map(kind):
        return pa.map_(_field(kind.key_field), _field(kind.item_field), kind.keys_sorted)
    if types.is_union(kind):
        fields = [_field(kind.field(i)) for i in range(kind.num_fields)]
        return pa.union(fields, kind.mode, kind.type_codes)
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, stored(kind.value_type), kind.ordered)
    if types.is_run_end_encoded(kind):
        return pa.run_end_encoded(kind.run_end_type, stored(kind.value_type))
    return kind


def _field(field: pa.Field) -> pa.Field:
    return field.with_type(stored(field.type))
