"""framecache: data frames in shared memory, read by every process without a copy.

Durations: seconds as a number, text such as ``"10m"`` or ``"never"``, or a timedelta;
None is the cache's default (``FRAMECACHE_TTL``), and 0 or less is a ValueError. Keys: str
(as UTF-8) or bytes, 1 to 1,024 bytes; they come back as str. A `Cache` and a `Frame` may
be used from any thread and after fork. The GIL is released around whatever may block or
copy.

>>> import framecache
>>> cache = framecache.Cache(budget="1GiB")         # doctest: +SKIP
>>> cache.put("flights", df, ttl="1h")              # doctest: +SKIP
>>> frame = cache["flights"]                        # doctest: +SKIP
>>> frame.to_pandas()                               # doctest: +SKIP
"""

import os as _os

from . import _core
from ._cache import Cache, doctor
from ._errors import (
    AccessError,
    BudgetError,
    BusyError,
    ClosedError,
    ColumnError,
    ColumnTypeError,
    ConflictError,
    CorruptError,
    DeadlockError,
    Deleted,
    Error,
    Evicted,
    Expired,
    InvalidError,
    MissError,
    NeverExisted,
    NoSpaceError,
    ResourceError,
    SystemCallError,
    UnsupportedError,
    VersionError,
    WaitTimeout,
)
from ._errors import (
    make as _make,
)
from ._frame import Column, Frame, Schema
from ._lazy import load as _load

__version__: str = _core.version

__all__ = [
    "AccessError",
    "AsyncMemoized",
    "BudgetError",
    "Builder",
    "BusyError",
    "Cache",
    "ClosedError",
    "Column",
    "ColumnError",
    "ColumnTypeError",
    "ConflictError",
    "CorruptError",
    "DeadlockError",
    "Deleted",
    "Error",
    "Evicted",
    "Expired",
    "Frame",
    "InvalidError",
    "Memoized",
    "MissError",
    "Namespace",
    "NeverExisted",
    "NoSpaceError",
    "Refresher",
    "ResourceError",
    "Schema",
    "SystemCallError",
    "UnsupportedError",
    "VersionError",
    "WaitTimeout",
    "content_hash",
    "doctor",
    "get_include",
    "refresh",
    "register",
]

_core.configure(Frame, _make)


def get_include() -> str:
    """The directory of the C headers, for ``#include <framecache/framecache.h>``.

    Returns
    -------
    str
    """
    return _os.path.join(_os.path.dirname(__file__), "include")


_LATE = {
    "AsyncMemoized": "._memoize",
    "Builder": "._build",
    "Memoized": "._memoize",
    "Namespace": "._namespace",
    "Refresher": "._refresh",
    "content_hash": "._keys",
    "refresh": "._refresh",
    "register": "._values",
}


def __getattr__(name: str) -> object:
    """What opening a cache, put and get do not need is imported when asked for."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(_load(_LATE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
