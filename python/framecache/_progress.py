"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self

from ._text import size_text

_EACH_S = 0.1
_BLOCKS = " ▏▎▍▌▋▊▉█"


class Progress:
    """``with Progress("load", total) as bar: bar.at(done)``; bytes, or rows."""

    def __init__(self, what: str, total: float, unit: str = "bytes") -> None:
        self._what = what
        self._total = total
        self._unit = unit
        self._began = self._drawn = time.monotonic()
        self._shown = False
        self._wanted = sys.stderr.isatty()

    def at(self, done: float) -> None:
        """So much is done."""
        now = time.monotonic()
        if self._wanted and now - self._drawn >= _EACH_S:
            self._drawn = now
            self._draw(done, now - self._began)

    def _draw(self, done: float, seconds: float) -> None:
        share = min(1.0, done / self._total) if self._total else 1.0
        text = f" {share:4.0%} {self._rate(done / seconds)}"
        if share > 0.02:
            text += f" {seconds / share - seconds:.0f} s left"
        width = shutil.get_terminal_size().columns - len(self._what) - len(text) - 4
        bar = ""
        if width >= 10:
            eighths = round(share * width * 8)
            bar = "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")
            bar = f" |{bar.ljust(width)}|"
        sys.stderr.write(f"\r\x1b[2K{self._what}{bar}{text}")
        sys.stderr.flush()
        self._shown = True

    def _rate(self, each_second: float) -> str:
        if self._unit == "bytes":
            return f"{size_text(each_second)}/s"
        return f"{each_second:,.0f} {self._unit}/s"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
