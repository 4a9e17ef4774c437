"""verify and doctor: a clean bill, and what they say when there is none."""

from pathlib import Path
from typing import Any

import framecache
import pyarrow as pa
import pytest
from harness import Tool, parse


def manifests(cache_dir: Path) -> list[Path]:
    return [path for path in (cache_dir / "frames").iterdir() if "." not in path.name]


def test_verify_of_a_sound_cache_is_clean(
    cache: framecache.Cache, tool: Tool, ask: Any
) -> None:
    for i in range(20):
        cache.put(f"k{i}", pa.table({"x": range(i * 1000)}))
    answer = ask("verify")
    assert answer == {"findings": [], "errors": 0, "warnings": 0}
    assert tool("verify").stdout == "clean: accounting, files and manifests\n"


def test_verify_lists_an_orphan_and_exits_1(
    cache: framecache.Cache, tool: Tool, cache_dir: Path
) -> None:
    cache.put("k", pa.table({"x": [1]}))
    orphan = cache_dir / "frames" / "0003fe"
    orphan.write_bytes(b"x" * 5000)
    done = tool("verify")
    assert done.returncode == 1
    assert "error: " in done.stdout
    assert "0003fe" in done.stdout
    answer = parse(tool("verify", "--json").stdout)
    assert answer["errors"] >= 1
    assert answer["error"]["code"] == "FC_E_CORRUPT"
    assert any(
        "0003fe" in finding["subject"] + finding["text"] for finding in answer["findings"]
    )
    assert "    remedy: run: framecache gc\n" in done.stdout
    assert "removed 1 left-over\n" in tool("gc").stdout
    assert not orphan.exists()
    assert tool("verify").stdout == "clean: accounting, files and manifests\n"


@pytest.mark.parametrize(
    ("checksum", "last"),
    [
        ("commit", "clean: accounting, files, manifests and data\n"),
        ("off", "no fault found, but not all data were checked\n"),
    ],
)
def test_verify_data_says_what_it_could_not_check(
    cache_dir: Path, tool: Tool, checksum: str, last: str
) -> None:
    with framecache.Cache(cache_dir, budget="256MiB", checksum=checksum) as cache:
        cache.put("k", pa.table({"x": range(1000)}))
        cache.put("l", pa.table({"x": range(1000)}))
    done = tool("verify", "--data")
    assert done.returncode == 0
    assert done.stdout.endswith(last)
    unchecked = "2 of 2 frames have no checksums" in done.stdout
    assert unchecked == (checksum == "off")


def test_verify_finds_a_damaged_manifest(
    cache: framecache.Cache, tool: Tool, cache_dir: Path
) -> None:
    cache.put("victim", pa.table({"column": [1]}))
    (path,) = manifests(cache_dir)
    place = path.read_bytes().index(b"column")
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"kolumn")
    done = tool("verify")
    assert done.returncode == 1
    assert "error: " in done.stdout
    assert "victim" in done.stdout or path.name in done.stdout


@pytest.mark.parametrize("checksum", ["commit", "map"])
def test_verify_data_finds_a_changed_byte_where_checksums_stand(
    cache_dir: Path, tool: Tool, checksum: str
) -> None:
    with framecache.Cache(cache_dir, budget="256MiB", checksum=checksum) as cache:
        cache.put("k", pa.table({"x": range(1_000_000)}))
    (segment,) = (cache_dir / "frames").glob("*.s*")
    with segment.open("r+b") as file:
        file.seek(4_000_000)
        file.write(b"\xee")
    assert tool("verify").returncode == 0
    done = tool("verify", "--data")
    assert done.returncode == 1
    assert "error: " in done.stdout


def test_doctor_tells_settings_with_their_origin(tool: Tool, cache_dir: Path) -> None:
    done = tool("doctor", FRAMECACHE_TTL="10m")
    assert done.returncode == 0
    assert "ttl            10m, from FRAMECACHE_TTL\n" in done.stdout
    assert "watermarks     95:85, the default\n" in done.stdout
    assert not cache_dir.exists()
    assert list(cache_dir.parent.iterdir()) == []
    answer = parse(tool("doctor", "--json").stdout)
    settings = {finding["subject"]: finding["text"] for finding in answer["findings"]}
    assert settings["budget"] == "256MiB, from FRAMECACHE_BUDGET"
    assert settings["dir"] == f"{cache_dir}, from FRAMECACHE_DIR"


def test_doctor_names_a_problem_with_its_remedy_and_exits_1(
    tool: Tool, cache_dir: Path
) -> None:
    cache_dir.mkdir(mode=0o700)
    cache_dir.chmod(0o777)
    done = tool("doctor")
    assert done.returncode == 1
    assert "error: directory: " in done.stdout
    assert "writable by the world (mode 0777)" in done.stdout
    assert "    remedy: chmod o-w" in done.stdout
    assert "1 error, " in done.stdout
    answer = parse(tool("doctor", "--json").stdout)
    assert answer["errors"] == 1
    (finding,) = [f for f in answer["findings"] if f["level"] == "error"]
    assert finding["subject"] == "directory"
    assert finding["remedy"].startswith("chmod o-w")
