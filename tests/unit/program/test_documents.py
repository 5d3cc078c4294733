"""Texts that people write."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from efnst.encoder.declaration import read_declaration
from efnst.errors import EfnstError
from efnst.inputs.annotations import read_annotations
from efnst.program.documents import document_text
from efnst.provenance.last_run import last_run
from efnst.provenance.origin import find_origin
from efnst.quality.rules import read_rules

PACKED = (gzip.compress(b"{}", mtime=0), bz2.compress(b"{}"), bz2.compress(b""), lzma.compress(b"{}"))


def test_text_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffµm\r\n".encode())
    assert document_text(path) == document_text(path, 8) == "µm\r\n"
    with pytest.raises(EfnstError, match="more than 4 bytes"):
        document_text(path, 4)  # within a letter


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((packed, "Expected text in {name}, found a compressed file, or one of Excel: unpack") for packed in PACKED),
        ("{}µ".encode("cp1252"), "Expected UTF-8 text in {name}, found .*0xb5.*: save it as UTF-8 text"),
        ("{}".encode("utf-16"), "Expected UTF-8 text in {name}, found .*: save it as UTF-8 text"),
    ],
)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("rules.yml", lambda path: read_rules(path, "section_qc")),
        ("labels.geojson", read_annotations),
        ("encoder.json", lambda path: read_declaration(path, path.with_suffix(".onnx"))),
        ("pipeline_info/sections.json", lambda path: last_run(path.parents[1])),
        ("pipeline_info/parameters.json", lambda path: find_origin(path.parents[1])),
        ("outlines.geojson", find_origin),
    ],
)
def test_another_encoding_is_no_damage(
    name: str, read: Callable[[Path], object], content: bytes, said: str, tmp_path: Path
) -> None:
    """Who is told to copy the file again would do so in vain."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(EfnstError, match=said.format(name=path.name)):
        read(path)
