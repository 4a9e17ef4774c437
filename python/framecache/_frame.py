"""Frame, Column and Schema: reading what is in the cache."""

from __future__ import annotations

import sys

from . import _core
from ._errors import ColumnError, ColumnTypeError
from ._lazy import lazily
from ._types import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Literal, NoReturn, Self

    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from . import _extras, _html, _kinds, _numpy, _pandas_out, _polars, _rows, _structured

    Mode = Literal["cow", "readonly", "copy"]
    _Field = tuple[str, str, int, bytes]  # name, format, flags, metadata
    DtypeBackend = Literal["numpy_nullable", "pyarrow"]
else:
    lazily(globals(), "._html", "._kinds", "._numpy", "._pandas_out", "._rows")
    lazily(globals(), "._structured", "._extras", "._polars")


def check_mode(mode: str) -> None:
    """ValueError for anything but a mode."""
    if mode not in ("cow", "readonly", "copy"):
        raise ValueError(f"mode {mode!r} is none of 'cow', 'readonly', 'copy'")


def _pairs(encoded: bytes) -> dict[bytes, bytes]:
    """Metadata in Arrow's encoding: a count, and each key and value after its size."""
    texts: list[bytes] = []
    at = 4
    while at < len(encoded):
        end = at + 4 + int.from_bytes(encoded[at : at + 4], sys.byteorder)
        texts.append(encoded[at + 4 : end])
        at = end
    return dict(zip(texts[::2], texts[1::2], strict=True))


class Layout:
    """What a schema says; frames of equal schemas share it."""

    def __init__(self, fields: tuple[_Field, ...], metadata: bytes) -> None:
        self.names: list[str] = [field[0] for field in fields]
        self.formats: list[str] = [field[1] for field in fields]
        self.flags: list[int] = [field[2] for field in fields]
        self.extensions: set[int] = {  # of Arrow's extension types
            index
            for index, field in enumerate(fields)
            if field[3] and b"ARROW:extension:name" in _pairs(field[3])
        }
        self.metadata: dict[bytes, bytes] = _pairs(metadata)
        self.pandas: Any = None  # what _pandas_out.py makes of it
        self.kind: str | None = None  # of table or value; known to _kinds.py
        self.decode: Callable[[Frame], Any] | None = None  # and how it comes out
        self.shared = False  # it is small enough to be remembered
        self._positions: dict[str, int] | None = None

    def position(self, column: str | int) -> int:
        if isinstance(column, int):
            return self._number(column)
        if self._positions is None:
            self._positions = {}
            for index, name in enumerate(self.names):
                self._positions[name] = -1 if name in self._positions else index
        try:
            index = self._positions.get(column, -2)
        except TypeError:  # not hashable
            index = -2
        if index == -1:
            raise ColumnError(f"several columns are named {column!r}: ask by number")
        if index < 0 and not isinstance(column, str):
            return self._number(_index(column, "a column is named, or numbered"))
        if index < 0:
            raise ColumnError(f"no column {column!r}; there are {self._some_names()}")
        return index

    def _number(self, column: int) -> int:
        if column is True or column is False:
            raise TypeError(f"a column is named, or numbered, and not {column}: {_MASKS}")
        count = len(self.names)
        if not -count <= column < count:
            raise ColumnError(f"no column {column}; there are {count}")
        return column % count

    def _some_names(self) -> str:
        some = ", ".join(repr(name) for name in self.names[:8])
        return some + ", ..." if len(self.names) > 8 else some or "none"


_MASKS = "rows by a mask or by numbers are to_pandas()'s, to_polars()'s or to_numpy()'s"


def _index(value: Any, what: str) -> int:
    """A number of numpy's too; TypeError for anything else."""
    boolean = type(value).__name__ in ("bool", "bool_")
    if hasattr(value, "__index__") and not boolean and not hasattr(value, "tolist"):
        return int(value.__index__())
    if hasattr(value, "__index__") and getattr(value, "ndim", 1) == 0 and not boolean:
        return int(value.__index__())  # of numpy's
    raise TypeError(f"{what}, and not by {_shown(value)}: {_MASKS}")


def _shown(value: Any) -> str:
    text = repr(value)
    kind = type(value).__name__
    return text if len(text) <= 60 and "\n" not in text else f"a {kind}"


def _bounds(rows: slice, count: int) -> tuple[int, int]:
    """Where a slice begins, and how many rows it has."""
    try:
        start, stop, step = rows.indices(count)
    except TypeError:
        raise TypeError(f"{rows} is no slice of rows: these go by number") from None
    if step != 1:
        raise ValueError(f"{rows}: a slice without a copy has no step; {_MASKS}")
    return start, max(stop - start, 0)


_REMEMBERED, _MOST_FIELDS, _MOST_BYTES = 256, 256, 64 << 10
_layouts: dict[tuple[tuple[_Field, ...], bytes], Layout] = {}


def layout_of(frame: Frame) -> Layout:
    """The frame's layout, remembered on it; that of a key that is put again is known."""
    memo: Layout | None = frame._memo
    if memo is None:
        key = frame._layout()
        memo = _layouts.get(key) or _new_layout(key)
        frame._memo = memo
    return memo


def _new_layout(key: tuple[tuple[_Field, ...], bytes]) -> Layout:
    layout = Layout(*key)
    layout.shared = len(key[0]) <= _MOST_FIELDS and len(key[1]) <= _MOST_BYTES
    if layout.shared:
        if len(_layouts) >= _REMEMBERED:
            _layouts.clear()
        _layouts[key] = layout
    return layout


@final
class Schema:
    """Names and types of a frame's columns; ``pa.schema(schema)`` makes it pyarrow's.

    It keeps the frame's lease, as whatever is exported does.
    """

    __slots__ = ("_frame",)

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return list(layout_of(self._frame).names)

    @property
    def formats(self) -> list[str]:
        """The columns' types, as Arrow format strings: ``"g"`` is float64."""
        return list(layout_of(self._frame).formats)

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """The key-value metadata of the table."""
        return dict(layout_of(self._frame).metadata)

    def __arrow_c_schema__(self) -> object:
        return self._frame.__arrow_c_schema__()

    def __copy__(self) -> Schema:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Schema:
        return self

    def __len__(self) -> int:
        return len(layout_of(self._frame).names)

    def __repr__(self) -> str:
        layout = layout_of(self._frame)
        fields = zip(layout.names, layout.formats, strict=True)
        return f"Schema({', '.join(f'{name}: {format}' for name, format in fields)})"


@final
class Column:
    """One column of a `Frame`, a sequence of its rows; what it exports keeps the lease.

    ``column[3]`` and iteration give what was put: pandas' values, or Python's, None where
    null. ``column[2:5]`` is a column again, without a copy. numpy and pandas take it as
    an array; moments of a zone, periods, categories, lists and the like are objects.
    """

    __slots__ = ("_frame", "_position", "_table")

    def __init__(self, table: Frame, position: int) -> None:
        self._table = table
        self._position = position
        self._frame = table._select([position])  # of this column only

    def _data(self) -> _numpy.Data:
        return _numpy.Data(*self._frame._column(0))

    @property
    def name(self) -> str:
        """Its name."""
        return layout_of(self._frame).names[0]

    @property
    def format(self) -> str:
        """Its type, as Arrow format string."""
        return layout_of(self._frame).formats[0]

    @property
    def null_count(self) -> int:
        """How many rows are null."""
        return _numpy.null_count(self._data())

    @property
    def min(self) -> Any | None:
        """The least value where that is known without looking: small columns."""
        return self._bound(0)

    @property
    def max(self) -> Any | None:
        """The greatest value where that is known without looking: small columns."""
        return self._bound(1)

    def _bound(self, side: int) -> Any | None:
        raw = self._frame._range(0)[side]
        name = _numpy.dtype_name(self.format)
        if raw is None or name is None:
            return None
        import numpy as np

        value = np.frombuffer(raw, dtype=name)[0]
        return value if value.dtype.kind in "mM" else value.item()

    @property
    def shape(self) -> tuple[int]:
        """The number of rows, in a tuple."""
        return (len(self._frame),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of ``numpy.asarray(column)``."""
        return _rows.dtype(self)

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, row: Any) -> Any:
        count = len(self._frame)
        if isinstance(row, slice):
            return Column(self._table._slice(*_bounds(row, count)), self._position)
        number = _index(row, "a row goes by its number")
        if not -count <= number < count:
            raise IndexError(f"no row {number}; column {self.name!r} has {count}")
        number %= count
        return _rows.values(self[number : number + 1])[0]

    def __iter__(self) -> Iterator[Any]:
        return _rows.iterate(self)

    def __copy__(self) -> Column:
        return self  # it never changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Column:
        return self

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        values, reason = _rows.array(self)
        cast = dtype is not None and dtype != values.dtype
        if copy is False and (reason or cast):
            raise ValueError(f"column {self.name!r} needs a copy: {reason or 'a cast'}")
        if cast:
            return values.astype(dtype)
        return values.copy() if copy and not reason else values

    def __arrow_c_schema__(self) -> object:
        return self._frame._only_schema()

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]:
        return self._frame._only_array(requested_schema, _polars_asks())

    def to_numpy(self, mode: Mode = "readonly") -> np.ndarray[Any, Any]:
        """The column as a one-dimensional array.

        Parameters
        ----------
        mode : {"readonly", "cow", "copy"}
            Read-only over the cache's own bytes; writable over a copy-on-write mapping of
            them; or memory of its own.

        Returns
        -------
        numpy.ndarray, shape (rows,)
            Numbers, datetime64 and timedelta64 over the frame's bytes; nulls are NaN and
            NaT. Integers with nulls become float64, bool is unpacked, bool with nulls and
            strings are objects: new memory.

        Raises
        ------
        ColumnTypeError
            numpy has no type for it.
        """
        check_mode(mode)
        source = self._frame._private() if mode == "cow" else self._frame
        data = _numpy.Data(*source._column(0))
        values = _numpy.read_or_raise(data)
        if mode == "copy" and not values.flags.owndata:
            return values.copy()
        return values

    def to_pandas(self, mode: Mode = "cow") -> pd.Series[Any]:
        """The column as a Series with the frame's index.

        Parameters
        ----------
        mode : {"cow", "readonly", "copy"}
            As in `Frame.to_pandas`.

        Returns
        -------
        pandas.Series
        """
        check_mode(mode)
        if "pandas" not in _extras.ready:
            _extras.need("pandas", "to_pandas()")
        return _pandas_out.series(self._table, self._position, mode)

    def to_arrow(self) -> pa.Array[Any]:
        """The column as an Array of pyarrow, without a copy.

        Returns
        -------
        pyarrow.Array
        """
        return _pyarrow().array(self)

    def to_polars(self) -> pl.Series:
        """The column as a polars Series, over the frame's bytes where polars can.

        Returns
        -------
        polars.Series

        Raises
        ------
        ColumnTypeError
            polars has no such type.
        """
        if "polars" not in _extras.ready:
            _extras.need("polars", "to_polars()")
        return _polars.series(self)

    def __repr__(self) -> str:
        return f"Column({self.name!r}, {self.format!r}, rows={len(self)})"


def _polars_asks() -> bool:
    """Whether it is code of polars that called who asks, as in ``pl.Series(column)``."""
    caller = sys._getframe(1).f_back
    name = str(caller.f_globals.get("__name__")) if caller else ""
    return name == "polars" or name.startswith("polars.")


def _pyarrow() -> Any:
    return _extras.need("pyarrow", "to_arrow()")


def _is_list(value: Any) -> bool:
    """A list of columns; also numpy's and pandas', which have none but these."""
    return isinstance(value, list) or (
        hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1
    )


_AS_ARRAY = (
    "As a DataFrame it is frame.to_pandas() or pd.DataFrame.from_arrow(frame), as an "
    "array frame.to_numpy() (a field for each column), frame['x'].to_numpy() or "
    "frame.to_pandas().to_numpy()"
)


class Batches:
    """A frame as a stream of batches, for any consumer of ``__arrow_c_stream__``."""

    __slots__ = ("_frame", "_rows")

    def __init__(self, frame: Frame, rows: int) -> None:
        self._frame = frame
        self._rows = rows

    def __arrow_c_schema__(self) -> object:
        return self._frame.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame._batches(self._rows, requested_schema, _polars_asks())


@final
class Frame(_core.Frame):
    """An immutable table, leased while this object or anything made from it lives.

    It cannot be pickled: send its key.
    """

    __slots__ = ()

    @property
    def columns(self) -> list[str]:
        """The columns' names."""
        return list(layout_of(self).names)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, len(layout_of(self).names)

    @property
    def schema(self) -> Schema:
        """Names and types of the columns."""
        return Schema(self)

    def __getitem__(self, what: Any) -> Any:
        if isinstance(what, slice):
            return self._slice(*_bounds(what, self.rows))
        if _is_list(what):
            return self.select(what)
        return Column(self, layout_of(self).position(what))

    def __iter__(self) -> NoReturn:
        raise TypeError(f"a Frame is not iterable; loop over frame.columns. {_AS_ARRAY}")

    def __reversed__(self) -> NoReturn:
        self.__iter__()  # or Python would take columns by the numbers of rows

    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn:
        raise TypeError(f"a Frame is no array. {_AS_ARRAY}")

    def __copy__(self) -> Frame:
        return self  # it never changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Frame:
        return self

    def select(self, columns: Sequence[str | int]) -> Frame:
        """These columns in this order; no copy.

        Parameters
        ----------
        columns : sequence of str or int
            By name or number.

        Returns
        -------
        Frame

        Raises
        ------
        ColumnError
            There is no such column, or several of the name.
        """
        if isinstance(columns, str):
            raise TypeError(f"select() takes a list of columns: [{columns!r}]")
        position = layout_of(self).position
        return self._select([position(column) for column in columns])

    def slice(self, offset: int, length: int | None = None) -> Frame:
        """Some rows; no copy.

        Parameters
        ----------
        offset : int
            The first; negative: from the end.
        length : int, optional
            How many, cut at the end; all.

        Returns
        -------
        Frame
        """
        rows = self.rows
        if offset < 0:
            offset += rows
        offset = min(max(offset, 0), rows)
        if length is None:
            length = rows - offset
        if length < 0:
            raise ValueError(f"a slice of {length} rows")
        return self._slice(offset, min(length, rows - offset))

    def head(self, n: int = 5) -> Frame:
        """The first rows; no copy.

        Parameters
        ----------
        n : int

        Returns
        -------
        Frame
        """
        return self.slice(0, n)

    def batches(self, rows: int) -> Batches:
        """The table in batches.

        Parameters
        ----------
        rows : int
            Of each batch, but for the last.

        Returns
        -------
        object with ``__arrow_c_stream__``
        """
        if rows < 1:
            raise ValueError(f"batches of {rows} rows")
        return Batches(self, rows)

    def content_hash(self) -> bytes:
        """The hash of schema and contents: equal tables, equal hash, whoever made them.

        Returns
        -------
        bytes
            16 bytes, XXH3-128, the same in every process and on every machine. Stored
            with the frame if the cache has checksums on; otherwise its bytes are read at
            the first call.
        """
        return self._content_hash()

    def to_pandas(
        self,
        mode: Mode = "cow",
        *,
        dtype_backend: DtypeBackend | None = None,
        require_zero_copy: bool = False,
    ) -> pd.DataFrame:
        """The table as a DataFrame.

        Parameters
        ----------
        mode : {"cow", "readonly", "copy"}
            "cow": columns are writable; they lie over a copy-on-write mapping of the
            cache's bytes, of this DataFrame alone, and pages that are written to become
            memory of this process. "readonly": over the cache's own bytes; writing in
            place raises. "copy": memory of its own.
        dtype_backend : {"numpy_nullable", "pyarrow"}, optional
            Columns of pandas' nullable dtypes, or of ArrowDtype, as in pandas' readers;
            None: the dtypes that were put. The index stays as it was put, and so do
            period, interval and complex, which Arrow does not have.
        require_zero_copy : bool
            Raise if any column had to be copied.

        Returns
        -------
        pandas.DataFrame
            Without a copy: numbers without nulls, floats, datetime64, timedelta64 and
            category codes; strings where pyarrow is installed. Bool is unpacked, and
            nullable dtypes get their mask. What pandas put comes back with its dtypes and
            index; other tables as pyarrow's ``to_pandas`` gives them.

        Raises
        ------
        ColumnTypeError
            A column needs pyarrow, which is not installed, or could not come without the
            copy that `require_zero_copy` forbids; `.column` names it.
        """
        check_mode(mode)
        if dtype_backend not in (None, "numpy_nullable", "pyarrow"):
            raise ValueError(
                f"dtype_backend {dtype_backend!r} is none of 'numpy_nullable', 'pyarrow'"
            )
        if "pandas" not in _extras.ready:
            _extras.need("pandas", "to_pandas()")
        return _pandas_out.dataframe(self, mode, require_zero_copy, dtype_backend)

    def to_polars(self) -> pl.DataFrame:
        """The table as a polars DataFrame, over the frame's bytes where polars can.

        Returns
        -------
        polars.DataFrame
            Decimals of 32 and 64 bits come in 128 bits, which is all that polars has;
            so they do by ``pl.DataFrame(frame)``.

        Raises
        ------
        ColumnTypeError
            polars has no such type as that of a column; `.column` names it.
        """
        if "polars" not in _extras.ready:
            _extras.need("polars", "to_polars()")
        return _polars.dataframe(self)

    def to_arrow(self) -> pa.Table:
        """The table as a pyarrow Table of one chunk a column, without a copy.

        Returns
        -------
        pyarrow.Table
        """
        return _pyarrow().table(self)

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """The table as a structured array, a field for each column; a copy.

        Returns
        -------
        numpy.ndarray, shape (rows,)
            Fields as `Column.to_numpy` gives them: strings, bytes and categories with
            nulls are objects. What was put as a structured array has its dtype again.

        Raises
        ------
        ColumnTypeError
            numpy has no type for a column; `.column` names it.
        ColumnError
            Several columns have one name.
        """
        return _structured.to_numpy(self)

    def to_value(self) -> Any:
        """The kind that was put.

        Returns
        -------
        DataFrame, Series or Index of pandas; DataFrame or Series of polars; Table or
        RecordBatch of pyarrow; structured array of numpy; Frame
            A Frame if a Frame was put. What another library made (DuckDB, ...) comes as a
            ``pyarrow.Table``, without pyarrow as this Frame.
        """
        return _kinds.value_of(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __reduce__(self) -> Any:
        raise TypeError("a Frame cannot be pickled: send its key, and get it there")

    def _repr_html_(self) -> str:
        """For notebooks: schema, first rows, bytes, where it lives and who maps it."""
        return _html.frame_html(self)

    def __repr__(self) -> str:
        if self._released:
            return "Frame(released)"
        rows, columns = self.shape
        return f"Frame({self.key!r}, rows={rows}, columns={columns}, bytes={self.nbytes})"


def refuse_copy(name: str, reason: str) -> ColumnTypeError:
    """What `require_zero_copy` raises."""
    return ColumnTypeError(f"column {name!r} cannot come without a copy: {reason}", name)
