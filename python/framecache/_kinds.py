"""Which kind of table was put, kept in the schema's metadata, so that it comes back so.

``framecache.kind`` stands there for a Frame, polars and a RecordBatch. Without it, the
``framecache`` key of _pandas_meta.py names the kinds of pandas; without that too, it is a
Table of pyarrow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from . import _extras
from ._errors import UnsupportedError
from ._frame import Frame, Layout, layout_of

_KEY = b"framecache.kind"
_EXTENSION = "extension:"  # inner kind, and tag, of a type that is stored as a table


class Extension(NamedTuple):
    """A type that `framecache.register` made known."""

    type: type
    tag: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


extensions: dict[type, Extension] = {}
extension_tags: dict[str, Extension] = {}


def extension_of(tag: str) -> Extension:
    """The type that was registered with the tag; UnsupportedError: none was."""
    extension = extension_tags.get(tag)
    if extension is None:
        raise UnsupportedError(
            f"a value of the tag {tag!r}, which is not known here: call "
            "framecache.register() for it as the process did that put it"
        )
    return extension


def kind_of(value: Any) -> tuple[str | None, Any]:
    """The kind to record for what has ``__arrow_c_stream__``, and what to put for it."""
    if isinstance(value, Frame):
        return "frame", value
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.DataFrame):
        return "polars", _fit(value)
    if polars is not None and isinstance(value, polars.Series):
        return "polars.series", _fit(value.to_frame())
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(value, pyarrow.RecordBatch):
        return "pyarrow.batch", value
    if pyarrow is not None and isinstance(
        value, (pyarrow.Table, pyarrow.RecordBatchReader)
    ):
        ours = b"framecache" in (value.schema.metadata or {})
        return ("pyarrow" if ours else None), value  # was pandas once, and is no more
    return None, value


def _fit(table: Any) -> Any:
    from . import _polars

    _polars.check(table)
    return table


def collected(value: Any) -> Any:
    """A LazyFrame of polars is a query: its result. Anything else: itself."""
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.LazyFrame):
        return value.collect()
    return value


def is_table(value: Any) -> bool:
    """Whether `Cache.put` takes it."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(
        value, (pandas.DataFrame, pandas.Series, pandas.Index)
    ):
        return True
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def kind_with(tag: str | None, inner: str | None) -> str | None:
    """The kind to record of a table that a registered type became."""
    return inner if tag is None else f"{_EXTENSION}{inner or ''}:{tag}"


def mark(metadata: bytes, tag: str) -> bytes:
    """Encoded metadata whose kind says the tag too."""
    from ._pandas_meta import decode_pairs, encode_pairs

    pairs = dict(decode_pairs(metadata))
    kind = kind_with(tag, pairs.pop(_KEY, b"").decode())
    return encode_pairs([*pairs.items(), (_KEY, str(kind).encode())])


def with_stream(value: Any) -> Any:
    """What has only ``__arrow_c_array__`` as what has a stream, which can be marked."""
    if hasattr(value, "__arrow_c_stream__") or not hasattr(value, "__arrow_c_array__"):
        return value
    import pyarrow as pa

    return pa.record_batch(value)


def recorded(metadata: dict[bytes, bytes]) -> str:
    """The kind that was put: "dataframe", "polars", "value", "pyarrow" and the like."""
    marked = metadata.get(_KEY)
    if marked is not None:
        return marked.decode("utf-8", "replace")
    own = metadata.get(b"framecache")
    return "pyarrow" if own is None else _of_pandas(own)


@lru_cache(maxsize=256)
def _of_pandas(text: bytes) -> str:
    try:
        own = json.loads(text)
        return str(own["kind"]) if own["version"] == 1 else "pyarrow"
    except (KeyError, ValueError, TypeError):
        return "pyarrow"


def kind_in(layout: Layout) -> str:
    """`recorded`, remembered: frames of equal schemas share the layout."""
    if layout.kind is None:
        layout.kind = recorded(layout.metadata)
    return layout.kind


def value_of(frame: Frame, kind: str | None = None) -> Any:
    """What `Frame.to_value` gives; `kind` if it stands elsewhere."""
    if kind is None:
        layout = layout_of(frame)
        if layout.decode is not None:
            return layout.decode(frame)
        kind = kind_in(layout)
        if kind == "dataframe":  # often asked for: the next time at once
            _extras.need("pandas", "a DataFrame that was put")
            from . import _pandas_out

            layout.decode = _pandas_out.dataframe
    if kind.startswith(_EXTENSION):
        return _registered(frame, kind)
    if kind == "frame":
        return frame
    if kind == "value":
        from . import _values

        return _values.load(frame)
    if kind == "numpy":
        return frame.to_numpy()
    if kind == "polars":
        return frame.to_polars()
    if kind == "polars.series":
        return frame.to_polars().to_series()
    if kind.partition(".")[0] in ("dataframe", "series", "index", "multiindex"):
        _extras.need("pandas", f"a {kind.partition('.')[0]} that was put")
        from . import _pandas_out

        return _pandas_out.value(frame, kind)
    try:
        import pyarrow as pa
    except ImportError:
        return frame
    return pa.record_batch(frame) if kind == "pyarrow.batch" else frame.to_arrow()


def _registered(frame: Frame, kind: str) -> Any:
    """What a registered type makes of the table that it became."""
    _, inner, tag = kind.split(":", 2)
    extension = extension_of(tag)
    if inner == "frame":
        return extension.decode(frame.slice(0, frame.rows))  # which it may keep
    if not inner:
        own = {k: v for k, v in layout_of(frame).metadata.items() if k != _KEY}
        inner = recorded(own)
    return extension.decode(value_of(frame, inner))
