"""The exceptions and the pure parts: durations, settings, null bits."""

import pickle
from datetime import timedelta

import framecache
import numpy as np
import pytest
from framecache import _core, _errors, _settings


def make(name: str, message: str = "m", **given: int) -> framecache.Error:
    fields = (
        "sys_errno",
        "miss",
        "age_ms",
        "asked",
        "budget",
        "used",
        "leased",
        "zombie",
    )
    values = [given.get(field, 0) for field in fields]
    return _errors.make(name, -1, message, *values, "key")


@pytest.mark.parametrize(
    ("code", "cls", "builtin"),
    [
        ("FC_E_INVALID", "InvalidError", ValueError),
        ("FC_E_TYPE", "ColumnTypeError", TypeError),
        ("FC_E_COLUMN", "ColumnError", KeyError),
        ("FC_E_BUDGET", "BudgetError", MemoryError),
        ("FC_E_NOSPACE", "NoSpaceError", OSError),
        ("FC_E_PERMISSION", "AccessError", PermissionError),
        ("FC_E_CORRUPT", "CorruptError", Exception),
        ("FC_E_VERSION", "VersionError", Exception),
        ("FC_E_UNSUPPORTED", "UnsupportedError", Exception),
        ("FC_E_BUSY", "BusyError", Exception),
        ("FC_E_TIMEOUT", "WaitTimeout", TimeoutError),
        ("FC_E_DEADLOCK", "DeadlockError", RuntimeError),
        ("FC_E_CONFLICT", "ConflictError", Exception),
        ("FC_E_CLOSED", "ClosedError", ValueError),
        ("FC_E_NOMEM", "ResourceError", MemoryError),
        ("FC_E_SYSTEM", "SystemCallError", OSError),
    ],
)
def test_code_has_its_class(code: str, cls: str, builtin: type) -> None:
    error = make(code, "what, limit, remedy", sys_errno=28)
    assert type(error) is getattr(framecache, cls)
    assert isinstance(error, builtin) and isinstance(error, framecache.Error)
    assert error.code == code and error.sys_errno == 28
    assert str(error) == "what, limit, remedy"
    if isinstance(error, OSError):
        assert error.errno == 28
    again = pickle.loads(pickle.dumps(error))  # as multiprocessing hands it over
    assert type(again) is type(error) and str(again) == str(error)
    assert (again.code, again.sys_errno) == (code, 28)


@pytest.mark.parametrize(
    ("miss", "cls", "reason"),
    [(0, "NeverExisted", "never"), (1, "Expired", "expired"), (2, "Evicted", "evicted"),
     (3, "Deleted", "deleted"), (4, "Deleted", "invalidated"),
     (5, "MissError", "corrupt")],
)  # fmt: skip
def test_miss_says_why(miss: int, cls: str, reason: str) -> None:
    error = make("FC_E_MISS", miss=miss, age_ms=1500)
    assert type(error) is getattr(framecache, cls)
    assert isinstance(error, KeyError)
    assert (error.key, error.reason, error.age) == ("key", reason, 1.5)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.reason, again.age) == (type(error), reason, 1.5)
    unknown = make("FC_E_MISS", miss=miss, age_ms=-1)
    assert isinstance(unknown, framecache.MissError) and unknown.age is None


def test_budget_error_has_the_bytes() -> None:
    error = make("FC_E_BUDGET", asked=1, budget=2, used=3, leased=4, zombie=5)
    assert isinstance(error, framecache.BudgetError)
    assert (error.asked_bytes, error.budget_bytes, error.used_bytes) == (1, 2, 3)
    assert (error.leased_bytes, error.zombie_bytes) == (4, 5)


def test_column_is_named() -> None:
    error = make("FC_E_TYPE", "column 'a b': is odd")
    assert isinstance(error, framecache.ColumnTypeError) and error.column == "a b"


@pytest.mark.parametrize(
    ("duration", "ms"),
    [(None, 0), (1, 1000), (0.5, 500), (1e-9, 1), ("90", 90_000), ("10m", 600_000),
     ("250ms", 250), ("1.5h", 5_400_000), ("2d", 172_800_000), ("never", -1),
     (timedelta(minutes=2), 120_000), (float("inf"), -1)],
)  # fmt: skip
def test_duration(duration: object, ms: int) -> None:
    assert _settings.milliseconds(duration) == ms


@pytest.mark.parametrize(
    "duration",
    [0, -1, "0", "", "x", "10 parsecs", "-5s", timedelta(0), float("nan")],
)
def test_duration_that_is_none(duration: object) -> None:
    with pytest.raises(ValueError, match="ttl"):
        _settings.milliseconds(duration)


def test_settings_as_text() -> None:
    assert _settings.text("budget", 1 << 30) == str(1 << 30)
    assert _settings.text("janitor", False) == "off"
    assert _settings.text("mode", 0o750) == "0750"
    assert _settings.text("ttl", timedelta(seconds=2)) == "2000ms"
    assert _settings.text("ttl", "nonsense") == "nonsense"  # the library quotes it


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 64, 1000])
@pytest.mark.parametrize(
    ("kind", "dtype", "null"),
    [("e", "f2", np.nan), ("f", "f4", np.nan), ("g", "f8", np.nan),
     ("t", "i8", -(2**63)), ("c", "i1", -1), ("s", "i2", -1), ("i", "i4", -1),
     ("l", "i8", -1), ("m", "u1", 1)],
)  # fmt: skip
def test_null_bits(kind: str, dtype: str, null: float, rows: int) -> None:
    values = np.zeros(rows, dtype)
    gone = np.arange(rows) % 3 == 1
    assert _core.valid_bits(values, kind) == (None, 0)
    values[gone] = null
    bitmap, nulls = _core.valid_bits(values, kind)
    assert nulls == gone.sum()
    if not nulls:
        return
    bits = np.unpackbits(np.frombuffer(bitmap, "u1"), count=rows, bitorder="little")
    np.testing.assert_array_equal(bits == 0, gone)
    assert _core.nulls_hold(values, bitmap, 0, rows, kind)
    other = np.zeros(rows, dtype)
    assert not _core.nulls_hold(other, bitmap, 0, rows, kind)
    _core.fill_nulls(other, bitmap, 0, rows, kind)
    np.testing.assert_array_equal(other, values)
    if rows > 3:  # an odd place to begin
        assert _core.nulls_hold(values[3:], bitmap, 3, rows - 3, kind)


def test_null_bits_check_their_lengths() -> None:
    values = np.zeros(8, "f8")
    with pytest.raises(ValueError, match="too short"):
        _core.nulls_hold(values, b"\0", 1, 8, "g")
    with pytest.raises(ValueError, match="too short"):
        _core.fill_nulls(values, b"\0\0", 0, 9, "g")
    with pytest.raises(ValueError, match="no kind"):
        _core.valid_bits(values, "?")
    with pytest.raises(ValueError, match="too short"):
        _core.decode_strings(b"", b"\0" * 8, None, 0, 1, None)
    with pytest.raises(ValueError, match="do not hold"):
        offsets = np.array([0, 9], "i8")
        _core.decode_strings(b"abc", offsets, None, 0, 1, None)
