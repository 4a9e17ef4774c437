"""What the tests in Python share: where the build is, and a clean environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("FC_TEST_BUILD", ROOT / "build" / "release"))
TOOL = Path(os.environ.get("FC_TEST_TOOL", BUILD / "bin" / "framecache"))


def shared_library() -> Path:
    return BUILD / "libframecache.so"


def is_sanitized() -> bool:
    return BUILD.name in ("asan-ubsan", "tsan")


def clean_environment(**more: str) -> dict[str, str]:
    """Without the sanitizer's preload and without settings of framecache."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "LD_PRELOAD" and not name.startswith("FRAMECACHE_")
    }
    return kept | more


class Tool(Protocol):
    def __call__(
        self, *words: str | bytes | Path, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def parse(text: str) -> Any:
    """Strictly: NaN, Infinity and doubled names are errors."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    assert text.endswith("\n") and text.count("\n") == 1
    return json.loads(text, parse_constant=no_constant, object_pairs_hook=unique)
