"""The examples of examples/python/, each as its docstring says to run it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "python"


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():  # the test's own timeout ends it
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen]:
    """A server in a process group of its own, which ends with the test."""
    server = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=HERE, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield server
    finally:
        server.terminate()  # it ends its workers; what it leaves is killed
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=300)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def fetch(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
        return bytes(response.read())


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_workers(how: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "workers.py", how],
        cwd=HERE, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{how}: 499999500000\n"


def test_flask_under_gunicorn_with_preload(environment: dict[str, str]) -> None:
    port = free_port()
    command = ["gunicorn", "--preload", "--workers", "3", "--bind", f"127.0.0.1:{port}"]
    command += ["--timeout", "600"]
    with running([*command, "flask_app:app"], environment) as server:
        wait_for(lambda: answers(port))
        computed, here = set(), set()

        def all_have_answered() -> bool:
            answer = json.loads(fetch(port, "/delay/UA"))
            assert answer["mean"] == 499.5
            computed.add(answer["computed"])
            here.add(answer["here"])
            return len(here) >= 2

        wait_for(all_have_answered)
        assert len(computed) == 1  # for all workers
        assert server.pid not in here
        assert len({fetch(port, "/page") for _ in range(10)}) == 1


def test_fastapi_with_several_workers(environment: dict[str, str]) -> None:
    port = free_port()
    command = ["uvicorn", "--workers", "2", "--port", str(port), "fastapi_app:app"]
    with running(command, environment):
        wait_for(lambda: answers(port))
        totals = [json.loads(fetch(port, "/delay/UA")) for _ in range(10)]
        assert {total["mean"] for total in totals} == {499.5}
        assert {total["by"] for total in totals} <= {0, 1}
        import pyarrow as pa

        with pa.ipc.open_stream(fetch(port, "/table/AA")) as reader:
            assert reader.read_all().num_rows == 1000


def test_fastapi_computes_once(environment: dict[str, str], tmp_path: Path) -> None:
    program = (
        "import asyncio, fastapi_app\n"
        "from fastapi.testclient import TestClient\n"
        "with TestClient(fastapi_app.app) as client:\n"
        "    assert [client.get('/delay/UA').json()['by'] for _ in range(5)] == [1] * 5\n"
        "    assert client.get('/delay/AA').json()['by'] == 2\n"
        "assert fastapi_app.cache.closed\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=HERE, env=environment, check=True)


def test_streamlit(environment: dict[str, str]) -> None:
    program = (
        "from streamlit.testing.v1 import AppTest\n"
        "import framecache\n"
        "app = AppTest.from_file('streamlit_app.py', default_timeout=600).run()\n"
        "assert not app.exception, app.exception\n"
        "assert app.metric[0].value == '25.50', app.metric[0].value\n"
        "app.slider[0].set_value(60).run()\n"
        "assert app.metric[0].value == '29.50', app.metric[0].value\n"
        "other = AppTest.from_file('streamlit_app.py', default_timeout=600).run()\n"
        "keys = sorted(framecache.Cache())\n"
        "assert keys == ['flights/100', 'flights/60'], keys\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=HERE, env=environment, check=True)


def test_celery_with_forked_workers(environment: dict[str, str], tmp_path: Path) -> None:
    for folder in ("queue", "control", "results"):
        (tmp_path / folder).mkdir()
    environment["SPOOL"] = str(tmp_path)
    program = (
        "import celery_app as c\n"
        "key = c.load.delay(1000).get(timeout=600)\n"
        "assert key == 'numbers/1000'\n"
        "jobs = [c.total.delay(key) for _ in range(8)]\n"
        "found = [job.get(timeout=600) for job in jobs]\n"
        "assert {f['sum'] for f in found} == {499500}\n"
        "with c.cache[key] as frame:\n"
        "    assert frame.rows == 1000\n"
    )
    command = ["celery", "-A", "celery_app", "worker", "--concurrency", "2"]
    with running([*command, "--pool", "prefork", "--without-mingle"], environment):
        subprocess.run(
            [sys.executable, "-c", program], cwd=HERE, env=environment, check=True
        )
