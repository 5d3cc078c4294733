"""A run that asks for what is not there ends before any task starts, with everything that is missing and what to do."""

import json
from pathlib import Path

import pytest
from tests.pipeline.conftest import Efnst, Run, write_sheet

pytestmark = pytest.mark.slow


@pytest.fixture
def refused(efnst: Efnst, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    """`refused(options…, command=script…)`: a run whose PATH starts with commands that do what the scripts say."""

    def run(*options: str | Path, **commands: str) -> Run:
        for name, script in commands.items():
            command = tmp_path / "commands" / name
            command.parent.mkdir(exist_ok=True)
            command.write_text(f"#!/bin/sh\n{script}\n")
            command.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{tmp_path}/commands", prepend=":")
            ended = efnst(tmp_path, *options, "--input", cohort / "samplesheet.csv")
        assert ended.status == 1 and not list(tmp_path.glob("work/*/*")), ended.output
        return ended

    return run


def test_a_cloud_needs_its_storage_and_a_registry(refused) -> None:  # noqa: ANN001
    output = refused(
        "-profile", "k8s"
    ).output  # the other clouds need plugins, which are not to be had without a network
    assert "Expected --storage_claim for k8s, found nothing." in output
    assert "Expected --image_registry for k8s, found nothing." in output


def test_slurm_says_which_partitions_and_gpus_there_are(refused, tmp_path: Path) -> None:  # noqa: ANN001
    options = ("-profile", "slurm,apptainer,gpu", "--queue", "lnog", "--image_folder", tmp_path)
    output = refused(*options, sbatch="exit 1", sinfo="echo 'long (null)'; echo 'short (null)'").output
    assert "Expected a partition of Slurm, found `lnog`. There are: long, short." in output
    assert "Expected nodes with GPUs in partition `lnog`, found none." in output
    for image in ("efnst-", "efnst-gpu-", "efnst-multiqc-"):
        assert f"Expected the image {tmp_path}/{image}" in output
    assert f"./efnst images apptainer --only efnst,efnst-multiqc,efnst-gpu --folder {tmp_path}" in output


def test_an_engine_whose_service_is_down_and_a_missing_gpu(refused) -> None:  # noqa: ANN001
    output = refused("-profile", "docker,gpu", docker="exit 1", **{"nvidia-smi": "exit 9"}).output
    assert "Expected `docker info` to answer" in output
    assert "Expected the image efnst:" in output and "./efnst images docker" in output
    assert "`nvidia-smi -L` lists none" in output


LATE = {
    "publish_dir_mode": "link",
    "cleanup": True,
    "image_folder": "/late",
    "image_registry": "late",
    "multiqc_image": "late:1",
    "region": "late",
}


def test_parameters_that_a_configuration_names_too_late_are_refused(efnst: Efnst, cohort: Path, tmp_path: Path) -> None:
    """Nextflow has read them when it comes to -c: results would be copies, and the work kept, whatever it says."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in LATE.items()]
    (tmp_path / "site.config").write_text("params {\n" + "\n".join(lines) + "\n}\n")
    options = ("-c", "site.config", "--input", cohort / "samplesheet.csv")
    ended = efnst(tmp_path, *options)
    assert ended.status == 1 and not list(tmp_path.glob("work/*/*")), ended.output
    for name, value in LATE.items():
        text = json.dumps(value).strip('"')
        said = f"found params.{name} = `{text}` in a configuration, which is read too late. Give --{name} {text}."
        assert said in ended.output
    given = [text for name in LATE for text in (f"--{name}", json.dumps(LATE[name]).strip('"'))]
    assert efnst(tmp_path, "-stub-run", *options, *given).status == 0


def test_other_parameters_may_stand_in_a_configuration(efnst: Efnst, one_section: Path, tmp_path: Path) -> None:
    (tmp_path / "site.config").write_text(
        f"params {{ save_model = true; keep_bins = false; scratch = '{tmp_path}/node' }}\n"
    )
    (tmp_path / "node").mkdir()
    ended = efnst(tmp_path, "-stub-run", "-c", "site.config", "--input", one_section)
    assert ended.status == 0, ended.output
    assert (ended.outdir / "models" / "encoder.onnx").is_file()
    scripts = [script.read_text() for script in tmp_path.glob("work/*/*/.command.run")]
    assert scripts and all(f"nxf_mktemp {tmp_path}/node)" in script for script in scripts)


def test_a_site_s_own_script_before_each_task_takes_nothing_away(efnst: Efnst, tmp_path: Path) -> None:
    """As `module load` may do: Python is told to look elsewhere, and threads start for every core."""
    (tmp_path / "site.config").write_text(
        "process.beforeScript = 'export PYTHONSAFEPATH=1 PYTHONHOME=/nowhere OMP_NUM_THREADS=64'\n"
        """process.afterScript = { "echo \\$OMP_NUM_THREADS >> ${launchDir}/threads" }\n"""
    )
    sheet = write_sheet(tmp_path / "sheet.csv", {"sample": "a", "section": "nowhere"})
    ended = efnst(tmp_path, "-c", "site.config", "--input", sheet)
    assert ended.status == 0 and "evaluates to an empty value" not in ended.output, ended.output
    assert set((tmp_path / "threads").read_text().split()) == {"1"}
