"""`efnst explain`: from any result to its record and to the command that repeats it."""

import json
import os
import shlex
from pathlib import Path

import h5py
import pytest
from tests.support.explained import SCHEMA, change

from efnst.errors import EfnstError
from efnst.provenance.checked import NO_FOLDER
from efnst.provenance.explain import changed_parameters, explain
from efnst.provenance.last_run import disagreements
from efnst.provenance.origin import find_origin
from efnst.provenance.results import step_and_kind


@pytest.mark.parametrize("name", ["domains.csv", "figures/domains.svg", "figures", "domains_hires.geojson"])
def test_any_result_of_a_section_leads_to_its_record(outdir: Path, name: str) -> None:
    text = explain(find_origin(outdir / "S1" / name), SCHEMA)
    for part in ("section S1", "cuda:0", "hires, 20 × 10 px", "6 found, 7 asked", "counts: matrix.h5, 6 bytes"):
        assert part in text
    assert "epochs 20" in text and "n_seeds" not in text


def test_the_command_has_what_is_not_the_default_and_survives_the_shell(outdir: Path) -> None:
    text = explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)
    command = shlex.split(next(line for line in text.splitlines() if "./efnst run" in line))[1:]
    options = dict(zip(command[2::2], command[3::2], strict=True))
    expected = {"--epochs": "20", "--ignore_labels": "a b,c", "--vary_views": "false"}
    assert options == {"--input": "/somewhere/sheet.csv", "--outdir": "repeated"} | expected
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() == "sample,section,labels,n_domains")
    assert lines[at + 1].strip().startswith('S1,"') and lines[at + 1].strip().endswith(",7")


def test_results_of_the_whole_cohort(outdir: Path) -> None:
    for path in (outdir, outdir / "summary.csv", outdir / "pipeline_info" / "run.json"):
        text = explain(find_origin(path), SCHEMA)
        assert "epochs 20" in text and "./efnst run" in text and "section S1" not in text


@pytest.mark.parametrize(
    ("name", "step", "kind"),
    [
        ("pseudobulk.h5ad", "COHORT_SUMMARY", "counts of each domain of each section"),
        ("reference", "FIT_DOMAINS", "what the sections share, to bring their domains to further ones"),
        ("reference/space.safetensors", "LEARN_EMBEDDING", "part of the reference: genes, components, correction"),
        ("reference/encoder.json", "EXPORT_ENCODER", "part of the reference: the encoder of the patches"),
        ("reference/README.md", "FIT_DOMAINS", "part of the reference: sections, species, depth"),
        ("multiqc_report_data/multiqc.log", "MULTIQC", "part of the figures of multiqc_report.html"),
        ("pipeline_info/execution_trace.txt", "efnst 0.1.0", "Nextflow's own report of the tasks"),
        ("pipeline_info/provenance/S1.json", "ASSIGN_DOMAINS", "the record of how the domains were made of section S1"),
        ("S1/S1_bins.h5ad", "ASSIGN_DOMAINS", "counts and domains of every bin or cell of section S1"),
        ("S1/S1_pseudobulk.csv", "DESCRIBE_DOMAINS", "counts of each domain, gene by gene of section S1"),
        ("S1/umap.csv", "DESCRIBE_DOMAINS", "the embedding in two dimensions of section S1"),
        ("S1/exports/S1.zarr/tables/table/obs/_index/c/0", "EXPORT_DOMAINS", "part of the section as SpatialData"),
        ("S1/exports", "EXPORT_DOMAINS", "the domains for other tools of section S1"),
        ("S1/mine.txt", "efnst 0.1.0", "a file that efnst does not write of section S1"),
    ],
)
def test_every_file_is_told_with_its_step(outdir: Path, name: str, step: str, kind: str) -> None:
    """Also a .h5ad that carries no record of its own."""
    path = outdir / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".h5ad":
        h5py.File(path, "w").create_group("uns")
    elif path.suffix:
        path.write_text(path.read_text() if path.exists() else "")
    else:
        path.mkdir(exist_ok=True) if "zarr" not in name else path.write_bytes(b"")
    change(outdir / "pipeline_info" / "parameters.json", scope="cohort")
    lines = explain(find_origin(path), SCHEMA).splitlines()
    assert lines[1].split(maxsplit=1)[1].startswith(kind) and lines[2].startswith(f"made by     {step}")
    assert ("sections    S1" in lines) == ("section S1" not in lines[1])


def test_results_that_are_links_are_explained_where_they_lie(outdir: Path) -> None:
    """As with --publish_dir_mode symlink."""
    (outdir.parent / "work").mkdir()
    (outdir / "S1" / "domains.csv").rename(outdir.parent / "work" / "domains.csv")
    (outdir / "S1" / "domains.csv").symlink_to(outdir.parent / "work" / "domains.csv")
    assert "section S1" in explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)


def test_a_reference_of_an_earlier_run_is_told(outdir: Path) -> None:
    (outdir / "reference").mkdir()
    (outdir / "reference" / "space.json").write_text("")
    assert "makes no reference: an earlier one left this" in explain(find_origin(outdir / "reference"), SCHEMA)
    assert "an earlier one left this" in explain(find_origin(outdir / "reference" / "space.json"), SCHEMA)


@pytest.mark.parametrize(("folder", "step"), [("", "COHORT_SUMMARY"), ("pseudobulk", "ASSIGN_DOMAINS")])
def test_a_section_that_is_called_like_a_file_of_the_cohort(tmp_path: Path, folder: str, step: str) -> None:
    assert step_and_kind(tmp_path / folder / "pseudobulk.h5ad", tmp_path)[0] == step


def test_the_encoder_was_exported_or_quantised(outdir: Path) -> None:
    (outdir / "models").mkdir()
    (outdir / "models" / "encoder.onnx").write_bytes(b"")
    origin = find_origin(outdir / "models" / "encoder.onnx")
    assert "EXPORT_ENCODER" in explain(origin, SCHEMA)
    origin.parameters["precision"] = "int8"
    assert "QUANTISE_ENCODER" in explain(origin, SCHEMA)


def test_inputs_are_compared_when_asked(outdir: Path) -> None:
    origin = find_origin(outdir / "S1" / "domains.csv")
    assert explain(origin, SCHEMA, check=True).count("unchanged") == 2
    (outdir.parent / "data, raw" / "outs" / "matrix.h5").write_bytes(b"other")
    (outdir.parent / "data, raw" / "labels.csv").unlink()
    text = explain(origin, SCHEMA, check=True)
    assert (text.count("unchanged"), text.count("CHANGED"), text.count("NOT FOUND")) == (0, 1, 1)


def test_a_reference_and_an_encoder_are_compared_when_asked(outdir: Path) -> None:
    """They are gone: the run began in /somewhere."""
    used = {"encoder": "own", "weights_file": "own.onnx", "weights_sha256": "34cd"}
    change(outdir / "pipeline_info" / "provenance" / "S1.json", reference=REFERENCE, encoder=used)
    change(outdir / "pipeline_info" / "parameters.json", reference="ref", encoder_onnx="own.onnx")
    origin = find_origin(outdir / "S1")
    lines = [line.strip() for line in explain(origin, SCHEMA, check=True).splitlines()]
    assert "space.safetensors sha256 12ab – NOT FOUND" in [line.removeprefix("reference").strip() for line in lines]
    assert "encoder     own, weights own.onnx sha256 34cd – NOT FOUND" in lines
    assert "12ab\n" in explain(origin, SCHEMA) and "34cd\n" in explain(origin, SCHEMA)


@pytest.mark.parametrize("changed", [{"epochs": 50}, None])
def test_inputs_of_a_section_of_another_run_are_not_looked_for(outdir: Path, changed: dict | None) -> None:
    """The last run made it with other parameters, or has no such section: what it names may be other files."""
    used = {"encoder": "own", "weights_file": "own.onnx", "weights_sha256": "34cd"}
    change(outdir / "pipeline_info" / "provenance" / "S1.json", reference=REFERENCE, encoder=used)
    change(outdir / "pipeline_info" / "parameters.json", reference="ref", encoder_onnx="own.onnx", **(changed or {}))
    if not changed:
        (outdir / "sections.csv").write_text("sample,status\nS1,error\n")
    text = explain(find_origin(outdir / "S1"), SCHEMA, check=True)
    assert text.count(f" – {NO_FOLDER}\n") == 4, "counts, labels, encoder, reference"


def test_a_file_that_left_its_folder_explains_itself(outdir: Path, tmp_path: Path) -> None:
    alone = tmp_path / "mailed" / "domains_hires.geojson"
    alone.parent.mkdir()
    (outdir / "S1" / "domains_hires.geojson").rename(alone)
    text = explain(find_origin(alone), SCHEMA)
    assert "section S1" in text and "--epochs 20" in text and "--n_domains 7" in text
    (outdir / "S1" / "domains.csv").rename(alone.with_name("domains.csv"))
    with pytest.raises(EfnstError, match="carry their own record"):
        find_origin(alone.with_name("domains.csv"))
    h5py.File(alone.with_name("pseudobulk.h5ad"), "w").create_group("uns")
    with pytest.raises(EfnstError, match="carry their own record"):
        find_origin(alone.with_name("pseudobulk.h5ad"))


def test_results_of_two_runs_in_one_folder_are_told(outdir: Path) -> None:
    assert disagreements(find_origin(outdir / "S1")) == []
    path = outdir / "pipeline_info" / "parameters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epochs": 50}))
    origin = find_origin(outdir / "S1" / "domains.csv")
    assert "made with epochs 20, the last run into this folder had 50" in disagreements(origin)[0]
    assert "--epochs 20" in explain(origin, SCHEMA)
    assert changed_parameters(origin, SCHEMA)["epochs"] == 50


DECIDED = {  # by the section, its image or the machine: what was asked for, and what became of it
    "unit_um": ("auto", "16"),
    "patch_um": ("", "190"),
    "n_domains": ("", 7),
    "min_counts_per_spot": (1, 814.715),
    "max_pct_mt": (100, 18.202),
    "qc_mads": (3, 3),
    "use_image": (True, False),
    "stain_normalisation": ("macenko", "none"),
    "ignore_labels": ("a b, c", "a b,c"),
}


def decide(outdir: Path, **changed: object) -> None:
    """A section much of which the data decided, made as the run asked for but for what is `changed`."""
    info = outdir / "pipeline_info"
    asked = {name: pair[0] for name, pair in DECIDED.items()}
    given = {name: value for name, value in asked.items() if value != ""}
    change(info / "parameters.json", **given)
    rows = json.loads((info / "sections.json").read_text())
    (info / "sections.json").write_text(json.dumps([rows[0] | {"n_domains": None}]))
    record = json.loads((info / "provenance" / "S1.json").read_text())
    ran = record["parameters"] | {name: pair[1] for name, pair in DECIDED.items()} | {"batch_size": 8}
    ran |= {"encoder": "own", "precision": "fp16"}  # of --encoder_onnx
    change(info / "provenance" / "S1.json", parameters=ran, asked=asked | changed)
    change(outdir / "S1" / "domains_hires.geojson", efnst=record | {"parameters": ran, "asked": asked | changed})


def test_what_the_data_decide_is_no_doubt(outdir: Path) -> None:
    decide(outdir)
    origin = find_origin(outdir / "S1" / "domains.csv")
    assert disagreements(origin) == []
    assert "--qc_mads 3" in explain(origin, SCHEMA) and "--min_counts_per_spot" not in explain(origin, SCHEMA)


@pytest.mark.parametrize(
    ("name", "had", "said", "option"),
    [
        ("unit_um", "24", "made with unit_um 24, the last run into this folder had auto", "--unit_um 24"),
        ("qc_mads", 0, "made with qc_mads 0, the last run into this folder had 3", ""),
        ("min_counts_per_spot", 5, "had 1:", "--min_counts_per_spot 5"),
        ("patch_um", "100", "made with patch_um 100, the last run into this folder had none", "--patch_um 100"),
        ("n_domains", 4, "made with n_domains 4, the last run into this folder had none", "--n_domains 4"),
        ("stain_normalisation", "none", "made with stain_normalisation none", ""),
        ("use_image", False, "made with use_image false, the last run into this folder had true", "--use_image false"),
    ],
)
def test_what_was_asked_for_otherwise_is_a_doubt(outdir: Path, name: str, had: object, said: str, option: str) -> None:
    decide(outdir, **{name: had})
    origin = find_origin(outdir / "S1" / "domains.csv")
    (text,) = disagreements(origin)
    assert said in text
    command = next(line for line in explain(origin, SCHEMA).splitlines() if "./efnst run" in line)
    assert option in command and (option or f"--{name} " not in command)


def test_a_section_without_an_image_in_the_sheet_is_no_doubt(outdir: Path) -> None:
    decide(outdir, use_image=False)
    rows = json.loads((outdir / "pipeline_info" / "sections.json").read_text())
    (outdir / "pipeline_info" / "sections.json").write_text(json.dumps([rows[0] | {"image": "none"}]))
    assert disagreements(find_origin(outdir / "S1")) == []


def test_a_lone_file_repeats_what_was_asked_for(outdir: Path) -> None:
    decide(outdir)
    alone = outdir.parent / "mailed.geojson"
    (outdir / "S1" / "domains_hires.geojson").rename(alone)
    text = explain(find_origin(alone), SCHEMA)
    assert "--qc_mads 3" in text and "--stain_normalisation macenko" in text
    for name in ("min_counts_per_spot", "max_pct_mt", "unit_um", "patch_um", "n_domains", "use_image", "encoder"):
        assert f"--{name} " not in text


COHORT = {"samples": ["S1", "S2"], "corrected": True}
REFERENCE = COHORT | {"correct_by": "none", "files": {"space.safetensors": "12ab"}, "parameters": {"save_model": True}}


def lone(outdir: Path, ran: dict, **section: object) -> str:
    """The explanation of a .geojson away from its folder, of a section with these parameters and members."""
    record = json.loads((outdir / "pipeline_info" / "provenance" / "S1.json").read_text()) | section
    record["parameters"] |= ran
    if "reference" in section:
        del record["parameters"]["n_domains"]  # of the reference
    path = outdir.parent / "mailed.geojson"
    path.write_text(json.dumps({"efnst": record}))
    return explain(find_origin(path), SCHEMA)


def test_covariates_are_columns_of_the_samplesheet(outdir: Path) -> None:
    rows = json.loads((outdir / "pipeline_info" / "sections.json").read_text())
    rows[0] |= {"covariates": {"age": "31", "donor": "", "treatment": "yes, twice"}}
    (outdir / "pipeline_info" / "sections.json").write_text(json.dumps(rows))
    lines = [line.strip() for line in explain(find_origin(outdir / "S1"), SCHEMA).splitlines()]
    at = lines.index("sample,section,labels,n_domains,age,treatment")
    assert lines[at + 1].startswith("S1,") and lines[at + 1].endswith(',7,31,"yes, twice"')


def test_a_cohort_is_repeated_as_a_whole(outdir: Path) -> None:
    info = outdir / "pipeline_info"
    change(info / "parameters.json", scope="cohort", gene_sets="sets.gmt")
    for section in ({}, {"cohort": COHORT}):
        change(info / "provenance" / "S1.json", **section)
        text = explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)
        assert "--input /somewhere/sheet.csv" in text and "--scope cohort" in text and "--epochs 20" in text
        assert "--gene_sets /somewhere/sets.gmt" in text
        assert "a section alone would get other domains" in text and "sample,section" not in text
    assert "for all sections of the cohort (S1, S2), whose domains are found together" in text
    assert "learned together: S1, S2" in text


def test_a_lone_file_of_a_cohort_names_its_parameters(outdir: Path) -> None:
    text = lone(outdir, {"scope": "cohort", "correct_by": "none", "learn_labels": True}, cohort=COHORT)
    assert "--scope cohort --correct_by none --learn_labels true" in text and "--n_domains 7" in text
    assert "and all sections of the cohort (S1, S2), whose domains are found together" in text
    assert "(all others that the file knows of have their defaults)" in text


def test_a_lone_file_of_a_reference_names_that(outdir: Path) -> None:
    text = lone(outdir, {}, reference=REFERENCE)
    assert "--reference REFERENCE" in text and "--n_domains" not in text and "save_model" not in text
    assert "of S1, S2, correct_by none" in text and "space.safetensors sha256 12ab" in text
    assert "REFERENCE is the folder `reference` of a run" in text and "cohort" not in text


def test_a_run_with_a_reference_is_no_doubt(outdir: Path) -> None:
    info = outdir / "pipeline_info"
    change(info / "provenance" / "S1.json", reference=REFERENCE)
    (text,) = disagreements(find_origin(outdir / "S1"))
    assert "made with a reference, the last run into this folder without" in text
    change(info / "parameters.json", reference="../ref", save_model=False)
    origin = find_origin(outdir / "S1")
    assert disagreements(origin) == []
    text = explain(origin, SCHEMA)
    assert "--reference /somewhere/../ref" in text and "for this section alone" in text


def test_what_an_earlier_run_left_is_told(outdir: Path) -> None:
    """A section that the samplesheet no longer has, and a table of common domains of a run in the scope of sections."""
    (outdir / "OLD").mkdir()
    (outdir / "OLD" / "domains.csv").write_text("")
    (outdir / "domain_tests.csv").write_text("")
    record = json.loads((outdir / "pipeline_info" / "provenance" / "S1.json").read_text())
    (outdir / "pipeline_info" / "provenance" / "OLD.json").write_text(json.dumps(record | {"sample": "OLD"}))
    old = explain(find_origin(outdir / "OLD" / "domains.csv"), SCHEMA)
    assert "the last run into this folder does not have OLD, or did not finish it" in old
    whole = explain(find_origin(outdir), SCHEMA)
    assert "results of 1 section\n" in whole and "left out: OLD, which" in whole
    assert "an earlier one left this file" in explain(find_origin(outdir / "domain_tests.csv"), SCHEMA)
    assert "doubt" not in explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)
    assert "left by an earlier run: domain_tests.csv" in whole
    change(outdir / "pipeline_info" / "parameters.json", exports="loupe")
    assert "makes no figures: an earlier one left" in explain(find_origin(outdir / "S1/figures/domains.svg"), SCHEMA)
    assert "left by an earlier run: S1/figures" in explain(find_origin(outdir / "S1"), SCHEMA)
    (outdir / "sections.csv").write_text("sample,status\nS1,error\n")
    assert "does not have S1" in explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)


def test_what_is_older_than_a_run_that_was_stopped_is_told(outdir: Path) -> None:
    """The run was stopped after the domains of S1: figures and tables are those of the run before."""
    for path in (outdir / "summary.csv", outdir / "S1" / "figures" / "domains.svg", outdir / "S1" / "figures"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    older = "this file is older than the last run into this folder: an earlier one left it"
    for name in ("summary.csv", "S1/figures/domains.svg"):
        assert older in explain(find_origin(outdir / name), SCHEMA)
    assert "left by an earlier run: S1/figures, summary.csv" in explain(find_origin(outdir), SCHEMA)
    assert "left by an earlier run: S1/figures\n" in explain(find_origin(outdir / "S1"), SCHEMA)
    assert "doubt" not in explain(find_origin(outdir / "S1" / "domains.csv"), SCHEMA)
    change(outdir / "pipeline_info" / "parameters.json", publish_dir_mode="rellink")
    assert "doubt" not in explain(find_origin(outdir), SCHEMA), "a link has the time of its task"


@pytest.mark.parametrize("place", ["S1/exports/S1.zarr", "S1/exports/S1.zarr/tables", "S1/exports/S1.zarr/zarr.json"])
def test_a_store_that_an_earlier_run_left_is_told_at_any_depth(outdir: Path, place: str) -> None:
    store = outdir / "S1" / "exports" / "S1.zarr"
    (store / "tables").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    change(outdir / "pipeline_info" / "parameters.json", exports="spatialdata")
    assert "doubt" not in explain(find_origin(outdir / place), SCHEMA)
    for path in (store / "tables", store / "zarr.json", store):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    kind = "file" if place.endswith(".json") else "folder"
    older = f"this {kind} is older than the last run into this folder: an earlier one left it"
    assert older in explain(find_origin(outdir / place), SCHEMA)


def test_a_clock_that_is_behind_is_no_doubt(outdir: Path) -> None:
    """As of a file system in a network: results are no older than run.json, if older than the start by our clock."""
    change(outdir / "pipeline_info" / "run.json", started="2999-01-01T00:00:00Z")
    for second, name in enumerate(("sections", "parameters", "run")):  # as the run writes them
        os.utime(outdir / "pipeline_info" / f"{name}.json", (1_500_000_000 + second,) * 2)
    for place in (outdir, outdir / "pipeline_info" / "sections.json", outdir / "pipeline_info" / "parameters.json"):
        assert "doubt" not in explain(find_origin(place), SCHEMA)


@pytest.mark.parametrize("content", ["no HDF5", None])
def test_what_is_no_result_is_refused(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "S1.h5ad").write_text(content)
    with pytest.raises(EfnstError, match="Expected a result of efnst"):
        find_origin(tmp_path / "S1.h5ad")


def test_parameters_that_a_reference_takes_the_place_of_are_told_apart(outdir: Path) -> None:
    """They stand neither among those that ran nor in the command that repeats the run."""
    path = outdir / "pipeline_info" / "parameters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"reference": "r", "image_fusion": "none"}))
    text = explain(find_origin(outdir), SCHEMA)
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert "image_fusion none, epochs 20, vary_views false, given, did nothing" in lines["no effect"]
    assert "epochs" not in lines["parameters"] and "ignore_labels a b,c" in lines["parameters"]
    assert "--epochs" not in text and "--reference /somewhere/r" in text
