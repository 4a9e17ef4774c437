"""pandas on its way in: a DataFrame, Series or Index as columns and what to remember."""

from __future__ import annotations

import contextlib
import weakref
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, _pandas_meta
from ._errors import ColumnTypeError
from ._pandas_encode import (
    Encoded,
    Scan,
    encode,
    encode_plain,
    find_missing,
    is_marked,
    plain_of,
)
from ._pandas_labels import frequency_of, levels_of, pack, pack_index
from ._pandas_levels import about_level, missing_level
from ._pandas_objects import Column, refuse
from ._values_in import Unstorable, encode_alone

if TYPE_CHECKING:
    import pandas as pd


class Table(NamedTuple):
    """Arguments for ``_put_columns``."""

    columns: list[Column]
    rows: int
    metadata: bytes
    marked: bool = False  # nulls of floats and times are the missing ones, and no others


# ---- Columns ----


class _Writer:
    def __init__(self, rows: int, scan: Scan) -> None:
        self.rows = rows
        self.scan = scan
        self.marked = True
        self.columns: list[Column] = []
        self.described: list[tuple[Any, ...]] = []
        self.extra: dict[str, dict[str, Any]] = {}

    def add(self, label: Any, field: str, values: pd.Series[Any] | pd.Index[Any]) -> None:
        plain = plain_of(values)
        if plain is not None:  # most are
            self.columns.append(encode_plain(field, values, plain, self.scan))
            about = (label, field, plain.pandas_type, plain.numpy_type, None)
            self.described.append(about)
            return
        self.add_encoded(label, field, encode(field, values, self.scan))

    def add_encoded(self, label: Any, field: str, encoded: Encoded) -> None:
        self.marked = self.marked and is_marked(encoded)
        column, pandas_type, numpy_type, metadata, extra = encoded
        self.columns.append(column)
        self.described.append((label, field, pandas_type, numpy_type, metadata))
        if extra:
            self.extra[field] = extra

    def remember(self, field: str, **extra: Any) -> None:
        """More of a column that was added."""
        self.extra[field] = {**self.extra.get(field, {}), **extra}


# ---- Labels of the columns ----

_REMEMBERED = 256  # of what is written again and again, so many


class _Labels(NamedTuple):
    fields: list[str]
    about: list[dict[str, Any]]  # pyarrow's description of them
    own: dict[str, Any]  # ours
    key: Any = None  # of what has a hash, to know them by


_labels_before: dict[int, tuple[Any, Any, _Labels]] = {}


def _labels(columns: pd.Index[Any]) -> _Labels:
    """Field names for these labels, and what makes labels of them again.

    Remembered for an Index that is put again: it never changes, but for its name.
    """
    known = _labels_before.get(id(columns))
    if known is not None and known[0]() is columns and known[1] is columns.name:
        return known[2]
    made = _make_labels(columns)
    if made.key is not None:
        if len(_labels_before) >= _REMEMBERED:
            _labels_before.clear()
        _labels_before[id(columns)] = (weakref.ref(columns), columns.name, made)
    return made


def _make_labels(columns: pd.Index[Any]) -> _Labels:
    import pandas as pd

    names = _items(columns)
    kind, name = type(columns), columns.name
    if (kind is pd.Index or kind is pd.RangeIndex) and (
        name is None or type(name) is str
    ):
        bounds = None
        if isinstance(columns, pd.RangeIndex):
            bounds = columns.start, columns.stop, columns.step
        strings = isinstance(columns.dtype, pd.StringDtype)
        storage = columns.dtype.storage if strings else None
        try:
            plain = _plain_labels(tuple(names), columns.dtype, storage, name, bounds)
        except TypeError:  # labels without a hash
            plain = None
        if plain is not None:
            return plain
    try:
        about, packed = pack_index(columns)
    except TypeError as error:
        raise _unfit(columns, names, str(error)) from None
    fields = _fields(names)
    _check_text(fields)
    own = {"about": about, "of": dict(zip(fields, packed, strict=True))}
    return _Labels(fields, _described(columns, fields), own)


@lru_cache(maxsize=256)
def _plain_labels(
    names: tuple[Any, ...],
    dtype: Any,
    storage: str | None,
    label: str | None,
    bounds: tuple[int, int, int] | None,
) -> _Labels | None:
    """Texts or integers, each once; None: others."""
    import numpy as np

    if len(set(names)) != len(names):
        return None
    own: dict[str, Any] = {} if storage is None else {"storage": storage}
    if isinstance(dtype, np.dtype) and dtype.kind == "i" and dtype.itemsize == 8:
        fields, kind = [str(name) for name in names], "int64"
        if bounds is not None:
            own = {"range": list(bounds)}
    else:
        if not (storage or dtype == "object") or any(type(n) is not str for n in names):
            return None
        fields, kind = list(names), "unicode"
        _check_text(fields)
    about = {"name": label, "field_name": label, "metadata": None,
             "pandas_type": kind, "numpy_type": str(dtype)}  # fmt: skip
    return _Labels(fields, [about], own, (names, str(dtype), storage, label, bounds))


def _unfit(columns: pd.Index[Any], names: list[Any], why: str) -> TypeError:
    """The error of labels that do not come back: the first that is to blame."""
    for name in names:
        try:
            pack(name)
        except TypeError:
            return refuse(
                str(name), f"its label, a {type(name).__name__}, cannot be kept"
            )
    return ColumnTypeError(f"the columns: {why}")


def _fields(names: list[Any]) -> list[str]:
    """A name of its own for each label: ``a``, ``a.1``, as `read_csv` does."""
    texts = [name if type(name) is str else str(name) for name in names]
    taken = set(texts)
    fields: list[str] = []
    used: set[str] = set()
    for text in texts:
        field, number = text, 0
        while field in used or (number and field in taken):
            number += 1
            field = f"{text}.{number}"
        used.add(field)
        fields.append(field)
    return fields


def _described(columns: pd.Index[Any], fields: list[str]) -> list[dict[str, Any]]:
    """As pyarrow describes labels, so far as it restores them: else they are texts."""
    import pandas as pd

    levels = levels_of(columns)
    fit = isinstance(columns, pd.MultiIndex) and list(map(str, columns)) == fields
    if not fit or any(type(i) not in (str, int) for level in levels for i in level):
        name = _text(columns.name)
        return [{"name": name, "field_name": name, "metadata": None,
                 "pandas_type": "unicode", "numpy_type": "object"}]  # fmt: skip
    return [
        {"name": _text(level.name), "field_name": _text(level.name), "metadata": None,
         "pandas_type": "int64" if level.dtype == "int64" else "unicode",
         "numpy_type": str(level.dtype)}
        for level in levels
    ]  # fmt: skip


def _text(name: Any) -> str | None:
    return name if name is None or type(name) is str else str(name)


def _check_text(fields: list[str]) -> None:
    """Names go in as UTF-8 that ends with a zero."""
    text = "".join(fields)
    if text.isascii() and "\0" not in text:
        return
    for field in fields:
        if "\0" in field:
            raise refuse(field, "a name cannot have a zero byte")
        try:
            field.encode()
        except UnicodeEncodeError as reason:
            raise refuse(field, f"its label is not valid Unicode: {reason}") from None


# ---- The index ----


def _add_index(writer: _Writer, index: pd.Index[Any], names: list[str]) -> list[Any]:
    """Describes a RangeIndex; any other becomes columns."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return [(_text(index.name), index.start, index.stop, index.step)]
    fields: list[str] = []
    taken = set(names)
    for number, level in enumerate(levels_of(index)):
        field = _text(level.name)
        if field is None or field in taken:
            field = f"__index_level_{number}__"
        while field in taken:
            field += "_"
        _check_text([field])
        taken.add(field)
        _add_level(writer, index, number, _text(level.name), field, level)
        fields.append(field)
    return fields


def _add_level(
    writer: _Writer,
    index: pd.Index[Any],
    number: int,
    label: Any,
    field: str,
    level: pd.Index[Any],
) -> None:
    """A level of an index, or an index of one, as a column and what it is beside."""
    import pandas as pd

    about: dict[str, Any]
    try:
        if isinstance(index, pd.MultiIndex):
            about = about_level(index, number)
            encoded = missing_level(field, index, number)
        else:
            about, encoded = frequency_of(index), None
    except (TypeError, NotImplementedError) as error:
        raise refuse(field, str(error)) from None
    if encoded is None:
        writer.add(label, field, level)
    else:
        writer.add_encoded(label, field, encoded)
    if about:
        writer.remember(field, **about)


def _names(index: pd.Index[Any]) -> list[Any] | None:
    """The names of the levels, packed, if any is neither text nor None."""
    names = list(index.names)
    if all(name is None or type(name) is str for name in names):
        return None
    try:
        return [pack(name) for name in names]
    except TypeError as error:
        raise ColumnTypeError(f"the index's name: {error}") from None


def _attributes(value: pd.DataFrame | pd.Series[Any]) -> dict[str, Any]:
    """The attrs that JSON has, for pyarrow too; and if there are others, all for us."""
    attrs = value.attrs
    if not attrs:
        return {}
    plain = {k: v for k, v in attrs.items() if type(k) is str and _is_plain([k, v])}
    if len(plain) == len(attrs):
        return {"attributes": plain}
    try:
        coded = encode_alone(attrs, "df.attrs").decode()
    except Unstorable as reason:
        raise ColumnTypeError(str(reason)) from reason.__cause__
    return {"attributes": plain, "attrs": coded}


def _is_plain(value: Any, level: int = 0) -> bool:
    """Whether it comes back from any JSON as it is."""
    kind = type(value)
    if kind is str:
        return bool(value.encode(errors="replace").decode() == value)
    if kind is int:
        return bool(value.bit_length() < 64)
    if kind is float:
        return bool(value - value == 0)
    if level == 16:  # perhaps it contains itself
        return False
    if kind is list:
        return all(_is_plain(item, level + 1) for item in value)
    if kind is dict:
        items = value.items()
        return all(
            type(k) is str and _is_plain(k) and _is_plain(v, level + 1) for k, v in items
        )
    return value is None or kind is bool


# ---- What to remember ----


def _written(
    kind: str,
    described: list[tuple[Any, ...]],
    index: list[Any],
    labels: _Labels,
    extra: dict[str, dict[str, Any]],
    more: dict[str, Any],
    version: str,
) -> bytes:
    keys = ("name", "field_name", "pandas_type", "numpy_type", "metadata")
    ranges = ("name", "start", "stop", "step")
    pandas = {
        "index_columns": [
            {"kind": "range", **dict(zip(ranges, level, strict=True))}
            if isinstance(level, tuple)
            else level
            for level in index
        ],
        "column_indexes": labels.about,
        "columns": [dict(zip(keys, one, strict=True)) for one in described],
        "attributes": more.pop("attributes", {}),
        "creator": {"library": "framecache", "version": _core.version},
        "pandas_version": version,
    }
    ours = {"version": 1, "kind": kind, "columns": extra, "labels": labels.own, **more}
    return _pandas_meta.encode(pandas, ours)


_written_before: OrderedDict[Any, bytes] = OrderedDict()


def _finish(
    writer: _Writer, kind: str, index: list[Any], labels: _Labels, more: dict[str, Any]
) -> Table:
    """The table; who refreshes a key writes the same metadata again and again."""
    import pandas as pd

    version, key = pd.__version__, None
    if labels.key is not None and not more:
        extra = tuple((field, tuple(e.items())) for field, e in writer.extra.items())
        key = (labels.key, tuple(writer.described), tuple(index), extra, kind, version)
        try:
            known = _written_before.get(key)
        except TypeError:  # a dict in it, which has no hash
            key = known = None
        if known is not None:
            return Table(writer.columns, writer.rows, known, writer.marked)
    metadata = _written(
        kind, writer.described, index, labels, writer.extra, more, version
    )
    if key is not None:
        _written_before[key] = metadata
        if len(_written_before) > _REMEMBERED:
            with contextlib.suppress(KeyError):  # another thread has just done it
                _written_before.popitem(last=False)
    return Table(writer.columns, writer.rows, metadata, writer.marked)


# ---- DataFrame, Series, Index ----


def _items(columns: pd.Index[Any]) -> list[Any]:
    """The labels as a list; of pyarrow's strings, one by one takes three times longer."""
    storage = getattr(columns.dtype, "storage", "")
    if storage.startswith("pyarrow"):
        texts = columns.array.__arrow_array__()
        if not texts.null_count:
            return texts.to_pylist()  # type: ignore[no-any-return]
    return list(columns)


def _arrays(frame: pd.DataFrame) -> Iterable[Any]:
    """The columns as arrays; as Series, which takes ten times longer, where need be."""
    arrays = getattr(frame, "_iter_column_arrays", None)
    if arrays is not None:
        return arrays()  # type: ignore[no-any-return]
    return (values for _, values in frame.items())


def _from_frame(frame: pd.DataFrame, kind: str, scan: Scan, **more: Any) -> Table:
    import pandas as pd

    index, columns = frame.index, frame.columns
    writer = _Writer(len(index), scan)
    labels = _labels(columns)
    fields = labels.fields
    for field, values in zip(fields, _arrays(frame), strict=True):
        writer.add(field, field, values)
    descriptors = _add_index(writer, index, fields)
    if (names := _names(index)) is not None:
        more["names"] = names
    if index.nlevels == 1 and isinstance(index, pd.MultiIndex):
        more["multi"] = True
    more.update(_attributes(frame))
    if not frame.flags.allows_duplicate_labels:
        more["unique_labels"] = True
    return _finish(writer, kind, descriptors, labels, more)


def _from_series(series: pd.Series[Any], scan: Scan) -> Table:
    if series.name is None:
        return _from_frame(series.to_frame(), "series.unnamed", scan)
    _check_name(series.name)
    if type(series.name) is str:
        return _from_frame(series.to_frame(), "series", scan)
    try:
        name = pack(series.name)  # labels would make a numpy scalar of a number
        frame = series.to_frame()
    except (TypeError, ValueError, NotImplementedError):  # pandas has no such label
        raise _refuse_name(series.name) from None
    return _from_frame(frame, "series", scan, series_name=name)


def _refuse_name(name: Any) -> ColumnTypeError:
    return refuse(str(name), f"its name, a {type(name).__name__}, cannot be kept")


def _check_name(name: Any) -> None:
    """pandas makes labels of a name, and its strings are valid Unicode."""
    if type(name) is str:
        _check_text([name])
    elif type(name) is tuple:
        for part in name:
            _check_name(part)


def _from_index(index: pd.Index[Any], scan: Scan) -> Table:
    """Its levels as columns under their names."""
    import pandas as pd

    writer = _Writer(len(index), scan)
    names = [number if n is None else n for number, n in enumerate(index.names)]
    for name in names:
        _check_name(name)
    try:
        labels = _labels(pd.Index(names, tupleize_cols=False))
    except (ValueError, NotImplementedError):  # pandas has no such label
        raise _refuse_name(names[0] if len(names) == 1 else names) from None
    for number, level in enumerate(levels_of(index)):
        field = labels.fields[number]
        _add_level(writer, index, number, field, field, level)
    if isinstance(index, pd.RangeIndex):
        bounds = [index.start, index.stop, index.step]
        writer.remember(labels.fields[0], range=bounds)
    more: dict[str, Any] = {"index": [pack(name) for name in index.names]}
    kind = "multiindex" if isinstance(index, pd.MultiIndex) else "index"
    whole = (None, 0, len(index), 1)
    return _finish(writer, kind, [whole], labels, more)


def _refuse_subclass(value: Any, plain: str) -> TypeError:
    kind = type(value)
    return TypeError(
        f"a {kind.__module__}.{kind.__qualname__} would come back as a {plain} of "
        f"pandas: put pandas.{plain}(value) if that is enough, or tell "
        "framecache.register() how to make it a table and back"
    )


def table_of(value: Any, scan: Scan = find_missing) -> Table | None:
    """A DataFrame, Series or Index as a table of columns; None: something else.

    `scan` finds what is missing in floats and times.

    Raises
    ------
    ColumnTypeError
        A column would not come back as it was; `.column` names it.
    TypeError
        The labels, the index's names or the attrs would not, or it is of a subclass.
    """
    import pandas as pd

    kind = type(value)
    if kind is pd.DataFrame:
        return _from_frame(value, "dataframe", scan)
    if kind is pd.Series:
        return _from_series(value, scan)
    if isinstance(value, pd.DataFrame):
        raise _refuse_subclass(value, "DataFrame")
    if isinstance(value, pd.Series):
        raise _refuse_subclass(value, "Series")
    return _from_index(value, scan) if isinstance(value, pd.Index) else None
