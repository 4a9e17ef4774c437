"""The pre-forked server answers from one shared frame, whichever worker is asked,
replaces a worker that dies, and goes when told to.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROWS = 50_000
WAIT_S = 300
Environment = dict[str, str]


class Server:
    """The running program."""

    def __init__(self, program: Path, environment: Environment, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [program, "--port", "0", *arguments],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout
        said = self.process.stdout.readline()  # ends with the process, if it fails
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", said)
        if not found:
            self.kill()
        assert found, said
        self.port = int(found[1])

    def ask(self, *lines: str) -> list[str]:
        """The answers to several lines sent at once, over one connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S) as client:
            client.sendall("".join(line + "\n" for line in lines).encode())
            with client.makefile() as answers:
                return [answers.readline().rstrip("\n") for _ in lines]

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [
            int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=WAIT_S)
        return self.process.returncode

    def kill(self) -> None:
        """It and its workers, whatever they are at."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=WAIT_S)


@pytest.fixture
def server(build: Path, environment: Environment) -> Iterator[Server]:
    running = Server(
        build / "examples/server", environment, "--workers", "3", "--rows", str(ROWS)
    )
    yield running
    running.kill()


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def expected_delays() -> list[tuple[str, float]]:
    """The generated flights, worked out here: carrier and delay where there is one."""
    carriers = ["UA", "DL", "AA", "B6"]
    return [(carriers[row % 4], row % 97 - 20.0) for row in range(ROWS) if row % 10 != 9]


def test_every_verb_gives_what_the_rows_say(server: Server) -> None:
    delays = [delay for _, delay in expected_delays()]
    answers = server.ask(
        "count delay", "sum delay", "mean delay", "min delay", "max delay", "sum distance"
    )
    distances = sum(100 + row % 2000 for row in range(ROWS))
    assert [float(a) for a in answers] == pytest.approx(
        [len(delays), sum(delays), sum(delays) / len(delays), -20, 76, distances],
        rel=1e-12,
    )


def test_groups_come_sorted_with_their_names(server: Server) -> None:
    sums: dict[str, float] = {}
    for carrier, delay in expected_delays():
        sums[carrier] = sums.get(carrier, 0) + delay
    assert server.ask("sum delay by carrier") == [
        " ".join(f"{carrier}={sums[carrier]:.0f}" for carrier in sorted(sums))
    ]


@pytest.mark.parametrize(
    "line, error",
    [
        ("mean nothing", "nothing"),
        ("mean carrier", "column 'carrier' holds no numbers"),
        ("sum delay by delay", "delay"),
        ("sum distance by carrier please", "count|sum|mean|min|max COLUMN"),
        ("median delay", "count|sum|mean|min|max COLUMN"),
        ("", "count|sum|mean|min|max COLUMN"),
    ],
)
def test_a_bad_line_gets_an_error_and_the_next_an_answer(
    server: Server, line: str, error: str
) -> None:
    refused, answered = server.ask(line, "count distance")
    assert refused.startswith("error: ") and error in refused
    assert answered == str(ROWS)


def test_many_clients_at_once_get_the_same_answer(server: Server) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: server.ask("max distance")[0], range(64)))
    assert answers == ["2099"] * 64


def test_a_killed_worker_is_replaced_and_all_answers_go_on(server: Server) -> None:
    assert until(lambda: len(server.workers()) == 3)
    before = server.workers()
    os.kill(before[0], signal.SIGKILL)
    assert until(lambda: len(server.workers()) == 3 and before[0] not in server.workers())
    assert [server.ask("count distance")[0] for _ in range(20)] == [str(ROWS)] * 20


def test_a_frame_put_meanwhile_is_what_the_next_question_is_about(
    server: Server, cache_dir: Path
) -> None:
    import framecache
    import pandas as pd

    assert server.ask("count distance") == [str(ROWS)]
    with framecache.Cache(cache_dir, create=False) as cache:
        cache.put("flights", pd.DataFrame({"distance": [5, 6, 7]}))
        assert server.ask("sum distance") == ["18"]


def test_sigterm_ends_it_cleanly_and_leaves_a_clean_cache(
    server: Server, build: Path, cache_dir: Path
) -> None:
    assert server.ask("count distance") == [str(ROWS)]
    assert until(lambda: len(server.workers()) == 3)
    workers = server.workers()
    assert server.stop() == 0
    assert not [w for w in workers if Path(f"/proc/{w}").exists()]
    tool = os.environ.get("FC_TEST_TOOL", build / "bin/framecache")
    subprocess.run([tool, "--dir", cache_dir, "verify"], check=True, timeout=WAIT_S)


def test_a_frame_that_is_there_is_served_and_not_replaced(
    build: Path, environment: Environment, cache_dir: Path
) -> None:
    import framecache
    import pandas as pd

    with framecache.Cache(cache_dir) as cache:
        cache.put("mine", pd.DataFrame({"x": [1.5, 2.5]}))
    running = Server(build / "examples/server", environment, "--key", "mine")
    try:
        assert running.ask("sum x") == ["4"]
        assert running.stop() == 0
    finally:
        running.kill()
