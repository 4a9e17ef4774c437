"""The command ``python -m framecache``.

What needs Python: files, and schedulers of Python functions. The command ``framecache``,
in C, does the rest, and is what `make install` installs; a wheel installs no command, so
that the two never hide each other.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import _core, _text
from ._cache import Cache
from ._errors import Error
from ._files import FileError, Source, write

Command = Callable[[argparse.Namespace], int]

_EPILOG = """\
Exit status: 0 done; 1 not found or failed, with the reason on standard error; 2 the
command line is wrong; 130 interrupted. A failed load or export changes nothing.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        The exit status.
    """
    asked = _parser().parse_args(arguments)
    command: Command = asked.command
    try:
        return command(asked)
    except (Error, FileError, OSError, ValueError, TypeError) as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # whoever read us has gone
            return 1
        print(f"framecache: {_text.printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m framecache", epilog=_EPILOG,
        description="Files into a cache and out of it, a look, a scheduler.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--dir", help="the cache; or else FRAMECACHE_DIR, or the default")
    parser.add_argument(
        "--version", action="version", version=f"framecache {_core.version}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_load, _add_export, _add_ls, _add_show, _add_stat, _add_refresh):
        add(commands)
    return parser


def _opened(asked: argparse.Namespace) -> Cache:
    """No command but load and refresh makes a cache."""
    return Cache(asked.dir, create=False)


# ---- load, export ----


def _add_load(commands: Any) -> None:
    parser = commands.add_parser("load", help="a CSV, Parquet or Arrow file as a frame")
    parser.add_argument("file", metavar="FILE", help=".csv, .parquet, .arrow, ...")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("--ttl", help="how long the frame lives: 90, 10m, never")
    parser.add_argument("--tag", action="append", default=[], help="may be repeated")
    parser.add_argument(
        "--type", action="append", default=[], metavar="COLUMN=TYPE", type=_pair,
        help="of a CSV file's column, instead of guessing: string, int64, timestamp[us]",
    )  # fmt: skip
    parser.set_defaults(command=_load)


def _pair(text: str) -> tuple[str, str]:
    name, equals, kind = text.rpartition("=")
    if not (equals and name and kind):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form COLUMN=TYPE")
    return name, kind


def _load(asked: argparse.Namespace) -> int:
    source = Source(asked.file, dict(asked.type))
    try:
        with (
            Cache(asked.dir) as cache,
            cache.put(asked.key, source, ttl=asked.ttl, tags=asked.tag) as frame,
        ):
            _say(frame.key, frame.rows, len(frame.columns), frame.nbytes)
    except Error:
        if source.failure is not None:
            raise source.failure from None
        raise
    finally:
        source.close()
    return 0


def _say(what: str, rows: int, columns: int, size: int) -> None:
    name = _text.printable(what)
    print(f"{name}: {rows:,} rows, {columns:,} columns, {_text.size_text(size)}")


def _add_export(commands: Any) -> None:
    parser = commands.add_parser("export", help="a frame as a file")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("file", metavar="FILE", help=".csv, .parquet, .arrow, ...")
    parser.add_argument("--columns", metavar="A,B,...", help="these only, in this order")
    parser.add_argument(
        "--force", action="store_true", help="replace a file that is there"
    )
    parser.set_defaults(command=_export)


def _export(asked: argparse.Namespace) -> int:
    with _opened(asked) as cache, cache[asked.key] as frame:
        part = frame.select(asked.columns.split(",")) if asked.columns else frame
        with part:
            size = write(part, asked.file, force=asked.force)
            _say(asked.file, part.rows, len(part.columns), size)
    return 0


# ---- ls, show, stat ----


def _add_ls(commands: Any) -> None:
    parser = commands.add_parser("ls", help="the frames, by key")
    parser.add_argument("prefix", metavar="PREFIX", nargs="?", default="")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(command=_ls)


def _ls(asked: argparse.Namespace) -> int:
    with _opened(asked) as cache:
        infos = sorted(cache.infos(asked.prefix), key=lambda info: info["key"])
    if asked.json:
        for info in infos:
            print(json.dumps(info))
        return 0
    rows = [["KEY", "ROWS", "COLUMNS", "BYTES", "AGE", "EXPIRES", "HELD"]]
    for info in infos:
        about = dict(_text.about(info))
        rows.append(
            [_text.printable(info["key"]), f"{info['rows']:,}", f"{info['columns']:,}",
             _text.size_text(info["bytes"]), about["age"], about.get("expires", "never"),
             "yes" if info["leased"] else "no"]
        )  # fmt: skip
    print(_text.table(rows, right={1, 2, 3}))
    return 0


def _add_show(commands: Any) -> None:
    parser = commands.add_parser("show", help="a frame: columns and first rows")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="5")
    parser.set_defaults(command=_show)


def _show(asked: argparse.Namespace) -> int:
    with _opened(asked) as cache, cache[asked.key] as frame:
        _say(frame.key, frame.rows, len(frame.columns), frame.nbytes)
        for name, text in _text.about(frame._info) + _text.place_of(frame):
            print(f"{name}: {_text.printable(text)}")
        columns = [
            [_text.printable(name), kind] for name, kind in _text.columns_of(frame)
        ]
        print("\n" + _text.table([["COLUMN", "TYPE"], *columns]))
        cells = _text.first_rows(frame, asked.rows, len(columns))
        rows = [list(map(_text.printable, row)) for row in zip(*cells, strict=True)]
        if rows:
            print("\n" + _text.table([[name for name, _ in columns], *rows]))
    return 0


def _add_stat(commands: Any) -> None:
    parser = commands.add_parser("stat", help="memory and counters")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(command=_stat)


def _stat(asked: argparse.Namespace) -> int:
    with _opened(asked) as cache:
        stats = cache.stats()
    if asked.json:
        print(json.dumps(stats))
        return 0
    rows = [[name, _stat_text(name, value)] for name, value in stats.items()]
    print(_text.table(rows, right={1}))
    return 0


def _stat_text(name: str, value: int | str) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_bytes"):
        return _text.size_text(value)
    for unit, scale in (("_ns", 1e9), ("_ms", 1e3)):
        if name.endswith(unit):
            return _text.span_text(value / scale)
    return f"{value:,}"


# ---- refresh ----


def _add_refresh(commands: Any) -> None:
    parser = commands.add_parser(
        "refresh", help="run the schedulers of a module until a signal",
        description="Runs what framecache.refresh() has made: the Refresher NAME of "
        "MODULE, a list of them, or a function that returns one or a list.",
    )  # fmt: skip
    parser.add_argument("target", metavar="MODULE:NAME")
    parser.set_defaults(command=_refresh)


def _refresh(asked: argparse.Namespace) -> int:
    from ._scheduler import run

    return run(asked.target, asked.dir)
