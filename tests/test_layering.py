"""The layers of the source tree: who may include what, and who may call what.

The two halves of the library know of each other only what DESIGN says, system calls stand
in one place (so that tests can fail each of them), and the library neither prints nor
ends the process.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = sorted([*ROOT.glob("src/*.[ch]"), *ROOT.glob("frames/*.[ch]")])
OUTSIDE = sorted(
    path
    for folder in ("tools", "examples", "bench", "python/src")
    for path in (ROOT / folder).rglob("*.[ch]")
)

SYSTEM_CALLS = """
    open openat openat2 creat close dup dup2 dup3 read pread readv preadv write
    pwrite writev pwritev lseek ftruncate truncate fallocate posix_fallocate fsync
    fdatasync msync sync mmap munmap mremap mprotect madvise posix_madvise mlock
    munlock mincore flock lockf fcntl ioctl stat fstat lstat fstatat statx statfs
    fstatfs statvfs fstatvfs unlink unlinkat rename renameat renameat2 link linkat
    symlink mkdir mkdirat rmdir chmod fchmod fchmodat chown fchown umask access
    faccessat opendir fdopendir readdir closedir syscall futex clock_gettime
    clock_nanosleep gettimeofday time nanosleep usleep sleep sysconf getrandom
    getuid geteuid getgid getegid getpid gettid getrlimit setrlimit
    sched_getaffinity fork vfork clone kill raise fopen fdopen popen system socket
    eventfd epoll_create1 epoll_wait epoll_ctl poll select inotify_init1
    memfd_create getgroups
""".split()
PRINTING = """
    printf fprintf vprintf vfprintf dprintf puts fputs putc fputc putchar fwrite
    perror psignal syslog abort exit _exit quick_exit _Exit err errx warn warnx
""".split()
ALLOCATION = """
    malloc calloc realloc reallocarray free aligned_alloc posix_memalign strdup
    strndup asprintf vasprintf
""".split()


def code_of(text: str) -> str:
    """The text without comments and string literals; lines stay where they are."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''

    def blank(match: re.Match[str]) -> str:
        return '""' if match[0][0] == '"' else "\n" * match[0].count("\n")

    return re.sub(pattern, blank, text, flags=re.DOTALL)


def calls_in(text: str, names: list[str]) -> list[str]:
    """Calls of these functions: not of members, and not declarations of longer names."""
    pattern = rf"(?<![\w.])(?<!->)({'|'.join(names)})\s*\("
    found = []
    for number, line in enumerate(code_of(text).splitlines(), 1):
        found += [f"{number}: {match[1]}()" for match in re.finditer(pattern, line)]
    return found


def includes_of(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_search_finds_calls_and_nothing_else() -> None:
    text = """
        /* open(1) */ int fd = openat(dir, "close(x)", 0);
        sink->write(a); source.read(b); fc__os_open(c); reopen(d); // munmap(e)
        if (flock (fd, 1)) { }
    """
    assert calls_in(text, SYSTEM_CALLS) == ["2: openat()", "4: flock()"]


def test_there_is_something_to_check() -> None:
    names = {name_of(path) for path in LIBRARY}
    assert {"src/os.c", "src/status.h", "frames/frames.h"} <= names


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_two_halves_include_nothing_of_each_other_but_what_is_agreed(
    path: Path,
) -> None:
    for included in includes_of(path):
        if included.startswith("framecache/"):
            continue
        base = included.removeprefix("frames/").removeprefix("src/")
        of_frames = (ROOT / "frames" / base).exists() and not (
            ROOT / "src" / base
        ).exists()
        if path.parent.name == "frames":
            assert of_frames or included == "status.h", f"{name_of(path)}: {included}"
        elif of_frames:
            allowed = path.name.startswith("cache") and included == "frames/frames.h"
            assert allowed, f"{name_of(path)}: {included}"


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_system_calls_are_made_in_os_files_only(path: Path) -> None:
    if not name_of(path).startswith("src/os"):
        assert calls_in(path.read_text(), SYSTEM_CALLS) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_never_prints_or_ends_the_process(path: Path) -> None:
    assert calls_in(path.read_text(), PRINTING) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_memory_is_taken_where_tests_can_make_it_fail(path: Path) -> None:
    if path.name != "memory.c":
        assert calls_in(path.read_text(), ALLOCATION) == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_keeps_nothing_per_thread(path: Path) -> None:
    assert not re.search(
        r"\b(__thread|_Thread_local|thread_local)\b", code_of(path.read_text())
    )


@pytest.mark.parametrize("path", OUTSIDE, ids=name_of)
def test_everything_else_sees_the_public_headers_only(path: Path) -> None:
    drives_the_policy = name_of(path) == "bench/fc_evict.c"
    for included in includes_of(path):
        if drives_the_policy and included == "evict.h":
            continue
        inside = any(
            (ROOT / folder / included).exists() for folder in ("src", "frames", ".")
        )
        beside = (path.parent / included).exists()
        assert beside or not inside or included.startswith("framecache/"), included


DECLARED_BY = {
    "stdio.h": "snprintf vsnprintf fprintf fputs fopen fclose",
    "stdlib.h": "malloc calloc realloc free qsort strtol strtoll strtod getenv",
    "string.h": "memcpy memmove memset memcmp strlen strcmp strncmp strchr strerror",
    "unistd.h": "getpid usleep sysconf",
    "errno.h": "errno",
}
STANDING_ALONE = sorted(
    path
    for folder in ("src", "frames", "tools", "bench", "examples/c", "python/src", "tests")
    for path in (ROOT / folder).rglob("*.c")
)


def all_includes_of(path: Path, seen: set[Path]) -> set[str]:
    """Every header in angle brackets, also through headers of this repository."""
    found = set(re.findall(r"^\s*#\s*include\s+<([^>]+)>", path.read_text(), re.M))
    seen.add(path)
    for included in [*includes_of(path), *found]:
        for folder in (path.parent, ROOT, ROOT / "src", ROOT / "tests", ROOT / "include"):
            below = (folder / included).resolve()
            if below.exists() and below not in seen:
                found |= all_includes_of(below, seen)
    return found


@pytest.mark.parametrize("path", STANDING_ALONE, ids=name_of)
def test_standard_functions_are_declared_by_headers_that_are_included(path: Path) -> None:
    """Not every C library, Python or cmocka brings others along with its headers."""
    code, included = code_of(path.read_text()), all_includes_of(path, set())
    for header, names in DECLARED_BY.items():
        used = re.findall(rf"(?<![\w.>])({'|'.join(names.split())})\b\s*(?=\(|\W)", code)
        used = [name for name in used if name == "errno" or f"{name}(" in code]
        assert not used or header in included, f"{header} for {used[0]}"
