"""Files into the cache and out of it, batch by batch: CSV, Parquet, Arrow.

A batch of a file goes straight to the cache's own copy of its columns: what is in memory
is what Arrow has read, and the frame.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ._progress import Progress

if TYPE_CHECKING:
    from ._frame import Frame

_KINDS = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow",
    ".arrows": "stream", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_CSV_BLOCK = 4 << 20  # types are inferred from the first
_BATCH_ROWS = 256 * 1024


class FileError(Exception):
    """What the command says: the file, the column if it is one, the remedy."""


def kind_of(path: str) -> str:
    """Which format a file has, by the end of its name."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _KINDS:
        known = ", ".join(_KINDS)
        raise FileError(f"{path}: no file of a known kind; its name must end in {known}")
    return _KINDS[suffix]


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise FileError(
            "files are read and written by pyarrow, which is not installed: "
            "pip install 'framecache[pyarrow]'"
        ) from error
    return pyarrow


@contextlib.contextmanager
def _named(path: str, explained: Callable[[Exception], str]) -> Iterator[None]:
    """Whatever pyarrow raises, with the file, the column and a remedy.

    That is all kinds: of its own, NotImplementedError, KeyError, and others' too.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        if type(error).__name__ == "ArrowCancelled":  # by a signal
            raise KeyboardInterrupt from None
        raise FileError(f"{path}: {explained(error)}") from error


def _explained(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (
        str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    )
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__


# ---- Reading ----


class Source:
    """A file as a stream of batches, for `Cache.put`; shows how far it is."""

    def __init__(self, path: str, types: dict[str, str]) -> None:
        self.path = path
        self.failure: Exception | None = None
        self._pa = _pyarrow()
        self._types = types
        self._open: dict[str, Callable[[], tuple[Any, Iterator[Any]]]] = {
            "csv": self._csv, "parquet": self._parquet,
            "arrow": self._arrow, "stream": self._stream,
        }  # fmt: skip
        kind = kind_of(path)
        if types and kind != "csv":
            raise FileError(f"{path}: --type is for CSV files; this one has its types")
        with self._named():
            self._total = os.path.getsize(path)
            self._file = self._pa.OSFile(path)
            try:
                self._schema, self._batches = self._open[kind]()
            except BaseException:
                self._file.close()
                raise

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        with self._named():
            batches = self._pa.RecordBatchReader.from_batches(self._schema, self._read())
            return batches.__arrow_c_stream__(requested_schema)

    def _read(self) -> Iterator[Any]:
        try:
            with self._named(), Progress(os.path.basename(self.path), self._total) as bar:
                for batch in self._batches:
                    bar.at(self._file.tell())
                    yield batch
        except Exception as error:  # Arrow's stream would pass its text on only
            self.failure = error
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _named(self) -> contextlib.AbstractContextManager[None]:
        return _named(self.path, self._explained)

    def _explained(self, error: Exception) -> str:
        text = _explained(error)
        number = re.match(r"In CSV column #(\d+): ", text)
        if not number:
            return text
        names = self._names if self._names else []
        column = int(number[1])
        name = names[column] if column < len(names) else f"#{column}"
        return (
            f"column {name!r}: {text[number.end() :]}; its type was inferred from the "
            f"first rows: load it with --type {name}=string"
        )

    _names: list[str] | None = None

    def _csv(self) -> tuple[Any, Iterator[Any]]:
        from pyarrow import csv

        self._names = self._header()
        unknown = set(self._types) - set(self._names)
        if unknown:
            there = ", ".join(map(repr, self._names[:8]))
            raise FileError(
                f"{self.path}: --type names column {min(unknown)!r}; there are {there}"
            )
        types = {name: self._type(name, text) for name, text in self._types.items()}
        reader = csv.open_csv(
            self._file,
            read_options=csv.ReadOptions(block_size=_CSV_BLOCK),
            convert_options=csv.ConvertOptions(column_types=types),
        )
        return reader.schema, iter(reader)

    def _header(self) -> list[str]:
        """The names of the columns, which errors of pyarrow do not tell."""
        import csv

        with open(self.path, newline="", encoding="utf-8-sig", errors="replace") as file:
            try:
                return next(csv.reader(file), [])
            except csv.Error as error:
                raise FileError(f"{self.path}: its first line: {error}") from error

    def _type(self, name: str, text: str) -> Any:
        try:
            return self._pa.type_for_alias(text)
        except ValueError as error:
            raise FileError(
                f"--type {name}={text}: no type of pyarrow; such as string, int64, "
                "float64, bool, date32, timestamp[us]"
            ) from error

    def _parquet(self) -> tuple[Any, Iterator[Any]]:
        from pyarrow import parquet

        file = parquet.ParquetFile(self._file)
        return file.schema_arrow, file.iter_batches(_BATCH_ROWS)

    def _arrow(self) -> tuple[Any, Iterator[Any]]:
        try:
            reader = self._pa.ipc.open_file(self._file)
        except self._pa.ArrowInvalid:
            self._file.seek(0)
            return self._stream()
        numbers = range(reader.num_record_batches)
        return reader.schema, _valid(map(reader.get_batch, numbers))

    def _stream(self) -> tuple[Any, Iterator[Any]]:
        reader = self._pa.ipc.open_stream(self._file)
        return reader.schema, _valid(iter(reader))


def _valid(batches: Iterator[Any]) -> Iterator[Any]:
    """As they are, but of a damaged file: pyarrow takes offsets and codes unseen."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


# ---- Writing ----


def _check_csv(path: str, schema: Any) -> None:
    from pyarrow import types

    for field in schema:
        if types.is_nested(field.type) or types.is_dictionary(field.type):
            plain = not types.is_dictionary(field.type) or types.is_nested(
                field.type.value_type
            )
            if plain:
                raise FileError(
                    f"{path}: column {field.name!r} is a {field.type}, which CSV has "
                    "not; write a .parquet or .arrow file, or leave it out with --columns"
                )


def _writer(pa: Any, kind: str, file: Any, schema: Any) -> Any:
    if kind == "csv":
        from pyarrow import csv

        return csv.CSVWriter(file, schema)
    if kind == "parquet":
        from pyarrow import parquet

        return parquet.ParquetWriter(file, schema)
    return (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(file, schema)


def write(frame: Frame, path: str, *, force: bool = False) -> int:
    """The frame into a file, which is there only when it is whole; returns its size."""
    kind = kind_of(path)
    pa = _pyarrow()
    if os.path.lexists(path) and not force:
        raise FileError(f"{path}: is there already; --force replaces it")
    unfinished = f"{path}.{os.getpid()}.part"
    try:
        with _named(path, _explained):
            reader = pa.RecordBatchReader.from_stream(frame.batches(_BATCH_ROWS))
            if kind == "csv":
                _check_csv(path, reader.schema)
            with Progress(os.path.basename(path), frame.rows, "rows") as bar:
                _copy(pa, kind, reader, unfinished, bar)
            os.replace(unfinished, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)
    return os.path.getsize(path)


def _copy(pa: Any, kind: str, reader: Any, path: str, bar: Progress) -> None:
    done = 0
    with pa.OSFile(path, "wb") as file, _writer(pa, kind, file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            done += batch.num_rows
            bar.at(done)
