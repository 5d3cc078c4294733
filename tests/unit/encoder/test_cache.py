"""The folder of exported encoders: found again, shared by programs at once, repaired."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from efnst.encoder.cache import cached
from efnst.errors import EfnstError

IDENTITY = {"encoder": "efficientnet-lite0", "weights": {"sha256": "1"}}


def exporter(content: str = "graph", calls: list | None = None) -> Callable[[Path], None]:
    """An export that writes `content` and is counted in `calls`."""

    def export(folder: Path) -> None:
        (folder / "encoder.onnx").write_text(content)
        (folder / "encoder.json").write_text("{}")
        if calls is not None:
            calls.append(folder)

    return export


def test_an_encoder_is_exported_once(tmp_path: Path) -> None:
    calls: list[Path] = []
    assert not cached(tmp_path / "cache", IDENTITY, exporter(calls=calls), tmp_path / "a")
    assert cached(tmp_path / "cache", IDENTITY, exporter("other", calls), tmp_path / "b")
    assert len(calls) == 1
    assert (tmp_path / "b" / "encoder.onnx").read_text() == "graph"
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_another_identity_is_another_encoder(tmp_path: Path) -> None:
    cached(tmp_path / "cache", IDENTITY, exporter(), tmp_path / "a")
    assert not cached(tmp_path / "cache", IDENTITY | {"output": "logits"}, exporter("logits"), tmp_path / "b")
    assert (tmp_path / "b" / "encoder.onnx").read_text() == "logits"
    assert cached(tmp_path / "cache", IDENTITY, exporter(), tmp_path / "c")


def test_the_umask_says_who_may_read_an_entry(tmp_path: Path) -> None:
    before = os.umask(0o007)
    try:
        cached(tmp_path / "cache", IDENTITY, exporter(), tmp_path / "a")
    finally:
        os.umask(before)
    (entry,) = (tmp_path / "cache").iterdir()
    assert entry.stat().st_mode & 0o777 == 0o770
    assert {path.stat().st_mode & 0o777 for path in entry.iterdir()} == {0o660}


@pytest.mark.parametrize("damage", ["truncated", "missing", "no digests", "empty digests"])
def test_a_damaged_entry_is_made_anew(damage: str, tmp_path: Path) -> None:
    cached(tmp_path / "cache", IDENTITY, exporter(), tmp_path / "a")
    (entry,) = (tmp_path / "cache").iterdir()
    if damage == "truncated":
        (entry / "encoder.onnx").write_text("gra")
    elif damage == "missing":
        (entry / "encoder.json").unlink()
    elif damage == "no digests":
        (entry / "sha256.json").unlink()
    else:
        (entry / "sha256.json").write_text("{}")
    assert not cached(tmp_path / "cache", IDENTITY, exporter("anew"), tmp_path / "b")
    assert (tmp_path / "b" / "encoder.onnx").read_text() == "anew"
    assert cached(tmp_path / "cache", IDENTITY, exporter("never"), tmp_path / "c")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [entry.name]


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "encoder.onnx").write_text("half")
        raise EfnstError("no")

    with pytest.raises(EfnstError, match="no"):
        cached(tmp_path / "cache", IDENTITY, fail, tmp_path / "a")
    assert list((tmp_path / "cache").iterdir()) == []


def slow_export(folder: Path) -> None:
    """An export that two programs are in at once."""
    (folder / "encoder.onnx").write_text("graph" * 1000)
    time.sleep(0.5)
    (folder / "encoder.json").write_text("{}")


def test_programs_that_export_at_once(tmp_path: Path) -> None:
    start = multiprocessing.get_context("fork").Process
    outs = [tmp_path / f"out{number}" for number in range(4)]
    programs = [start(target=cached, args=(tmp_path / "cache", IDENTITY, slow_export, out)) for out in outs]
    for program in programs:
        program.start()
    for program in programs:
        program.join(30)
    assert [program.exitcode for program in programs] == [0] * 4
    assert {(out / "encoder.onnx").read_text() for out in outs} == {"graph" * 1000}
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EfnstError, match="Expected encoder_cache to be a folder that can be written to"):
        cached(tmp_path / "file" / "cache", IDENTITY, exporter(), tmp_path / "a")
