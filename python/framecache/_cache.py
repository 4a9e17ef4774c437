"""Cache: an attached directory of frames."""

from __future__ import annotations

import os
import sys
import weakref

from . import _core, _settings
from ._errors import AccessError, ConflictError
from ._lazy import lazily
from ._methods import Computing
from ._settings import milliseconds, put_options, tag_list
from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike
    from types import TracebackType
    from typing import Any, ClassVar, Self

    from . import _build, _hints, _html, _kinds, _namespace, _pandas_in, _structured
    from ._build import Builder
    from ._frame import Frame
    from ._namespace import Namespace
    from ._pandas_in import Table
    from ._settings import Duration, PutOptions

    Key = str | bytes
else:
    lazily(globals(), "._build", "._hints", "._html", "._kinds")
    lazily(globals(), "._namespace")
    lazily(globals(), "._pandas_in", "._structured")

_RDONLY, _NO_CREATE, _NO_THREADS = 1, 2, 4
_ABSENT = -1
_NO_METADATA = b"\0\0\0\0"  # Arrow's encoding of no pairs


class Cache(_core.Cache, Computing):
    """Attaches to a cache directory, and creates it if need be.

    Arguments win over ``FRAMECACHE_*`` variables, which win over defaults. One a process
    is enough. It works on after fork, and pickles as its settings: unpickled elsewhere it
    attaches to the same directory.

    Parameters
    ----------
    dir : path, optional
        The directory; ``/dev/shm/framecache-<uid>``.
    budget : int or str, optional
        Bytes, ``"8GiB"``, ``"50%"`` of the file system, or ``"auto"``.
    ttl : duration, optional
        How long frames live unless `put` says otherwise; ``"never"`` ends.
    watermarks : str, optional
        ``"high:low"`` in percent of the budget.
    capacity : int, optional
        Frames at most, a power of two; a cache keeps the one it was created with.
    pool : int or str, optional
        Bytes, or percent of the budget, kept for recycling.
    cold : bool, optional
        Whether frames are compressed before they are dropped (they are).
    spill_dir : path, optional
        Where compressed frames go: an absolute path, on a disk perhaps.
    spill_budget : int or str, optional
        Bytes for them there.
    checksum : {"off", "commit", "map"}, optional
    threads : int, optional
        Threads that copy.
    populate : bool, optional
        Map all pages at get.
    huge : {"off", "advise"}, optional
    mode : int or str, optional
        Mode of the directory, ``0o700``.
    janitor : bool, optional
        Whether a thread of this process may do the housekeeping.
    flight_max : duration, optional
        How long to wait for another's compute, which may be stopped; 60 s.
    reclaim_wait : duration, optional
        How long a put waits for memory to come free.
    read_only : bool
        Attach without writing, as another user of the directory's group.
    create : bool
        False: raise MissError if there is no cache.
    helper_threads : bool
        False: start no threads; call `tick` now and then.

    Raises
    ------
    InvalidError
        A setting does not parse; it is quoted.
    AccessError, UnsupportedError, VersionError, NoSpaceError
        The directory cannot be used; the message says why, and the remedy.
    """

    _opened: ClassVar[weakref.WeakSet[Cache]] = weakref.WeakSet()  # of this process

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
        checksum: str | None = None,
        threads: int | None = None,
        populate: bool | None = None,
        huge: str | None = None,
        mode: int | str | None = None,
        janitor: bool | None = None,
        flight_max: Duration | None = None,
        reclaim_wait: Duration | None = None,
        read_only: bool = False,
        create: bool = True,
        helper_threads: bool = True,
    ) -> None:
        given = {
            "dir": dir, "budget": budget, "ttl": ttl, "watermarks": watermarks,
            "capacity": capacity, "pool": pool, "cold": cold, "spill_dir": spill_dir,
            "spill_budget": spill_budget, "checksum": checksum, "threads": threads,
            "populate": populate, "huge": huge, "mode": mode, "janitor": janitor,
            "flight_max": flight_max, "reclaim_wait": reclaim_wait,
        }  # fmt: skip
        settings = {
            name: _settings.text(name, value)
            for name, value in given.items()
            if value is not None
        }
        self._dir = _settings.directory(settings.get("dir"))
        self._arguments: dict[str, Any] = {
            **settings,
            "dir": self._dir,
            "read_only": read_only,
            "create": create,
            "helper_threads": helper_threads,
        }
        try:
            self._open(self._flags(), settings)
        except AccessError as error:
            from . import _access  # who needs it has time for it

            raise _access.refused(self._dir, error, read_only) from error
        self._opened.add(self)
        self._flight_limit = _settings.flight_seconds(settings.get("flight_max"))

    def _flags(self) -> int:
        asked = self._arguments
        flags = _RDONLY if asked["read_only"] else 0
        flags |= 0 if asked["create"] else _NO_CREATE
        return flags | (0 if asked["helper_threads"] else _NO_THREADS)

    def _take_test_clock(self) -> None:
        """Attaches anew, with a clock that `framecache.testing` sets."""
        settings = {k: v for k, v in self._arguments.items() if isinstance(v, str)}
        self._attach_for_tests(self._flags(), settings)

    def __reduce__(self) -> Any:
        return _reopen, (type(self), self._arguments)

    @property
    def dir(self) -> str:
        """The directory."""
        return self._dir

    @property
    def budget(self) -> int:
        """The budget in bytes; set it (bytes or text) for all processes."""
        return int(self.stats()["budget_bytes"])

    @budget.setter
    def budget(self, value: int | str) -> None:
        self._set_budget(str(value))

    # ---- Put ----

    def put(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        sliding: bool = False,
        tags: Iterable[str] = (),
        cost: float | None = None,
        expect: Frame | None = None,
    ) -> Frame:
        """Copy a table into the cache under `key`, and publish it.

        Parameters
        ----------
        key : str or bytes
            1 to 1,024 bytes.
        value : table
            A pandas DataFrame, Series or Index; a structured array of numpy; a LazyFrame
            of polars, which is collected; or anything with ``__arrow_c_stream__`` or
            ``__arrow_c_array__``: polars, pyarrow, DuckDB, nanoarrow, ADBC, a Frame. NaN
            and NaT of pandas become nulls, as with pyarrow, and come back as they were.
        ttl : duration, optional
            How long it lives.
        stale : duration
            How long after that who asks for a stale frame still gets it.
        sliding : bool
            Every use lets it live `ttl` from then on.
        tags : iterable of str
            Names to delete it by, with `delete_tag`; up to 64 of up to 255 bytes.
        cost : float, optional
            Seconds it takes to compute again: what costs more stays longer.
        expect : Frame, optional
            Replace this frame only.

        Returns
        -------
        Frame
            What was put, leased.

        Raises
        ------
        ColumnTypeError
            A column cannot be kept as it is; `.column` names it.
        BudgetError
            It is larger than the budget, or all that could go is leased.
        ConflictError
            The key has another frame than `expect`.
        NoSpaceError, InvalidError
        """
        sequence = 0 if expect is None else expect.sequence
        options = put_options(
            ttl, stale, tags, cost=cost, expect=sequence, sliding=sliding
        )
        return self._store(key, value, options)

    def _store(self, key: Key, value: Any, options: PutOptions) -> Frame:
        extension = _kinds.extensions.get(type(value))
        if extension is None:
            return self._store_as(key, value, options, None)
        inner = extension.encode(value)
        if type(inner) in _kinds.extensions and type(inner) is not type(value):
            raise TypeError(
                f"a {type(value).__name__} is registered as a {type(inner).__name__}, "
                "which is no table: put_value takes it"
            )
        return self._store_as(key, inner, options, extension.tag)

    def _store_as(
        self, key: Key, value: Any, options: PutOptions, tag: str | None
    ) -> Frame:
        """Stores a table, which `framecache.register`'s decode of the tag gets back."""
        if "pandas" in sys.modules:
            table = _pandas_in.table_of(value, self._valid_bits)
            if table is not None:
                return self._put_table(key, options, table, tag)
        value = _kinds.collected(value)
        if tag is not None:
            value = _kinds.with_stream(value)
        if hasattr(value, "__arrow_c_stream__"):
            kind, value = _kinds.kind_of(value)
            kind = _kinds.kind_with(tag, kind)
            return self._put_stream(key, options, value.__arrow_c_stream__(), kind)
        if hasattr(value, "__arrow_c_array__"):
            return self._put_array(key, options, *value.__arrow_c_array__())
        if "numpy" in sys.modules:
            table = _structured.table_of(value)
            if table is not None:
                return self._put_table(key, options, table, tag)
        raise _hints.no_table(key, value)

    def _put_table(
        self, key: Key, options: PutOptions, table: Table, tag: str | None
    ) -> Frame:
        if tag is not None:
            table = table._replace(metadata=_kinds.mark(table.metadata, tag))
        return self._put_columns(key, options, *table)

    def add(
        self,
        key: Key,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> bool:
        """Put a table, but only if the key has no frame.

        Parameters
        ----------
        key : str or bytes
        value : table
            As in `put`.
        ttl, stale, tags
            As in `put`.

        Returns
        -------
        bool
            False if the key has a frame, which stays as it is.
        """
        options = put_options(ttl, stale, tags, expect=_ABSENT)
        if key in self:
            return False
        try:
            self._store(key, value, options).release()
        except ConflictError:
            return False
        return True

    def build(
        self,
        key: Key,
        schema: Any,
        rows: int,
        *,
        ttl: Duration | None = None,
        stale: Duration = 0,
        tags: Iterable[str] = (),
    ) -> Builder:
        """Begin a frame that is filled in place; nothing is copied.

        Parameters
        ----------
        key : str or bytes
        schema : mapping, or object with ``__arrow_c_schema__``
            Of a mapping: names to numpy dtypes or their names, Python types, or Arrow
            format strings.
        rows : int
            Room for so many rows; fewer may be committed.
        ttl, stale, tags
            As in `put`.

        Returns
        -------
        Builder
            A context manager that commits.

        Examples
        --------
        >>> with cache.build("k", {"x": "float64"}, rows) as b:  # doctest: +SKIP
        ...     rng.random(out=b["x"])
        """
        capsule = _build.schema_capsule(schema)
        options = put_options(ttl, stale, tags)

        def store(columns: list[Any], count: int) -> Frame:
            return self._put_columns(key, options, columns, count, _NO_METADATA)

        return _build.Builder(self._build(key, options, capsule, rows), capsule, store)

    def __setitem__(self, key: Key, value: Any) -> None:
        self.put(key, value).release()

    # ---- Remove ----

    def delete(self, key: Key) -> bool:
        """Delete the frame; readers keep what they hold.

        Parameters
        ----------
        key : str or bytes

        Returns
        -------
        bool
            False if there was none.
        """
        return self._delete(key, False)

    def __delitem__(self, key: Key) -> None:
        self._delete(key, True)

    def delete_tag(self, *tags: str) -> int:
        """Delete all frames that have any of these tags.

        Parameters
        ----------
        *tags : str

        Returns
        -------
        int
            How many went.
        """
        return sum(self._delete_tag(tag) for tag in tag_list(tags))

    def delete_prefix(self, prefix: Key) -> int:
        """Delete all frames whose key begins so.

        Parameters
        ----------
        prefix : str or bytes

        Returns
        -------
        int
            How many went.
        """
        return self._delete_prefix(prefix)

    def touch(self, key: Key, ttl: Duration | None = None) -> bool:
        """Let the frame live on from now.

        Parameters
        ----------
        key : str or bytes
        ttl : duration, optional
            How long; as it was put.

        Returns
        -------
        bool
            False if there is no frame.
        """
        return self._touch(key, milliseconds(ttl))

    def namespace(self, name: str) -> Namespace:
        """The keys that begin with ``name:``, as a store of their own.

        Parameters
        ----------
        name : str
            1 to 200 bytes, without a colon.

        Returns
        -------
        Namespace
        """
        return _namespace.Namespace(self, name)

    # ---- Look ----

    def info(self, key: Key) -> dict[str, Any]:
        """What the cache knows of a frame, without using it.

        Parameters
        ----------
        key : str or bytes

        Returns
        -------
        dict
            `key`, `sequence`, `rows`, `columns`, `bytes`, `shared_bytes`; `created`,
            `used`, `expires`, `stale_until` in seconds since 1970; `cost` in seconds;
            `uses`, `stale`, `cold`, `tags`, `leased`.
            `leased` is None here: only `infos` looks for it.

        Raises
        ------
        MissError
            There is none.
        """
        with self._peek(key) as frame:
            return frame._info

    def infos(self, prefix: Key = "") -> Iterator[dict[str, Any]]:
        """What the cache knows of each frame; a snapshot.

        Parameters
        ----------
        prefix : str or bytes
            Of the keys; all.

        Returns
        -------
        iterator of dict
            As `info` gives, with `leased`.
        """
        return self._walk(self._cursor(prefix))

    def _walk(self, cursor: Any) -> Iterator[dict[str, Any]]:
        while (info := self._next(cursor)) is not None:
            yield info

    def keys(self, prefix: Key = "") -> Iterator[str]:
        """The keys, in no order; a snapshot.

        Parameters
        ----------
        prefix : str or bytes
            Of the keys; all.

        Returns
        -------
        iterator of str
        """
        return (info["key"] for info in self.infos(prefix))

    def __iter__(self) -> Iterator[str]:
        return self.keys()

    # ---- Housekeeping ----

    def verify(self, *, data: bool = False) -> list[dict[str, Any]]:
        """Check everything on disk.

        Parameters
        ----------
        data : bool
            The checksums of all columns too. How many frames have none is said by a
            finding of level "info" about "data".

        Returns
        -------
        list of dict
            What was found: ``level`` ("error", "warning" or "info"), ``subject``,
            ``text`` and ``remedy``.
        """
        return self._verify(data)

    def holders(self) -> list[dict[str, Any]]:
        """Which process holds which frame, as far as ``/proc`` shows it.

        Returns
        -------
        list of dict
            ``key`` (None: replaced or deleted, but still held), ``pid``, ``command``,
            ``bytes``, sorted by key and pid. A process that maps a frame holds it, also
            one that keeps it mapped for the next use and gives it up when memory is
            short. Processes of other users and other pid namespaces are not shown.
        """
        found = self._holders()[0]
        found.sort(key=lambda held: (held["key"] is None, held["key"] or "", held["pid"]))
        return found

    def collect(self) -> None:
        """Do all the housekeeping there is, and empty the pool: ``framecache gc``."""
        self._tick(True)

    def tick(self) -> float:
        """Do a round of housekeeping.

        Needed with ``helper_threads=False``, harmless otherwise.

        Returns
        -------
        float
            Seconds until the next is due.
        """
        return self._tick(False) / 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """For notebooks: budget, frames, who holds them."""
        return _html.cache_html(self)

    def __repr__(self) -> str:
        if self.closed:
            return f"Cache({self._dir!r}, closed)"
        return f"Cache({self._dir!r}, frames={len(self)})"


def _reopen(cls: type[Cache], arguments: dict[str, Any]) -> Cache:
    return cls(**arguments)


def doctor(dir: str | PathLike[str] | None = None) -> list[dict[str, Any]]:
    """Each setting and where it came from, and whatever is wrong with the machine.

    Parameters
    ----------
    dir : path, optional
        Of the cache; as `Cache` finds it.

    Returns
    -------
    list of dict
        ``level`` ("error", "warning" or "info"), ``subject``, ``text`` and ``remedy``.
    """
    return _core.doctor(None if dir is None else os.fspath(dir))
