"""An example under gunicorn, and headless Chromium in front of it."""

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
from pathlib import Path
from typing import Any

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


def wait_for(address: str, server: subprocess.Popen[bytes], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended"
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(address, timeout=5).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"nobody answers at {address}")


@contextlib.contextmanager
def serve(
    folder: Path, application: str, environment: dict[str, str], workers: int = 2
) -> Iterator[str]:
    """The address of `application` (module:name of `folder`) under gunicorn."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        sys.executable, "-m", "gunicorn", "--chdir", str(folder), "--workers",
        str(workers), "--bind", address, "--log-level", "warning",
        application,
    ]  # fmt: skip
    server = subprocess.Popen(command, env=environment)
    try:
        wait_for(f"http://{address}/", server)
        yield f"http://{address}/"
    finally:
        server.terminate()
        server.wait(timeout=30)


@contextlib.contextmanager
def page(address: str) -> Iterator[Any]:
    """The page at `address`; what its scripts complained of fails the test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(90_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        try:
            page.goto(address)
            yield page
            assert errors == []
        finally:
            browser.close()
