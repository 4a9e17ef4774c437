"""The exceptions: one class per FC_E code, each also the builtin that people catch."""

from __future__ import annotations

from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    Reason = Literal["never", "expired", "evicted", "deleted", "invalidated", "corrupt"]

_REASONS: tuple[Reason, ...] = (
    "never", "expired", "evicted", "deleted", "invalidated", "corrupt",
)  # fmt: skip


class Error(Exception):
    """Whatever framecache raises.

    Attributes
    ----------
    code : str
        The name of the C library's code, such as ``"FC_E_BUDGET"``.
    sys_errno : int
        ``errno`` of the system call that failed, or 0.
    """

    code: str = "FC_E_SYSTEM"
    sys_errno: int = 0

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MissError(Error, KeyError):
    """No frame under this key; `NeverExisted`, `Expired`, `Evicted`, `Deleted` say why.

    Attributes
    ----------
    key : str
    reason : str
        ``"never"``, ``"expired"``, ``"evicted"``, ``"deleted"``, ``"invalidated"`` or
        ``"corrupt"``.
    age : float or None
        Seconds since it went, as far as that is known.
    """

    code = "FC_E_MISS"
    key: str = ""
    reason: Reason = "never"
    age: float | None = None


class NeverExisted(MissError):
    """No frame was ever put under this key, as far as is remembered."""


class Expired(MissError):
    """The frame's time to live ran out."""

    reason = "expired"


class Evicted(MissError):
    """The frame made room for others."""

    reason = "evicted"


class Deleted(MissError):
    """The frame was deleted."""

    reason = "deleted"


class BudgetError(Error, MemoryError):
    """No room within the budget: what is left is leased, or the frame is larger than it.

    Attributes
    ----------
    asked_bytes, budget_bytes, used_bytes, leased_bytes, zombie_bytes : int
    """

    code = "FC_E_BUDGET"
    asked_bytes: int = 0
    budget_bytes: int = 0
    used_bytes: int = 0
    leased_bytes: int = 0
    zombie_bytes: int = 0


class InvalidError(Error, ValueError):
    """An argument, a setting or an Arrow structure is not valid."""

    code = "FC_E_INVALID"


class ColumnTypeError(Error, TypeError):
    """A column has another type, or one that is not supported.

    Attributes
    ----------
    column : str or None
        Its name.
    """

    code = "FC_E_TYPE"

    def __init__(self, message: str = "", column: str | None = None) -> None:
        super().__init__(message)
        self.column = column


class ColumnError(Error, KeyError):
    """No column of this name or number, or several of the name."""

    code = "FC_E_COLUMN"


class NoSpaceError(Error, OSError):
    """The file system or the memory cgroup is full."""

    code = "FC_E_NOSPACE"


class AccessError(Error, PermissionError):
    """Not permitted: owner or mode of the directory, or a read-only cache."""

    code = "FC_E_PERMISSION"


class CorruptError(Error):
    """A damaged frame; it has been dropped."""

    code = "FC_E_CORRUPT"


class VersionError(Error):
    """Written by a newer version of framecache."""

    code = "FC_E_VERSION"


class UnsupportedError(Error):
    """Not possible on this file system, kernel or build."""

    code = "FC_E_UNSUPPORTED"


class BusyError(Error):
    """Another caller is at it."""

    code = "FC_E_BUSY"


class WaitTimeout(Error, TimeoutError):
    """It did not happen in time."""

    code = "FC_E_TIMEOUT"


class DeadlockError(Error, RuntimeError):
    """This thread is computing this very key."""

    code = "FC_E_DEADLOCK"


class ConflictError(Error):
    """The key has another frame than expected."""

    code = "FC_E_CONFLICT"


class ClosedError(Error, ValueError):
    """The cache was closed, the frame released, or the directory removed."""

    code = "FC_E_CLOSED"


class ResourceError(Error, MemoryError):
    """Out of memory, mappings or descriptors."""

    code = "FC_E_NOMEM"


class SystemCallError(Error, OSError):
    """A system call failed."""

    code = "FC_E_SYSTEM"


_CLASSES: dict[str, type[Error]] = {
    cls.code: cls
    for cls in (
        MissError, BudgetError, InvalidError, ColumnTypeError, ColumnError, NoSpaceError,
        AccessError, CorruptError, VersionError, UnsupportedError, BusyError, WaitTimeout,
        DeadlockError, ConflictError, ClosedError, ResourceError, SystemCallError,
    )
}  # fmt: skip

_MISSES: dict[str, type[MissError]] = {
    "never": NeverExisted,
    "expired": Expired,
    "evicted": Evicted,
    "deleted": Deleted,
    "invalidated": Deleted,
}


def key_text(key: str | bytes | None) -> str:
    """A key as it comes back: text, with surrogate escapes where it is not UTF-8."""
    if isinstance(key, bytes):
        return key.decode("utf-8", "surrogateescape")
    return key or ""


def _column_named(message: str) -> str | None:
    """The column that a message of the C library begins with: ``column 'x': ...``."""
    if not message.startswith("column '"):
        return None
    end = message.find("'", 8)
    return message[8:end] if end > 0 else None


def _miss(message: str, miss: int, age_ms: int, key: str | bytes | None) -> MissError:
    reason = _REASONS[miss] if 0 <= miss < len(_REASONS) else "never"
    error = _MISSES.get(reason, MissError)(message)
    error.key = key_text(key)
    error.reason = reason
    error.age = age_ms / 1000 if age_ms >= 0 else None
    return error


def make(
    name: str,
    code: int,
    message: str,
    sys_errno: int,
    miss: int,
    age_ms: int,
    asked: int,
    budget: int,
    used: int,
    leased: int,
    zombie: int,
    key: str | bytes | None,
) -> Error:
    """The exception for an ``fc_error``; the extension calls this."""
    error: Error
    if name == "FC_E_MISS":
        error = _miss(message, miss, age_ms, key)
    elif name == "FC_E_TYPE":
        error = ColumnTypeError(message, _column_named(message))
    elif name in _CLASSES:
        error = _CLASSES[name](message)
    else:  # what a stream's producer returned: an errno
        error = SystemCallError(message)
        sys_errno = sys_errno or abs(code)
    if isinstance(error, BudgetError):
        error.asked_bytes, error.budget_bytes, error.used_bytes = asked, budget, used
        error.leased_bytes, error.zombie_bytes = leased, zombie
    if sys_errno:
        error.sys_errno = sys_errno
        if isinstance(error, OSError):
            error.errno = sys_errno
    return error
