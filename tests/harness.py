"""What the tests in Python share: where the build is, and a clean environment."""

import os
from pathlib import Path

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
