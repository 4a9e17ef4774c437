"""Tokens: what the browser holds instead of a value, and the secret that signs them.

A token is ``fct1.`` + 8 characters that say that this is one + 112 that hold::

    flags 1 | key 16 | host 4 | store 8 | session 16 | made (ms) 7 | HMAC-SHA256 32

in base64url, without a bit to spare, so that no two texts are one token. The 8 characters
are 4 random bytes and 2 computed from them: of texts that begin as a token does, only
what was made to look like one passes, and that is then a token or forged; the rest is
text.
"""

from __future__ import annotations

import base64
import binascii
import errno
import functools
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from typing import NamedTuple

from .._access import describe
from .._errors import AccessError, InvalidError

PREFIX = "fct1."
_MARK, _BODY, _SIGNATURE = 8, 112, 32
_SHAPE = re.compile(rf"{re.escape(PREFIX)}([A-Za-z0-9_-]{{{_MARK}}})([A-Za-z0-9_-]*)\Z")
_LONGEST = 1024  # no token, however spoilt, is longer
_REMEMBERED = 1024  # of what has been computed from texts, cookies and keys
_SECRET_FILE = "dash-secret"
_SHORTEST_SECRET = 16


class Token(NamedTuple):
    """What a token says, once its signature has been found right."""

    key: bytes  # 16: names the value in its store
    host: bytes  # 4
    store: bytes  # 8
    session: bytes  # 16; of a value for every session, zeros
    made: float  # seconds since 1970
    bound: bool  # to the session


class Forged(Exception):
    """It was made to look like a token, and is none of this secret's."""


def _mark(seed: bytes) -> str:
    return base64.urlsafe_b64encode(seed + _check(seed)).decode()


def _check(seed: bytes) -> bytes:
    return hashlib.sha256(b"framecache token" + seed).digest()[:2]


def looks_like(text: str) -> bool:
    """Whether the text is a token, or was made to look like one."""
    return text.startswith(PREFIX) and len(text) <= _LONGEST and _marked(text)


@functools.lru_cache(_REMEMBERED)
def _marked(text: str) -> bool:
    match = _SHAPE.match(text)
    if match is None:
        return False
    mark = base64.urlsafe_b64decode(match[1])
    return hmac.compare_digest(_check(mark[:4]), mark[4:])


def stand_in(name: str) -> str:
    """A text for a token's value, where texts stand for themselves.

    It looks like a token, so no text that a callback gets is the same.
    """
    return f"{PREFIX}{_mark(bytes(4))}{name}"


class Signer:
    """Makes tokens, and reads them.

    What was found genuine is remembered by its whole text, and so is what a cookie comes
    to; a text that is forged is looked at again each time.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, b"framecache.dash token 1", "sha256")
        self._session = hmac.digest(secret, b"framecache.dash session 1", "sha256")
        self.read = functools.lru_cache(_REMEMBERED)(self._read)
        self.session = functools.lru_cache(_REMEMBERED)(self._session_of)

    def _session_of(self, cookie: str) -> bytes:
        """What stands in tokens, and in keys, for a session."""
        return hmac.digest(self._session, cookie.encode(), "sha256")[:16]

    def same_session(self, token: Token, session: bytes) -> bool:
        """Whether the token was made for the session."""
        return hmac.compare_digest(token.session, session)

    def _sign(self, mark: str, payload: bytes) -> bytes:
        return hmac.digest(self._secret, mark.encode() + payload, "sha256")

    def issue(
        self, key: bytes, host: bytes, store: bytes, session: bytes, bound: bool
    ) -> str:
        """A token for a value; no two are the same."""
        made = int(time.time() * 1000).to_bytes(7, "big")
        payload = bytes([bound]) + key + host + store + session + made
        mark = _mark(secrets.token_bytes(4))
        body = base64.urlsafe_b64encode(payload + self._sign(mark, payload))
        return PREFIX + mark + body.decode()

    def _read(self, text: str) -> Token:
        """What the token says.

        Raises
        ------
        Forged
            Altered, cut short, or signed with another secret.
        """
        mark, body = text[len(PREFIX) : len(PREFIX) + _MARK], text[len(PREFIX) + _MARK :]
        try:
            raw = base64.urlsafe_b64decode(body) if len(body) == _BODY else b""
        except (binascii.Error, ValueError):
            raw = b""
        payload, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
        if not hmac.compare_digest(self._sign(mark, payload), signature):
            raise Forged
        return Token(
            key=payload[1:17],
            host=payload[17:21],
            store=payload[21:29],
            session=payload[29:45],
            made=int.from_bytes(payload[45:52], "big") / 1000,
            bound=payload[0] == 1,
        )


def host_tag() -> bytes:
    """Names this machine, until it restarts."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            boot = file.read()
    except OSError:
        boot = os.uname().nodename.encode()
    return hashlib.sha256(b"host" + boot).digest()[:4]


def directory_tag(directory: str) -> bytes:
    """Names the store: this very directory, and none made in its place."""
    status = os.stat(directory)
    identity = f"{status.st_dev} {status.st_ino}".encode()
    return hashlib.sha256(b"store" + identity).digest()[:8]


def secret_of(directory: str) -> bytes:
    """``FRAMECACHE_SECRET``, or what stands in a file of the cache directory.

    The file is made if need be, complete at once under its name, so that of several
    workers that start together all read the same.

    Raises
    ------
    InvalidError
        ``FRAMECACHE_SECRET`` is too short to be one.
    AccessError
        The file cannot be made or read, or others may read it.
    """
    given = os.environ.get("FRAMECACHE_SECRET")
    if given:
        if len(given) < _SHORTEST_SECRET:
            raise InvalidError(
                f"FRAMECACHE_SECRET has {len(given)} characters, which can be guessed; "
                f"give it {_SHORTEST_SECRET} or more: python -c "
                "'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return given.encode()
    path = os.path.join(directory, _SECRET_FILE)
    try:
        if not os.path.exists(path):
            _make_secret(path)
        return _read_secret(path)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise AccessError(
            f"{describe(path if os.path.exists(path) else directory)}: the secret that "
            "signs the tokens of framecache.dash cannot be kept there. Let this user "
            "write there, or set FRAMECACHE_SECRET for all who share the directory"
        ) from error


def _make_secret(path: str) -> None:
    draft = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
        os.link(draft, path)
    except FileExistsError:
        pass  # another worker was first: theirs it is
    finally:
        os.unlink(draft)


def _read_secret(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        secret = file.read(4096)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise AccessError(
            f"{describe(path)}: others may read the secret that signs the tokens of "
            f"framecache.dash. Delete the file, so that it is made anew, or chmod 600 it"
        )
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidError(f"{path} is damaged: delete it, so that it is made anew")
    return secret
