"""No file that a user gives is ever written to, whatever it and its sample are called and wherever the results go."""

import csv
import hashlib
import re
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import onnx
import pytest
from tests.pipeline.conftest import QUICK, Efnst, Run, simulate, write_sheet
from tests.pipeline.test_refusals import words
from tests.support.encoders import write_own_encoder
from tests.support.places import PROJECT
from torch import nn

import export_encoder
import quantise_encoder
import read_section
from efnst.inputs.samplesheet import read_samplesheet, sections
from efnst.program.parameters import read_schema
from efnst.provenance.results import step_and_kind
from efnst.simulation.forms import to_anndata

ENCODER = (nn.Conv2d(3, 64, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def checksums(folder: Path) -> dict[str, str]:
    """The content of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def named_like_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs all of which are called as a step calls what it writes, or as it stages what it gets."""
    folder = tmp_path_factory.mktemp("inputs")
    cohort = simulate(tmp_path_factory.mktemp("small"), sections=2, n_spots=70, n_regions=3)
    for sample, source in (("section", "sim_layers"), ("given", "sim_nested"), ("image", "sim_nested")):
        to_anndata(cohort / source / "outs").write_h5ad(folder / f"{sample}.h5ad")
        shutil.copyfile(cohort / source / "labels.csv", folder / f"{sample}_qc.json")
    shutil.copytree(cohort / "sim_layers" / "outs", folder / "labels")
    shutil.copyfile(PROJECT / "assets" / "qc_rules.yml", folder / "versions.yml")
    encoder = write_own_encoder(nn.Sequential(*ENCODER), folder, "encoder")
    where = {"location": "encoder.onnx.data", "size_threshold": 0}
    onnx.save(onnx.load(encoder), encoder, save_as_external_data=True, **where)
    rows = [{"sample": name, "section": f"{name}.h5ad", "labels": f"{name}_qc.json"} for name in ("section", "given")]
    rows += [{"sample": "image", "section": "image.h5ad", "image": "none"}, {"sample": "labels", "section": "labels"}]
    write_sheet(folder / "sections.json", *rows).rename(folder / "samplesheet.csv")
    return folder


@pytest.fixture(scope="module")
def run(efnst: Efnst, named_like_results: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict]:
    """A run on them, and what they were before."""
    before, folder = checksums(named_like_results), tmp_path_factory.mktemp("run")
    options = ["--encoder_onnx", named_like_results / "encoder.onnx", "--qc_rules", named_like_results / "versions.yml"]
    done = efnst(folder, *QUICK, "--input", named_like_results / "samplesheet.csv", *options, "--save_model", "true")
    return done, before


@pytest.mark.slow
def test_a_run_leaves_all_inputs_as_they_were(run: tuple[Run, dict], named_like_results: Path) -> None:
    done, before = run
    assert done.status == 0, done.output
    assert checksums(named_like_results) == before


@pytest.mark.slow
def test_no_sample_loses_its_results(run: tuple[Run, dict]) -> None:
    done, _ = run
    assert done.summary.keys() == {"section", "given", "image", "labels"}
    assert "error" not in {row["status"] for row in done.summary.values()}
    for sample in done.summary:
        for file in (f"{sample}.h5ad", "domains.csv", "markers.csv", "report.html"):
            assert (done.outdir / sample / file).is_file(), (sample, file)


@pytest.mark.slow
@pytest.mark.parametrize("through_a_link", [False, True])
def test_results_beside_the_inputs_are_refused(
    through_a_link: bool, efnst: Efnst, cohort: Path, tmp_path: Path
) -> None:
    """A section in the folder that its results would go to, and a file with the name of one of them."""
    inputs = tmp_path / "inputs"
    (inputs / "liver_1").mkdir(parents=True)
    to_anndata(cohort / "sim_layers" / "outs").write_h5ad(inputs / "liver_1" / "liver_1.h5ad")
    shutil.copyfile(cohort / "sim_layers" / "labels.csv", inputs / "liver_1" / "domains.csv")
    rows = {"sample": "liver_1", "section": "liver_1/liver_1.h5ad", "labels": "liver_1/domains.csv", "image": "none"}
    write_sheet(inputs / "samplesheet.csv", rows)
    (tmp_path / "link").symlink_to(inputs)
    before = checksums(inputs)
    outdir = tmp_path / "link" if through_a_link else inputs
    done = efnst(tmp_path / "launch", *QUICK, "--input", inputs / "samplesheet.csv", outdir=str(outdir))
    assert done.status != 0
    for column, file in (("section", "liver_1.h5ad"), ("labels", "domains.csv")):
        assert f"liver_1, column {column}: found" in words(done.output), file
    assert "give another --outdir, or rename the sample" in words(done.output)
    after = checksums(inputs)
    assert {name: after[name] for name in before} == before


def of_all_sections() -> set[str]:
    """The files of all sections that are published at the top of the results, as COHORT_SUMMARY declares them."""
    module = (PROJECT / "modules" / "local" / "cohort_summary" / "main.nf").read_text()
    declared = re.findall(r"^    path '([^']+)',", module.split("output:")[1], re.MULTILINE)
    parts = [[part.split(",") for part in re.findall(r"[^{}]+", name)] for name in declared if "*" not in name]
    names = {"".join(chosen) for lists in parts for chosen in product(*lists)}
    return {name for name in names if name.endswith((".csv", ".parquet", ".h5ad"))} - {"sections.parquet"}


def test_each_file_of_all_sections_has_its_words_in_explain(tmp_path: Path) -> None:
    assert {"summary.csv", "summary.parquet", "pseudobulk.h5ad", "mixing.csv"} <= of_all_sections()
    assert {step_and_kind(tmp_path / name, tmp_path)[0] for name in of_all_sections()} == {"COHORT_SUMMARY"}


@pytest.mark.slow
def test_inputs_called_like_the_files_of_all_sections(efnst: Efnst, tmp_path: Path) -> None:
    names = sorted(of_all_sections() | {"multiqc_report.html"})
    for name in names:
        (tmp_path / name).write_text("mine")
    rows = [{"sample": f"S{n}", "section": "nowhere", "labels": name} for n, name in enumerate(names)]
    options = ("--gene_sets", "proportions.csv", "--qc_rules", "mixing.csv")
    refused = efnst(tmp_path, "--input", write_sheet(tmp_path / "sheet.csv", *rows), *options, outdir=".")
    for option, name in zip(options[::2], options[1::2], strict=True):
        assert f"parameter {option}: found `{name}`, where results would be written" in words(refused.output)
    refused = efnst(tmp_path, "--input", tmp_path / "sheet.csv", outdir=".")
    for row in rows:
        place = tmp_path / row["labels"]
        assert f"{row['sample']}, column labels: found `{place}`, where results would be" in words(refused.output)
    assert {(tmp_path / name).read_text() for name in names} == {"mine"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sections.csv", "proportions.csv"])
def test_a_samplesheet_called_like_a_table_of_results(name: str, efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    with (cohort / "samplesheet.csv").open() as file:
        rows = [row | {"section": str(cohort / row["section"]), "labels": ""} for row in csv.DictReader(file)]
    sheet = write_sheet(tmp_path / name, *rows)
    before = sheet.read_bytes()
    done = efnst(tmp_path / "launch", *QUICK, "--input", sheet, outdir=str(tmp_path))
    assert done.status != 0 and "parameter --input: found" in words(done.output)
    assert sheet.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["sections.csv", "summary.parquet", "Section.H5AD", "domains.json", "models", "a.npz", "__x"]
)
def test_samples_called_like_results(name: str, tmp_path: Path) -> None:
    sheet = read_samplesheet(write_sheet(tmp_path / "sheet.csv", {"sample": name, "section": "outs"}))
    _, problems = sections(sheet, read_schema(PROJECT / "assets" / "samplesheet_schema.json"), {}, "/data")
    assert "not named like a file or folder of the results" in "".join(problems)


@pytest.mark.slow
def test_programs_do_not_write_over_what_they_are_given(
    start: Callable[..., tuple[int, str]], cohort: Path, lite0_file: Path, tmp_path: Path
) -> None:
    section = tmp_path / "section.h5ad"
    to_anndata(cohort / "sim_layers" / "outs").write_h5ad(section)
    own = write_own_encoder(nn.Sequential(*ENCODER), tmp_path, "encoder")
    shutil.copy(lite0_file.with_name("encoder.json"), tmp_path / "record.json")
    before = checksums(tmp_path)
    calls = {
        read_section.main: ["--sample", "s", "--source", section, "--image", "none"],
        export_encoder.main: ["--encoder_onnx", own],
        quantise_encoder.main: [section, "--encoder", own, "--record", tmp_path / "record.json"],
    }
    for program, arguments in calls.items():
        status, output = start(program, *arguments, "--outdir", tmp_path)
        assert status == 2 and "is one of the inputs and would be overwritten" in output, output
    assert checksums(tmp_path) == before
