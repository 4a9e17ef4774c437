"""What is remembered of tokens and values is asked for anew where it may have changed."""

from typing import Any

import framecache
import framecache.dash
import pandas as pd
import pytest
from dash import Dash
from framecache.dash._store import CookiesOff, Keep, Place, Store, StoreMiss
from framecache.dash._token import Forged

SESSION, OTHER = "A" * 32, "B" * 32
FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0]})


@pytest.fixture
def store(cache: framecache.Cache) -> Store:
    app = Dash("app")
    framecache.dash.init(app, cache)
    made = framecache.dash._store.of_app(app)
    assert made is not None
    return made


def keep(store: Store, value: Any, name: bytes | None = None) -> str:
    place = Place(SESSION, b"page", "store.data")
    return store.keep(value, place, Keep(name=name))


def test_a_token_that_was_read_is_still_of_its_session_only(store: Store) -> None:
    token = keep(store, FRAME)
    for _ in range(3):
        assert store.fetch(token, SESSION, "it").equals(FRAME)
        with pytest.raises(StoreMiss, match="another session"):
            store.fetch(token, OTHER, "it")
        with pytest.raises(CookiesOff):
            store.fetch(token, None, "it")


def test_a_text_that_differs_from_a_token_that_was_read_is_forged(store: Store) -> None:
    token = keep(store, FRAME)
    store.fetch(token, SESSION, "it")
    for at in (13, 40, len(token) - 1):
        other = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        for _ in range(2):
            with pytest.raises(Forged):
                store.signer.read(other)
            with pytest.raises(StoreMiss, match="forged"):
                store.fetch(other, SESSION, "it")


def test_a_value_that_was_read_is_missed_when_it_has_gone(
    store: Store, cache: framecache.Cache
) -> None:
    token = keep(store, FRAME)
    assert store.fetch(token, SESSION, "it").equals(FRAME)
    cache.delete_prefix("dash/value/")
    for _ in range(2):
        with pytest.raises(StoreMiss) as caught:
            store.fetch(token, SESSION, "it")
        assert caught.value.reason == "deleted"


def test_a_key_that_is_put_again_gives_what_it_has_now(store: Store) -> None:
    name = bytes(range(16))
    values = [FRAME, FRAME * 2, FRAME.rename(columns={"x": "y"}), FRAME.astype("i8")]
    for value in [*values, "text", *values[::-1], FRAME["x"], None]:
        token = keep(store, value, name)
        for _ in range(2):
            got = store.fetch(token, SESSION, "it")
            if isinstance(value, (pd.DataFrame, pd.Series)):
                assert type(got) is type(value)
                assert got.equals(value) and got.dtypes is not None
            else:
                assert got == value


def test_what_one_callback_changes_the_next_does_not_get(store: Store) -> None:
    frame = pd.DataFrame({"x": range(3000)}, dtype="f8")
    token = keep(store, frame)
    for _ in range(3):
        got = store.fetch(token, SESSION, "it")
        assert got.equals(frame)
        got.loc[:, "x"] = -1.0
        got.columns.name = "mine"


def test_putting_again_and_again_does_not_crowd_out_what_is_known_of_schemas(
    store: Store,
) -> None:
    token = keep(store, FRAME)
    store.fetch(token, SESSION, "it")
    known = len(framecache._frame._layouts)
    for _ in range(5):
        token = keep(store, FRAME)
        assert store.fetch(token, SESSION, "it").equals(FRAME)
    assert len(framecache._frame._layouts) == known
