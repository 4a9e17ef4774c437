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

# All modules of the package now: were one imported by a thread, a child forked meanwhile
# would find its import lock taken for ever. None imports numpy or pandas by itself.
from . import _core, _pandas_out, _structured  # noqa: F401
from ._build import Builder
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
from ._keys import content_hash
from ._memoize import AsyncMemoized, Memoized
from ._namespace import Namespace
from ._refresh import Refresher, refresh
from ._values import register

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


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
