"""The short examples in C do what their first lines say."""

import subprocess
from pathlib import Path

Environment = dict[str, str]


def run(
    program: Path, environment: Environment, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_sum_gets_what_it_put_and_adds_it_up(
    build: Path, environment: Environment
) -> None:
    done = run(build / "examples/sum", environment)
    assert (done.returncode, done.stdout) == (0, "total delay: 13.5\n"), done.stderr


def test_build_publishes_rows_filled_in_place(
    build: Path, environment: Environment, cache_dir: Path
) -> None:
    import framecache

    done = run(build / "examples/build", environment, "300000")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("300000 rows, ")
    with framecache.Cache(cache_dir, create=False) as cache:
        table = cache["x"].to_pandas()
    assert table["x"].tolist() == [row * 0.5 for row in range(300000)]


def test_build_beyond_the_budget_says_what_is_held(
    build: Path, environment: Environment
) -> None:
    done = run(
        build / "examples/build", environment | {"FRAMECACHE_BUDGET": "16MiB"}, "10000000"
    )
    assert done.returncode == 1
    assert "FC_E_BUDGET" in done.stderr
    assert f"of {16 << 20} bytes" in done.stderr


def test_build_refuses_a_count_that_is_none(
    build: Path, environment: Environment
) -> None:
    assert run(build / "examples/build", environment, "many").returncode == 2
