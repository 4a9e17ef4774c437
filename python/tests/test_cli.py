"""python -m framecache: files in and out, a look; errors that help."""

import json
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import framecache
import pyarrow as pa
import pytest
from framecache._cli import main
from pyarrow import csv, feather, ipc, parquet
from versions import needs_pyarrow_20

TABLE = pa.table({
    "carrier": ["UA", None, "AA, Inc."], "delay": [2.5, None, -1.0],
    "n": [1, 2, 3], "day": pa.array([0, 1, None], pa.date32()),
})  # fmt: skip


class Command:
    """The command, in this process, with FRAMECACHE_DIR set to the test's cache."""

    def __init__(
        self,
        directory: str,
        folder: Path,
        patch: pytest.MonkeyPatch,
        capture: pytest.CaptureFixture[str],
    ) -> None:
        self.settings = {"FRAMECACHE_DIR": directory, "FRAMECACHE_BUDGET": "512MiB"}
        for name, value in self.settings.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        self._capture = capture

    def run(self, *words: str) -> tuple[int, str, str]:
        try:
            status = main(words)
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            status = ended.code
        return status, *self._capture.readouterr()

    def __call__(self, *words: str) -> str:
        status, said, errors = self.run(*words)
        assert status == 0, errors
        assert errors == ""  # no progress bar but on a terminal
        return said

    def refused(self, *words: str) -> str:
        status, said, errors = self.run(*words)
        assert status == 1, errors
        assert said == ""
        assert errors.startswith("framecache: ") and errors.count("\n") == 1
        return errors


@pytest.fixture
def command(
    directory: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    return Command(directory, tmp_path, monkeypatch, capsys)


def write_stream(table: pa.Table, path: Path) -> None:
    with ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


def write_file(table: pa.Table, path: Path) -> None:
    with ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS = {
    "t.csv": csv.write_csv, "t.parquet": parquet.write_table, "t.arrow": write_file,
    "t.arrows": write_stream, "t.feather": feather.write_feather,
    "stream.arrow": write_stream, "T.CSV": csv.write_csv,
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRITERS))
def test_load_reads_each_kind_of_file(
    command: Command, cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    WRITERS[name](TABLE, tmp_path / name)
    said = command("load", name, "the key", "--ttl", "1h", "--tag", "a", "--tag", "b")
    assert said.startswith("the key: 3 rows, 4 columns, ")
    with cache["the key"] as frame:
        loaded = frame.to_arrow()
        assert loaded.column("n").to_pylist() == [1, 2, 3]
        expected = TABLE["carrier"].to_pylist()
        if name.lower().endswith("csv"):
            expected[1] = ""
        assert loaded.column("carrier").to_pylist() == expected
        assert loaded.column("day").type == pa.date32()
        assert sorted(frame.info["tags"]) == ["a", "b"]
        assert frame.info["expires"] - frame.info["created"] == pytest.approx(3600)
        del loaded


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.arrow", "t.arrows"])
def test_export_then_load_gives_the_same(
    command: Command, cache: framecache.Cache, tmp_path: Path, name: str
) -> None:
    table = pa.table({"x": [1.5, -2.0], "s": ["a", "b"], "n": [1, 2]})
    cache["k"] = table
    said = command("export", "k", name)
    assert said.startswith(f"{name}: 2 rows, 3 columns, ")
    command("load", name, "again")
    with cache["again"] as frame:
        assert frame.to_arrow().to_pydict() == table.to_pydict()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_export_takes_columns_and_replaces_only_when_told(
    command: Command, cache: framecache.Cache, tmp_path: Path
) -> None:
    cache["k"] = TABLE
    path = tmp_path / "t.parquet"
    command("export", "k", "t.parquet", "--columns", "n,carrier")
    assert parquet.read_table(path).column_names == ["n", "carrier"]
    assert "is there already; --force" in command.refused("export", "k", "t.parquet")
    command("export", "k", "t.parquet", "--force")
    assert parquet.read_table(path).column_names == TABLE.column_names


def test_a_column_that_csv_cannot_hold_is_named_and_nothing_is_left(
    command: Command, cache: framecache.Cache, tmp_path: Path
) -> None:
    cache["k"] = pa.table({"x": [1], "tags": [["a"]]})
    said = command.refused("export", "k", "t.csv")
    assert "t.csv: column 'tags' is a" in said and "--columns" in said
    assert list(tmp_path.iterdir()) == []
    command("export", "k", "t.csv", "--columns", "x")


def rows_then(last: str) -> str:
    """CSV that reads as integers for longer than types are inferred from."""
    return "id,code\n" + "1,22222222222222\n" * 400_000 + f"2,{last}\n"


def test_a_csv_column_that_turns_out_otherwise_is_named_with_its_remedy(
    command: Command, cache: framecache.Cache, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(rows_then("A7"))
    said = command.refused("load", "t.csv", "k")
    assert "t.csv: column 'code': " in said and "'A7'" in said
    assert "--type code=string" in said
    assert "k" not in cache
    command("load", "t.csv", "k", "--type", "code=string")
    with cache["k"] as frame:
        assert frame.rows == 400_001
        assert frame["code"].format in ("u", "U")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["load", "gone.csv", "k"], "gone.csv: No such file"),
        (["load", "t.xlsx", "k"], "t.xlsx: no file of a known kind; its name must end"),
        (["load", "empty.csv", "k"], "empty.csv: "),
        (["load", "broken.parquet", "k"], "broken.parquet: "),
        (["load", "broken.arrow", "k"], "broken.arrow: "),
        (["load", "cut.arrows", "k"], "cut.arrows: "),
        (["load", "ragged.csv", "k"], "ragged.csv: "),
        (["load", "line.csv", "k"], "line.csv: its first line: field larger"),
        (["load", "ok.csv", "k", "--type", "z=string"], "column 'z'; there are 'a', 'b'"),
        (["load", "ok.csv", "k", "--type", "a=strange"], "--type a=strange: no type"),
        (["load", "ok.csv", "k", "--ttl", "soon"], "'soon' is no duration"),
        (["load", "ok.csv", "k" * 1025], "1025"),
        (["load", "cut.arrows", "k", "--type", "a=string"], "--type is for CSV"),
        (["export", "nothing", "t.csv"], "nothing"),
        (["export", "there", "t.txt"], "t.txt: no file of a known kind"),
        (["export", "there", "no/where/t.csv"], "No such file"),
        (["export", "there", "t.csv", "--columns", "q"], "no column 'q'"),
        (["show", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_changes_nothing(
    command: Command,
    cache: framecache.Cache,
    tmp_path: Path,
    words: list[str],
    said: str,
) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ok.csv").write_text("a,b\n1,2\n")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n1\n")
    (tmp_path / "line.csv").write_text("x" * 200_000)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1" + b"x" * 50)
    (tmp_path / "broken.arrow").write_bytes(b"x" * 50)
    write_stream(TABLE, tmp_path / "cut.arrows")
    cut = (tmp_path / "cut.arrows").read_bytes()
    (tmp_path / "cut.arrows").write_bytes(cut[: len(cut) - 200])
    cache["there"] = pa.table({"x": [1]})
    before = sorted(tmp_path.iterdir())
    assert said in command.refused(*words)
    assert list(cache) == ["there"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_look_makes_no_cache(command: Command, directory: str) -> None:
    for words in (["ls"], ["show", "k"], ["stat"], ["export", "k", "k.csv"]):
        assert directory in command.refused(*words)
    assert not os.path.exists(directory)


def test_ls_lists_by_key_and_prefix(command: Command, cache: framecache.Cache) -> None:
    for key in ("b\x1b[2J", "a1", "a2"):
        cache.put(key, TABLE, ttl="never").release()
    lines = command("ls").splitlines()
    assert lines[0].split() == [
        "KEY",
        "ROWS",
        "COLUMNS",
        "BYTES",
        "AGE",
        "EXPIRES",
        "HELD",
    ]
    assert [line.split()[0] for line in lines[1:]] == ["a1", "a2", r"b\x1b[2J"]
    assert len(command("ls", "a").splitlines()) == 3
    (first, _) = map(json.loads, command("ls", "a", "--json").splitlines())
    assert first["key"] == "a1" and first["rows"] == 3


def test_show_gives_columns_and_rows(command: Command, cache: framecache.Cache) -> None:
    cache.put("k", TABLE, tags=["t"]).release()
    text = command("show", "k", "--rows", "2")
    assert text.startswith("k: 3 rows, 4 columns, ")
    assert "tags: t\n" in text and f"lives in: {cache.dir}\n" in text
    assert "COLUMN   TYPE\ncarrier  string\ndelay    float64\n" in text
    assert "UA       2.5" in text and "AA, Inc." not in text


def test_stat_gives_counters(command: Command, cache: framecache.Cache) -> None:
    cache["k"] = TABLE
    assert any(line.split() == ["frames", "1"] for line in command("stat").splitlines())
    stats = json.loads(command("stat", "--json"))
    assert stats["frames"] == 1 and stats["budget_bytes"] == cache.budget


@pytest.mark.parametrize(
    "words",
    [[], ["fly"], ["load", "x.csv"], ["load", "x.csv", "k", "--type", "a"], ["--fly"]],
)
def test_a_wrong_line_is_status_2(command: Command, words: list[str]) -> None:
    status, _, errors = command.run(*words)
    assert status == 2
    assert "usage: python -m framecache" in errors


def test_python_runs_it_as_a_module(command: Command, cache: framecache.Cache) -> None:
    for words, status in ((["ls"], 0), (["show", "nothing"], 1), (["fly"], 2)):
        done = subprocess.run([sys.executable, "-m", "framecache", *words])
        assert done.returncode == status


def test_help_and_version(command: Command) -> None:
    assert "Exit status:" in command("--help")
    assert command("--version") == f"framecache {framecache.__version__}\n"


def test_a_terminal_sees_a_progress_bar_that_goes_away(
    command: Command, cache: framecache.Cache, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(rows_then("3") * 12)
    try:
        main, side = pty.openpty()
    except OSError as error:  # no devpts is mounted, or not here
        pytest.skip(f"no pseudo-terminal can be opened (/dev/ptmx, /dev/pts): {error}")
    running = subprocess.Popen(
        [sys.executable, "-m", "framecache", "load", "t.csv", "k", "--type",
         "id=string", "--type", "code=string"],
        stderr=side, stdout=subprocess.PIPE,
    )  # fmt: skip
    os.close(side)
    seen = b""

    def read() -> None:
        nonlocal seen
        try:
            while some := os.read(main, 4096):
                seen += some
        except OSError:  # the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert running.wait() == 0
    reader.join()
    os.close(main)
    assert running.stdout is not None
    running.stdout.close()
    text = seen.decode()
    assert "t.csv |" in text and "B/s" in text and "%" in text
    assert text.endswith("\r\x1b[2K")


LOAD = """
import re
from framecache._cli import main

def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

open("small.csv", "w").write("a\\n1\\n")
assert main(["load", "small.csv", "small"]) == 0  # what is imported for it is no data
before = most()
assert main(["load", "t.csv", "k"]) == 0
print(most() - before)
"""


@needs_pyarrow_20
def test_a_large_csv_is_never_in_memory_three_times(
    command: Command, cache: framecache.Cache, tmp_path: Path
) -> None:
    """The frame is in the peak too: its pages are mapped while they are written."""
    row = ",".join(["123456789.125"] * 8) + "\n"
    (tmp_path / "t.csv").write_text("a,b,c,d,e,f,g,h\n" + row * 1_000_000)
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout.split()[-1]) << 10
    size = cache.info("k")["bytes"]
    assert size >= 8 * 8 * 1_000_000
    assert grown < 2.6 * size, grown / size


# ---- Files that pyarrow refuses, or cannot read ----

DAMAGED = """
import contextlib, io, os, random, sys
from framecache._cli import main

folder, kinds = sys.argv[1], sys.argv[2:]
for kind in kinds:
    name = os.path.join(folder, f"good.{kind}")
    good = open(name, "rb").read()
    dice = random.Random(kind)
    for number in range(60):
        data = bytearray(good)
        if number % 6 == 0:
            data = data[: dice.randrange(len(data))]
        for _ in range(dice.choice((1, 1, 4, 40))):
            if data:
                data[dice.randrange(len(data))] = dice.choice((0, 1, 127, 128, 255))
        bad = os.path.join(folder, f"bad.{kind}")
        open(bad, "wb").write(data)
        said, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            status = main(["load", bad, "damaged"])
        text = errors.getvalue()
        assert status in (0, 1), (kind, number, status)
        if status == 1:
            assert text.startswith("framecache: ") and text.count("\\n") == 1, text
print("done")
"""


def test_a_damaged_file_is_read_or_refused_in_a_line(
    command: Command, tmp_path: Path
) -> None:
    table = pa.table({
        **TABLE.to_pydict(), "list": [[1], None, [2, 3]],
        "s": [{"a": "x"}, None, {"a": "y"}],
        "d": pa.array(["u", "v", "u"]).dictionary_encode(),
    })  # fmt: skip
    write_stream(table, tmp_path / "good.arrows")
    write_file(table, tmp_path / "good.arrow")
    parquet.write_table(table, tmp_path / "good.parquet")
    csv.write_csv(TABLE, tmp_path / "good.csv")
    kinds = ["arrows", "arrow", "parquet", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", DAMAGED, str(tmp_path), *kinds],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowNotImplementedError("no such\nthing"), pa.ArrowKeyError("no such"),
        pa.ArrowIndexError("no such"), pa.ArrowCapacityError("no such"),
        pa.ArrowMemoryError("no such"), pa.ArrowSerializationError("no such"),
        pa.ArrowTypeError("no such"), RuntimeError("no such"), KeyError("no such"),
        UnicodeDecodeError("utf8", b"x", 0, 1, "no such"), AttributeError("no such"),
        NotImplementedError(""), OverflowError("no such"), RecursionError("no such"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("when", ["opening", "reading"])
def test_whatever_pyarrow_raises_is_a_line(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    when: str,
) -> None:
    parquet.write_table(TABLE, tmp_path / "x.parquet")

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    name = "__init__" if when == "opening" else "iter_batches"
    monkeypatch.setattr(parquet.ParquetFile, name, fail)
    said = command.refused("load", "x.parquet", "k")
    assert said.startswith("framecache: x.parquet: ")
    assert ("no such" if str(error) else "NotImplementedError") in said


def test_what_a_format_cannot_hold_is_a_line(
    command: Command, cache: framecache.Cache
) -> None:
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    for name, array in (
        ("union", union),
        ("interval", pa.array([(1, 2, 3)], pa.month_day_nano_interval())),
        ("decimal", pa.array([1], pa.decimal256(50, 2))),
    ):  # fmt: skip
        cache.put(name, pa.table({"x": array})).release()
        for kind in ("parquet", "csv", "arrow"):
            status, _, errors = command.run("export", name, f"{name}.{kind}")
            assert status == 0 or errors.startswith(f"framecache: {name}.{kind}: ")
            assert status == 0 or errors.count("\n") == 1
    assert not [name for name in os.listdir() if name.endswith(".part")]
