"""Which results in a folder are those of the last run into it: a run does not clear what earlier ones left there."""

from datetime import datetime
from pathlib import Path

from efnst.errors import EfnstError, damaged, reading
from efnst.names import NO_IMAGE, PIPELINE_INFO
from efnst.provenance.origin import Origin, asked_for, json_of, origin_of_section, shown

TABLE = "domains.csv"
FAILED = "error"  # status in sections.csv of a section that did not come to an end
COPIES = ("copy", "copyNoFollow")  # of --publish_dir_mode


def sample_tables(outdir: Path) -> tuple[dict[str, Path], list[str]]:
    """domains.csv of each sample that the last run into a folder finished, by sample; samples with another run's.

    Raises EfnstError where the last run finished none.
    """
    if not outdir.is_dir():
        raise EfnstError(f"Expected the folder of a run's results, found no folder {outdir}: name its --outdir.")
    old = left_over(outdir)
    found = {sample: path for sample, path in _tables_in(outdir).items() if sample not in old}
    if not found:
        what = f"those of earlier runs alone ({', '.join(old[:5])})" if old else "none"
        raise EfnstError(
            f"Expected <sample>/{TABLE} of the last run into {outdir}, found {what}: name the --outdir of a run that "
            "finished."
        )
    return found, old


def left_over(outdir: Path) -> list[str]:
    """Samples with domains in a folder that its last run does not have, or did not bring to an end."""
    finished = finished_samples(outdir)
    return [] if finished is None else [sample for sample in _tables_in(outdir) if sample not in finished]


def finished_samples(outdir: Path) -> set[str] | None:
    """Samples that the last run into a folder has and brought to an end; None where the folder does not tell.

    A run that was stopped before its sections.csv is known by its samplesheet and by when domains were written. Domains
    that were made with other parameters are no results of the last run either.
    """
    listed, ended = outdir / PIPELINE_INFO / "sections.json", outdir / "sections.csv"
    if not listed.is_file():
        return None
    rows = json_of(listed, list)
    if not all(isinstance(row, dict) and "id" in row for row in rows):
        raise damaged(listed, "no list of sections")
    samples, start = {str(row["id"]) for row in rows}, last_start(outdir)
    if ended.is_file() and not is_earlier(ended, start):
        samples &= _ended_well(ended)
    else:
        samples = {sample for sample in samples if not is_earlier(outdir / sample / TABLE, start)}
    return {sample for sample in samples if not disagreements(origin_of_section(outdir, sample))}


def last_start(outdir: Path) -> float:
    """When the last run into a folder began, in seconds since 1970; 0 where times do not tell whose results are.

    A run publishes all its results anew, also those of tasks that -resume takes from an earlier one: copies are no
    older than its start, or than run.json where the file system's clock is behind. Links have the time of their task.
    """
    info = outdir / PIPELINE_INFO
    started = json_of(info / "run.json").get("started")
    if not started or json_of(info / "parameters.json").get("publish_dir_mode", COPIES[0]) not in COPIES:
        return 0
    try:
        return min(datetime.fromisoformat(str(started)).timestamp(), (info / "run.json").stat().st_mtime)
    except ValueError as error:
        raise damaged(info / "run.json", error) from error


def is_earlier(path: Path, start: float) -> bool:
    """Whether a result was there before the last run began (`start`, of `last_start`)."""
    return path.exists() and path.stat().st_mtime < start


def has_common_domains(outdir: Path) -> bool:
    """Whether a domain is the same in all samples of the last run: in a cohort's scope, or by a reference."""
    parameters = json_of(outdir / PIPELINE_INFO / "parameters.json")
    return parameters.get("scope") == "cohort" or bool(parameters.get("reference"))


def other_parameters(origin: Origin) -> dict[str, tuple]:
    """Where the section was made with other parameters than the folder's last run: what it had, and what that had."""
    if not origin.parameters or not origin.section:
        return {}
    last, row = dict(origin.parameters), origin.row
    last |= {"n_domains": row.get("n_domains", last.get("n_domains"))}
    last |= {"use_image": last.get("use_image") and row.get("image") != NO_IMAGE}
    known = dict.fromkeys(origin.section.get("asked", {})) | last  # parameters.json lacks what was not given
    pairs = {name: (value, known[name]) for name, value in asked_for(origin).items() if name in known}
    return {name: (had, has) for name, (had, has) in pairs.items() if _plain(had) != _plain(has)}


def _plain(value: object) -> object:
    """A value by which it is compared: nothing is empty text."""
    return "" if value is None else value


def disagreements(origin: Origin) -> list[str]:
    """Where the section was made with other parameters than the folder's last run: the folder holds results of both."""
    return _other_reference(origin) + [
        f"this section was made with {name} {shown(had) or 'not given'}, the last run into this folder had "
        f"{shown(_plain(has)) or 'none'}: repeat with the former"
        for name, (had, has) in other_parameters(origin).items()
    ]


def _other_reference(origin: Origin) -> list[str]:
    """Where only one of the section and the folder's last run had a reference."""
    if not origin.parameters or not origin.section:
        return []
    has, had = ("reference" in origin.section, bool(origin.parameters.get("reference")))
    if has == had or not (has or "scope" in origin.section["parameters"]):
        return []
    words = {True: "with a reference", False: "without"}
    text = f"this section was made {words[has]}, the last run into this folder {words[had]}: repeat with the former"
    return [text]


def _tables_in(outdir: Path) -> dict[str, Path]:
    """domains.csv of every sample in a folder, whichever run left it there."""
    return {path.parent.name: path for path in sorted(outdir.glob(f"*/{TABLE}"))}


def _ended_well(sections: Path) -> set[str]:
    """The samples of sections.csv that have results."""
    from efnst.program.spreadsheets import read_table

    with reading(sections):
        table = read_table(sections, dtype=str)
    if missing := {"sample", "status"} - set(table.columns):
        raise damaged(sections, f"no column {', '.join(sorted(missing))}")
    return set(table["sample"][table["status"] != FAILED])
