"""One column as pandas has it: an array over the frame's bytes, of the recorded dtype.

Each function gives the array and why it is a copy, or None: it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _numpy, _pandas_meta, _pandas_objects
from ._errors import ColumnTypeError
from ._frame import Frame, Layout, layout_of, refuse_copy
from ._numpy import Data
from ._pandas_labels import as_it_was, infers_str, string_dtype, type_of, unpack

if TYPE_CHECKING:
    import pandas as pd

Extra = dict[str, Any]
Read = tuple[Any, str | None]

_MASKED = {
    **{name: name.lower() for name in ("Int8", "Int16", "Int32", "Int64",
                                       "UInt8", "UInt16", "UInt32", "UInt64")},
    "Float32": "float32", "Float64": "float64", "boolean": "bool",
}  # fmt: skip
_NULLABLE = {stored: name for name, stored in _MASKED.items()}
_OWN = ("period", "interval", "complex")  # that Arrow has no type for


class Plan:
    """What DataFrames of a layout have in common; made once for each."""

    def __init__(self, layout: Layout, pandas: str) -> None:
        self.meta = _pandas_meta.read(layout.metadata)
        self.pandas = pandas  # the version: what has another is made anew
        names, levels = layout.names, self.meta.levels
        self.shown = list(range(len(names)))
        found = [type(level) is str and level in names for level in levels]
        if levels and (all(found) or not self.meta.ours):  # as pyarrow: those there are
            self.shown = [n for n in self.shown if names[n] not in levels]
        self.names = [names[n] for n in self.shown]
        self.labels: Any = None  # the Index of these names, if it can be shared
        self.numbers: Any = None  # of _pandas_numbers.py; False: not for these
        self.dtypes = [_as_it_is(layout, self.meta, n) for n in self.shown]
        self.places = tuple(
            -1 if dtype is None else n
            for n, dtype in zip(self.shown, self.dtypes, strict=True)
        )


def plan_of(layout: Layout) -> Plan:
    """The layout's plan, remembered on it."""
    import pandas as pd

    plan: Plan | None = layout.pandas
    if plan is None or plan.pandas != pd.__version__:
        plan = layout.pandas = Plan(layout, pd.__version__)
    return plan


def _as_it_is(layout: Layout, meta: _pandas_meta.Meta, position: int) -> Any:
    """The dtype of a column whose values are the array, where no row is null; or None."""
    import numpy as np

    name, format = layout.names[position], layout.formats[position]
    stored = _numpy.dtype_name(format)
    recorded = meta.columns.get(name, {}).get("numpy_type") or stored
    time = format[:2] == "ts" and len(format) > 4  # in a zone
    if stored is None or stored != recorded or time or meta.extra.get(name):
        return None
    if _pandas_meta.zone_of(meta, name) is not None:
        return None
    return None if position in layout.extensions else np.dtype(stored)


class Reader:
    """Turns a frame's columns into what a DataFrame is made of."""

    def __init__(
        self, frame: Frame, mode: str, strict: bool, source: Frame | None = None
    ) -> None:
        self.frame = frame
        self.layout = layout_of(frame)
        self.meta = plan_of(self.layout).meta
        if source is None:
            source = frame._private() if mode == "cow" else frame
        self.source = source  # of the bytes
        self.copies = mode == "copy"
        self.strict = strict

    def arrays(
        self,
        plan: Plan,
        flat: bool,
        backend: str | None,
        given: list[Any] | None = None,
    ) -> list[Any]:
        """The columns that are shown; `flat`: numbers with one dimension, and not two.

        `given` is what the source's `_values` gave for the plan's places.
        """
        import numpy as np

        if backend is not None:
            return [self.array(position, backend) for position in plan.shown]
        rows = self.frame.rows
        shape = (rows,) if flat else (1, rows)
        make, copies, made = np.ndarray, self.copies, []
        if given is None:
            given = self.source._values(plan.places)
        for position, dtype, values in zip(plan.shown, plan.dtypes, given, strict=True):
            if values is None:
                made.append(self.array(position))
            else:
                array = make(shape, dtype, values)
                made.append(array.copy() if copies else array)
        return made

    def array(self, position: int, backend: str | None = None) -> Any:
        """The column as numpy array or ExtensionArray."""
        data = Data(*self.source._column(position))
        described = self.meta.columns.get(data.name)
        recorded = described["numpy_type"] if described else ""
        extra = self.meta.extra.get(data.name)
        zone = _pandas_meta.zone_of(self.meta, data.name) if backend is None else None
        read = _in_zone(data, zone) if zone is not None else None
        if read is not None:
            array, reason = read
        elif not extra and backend is None and recorded in _numpy.FORMATS:
            array, reason = self._number(position, data, recorded)
        else:
            array, reason = self._any(position, data, recorded, extra or {}, backend)
        if reason and self.strict:
            raise refuse_copy(data.name, reason)
        if self.copies and not reason:
            array = array.copy()
        return array

    def _number(self, position: int, data: Data, recorded: str) -> Read:
        """The most frequent case: of a dtype of numpy's, as it was put."""
        import numpy as np

        same = data.format == _numpy.FORMATS[recorded] and data.type != "DICTIONARY"
        if not same or position in self.layout.extensions:
            return self._read(position, data, recorded, {})
        if data.validity is None and data.values is not None:
            return np.frombuffer(data.values, dtype=recorded), None
        return _numpy.read(data)

    def _any(
        self,
        position: int,
        data: Data,
        recorded: str,
        extra: Extra,
        backend: str | None,
    ) -> Read:
        own = extra.get("as") in _OWN or extra.get("objects") == _pandas_objects.CODED
        if backend is None or own:
            return self._read(position, data, recorded, extra)
        if backend == "pyarrow":
            return self._arrow(position, extra.get("arrow"))
        return self._nullable(position, data, recorded, extra)

    def _read(self, position: int, data: Data, recorded: str, extra: Extra) -> Read:
        if position in self.layout.extensions:
            return self._foreign(position, recorded), "it is of an extension type"
        if "arrow" in extra:
            return self._arrow(position, extra["arrow"])
        theirs = not self.meta.ours and recorded.endswith("[pyarrow]")
        if theirs and recorded != "string[pyarrow]":  # which is pandas' own
            return self._foreign(position, recorded), "its dtype is pyarrow's"
        if data.type == "DICTIONARY":
            return self._categorical(position, data, extra)
        if recorded == "object" and self.meta.ours:
            return self._objects(position, data, extra)
        if data.type == "STRING":
            return self._strings(position, data, recorded, extra)
        read = _plain(data, recorded, extra)
        if read is None and extra.get("as") == "interval":
            read = _interval(self._pyarrow_array(position), recorded)
        if read is not None:
            return read
        return self._foreign(position, recorded), f"pandas has no {data.format!r}"

    def _nullable(self, position: int, data: Data, recorded: str, extra: Extra) -> Read:
        """As pandas' own dtype_backend="numpy_nullable" has it."""
        import pandas as pd

        if recorded in _MASKED or "arrow" in extra or "objects" in extra:
            return self._read(position, data, recorded, extra)
        name = "bool" if data.type == "BOOL" else _numpy.dtype_name(data.format)
        if name in _NULLABLE and data.type != "DICTIONARY":
            return _masked(_NULLABLE[name], data)
        if data.type == "STRING":
            storage = extra.get("storage") or pd.StringDtype().storage
            return self._strings(position, data, "string", {"storage": storage})
        return self._read(position, data, recorded, extra)

    # ---- What pyarrow makes ----

    def _pyarrow_array(self, position: int, type_: Any = None) -> Any:
        """The column as pyarrow's array, over the shared bytes: Arrow never writes."""
        column = self.frame[position]
        try:
            import pyarrow
        except ImportError:
            raise ColumnTypeError(
                f"column {column.name!r}: {column.format!r} needs pyarrow, which is not "
                "installed: pip install 'framecache[pyarrow]'",
                column.name,
            ) from None
        return pyarrow.array(column, type=type_)

    def valid_intervals(self, position: int, recorded: str) -> Any:
        """The rows of a column of intervals that are not null."""
        arrow = self._pyarrow_array(position)
        read = _interval(arrow.filter(arrow.is_valid()), recorded)
        assert read is not None
        return read[0]

    def _foreign(self, position: int, recorded: str) -> Any:
        """What pyarrow makes of a type that numpy does not have."""
        import pandas as pd

        arrow = self._pyarrow_array(position)
        import pyarrow

        if recorded and recorded != "object":
            try:
                dtype = pd.api.types.pandas_dtype(recorded)
            except (TypeError, NotImplementedError):  # as it has for decimals
                dtype = None
            if hasattr(dtype, "__from_arrow__"):
                return dtype.__from_arrow__(arrow)
        kind = arrow.type
        while isinstance(kind, pyarrow.BaseExtensionType):
            if pyarrow.types.is_dictionary(kind.storage_type):  # pyarrow would crash
                arrow = arrow.storage
            kind = kind.storage_type
        made = pyarrow.table({"": arrow}).to_pandas().iloc[:, 0]
        return made.to_numpy() if made.dtype == "object" else made.array

    def _arrow(self, position: int, recorded: str | None) -> Read:
        import pandas as pd
        import pyarrow as pa

        arrow = self._pyarrow_array(position)
        reason = None
        if recorded is not None:
            wanted = type_of(recorded)
            if wanted != arrow.type:
                reason = f"it is kept as {arrow.type}, not {wanted}"
                arrow = self._pyarrow_array(position, wanted)
        return pd.arrays.ArrowExtensionArray(pa.chunked_array([arrow])), reason

    # ---- Text and objects ----

    def _objects(self, position: int, data: Data, extra: Extra) -> Read:
        if extra.get("objects") == "decimal":
            missing = _pandas_objects.missing(extra.get("null"))
            values = self._pyarrow_array(position).to_pylist()
            array = _numpy.objects([missing if v is None else v for v in values])
        else:
            array = _pandas_objects.decode(data, extra)
        if array is None:
            array = self._foreign(position, "")
        return array, "it holds Python objects"

    def _strings(self, position: int, data: Data, recorded: str, extra: Extra) -> Read:
        import pandas as pd

        if recorded in ("", "object") and not infers_str():  # no table of ours
            return _numpy.objects(_numpy.strings(data)), "it holds Python objects"
        dtype = string_dtype(recorded, extra.get("storage"))
        if dtype.storage.startswith("pyarrow"):
            return dtype.__from_arrow__(self._pyarrow_array(position)), None
        texts = _numpy.objects(_numpy.strings(data, dtype.na_value))
        return pd.array(texts, dtype=dtype), "it holds Python strings"

    # ---- Categories ----

    def _categorical(self, position: int, data: Data, extra: Extra) -> Read:
        import pandas as pd

        assert data.dictionary is not None
        categories = self._categories(position, Data(*data.dictionary), extra)
        if categories is None:
            return self._foreign(position, ""), "its dictionary is not plain"
        codes = _numpy.fixed(data)
        assert codes is not None
        codes, reason = _numpy.with_nulls_marked(data, codes)
        ordered = bool(self.layout.flags[position] & 1)
        dtype = pd.CategoricalDtype(categories, ordered)
        array = pd.Categorical.from_codes(codes, dtype=dtype, validate=False)
        return array, reason

    def _categories(
        self, position: int, data: Data, extra: Extra
    ) -> pd.Index[Any] | None:
        """The dictionary as an Index; None where pyarrow has to make it."""
        import pandas as pd

        recorded, of = extra.get("categories", ""), extra.get("of") or {}
        if _numpy.has_nulls(data) or (data.dictionary is not None and "arrow" not in of):
            return None
        values: Any
        if of.get("as") == "interval" or "arrow" in of or of.get("objects") == "decimal":
            arrow = self._pyarrow_array(position).dictionary
            values = _categories_of_arrow(arrow, recorded, of)
        elif recorded == "object":
            values = _pandas_objects.decode(data, of)
        elif data.type == "STRING":
            values = _numpy.objects(_numpy.strings(data))
            if recorded or infers_str():
                dtype = string_dtype(recorded, of.get("storage"))
                values = pd.array(values, dtype=dtype)
        else:
            read = _plain(data, recorded, of)
            values = read[0] if read is not None else None
        if values is None:
            return None
        index = pd.Index(values, dtype=object_or_none(values), copy=False)
        index = as_it_was(index, extra)
        if "name" in extra:
            index.name = unpack(extra["name"])
        return index if index.is_unique else None


# ---- Without pyarrow ----


def _plain(data: Data, recorded: str, extra: Extra) -> Read | None:
    """Numbers, times and what pandas makes of them; None: something else."""
    if _masked_fits(recorded, data):
        return _masked(recorded, data)
    kind = extra.get("as")
    if kind == "period" and data.type == "INT64":
        return _period(data, recorded)
    if kind == "complex" and data.format == f"w:{(recorded[7:] == '128' and 16) or 8}":
        return _complex(data, recorded)
    if data.type == "TIMESTAMP" and len(data.format) > 4:
        return _zoned(data)
    if data.type == "BOOL" or _numpy.dtype_name(data.format):
        return _numpy.read(data)
    return None


def _masked_fits(recorded: str, data: Data) -> bool:
    name = _MASKED.get(recorded)
    return name is not None and (
        data.type == "BOOL" if name == "bool" else _numpy.dtype_name(data.format) == name
    )


def _masked(recorded: str, data: Data) -> Read:
    """A nullable array: the values as they are, and a mask."""
    import pandas as pd

    mask = _numpy.mask(data)
    if data.type == "BOOL":
        bits = data.values if data.values is not None else b""
        values = _numpy.unpack(bits, data.bit, data.rows)
        return pd.arrays.BooleanArray(values, mask), "its booleans are stored as bits"
    stored = _numpy.fixed(data)
    floating = recorded.startswith("Float")
    kind = pd.arrays.FloatingArray if floating else pd.arrays.IntegerArray
    return kind(stored, mask), "its mask is expanded"


def _zoned(data: Data) -> Read:
    import pandas as pd

    stored = _numpy.fixed(data)
    assert stored is not None
    values, reason = _numpy.with_nulls_marked(data, stored)
    unit, zone = values.dtype.name[11:-1], data.format[4:]
    dtype = pd.DatetimeTZDtype(unit, zone)
    return pd.array(values.view("i8"), dtype=dtype, copy=False), reason


def _in_zone(data: Data, zone: str) -> Read | None:
    """Times of another zone, or of none, as pyarrow gives them: nanoseconds in `zone`."""
    import pandas as pd

    if data.type != "TIMESTAMP" or data.format[4:] == zone:
        return None
    stored = _numpy.fixed(data)
    assert stored is not None
    values, _ = _numpy.with_nulls_marked(data, stored)
    try:
        times = pd.DatetimeIndex(values).as_unit("ns").tz_localize("UTC")
        return times.tz_convert(zone).array, f"it is recorded to be in zone {zone}"
    except (ValueError, LookupError, TypeError, OSError):  # no such zone, or year
        return None


def _period(data: Data, recorded: str) -> Read | None:
    import pandas as pd

    dtype = pd.api.types.pandas_dtype(recorded)
    if not isinstance(dtype, pd.PeriodDtype):
        return None
    stored = _numpy.fixed(data)
    assert stored is not None
    values, reason = _numpy.with_nulls_marked(data, stored, "t")
    return pd.arrays.PeriodArray(values, dtype=dtype), reason


def _complex(data: Data, recorded: str) -> Read:
    import numpy as np

    if data.values is None:
        return np.empty(0, dtype=recorded), None
    return np.frombuffer(data.values, dtype=recorded), None


def _interval(arrow: Any, recorded: str) -> Read | None:
    """Intervals of a struct of left and right."""
    import pandas as pd
    import pyarrow as pa

    dtype = pd.api.types.pandas_dtype(recorded)
    if not pa.types.is_struct(arrow.type) or not isinstance(dtype, pd.IntervalDtype):
        return None
    sides = [pd.Index(side.to_pandas(), dtype=dtype.subtype) for side in arrow.flatten()]
    if isinstance(dtype.subtype, pd.DatetimeTZDtype):  # pyarrow's UTC is another object
        sides = [side.tz_convert(dtype.subtype.tz) for side in sides]
    # pyarrow's sides may lie over pages that cannot be written to
    array = pd.arrays.IntervalArray.from_arrays(*sides, closed=dtype.closed, copy=True)
    return array, "it is made of two arrays"


def _categories_of_arrow(arrow: Any, recorded: str, of: Extra) -> Any:
    import pandas as pd
    import pyarrow as pa

    if of.get("as") == "interval":
        read = _interval(arrow, recorded)
        return None if read is None else read[0]
    if "arrow" in of:
        cast = arrow.cast(type_of(of["arrow"]))
        return pd.arrays.ArrowExtensionArray(pa.chunked_array([cast]))
    return _numpy.objects(arrow.to_pylist())


def object_or_none(array: Any) -> Any:
    """The dtype to insist on: pandas takes objects that are all str for strings."""
    import numpy as np

    return object if type(array) is np.ndarray and array.dtype.kind == "O" else None
