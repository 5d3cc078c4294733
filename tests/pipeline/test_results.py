"""What a run on a sound cohort leaves: every file that docs/output.md promises, and sound content in each."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pytest
import torch
import yaml
from tests.pipeline.conftest import GENE_SETS, QUICK, Efnst, Run, assert_no_doubt

from efnst.records.base import read_record
from efnst.records.cohort import RunRecord, SheetRow
from efnst.records.domains import Provenance

pytestmark = pytest.mark.slow

SAMPLES = {"sim_layers": 7, "sim_nested": 4}
SECTION_FILES = (
    *("report.html", "domains.csv", "markers.csv", "spatial_genes.csv", "umap.csv"),
    *("domain_graph.csv", "gene_sets.csv"),
    "exports/loupe.csv",
    *("exports/domains_hires.geojson", "exports/domains_fullres.geojson"),
    *(f"figures/{name}.{kind}" for name in ("domains", "comparison") for kind in ("png", "svg", "pdf")),
)
RUN_FILES = (
    *("execution_trace.txt", "execution_report.html", "execution_timeline.html", "pipeline_dag.html"),
    *("parameters.json", "sections.json", "run.json", "software_versions.yml"),
    *(".run", ".lock"),  # by which one run at a time writes here
)


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_nothing_is_missing_and_nothing_else_is_published(finished: Run) -> None:
    files = {str(path.relative_to(finished.outdir)) for path in finished.outdir.rglob("*") if path.is_file()}
    expected = {
        "summary.csv",
        "summary.parquet",
        "sections.csv",
        "proportions.csv",
        "pseudobulk.h5ad",
        "multiqc_report.html",
        *(f"pipeline_info/{name}" for name in RUN_FILES),
    }
    for sample in SAMPLES:
        expected |= {f"{sample}/{name}" for name in (*SECTION_FILES, f"{sample}.h5ad", f"{sample}_pseudobulk.csv")}
        expected.add(f"pipeline_info/provenance/{sample}.json")
    assert {name for name in files if not name.startswith("multiqc_report_data/")} == expected
    assert all((finished.outdir / name).stat().st_size > 0 for name in expected if not name.endswith((".run", ".lock")))
    assert not [path for path in finished.outdir.rglob("*") if path.is_symlink()]


def test_every_section_passed_and_its_row_has_numbers(finished: Run) -> None:
    assert list(finished.summary) == list(SAMPLES)
    for sample, row in finished.summary.items():
        if row["status"] != "pass":  # 150 spots and 20 epochs: a small domain may not outlive the refinement
            assert re.fullmatch(r"\d domains were found where \d were asked for\.", row["reason"])
        assert (finished.outdir / row["report"]).is_file()
        assert row["n_spots_kept"] == row["n_spots_in_tissue"] == str(len(domains(finished, sample)))
        assert row["n_domains_asked"] == str(SAMPLES[sample])
        assert row["image_source"] == "hires"
        assert float(row["patches_per_second"]) > 0


@pytest.mark.parametrize("method", ["efnst", "diffused", "leiden"])
def test_scores_are_there_and_better_than_chance(finished: Run, method: str) -> None:
    for row in finished.summary.values():
        assert float(row[f"{method}_chaos"]) > 0
        assert 0 <= float(row[f"{method}_pas"]) <= 1
        assert -1 <= float(row[f"{method}_silhouette"]) <= 1
        assert 0.2 < float(row[f"ari_{method}"]) <= 1


def domains(run: Run, sample: str) -> list[dict[str, str]]:
    """The rows of domains.csv."""
    return table(run.outdir / sample / "domains.csv")


@pytest.mark.parametrize("sample", SAMPLES)
def test_domains_are_numbered_by_falling_size(finished: Run, sample: str) -> None:
    rows = domains(finished, sample)
    assert list(rows[0]) == ["barcode", "domain", "confidence", "leiden", "diffused"]
    assert len({row["barcode"] for row in rows}) == len(rows) >= 150
    names, sizes = np.unique([int(row["domain"]) for row in rows], return_counts=True)
    assert names.tolist() == list(range(1, len(names) + 1))
    assert len(names) == int(finished.summary[sample]["n_domains_found"]) <= SAMPLES[sample]
    assert (np.diff(sizes) <= 0).all()
    confidence = np.array([float(row["confidence"]) for row in rows])
    assert confidence.min() >= 0 and confidence.max() <= 1 and np.median(confidence) > 0.5


@pytest.mark.parametrize("sample", SAMPLES)
def test_h5ad_holds_counts_domains_and_embeddings(finished: Run, cohort: Path, sample: str) -> None:
    section = anndata.read_h5ad(finished.outdir / sample / f"{sample}.h5ad")
    rows = domains(finished, sample)
    assert section.obs_names.tolist() == [row["barcode"] for row in rows]
    assert section.obs["efnst"].astype(str).tolist() == [row["domain"] for row in rows]
    truth = {row["barcode"]: row["label"] for row in table(cohort / sample / "labels.csv")}
    assert section.obs["label"].astype(str).tolist() == [truth[barcode] for barcode in section.obs_names]
    assert section.X.sum() == pytest.approx(section.obs["total_counts"].sum())
    assert {"spatial", "X_efnst", "X_diffused", "X_pca", "X_image"} <= set(section.obsm)
    assert all(np.isfinite(section.obsm[name]).all() for name in section.obsm)
    assert {"parameters", "versions", "seed", "training"} <= set(section.uns["efnst"])


@pytest.mark.parametrize("sample", SAMPLES)
def test_genes_are_described(finished: Run, sample: str) -> None:
    markers = table(finished.outdir / sample / "markers.csv")
    assert list(markers[0]) == [
        *("domain", "gene", "score", "log2_fold_change", "p_value", "p_adjusted", "fraction_in", "fraction_out")
    ]
    assert {row["domain"] for row in markers} <= {row["domain"] for row in domains(finished, sample)}
    genes = table(finished.outdir / sample / "spatial_genes.csv")
    assert list(genes[0]) == ["gene", "morans_i", "p_value", "p_adjusted"]
    index = [float(row["morans_i"]) for row in genes]
    assert index == sorted(index, reverse=True) and index[0] > 0.3


def test_reports_stand_alone_and_name_what_they_show(finished: Run) -> None:
    for sample in SAMPLES:
        report = (finished.outdir / sample / "report.html").read_text()
        assert sample in report
        assert '<script src="http' not in report
    cohort_report = (finished.outdir / "multiqc_report.html").read_text()
    assert all(f"{sample}/report.html" in cohort_report for sample in SAMPLES)


def test_what_nextflow_and_the_first_step_record_is_what_the_library_reads(finished: Run) -> None:
    info = finished.outdir / "pipeline_info"
    assert read_record(info / "run.json", RunRecord).launch_dir == str(finished.outdir.parent)
    assert [row.id for row in read_record(info / "sections.json", list[SheetRow])] == list(SAMPLES)
    found = [read_record(info / "provenance" / f"{sample}.json", Provenance) for sample in SAMPLES]
    assert [record.domains.n_domains_asked for record in found] == list(SAMPLES.values())


def test_parameters_of_the_run_are_recorded_with_their_defaults(finished: Run, project: Path, cohort: Path) -> None:
    recorded = json.loads((finished.outdir / "pipeline_info" / "parameters.json").read_text())
    groups = json.loads((project / "nextflow_schema.json").read_text())["$defs"].values()
    defaults = {name: about.get("default") for group in groups for name, about in group["properties"].items()}
    given = {"input": str(cohort / "samplesheet.csv"), "outdir": "results", "epochs": 20, "n_seeds": 2, "n_genes": 300}
    given["gene_sets"] = str(GENE_SETS)
    images = {name: recorded[name] for name in ("image", "gpu_image", "multiqc_image")}  # of conf/images.config
    assert all(re.fullmatch(r"efnst[\w-]*:\w+", image) for image in images.values())
    assert {name: recorded.get(name) for name in defaults} == defaults | given | images


def test_versions_of_every_step_are_recorded(finished: Run) -> None:
    versions = yaml.safe_load((finished.outdir / "pipeline_info" / "software_versions.yml").read_text())
    text = json.dumps(versions)
    assert all(f'"{name}"' in text for name in ("efnst", "python", "torch", "scanpy", "onnxruntime", "leidenalg"))


def test_nothing_of_a_run_is_left_in_the_home_folder_but_nextflow_s_own(finished: Run) -> None:
    assert {path.name for path in (finished.outdir.parent / "home").iterdir()} == {".nextflow"}


def test_a_task_finds_the_library_whatever_the_user_s_shell_says(finished: Run, tmp_path: Path) -> None:
    """With PYTHONSAFEPATH a script does not find what lies beside it."""
    (number,) = (task["hash"] for task in finished.tasks if task["process"] == "CHECK_INPUTS")
    (folder,) = (finished.outdir.parent / "work").glob(f"{number}*")
    again = shutil.copytree(folder, tmp_path / "again", symlinks=True)
    shell = {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    task = subprocess.run(
        ["bash", ".command.run"], cwd=again, env=os.environ | shell | {"PATH": path}, capture_output=True, text=True
    )
    assert task.returncode == 0, task.stdout + task.stderr


def test_each_step_ran_once_for_each_section(finished: Run) -> None:
    done = [(task["process"], task["tag"]) for task in finished.tasks]
    assert len(done) == len(set(done)) == len(finished.ended("COMPLETED"))
    for sample in SAMPLES:
        assert len([tag for _, tag in done if tag == sample]) == 8


def test_a_result_is_explained_by_a_command_that_repeats_it(finished: Run, project: Path, efnst: Efnst) -> None:
    """The command is run where the first run's tasks are kept: none of a section's may need to run again."""
    for name in ("sim_nested.h5ad", "exports/loupe.csv"):
        command = [project / "efnst", "explain", "--check", finished.outdir / "sim_nested" / name]
        explained = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "section sim_nested" in explained
        assert explained.count("unchanged") == 6
        assert "encoder: cpu (CPUExecutionProvider), network: cpu" in explained
    line = next(line for line in explained.splitlines() if "./efnst run" in line)
    words = shlex.split(line.partition("./efnst run")[2])
    at = words.index("--outdir")
    again = efnst(finished.outdir.parent, *words[:at], *words[at + 2 :], "-resume", outdir="repeated")
    assert again.status == 0, again.output
    assert {task["status"] for task in again.tasks if task["tag"] in SAMPLES} == {"CACHED"}


def test_nothing_of_the_only_run_into_a_folder_is_doubted(finished: Run, project: Path) -> None:
    assert_no_doubt(project, finished)
    assert [path for path in finished.outdir.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_the_networks_of_a_section_are_kept_where_asked(efnst: Efnst, one_section: Path, tmp_path: Path) -> None:
    run = efnst(tmp_path, *QUICK, "--input", one_section, "--use_image", "false", "--save_model", "true")
    assert run.status == 0, run.output
    (path,) = run.outdir.glob("**/model.pt")
    assert path == run.outdir / next(iter(run.summary)) / "model.pt"
    assert {"network", "state", "genes"} <= torch.load(path, weights_only=True)["trainings"][0].keys()
