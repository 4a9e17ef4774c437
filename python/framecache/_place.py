"""Whose code or which application it is: by its file, the same in every process.

A name such as ``app.load`` says nothing: many programs have an app.py. A file says it,
however the program was started: by ``python app.py``, by ``gunicorn app:server``, as a
spawned child, as a worker of Celery. Cells of notebooks have no file that lasts: of them
the notebook counts, or else the directory that it was begun in.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

_MAIN = ("__main__", "__mp_main__")  # the same file in a spawned child
_CELL = re.compile(  # a notebook's, on the disk or not: these have the pid in them
    r"[/\\]\.?(?:ipykernel|xpython|marimo)[_/\\]\d+[/\\]|[/\\]ipython-input-[^/\\]*$"
)
_FRAMEWORKS = frozenset(
    ("framecache", "flask_caching", "dash", "dash_extensions", "functools", "contextlib")
)


def of_file(path: str) -> str:
    """A file by its real directory and its own name.

    The name may be a link: two programs that link to one file are two.
    """
    if path.endswith(".pyc"):
        path = path[:-1]
    unpacked = getattr(sys, "_MEIPASS", None)  # PyInstaller's, anew for each process
    if unpacked and path.startswith(f"{unpacked}{os.sep}"):
        return os.path.realpath(sys.executable) + path[len(unpacked) :]
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def of_code(filename: str, names: Mapping[str, Any], module: str) -> str:
    """The file that code stands in.

    Parameters
    ----------
    filename
        Of the code object.
    names
        The function's global names.
    module
        The module that the function says it is of.
    """
    if _CELL.search(filename):
        return _of_session(names, module)
    own = names.get("__file__")
    own = own if isinstance(own, str) else ""
    # Without its source a module has the file name of where it was compiled.
    sourceless = own.endswith(".pyc")
    if not sourceless and os.path.isabs(filename) and os.path.isfile(filename):
        return of_file(filename)
    return of_file(own) if own else _of_session(names, module)


def of_module(name: str) -> str:
    """The file of a module; of one that is compiled in, its name."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if file:
        return of_file(file)
    return _of_session(vars(module) if module else {}, name) if name in _MAIN else name


def _of_session(names: Mapping[str, Any], module: str) -> str:
    """The notebook, or the directory, of code that was typed or generated."""
    if module not in (*_MAIN, "builtins"):
        return os.path.join(os.getcwd(), f"<{module}>")
    notebook = names.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return of_file(os.path.abspath(notebook))
    begun = names.get("_dh")  # IPython's: where it has been
    directory = str(begun[0]) if isinstance(begun, list) and begun else os.getcwd()
    return os.path.join(os.path.realpath(directory), "<interactive>")


# ---- Functions ----


def of_function(function: Any) -> str:
    """The file of the innermost function, of a class, of whatever can be called."""
    import inspect

    inner = inspect.unwrap(function)
    if isinstance(inner, types.MethodType):
        inner = inner.__func__
    kind = inner if isinstance(inner, type) else type(inner)
    found = _with_code(inner) or next(filter(None, map(_with_code, _methods(kind))), None)
    if found is not None:
        code, names = found
        return of_code(code.co_filename, names, str(inner.__module__))
    return of_module(getattr(inner, "__module__", None) or kind.__module__)


def _with_code(function: Any) -> tuple[types.CodeType, Mapping[str, Any]] | None:
    code = getattr(function, "__code__", None)
    names = getattr(function, "__globals__", None)
    if code is not None and hasattr(code, "co_filename") and isinstance(names, Mapping):
        return code, names
    return None


def _methods(kind: type) -> Iterator[Any]:
    """A class's own, whichever they are: they stand in its file."""
    for function in vars(kind).values():
        if getattr(function, "__module__", None) == kind.__module__:
            yield function


# ---- Applications ----


def of_application(name: str, root: str | None = None, prefix: str = "") -> str:
    """An application of Flask or Dash, in few characters: ``dashboard-1f0c2a9b44d18e60``.

    Parameters
    ----------
    name
        As it was given: mostly that of its module, whose file counts then. If it is any
        other text, by chance that of an installed module, the file of who set the cache
        up.
    root
        The application's own directory.
    prefix
        Where it is served, of several in one process.
    """
    own = getattr(sys.modules.get(name), "__file__", None)
    known = name in _MAIN or (own and not _is_installed(own))
    file = of_module(name) if known else _of_caller()
    stem = os.path.splitext(file)[0].removesuffix("/__init__")
    shown = os.path.basename(stem)
    last = name.rpartition(".")[2]
    if name not in _MAIN and last != shown:  # "app" of app.py is what __main__ is
        shown = last
    other = root is not None and _is_other(root, file)
    parts = (stem, shown, os.path.realpath(root) if other and root else "", prefix)
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(text, digest_size=8).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_.-]', '_', shown)[:40]}-{digest}"


def _is_installed(file: str) -> bool:
    standard = os.path.join(os.path.dirname(os.__file__), "")
    return file.startswith(standard) or bool(
        re.search(r"[/\\](site|dist)-packages[/\\]", file)
    )


def _is_other(root: str, file: str) -> bool:
    """Whether it was chosen; Flask takes that of the module, or the working directory."""
    usual = (os.path.dirname(file), os.path.realpath(os.getcwd()))
    return os.path.realpath(root) not in usual


def _of_caller() -> str:
    """The file of whoever called us, through whatever framework."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__", "__main__"))
        if module.partition(".")[0] not in _FRAMEWORKS:
            break
        frame = frame.f_back
    module = str(frame.f_globals.get("__name__", "__main__"))
    return of_code(frame.f_code.co_filename, frame.f_globals, module)
