"""Passwords and signatures in addresses reach no file of a run, no report and no log."""

import json
from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst, efnst, project, write_sheet  # noqa: F401
from tests.pipeline.test_refusals import words

from efnst.inputs.addresses import without_secrets

pytestmark = pytest.mark.slow

SECRET = "topsecret"
HOST = "127.0.0.1:9"  # where nothing answers
ADDRESSES = {
    "password": f"https://user:{SECRET}@{HOST}/a.h5ad",
    "only_a_name": f"https://{SECRET}@{HOST}/a.h5ad",
    "signed": f"https://{HOST}/b.h5ad?X-Amz-SignedHeaders=host;range&X-Amz-Signature={SECRET}",
    "both": f"https://user:{SECRET}@{HOST}/c.tar.gz?sig={SECRET}",
    "bucket": f"s3://{SECRET}:{SECRET}@bucket/d.h5ad",
}


def holding(folder: Path, *but: Path) -> list[Path]:
    """The files below a folder, in which the secret stands, and those that are named after it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path not in but]
    return [path for path in files if SECRET.encode() in path.read_bytes() or SECRET in path.name]


@pytest.mark.parametrize("ending", ["csv", "yaml"])
def test_addresses_of_the_samplesheet(efnst: Efnst, tmp_path: Path, ending: str) -> None:  # noqa: F811
    sheet = tmp_path / f"sheet.{ending}"
    if ending == "csv":
        rows = [{"sample": name, "section": address} for name, address in ADDRESSES.items()]
        write_sheet(sheet, *rows, {"sample": "image", "section": "nowhere", "image": ADDRESSES["signed"]})
    else:
        sheet.write_text("".join(f"- sample: {name}\n  section: '{text}'\n" for name, text in ADDRESSES.items()))
    run = efnst(tmp_path, "--input", sheet)
    assert run.status == 0, run.output
    for name in ADDRESSES:
        assert "found" in run.summary[name]["reason"] and "***" in run.summary[name]["reason"]
        assert "expected an address without password and query" in run.summary[name]["reason"]
    assert holding(tmp_path, sheet) == [] and SECRET not in run.output


@pytest.mark.parametrize(("parameter", "kind"), [("input", "signed"), ("qc_rules", "password")])
def test_addresses_in_parameters(efnst: Efnst, tmp_path: Path, parameter: str, kind: str) -> None:  # noqa: F811
    given = {"input": write_sheet(tmp_path / "sheet.csv", {"sample": "a", "section": "nowhere"})}
    run = efnst(tmp_path, "--input", given["input"], f"--{parameter}", ADDRESSES[kind])
    assert run.status != 0
    assert "Expected an address without password and query, found `https://" in words(run.output)
    assert holding(tmp_path) == [] and SECRET not in run.output
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps(given | {parameter: ADDRESSES[kind]}, default=str))
    run = efnst(tmp_path, "-params-file", file)
    assert run.status != 0 and run.tasks == []
    assert f"parameter --{parameter}: found `https://" in words(run.output)
    assert "expected an address without password and query" in words(run.output)
    assert holding(tmp_path, file) == [] and SECRET not in run.output


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (ADDRESSES["both"], f"https://***@{HOST}/c.tar.gz?***"),
        (f'A1,"https://h/a?x={SECRET}",none,7', 'A1,"https://h/a?***",none,7'),
        (f"A1,https://h/a?x={SECRET},none,7", "A1,https://h/a?***,none,7"),
        (f"A1;https://h/a?b=host;range&x={SECRET};none;7", "A1;https://h/a?***;none;7"),
        (f"https://u:a,b'{SECRET}@h/a.h5ad", "https://***@h/a.h5ad"),
        ("/data/a@b/c?d s3://bucket/a@b.h5ad", "/data/a@b/c?d s3://bucket/a@b.h5ad"),
    ],
)
def test_what_is_cut(text: str, cut: str) -> None:
    assert without_secrets(text) == cut
