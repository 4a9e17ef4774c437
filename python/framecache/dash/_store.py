"""The store of an app: values kept for its components, and read back by their tokens."""

from __future__ import annotations

import collections
import hashlib
import math
import secrets
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from dash import Dash
from dash._callback_context import context_value

from .. import _settings
from .._cache import Cache
from .._errors import MissError
from .._frame import Frame, layout_of
from .._kinds import recorded
from . import _session
from ._backing import Backing, FrameBacking, Registry, Slots, frame_cache
from ._token import Forged, Signer, Token, host_tag, looks_like, secret_of

OnMiss = Literal["raise", "none", "recompute"]
_EVERYONE = bytes(16)  # the session of values that are every session's


class StoreMiss(MissError):
    """The value of a token is not there, or not for this request.

    Attributes
    ----------
    component : str
        Id and property of the component that held the token.
    reason : str
        As `MissError`'s; or ``"forged"``: altered, cut short, of another secret or
        another session; or ``"other host"``: kept in a store that is not this one.
    age : float or None
        Seconds since the value went, as far as that is known; of a token from elsewhere,
        since it was made.
    """

    component: str = ""

    def __reduce__(self) -> Any:
        return _miss, (str(self), self.component, self.reason, self.age, self.key)


def _miss(
    message: str, component: object, reason: str, age: float | None, key: str = ""
) -> StoreMiss:
    error = StoreMiss(message)
    error.component, error.reason, error.age = str(component), reason, age  # type: ignore[assignment]
    error.key = key
    return error


class CookiesOff(RuntimeError):
    """The browser sends no cookies, and values are bound to sessions by one."""


class Place(NamedTuple):
    """Where a value belongs: it is replaced by the next for the same place."""

    session: str | None
    page: bytes
    component: str  # id and property
    path: str = ""  # within the property


class Keep(NamedTuple):
    """How a value is kept, other than by default."""

    ttl: _settings.Duration | None = None
    cache: object | None = None
    bound: bool | None = None  # to the session
    name: bytes | None = None  # 16: of a value with a key of its own


class Store:
    """What `init` makes for an app."""

    label = ""  # names the app, in every process that runs it
    namespace = ""  # and apart from other programs: stands in the names that values have

    def __init__(
        self,
        cache: Any,  # a framecache.Cache
        on_miss: OnMiss,
        session_check: bool,
        grace: float,
        route: str,
        authorize: Callable[[], bool] | None,
    ) -> None:
        if on_miss not in ("raise", "none", "recompute"):
            raise ValueError(f"on_miss={on_miss!r}: give 'raise', 'none' or 'recompute'")
        if not (isinstance(grace, int | float) and 0 <= grace < math.inf):
            raise ValueError(f"grace={grace!r}: seconds as a number, 0 or more")
        own = Cache() if cache is None else frame_cache(cache)
        if own is None:
            raise TypeError(
                f"cache={cache!r} is no framecache.Cache; other caches are for outputs "
                "(CallbackCache, ServersideOutput)"
            )
        self.cache: Cache = own
        self.on_miss = on_miss
        self.session_check = session_check
        self.route = route
        self.authorize = authorize
        self.signer = Signer(secret_of(self.cache.dir))
        self.registry = Registry(FrameBacking(self.cache))
        self._slots = Slots(self.cache, grace)
        self._host = host_tag()

    # ---- Keep ----

    def keep(self, value: Any, place: Place, how: Keep) -> str:
        """Keep a value for a component, and return its token."""
        bound = self.session_check if how.bound is None else how.bound
        session = (
            self._session_tag(place.session, place.component) if bound else _EVERYONE
        )
        backing = self.registry.of(how.cache)
        key = secrets.token_bytes(16) if how.name is None else how.name
        try:
            backing.put(key, value, how.ttl)
        except TypeError as error:
            raise TypeError(f"{place.component}: {error}") from error
        if how.name is None:
            self._slots.fill(self._slot(session, place), key, how.ttl, backing)
        return self.token(key, backing, session)

    def token(self, key: bytes, backing: Backing, session: bytes = _EVERYONE) -> str:
        """A token for what is kept under a key."""
        bound = session != _EVERYONE
        return self.signer.issue(key, self._host, backing.tag, session, bound)

    def session_of(self, place: Place, bound: bool | None) -> bytes:
        """What stands for the session in tokens and names; zeros: for every one."""
        if not (self.session_check if bound is None else bound):
            return _EVERYONE
        return self._session_tag(place.session, place.component)

    def _session_tag(self, session: str | None, component: object) -> bytes:
        if session is None:
            raise CookiesOff(
                f"{component}: the request has no cookie {_session.COOKIE!r}, which "
                "binds server-side values to the browser's session. Cookies are off, the "
                "page was not served by this app, or it stands in a frame of another "
                "site. Let the browser keep the cookie, or give session_check=False"
            )
        return self.signer.session(session)

    def _slot(self, session: bytes, place: Place) -> bytes:
        text = f"{self.namespace}\0{place.component}\0{place.path}".encode(
            "utf-8", "surrogateescape"
        )
        return hashlib.sha256(session + place.page + text).digest()[:16]

    # ---- Read ----

    def locate(self, text: str, session: str | None, component: object) -> _Located:
        """Where the value of a token is, if this session may have it.

        `component`, as text, is what messages name.

        Raises
        ------
        StoreMiss
            Forged, of another session, or of another store.
        CookiesOff
        """
        try:
            token = self.signer.read(text)
        except Forged:
            raise _miss(
                f"{component}: the token was altered or cut short, or signed with "
                "another secret (forged). After a change of FRAMECACHE_SECRET or a new "
                "cache directory, load the page again",
                component, "forged", None,
            ) from None  # fmt: skip
        if token.bound:
            self._check_session(token, session, component)
        backing = self.registry.tagged(token.store)
        if backing is None or token.host != self._host:
            raise self._elsewhere(token, component)
        return _Located(token, backing)

    def _check_session(
        self, token: Token, session: str | None, component: object
    ) -> None:
        if self.signer.same_session(token, self._session_tag(session, component)):
            return
        raise _miss(
            f"{component}: the token was made for another session (forged): it was "
            "copied from another browser, or the cookie has been deleted since. Load the "
            "page again",
            component, "forged", None,
        )  # fmt: skip

    def _elsewhere(self, token: Token, component: object) -> StoreMiss:
        age = max(0.0, time.time() - token.made)
        if token.host == self._host:
            where = f"in another cache directory than {self.cache.dir}, or in one that "
            where += "was removed and made again"
        else:
            where = "on another host, or before this one started again"
        return _miss(
            f"{component}: the value was kept {age:.0f} s ago {where} (other host). Let "
            "all workers share one directory, and a balancer send a session to one host",
            component, "other host", age,
        )  # fmt: skip

    def gone(self, error: MissError, found: _Located, component: object) -> StoreMiss:
        """The miss to raise for a value that its backing has not (any more)."""
        token, reason, age = found.token, str(error.reason), error.age
        if reason == "never":  # it was there, or it would have no token
            reason = "evicted"
        since = f"{age:.0f} s ago" if age is not None else "at a time not known"
        kept = max(0.0, time.time() - token.made)
        return _miss(
            f"{component}: the value, kept {kept:.0f} s ago, went {since} ({reason}). "
            f"{found.backing.remedy or _ADVICE.get(reason, _AGAIN)}; or give "
            "init(on_miss='recompute')",
            component, reason, age, error.key,
        )  # fmt: skip

    def fetch(self, text: str, session: str | None, component: object) -> Any:
        """The value of a token, in its kind; raises StoreMiss, CookiesOff."""
        found = self.locate(text, session, component)
        try:
            return found.backing.get(found.token.key)
        except MissError as error:
            raise self.gone(error, found, component) from error

    def frame(self, text: str, session: str | None, component: str = "token") -> Frame:
        """The value of a token as a frame; raises StoreMiss, CookiesOff, TypeError."""
        found = self.locate(text, session, component)
        try:
            return found.backing.frame(found.token.key)
        except MissError as error:
            raise self.gone(error, found, component) from error

    def for_browser(self, text: str, session: str | None) -> Any:
        """The value of a token as the route serves it: a Frame, if it is a table."""
        if not is_token(text):
            raise _miss("token: no token of framecache.dash", "token", "forged", None)
        try:
            found = self.locate(text, session, "token")
        except CookiesOff as error:
            raise _miss(str(error), "token", "forged", None) from None
        if not isinstance(found.backing, FrameBacking):
            return self.fetch(text, session, "token")
        frame = self.frame(text, session)
        return frame.to_value() if is_value(frame) else frame


class _Located(NamedTuple):
    token: Token
    backing: Backing


_AGAIN = "Run the callback that made it again"
_ADVICE = {
    "expired": "It was replaced and the grace is over, or needs a longer ttl",
    "evicted": "Give the cache a larger budget (FRAMECACHE_BUDGET)",
    "deleted": "It was replaced more than the grace ago, or deleted; load the page again",
}


# ---- The stores of this process ----

_stores: weakref.WeakKeyDictionary[Dash, Store] = weakref.WeakKeyDictionary()
_by_label: weakref.WeakValueDictionary[str, Store] = weakref.WeakValueDictionary()
_named: collections.Counter[str] = collections.Counter()
APP = "framecache_app"  # in a call's context: which app it is


def attach(app: Dash, store: Store) -> None:
    """Make it the store of the app, and have each call's context say so.

    The app's name and its number among those of the name say it, since the context of a
    background callback may go to a worker of Celery as JSON; the same program runs there.
    """
    name = str(app.config.name)
    _named[name] += 1
    store.label = f"{name} {_named[name]}"
    _stores[app] = _by_label[store.label] = store
    execute = app._execute_callback

    def labelled(function: Any, args: Any, outputs: Any, context: Any) -> Any:
        context[APP] = store.label
        return execute(function, args, outputs, context)

    app._execute_callback = labelled  # type: ignore[method-assign]


def of_app(app: Dash) -> Store | None:
    """The store that `init` made for the app."""
    return _stores.get(app)


def of_context(context: Mapping[str, Any]) -> Store | None:
    """The store of the app that a callback is called for."""
    label = context.get(APP)
    if label is None:
        return None
    store = _by_label.get(label)
    if store is not None:
        return store
    stores = list(_stores.values())
    return stores[0] if len(stores) == 1 else None


def current() -> Store | None:
    """The store of the app that answers the request, or whose background job runs."""
    app = _session.app_of_request(list(_stores))
    store = None if app is None else _stores.get(app)
    if store is None:
        store = of_context(context_value.get({}))
    if store is None and len(_stores) == 1:
        store = next(iter(_stores.values()), None)
    return store


def is_token(value: object) -> bool:
    """Whether it is a token, or was made to look like one; other text stays text."""
    return type(value) is str and looks_like(value)


def is_value(frame: Frame) -> bool:
    """Whether what was put is no table."""
    return recorded(layout_of(frame).metadata) == "value"
