"""Each spelling on each server: ``make test-dash``. Not part of ``make test``.

Of each combination a real server is started, with one worker or more. Users with a
session each keep a value and read it until more than one worker has answered; where the
spelling checks sessions, a stranger reads nothing. Then a worker is killed, and the
values are still there. At last Chromium clicks through the page.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import framecache
import psutil
import pytest
import requests

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "examples/tests"))

import browser  # noqa: E402  of examples/tests

_GUNICORN = "gunicorn matrix_app:server -b 127.0.0.1:{port} --timeout 600"
_UVICORN = "uvicorn matrix_app:server --host 127.0.0.1 --port {port} --log-level warning"
_HYPERCORN = "hypercorn matrix_app:server -b 127.0.0.1:{port}"


class Server(NamedTuple):
    command: str
    workers: int
    backend: str = "flask"


SERVERS = {
    "gunicorn-1": Server(_GUNICORN, 1),
    "gunicorn-4": Server(f"{_GUNICORN} -w 4", 4),
    "gunicorn-4-preload": Server(f"{_GUNICORN} -w 4 --preload", 4),
    "gunicorn-2-threads": Server(f"{_GUNICORN} -w 2 --threads 4", 2),
    "gunicorn-2-gevent": Server(f"{_GUNICORN} -w 2 -k gevent", 2),
    "fastapi-1": Server(_UVICORN, 1, "fastapi"),
    "fastapi-4": Server(f"{_UVICORN} --workers 4", 4, "fastapi"),
    "quart-1": Server(_HYPERCORN, 1, "quart"),
    "quart-4": Server(f"{_UVICORN} --workers 4", 4, "quart"),
}
MATRIX = [("plain", name) for name in SERVERS] + [
    (spelling, name)
    for spelling in ("callback", "enrich", "extensions")
    for name in ("gunicorn-1", "gunicorn-4", "gunicorn-4-preload")
]


class Running:
    """A server, and what a browser does with it."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url, self.process = url, process

    def user(self) -> "User":
        return User(self.url)

    def kill_a_worker(self) -> None:
        workers = psutil.Process(self.process.pid).children(recursive=True)
        victims = [w for w in workers if "resource_tracker" not in " ".join(w.cmdline())]
        victims[-1].kill()


class User:
    """A browser's session."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.get(url, timeout=300)

    def post(self, output: str, component: str, name: str, value: Any) -> Any:
        outputs = [
            {"id": one.split(".")[0], "property": one.split(".")[1]}
            for one in output.strip(".").split("...")
        ]
        body = {
            "output": output,
            "outputs": outputs if output.startswith("..") else outputs[0],
            "inputs": [{"id": component, "property": name, "value": value}],
            "state": [],
            "changedPropIds": [f"{component}.{name}"],
        }
        url = f"{self.url}_dash-update-component?endId=page"
        for attempt in range(3):
            try:
                return self.session.post(url, json=body, timeout=300)
            except requests.ConnectionError:  # to the worker that was killed
                if attempt == 2:
                    raise
                time.sleep(0.5)
        return None

    def keep(self, clicks: int) -> str:
        reply = self.post("store.data", "btn", "n_clicks", clicks)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["response"]["store"]["data"])

    def show(self, token: str) -> Any:
        return self.post("..log.children...pid.children..", "store", "data", token)

    def shown(self, token: str) -> tuple[str, str]:
        reply = self.show(token)
        assert reply.status_code == 200, reply.text
        answer = reply.json()["response"]
        return answer["log"]["children"], answer["pid"]["children"]


@pytest.fixture
def running(
    request: pytest.FixtureRequest, directory: str, tmp_path: Path
) -> Iterator[Any]:
    spelling, name = request.param
    server = SERVERS[name]
    port = browser.free_port()
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *server.command.format(port=port).split()],
            cwd=HERE, stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "SPELLING": spelling, "BACKEND": server.backend},
        )  # fmt: skip
    running = Running(f"http://127.0.0.1:{port}/", process)
    try:
        try:
            browser.wait_for(running.url, process)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{log.read_text()}") from None
        yield running, spelling, server
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    "running", MATRIX, indirect=True, ids=["-".join(m) for m in MATRIX]
)
@pytest.mark.timeout(180)
def test_values_are_every_workers_and_the_sessions_own(
    running: Any, directory: str
) -> None:
    here, spelling, server = running
    users = [here.user() for _ in range(4)]
    tokens = [user.keep(n) for n, user in enumerate(users)]
    workers = set()
    for _ in range(50):
        for n, (user, token) in enumerate(zip(users, tokens, strict=True)):
            text, pid = user.shown(token)
            assert text == f"1000 rows of click {n}"
            workers.add(pid)
            user.session.close()  # another connection, perhaps another worker
        if len(workers) >= min(2, server.workers):
            break
    assert len(workers) >= min(2, server.workers)
    if spelling != "extensions":
        assert users[0].show(tokens[1]).status_code == 500
    if server.workers > 1:
        here.kill_a_worker()
    for n, (user, token) in enumerate(zip(users, tokens, strict=True)):
        assert user.shown(token)[0] == f"1000 rows of click {n}"
    click_through(here.url)
    with framecache.Cache(directory) as cache:
        assert [f for f in cache.verify() if f["level"] != "info"] == []


def click_through(url: str) -> None:
    """In Chromium."""
    if shutil.which("chromium") is None:
        return
    from playwright.sync_api import TimeoutError

    with browser.chromium() as started:
        page = started.new_page()
        page.set_default_timeout(300_000)
        for _ in range(4):
            page.goto(url)
            # Two first requests at once of a worker may find no scripts of Dash's.
            with contextlib.suppress(TimeoutError):
                page.wait_for_selector("#btn", timeout=30_000)
                break
        for clicks in (1, 2):
            page.click("#btn")
            page.wait_for_function(
                "text => document.querySelector('#log').innerText === text",
                arg=f"1000 rows of click {clicks}",
            )
