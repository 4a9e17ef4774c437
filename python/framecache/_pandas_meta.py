"""What pandas knows and Arrow does not, kept in the schema's metadata.

Two keys. ``pandas`` is the one that pyarrow writes and reads: index, dtypes and labels;
so ``pa.table(frame).to_pandas()`` restores them too, and tables that pyarrow made come
back as it would give them. ``framecache`` holds what has no place there: of columns, what
object stood for null, where strings were stored, the categories' dtype, an index's
frequency; labels that are no text; names of levels that are none.
"""

from __future__ import annotations

import json
import re
import struct
from functools import lru_cache
from typing import Any, NamedTuple


class Meta(NamedTuple):
    """What was recorded, by the names of the stored fields."""

    ours: bool  # put from pandas by framecache
    levels: list[Any]  # field names, or the descriptor of a RangeIndex
    columns: dict[str, dict[str, Any]]  # as pyarrow's: name, numpy_type, metadata
    labels: dict[str, Any]  # of the columns: name, numpy_type
    extra: dict[str, dict[str, Any]]  # of fields, ours
    attributes: dict[str, Any]
    plain: bool  # nothing in it that only pyarrow knows to restore
    own: dict[str, Any]  # all of ours
    labels_own: dict[str, Any]  # of the labels, ours


_NOTHING = Meta(False, [], {}, {}, {}, {}, True, {}, {})


def encode(pandas: dict[str, Any], framecache: dict[str, Any]) -> bytes:
    """Both keys in Arrow's encoding of metadata."""
    return encode_pairs(
        [
            (b"pandas", json.dumps(pandas).encode()),
            (b"framecache", json.dumps(framecache).encode()),
        ]
    )


def encode_pairs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Arrow's encoding of metadata."""
    parts = [struct.pack("=i", len(pairs))]
    for pair in pairs:
        for text in pair:
            parts += [struct.pack("=i", len(text)), text]
    return b"".join(parts)


def decode_pairs(metadata: bytes) -> list[tuple[bytes, bytes]]:
    """What `encode_pairs` was given."""
    texts, at = [], 4
    while at < len(metadata):
        (size,) = struct.unpack_from("=i", metadata, at)
        texts.append(metadata[at + 4 : at + 4 + size])
        at += 4 + size
    return list(zip(texts[::2], texts[1::2], strict=True))


def fields_of_objects(metadata: bytes) -> set[str]:
    """The fields that hold objects of any types as JSON, by what `encode` gave."""
    if b'"objects": "values"' not in metadata:
        return set()
    own = json.loads(dict(decode_pairs(metadata))[b"framecache"])
    return {
        name for name, extra in own["columns"].items() if extra.get("objects") == "values"
    }


def read(metadata: dict[bytes, bytes]) -> Meta:
    """What the metadata of a table says; nothing, where it cannot be understood."""
    pandas = metadata.get(b"pandas")
    if pandas is None:
        return _NOTHING
    try:
        return _parse(pandas, metadata.get(b"framecache"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _NOTHING


def zone_of(meta: Meta, field: str) -> str | None:
    """The time zone that pyarrow gives a column of times, whatever is stored."""
    column = meta.columns.get(field)
    if meta.ours or column is None or column.get("pandas_type") != "datetimetz":
        return None
    about = column.get("metadata")
    zone = about.get("timezone") if isinstance(about, dict) else None
    return zone if isinstance(zone, str) else None


def name_of(meta: Meta, field: str) -> Any:
    """The name of a level that is kept as a column."""
    name = meta.columns.get(field, {}).get("name")
    made_up = not meta.ours and name == field and _MADE_UP.fullmatch(field)
    return None if made_up else name


_MADE_UP = re.compile(r"__index_level_\d+__")


def _fields(described: dict[str, Any]) -> list[Any]:
    """What the columns are stored as; old metadata leaves it out, for a level too."""
    levels = [level for level in described["index_columns"] if type(level) is str]
    first = len(described["columns"]) - len(levels)
    fields = []
    for number, column in enumerate(described["columns"]):
        field = column.get("field_name") or column.get("name")
        if not column.get("field_name") and number >= first:
            field = levels[number - first]
        fields.append("None" if field is None else field)
    return fields


@lru_cache(maxsize=256)
def _parse(pandas: bytes, framecache: bytes | None) -> Meta:
    described = json.loads(pandas)
    own = json.loads(framecache) if framecache else {}
    ours = own.get("version") == 1
    columns = dict(zip(_fields(described), described["columns"], strict=True))
    for column in columns.values():
        column.setdefault("numpy_type", "")
    labels = described.get("column_indexes") or [{}]
    return Meta(
        ours=ours,
        levels=described["index_columns"],
        columns=columns,
        labels=labels[0],
        extra=own.get("columns", {}),
        attributes=described.get("attributes") or {},
        plain=ours
        or (
            len(labels) == 1
            and labels[0].get("pandas_type") in (None, "unicode", "empty", "int64")
        ),
        own=own,
        labels_own=own.get("labels") or {},
    )
