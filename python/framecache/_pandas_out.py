"""pandas on its way out: arrays over the frame's bytes, dtypes and index as recorded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from . import _numpy, _pandas_meta
from ._errors import ColumnTypeError
from ._frame import Frame, layout_of, refuse_copy
from ._numpy import Data

if TYPE_CHECKING:
    import pandas as pd

_MASKED = {
    **{name: name.lower() for name in ("Int8", "Int16", "Int32", "Int64",
                                       "UInt8", "UInt16", "UInt32", "UInt64")},
    "Float32": "float32", "Float64": "float64", "boolean": "bool",
}  # fmt: skip


class _Reader:
    """Turns a frame's columns into what a DataFrame is made of."""

    def __init__(self, frame: Frame, mode: str, strict: bool) -> None:
        self.frame = frame
        self.layout = layout_of(frame)
        self.meta = _pandas_meta.read(self.layout.metadata)
        self.source = frame._private() if mode == "cow" else frame
        self.copies = mode == "copy"
        self.strict = strict

    def array(self, position: int) -> Any:
        """The column as numpy array or ExtensionArray."""
        data = Data(*self.source._column(position))
        described = self.meta.columns.get(data.name, {})
        extra = self.meta.extra.get(data.name, {})
        array, reason = self._read(position, data, described, extra)
        if reason and self.strict:
            raise refuse_copy(data.name, reason)
        if self.copies and not reason:
            array = array.copy()
        return array

    def _read(
        self, position: int, data: Data, described: dict[str, Any], extra: dict[str, Any]
    ) -> tuple[Any, str | None]:
        recorded = described.get("numpy_type", "")
        if position in self.layout.extensions:
            return self._foreign(position, recorded), "it is of an extension type"
        if data.type == "DICTIONARY":
            return self._categorical(position, data, extra)
        if extra.get("arrow"):
            return self._arrow(position, extra["arrow"])
        if _masked_fits(recorded, data):
            return _masked(recorded, data)
        if data.type == "STRING":
            return self._strings(position, data, recorded, extra)
        if data.type == "TIMESTAMP" and len(data.format) > 4:
            return _zoned(data)
        if data.type == "BOOL" or _numpy.dtype_name(data.format):
            return _numpy.read(data)
        return self._foreign(position, recorded), f"pandas has no {data.format!r}"

    def _pyarrow_array(self, position: int) -> Any:
        """The column as pyarrow's array, over the shared bytes: Arrow never writes."""
        column = self.frame[position]
        try:
            import pyarrow
        except ImportError:
            raise ColumnTypeError(
                f"column {column.name!r}: {column.format!r} needs pyarrow, which is not "
                "installed",
                column.name,
            ) from None
        return pyarrow.array(column)

    def _foreign(self, position: int, recorded: str) -> Any:
        """What pyarrow makes of a type that numpy does not have."""
        import pandas as pd

        arrow = self._pyarrow_array(position)
        import pyarrow

        if recorded and recorded != "object":
            try:
                dtype = pd.api.types.pandas_dtype(recorded)
            except TypeError:
                dtype = None
            if hasattr(dtype, "__from_arrow__"):
                return dtype.__from_arrow__(arrow)
        made = pyarrow.table({"": arrow}).to_pandas().iloc[:, 0]
        return made.to_numpy() if made.dtype == object else made.array

    def _arrow(self, position: int, name: str) -> tuple[Any, str | None]:
        import pandas as pd
        import pyarrow as pa

        arrow = self._pyarrow_array(position)
        cast = arrow.cast(pa.type_for_alias(name))
        array = pd.arrays.ArrowExtensionArray(pa.chunked_array([cast]))
        same = cast.type == arrow.type
        return array, None if same else f"it is kept as {arrow.type}, not {name}"

    def _strings(
        self, position: int, data: Data, recorded: str, extra: dict[str, Any]
    ) -> tuple[Any, str | None]:
        import pandas as pd

        if recorded == "object" and self.meta.ours:
            return _string_objects(data, extra.get("null")), "it holds Python objects"
        dtype = _string_dtype(recorded, extra)
        if dtype.storage == "pyarrow":
            return dtype.__from_arrow__(self._pyarrow_array(position)), None
        texts = _numpy.objects(_numpy.strings(data, dtype.na_value))
        return pd.array(texts, dtype=dtype), "it holds Python strings"

    def _categorical(
        self, position: int, data: Data, extra: dict[str, Any]
    ) -> tuple[Any, str | None]:
        import pandas as pd

        assert data.dictionary is not None
        categories = self._categories(Data(*data.dictionary), extra)
        if categories is None:
            return self._foreign(position, ""), "its dictionary is not plain"
        codes = _numpy.fixed(data)
        assert codes is not None
        codes, reason = _numpy.with_nulls_marked(data, codes)
        ordered = bool(self.layout.flags[position] & 1)
        dtype = pd.CategoricalDtype(categories, ordered)
        array = pd.Categorical.from_codes(codes, dtype=dtype, validate=False)
        return array, reason

    def _categories(self, data: Data, extra: dict[str, Any]) -> pd.Index[Any] | None:
        """The dictionary as an Index; None where pyarrow has to make it."""
        import pandas as pd

        if data.dictionary is not None or _numpy.has_nulls(data):
            return None
        recorded = extra.get("categories", "")
        values: Any
        if data.type == "STRING":
            values = _numpy.objects(_numpy.strings(data))
            if recorded != "object":
                values = pd.array(values, dtype=_string_dtype(recorded, extra))
        elif _masked_fits(recorded, data):
            values, _ = _masked(recorded, data)
        elif data.type == "TIMESTAMP" and len(data.format) > 4:
            values, _ = _zoned(data)
        else:
            values, _ = _numpy.read(data)
        if values is None:
            return None
        index = pd.Index(values, dtype=_object(values), copy=False)
        index = _with_frequency(index, extra.get("freq"))
        return index if index.is_unique else None


def _string_dtype(recorded: str, extra: dict[str, Any]) -> Any:
    import pandas as pd

    missing = pd.NA if recorded.startswith("string") else float("nan")
    storage = extra.get("storage") or ("pyarrow" if _has_pyarrow() else "python")
    return pd.StringDtype(storage, na_value=missing)


def _has_pyarrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _string_objects(data: Data, null: str | None) -> Any:
    import pandas as pd

    missing = {"NaN": float("nan"), "NA": pd.NA}.get(null or "")
    return _numpy.objects(_numpy.strings(data, missing))


def _masked_fits(recorded: str, data: Data) -> bool:
    name = _MASKED.get(recorded)
    return name is not None and (
        data.type == "BOOL" if name == "bool" else _numpy.dtype_name(data.format) == name
    )


def _masked(recorded: str, data: Data) -> tuple[Any, str | None]:
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


def _zoned(data: Data) -> tuple[Any, str | None]:
    import pandas as pd

    stored = _numpy.fixed(data)
    assert stored is not None
    values, reason = _numpy.with_nulls_marked(data, stored)
    unit, zone = values.dtype.name[11:-1], data.format[4:]
    dtype = pd.DatetimeTZDtype(unit, zone)
    return pd.array(values.view("i8"), dtype=dtype, copy=False), reason


def _object(array: Any) -> Any:
    """The dtype to insist on: pandas takes objects that are all str for strings."""
    return object if array.dtype == object else None


# ---- Index and labels ----


def _index(reader: _Reader, name_to_position: dict[str, int]) -> pd.Index[Any] | None:
    """The recorded index; None: the default one."""
    import pandas as pd

    levels = []
    for descriptor in reader.meta.levels:
        if isinstance(descriptor, dict):
            return _range(reader, descriptor)
        position = name_to_position.get(descriptor)
        if position is None:  # not selected
            return None
        described = reader.meta.columns.get(descriptor, {})
        extra = reader.meta.extra.get(descriptor, {})
        array = reader.array(position)
        name = described.get("name")
        level = pd.Index(array, dtype=_object(array), name=name, copy=False)
        levels.append(_with_frequency(level, extra.get("freq")))
    if not levels:
        return None
    if len(levels) == 1:
        return levels[0]
    return pd.MultiIndex.from_arrays(levels)


def _with_frequency(level: Any, freq: str | None) -> Any:
    """The frequency again, where the rows of a slice still have it."""
    if freq is None:
        return level
    with contextlib.suppress(ValueError):
        level.freq = freq
    return level


def _range(reader: _Reader, descriptor: dict[str, Any]) -> pd.Index[Any] | None:
    """The part of the RangeIndex that the frame's rows have."""
    import pandas as pd

    if descriptor.get("kind") != "range":
        return None
    step = descriptor["step"]
    rows, first = reader.frame.rows, reader.frame._first
    whole = range(descriptor["start"], descriptor["stop"], step)
    if first + rows > len(whole):  # other rows than were described
        return None
    start = descriptor["start"] + first * step
    return pd.RangeIndex(start, start + rows * step, step, name=descriptor["name"])


def _labels(reader: _Reader, names: list[str]) -> pd.Index[Any]:
    import pandas as pd

    about, extra = reader.meta.labels, reader.meta.extra.get("", {})
    if about.get("numpy_type") == "int64":
        return _number_labels(names, about, extra)
    dtype = None
    if reader.meta.ours and about.get("numpy_type") == "object":
        dtype = object
    elif "storage" in extra:
        dtype = _string_dtype(about["numpy_type"], extra)
    elif not names:
        dtype = object if about.get("numpy_type") == "object" else None
    return pd.Index(names, dtype=dtype, name=about.get("name"))


def _number_labels(names: list[str], about: Any, extra: dict[str, Any]) -> pd.Index[Any]:
    import pandas as pd

    try:
        numbers = [int(name) for name in names]
    except ValueError:
        return pd.Index(names, name=about.get("name"))
    if "range" in extra and list(range(*extra["range"])) == numbers:
        return pd.RangeIndex(*extra["range"], name=about.get("name"))
    return pd.Index(numbers, dtype="int64", name=about.get("name"))


# ---- The frame, or a column of it ----


def dataframe(frame: Frame, mode: str, strict: bool) -> pd.DataFrame:
    """What `Frame.to_pandas` gives."""
    import pandas as pd

    reader = _Reader(frame, mode, strict)
    names = reader.layout.names
    if not reader.meta.plain:  # columns of several levels and such: pyarrow restores them
        if strict:
            raise refuse_copy(names[0] if names else "", "pyarrow restores its labels")
        return frame.to_arrow().to_pandas()
    named = {name: position for position, name in enumerate(names)}
    index = _index(reader, named)
    hidden = {d for d in reader.meta.levels if isinstance(d, str)}
    if index is None:
        hidden = set()
    shown = [position for position, name in enumerate(names) if name not in hidden]
    arrays = {number: reader.array(position) for number, position in enumerate(shown)}
    if index is None:
        index = pd.RangeIndex(frame.rows)
    for number, array in arrays.items():
        if array.dtype == object:
            arrays[number] = pd.Series(array, index=index, dtype=object, copy=False)
    result = pd.DataFrame(arrays, index=index, copy=False)
    result.columns = _labels(reader, [names[position] for position in shown])
    if reader.meta.attributes:
        result.attrs = dict(reader.meta.attributes)
    return result


def series(frame: Frame, position: int, mode: str) -> pd.Series[Any]:
    """What `Column.to_pandas` gives: the column with the frame's index."""
    import pandas as pd

    reader = _Reader(frame, mode, False)
    names = reader.layout.names
    index = _index(reader, {name: number for number, name in enumerate(names)})
    label = _labels(reader, [names[position]])[0]
    array = reader.array(position)
    return pd.Series(array, index=index, dtype=_object(array), name=label, copy=False)
