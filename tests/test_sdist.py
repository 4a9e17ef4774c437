"""The source package holds all that a wheel is built from, and nothing else."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from harness import ROOT, clean_environment, is_sanitized

pytestmark = pytest.mark.skipif(
    is_sanitized(), reason="a package is built without the sanitizer"
)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    program = f"import scikit_build_core.build as b; print(b.build_sdist({str(out)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / done.stdout.split()[-1]


def test_it_holds_the_c_sources_and_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = [*ROOT.glob("src/*.[ch]"), *ROOT.glob("frames/*.[ch]")]
    sources += [*ROOT.glob("include/**/*.h"), *ROOT.glob("python/src/*.[ch]")]
    sources += [*ROOT.glob("python/framecache/*.py*"), *ROOT.glob("cmake/*")]
    wanted = {str(path.relative_to(ROOT)) for path in sources}
    wanted |= {"CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE"}
    wanted |= {"python/CMakeLists.txt"}
    assert wanted - names == set()
    folders = {name.split("/")[0] for name in names if "/" in name}
    assert folders == {"cmake", "frames", "include", "python", "src"}
    assert not any(name.startswith("python/tests") for name in names)


def test_a_wheel_is_built_from_it_and_works_alone(sdist: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    environment = clean_environment(CMAKE_BUILD_PARALLEL_LEVEL="2")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*pip, *alone, "--target", target, sdist],
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    assert [path.name for path in target.glob("framecache/*.so")] == ["_core.abi3.so"]
    program = "import framecache; print(framecache.__file__, framecache.__version__)"
    output = subprocess.run(
        [sys.executable, "-S", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=os.fspath(target)),
    ).stdout
    assert output.startswith(str(target))
