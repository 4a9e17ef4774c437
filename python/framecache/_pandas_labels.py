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
    if simple is not None and getattr(value, "tzinfo", None) is None:
        tag, text = simple
        return {tag: text(value)}
    return _pack_pandas(value)


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
        zone = None if value.tz is None else str(value.tz)
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
    about, labels = _describe(index), [pack(label) for label in index]
    if not _identical(unpack_index(about, labels), index):
        raise TypeError(f"labels like {index!r:.200} would not come back as they are")
    return about, labels


def _describe(index: pd.Index[Any]) -> Packed:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        levels = [_describe(level) for level in levels_of(index)]
        for level in levels:
            level.pop("freq", None)  # levels that are joined lose it
        return {"levels": levels}
    about: Packed = {"name": pack(index.name), "dtype": str(index.dtype)}
    if isinstance(index, pd.RangeIndex):
        about["range"] = [index.start, index.stop, index.step]
    if isinstance(index.dtype, pd.StringDtype):
        about["storage"] = index.dtype.storage
    if isinstance(index.dtype, pd.CategoricalDtype):
        categories, labels = pack_index(index.dtype.categories)
        about["categories"] = [categories, labels]
        about["ordered"] = bool(index.dtype.ordered)
    if (freq := frequency_of(index)) is not None:
        about["freq"] = freq
    return about


def unpack_index(about: Packed, labels: list[Any]) -> pd.Index[Any]:
    """The Index of these labels, which may be fewer than were packed."""
    return _build(about, [unpack(label) for label in labels])


def _build(about: Packed, values: list[Any]) -> pd.Index[Any]:
    import pandas as pd

    if "levels" in about:
        levels = about["levels"]
        rows = [[value[number] for value in values] for number in range(len(levels))]
        arrays = [_build(*pair) for pair in zip(levels, rows, strict=True)]
        return pd.MultiIndex.from_arrays(arrays)
    name = unpack(about["name"])
    if "range" in about and list(range(*about["range"])) == values:
        return pd.RangeIndex(*about["range"], name=name)
    dtype = _dtype(about)
    index = pd.Index(values, dtype=dtype, name=name, tupleize_cols=False)
    return with_frequency(index, about.get("freq"))


def _dtype(about: Packed) -> Any:
    import pandas as pd

    if "categories" in about:
        return pd.CategoricalDtype(unpack_index(*about["categories"]), about["ordered"])
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


def with_frequency(level: Any, freq: str | None) -> Any:
    """The frequency again, where the rows of a slice still have it."""
    if freq is None:
        return level
    with contextlib.suppress(ValueError):
        level.freq = freq
    return level


def frequency_of(index: Any) -> str | None:
    """The name of an index's frequency, if it has one.

    Raises
    ------
    TypeError
        The name does not say all of it: a calendar with holidays, say.
    """
    freq = getattr(index, "freq", None)
    if freq is None or index.dtype.kind not in "mM":  # a PeriodIndex has it in its dtype
        return None
    from pandas.tseries.frequencies import to_offset

    name = str(freq.freqstr)
    try:
        same = to_offset(name) == freq
    except ValueError:
        same = False
    if not same:
        raise TypeError(f"the frequency {freq!r} has no name to find it by")
    return name


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


def _identical(one: pd.Index[Any], other: pd.Index[Any]) -> bool:
    import pandas as pd

    if isinstance(one, pd.MultiIndex) and isinstance(other, pd.MultiIndex):
        pairs = zip(levels_of(one), levels_of(other), strict=True)
        return all(_alike(*pair) for pair in pairs)
    same = getattr(one, "freq", None) == getattr(other, "freq", None)
    return type(one) is type(other) and same and _alike(one, other)


def _alike(one: pd.Index[Any], other: pd.Index[Any]) -> bool:
    return (
        one.dtype == other.dtype
        and one.equals(other)
        and pack(one.name) == pack(other.name)
        and list(map(type, one)) == list(map(type, other))
    )
