"""cohort_summary.py through its command line, and what MultiQC makes of its files."""

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from tests.support.places import PROJECT
from tests.support.records import example

from efnst.program.arrays import write_arrays
from efnst.program.spreadsheets import harmless_table, read_table
from efnst.records.arrays import EMBEDDING_SAMPLE_NPZ
from efnst.records.base import read_record, write_record
from efnst.records.cohort import Failure, SectionSummary, SheetRow
from efnst.records.domains import Adjacency
from efnst.records.quality import SpotQuantiles
from efnst.statistics import association, mixing, shared_markers

PROGRAM = PROJECT / "bin" / "cohort_summary.py"
GENES = ["MBP", "PLP1", "MOBP", *(f"GENE{number}" for number in range(300))]
TABLES = ("summary.csv", "summary.parquet", "sections.csv", "proportions.csv")
OF_ALL = (*TABLES, "pseudobulk.h5ad")
OF_COMMON = ("domain_tests.csv", "shared_markers.csv", "shared_gene_sets.csv", "mixing.csv")
PARTS_OF_COMMON = ("umap", "mixing", "tests", "shared_markers", "gene_sets")
DOMAINS = [str(domain) for domain in range(1, 8)]
CONFIG = PROJECT / "assets" / "multiqc_config.yml"


def summary(number: int) -> SectionSummary:
    """Summary of one section: every other with labels, every third with a warning."""
    warnings = ["Only the lowres image, 600 × 600 px"] if number % 3 == 0 else []
    row = {"sample": f"P{number:03d}_tumour", "status": "warn" if warnings else "pass", "warnings": warnings}
    row |= {"n_spots_in_tissue": 3000 + number, "n_spots_kept": 2989, "median_counts": 4000.0, "median_genes": 2000.0}
    row |= {"median_pct_mt": 4.5, "n_domains_asked": 7, "n_domains_found": 7, "image_source": "hires"}
    for method in ("efnst", "diffused", "leiden"):
        row |= {f"{method}_chaos": 0.06, f"{method}_pas": 0.05, f"{method}_silhouette": None}
        row |= {f"ari_{method}": 0.5} if number % 2 else {}
    figures = {"n_domains": 7, "how": "k-means", "chaos": 0.06, "pas": 0.05, "silhouette": None}
    figures |= {"ari": 0.5, "ami": 0.6} if number % 2 else {}
    row["methods"] = {"efnst": figures | {"n_runs": 4, "stability": 0.9}, "diffused": figures, "leiden": figures}
    row |= {"device": "cpu", "seconds": 12.5, "patches_per_second": None, "lost": {"min_counts_per_spot": 10 + number}}
    row |= {"composition": dict.fromkeys(DOMAINS, 427)}
    spread = {"total_counts": [1.0, 2e3, 4e3, 6e3, 3e4], "n_genes_by_counts": [1.0, 1e3, 2e3, 3e3, 8e3]}
    row |= {"efnst_stability": 0.9, "n_epochs": [100], "quantiles": example(SpotQuantiles, **spread)}
    row |= {"adjacency": example(Adjacency, domains=DOMAINS, pairs=[[5] * 7] * 7)}
    row |= {"top_markers": {domain: ["MBP", "PLP1", "MOBP"] for domain in DOMAINS}}
    row |= {"names": dict.fromkeys(DOMAINS, "stroma")}
    row |= {"methods_text": {"network": "Trained for 100 epochs."}}
    loss = {part: [[epoch, 9 / epoch] for epoch in range(1, 101)] for part in ("reconstruction", "graph", "kl")}
    return example(SectionSummary, **row, loss=loss)


def stage(folder: Path, finished: int, failed: int = 0, vanished: int = 0) -> list:
    """Input files as the pipeline stages them, and the options that name them."""
    numbers = range(finished + failed + vanished)
    for name in ("summaries", "failures", "thumbnails", "pseudobulk", "described", "versions"):
        (folder / name).mkdir()
    groups = ["donor A" if number else "" for number in numbers]
    treated = [{"treated": "yes" if number % 2 else "no"} for number in numbers]
    rows = [
        example(SheetRow, id=summary(n).sample, group=group, covariates=covariates)
        for n, group, covariates in zip(numbers, groups, treated, strict=True)
    ]
    write_record(folder / "sections.json", rows)
    for number in numbers[:finished]:
        place = folder / "summaries" / str(number)
        place.mkdir()
        write_record(place / "section_summary.json", summary(number))
        name = f"{summary(number).sample}_thumbnail.webp"
        noise = Image.effect_noise((340, 170), 40 + number % 7).convert("RGB")
        noise.save(folder / "thumbnails" / name, quality=1)  # 8 kB, like those of sections
        sums = folder / "pseudobulk" / f"{summary(number).sample}_pseudobulk.csv"
        values = np.random.default_rng(number).poisson(100, (len(GENES), 7))
        pd.DataFrame(values, pd.Index(GENES, name="gene"), range(1, 8)).to_csv(sums)
        describe(folder / "described" / summary(number).sample, number)
    for number in numbers[finished : finished + failed]:
        record = Failure(sample=summary(number).sample, step="read_section", reason="Expected spots, found none")
        write_record(folder / "failures" / f"{number}.json", record)
    (folder / "versions" / "1.yml").write_text('"READ_SECTION":\n  scanpy: 1.11.0\n')
    names = ("summaries", "failures", "thumbnails", "pseudobulk", "described", "versions")
    return ["--sections", folder / "sections.json", *(part for name in names for part in (f"--{name}", folder / name))]


def describe(folder: Path, number: int) -> None:
    """What describe_domains.py leaves for the cohort."""
    folder.mkdir()
    rng = np.random.default_rng(number)
    domain = np.resize(DOMAINS, 500)
    embedding = rng.normal(size=(500, 8)) + 6 * np.eye(8)[domain.astype(int)]
    arrays = {"domain": domain, "embedding": embedding.astype(np.float32)}
    write_arrays(folder / "embedding_sample.npz", EMBEDDING_SAMPLE_NPZ, np.arange(500).astype(str), **arrays)
    rows = [(name, gene, 2.0, 0.04 if gene == "MBP" else 0.2) for name in DOMAINS for gene in GENES[:20]]
    columns = ["domain", "gene", "log2_fold_change", "p_adjusted"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "markers.csv", index=False)
    rows = [(name, f"=SET {place}", 20, rng.normal(), 0.2) for name in DOMAINS for place in range(30)]
    columns = ["domain", "gene_set", "n_genes", "activity", "p_adjusted"]
    harmless_table(pd.DataFrame(rows, columns=columns)).to_csv(folder / "gene_sets.csv", index=False)


def summarise(folder: Path, options: list) -> list[dict]:
    """Run the program; the rows of sections.csv."""
    command = [sys.executable, PROGRAM, *options, "--outdir", folder / "out"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    with (folder / "out" / "sections.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def multiqc(folder: Path) -> tuple[str, str]:
    """Run MultiQC as the pipeline does, but strictly: its log and its report."""
    options = ["--strict", "--config", CONFIG, "--filename", "multiqc_report.html", "--outdir", folder, folder / "out"]
    done = subprocess.run([sys.executable, "-m", "multiqc", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, (folder / "multiqc_report.html").read_text()


def test_rows_and_files(tmp_path: Path) -> None:
    rows = summarise(tmp_path, stage(tmp_path, finished=3, failed=1, vanished=1))
    assert [row["status"] for row in rows] == ["warn", "pass", "pass", "error", "error"]
    assert rows[3]["reason"] == "read_section: Expected spots, found none"
    assert rows[4]["reason"] == "ended unexpectedly; see pipeline_info/execution_trace.txt"
    assert [row["ari_efnst"] for row in rows] == ["", "0.5", "", "", ""]
    assert rows[0]["report"] == "P000_tumour/report.html"
    made = {path.name for path in (tmp_path / "out").iterdir()}
    parts = ("status", "statistics", "spots_lost", "quantiles", "composition", "gallery", "markers", "names", "scores")
    parts += ("marker_map", "adjacency", "profiles", "training", "stability", "devices", "methods")
    expected = {f"efnst_{part}_mqc.json" for part in parts}
    assert made == expected | {*OF_ALL, "efnst_mqc_versions.yml"}
    versions = yaml.safe_load((tmp_path / "out" / "efnst_mqc_versions.yml").read_text())
    assert versions == {"READ_SECTION": {"scanpy": ["1.11.0"]}}


def test_tables_of_common_domains(tmp_path: Path) -> None:
    summarise(tmp_path, [*stage(tmp_path, finished=4, failed=1), "--common"])
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {*OF_ALL, *OF_COMMON} <= made and {f"efnst_{part}_mqc.json" for part in PARTS_OF_COMMON} <= made
    read = {name: pd.read_csv(tmp_path / "out" / name) for name in ("proportions.csv", *OF_COMMON)}
    assert len(read["proportions.csv"]) == 28 and read["proportions.csv"]["treated"].tolist()[6:8] == ["no", "yes"]
    assert read["proportions.csv"].groupby("sample")["share"].sum().tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert read["domain_tests.csv"]["smallest_p"].tolist() == pytest.approx([1 / 3] * 7)
    assert set(read["shared_markers.csv"]["n_samples"]) == {4} and len(read["shared_markers.csv"]) == 140
    held = json.loads((tmp_path / "out" / "efnst_shared_markers_mqc.json").read_text())["data"]
    assert {row["genes"] for row in held.values()} == {"MBP (4)"} and len(held) == 7
    assert len(read["shared_gene_sets.csv"]) == 210 and read["shared_gene_sets.csv"]["gene_set"][0].startswith("'=SET")
    assert read["mixing.csv"]["batch"].tolist() == ["sample", "treated"] and read["mixing.csv"]["ilisi"][0] > 3
    pseudobulk = anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad")
    assert pseudobulk.shape == (28, len(GENES)) and pseudobulk.obs["treated"].value_counts().to_dict() == {
        "no": 14,
        "yes": 14,
    }


def test_sections_that_fail_count_and_are_marked(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=4), "--common"]
    path = tmp_path / "summaries" / "1" / "section_summary.json"
    write_record(path, read_record(path, SectionSummary).changed(status="fail"))
    summarise(tmp_path, options)
    statuses = ["warn", "fail", "pass", "warn"]
    assert pd.read_csv(tmp_path / "out" / "proportions.csv")["section_status"].tolist()[::7] == statuses
    assert anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad").obs["section_status"].tolist()[::7] == statuses
    tests = pd.read_csv(tmp_path / "out" / "domain_tests.csv")
    assert set(tests["n_samples"]) == {4} and set(tests["n_failed"]) == {1}
    said = f"count in the tables of the cohort, which mark them (section_status, n_failed): {summary(1).sample};"
    assert said in (tmp_path / "out" / "warnings.txt").read_text()


def test_a_domain_that_no_section_has_is_told(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=2), "--common"]
    for path in (tmp_path / "summaries").glob("*/*.json"):
        write_record(path, read_record(path, SectionSummary).changed(n_domains_asked=8))
    summarise(tmp_path, options)
    said = "Of the 8 domains that the sections share, domain 8 is in none of them"
    assert (tmp_path / "out" / "warnings.txt").read_text().startswith(said)
    assert said in json.loads((tmp_path / "out" / "efnst_status_mqc.json").read_text())["description"]
    table = pd.read_csv(tmp_path / "out" / "proportions.csv")
    assert table.loc[table["domain"] == 8, "n_spots"].tolist() == [0, 0]


def test_codes_and_names_in_digits_are_levels_of_every_table(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=4), "--common"]
    rows = read_record(tmp_path / "sections.json", list[SheetRow])
    known = [row.plain() | {"covariates": {"batch": str(1 + n % 2), "donor": f"00{n}"}} for n, row in enumerate(rows)]
    write_record(tmp_path / "sections.json", [SheetRow(**row) for row in known])
    summarise(tmp_path, options)
    read = {name: pd.read_csv(tmp_path / "out" / name, dtype=str) for name in ("proportions.csv", *OF_COMMON)}
    assert read["mixing.csv"]["batch"].tolist() == ["sample", "batch", "donor"]
    assert set(read["domain_tests.csv"]["levels"]) == {"1: 2, 2: 2"}
    assert read["proportions.csv"][["batch", "donor"]].to_numpy()[::7].tolist() == [
        ["1", "000"],
        ["2", "001"],
        ["1", "002"],
        ["2", "003"],
    ]
    pseudobulk = anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad")
    assert list(pseudobulk.obs["donor"].cat.categories) == ["000", "001", "002", "003"]


@pytest.mark.slow
def test_groups_of_any_letters_in_tables_and_report(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=4), "--common"]
    groups = ["=Müller/2", "=Müller/2", "<b id='x'>Donor (A)</b>", "<b id='x'>Donor (A)</b>"]
    rows = read_record(tmp_path / "sections.json", list[SheetRow])
    write_record(tmp_path / "sections.json", [row.changed(group=of) for row, of in zip(rows, groups, strict=True)])
    summarise(tmp_path, options)
    table = pd.read_parquet(tmp_path / "out" / "summary.parquet")
    assert table["group"].tolist() == [group for group in groups for _ in range(3)]
    assert read_table(tmp_path / "out" / "proportions.csv")["group"].tolist()[::7] == groups
    assert set(pd.read_csv(tmp_path / "out" / "summary.csv")["group"]) == {"'=Müller/2", groups[2]}
    assert "=Müller/2: 2" in pd.read_csv(tmp_path / "out" / "domain_tests.csv")["levels"][0]
    pseudobulk = anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad")
    assert set(pseudobulk.obs["group"]) == set(groups)
    _, html = multiqc(tmp_path)
    assert "=Müller/2" in html and "<b id='x'>" not in html and "&lt;b id=" in html


def test_covariates_keep_all_their_digits(tmp_path: Path) -> None:
    """Dates, numbers of patients and small differences, which six digits made one; what is computed is rounded."""
    options = [*stage(tmp_path, finished=4), "--common"]
    rows = read_record(tmp_path / "sections.json", list[SheetRow])
    given = {"date": "20240115", "patient": "1000123", "dose": "-0.1234567", "slide": "1234567890123456"}
    known = [{name: text[:-1] + str(int(text[-1]) - n) for name, text in given.items()} for n in range(4)]
    changed = [row.plain() | {"covariates": each} for row, each in zip(rows, known, strict=True)]
    write_record(tmp_path / "sections.json", [SheetRow(**row) for row in changed])
    summarise(tmp_path, options)
    read = {name: read_table(tmp_path / "out" / name, dtype=str) for name in ("proportions.csv", "domain_tests.csv")}
    assert read["proportions.csv"][list(given)].iloc[::7].to_dict("records") == known
    assert read["proportions.csv"]["share"].str.len().max() == len("0.123456")
    levels = read["domain_tests.csv"].groupby("covariate")["levels"].first().to_dict()
    assert levels["date"] == "20240112 to 20240115" and levels["patient"] == "1000120 to 1000123"
    shown = json.loads((tmp_path / "out" / "efnst_tests_mqc.json").read_text())["data"]
    assert {row["levels"] for row in shown.values()} == set(levels.values())


def test_gene_sets_that_are_called_by_numbers_stay_as_they_are(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=3), "--common"]
    for path in (tmp_path / "described").glob("*/gene_sets.csv"):
        pd.read_csv(path, dtype=str).assign(gene_set=[f"00{n % 30}" for n in range(210)]).to_csv(path, index=False)
    summarise(tmp_path, options)
    found = pd.read_csv(tmp_path / "out" / "shared_gene_sets.csv", dtype=str)
    assert set(found["gene_set"]) == {f"00{n}" for n in range(30)}


def test_what_is_unlike_a_reference_has_no_markers_that_hold(tmp_path: Path) -> None:
    """Domain 0 is another thing in each section."""
    options = [*stage(tmp_path, finished=3), "--common"]
    for number in range(3):
        for name in ("markers.csv", "gene_sets.csv"):
            path = tmp_path / "described" / summary(number).sample / name
            table = pd.read_csv(path, dtype=str)
            table["domain"] = table["domain"].replace("7", "0")
            table.to_csv(path, index=False)
    summarise(tmp_path, options)
    for name in ("shared_markers.csv", "shared_gene_sets.csv"):
        assert set(pd.read_csv(tmp_path / "out" / name, dtype=str)["domain"]) == set(DOMAINS[:6]), name


def test_tables_of_common_domains_that_have_no_rows_are_written(tmp_path: Path) -> None:
    """So that Nextflow puts them in the place of those of an earlier run: three sections cannot be tested."""
    options = [*stage(tmp_path, finished=3), "--common"]
    for path in (tmp_path / "described").glob("*/*"):
        path.unlink()
    summarise(tmp_path, options)
    expected = (association.COLUMNS, shared_markers.MARKER_COLUMNS, shared_markers.GENE_SET_COLUMNS, mixing.COLUMNS)
    for name, columns in zip(OF_COMMON, expected, strict=True):
        assert (tmp_path / "out" / name).read_text() == ",".join(columns) + "\n", name


def test_genes_are_joined_by_identifier(tmp_path: Path) -> None:
    """One section is named by identifiers alone: its counts and its markers are those of the same genes."""
    options = [*stage(tmp_path, finished=3), "--common"]
    for number in range(3):
        path = tmp_path / "pseudobulk" / f"{summary(number).sample}_pseudobulk.csv"
        table = pd.read_csv(path)
        table.insert(1, "gene_id", [f"E{place}" for place in range(len(GENES))])
        table["gene"] = table["gene_id"] if number == 0 else table["gene"]
        table.to_csv(path, index=False)
    path = tmp_path / "described" / summary(0).sample / "markers.csv"
    markers = pd.read_csv(path)
    markers.assign(gene=[f"E{GENES.index(gene)}" for gene in markers["gene"]]).to_csv(path, index=False)
    summarise(tmp_path, options)
    pseudobulk = anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad")
    assert list(pseudobulk.var_names) == GENES and pseudobulk.var.loc["MOBP", "gene_ids"] == "E2"
    shared = pd.read_csv(tmp_path / "out" / "shared_markers.csv")
    assert set(shared["n_samples"]) == {3} and set(shared["gene"]) == set(GENES[:20])
    assert not (tmp_path / "out" / "warnings.txt").exists()


def test_counts_that_share_too_few_genes_are_left_out_and_said_so(tmp_path: Path) -> None:
    options = stage(tmp_path, finished=3)
    path = tmp_path / "pseudobulk" / f"{summary(1).sample}_pseudobulk.csv"
    path.write_text(path.read_text().replace("GENE", "Gene"))
    summarise(tmp_path, options)
    assert anndata.read_h5ad(tmp_path / "out" / "pseudobulk.h5ad").shape == (21, 0)
    said = (tmp_path / "out" / "warnings.txt").read_text()
    assert "3 sections have 3 genes in common" in said and said.endswith(f"is {summary(1).sample}.\n")


@pytest.mark.parametrize("common", [True, False])
def test_one_section_under_two_names_is_told(tmp_path: Path, common: bool) -> None:
    """By the totals of its genes, whatever its domains are; it weighs twice where domains are compared over samples."""
    options = [*stage(tmp_path, finished=4), *(["--common"] if common else [])]
    paths = [tmp_path / "pseudobulk" / f"{summary(number).sample}_pseudobulk.csv" for number in (1, 2)]
    table = pd.read_csv(paths[0], index_col="gene")
    table[["2", "1", *map(str, range(3, 8))]].set_axis(table.columns, axis=1).iloc[::-1].to_csv(paths[1])
    rows = summarise(tmp_path, options)
    said = "P001_tumour and P002_tumour have the same counts: one section, which counts as 2 samples."
    assert [row["reason"].startswith(f"cohort_summary: {said}") for row in rows] == [False, common, common, False]
    assert [row["status"] for row in rows] == ["warn", *(["warn" if common else "pass"] * 2), "warn"]
    assert (tmp_path / "out" / "warnings.txt").read_text().startswith(said)
    assert said in json.loads((tmp_path / "out" / "efnst_status_mqc.json").read_text())["description"]


def test_one_row_per_section_and_method_alike_in_csv_and_parquet(tmp_path: Path) -> None:
    summarise(tmp_path, stage(tmp_path, finished=2, failed=1))
    table = pd.read_parquet(tmp_path / "out" / "summary.parquet")
    text = pd.read_csv(tmp_path / "out" / "summary.csv")
    pd.testing.assert_frame_equal(text.astype(table.dtypes), table)
    assert table["group"].tolist() == [pd.NA] * 3 + ["donor A"] * 4
    methods = ["efnst", "diffused", "leiden"]
    assert table["method"].tolist() == [*methods, *methods, pd.NA]
    assert table["sample"].tolist() == ["P000_tumour"] * 3 + ["P001_tumour"] * 3 + ["P002_tumour"]
    assert table["status"].tolist() == ["warn"] * 3 + ["pass"] * 3 + ["error"]
    assert table["stability"].tolist() == [0.9, pd.NA, pd.NA, 0.9, pd.NA, pd.NA, pd.NA]
    assert table["ari"].tolist() == [pd.NA] * 3 + [0.5] * 3 + [pd.NA]
    assert table["n_spots_kept"].tolist() == [2989] * 6 + [pd.NA]
    assert table.dtypes["n_spots_kept"] == "Int64" and table.dtypes["silhouette"] == "Float64"


def test_every_column_is_explained() -> None:
    from efnst.reports.cohort import COLUMNS, TYPES

    text = (PROJECT / "docs" / "output.md").read_text()
    table = text[text.index("## summary.csv") : text.index("## multiqc_report.html")]
    explained = [
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]
    methods = ("efnst", "diffused", "leiden")
    wide = {name.replace("<method>", method) for name in explained for method in methods}
    assert set(TYPES) <= set(explained)
    assert set(COLUMNS) <= wide and wide - {*COLUMNS, *TYPES} == set()


def test_every_section_has_its_place_in_the_configuration(tmp_path: Path) -> None:
    summarise(tmp_path, [*stage(tmp_path, finished=4), "--common"])
    order = yaml.safe_load(CONFIG.read_text())["custom_content"]["order"]
    made = sorted(path.name.removesuffix("_mqc.json") for path in (tmp_path / "out").glob("*_mqc.json"))
    assert sorted(order) == made


def test_sections_only(tmp_path: Path) -> None:
    stage(tmp_path, finished=0, vanished=2)
    rows = summarise(tmp_path, ["--sections", tmp_path / "sections.json"])
    assert [row["status"] for row in rows] == ["error", "error"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*TABLES, "efnst_status_mqc.json"}


@pytest.mark.slow
@pytest.mark.parametrize(("finished", "failed", "vanished"), [(1, 0, 0), (0, 1, 1), (4, 1, 1)])
def test_multiqc_takes_all_of_it(tmp_path: Path, finished: int, failed: int, vanished: int) -> None:
    summarise(tmp_path, stage(tmp_path, finished, failed, vanished))
    log, html = multiqc(tmp_path)
    assert not [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line]
    assert 'id="efnst_status' in html
    if failed:
        assert "read_section: Expected spots, found none" in html
    if finished:
        assert '<a href="P000_tumour/report.html">report</a>' in html
        assert "MBP, PLP1, MOBP" in html
        sections = [html.index(f'id="mqc-module-section-efnst_{name}') for name in ("status", "gallery", "methods")]
        assert sections == sorted(sections)
        assert "scanpy" in html


@pytest.mark.slow
def test_two_hundred_sections(tmp_path: Path) -> None:
    options = [*stage(tmp_path, finished=190, failed=5, vanished=5), "--common"]
    start = time.monotonic()
    assert len(summarise(tmp_path, options)) == 200
    multiqc(tmp_path)
    assert time.monotonic() - start < 180  # a fifth of it on a machine that does nothing else
    assert (tmp_path / "multiqc_report.html").stat().st_size < 10e6
