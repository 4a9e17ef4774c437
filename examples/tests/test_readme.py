"""What the README shows works as it stands, and its settings are the library's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FLIGHTS = "carrier,dep_delay\nUA,4.5\nAA,-2\nUA,\nB6,11\n"


def block(root: Path, language: str) -> str:
    """The one piece of code in that language."""
    (code,) = re.findall(
        rf"^```{language}\n(.*?)^```$",
        (root / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return str(code)


def compile_c(root: Path, build: Path, code: str, program: Path) -> None:
    source = program.with_suffix(".c")
    source.write_text(code)
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{root / 'include'}",
            source,
            f"-L{build}",
            "-lframecache",
            f"-Wl,-rpath,{build}",
            "-Wl,--unresolved-symbols=ignore-in-shared-libs",  # a sanitizer's, if any
            "-o",
            program,
        ],
        check=True,
        timeout=600,
    )


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    (tmp_path / "flights.csv").write_text(FLIGHTS)
    return tmp_path


def test_the_lines_of_python_put_and_the_lines_of_c_get(
    root: Path, build: Path, flights: Path, environment: dict[str, str]
) -> None:
    python = subprocess.run(
        [sys.executable, "-c", block(root, "python")],
        cwd=flights,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert python.returncode == 0, python.stderr
    assert re.search(r"^UA +4\.5$", python.stdout, re.MULTILINE)
    program = flights / "sum"
    compile_c(root, build, block(root, "c"), program)
    c = subprocess.run(
        [program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (c.returncode, c.stdout) == (0, "13.5 minutes\n"), c.stderr


def test_a_miss_in_c_is_an_error_in_words(
    root: Path, build: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    program = tmp_path / "sum"
    compile_c(root, build, block(root, "c"), program)
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "flights" in done.stderr


def test_the_table_of_settings_is_the_headers(root: Path) -> None:
    header = (root / "include/framecache/framecache_tables.h").read_text()
    table = header.split("#define FC_SETTINGS(X)")[1].split("\n\n")[0]
    entries = re.findall(r'X\((\w+), "(.*?)",\s*\\?\s*"(.*?)"\)', table)
    readme = (root / "README.md").read_text()
    assert len(entries) == table.count("X(")
    assert [
        f"| {name.upper()} | {syntax} | `{default}` |"
        for name, syntax, default in entries
    ] == re.findall(r"^\| [A-Z_]+ \| .* \| `.*` \|$", readme, re.MULTILINE)


@pytest.mark.parametrize("command", ["stat", "ls", "verify --data", "gc", "doctor"])
def test_the_commands_of_the_readme_are_the_tools(
    root: Path, build: Path, environment: dict[str, str], command: str
) -> None:
    import framecache

    assert f"framecache {command} " in (root / "README.md").read_text()
    framecache.Cache(environment["FRAMECACHE_DIR"]).close()
    tool = os.environ.get("FC_TEST_TOOL", build / "bin/framecache")
    done = subprocess.run(
        [tool, *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
