"""A C program outside the tree builds and runs against the installed library."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import BUILD, ROOT, clean_environment, is_sanitized

HERE = ROOT / "tests" / "consumer"

pytestmark = pytest.mark.skipif(
    is_sanitized(), reason="a user's program is built without the sanitizer"
)


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("installed") / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)
    # It must not matter where the tree stood when it was installed.
    return Path(shutil.move(prefix, prefix.with_name("moved")))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The program, copied away from the repository."""
    for name in ("consumer.c", "CMakeLists.txt"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


@pytest.fixture
def cache_dir(tmp_path: Path) -> str:
    path = Path("/dev/shm") / f"fc-consumer-{os.getpid()}-{tmp_path.name}"
    yield str(path)
    shutil.rmtree(path, ignore_errors=True)


def version() -> str:
    lines = (ROOT / "include/framecache/framecache.h").read_text().splitlines()
    parts = [
        line.split()[-1] for line in lines if line.startswith("#define FRAMECACHE_VER")
    ]
    return ".".join(parts)


def library_dir(prefix: Path) -> Path:
    return next(prefix.glob("lib*/**/libframecache.so")).parent


def check_runs(program: Path, cache_dir: str, **environment: str) -> None:
    output = run(program, FRAMECACHE_DIR=cache_dir, **environment)
    assert output == f"{version()} {sum(range(1000))}\n"


def test_by_pkg_config(installed: Path, source: Path, cache_dir: str) -> None:
    libraries = library_dir(installed)
    found = {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    assert run("pkg-config", "--modversion", "framecache", **found).strip() == version()
    flags = shlex.split(run("pkg-config", "--cflags", "--libs", "framecache", **found))
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", source / "consumer.c",
        "-o", source / "consumer", *flags)  # fmt: skip
    check_runs(source / "consumer", cache_dir, LD_LIBRARY_PATH=str(libraries))


def test_by_pkg_config_statically(installed: Path, source: Path, cache_dir: str) -> None:
    libraries = library_dir(installed)
    found = {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    flags = shlex.split(run("pkg-config", "--cflags", "--static", "framecache", **found))
    behind = shlex.split(run("pkg-config", "--libs", "--static", "framecache", **found))
    behind.remove("-lframecache")  # the shared one would be taken
    run("cc", source / "consumer.c", "-o", source / "consumer", *flags,
        libraries / "libframecache.a", *behind)  # fmt: skip
    check_runs(source / "consumer", cache_dir)


def test_by_find_package(installed: Path, source: Path, cache_dir: str) -> None:
    run("cmake", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={installed}")
    run("cmake", "--build", source / "build")
    check_runs(source / "build" / "consumer", cache_dir)


def test_find_package_refuses_another_minor_version(
    installed: Path, source: Path
) -> None:
    text = (source / "CMakeLists.txt").read_text()
    (source / "CMakeLists.txt").write_text(
        text.replace("framecache 0.1 ", "framecache 0.2 ")
    )
    done = subprocess.run(
        [
            "cmake",
            "-S",
            source,
            "-B",
            source / "build",
            f"-DCMAKE_PREFIX_PATH={installed}",
        ],
        capture_output=True,
        text=True,
        env=clean_environment(),
    )
    assert done.returncode != 0
    assert "0.2" in done.stderr


def test_the_header_is_c_plus_plus_too(installed: Path, source: Path) -> None:
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler")
    (source / "header.cc").write_text(
        "#include <framecache/framecache.h>\n"
        "int main() { return fc_error_name(FC_E_MISS) == nullptr; }\n"
    )
    libraries = library_dir(installed)
    warnings = ["-Wall", "-Wextra", "-Werror"]
    found = [f"-I{installed}/include", f"-L{libraries}"]
    program = source / "header"
    run("c++", *warnings, *found, f"{program}.cc", "-o", program, "-lframecache")
    run(source / "header", LD_LIBRARY_PATH=str(libraries))


def test_the_installed_command_runs(installed: Path) -> None:
    output = run(installed / "bin" / "framecache", "version")
    assert output == f"framecache {version()}\n"
