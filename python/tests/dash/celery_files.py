"""Celery's results in files, with what Dash takes for granted, as Redis does it."""

import contextlib
from typing import Any

from celery.backends.filesystem import FilesystemBackend


class Files(FilesystemBackend):
    """Keys may be text, and what is deleted need not be there."""

    def _filename(self, key: Any) -> Any:
        return super()._filename(key.encode() if isinstance(key, str) else key)

    def delete(self, key: Any) -> None:
        with contextlib.suppress(FileNotFoundError):
            super().delete(key)
