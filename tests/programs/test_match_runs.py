"""match_runs.py through its command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.support.places import BIN

STARTED = {"started": "2020-09-14T00:00:00.123456789Z", "nextflow": "24.10.0", "launch_dir": "/"}
DOMAINS = {"n_domains_found": 2, "n_domains_asked": 2}


def rows(*samples: str) -> list[dict]:
    """sections.json of these samples."""
    return [{"id": sample, "section": f"/data/{sample}"} for sample in samples]


def write_run(folder: Path, scope: str = "section", **domains: str) -> Path:
    """Results of a run: domains.csv of each sample, with one letter for each of the spots S0, S1, …"""
    for sample, letters in domains.items():
        (folder / sample).mkdir(parents=True)
        table = pd.DataFrame({"barcode": [f"S{number}" for number in range(len(letters))], "domain": list(letters)})
        table.replace("-", "").to_csv(folder / sample / "domains.csv", index=False)
    (folder / "pipeline_info").mkdir(parents=True, exist_ok=True)
    (folder / "pipeline_info" / "parameters.json").write_text(json.dumps({"scope": scope}))
    return folder


def match(*arguments: object) -> subprocess.CompletedProcess:
    """Run the program."""
    command = [sys.executable, BIN / "match_runs.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_samples_and_barcodes_of_both_runs(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", s="112233-", t="1122", only="11")
    second = write_run(tmp_path / "2", s="3311", t="2211", other="11")
    done = match(first, second, "--outdir", tmp_path / "out")
    assert done.returncode == 0 and "2 samples, 8 spots in both runs" in done.stderr
    domains = pd.read_csv(tmp_path / "out" / "match_domains.csv")
    assert domains[["sample", "domain_1", "domain_2"]].to_numpy().tolist() == [
        ["s", 1, 3],
        ["s", 2, 1],
        ["t", 1, 2],
        ["t", 2, 1],
    ]
    samples = pd.read_csv(tmp_path / "out" / "match_samples.csv")
    assert samples.to_numpy().tolist() == [["s", 4, 1, 1], ["t", 4, 1, 1]]
    assert "domain_1" in done.stdout and "ari" in done.stdout


def test_what_is_unlike_the_reference_is_no_domain(tmp_path: Path) -> None:
    """Domain 0 has no partner; a sample without barcodes that both have, or with domain 0 alone, is named."""
    first = write_run(tmp_path / "1", s="001122", none="11", new="00")
    second = write_run(tmp_path / "2", s="222211", none="--", new="11")
    done = match(first, second, "--outdir", tmp_path / "out")
    assert done.returncode == 0 and "no barcode has a domain in both runs: new, none left out" in done.stderr
    domains = pd.read_csv(tmp_path / "out" / "match_domains.csv")
    assert domains[["domain_1", "domain_2", "agreement"]].to_numpy().tolist() == [[1, 2, 1], [2, 1, 1]]


def test_runs_whose_domains_are_common_have_one_assignment(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", "cohort", s="112233-", t="112")
    second = write_run(tmp_path / "2", "cohort", s="2233111", t="221")
    done = match(first, second, "--outdir", tmp_path / "out")
    domains = pd.read_csv(tmp_path / "out" / "match_domains.csv")
    assert done.returncode == 0 and domains["sample"].tolist() == ["all"] * 3
    assert domains.set_index("domain_1")["domain_2"].to_dict() == {1: 2, 2: 3, 3: 1}
    samples = pd.read_csv(tmp_path / "out" / "match_samples.csv").set_index("sample")
    assert samples.loc["t", "agreement"] == pytest.approx(2 / 3) and samples.loc["t", "ari"] == 1
    assert samples.loc["s", "n_shared"] == 6  # the last spot has no domain in the first run


def test_what_an_earlier_run_left_in_the_folder_is_not_matched(tmp_path: Path) -> None:
    """`old` is in no samplesheet any more, `failed` ended in an error, and its domains are those of a run before."""
    first = write_run(tmp_path / "1", "cohort", s="1122", old="2211", failed="2211")
    second = write_run(tmp_path / "2", "cohort", s="1122", old="1122", failed="1122")
    (first / "pipeline_info" / "sections.json").write_text(json.dumps(rows("s", "failed")))
    assert [row[0] for row in matched_samples(first, second, tmp_path)] == [
        "failed",
        "s",
    ]  # stopped before sections.csv
    (first / "sections.csv").write_text("sample,status\ns,warn\nold,pass\nfailed,error\n")
    assert matched_samples(first, second, tmp_path) == [["s", 4, 1, 1]]
    done = match(first, second)
    assert f"{first}: left out failed, old, which its last run does not have or did not finish" in done.stderr
    assert done.stderr.count("left out") == 1
    (first / "sections.csv").write_text("sample\ns\n")
    assert match(first, second).returncode == 2


def stop(folder: Path, **parameters: str) -> None:
    """As a run with `parameters` leaves a folder that it is stopped in: all but domains.csv of `a` is older."""
    info = folder / "pipeline_info"
    samples = sorted(path.parent.name for path in folder.glob("*/domains.csv"))
    (folder / "sections.csv").write_text("sample,status\n" + "".join(f"{sample},pass\n" for sample in samples))
    for path in folder.rglob("*.csv"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    os.utime(folder / "a" / "domains.csv")
    (info / "sections.json").write_text(json.dumps(rows(*samples)))
    (info / "run.json").write_text(json.dumps(STARTED))
    (info / "parameters.json").write_text(json.dumps({"scope": "section"} | parameters))


def test_a_run_that_was_stopped_has_what_was_written_since_its_start(tmp_path: Path) -> None:
    """Beside sections.csv of the run before; links have the time of their tasks, which tells nothing."""
    first, second = write_run(tmp_path / "1", a="1122", b="1122"), write_run(tmp_path / "2", a="1122", b="1122")
    stop(second)
    assert matched_samples(first, second, tmp_path) == [["a", 4, 1, 1]]
    assert f"{second}: left out b, which its last run does not have or did not finish" in match(first, second).stderr
    stop(second, publish_dir_mode="link")
    assert len(matched_samples(first, second, tmp_path)) == 2
    (second / "pipeline_info" / "run.json").write_text(json.dumps(STARTED | {"started": "yesterday"}))
    assert match(first, second).returncode == 0
    (second / "pipeline_info" / "parameters.json").write_text("{}")
    assert "Expected a complete run.json" in match(first, second).stderr
    (second / "pipeline_info" / "parameters.json").write_text("[]")
    assert "Expected a complete parameters.json, found that it cannot be read" in match(first, second).stderr


def test_domains_made_with_other_parameters_are_no_results_of_the_last_run(tmp_path: Path) -> None:
    """Whatever the times say: a copied folder has those of copying. What is common is said by the sections' records."""
    first, second = write_run(tmp_path / "1", "cohort", a="12", b="12"), write_run(tmp_path / "2", a="12", b="21")
    write_records(first, "cohort", a="cohort", b="cohort")
    write_records(second, "cohort", a="section", b="cohort")
    assert matched_samples(first, second, tmp_path) == [["b", 2, 1, 1]]
    assert f"{second}: left out a, which" in match(first, second).stderr
    write_records(second, "cohort", a="section", b="section")
    done = match(first, second)
    assert done.returncode == 2 and f"into {second}, found those of earlier runs alone (a, b)" in done.stderr


def write_records(folder: Path, last: str, **scopes: str) -> None:
    """The scope of a folder's last run, and that which each section was made in."""
    info = folder / "pipeline_info"
    (info / "provenance").mkdir(exist_ok=True)
    (info / "parameters.json").write_text(json.dumps({"scope": last}))
    (info / "sections.json").write_text(json.dumps(rows(*scopes)))
    for sample, scope in scopes.items():
        record = {"sample": sample, "parameters": {"scope": scope}, "asked": {}, "seed": 1, "domains": DOMAINS}
        (info / "provenance" / f"{sample}.json").write_text(json.dumps(record))


def matched_samples(first: Path, second: Path, folder: Path) -> list[list]:
    """The rows of match_samples.csv."""
    assert match(first, second, "--outdir", folder / "out").returncode == 0
    return pd.read_csv(folder / "out" / "match_samples.csv").to_numpy().tolist()


def test_runs_that_share_nothing(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", s="11")
    done = match(first, write_run(tmp_path / "2", t="11"))
    assert done.returncode == 2 and "Expected samples that both runs have, found none (s in" in done.stderr
    done = match(first, write_run(tmp_path / "3", s="--"))
    assert done.returncode == 2 and "Expected barcodes that both runs have, found none in s" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "found no column barcode, domain"),
        ("barcode,domain\nA,1\nA,1\n", "found barcodes that occur twice"),
    ],
)
def test_tables_that_are_no_domains(tmp_path: Path, content: str, said: str) -> None:
    first, second = write_run(tmp_path / "1", s="11"), write_run(tmp_path / "2", s="11")
    (second / "s" / "domains.csv").write_text(content)
    done = match(first, second)
    assert done.returncode == 2 and said in done.stderr


def test_folders_that_hold_no_run(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", s="11")
    assert "found no folder" in match(first, tmp_path / "absent").stderr
    assert "found none: name the --outdir of a run that finished" in match(first, tmp_path / "1" / "s").stderr
