"""What is made from other files is up to date, and the version stands in one place."""

import importlib.util
import re
from pathlib import Path

import pytest
from tests.support.places import PROJECT

SPEC = importlib.util.spec_from_file_location("generate", PROJECT / "tools" / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", generate.GENERATED)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    assert (PROJECT / name).read_text() == generate.GENERATED[name](PROJECT), "run ./efnst generate"


def test_the_version_follows_the_manifest(tmp_path: Path) -> None:
    config = (PROJECT / "nextflow.config").read_text()
    (tmp_path / "nextflow.config").write_text(re.sub(r"version = '.+'", "version = '7.8.9'", config))
    assert '__version__ = "7.8.9"' in generate.version(tmp_path)


def test_values_as_nextflow_writes_them() -> None:
    values = [None, True, 3, 0.5, "it's \\ $x"]
    assert [generate.groovy(value) for value in values] == ["null", "true", "3", "0.5", "'it\\'s \\\\ $x'"]


def test_what_a_section_has_of_its_own_is_not_given_to_all() -> None:
    given = generate.process_parameters(PROJECT)
    assert "max_domains" in given["ASSIGN_DOMAINS"] and "n_domains" not in given["ASSIGN_DOMAINS"]
    assert given["TILE_IMAGE"] == ["patch_um", "patches_per_spot"] and "FIT_STAIN" not in given


def test_text_between_two_lines_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: made -->\nold\n<!-- end of table -->\nafter\n")
    made = generate.between(page, "table", "new\n")
    assert made == "before\n<!-- table: made -->\n\nnew\n\n<!-- end of table -->\nafter\n"
