"""`make install` and `make uninstall` for a C engineer, the README's program in C, and
where the build stops at once.

All in a copy of the sources, and with a PATH on which there is neither node, nor
Chromium, nor Python, nor anything that installs packages.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from harness import ROOT, clean_environment, is_sanitized

pytestmark = [
    pytest.mark.skipif(is_sanitized(), reason="what is installed has no sanitizer"),
    pytest.mark.timeout(1800),  # the first builds the library, another the extension
]
SOURCES = (
    "CMakeLists.txt Makefile README.md LICENSE pyproject.toml requirements.txt".split()
)
FOLDERS = "cmake src frames include tools scripts python".split()
ABSENT = re.compile(r"(node|npm|npx|chromium|python|pip|uv|conda|apt|sudo|git|ninja)")


def make(tree: Path, *words: str, path: Path | None = None, **more: str) -> str:
    names = ("MAKEFLAGS", "MAKELEVEL", "PREFIX", "DESTDIR", "PRESET")
    environment = {k: v for k, v in clean_environment(**more).items() if k not in names}
    if path:
        environment["PATH"] = str(path)
    done = subprocess.run(
        ["make", *words], cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, as they are in a fresh clone."""
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree)
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", "tests")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    return tree


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH with all programs of this machine but those that must not be asked for."""
    folder = tmp_path_factory.mktemp("tools")
    for place in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for program in Path(place).iterdir():
            if (
                not ABSENT.match(program.name)
                and not (folder / program.name).is_symlink()
            ):
                (folder / program.name).symlink_to(program)
    return folder


@pytest.fixture(scope="module")
def said(tree: Path, tools: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(tree, "install", f"PREFIX={tree / 'prefix'}", path=tools)


@pytest.fixture
def cache_dir(tmp_path: Path) -> Iterator[str]:
    path = Path("/dev/shm") / f"fc-install-{os.getpid()}"
    yield str(path)
    shutil.rmtree(path, ignore_errors=True)


def expected() -> set[str]:
    headers = (ROOT / "include" / "framecache").glob("*.h")
    return {f"include/framecache/{path.name}" for path in headers} | {"bin/framecache"}


def test_install_gives_library_header_and_command_and_nothing_else(
    tree: Path, said: str
) -> None:
    found = files_below(tree / "prefix")
    assert expected() <= found
    others = found - expected()
    library = r"lib[^/]*/(.*/)?(libframecache\.(a|so[.0-9]*)|pkgconfig/framecache\.pc"
    library += r"|cmake/framecache/framecache[\w-]*\.cmake)"
    assert {name for name in others if not re.fullmatch(library, name)} == set()
    assert {Path(name).suffix for name in others} >= {".a", ".so", ".pc", ".cmake"}
    assert not (tree / ".venv").exists()
    folders = {path.name for path in (tree / "build").iterdir() if path.is_dir()}
    assert folders == {"install", "installed"}


def test_install_says_how_the_library_is_found(said: str) -> None:
    assert "ldconfig" in said.splitlines()[-1]


def readme_in_c() -> tuple[str, list[str]]:
    """The program in the README, and the commands that stand behind it."""
    text = (ROOT / "README.md").read_text().split("\n## In C\n")[1].split("\n## ")[0]
    program, rest = text.split("```c\n")[1].split("```\n")
    commands = re.findall(r"^    (cc .*|\./.*)$", rest, re.MULTILINE)
    assert len(commands) == 2
    return program, commands


def test_the_program_in_the_readme_builds_and_runs_as_printed(
    tree: Path, said: str, tmp_path: Path, cache_dir: str
) -> None:
    code = "import framecache, pyarrow; framecache.Cache().put('flights', pyarrow.table("
    code += "{'dep_delay': [1.5, None, 40.0]}))"
    here = clean_environment(FRAMECACHE_DIR=cache_dir)
    subprocess.run([sys.executable, "-c", code], env=here, check=True)
    program, commands = readme_in_c()
    (tmp_path / "sum.c").write_text(program)
    libraries = next((tree / "prefix").rglob("libframecache.so")).parent
    here |= {
        "PKG_CONFIG_PATH": str(libraries / "pkgconfig"),
        "LD_LIBRARY_PATH": str(libraries),
    }
    done = subprocess.run(
        ["sh", "-ec", "\n".join(commands)],
        cwd=tmp_path,
        env=here,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("41.5 minutes\n", "")


def test_uninstall_removes_what_was_installed_and_nothing_else(
    tree: Path, tools: Path, said: str, tmp_path: Path
) -> None:
    prefix = tmp_path / "with a space"
    (prefix / "lib").mkdir(parents=True)
    (prefix / "lib" / "other.so").write_text("another's")
    words = f"PREFIX={prefix}"
    make(tree, "install", words, path=tools)
    (prefix / "include" / "framecache" / "mine.h").write_text("of the user")
    (prefix / "bin" / "framecache").write_text("replaced")
    make(tree, "install", words, path=tools)  # again, over what is there
    (prefix / "bin" / "framecache").write_text("replaced")
    said = make(tree, "uninstall", words, path=tools)
    assert (
        "left alone, since it has changed: " + str(prefix / "bin" / "framecache") in said
    )
    left = {"lib/other.so", "include/framecache/mine.h", "bin/framecache"}
    assert files_below(prefix) == left
    folders = {
        str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_dir()
    }
    assert folders == {"lib", "include", "include/framecache", "bin"}


def test_uninstall_of_nothing_is_an_error_that_names_the_place(
    tree: Path, said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["make", "uninstall", f"PREFIX={tmp_path}"],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert f"nothing was installed into {tmp_path}" in done.stderr


def test_destdir_stands_before_the_prefix_for_install_and_uninstall(
    tree: Path, tools: Path, said: str, tmp_path: Path
) -> None:
    words = (f"DESTDIR={tmp_path}/root", "PREFIX=/usr")
    assert "ldconfig" in make(tree, "install", *words, path=tools)
    found = files_below(tmp_path)
    assert {f"root/usr/{name}" for name in expected()} <= found
    assert all(name.startswith("root/usr/") for name in found)
    pc = next((tmp_path / "root").rglob("framecache.pc")).read_text()
    assert str(tmp_path) not in pc
    make(tree, "uninstall", *words, path=tools)
    assert list(tmp_path.iterdir()) == []


def environment_for(tree: Path) -> Path:
    """A .venv with what builds the package, copied from the one that runs this."""
    venv.create(tree / ".venv", with_pip=False)
    site = next((tree / ".venv" / "lib").glob("python*/site-packages"))
    for name in ("pip", "scikit-build-core", "packaging", "pathspec"):
        for file in distribution(name).files or []:
            if ".." not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), site / file)
    (tree / ".venv" / ".requirements").write_text("")
    return site


def install_python(tree: Path, **more: str) -> None:
    done = subprocess.run(
        ["scripts/install-python"],
        cwd=tree,
        env=clean_environment(**more),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check = [".venv/bin/python", "-I", "-c", "import framecache; framecache.__version__"]
    subprocess.run(check, cwd=tree, check=True)


def test_the_python_package_is_where_it_can_be_imported_whatever_destdir_and_stamp_say(
    tree: Path, tmp_path: Path
) -> None:
    site = environment_for(tree)
    install_python(tree, DESTDIR=str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    for name in ("_core.abi3.so", "_errors.py"):
        broken = site / "framecache" / name
        broken.unlink()
        install_python(tree)
        assert broken.exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["-DCMAKE_SYSTEM_NAME=Darwin"], "Darwin"),
        (["-DCMAKE_SYSTEM_NAME=Windows"], "Windows"),
        # Not linked: the libraries for 32 bits are seldom there.
        (["-DCMAKE_C_FLAGS=-m32", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"], "4"),
    ],
)
def test_other_platforms_stop_at_configure_with_one_sentence(
    options: list[str], named: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["cmake", "-S", ROOT, "-B", tmp_path, *options],
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    said = done.stderr.split("Call Stack")[0]
    assert said.count("CMake Error") == 1
    sentence = " ".join(said.split("(message):")[1].split())
    assert sentence.startswith("framecache runs on 64-bit Linux only")
    assert named in sentence
    assert sentence.count(".") == 1
