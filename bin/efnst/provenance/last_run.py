"""Which results in a folder are those of the last run into it: a run does not clear what earlier ones left there."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from efnst.errors import EfnstError, damaged, reading
from efnst.names import NO_IMAGE, PIPELINE_INFO
from efnst.provenance.origin import Origin, asked_for, origin_of_section, shown
from efnst.provenance.run_records import RunRecords, read_run

TABLE = "domains.csv"
FAILED = "error"  # status in sections.csv of a section that did not come to an end
COPIES = ("copy", "copyNoFollow")  # of --publish_dir_mode


@dataclass(frozen=True)
class LastRun:
    """The last run into a folder: its start, 0 where times do not tell whose results are, and what it finished.

    `finished` are the samples that it has and brought to an end, None where the folder does not tell.
    """

    start: float
    finished: set[str] | None


def sample_tables(outdir: Path) -> tuple[dict[str, Path], list[str]]:
    """domains.csv of each sample that the last run into a folder finished, by sample; samples with another run's.

    Raises EfnstError where the last run finished none.
    """
    if not outdir.is_dir():
        raise EfnstError(f"Expected the folder of a run's results, found no folder {outdir}: name its --outdir.")
    old = left_over(outdir, last_run(outdir))
    found = {sample: path for sample, path in _tables_in(outdir).items() if sample not in old}
    if not found:
        what = f"those of earlier runs alone ({', '.join(old[:5])})" if old else "none"
        raise EfnstError(
            f"Expected <sample>/{TABLE} of the last run into {outdir}, found {what}: name the --outdir of a run that "
            "finished."
        )
    return found, old


def left_over(outdir: Path, last: LastRun) -> list[str]:
    """Samples with domains in a folder that its last run does not have, or did not bring to an end."""
    return [] if last.finished is None else [sample for sample in _tables_in(outdir) if sample not in last.finished]


def last_run(outdir: Path) -> LastRun:
    """What the records in a folder tell of the last run into it.

    A run that was stopped before its sections.csv is known by its samplesheet and by when domains were written. Domains
    that were made with other parameters are no results of the last run either.
    """
    records = read_run(outdir)
    start, ended = _start(records), outdir / "sections.csv"
    if records.rows is None:
        return LastRun(start, None)
    if ended.is_file() and not is_earlier(ended, start):
        samples = _ended_well(ended) & set(records.rows)
    else:
        samples = {sample for sample in records.rows if not is_earlier(outdir / sample / TABLE, start)}
    return LastRun(start, {sample for sample in samples if not disagreements(origin_of_section(records, sample))})


def _start(records: RunRecords) -> float:
    """When a run began, in seconds since 1970; 0 where times do not tell whose results are.

    A run publishes all its results anew, also those of tasks that -resume takes from an earlier one: copies are no
    older than its start, or than run.json where the file system's clock is behind. Links have the time of their task.
    """
    if not records.run or records.parameters.get("publish_dir_mode", COPIES[0]) not in COPIES:
        return 0
    written = records.outdir / PIPELINE_INFO / "run.json"
    try:
        return min(datetime.fromisoformat(records.run["started"]).timestamp(), written.stat().st_mtime)
    except ValueError as error:
        raise damaged(written, error) from error


def is_earlier(path: Path, start: float) -> bool:
    """Whether a result was there before the last run began (`start`, of `LastRun`)."""
    return path.exists() and path.stat().st_mtime < start


def has_common_domains(outdir: Path) -> bool:
    """Whether a domain is the same in all samples of the last run: in a cohort's scope, or by a reference."""
    parameters = read_run(outdir).parameters
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
