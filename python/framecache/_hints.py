"""What to call instead, for what is put by mistake: who gets here has time for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from . import _extras

_READER = "fetch_record_batch"  # of DuckDB's connections and ADBC's cursors


def _family(value: Any) -> set[str]:
    """Full names of its class and those above: without importing anything."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__}


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0].lstrip("_")


def _connection(value: Any) -> str | None:
    kind = type(value).__name__
    if _library(value) == "duckdb":
        reader = _READER if hasattr(value, _READER) else "to_arrow_reader"
        return (
            "put what it finds: connection.sql(query), or "
            f"connection.execute(query).{reader}()"
        )
    if "adbc" in type(value).__module__ or "adbc" in kind.lower():
        cursor = "cursor" if hasattr(value, "fetchall") else "connection.cursor()"
        return f"put what it finds: {cursor}.execute(query), then .{_READER}()"
    if hasattr(value, "fetchall") and hasattr(value, "description"):
        return "put what it finds: pd.read_sql(query, connection)"
    if callable(getattr(value, "cursor", None)) and hasattr(value, "commit"):
        return "put what it finds: pd.read_sql(query, connection)"
    return None


def _pyarrow(value: Any) -> str | None:
    names = _family(value)
    if "pyarrow._dataset.Dataset" in names:
        return "put its batches: dataset.scanner().to_reader()"
    if "pyarrow._dataset.Scanner" in names:
        return "put its batches: scanner.to_reader()"
    if "pyarrow.parquet.core.ParquetFile" in names:
        return "put its table: file.read()"
    if "pyarrow.lib.Schema" in names:
        return "it has no rows; Cache.build makes a frame of a schema"
    return None


def _lazy(value: Any) -> str | None:
    kind = type(value).__name__
    if kind.endswith("GroupBy"):
        return f"put what it gives: .{_aggregate(value)}(...)"
    for name in ("compute", "toPandas", "to_pandas", "to_arrow"):
        if callable(getattr(value, name, None)):
            return f"put the table it gives: .{name}()"
    return None


def _aggregate(value: Any) -> str:
    return "agg" if hasattr(value, "agg") else "aggregate"


def _plain(value: Any) -> str | None:
    if isinstance(value, (str, bytes)):
        return "of a file put what a reader makes of it, such as pd.read_csv(path)"
    if isinstance(value, (dict, list, tuple)):
        return "make a table of it, pd.DataFrame(...) or pa.table(...)"
    if _library(value) == "numpy" and hasattr(value, "dtype"):
        return "make a table of it, pd.DataFrame(array)"
    if hasattr(value, "__await__"):
        return "await it first"
    if callable(value):
        return "call it: get_or_compute(key, function) does when need be"
    return None


def _old(value: Any) -> str | None:
    library = _library(value)
    if library not in _extras.LEAST or library not in sys.modules:
        return None
    return _extras.too_old(library)


_HINTS: tuple[Callable[[Any], str | None], ...] = (
    _connection, _pyarrow, _old, _lazy, _plain,
)  # fmt: skip


def hint(value: Any) -> str | None:
    """The right call, where one is known."""
    return next(filter(None, (known(value) for known in _HINTS)), None)


def for_values(value: Any) -> str | None:
    """As `hint`, of what is no value either."""
    known = (_connection, _pyarrow, _old, _lazy)
    return next(filter(None, (one(value) for one in known)), None)


def _named(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def no_table(key: Any, value: Any) -> TypeError:
    """What `Cache.put` raises."""
    if isinstance(value, (str, bytes)) and not isinstance(key, (str, bytes)):
        return no_key(key)
    known = hint(value)
    more = f": {known}. " if known else ". "
    return TypeError(
        f"{_named(value)} is no table{more}put takes pandas objects, numpy's structured "
        "arrays and what has __arrow_c_stream__ or __arrow_c_array__ (polars, pyarrow, "
        "DuckDB); put_value takes other values"
    )


def no_key(key: Any) -> TypeError:
    """What whoever takes a key raises for what is none."""
    return TypeError(f"a key is str or bytes, and comes first; this is {type(key)!r}")
