"""framecache: data frames in shared memory, read by every process without a copy.

Durations: seconds as a number, text such as ``"10m"`` or ``"never"``, or a timedelta;
None is the cache's default (``FRAMECACHE_TTL``), and 0 or less is a ValueError. Keys: str
(as UTF-8) or bytes, 1 to 1,024 bytes; they come back as str. A Cache and a Frame may be
used from any thread and after fork. The GIL is released around what may block or copy.
"""

import builtins
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import timedelta
from os import PathLike
from types import TracebackType
from typing import (
    Any,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    SupportsIndex,
    TypedDict,
    TypeVar,
    final,
    overload,
)

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")
Key = str | bytes
Duration = float | str | timedelta
Reason = Literal["never", "expired", "evicted", "deleted", "invalidated", "corrupt"]
Mode = Literal["cow", "readonly", "copy"]

__version__: str

def get_include() -> str: ...

class ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class ArrowArray(Protocol):
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...

class ArrowSchema(Protocol):
    def __arrow_c_schema__(self) -> object: ...

Table = (
    ArrowStream
    | ArrowArray
    | pd.DataFrame
    | pd.Series[Any]
    | pd.Index[Any]
    | pl.LazyFrame
    | np.ndarray[Any, Any]  # structured
)

# ---- Errors: one class per FC_E code, each also the builtin that people catch ----

class Error(Exception):
    code: str  # "FC_E_BUDGET"
    sys_errno: int

class MissError(Error, KeyError):
    """No frame under this key; the four below say why."""

    key: str
    reason: Reason
    age: float | None  # seconds since it went

class NeverExisted(MissError): ...
class Expired(MissError): ...
class Evicted(MissError): ...
class Deleted(MissError): ...

class BudgetError(Error, MemoryError):
    asked_bytes: int
    budget_bytes: int
    used_bytes: int
    leased_bytes: int
    zombie_bytes: int

class InvalidError(Error, ValueError): ...

class ColumnTypeError(Error, TypeError):
    column: str | None

    def __init__(self, message: str = "", column: str | None = None) -> None: ...

class ColumnError(Error, KeyError): ...
class NoSpaceError(Error, OSError): ...
class AccessError(Error, PermissionError): ...
class CorruptError(Error): ...
class VersionError(Error): ...
class UnsupportedError(Error): ...
class BusyError(Error): ...
class WaitTimeout(Error, TimeoutError): ...
class DeadlockError(Error, RuntimeError): ...
class ConflictError(Error): ...
class ClosedError(Error, ValueError): ...
class ResourceError(Error, MemoryError): ...  # FC_E_NOMEM
class SystemCallError(Error, OSError): ...

# ---- Frames ----

class Info(TypedDict):
    key: str
    sequence: int
    rows: int
    columns: int
    bytes: int
    shared_bytes: int  # of these in columns that other frames hold too; 0 in infos()
    created: float  # seconds since 1970
    used: float
    expires: float | None
    stale_until: float | None
    cost: float | None  # seconds
    uses: int
    stale: bool
    cold: bool
    tags: list[str]
    leased: bool | None  # by anybody; None, from Cache.info(): not looked for

@final
class Schema:
    """Names and types; ``pa.schema(schema)`` makes it pyarrow's."""

    @property
    def names(self) -> list[str]: ...
    @property
    def formats(self) -> list[str]: ...  # Arrow format strings
    @property
    def metadata(self) -> Mapping[bytes, bytes]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __copy__(self) -> Schema: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Schema: ...
    def __len__(self) -> int: ...

@final
class Column:
    """One column of a Frame, borrowed; whatever it exports keeps the lease."""

    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def null_count(self) -> int: ...
    @property
    def min(self) -> Any | None: ...
    @property
    def max(self) -> Any | None: ...
    @property
    def shape(self) -> tuple[int]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, row: slice) -> Column: ...
    @overload
    def __getitem__(self, row: SupportsIndex) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __copy__(self) -> Column: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Column: ...
    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...
    def to_numpy(self, mode: Mode = "readonly") -> np.ndarray[Any, Any]: ...
    def to_pandas(self, mode: Mode = "cow") -> pd.Series[Any]: ...
    def to_arrow(self) -> pa.Array[Any]: ...
    def to_polars(self) -> pl.Series: ...

@final
class Frame:
    """An immutable table, leased while this object or anything made from it lives."""

    @property
    def key(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> list[str]: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def info(self) -> Info: ...
    @property
    def is_stale(self) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> NoReturn: ...  # neither rows nor columns by itself
    def __reversed__(self) -> NoReturn: ...
    def __array__(self, dtype: object = None, copy: object = None) -> NoReturn: ...
    def __copy__(self) -> Frame: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Frame: ...
    @overload
    def __getitem__(self, what: str | int) -> Column: ...
    @overload
    def __getitem__(
        self, what: builtins.slice | list[str] | list[int] | list[str | int]
    ) -> Frame: ...
    def select(self, columns: Sequence[str | int]) -> Frame: ...
    def slice(self, offset: int, length: int | None = None) -> Frame: ...
    def head(self, n: int = 5) -> Frame: ...
    def batches(self, rows: int) -> ArrowStream: ...
    def content_hash(self) -> bytes: ...  # 16 bytes, XXH3-128
    def to_pandas(
        self,
        mode: Mode = "cow",
        *,
        dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None,
        require_zero_copy: bool = False,
    ) -> pd.DataFrame: ...
    def to_polars(self) -> pl.DataFrame: ...
    def to_arrow(self) -> pa.Table: ...
    def to_numpy(self) -> np.ndarray[Any, Any]: ...  # structured; a copy
    def to_value(self) -> Any: ...  # the kind that was put
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def release(self) -> None: ...  # what was exported stays valid
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def _repr_html_(self) -> str: ...

@final
class Builder:
    """A frame being filled in place. Leaving the ``with`` commits, errors abort."""

    @property
    def rows(self) -> int: ...  # capacity
    @property
    def frame(self) -> Frame: ...  # after commit
    # Writable; columns of fixed width only.
    def __getitem__(self, column: str | int) -> np.ndarray[Any, Any]: ...
    def __setitem__(self, column: str | int, values: Any) -> None: ...
    def set_nulls(self, column: str | int, mask: np.ndarray[Any, Any]) -> None: ...
    def extend(self, column: str | int, values: Iterable[str | bytes | None]) -> None: ...
    def reserve(self, column: str | int, nbytes: int) -> None: ...
    def commit(self, rows: int | None = None) -> Frame: ...
    def abort(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

# ---- memoize ----

class CacheInfo(TypedDict):  # of this process
    hits: int
    misses: int
    stale_hits: int
    computed: int

class Memoized(Generic[P, R]):
    __wrapped__: Callable[P, R]
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __get__(self, instance: object, owner: type | None = None) -> Any: ...
    def cache_key(self, *args: Any, **kwargs: Any) -> str: ...
    def cache_clear(self, *args: Any, **kwargs: Any) -> int: ...  # none: all results
    def cache_info(self) -> CacheInfo: ...

class AsyncMemoized(Memoized[P, Coroutine[Any, Any, R]]):
    """Of a coroutine function; each call gives a new coroutine."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

class _Memoize(Protocol):
    @overload
    def __call__(
        self, f: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncMemoized[P, R]: ...
    @overload
    def __call__(self, f: Callable[P, R], /) -> Memoized[P, R]: ...

# ---- Cache and namespace ----

class Finding(TypedDict):
    level: Literal["error", "warning", "info"]
    subject: str
    text: str
    remedy: str | None

class Holder(TypedDict):
    key: str | None  # None: replaced or deleted, but still held
    pid: int
    command: str
    bytes: int

class _Store:
    """What a Cache and a Namespace have in common."""

    def put(
        self,
        key: Key,
        value: Table,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        sliding: bool = False,
        tags: Iterable[str] = (),
        cost: float | None = None,
        expect: Frame | None = None,  # ConflictError unless this frame is still the key's
    ) -> Frame: ...
    def add(
        self,
        key: Key,
        value: Table,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> bool: ...  # False: the key is there already
    @overload
    def get(self, key: Key, *, stale: bool = False) -> Frame | None: ...
    @overload
    def get(self, key: Key, default: D, *, stale: bool = False) -> Frame | D: ...
    def put_value(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        cost: float | None = None,
        allow_pickle: bool = False,
    ) -> None: ...
    def get_value(
        self,
        key: Key,
        default: Any = None,
        *,
        stale: bool = False,
        allow_pickle: bool = False,
    ) -> Any: ...
    def get_or_compute(
        self,
        key: Key,
        compute: Callable[[], T],
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        timeout: float | None = None,  # seconds to wait for another's compute
    ) -> T: ...
    async def aget_or_compute(
        self,
        key: Key,
        compute: Callable[[], Awaitable[T]],
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
        timeout: float | None = None,
    ) -> T: ...
    @overload
    def memoize(
        self, f: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncMemoized[P, R]: ...
    @overload
    def memoize(self, f: Callable[P, R], /) -> Memoized[P, R]: ...
    @overload
    def memoize(
        self,
        f: None = None,
        /,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        key: Callable[..., Key] | None = None,
        ignore: Iterable[str] = (),
        tags: Iterable[str] = (),
        version: str | int | None = None,
        timeout: float | None = None,
    ) -> _Memoize: ...
    def build(
        self,
        key: Key,
        schema: ArrowSchema | Mapping[str, str | np.dtype[Any] | type],
        rows: int,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> Builder: ...
    def delete(self, key: Key) -> bool: ...
    def delete_tag(self, *tags: str) -> int: ...
    def delete_prefix(self, prefix: Key) -> int: ...
    def clear(self) -> int: ...
    def touch(self, key: Key, ttl: Duration | None = None) -> bool: ...
    def next_frame(
        self, key: Key, *, after: Frame | None = None, timeout: float | None = None
    ) -> Frame: ...  # waits until the key has another frame than `after`; WaitTimeout
    async def anext_frame(
        self, key: Key, *, after: Frame | None = None, timeout: float | None = None
    ) -> Frame: ...
    def info(self, key: Key) -> Info: ...
    def keys(self, prefix: Key = "") -> Iterator[str]: ...  # a snapshot
    def infos(self, prefix: Key = "") -> Iterator[Info]: ...
    def __getitem__(self, key: Key, /) -> Frame: ...  # raises MissError
    def __setitem__(self, key: Key, value: Table) -> None: ...
    def __delitem__(self, key: Key) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

@final
class Namespace(_Store):
    """Keys under a prefix, with a tag of its own, so that ``clear`` costs one tag."""

    def __init__(self, cache: Cache, name: str) -> None: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def name(self) -> str: ...

class Cache(_Store):
    """Attaches to a cache directory. Arguments win over FRAMECACHE_* variables."""

    def __init__(
        self,
        dir: str | PathLike[str] | None = None,
        *,
        budget: int | str | None = None,
        ttl: Duration | None = None,
        watermarks: str | None = None,
        capacity: int | None = None,
        pool: int | str | None = None,
        cold: bool | None = None,
        spill_dir: str | PathLike[str] | None = None,
        spill_budget: int | str | None = None,
        checksum: Literal["off", "commit", "map"] | None = None,
        threads: int | None = None,
        populate: bool | None = None,
        huge: Literal["off", "advise"] | None = None,
        mode: int | str | None = None,
        janitor: bool | None = None,
        flight_max: Duration | None = None,
        reclaim_wait: Duration | None = None,
        read_only: bool = False,
        create: bool = True,
        helper_threads: bool = True,
    ) -> None: ...
    @property
    def dir(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    @property
    def budget(self) -> int: ...
    @budget.setter
    def budget(self, value: int | str) -> None: ...
    def namespace(self, name: str) -> Namespace: ...
    def stats(self) -> dict[str, int | str]: ...  # the fields of fc_stats
    def settings(self) -> dict[str, tuple[str, str]]: ...  # value, where it came from
    def verify(self, *, data: bool = False) -> list[Finding]: ...
    def holders(self) -> list[Holder]: ...  # `framecache holders`
    def collect(self) -> None: ...  # `framecache gc`
    def tick(self) -> float: ...  # seconds until the next is due
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def _repr_html_(self) -> str: ...

def doctor(dir: str | PathLike[str] | None = None) -> list[Finding]: ...
def content_hash(value: Any) -> bytes: ...  # 16 bytes, the same in every process
def register(
    type: type[T], tag: str, encode: Callable[[T], Any], decode: Callable[[Any], T]
) -> None: ...

class Refresher:
    """Loads a key every `interval` seconds, once in the machine."""

    key: str
    interval: float
    def __init__(
        self,
        key: Key,
        load: Callable[[], Any],
        interval: float,
        cache: Cache,
        options: dict[str, Any],
    ) -> None: ...
    def run(self) -> None: ...  # until stop(), in this thread
    def start(self) -> Self: ...  # in a daemon thread
    def stop(self) -> None: ...

def refresh(
    key: Key,
    load: Callable[[], Table],
    interval: Duration = 30,
    *,
    cache: Cache | None = None,
    ttl: Duration | None = None,
    tags: Iterable[str] = (),
) -> Refresher: ...
