"""Serverside: a callback's value that stays on the server."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .. import _settings
from ._store import Keep

T = TypeVar("T")


class Serverside(Generic[T]):
    """Return it from a callback: the value stays here, and the browser gets a token.

    It may stand as the value of an output, within lists and dicts, and in `set_props`.
    Callbacks that get the token as an input or a state get the value, in its kind.

    Parameters
    ----------
    value
        A table, shared without a copy; or whatever `Cache.put_value` takes.
    key : str, optional
        A name, within the session: the same name is the same value, whichever component
        it is kept for. By default each component has a value of its own.
    ttl : duration, optional
        How long it lives; the cache's default.

    Raises
    ------
    ValueError
        `ttl` is no duration above 0.
    TypeError
        `key` is no text.
    """

    __slots__ = ("_how", "key", "ttl", "value")

    def __init__(
        self,
        value: T,
        key: str | None = None,
        *,
        ttl: _settings.Duration | None = None,
    ) -> None:
        _settings.milliseconds(ttl)  # ValueError here, where it was written
        if not (key is None or isinstance(key, str)):
            raise TypeError(f"key={key!r}: a name is text")
        self.value = value
        self.key = key
        self.ttl = ttl
        self._how = Keep(ttl)

    def __repr__(self) -> str:
        return f"Serverside({type(self.value).__name__})"

    def to_plotly_json(self) -> Any:
        """Reached only where no callback could put a token in its place.

        Returns
        -------
        Never

        Raises
        ------
        RuntimeError
        """
        raise RuntimeError(
            "a Serverside must be the value of an output, or stand in a list, dict or "
            "Patch that is one, not in a component, a layout or what on_error= returns; "
            "framecache.dash.init(app) must have been called"
        )


def kept_elsewhere(value: T, how: Keep) -> Serverside[T]:
    """A Serverside with a cache, a session check or a name of its own."""
    made = Serverside(value, ttl=how.ttl)
    made._how = how
    return made
