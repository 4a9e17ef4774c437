"""``python -m framecache refresh module:name``: schedulers outside the web workers."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any

from ._refresh import Refresher


class TargetError(ValueError):
    """What MODULE:NAME names is no Refresher."""


def _found(target: str) -> Any:
    module_name, colon, name = target.partition(":")
    if not (module_name and colon and name):
        raise TargetError(f"{target!r} is not of the form MODULE:NAME")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and module_name.startswith(error.name):
            raise TargetError(
                f"there is no module {error.name!r} here or on PYTHONPATH"
            ) from None
        raise TargetError(f"module {module_name!r}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise TargetError(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found


def refreshers(target: str) -> list[Refresher]:
    """Those that MODULE:NAME names."""
    found = _found(target)
    if callable(found):
        found = found()
    every = [found] if isinstance(found, Refresher) else found
    if not isinstance(every, Iterable):
        every = [every]
    listed = list(every)
    wrong = next((item for item in listed if not isinstance(item, Refresher)), None)
    if wrong is not None or not listed:
        what = "an empty list" if wrong is None else f"a {type(wrong).__name__}"
        raise TargetError(
            f"{target} is {what}, and no Refresher, list of them or function that "
            "returns them: make one with framecache.refresh(key, load)"
        )
    return listed


def run(target: str, directory: str | None) -> int:
    """Until SIGTERM or SIGINT (0), or until all have ended by themselves (1)."""
    if directory is not None:
        os.environ["FRAMECACHE_DIR"] = directory
    if not logging.getLogger().handlers:
        form = "%(asctime)s %(levelname)s %(message)s"
        logging.basicConfig(level=logging.INFO, format=form)
    running = refreshers(target)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    for refresher in running:
        refresher.start()
    while not stopped.wait(0.2):
        if not any(refresher._is_running() for refresher in running):
            return 1
    for refresher in running:
        refresher._stop.set()
    for refresher in running:
        refresher.stop()
    return 0
