"""The packages of a release: the wheel is built from the source package alone, audited,
and works in an environment that has nothing else.

`make wheel` makes them; scripts/audit-wheel has judged them when it ends well.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ROOT, clean_environment, is_sanitized

pytestmark = [
    pytest.mark.skipif(is_sanitized(), reason="a package is built without the sanitizer"),
    pytest.mark.timeout(1200),  # the first builds it
]
DIST = ROOT / "build" / "dist"


@pytest.fixture(scope="module")
def wheel() -> Path:
    done = subprocess.run(
        [ROOT / "scripts" / "wheel"],
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = DIST.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and nothing else, not even pip."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    make = [sys.executable, "-m", "venv", "--without-pip", home]
    subprocess.run(make, check=True, env=clean_environment())
    install = ["--no-index", "--disable-pip-version-check", "-q", wheel]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", home, "install", *install],
        check=True,
        env=clean_environment(),
    )
    return home


@pytest.fixture
def directory() -> Iterator[str]:
    path = Path("/dev/shm") / f"fc-wheel-{os.getpid()}"
    yield str(path)
    shutil.rmtree(path, ignore_errors=True)


def run(home: Path, program: str, folder: Path, directory: str) -> str:
    done = subprocess.run(
        [home / "bin" / "python", "-I", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environment(FRAMECACHE_DIR=directory, FRAMECACHE_BUDGET="256MiB"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- What is inside ----


def test_the_source_package_holds_the_c_sources_and_no_tests(wheel: Path) -> None:
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = [*ROOT.glob("src/*.[ch]"), *ROOT.glob("frames/*.[ch]")]
    sources += [*ROOT.glob("include/**/*.h"), *ROOT.glob("python/src/*.[ch]")]
    sources += [*ROOT.glob("python/framecache/**/*.py*"), *ROOT.glob("cmake/*")]
    sources = [path for path in sources if "__pycache__" not in path.parts]
    wanted = {str(path.relative_to(ROOT)) for path in sources}
    wanted |= {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"}
    wanted |= {"python/CMakeLists.txt"}
    assert wanted - names == set()
    folders = {name.split("/")[0] for name in names if "/" in name}
    assert folders == {"cmake", "frames", "include", "python", "src"}
    assert not any(name.startswith("python/tests") for name in names)


def test_the_wheel_serves_each_python_from_3_11_on(wheel: Path) -> None:
    assert re.search(r"-cp311-abi3-(many|musl)linux_\w+\.whl$", wheel.name)


def test_the_audit_refuses_a_wheel_that_lacks_something(
    wheel: Path, tmp_path: Path
) -> None:
    inside = tmp_path / "inside"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, inside], check=True)
    (inside / "framecache" / "py.typed").unlink()
    damaged = tmp_path / wheel.name
    shutil.make_archive(str(damaged), "zip", inside)
    damaged.with_name(damaged.name + ".zip").rename(damaged)
    audit = [ROOT / "scripts" / "audit-wheel", damaged]
    done = subprocess.run(audit, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == 1
    assert "framecache/py.typed is missing" in done.stderr


# ---- It runs ----

ALONE = """
import subprocess, sys
import framecache

cache = framecache.Cache(budget="64MiB")
try:
    cache["names"]
except framecache.NeverExisted as error:
    assert error.key == "names"
with cache.build("names", {"name": str}, 3) as build:
    build.extend("name", ["a", None, "c"])
frame = cache["names"]
assert frame.shape == (3, 1) and frame.columns == ["name"]
assert frame["name"].null_count == 1

@cache.memoize(ttl="10m")
def same(n):
    return frame.head(n)

assert same(2).rows == 2 and same.cache_info()["computed"] == 1
cache.put("copy", frame, ttl="1h", tags=["t"])
assert cache.delete_tag("t") == 1
assert [f for f in cache.verify(data=True) if f["level"] != "info"] == []
assert "pandas" not in sys.modules and "numpy" not in sys.modules
print(framecache.get_include())
"""


def test_it_works_with_nothing_else(fresh: Path, tmp_path: Path, directory: str) -> None:
    include = Path(run(fresh, ALONE, tmp_path, directory).strip())
    assert include.is_relative_to(fresh)
    source = tmp_path / "version.c"
    source.write_text(
        "#include <framecache/framecache.h>\n"
        '_Static_assert(FRAMECACHE_VERSION_MAJOR >= 0, "");\n'
    )
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Werror", f"-I{include}", "-c", source],
        check=True,
        cwd=tmp_path,
    )


def readme_lines() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    return "\n".join(blocks)


def test_the_readme_runs_with_pandas(fresh: Path, tmp_path: Path, directory: str) -> None:
    site = next(fresh.glob("lib/python*/site-packages"))
    others = sysconfig.get_path("purelib")
    (site / "others.pth").write_text(others + "\n")  # behind its own
    (tmp_path / "flights.csv").write_text("carrier,dep_delay\nUA,2\nUA,4\nAA,-1\n")
    check = "assert framecache.__file__.startswith(sys.prefix), framecache.__file__\n"
    program = f"import sys\n{readme_lines()}\n{check}"
    try:
        printed = run(fresh, program, tmp_path, directory)
    finally:
        (site / "others.pth").unlink()
    assert re.search(r"AA +-1\.0\nUA +3\.0", printed)
