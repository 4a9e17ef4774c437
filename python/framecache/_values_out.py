"""Values that are no table, on their way out; see _values_in.py.

What is stored is input: whatever does not fit together is CorruptError. Nothing in a tree
names code to run, but for a pickle, which is read only on demand.
"""

from __future__ import annotations

import datetime
import decimal
import importlib
import json
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ._errors import CorruptError, Error, UnsupportedError
from ._kinds import extension_of, value_of

if TYPE_CHECKING:
    import numpy as np

    from ._frame import Frame

_WRONG = (
    ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AttributeError,
    struct.error,
)  # fmt: skip


class _Passed(Exception):
    """Holds what is no damage: it goes to the caller as it is."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Decoder:
    """One value being decoded, from the columns of a frame."""

    def __init__(self, frame: Frame | None, names: list[str], unpickle: Any) -> None:
        self.frame = frame  # None: the tree stands alone
        self.names = names
        self._unpickle = unpickle
        self._small: memoryview | None = None

    def column(self, name: str) -> memoryview:
        """The bytes of a column; a view keeps the frame leased."""
        position = self.names.index(name)
        assert self.frame is not None
        _, format, *_, values, _, _, _ = self.frame._column(position)
        if format != "Z":
            raise ValueError(f"column {name!r} is not binary")
        return memoryview(b"" if values is None else values)

    def buffer(self, place: Any) -> memoryview:
        """What `Encoder.buffer` gave the place of."""
        if isinstance(place, str):  # of a tree that stands alone
            return memoryview(bytearray.fromhex(place))
        if len(place) == 1:
            return self.column(f"buffer {place[0]:d}")
        offset, count = place
        if self._small is None:
            self._small = self.column("buffers") if count else memoryview(b"")
        if not 0 <= offset <= offset + count <= len(self._small):
            raise ValueError("a buffer beyond the end")
        return self._small[offset : offset + count]

    def bytes(self, node: Any) -> bytes:
        """What `Encoder.bytes` gave, as bytes of its own."""
        return bytes.fromhex(node) if isinstance(node, str) else bytes(self.buffer(node))

    def hook(self, node: dict[str, Any]) -> Any:
        """A tagged node as the value it stands for; its children are values already."""
        if len(node) != 1:
            if self.frame is None:  # the tree stands alone: a dict of texts
                return node
            raise ValueError("an object without one tag")
        for tag, content in node.items():
            return _DECODERS[tag](self, content)

    def pickle(self, content: Any) -> Any:
        if self._unpickle is None:
            raise ValueError("a pickle, where none is put")
        try:
            return self._unpickle(self.bytes(content))
        except Exception as error:
            raise _Passed(error) from None


# ---- Python's own types ----


def _dict(decoder: Decoder, content: Any) -> Any:
    if len(content) % 2:
        raise ValueError("a key without a value")
    return dict(zip(content[::2], content[1::2], strict=True))


def _float(decoder: Decoder, content: Any) -> Any:
    return struct.unpack(">d", bytes.fromhex(content))[0]


def _int(decoder: Decoder, content: Any) -> Any:
    return int(content, 16)


def _str(decoder: Decoder, content: Any) -> Any:
    return decoder.bytes(content).decode("utf-8", "surrogatepass")


def _memoryview(decoder: Decoder, content: Any) -> Any:
    format, shape, place = content
    data = bytes.fromhex(place) if isinstance(place, str) else decoder.buffer(place)
    view = memoryview(data).cast("B")
    if 0 in shape:
        return view.cast(format)
    if len(shape) != 1:
        return view.cast(format, shape)
    view = view.cast(format)
    if view.shape != tuple(shape):
        raise ValueError("another shape")
    return view


def _complex(decoder: Decoder, content: Any) -> Any:
    return complex(*struct.unpack(">dd", bytes.fromhex(content)))


# ---- Times ----


def zone_of(content: Any) -> datetime.tzinfo | None:
    """A time zone by its key, or by an offset and perhaps a name."""
    if content is None:
        return None
    if isinstance(content, str):
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(content)
        except zoneinfo.ZoneInfoNotFoundError as error:
            raise _Passed(
                UnsupportedError(f"this machine has no time zone {content!r}: {error}")
            ) from None
    offset, *name = content
    return datetime.timezone(datetime.timedelta(*offset), *name)


def _datetime(decoder: Decoder, content: Any) -> Any:
    text, fold, zone = content
    value = datetime.datetime.fromisoformat(text)
    return value.replace(fold=fold, tzinfo=zone_of(zone)) if fold or zone else value


def _time(decoder: Decoder, content: Any) -> Any:
    text, fold, zone = content
    value = datetime.time.fromisoformat(text)
    return value.replace(fold=fold, tzinfo=zone_of(zone))


# ---- Other libraries' ----


def _dtype(described: Any) -> np.dtype[Any]:
    import numpy as np

    dtype = np.lib.format.descr_to_dtype(_fields(described))
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    return dtype


def _fields(described: Any) -> Any:
    """JSON has lists for tuples: of a field, of its shape, of a title."""
    if isinstance(described, str):
        return described
    if isinstance(described, tuple):  # a subarray's
        return (_fields(described[0]), tuple(described[1]))
    return [_field(*field) for field in described]


def _field(name: Any, described: Any, *shape: Any) -> Any:
    if isinstance(name, list):
        name = tuple(name)
    return (name, _fields(described), *(tuple(part) for part in shape))


def _array(decoder: Decoder, content: Any) -> Any:
    import numpy as np

    described, shape, order, place = content
    dtype = _dtype(described)
    data = decoder.buffer(place)
    if order not in ("C", "F") or any(length < 0 for length in shape):
        raise ValueError("no such array")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError("an array of another size")
    if not len(data):
        empty = np.zeros(tuple(shape), dtype=dtype, order=order)
        empty.flags.writeable = False
        return empty
    return np.ndarray(tuple(shape), dtype=dtype, buffer=data, order=order)


def _objects(decoder: Decoder, content: Any) -> Any:
    import numpy as np

    shape, items = content
    if math.prod(shape) != len(items):
        raise ValueError("an array of another size")
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = item
    return array.reshape(shape)


def _scalar(decoder: Decoder, content: Any) -> Any:
    import numpy as np

    described, digits = content
    dtype = _dtype(described)
    data = bytes.fromhex(digits)
    if dtype.itemsize != len(data):
        raise ValueError("a scalar of another size")
    array = np.ndarray((), dtype, data) if data else np.zeros((), dtype)
    return array.copy()[()]


def _pandas(decoder: Decoder, content: Any) -> Any:
    import pandas as pd

    return {"NaT": pd.NaT, "<NA>": pd.NA}[content]


def _timestamp(decoder: Decoder, content: Any) -> Any:
    import numpy as np
    import pandas as pd

    count, unit, zone, fold = content
    value = pd.Timestamp(np.datetime64(count, unit))
    if zone is None:
        return value.replace(fold=fold) if fold else value
    return value.tz_localize("UTC").tz_convert(zone_of(zone))


def _pandas_timedelta(decoder: Decoder, content: Any) -> Any:
    import numpy as np
    import pandas as pd

    count, unit = content
    return pd.Timedelta(np.timedelta64(count, unit))


def _period(decoder: Decoder, content: Any) -> Any:
    import pandas as pd

    ordinal, freq = content
    return pd.Period(ordinal=ordinal, freq=freq)


def _interval(decoder: Decoder, content: Any) -> Any:
    import pandas as pd

    return pd.Interval(*content)


def _table(decoder: Decoder, content: Any) -> Any:
    kind, number = content
    position = decoder.names.index(f"table {number:d}")
    assert decoder.frame is not None
    nested = decoder.frame._nested(position)
    value = value_of(nested, kind)
    if value is not nested:
        nested.release()
    return value


def _figure(decoder: Decoder, content: Any) -> Any:
    go: Any = importlib.import_module("plotly.graph_objects")  # has no types
    name, parts = content
    kind = {"Figure": go.Figure, "FigureWidget": go.FigureWidget}[name]
    return kind(parts["data"], parts["layout"], parts.get("frames"), _validate=False)


def _extension(decoder: Decoder, content: Any) -> Any:
    tag, inner = content
    try:
        return extension_of(tag).decode(inner)
    except Exception as error:
        raise _Passed(error) from None


_DECODERS: dict[str, Callable[[Decoder, Any], Any]] = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bytes": Decoder.bytes,
    "bytearray": lambda decoder, content: bytearray(decoder.bytes(content)),
    "memoryview": _memoryview,
    "tuple": lambda decoder, content: tuple(content),
    "set": lambda decoder, content: set(content),
    "frozenset": lambda decoder, content: frozenset(content),
    "dict": _dict,
    "datetime": _datetime,
    "time": _time,
    "date": lambda decoder, content: datetime.date.fromisoformat(content),
    "timedelta": lambda decoder, content: datetime.timedelta(*content),
    "zone": lambda decoder, content: zone_of(content),
    "decimal": lambda decoder, content: decimal.Decimal(content),
    "uuid": lambda decoder, content: uuid.UUID(content),
    "complex": _complex,
    "array": _array,
    "objects": _objects,
    "scalar": _scalar,
    "dtype": lambda decoder, content: _dtype(content),
    "pandas": _pandas,
    "timestamp": _timestamp,
    "pandas.timedelta": _pandas_timedelta,
    "period": _period,
    "interval": _interval,
    "table": _table,
    "figure": _figure,
    "extension": _extension,
    "pickle": Decoder.pickle,
}


# Tags that need nothing but their content.
_QUICK = {
    tag: _DECODERS[tag]
    for tag in (
        "dict", "tuple", "set", "frozenset", "int", "float", "complex", "date",
        "datetime", "time", "timedelta", "decimal", "uuid",
    )
}  # fmt: skip


class _Slow(Exception):
    """A tag that needs the frame."""


def _quick_hook(node: dict[str, Any]) -> Any:
    if len(node) == 1:
        for tag, content in node.items():
            made = _QUICK.get(tag)
            if made is not None:
                return made(None, content)  # type: ignore[arg-type]
    raise _Slow


def _quick_hook_alone(node: dict[str, Any]) -> Any:
    return _quick_hook(node) if len(node) == 1 else node


_quick: Any = json.JSONDecoder(object_hook=_quick_hook)  # made once
_quick_alone: Any = json.JSONDecoder(object_hook=_quick_hook_alone)


def _tree_value(tree: str, decoder: Decoder) -> Any:
    quick = _quick if decoder.frame is not None else _quick_alone
    try:
        value, end = quick.scan_once(tree, 0)
        if end == len(tree):
            return value
    except (_Slow, StopIteration):
        pass
    return json.loads(tree, object_hook=decoder.hook)


def decode(frame: Frame, names: list[str], unpickle: Callable[[bytes], Any]) -> Any:
    """The value in a frame.

    Raises
    ------
    CorruptError
        What is stored is no value.
    UnsupportedError
        A type or a time zone is not known in this process.
    """
    decoder = Decoder(frame, names, unpickle)
    with _damage(f"key {frame.key!r} holds a damaged value"):
        tree = str(decoder.column("tree"), "utf-8")
        return _tree_value(tree, decoder)


def decode_alone(tree: str, what: str) -> Any:
    """What `encode_alone` gave, or a list of such; `what` holds it, for the message.

    Raises
    ------
    CorruptError, UnsupportedError
        As `decode`.
    """
    with _damage(f"{what} holds damaged values"):
        return _tree_value(tree, Decoder(None, [], None))


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Whatever does not fit together is CorruptError."""
    try:
        yield
    except _Passed as passed:
        raise passed.error from passed.error.__cause__
    except Error:
        raise
    except _WRONG as error:
        raise CorruptError(f"{what} ({error}): delete it, and put it again") from error
