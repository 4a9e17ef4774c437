"""Tokens: whatever is not one of ours is text or forged, and never a value."""

import os
import pwd
import stat
import subprocess
import sys
import threading
from pathlib import Path

import framecache
import pytest
from framecache.dash import _token
from framecache.dash._token import Forged, Signer, looks_like, secret_of

KEY, HOST, STORE, SESSION = bytes(range(16)), b"host", b"storetag", b"s" * 16
SECRET = b"secret of the tests, long enough"


def issue(signer: Signer | None = None) -> str:
    return (signer or Signer(SECRET)).issue(KEY, HOST, STORE, SESSION, True)


def test_a_token_says_what_was_put_into_it() -> None:
    token = Signer(SECRET).read(issue())
    assert token[:4] == (KEY, HOST, STORE, SESSION)
    assert token.bound is True
    assert token.made > 1.6e9


def test_no_two_tokens_are_the_same() -> None:
    assert len({issue() for _ in range(100)}) == 100


def test_a_token_says_nothing_that_can_be_read_of_the_cookie() -> None:
    signer = Signer(SECRET)
    assert signer.session("cookie") == Signer(SECRET).session("cookie")
    assert signer.session("cookie") != Signer(SECRET + b"x").session("cookie")


def test_with_any_character_changed_it_is_text_or_forged() -> None:
    token, signer = issue(), Signer(SECRET)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert len(token) == 125
    for place in range(len(token)):
        for letter in alphabet.replace(token[place], ""):
            other = token[:place] + letter + token[place + 1 :]
            if looks_like(other):
                with pytest.raises(Forged):
                    signer.read(other)
            else:
                assert place < len(_token.PREFIX) + 8  # the rest never makes it text


def test_cut_short_or_made_longer_it_is_text_or_forged() -> None:
    token = issue()
    for other in [token[:n] for n in range(len(token))] + [token + "A", token * 2]:
        if looks_like(other):
            with pytest.raises(Forged):
                Signer(SECRET).read(other)
        else:
            assert len(other) < 13 or len(other) > 125
    assert looks_like(token[:-1])
    assert looks_like(token[:60])


@pytest.mark.parametrize(
    "text",
    [
        "", "fct1.", "fct1. is how tokens begin", "fct1.AAAAAAAA", "fct1.hello-world",
        "fct1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "fct1.\n", "fct1.\0" * 20, "fct1.é" * 9,
        "fct1." + "A" * 112, " " + "fct1.AAAAAAAA", "fct1." + "A" * 1_000_000,
    ],
)  # fmt: skip
def test_what_merely_looks_like_a_token_is_text(text: str) -> None:
    assert not looks_like(text)


def test_text_that_goes_on_after_a_token_is_text() -> None:
    assert not looks_like(issue() + " and more")
    assert not looks_like("see " + issue())
    assert not looks_like(issue() + "\n")


def test_a_token_of_another_secret_is_forged() -> None:
    with pytest.raises(Forged):
        Signer(SECRET).read(issue(Signer(b"another secret, as long")))


# ---- The secret ----


@pytest.fixture
def folder(directory: str) -> str:
    framecache.Cache(directory).close()
    return directory


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(folder: str) -> None:
    secret = secret_of(folder)
    path = Path(folder) / "dash-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(secret) >= 32
    assert secret_of(folder) == secret
    assert [p.name for p in Path(folder).iterdir() if p.name.startswith("dash")] == [
        "dash-secret"
    ]


def test_all_who_start_at_once_have_the_same_secret(folder: str) -> None:
    found: list[bytes] = []
    start = threading.Barrier(16)

    def run() -> None:
        start.wait()
        found.append(secret_of(folder))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_the_environments_secret_goes_before_the_files(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMECACHE_SECRET", "sixteen or longer")
    assert secret_of(folder) == b"sixteen or longer"
    assert not (Path(folder) / "dash-secret").exists()


def test_a_secret_that_can_be_guessed_is_refused(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMECACHE_SECRET", "short")
    with pytest.raises(framecache.InvalidError, match=r"5 characters.*16 or more"):
        secret_of(folder)


def test_a_secret_that_others_may_read_is_refused(folder: str) -> None:
    secret_of(folder)
    path = Path(folder) / "dash-secret"
    path.chmod(0o644)
    with pytest.raises(framecache.AccessError, match=f"{path}.*mode 0644.*chmod 600"):
        secret_of(folder)


def test_a_damaged_secret_is_refused(folder: str) -> None:
    path = Path(folder) / "dash-secret"
    path.write_bytes(b"")
    path.chmod(0o600)
    with pytest.raises(framecache.InvalidError, match="damaged"):
        secret_of(folder)


def test_a_link_in_the_secrets_place_is_not_followed(folder: str, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_bytes(b"x" * 64)
    target.chmod(0o600)
    (Path(folder) / "dash-secret").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        secret_of(folder)


_AS_NOBODY = """
import os, sys
import dash, framecache._access, framecache.dash.enrich, framecache.flask
app = dash.Dash("app")
opened = {
    "dash": lambda directory: framecache.dash.init(app),
    "cache": framecache.Cache,
    "flask": framecache.flask.FrameCache,
    "enrich": framecache.dash.enrich.FileSystemStore,
}[sys.argv[1]]
if os.geteuid() == 0:  # now that all is imported, which another user may not read
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    opened(os.environ["FRAMECACHE_DIR"])
except framecache.AccessError as error:
    print(error)
else:
    sys.exit("no error")
"""


@pytest.mark.parametrize("spelling", ["dash", "cache", "flask", "enrich"])
@pytest.mark.parametrize("exists", [True, False])
def test_no_permission_is_told_at_start_up_with_path_owner_mode_and_remedy(
    directory: str, exists: bool, spelling: str
) -> None:
    if os.geteuid() != 0 and exists:
        pytest.skip("needs root, to make a directory that is another's")
    place = Path(directory)
    if exists:
        place.mkdir(mode=0o700)
    place.parent.chmod(0o755 if exists else 0o555)
    run = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, spelling],
        env={**os.environ, "FRAMECACHE_DIR": directory},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    place.parent.chmod(0o700)
    assert run.returncode == 0, run.stderr
    assert directory in run.stdout
    assert ("mode 0700" if exists else "mode 0555") in run.stdout
    owner = pwd.getpwuid(os.geteuid()).pw_name
    assert f"owner {owner}" in run.stdout
    assert "sudo install -d -m 700" in run.stdout
    assert "FRAMECACHE_DIR" in run.stdout
