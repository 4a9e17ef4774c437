"""The command line itself: help, versions, options before and after, mistakes."""

import subprocess
from pathlib import Path
from typing import Any

import framecache
import pyarrow as pa
import pytest
from harness import TOOL, Tool, clean_environment, parse

COMMANDS = ["stat", "ls", "show", "holders", "rm", "clear", "verify", "gc", "doctor"]
COMMANDS += ["version"]
WITH_OPERAND = {"show": ["k"], "rm": ["k"]}


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["ls", "--help"]])
def test_help_names_each_command_and_the_exit_statuses(
    tool: Tool, words: list[str]
) -> None:
    done = tool(*words)
    assert done.returncode == 0
    assert done.stderr == ""
    for command in COMMANDS:
        assert f"\n    {command} " in done.stdout
    for word in ("--dir", "--json", "--escaped", "key_base64", "Exit status"):
        assert word in done.stdout


def test_version_is_the_librarys(tool: Tool, ask: Any) -> None:
    version = framecache.__version__
    assert tool("version").stdout == f"framecache {version}\n"
    assert tool("--version").stdout == f"framecache {version}\n"
    assert ask("version") == {"version": version}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which command?"),
        (["lss"], "there is no command lss"),
        (["ls", "--jason"], "there is no option --jason"),
        (["ls", "-x"], "there is no option -x"),
        (["ls", "--dir"], "a value is missing after --dir"),
        (["ls", "--dir="], "--dir must name a directory"),
        (["ls", "a", "b"], "framecache ls [PREFIX]"),
        (["show"], "framecache show KEY"),
        (["show", "a", "b"], "framecache show KEY"),
        (["rm"], "framecache rm KEY..."),
        (["stat", "a"], "framecache stat"),
        (["ls", "--data"], "ls has no option --data"),
        (["verify", "--rows", "3"], "verify has no option --rows"),
        (["stat", "-e"], "stat has no option --escaped"),
        (["show", "a", "--rows", "many"], "--rows must be a number from 0 to 1000000"),
        (["show", "a", "--rows=-1"], "--rows must be a number from 0 to 1000000"),
        (["rm", "-e", "a\\b"], "with --escaped a backslash begins"),
    ],
)
def test_a_wrong_command_line_says_so_and_exits_2(
    tool: Tool, cache_dir: Path, words: list[str], message: str
) -> None:
    done = tool(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert not cache_dir.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_json_and_dir_stand_before_or_after_the_command(
    tool: Tool, cache: framecache.Cache, cache_dir: Path, command: str
) -> None:
    words = [command, *WITH_OPERAND.get(command, [])]
    options = ["--json", "--dir", str(cache_dir)]
    nowhere = {"FRAMECACHE_DIR": "/nonexistent/cache"}
    for line in (
        [*options, *words],
        [*words, *options],
        ["--json", *words, f"--dir={cache_dir}"],
    ):
        cache.put("k", pa.table({"x": [1]}))
        done = tool(*line, **nowhere)
        assert done.returncode == 0, done.stdout + done.stderr
        assert parse(done.stdout) is not None


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c not in ("version", "doctor")]
)
def test_no_command_makes_a_cache(tool: Tool, cache_dir: Path, command: str) -> None:
    words = [command, *WITH_OPERAND.get(command, [])]
    done = tool(*words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(cache_dir) in done.stderr
    assert not cache_dir.exists()
    answer = parse(tool(*words, "--json").stdout)
    assert answer["error"]["code"] == "FC_E_MISS"
    assert not cache_dir.exists()


def test_a_full_disk_below_standard_output_is_a_failure(cache_dir: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [TOOL, "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_a_setting_that_does_not_parse_is_quoted(
    tool: Tool, cache: framecache.Cache
) -> None:
    done = tool("stat", FRAMECACHE_TTL="soon")
    assert done.returncode == 1
    assert 'FRAMECACHE_TTL is "soon"' in done.stderr
