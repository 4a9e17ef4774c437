"""Masks over a frame's columns: equal to, one of, within a range."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import TYPE_CHECKING, Any

from ._query import RequestError, bad, whole

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .._frame import Frame

_MAX_VALUES = 1_000
_MAX_EXPONENT = 1_000  # of a decimal; pyarrow dies of 0e-99999999


def column(frame: Frame, position: int) -> Any:
    """A column as pyarrow's array, over the frame's bytes; runs are spread out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(frame[position])
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def row_numbers(frame: Frame, wanted: list[tuple[int, Any]]) -> np.ndarray[Any, Any]:
    """The rows that meet all conditions, ascending."""
    import numpy as np

    masks = [_checked(frame, position, value) for position, value in wanted]
    return np.flatnonzero(reduce(np.logical_and, masks))


def as_bools(mask: Any) -> np.ndarray[Any, Any]:
    """A mask of pyarrow's as numpy's; null is False."""
    import numpy as np
    import pyarrow.compute as pc

    filled = pc.fill_null(mask, False) if mask.null_count else mask
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _checked(frame: Frame, position: int, wanted: Any) -> np.ndarray[Any, Any]:
    import pyarrow as pa

    name = frame.columns[position]
    try:
        return as_bools(matching(column(frame, position), wanted))
    except RequestError as error:
        raise bad("filter", f"filter of column {name!r}: {error.message}") from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        text = f"filter of column {name!r}: its type cannot be compared with that"
        raise bad("filter", text) from None


def matching(array: pa.Array, wanted: Any) -> pa.Array:
    """A mask: `wanted` is a value, null, a list of values, or ``{"min":, "max":}``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):  # each distinct value once
        if wanted is None:
            return pc.is_null(array)
        return pc.take(matching(array.dictionary, wanted), array.indices)
    if wanted is None:
        return pc.is_null(array)
    if isinstance(wanted, dict):
        return _within(array, wanted)
    if isinstance(wanted, list):
        return _one_of(array, wanted)
    return pc.equal(array, scalar(wanted, array.type))


def _within(array: pa.Array, wanted: dict[str, Any]) -> pa.Array:
    import pyarrow.compute as pc

    bounds = {name: value for name, value in wanted.items() if value is not None}
    if not bounds or set(wanted) - {"min", "max"}:
        raise bad("filter", 'a range is {"min": ..., "max": ...}, or one of the two')
    compare = {"min": pc.greater_equal, "max": pc.less_equal}
    masks = [
        compare[name](array, scalar(value, array.type)) for name, value in bounds.items()
    ]
    return reduce(pc.and_, masks)


def _one_of(array: pa.Array, wanted: list[Any]) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(wanted) > _MAX_VALUES:
        text = f"{len(wanted)} values, at most {_MAX_VALUES}: a range, perhaps"
        raise bad("filter", text)
    known = [scalar(value, array.type).as_py() for value in wanted if value is not None]
    if pa.types.is_integer(array.type):
        known = [int(value) for value in known if _held(value, array.type)]
    mask = pc.is_in(array, value_set=pa.array(known, array.type))
    return pc.or_(mask, pc.is_null(array)) if None in wanted else mask


def _held(value: float, type: pa.DataType) -> bool:
    """Whether a column of integers can hold the number: others are in no row."""
    import pyarrow as pa

    least = -(1 << type.bit_width - 1) if pa.types.is_signed_integer(type) else 0
    return value % 1 == 0 and least <= value < least + (1 << type.bit_width)


def scalar(value: Any, type: pa.DataType) -> pa.Scalar:
    """A value of JSON as a scalar that compares with a column of `type`.

    Times are text as of ISO 8601, or milliseconds since 1970 as in a browser.
    """
    import pyarrow as pa

    converted = _native(value, type)
    wider = _wider(type, converted)
    try:
        if pa.types.is_floating(wider):
            converted = float(converted)
        return pa.scalar(converted, wider)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError):
        raise _mismatch(value, type) from None


def _mismatch(value: Any, type: pa.DataType) -> RequestError:
    text = json.dumps(value, default=str)
    return bad("filter", f"{text[:60]} is no value of type {type}")


def _wider(type: pa.DataType, value: Any) -> pa.DataType:
    """Of integers compared with a fraction or with what they cannot hold: float64."""
    import pyarrow as pa

    if not pa.types.is_integer(type):
        return type
    if isinstance(value, float) or not -(2**63) <= value < 2**63:
        return pa.float64()
    return pa.uint64() if pa.types.is_uint64(type) and value >= 0 else pa.int64()


def _native(value: Any, type: pa.DataType) -> Any:
    import pyarrow as pa

    t = pa.types
    if t.is_boolean(type) and isinstance(value, bool):
        return value
    if t.is_string(type) or t.is_large_string(type) or t.is_string_view(type):
        if isinstance(value, str):
            return value
    elif t.is_integer(type) or t.is_floating(type):
        if whole(value) or isinstance(value, float):
            return value
    elif t.is_decimal(type):
        return _decimal(value, type)
    elif t.is_timestamp(type) or t.is_date(type):
        return _moment(value, type)
    raise _mismatch(value, type)


def _decimal(value: Any, type: pa.DataType) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _mismatch(value, type)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _mismatch(value, type) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(exponent) > _MAX_EXPONENT:
        raise _mismatch(value, type)
    return number


def _moment(value: Any, type: pa.DataType) -> datetime.datetime | datetime.date:
    import pyarrow as pa

    utc = datetime.UTC
    try:
        if isinstance(value, str):
            moment = datetime.datetime.fromisoformat(value)
        elif whole(value) or isinstance(value, float):
            epoch = datetime.datetime(1970, 1, 1, tzinfo=utc)
            moment = epoch + datetime.timedelta(milliseconds=value)
        else:
            raise _mismatch(value, type)
    except (ValueError, OverflowError):
        raise _mismatch(value, type) from None
    if moment.tzinfo is not None:
        moment = moment.astimezone(utc).replace(tzinfo=None)
    return moment.date() if pa.types.is_date(type) else moment
