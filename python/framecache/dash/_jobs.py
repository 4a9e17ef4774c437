"""Background callbacks: whose result is whose.

Dash names the result of a background callback by its arguments, and gives it to everybody
who asks for that name. A result that holds tokens is good for one session only, and what
a cached one names must stay: its values have keys made of its name.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from dash._callback_context import context_value
from dash.background_callback.managers import BaseBackgroundCallbackManager

from . import _session, _store

CACHED = "framecache_cached"  # in a call's context: the name its result is cached by

_build_cache_key = BaseBackgroundCallbackManager.build_cache_key


@functools.wraps(_build_cache_key)
def _own_cache_key(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Dash's name of a result, and whose it is: the session's, or this page's alone.

    A manager with `cache_by` keeps results for calls to come: the session's, where values
    are bound to sessions.
    """
    key = _build_cache_key(self, *args, **kwargs)
    context = context_value.get({})
    store = _store.of_context(context) if context else None
    if store is None:
        return key
    lasting = self.cache_by is not None
    whose = [key, store.namespace]
    if store.session_check or not lasting:
        whose.append(_session.of_call(context) or "")
    if not lasting:
        whose.append(_session.page_of(context).hex())
    key = hashlib.sha256(" ".join(whose).encode()).hexdigest()
    if lasting:
        context[CACHED] = key
    return key


def install() -> None:
    """Have the results of background callbacks named so from now on."""
    BaseBackgroundCallbackManager.build_cache_key = _own_cache_key  # type: ignore[method-assign]
