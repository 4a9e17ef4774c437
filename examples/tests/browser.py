"""A program under gunicorn, and headless Chromium in front of it: for the tests of the
examples, the benchmarks in a browser and Dash's matrix.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()

needed = pytest.mark.skipif(
    "LD_PRELOAD" in os.environ or not shutil.which("chromium"),
    reason="needs chromium, without a sanitizer's runtime",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=60).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"nobody answers at {address}")


@dataclass
class Server:
    """A program under gunicorn."""

    address: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def memory(self, *fields: str) -> int:
        """The sum of these fields of smaps_rollup over the workers, in bytes."""
        kib = 0
        for pid in self.workers():
            with contextlib.suppress(OSError):  # it has just ended
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in fields:
                        kib += int(value.split()[0])
        return kib * 1024


@contextlib.contextmanager
def gunicorn(
    folder: Path,
    application: str,
    environment: dict[str, str],
    workers: int = 2,
    *more: str,
    log: IO[bytes] | None = None,
) -> Iterator[Server]:
    """`application` (module:name of `folder`), with `more` arguments of gunicorn."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "gunicorn", "--chdir", str(folder), "--workers",
        str(workers), "--bind", address, "--log-level", "warning",
        "--timeout", "600",  # a worker of a busy machine is slow, not dead
        *more, application,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log
    )
    try:
        wait_for(f"http://{address}/", process)
        yield Server(f"http://{address}/", process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@contextlib.contextmanager
def serve(
    folder: Path, application: str, environment: dict[str, str], workers: int = 2
) -> Iterator[str]:
    """The address of `application` (module:name of `folder`) under gunicorn."""
    with gunicorn(folder, application, environment, workers) as server:
        yield server.address


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        try:
            yield browser
        finally:
            with contextlib.suppress(Error):  # a request of 512 MB ends the driver
                browser.close()


@contextlib.contextmanager
def page(address: str) -> Iterator[Any]:
    """The page at `address`; what its scripts complained of fails the test."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(300_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        yield page
        assert errors == []


class Tab:
    """A page in a session of its own, and the answers of its callbacks."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000})
        self.page = self.context.new_page()
        self.page.set_default_timeout(300_000)
        self.errors: list[str] = []
        self.responses: list[Any] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", self._note)
        self.page.goto(address)

    def _note(self, response: Any) -> None:
        if "/_dash-update-component" in response.url:
            if response.status >= 400:
                self.errors.append(f"{response.status} {response.url}")
            self.responses.append(response)

    def click(self, selector: str) -> None:
        self.page.click(selector)

    def text(self, selector: str, contains: str) -> str:
        """The element's text, once it holds `contains`."""
        self.page.wait_for_function(
            "([s, t]) => (document.querySelector(s)?.textContent ?? '').includes(t)",
            arg=[selector, contains],
        )
        return str(self.page.locator(selector).text_content())

    def store(self, component: str) -> Any:
        """What a dcc.Store holds in the browser: as the last answer has set it."""
        for response in reversed(self.responses):
            if response.status == 200:
                part = response.json().get("response", {}).get(component)
                if part is not None:
                    return part["data"]
        return None
