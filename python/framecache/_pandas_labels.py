"""Labels of any kind (names of columns, of levels) as JSON, and an Index of them.

What JSON has of its own stands as it is; everything else is a dict of one tag. Who packs
an Index compares what unpacking gives, so that a label comes back or is refused.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ._values_in import encode_alone
from ._values_out import decode_alone

if TYPE_CHECKING:
    import pandas as pd

Packed = dict[str, Any]


def pack(value: Any) -> Any:
    """A label as JSON has it; TypeError if it is of no kind that comes back."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is tuple:
        return {"tuple": [pack(item) for item in value]}
    simple = _simple().get(type(value))
    if simple is not None and not _is_placed(value):
        tag, text = simple
        return {tag: text(value)}
    return _pack_pandas(value)


def _is_placed(value: Any) -> bool:
    """A time with a zone or in a repeated hour, which its ISO form does not tell."""
    return getattr(value, "tzinfo", None) is not None or getattr(value, "fold", 0) != 0


@lru_cache(maxsize=1)
def _simple() -> dict[type, tuple[str, Callable[[Any], str]]]:
    import decimal
    import uuid

    return {
        bytes: ("bytes", bytes.hex),
        complex: ("complex", repr),
        datetime.date: ("date", datetime.date.isoformat),
        datetime.time: ("time", datetime.time.isoformat),
        datetime.datetime: ("datetime", datetime.datetime.isoformat),
        decimal.Decimal: ("decimal", str),
        uuid.UUID: ("uuid", str),
    }


def _pack_pandas(value: Any) -> Packed:
    import numpy as np
    import pandas as pd

    if value is pd.NA or value is pd.NaT:
        return {"missing": str(value)}
    if isinstance(value, pd.Timestamp):
        zone = None if value.tz is None else zone_name(value.tz)
        return {"timestamp": [int(value.asm8.view("i8")), value.unit, zone]}
    if isinstance(value, pd.Timedelta):
        return {"timedelta": [int(value.asm8.view("i8")), value.unit]}
    if isinstance(value, pd.Period):
        return {"period": [value.ordinal, value.freqstr]}
    if isinstance(value, pd.Interval):
        return {"interval": [pack(value.left), pack(value.right), value.closed]}
    if isinstance(value, np.generic) and value.dtype.kind in "biufcmM":
        return {"numpy": [value.dtype.str, value.tobytes().hex()]}
    return {"value": encode_alone(value, f"a label {value!r}").decode()}


def unpack(packed: Any) -> Any:
    """The label again."""
    if not isinstance(packed, dict):
        return packed
    ((tag, content),) = packed.items()
    if tag == "float":
        return float.fromhex(content)
    if tag == "tuple":
        return tuple(unpack(item) for item in content)
    simple = _parsers().get(tag)
    return simple(content) if simple is not None else _unpack_pandas(tag, content)


@lru_cache(maxsize=1)
def _parsers() -> dict[str, Callable[[str], Any]]:
    import decimal
    import uuid

    return {
        "bytes": bytes.fromhex,
        "complex": complex,
        "date": datetime.date.fromisoformat,
        "time": datetime.time.fromisoformat,
        "datetime": datetime.datetime.fromisoformat,
        "decimal": decimal.Decimal,
        "uuid": uuid.UUID,
    }


def _unpack_pandas(tag: str, content: Any) -> Any:
    import numpy as np
    import pandas as pd

    if tag == "missing":
        return pd.NA if content == "<NA>" else pd.NaT
    if tag == "timestamp":
        value, unit, zone = content
        stamp = pd.Timestamp(np.datetime64(value, unit))
        return stamp if zone is None else stamp.tz_localize("UTC").tz_convert(zone)
    if tag == "timedelta":
        return pd.Timedelta(np.timedelta64(*content))
    if tag == "period":
        return pd.Period(ordinal=content[0], freq=content[1])
    if tag == "interval":
        return pd.Interval(unpack(content[0]), unpack(content[1]), content[2])
    if tag == "numpy":
        return np.frombuffer(bytes.fromhex(content[1]), dtype=content[0])[0]
    if tag == "value":
        return decode_alone(content, "the labels")
    raise ValueError(f"no label is tagged {tag!r}")


# ---- An Index of labels ----


def pack_index(index: pd.Index[Any]) -> tuple[Packed, list[Any]]:
    """An Index: what it is, and each label packed.

    Raises
    ------
    TypeError
        It would not come back as it is.
    """
    about, labels = _describe(index)
    try:
        back = unpack_index(about, labels)
        same = type(back) is type(index) and _describe(back) == (about, labels)
    except (ValueError, LookupError, TypeError, OverflowError):
        same = False
    if not same or (back.dtype != index.dtype and index.nlevels == 1):
        raise TypeError(f"labels like {index!r:.200} would not come back as they are")
    return about, labels


def _describe(index: pd.Index[Any]) -> tuple[Packed, list[Any]]:
    import pandas as pd

    if not isinstance(index, pd.MultiIndex):
        return _describe_flat(index), [pack(label) for label in index]
    codes = [list(map(int, codes)) for codes in index.codes]
    return {
        "multi": [pack_index(level.rename(None)) for level in index.levels],
        "names": [pack(name) for name in index.names],
    }, [list(row) for row in zip(*codes, strict=True)]


def _describe_flat(index: pd.Index[Any]) -> Packed:
    import pandas as pd

    about: Packed = {"name": pack(index.name), "dtype": str(index.dtype)}
    if isinstance(index, pd.RangeIndex):
        about["range"] = [index.start, index.stop, index.step]
    if isinstance(index.dtype, pd.StringDtype):
        about["storage"] = index.dtype.storage
    if isinstance(index.dtype, pd.ArrowDtype):
        about["arrow"] = type_text(index.dtype.pyarrow_dtype)
    if isinstance(index.dtype, pd.CategoricalDtype):
        categories, labels = pack_index(index.dtype.categories)
        about["categories"] = [categories, labels]
        about["ordered"] = bool(index.dtype.ordered)
    return {**about, **frequency_of(index)}


def unpack_index(about: Packed, labels: list[Any]) -> pd.Index[Any]:
    """The Index of these labels, which may be fewer than were packed."""
    import pandas as pd

    if "multi" not in about:
        return _build(about, [unpack(label) for label in labels])
    return pd.MultiIndex(
        levels=[unpack_index(*level) for level in about["multi"]],
        codes=[[row[number] for row in labels] for number in range(len(about["multi"]))],
        names=[unpack(name) for name in about["names"]],
    )


def _build(about: Packed, values: list[Any]) -> pd.Index[Any]:
    import pandas as pd

    if "levels" in about:  # as it was written before
        levels = about["levels"]
        rows = [[value[number] for value in values] for number in range(len(levels))]
        arrays = [_build(*pair) for pair in zip(levels, rows, strict=True)]
        return pd.MultiIndex.from_arrays(arrays)
    name = unpack(about["name"])
    if "range" in about and list(range(*about["range"])) == values:
        return pd.RangeIndex(*about["range"], name=name)
    dtype = _dtype(about)
    index = pd.Index(values, dtype=dtype, name=name, tupleize_cols=False)
    return with_frequency(index, about)


def _dtype(about: Packed) -> Any:
    import pandas as pd

    if "categories" in about:
        return pd.CategoricalDtype(unpack_index(*about["categories"]), about["ordered"])
    if "arrow" in about:
        return pd.ArrowDtype(type_of(about["arrow"]))
    if "storage" in about:
        return string_dtype(about["dtype"], about["storage"])
    return pd.api.types.pandas_dtype(about["dtype"])


def string_dtype(recorded: str, storage: str | None) -> Any:
    """pandas' dtype of strings: `recorded` is its name, "str" or "string"."""
    import pandas as pd

    storage = storage or ("pyarrow" if has_pyarrow() else "python")
    nullable = recorded.startswith("string")
    if _release(pd.__version__) >= (2, 3):  # it takes na_value
        missing = pd.NA if nullable else float("nan")
        return pd.StringDtype(storage, na_value=missing)
    if nullable or storage != "pyarrow":  # before 2.3 a storage of its own says NaN
        return pd.StringDtype(storage)
    return pd.StringDtype("pyarrow_numpy")


@lru_cache(maxsize=1)
def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")[:2]))


def infers_str() -> bool:
    """Whether pandas makes its `str` of strings that come without a dtype."""
    import pandas as pd

    if _release(pd.__version__) >= (3, 0):
        return True
    return bool(pd.get_option("future.infer_string"))


def has_pyarrow() -> bool:
    """Whether pyarrow can be imported."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def with_frequency(level: Any, about: Packed) -> Any:
    """The frequency again, where the rows of a slice still have it.

    Of labels in categories it is the categories' frequency, and not theirs.
    """
    freq = about.get("freq")
    if freq is None or level.dtype.kind not in "mM":
        return level
    if "freq_of" in about:  # see `frequency_of`
        if _ends(level) == about["freq_of"]:  # from 3.1 on it is the index's own
            holder = level if hasattr(type(level), "_freq") else level._data
            holder._freq = _offset(freq)
        return level
    with contextlib.suppress(ValueError):
        level.freq = freq
    return level


def frequency_of(index: Any) -> Packed:
    """What to remember of an index's frequency, if it has one.

    pandas itself gives indexes a frequency that it refuses for their values: days in a
    zone whose clock changes at midnight. Of these the rows are remembered, and who has
    the same ones gets the frequency without a look at them.

    Raises
    ------
    TypeError
        The name does not say all of it: a calendar with holidays, say.
    """
    freq = getattr(index, "freq", None)
    if freq is None or index.dtype.kind not in "mM":  # a PeriodIndex has it in its dtype
        return {}
    name = str(freq.freqstr)
    try:
        same = _offset(name) == freq
    except ValueError:
        same = False
    if not same:
        raise TypeError(f"the frequency {freq!r} has no name to find it by")
    if getattr(index.dtype, "tz", None) is None or _holds(index, name):
        return {"freq": name}
    return {"freq": name, "freq_of": _ends(index)}


def about_labels(index: pd.Index[Any]) -> Packed:
    """What the values of a level, or of categories, do not tell.

    Raises
    ------
    TypeError
        Its frequency has no name.
    """
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return {"span": [index.start, index.stop, index.step]}
    return frequency_of(index)


def as_it_was(index: Any, about: Packed) -> Any:
    """With the frequency, or as a range again, so far as its values have it."""
    import pandas as pd

    if "span" in about and index.dtype.kind == "i":
        span = range(*about["span"])
        same = len(span) == len(index) and list(span) == index.tolist()
        return pd.RangeIndex.from_range(span, name=index.name) if same else index
    return with_frequency(index, about)


def _offset(name: str) -> Any:
    from pandas.tseries.frequencies import to_offset

    return to_offset(name)


def _holds(index: Any, freq: str) -> bool:
    """Whether pandas takes the frequency for these values."""
    bare = index.copy(deep=True)
    bare.freq = None
    try:
        bare.freq = freq
    except ValueError:
        return False
    return True


def _ends(index: Any) -> list[Any]:
    """Rows, first and last instant: enough to know an index that was put by."""
    values = index.asi8
    return [len(values), *map(int, values[[0, -1]])] if len(values) else [0]


def levels_of(index: pd.Index[Any]) -> list[pd.Index[Any]]:
    """The values of each level, whatever the levels are named."""
    import pandas as pd

    if not isinstance(index, pd.MultiIndex):
        return [index]
    bare = index.rename([None] * index.nlevels)
    return [
        bare.get_level_values(number).rename(name)
        for number, name in enumerate(index.names)
    ]


# ---- Names of dtypes, zones and types ----


def has_name(dtype: Any) -> bool:
    """Whether pandas finds this very dtype by its text."""
    import pandas as pd

    try:
        return bool(pd.api.types.pandas_dtype(str(dtype)) == dtype)
    except (TypeError, ValueError, LookupError):
        return False


def zone_name(zone: Any) -> str:
    """The name by which pandas finds this very time zone.

    Raises
    ------
    TypeError
        It has none: one of dateutil, a fixed offset of pytz, one of another's name.
    """
    import pandas as pd

    name = str(zone)
    try:
        same = pd.DatetimeTZDtype("ns", name) == pd.DatetimeTZDtype("ns", zone)
    except Exception:  # what whoever made the zone raises
        same = False
    if not same:
        raise TypeError(f"time zone {zone!r} has no name to find it by")
    return name


def type_text(dtype: Any) -> str:
    """The type so that `type_of` finds it: its alias, or as a schema's bytes."""
    import base64

    import pyarrow as pa

    try:
        if pa.type_for_alias(str(dtype)) == dtype:
            return str(dtype)
    except ValueError:
        pass
    schema = pa.schema([pa.field("", dtype)]).serialize().to_pybytes()
    return "schema:" + base64.b64encode(schema).decode()


@lru_cache(maxsize=256)
def type_of(recorded: str) -> Any:
    """The type of pyarrow that `type_text` wrote down."""
    import base64

    import pyarrow as pa

    if not recorded.startswith("schema:"):
        return pa.type_for_alias(recorded)
    schema = pa.py_buffer(base64.b64decode(recorded.removeprefix("schema:")))
    return pa.ipc.read_schema(schema).field(0).type
