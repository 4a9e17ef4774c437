"""AG Grid's filter models as masks: text, number, date and set filters."""

from __future__ import annotations

import datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

from ._filter import as_bools, column, matching, scalar
from ._query import RequestError, bad

if TYPE_CHECKING:
    import numpy as np

    from .._frame import Frame

    Mask = np.ndarray[Any, Any]

_SHORT_TEXT = 1_000
_MAX_CONDITIONS = 20


def mask(frame: Frame, position: int, model: Any) -> Mask:
    """Which rows a column's filter model lets through.

    Raises
    ------
    RequestError
        The model is none of AG Grid's, or does not fit the column.
    """
    import pyarrow as pa

    name = frame.columns[position]
    try:
        return _combined(column(frame, position), model)
    except RequestError as error:
        text = f"filter of column {name!r}: {error.message}"
        raise bad("filter", text) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        text = f"filter of column {name!r}: its type has no such filter"
        raise bad("filter", text) from None


def _combined(array: Any, model: Any) -> Mask:
    import numpy as np

    if not isinstance(model, dict):
        raise bad("filter", "no object")
    conditions = model.get("conditions")
    if conditions is None and "condition1" in model:
        conditions = [model["condition1"], model.get("condition2")]
    if conditions is None:
        return as_bools(_condition(array, model))
    if not isinstance(conditions, list) or not 0 < len(conditions) <= _MAX_CONDITIONS:
        raise bad("filter", f"conditions: 1 to {_MAX_CONDITIONS} of them")
    join = {"AND": np.logical_and, "OR": np.logical_or}.get(model.get("operator", "AND"))
    if join is None:
        raise bad("filter", "the operator is AND or OR")
    if any("conditions" in c or "condition1" in c for c in conditions if type(c) is dict):
        raise bad("filter", "conditions within conditions")
    return reduce(join, [_combined(array, condition) for condition in conditions])


def _condition(array: Any, model: dict[str, Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type) and model.get("type") not in _NULLS:
        by_value = _condition(array.dictionary, model)  # each distinct value once
        return pc.take(pc.fill_null(by_value, False), array.indices)
    kind = model.get("filterType", "text")
    if kind == "set":
        values = model.get("values")
        if not isinstance(values, list):
            raise bad("filter", "a set filter has values")
        return matching(array, values)
    operation = model.get("type")
    if operation in _NULLS:
        return pc.is_null(array) if operation == "blank" else pc.is_valid(array)
    known = {"text": _text, "number": _number, "date": _date}.get(kind)
    if known is None:
        raise bad("filter", "its filterType is none of text, number, date and set")
    found = known(array, str(operation), model)
    if found is None:
        raise bad("filter", f"no operation {str(operation)[:40]!r} for a {kind}")
    return found


_NULLS = ("blank", "notBlank")


def _text(array: Any, operation: str, model: dict[str, Any]) -> Any:
    """Without regard to case, as AG Grid does by itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = model.get("filter")
    if not isinstance(wanted, str) or len(wanted) > _SHORT_TEXT:
        raise bad("filter", f"a text of at most {_SHORT_TEXT} characters")
    if any("\ud800" <= character <= "\udfff" for character in wanted):
        raise bad("filter", "half a surrogate pair is no text")
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = array.cast(pa.string())
    if operation in ("contains", "notContains"):
        found = pc.match_substring(array, wanted, ignore_case=True)
    elif operation == "startsWith":
        found = pc.starts_with(array, wanted, ignore_case=True)
    elif operation == "endsWith":
        found = pc.ends_with(array, wanted, ignore_case=True)
    elif operation in ("equals", "notEqual"):
        found = pc.equal(pc.utf8_lower(array), pa.scalar(wanted.lower(), array.type))
    else:
        return None
    return _not(found) if operation in ("notContains", "notEqual") else found


def _not(mask: Any) -> Any:
    """What is null is not equal to anything."""
    import pyarrow.compute as pc

    return pc.invert(pc.fill_null(mask, False))


def _number(array: Any, operation: str, model: dict[str, Any]) -> Any:
    import pyarrow.compute as pc

    compare = {
        "equals": pc.equal,
        "notEqual": pc.equal,
        "lessThan": pc.less,
        "lessThanOrEqual": pc.less_equal,
        "greaterThan": pc.greater,
        "greaterThanOrEqual": pc.greater_equal,
        "inRange": pc.greater,
    }.get(operation)
    if compare is None:
        return None
    found = compare(array, scalar(model.get("filter"), array.type))
    if operation == "inRange":  # AG Grid's excludes both ends
        below = pc.less(array, scalar(model.get("filterTo"), array.type))
        return pc.and_(found, below)
    return _not(found) if operation == "notEqual" else found


def _date(array: Any, operation: str, model: dict[str, Any]) -> Any:
    """By the day, where the model says no time of day: equal to is within that day."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)):
        raise bad("filter", f"type {array.type} has no dates")
    first, after = _span(model.get("dateFrom"))
    if operation == "inRange":
        after = _span(model.get("dateTo"))[1]

    def bound(moment: datetime.datetime) -> Any:
        zone = getattr(array.type, "tz", None)
        if zone is None or moment.tzinfo is not None:
            return scalar(moment.isoformat(), array.type)
        wall = pa.scalar(moment, pa.timestamp("us"))  # of the zone, as cells show it
        found = pc.assume_timezone(
            wall, zone, ambiguous="earliest", nonexistent="earliest"
        )
        return pc.cast(found, array.type, safe=False)

    if operation in ("equals", "notEqual", "inRange"):
        found = pc.and_(
            pc.greater_equal(array, bound(first)), pc.less(array, bound(after))
        )
        return _not(found) if operation == "notEqual" else found
    if operation in ("lessThan", "before"):
        return pc.less(array, bound(first))
    if operation in ("greaterThan", "after"):
        return pc.greater_equal(array, bound(after))
    return None


def _span(text: Any) -> tuple[datetime.datetime, datetime.datetime]:
    try:
        first = datetime.datetime.fromisoformat(text)
        midnight = first.time() == datetime.time()
        step = datetime.timedelta(days=1) if midnight else datetime.timedelta(seconds=1)
        return first, first + step
    except (TypeError, ValueError, OverflowError):
        raise bad("filter", f"{str(text)[:40]!r} is no date") from None
