"""What the shared library exports: exactly the functions of the public header.

tests/symbols.txt is the list that a release is held to. A name that is missing there was
added (append it, sorted); one that is missing in the library was taken from its users.
"""

import re
import subprocess
from pathlib import Path

from harness import ROOT, clean_environment, shared_library

LIST = ROOT / "tests" / "symbols.txt"


def exported(library: Path) -> list[str]:
    output = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=posix", str(library)],
        check=True,
        capture_output=True,
        text=True,
        env=clean_environment(),
    ).stdout
    names = sorted(line.split()[0] for line in output.splitlines())
    # The sanitizer's own, of a build with it.
    return [name for name in names if not name.startswith(("__asan", "__odr_asan"))]


def declared() -> list[str]:
    text = (ROOT / "include/framecache/framecache.h").read_text()
    return sorted(re.findall(r"^FC_API [^;(]*?\b(fc_\w+)\(", text, re.MULTILINE))


def test_the_list_is_what_the_header_declares() -> None:
    assert LIST.read_text().split() == declared()


def test_the_library_exports_the_list_and_nothing_more() -> None:
    assert exported(shared_library()) == LIST.read_text().split()
