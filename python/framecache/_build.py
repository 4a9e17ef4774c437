"""Builder: a frame filled in place, so that its bytes are never copied."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, final

from . import _core, _numpy
from ._errors import ClosedError, ColumnError, ColumnTypeError

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np

    from ._frame import Frame

# What numpy calls a type, before Arrow's letters are looked at: "int32" is not a format.
_NAMES = {
    "bool": "b", "int8": "c", "uint8": "C", "int16": "s", "uint16": "S", "int32": "i",
    "uint32": "I", "int64": "l", "uint64": "L", "float16": "e", "float32": "f",
    "float64": "g", "int": "l", "float": "g", "str": "u", "string": "u", "bytes": "z",
}  # fmt: skip
_NUMPY_CODE = re.compile(r"(datetime64|timedelta64|[mM]8)\[|[fiu][0-9]+\Z")
_TYPES: dict[Any, str] = {int: "l", float: "g", bool: "b", str: "u", bytes: "z"}


def _format(name: str, type: Any) -> str:
    """The Arrow format for a type given as format, numpy name, dtype or Python type."""
    if isinstance(type, str) and type in _NAMES:
        return _NAMES[type]
    if isinstance(type, str) and not _NUMPY_CODE.match(type):
        return type  # Arrow's own
    if type in _TYPES:
        return _TYPES[type]
    import numpy as np

    try:
        format = _numpy.format_of(np.dtype(type))
    except TypeError:
        format = None
    if format is None:
        raise ColumnTypeError(f"column {name!r}: no Arrow type for {type!r}", name)
    return format


def schema_capsule(schema: Any) -> Any:
    """An ``arrow_schema`` capsule for what `Cache.build` takes."""
    if hasattr(schema, "__arrow_c_schema__"):
        return schema.__arrow_c_schema__()
    if not isinstance(schema, Mapping):
        raise TypeError("a schema maps names to types, or has __arrow_c_schema__")
    return _core.schema_make(
        [(name, _format(name, kind)) for name, kind in schema.items()]
    )


@final
class Builder:
    """A frame being filled in place.

    Leaving the ``with`` block commits, an exception aborts. Threads may fill different
    columns at once. Let go of the arrays from `b[name]` before the build ends: they lie
    over memory that ends with it, so while one is alive a commit has to copy instead.
    """

    __slots__ = ("_core", "_flags", "_formats", "_frame", "_names", "_rows", "_store")

    def __init__(
        self, build: _core.Build, capsule: Any, store: Callable[..., Frame]
    ) -> None:
        fields, _ = _core.schema_fields(capsule)
        self._core: _core.Build | None = build
        self._rows = build.rows
        self._store = store  # puts columns under the key
        self._names = [field[0] for field in fields]
        self._formats = [field[1] for field in fields]
        self._flags: dict[int, np.ndarray[Any, Any]] = {}  # of bool columns, to be packed
        self._frame: Frame | None = None

    @property
    def rows(self) -> int:
        """Room for this many rows."""
        return self._rows

    @property
    def _build(self) -> _core.Build:
        if self._core is None:
            raise ClosedError("the build has ended: begin another")
        return self._core

    @property
    def frame(self) -> Frame:
        """The frame, once it is committed."""
        if self._frame is None:
            raise ClosedError("the build has not been committed")
        return self._frame

    def _index(self, column: str | int) -> int:
        if isinstance(column, str) and column in self._names:
            return self._names.index(column)
        if isinstance(column, int) and 0 <= column < len(self._names):
            return column
        raise ColumnError(f"no column {column!r} in the build")

    def __getitem__(self, column: str | int) -> np.ndarray[Any, Any]:
        """The values of a column of fixed width, writable, shape (rows,).

        Numbers, datetime64 and timedelta64 are the frame's own bytes, undefined until
        written. A bool column is one byte a row until the commit packs it.

        Raises
        ------
        ColumnTypeError
            The column is not of fixed width: use `extend`.
        """
        import numpy as np

        index = self._index(column)
        type, _, rows, values, _ = self._build.target(index)
        if type == "BOOL":
            return self._flags.setdefault(index, np.zeros(rows, dtype=bool))
        name = _numpy.dtype_name(self._formats[index])
        if values is None or name is None:
            raise ColumnTypeError(
                f"column {self._names[index]!r}: {self._formats[index]!r} has no array "
                "to fill; use extend()",
                self._names[index],
            )
        raw = np.frombuffer(values, dtype="i8" if name[-1] == "]" else name)
        return raw[:rows].view(name)

    def __setitem__(self, column: str | int, values: Any) -> None:
        self[column][:] = values

    def set_nulls(self, column: str | int, mask: np.ndarray[Any, Any]) -> None:
        """Mark rows of a column as null.

        Parameters
        ----------
        column : str or int
            By name or number.
        mask : numpy.ndarray of bool, shape (rows,) or less
            True where null.
        """
        import numpy as np

        index = self._index(column)
        mask = np.asarray(mask, dtype=bool)
        if mask.ndim != 1 or len(mask) > self.rows:
            raise ValueError(f"a mask of shape {mask.shape} for {self.rows} rows")
        self._build.nulls(index)
        bits = np.frombuffer(self._build.target(index)[4], dtype=np.uint8)
        packed = np.packbits(~mask, bitorder="little")
        if len(mask) % 8:  # rows behind the mask stay valid
            packed[-1] |= 0xFF << len(mask) % 8 & 0xFF
        bits[: len(packed)] = packed

    def extend(self, column: str | int, values: Iterable[str | bytes | None]) -> None:
        """Append rows to a column of strings or bytes.

        Parameters
        ----------
        column : str or int
            By name or number.
        values : iterable of str, bytes or None
            None is null.
        """
        self._build.extend(self._index(column), values)

    def reserve(self, column: str | int, nbytes: int) -> None:
        """Make room in a column of strings or bytes.

        Parameters
        ----------
        column : str or int
            By name or number.
        nbytes : int
            Bytes in all of its rows.
        """
        self._build.reserve(self._index(column), nbytes)

    def commit(self, rows: int | None = None) -> Frame:
        """Publish what was filled in.

        Parameters
        ----------
        rows : int, optional
            The first so many; all.

        Returns
        -------
        Frame
            What was published, leased.

        Raises
        ------
        InvalidError
            A column has other rows than `rows`.
        BufferError
            An array over a column is still alive, and there is a column of strings, so
            that it cannot be copied either; the build goes on.
        """
        if self._frame is None:
            rows = self.rows if rows is None else rows
            self._pack()
            if self._build.exports and 0 <= rows <= self.rows:
                self._frame = self._commit_copy(rows)
                self._core = None  # ends with the last array
            else:
                build, self._core = self._build, None
                self._frame = build.commit(rows)
        return self._frame

    def _commit_copy(self, rows: int) -> Frame:
        """Puts the columns as they are, for the arrays over them stay writable."""
        columns = []
        for index, (name, format) in enumerate(
            zip(self._names, self._formats, strict=True)
        ):
            _, _, _, values, bitmap = self._build.target(index)
            if values is None:
                raise BufferError(
                    f"{self._build.exports} array(s) over the build's columns are alive: "
                    "delete them before the commit"
                )
            columns.append((name, format, rows, -1, 2, (bitmap, values), None))
        return self._store(columns, rows)

    def _pack(self) -> None:
        if not self._flags:
            return  # strings need no numpy
        import numpy as np

        for index, flags in self._flags.items():
            bits = np.frombuffer(self._build.target(index)[3], dtype=np.uint8)
            packed = np.packbits(flags, bitorder="little")
            bits[: len(packed)] = packed

    def abort(self) -> None:
        """Give up; nothing is published. Arrays over columns stay valid."""
        build, self._core = self._core, None
        if build is not None and not build.exports:
            build.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._core is not None:
            self.commit()
