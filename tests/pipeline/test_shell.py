"""Whatever a value holds, no shell acts on it: it arrives unchanged, or is refused before anything runs."""

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run
from tests.pipeline.test_refusals import words
from tests.support.places import PROJECT

from efnst.program.parameters import properties, read_schema

pytestmark = pytest.mark.slow

CANARY = "hacked"
NASTY = (
    "Crohn's cohort",
    f"$(touch {CANARY})",
    f"`touch {CANARY}`",
    f"a'; touch {CANARY}; echo '",
    f"a\n    touch {CANARY}\n",
    f'a" && touch {CANARY} && echo "',
    "-n $HOME *.* ~ {a,b} \\ # ! %s",
)
TEXTS = {
    name: about
    for name, about in properties(read_schema(PROJECT / "nextflow_schema.json")).items()
    if about["type"] == "string" and "enum" not in about
}
FREE = ("multiqc_title", "ignore_labels")  # any text is right
FOLDERS = ("outdir", "encoder_cache")  # any text is a path
FILES = ("input", "encoder_weights", "encoder_onnx", "gene_sets", "qc_rules", "reference")  # which have to be there
RULED = [name for name, about in TEXTS.items() if "pattern" in about]
IN_CONFIGURATION = properties(read_schema(PROJECT / "nextflow_schema.json")).keys() & {
    *("image_registry", "image_folder", "image", "gpu_image", "multiqc_image", "queue", "gpu_queue", "gpu_type"),
    *("cluster_options", "region", "project", "storage_claim", "scratch", "engine", "scheduler", "platform"),
}
NAMES = (f"donor's st*r [1] {{a,b}} $(touch {CANARY}) `touch {CANARY}` (1).csv", "a\nb.csv")


def untouched(*folders: Path) -> bool:
    """Whether no command of ours was run anywhere below these folders."""
    return not [path for folder in folders for path in folder.rglob(f"{CANARY}*") if path.name == CANARY]


def test_every_text_parameter_has_its_place_in_this_test() -> None:
    assert sorted(TEXTS) == sorted([*FREE, *FOLDERS, *FILES, *RULED])
    assert set(RULED) >= IN_CONFIGURATION


@pytest.fixture(scope="module")
def nasty(efnst: Efnst, one_section: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path, str]:
    """A run to its end whose texts and samplesheet hold all that a shell acts on, where it ran, and that text."""
    folder = tmp_path_factory.mktemp("nasty")
    text = " ".join(NASTY)
    sheets = folder / "it's a `folder`; #1"
    shutil.copytree(one_section.parent, sheets, symlinks=True)
    sheet = (sheets / one_section.name).rename(sheets / f"$(touch {CANARY}).csv")
    options = ("--multiqc_title", f"{text} <script>alert('{CANARY}')</script>", "--ignore_labels", f"{text},b")
    cache = ("--encoder_cache", folder / text.replace("/", ""))
    run = efnst(folder, *QUICK, "--input", sheet, *options, *cache, outdir=f"results of {NASTY[0]}; touch {CANARY}")
    return run, folder, text


def test_nasty_texts_come_to_the_end_unchanged(nasty: tuple[Run, Path, str]) -> None:
    run, folder, text = nasty
    assert run.status == 0, run.output
    assert untouched(folder)
    ignored = json.loads(next(folder.glob("work/*/*/results/sim_layers/domains.json")).read_text())["ignore_labels"]
    assert ignored == [part.strip() for part in f"{text},b".split(",")]
    assert json.loads((run.outdir / "pipeline_info" / "parameters.json").read_text())["ignore_labels"] == f"{text},b"
    assert [path.name for path in folder.glob("-*")] == [], "no program took a text for a file"
    assert (folder / text.replace("/", "")).is_dir(), "the cache"


def test_the_title_is_text_in_the_report(nasty: tuple[Run, Path, str]) -> None:
    page = (nasty[0].outdir / "multiqc_report.html").read_text()
    assert "Crohn" in page and f"<script>alert('{CANARY}')" not in page


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_the_samplesheet_may_be_anything(efnst: Efnst, tmp_path: Path, name: str) -> None:
    """It is read, and named in messages, whatever it is called: the second row has no section."""
    (tmp_path / name).write_text("sample,section\nA1,a1\nB1,\n")
    run = efnst(tmp_path, "--input", tmp_path / name)
    assert run.status != 0 and untouched(tmp_path)
    assert f"{words(name)}, row 3 (B1), column section: empty" in words(run.output)


def test_rows_that_name_what_no_task_can_get_are_errors_of_their_sections(efnst: Efnst, tmp_path: Path) -> None:
    rows = "\n".join(f'S{number},"{text}"' for number, text in enumerate(("$HOME", f"a\ntouch {CANARY}")))
    (tmp_path / "sheet.csv").write_text(f"sample,section\n{rows}\n")
    run = efnst(tmp_path, "--input", "sheet.csv")
    assert run.status == 0 and untouched(tmp_path)
    reasons = [row["reason"] for row in run.summary.values()]
    assert all("expected a path without *?[]{}, $NAME and line breaks; rename it" in reason for reason in reasons)


def test_texts_that_reach_the_configuration_are_refused_before_any_task(efnst: Efnst, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("sample,section\nA1,a1\n")
    text = f"x$(touch {CANARY})\ntouch {CANARY}"
    ruled = [name for name in RULED if not re.search(TEXTS[name]["pattern"], text)]
    assert set(ruled) >= IN_CONFIGURATION
    given = [part for name in ruled if name != "custom_config_base" for part in (f"--{name}", text)]
    run = efnst(tmp_path, "--input", "sheet.csv", *given)
    assert run.status != 0 and run.tasks == [] and untouched(tmp_path)
    for name in set(ruled) - {"custom_config_base"}:
        assert f"parameter --{name}: found" in run.output


def test_files_that_no_task_can_get_are_refused(efnst: Efnst, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("sample,section\nA1,a1\n")
    for ending in ("", ".json"):
        (tmp_path / f"$HOME;$(touch {CANARY}){ending}").write_text("")
    given = [part for name in FILES[1:] for part in (f"--{name}", tmp_path / f"$HOME;$(touch {CANARY})")]
    run = efnst(tmp_path, "--input", "sheet.csv", *given)
    assert run.status != 0 and run.tasks == [] and untouched(tmp_path)
    assert all(f"parameter --{name}: found" in run.output for name in FILES[1:])
