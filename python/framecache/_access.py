"""Says whose a path is and what may be done about it, as people need it to repair it."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from ._errors import AccessError


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def nearest(path: str) -> str:
    """The path, or the directory nearest to it that exists."""
    path = os.path.abspath(path)
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    return path


def describe(path: str) -> str:
    """``/path (owner www-data, group www-data, mode 0755; this process is user app)``."""
    me = _user(os.geteuid())
    try:
        status = os.stat(path)
    except OSError as error:
        return f"{path} ({error.strerror}; this process is user {me})"
    return (
        f"{path} (owner {_user(status.st_uid)}, group {_group(status.st_gid)}, mode "
        f"{stat.S_IMODE(status.st_mode):04o}; this process is user {me})"
    )


def remedy(path: str) -> str:
    """What to do when this process may not write there."""
    me = _user(os.geteuid())
    return (
        f"make it this user's (sudo install -d -m 700 -o {me} {path}) or choose another "
        "directory (FRAMECACHE_DIR, dir= or cache_dir=)"
    )


def refused(path: str, error: AccessError, read_only: bool) -> AccessError:
    """The error of opening a cache, with whose the directory is and what to do."""
    found = describe(nearest(path))
    advice = "" if read_only else f": {remedy(path)}"
    told = AccessError(
        f"the cache directory {path} cannot be used: {error}. {found}{advice}"
    )
    told.sys_errno = error.sys_errno
    return told
