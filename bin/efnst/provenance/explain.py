"""From a result file back to how it was made: its record, the run's records, and the command that repeats it."""

import csv
import io
import re
import shlex
from dataclasses import replace

from efnst.names import PIPELINE_INFO
from efnst.program.parameters import defaults, properties
from efnst.provenance.checked import input_state, reference_state, weights_state
from efnst.provenance.last_run import LastRun, disagreements, is_earlier, last_run, left_over, other_parameters
from efnst.provenance.left_over import left_below, unmade
from efnst.provenance.origin import Origin, asked_for, from_anywhere, shown
from efnst.provenance.results import is_published, step_and_kind
from efnst.provenance.without_effect import without_effect

OWN_IMAGE = re.compile(r"efnst(-\w+)?:[0-9a-f]{12}")  # what conf/images.config says, not the user
REFERENCE = "REFERENCE"  # in a command, in place of a folder that is not known
SHOWN_SECTIONS = 12


def explain(origin: Origin, schema: dict, check: bool = False) -> str:
    """The origin as text; `schema` is that of the parameters. With `check` the inputs are read again and compared."""
    last = last_run(origin.outdir) if origin.outdir else LastRun(0, None)
    found, doubts, not_of_last = _sections(origin, last), disagreements(origin), _not_of_last(origin, last)
    placed = replace(origin, parameters={}, row={}) if doubts or not_of_last else origin  # those may lie elsewhere
    step, kind = _kind(origin, found)
    section = origin.section
    versions = section.get("versions", {})
    lines = [("what", f"{kind}{f' of section {origin.sample}' if origin.sample else ''}")]
    made = [step, f"efnst {versions.get('efnst') or origin.run.get('efnst', '?')}"]
    made += [f"Nextflow {origin.run['nextflow']}, run of {origin.run['started']}"] if origin.run else []
    lines.append(("made by", ", ".join(part for part in made if part)))
    lines += [("input", text) for text in _inputs(placed, check)]
    lines += [("sections", _listed(found))] if found else []
    lines += [(name, text) for name, text in _section_lines(placed, check)]
    lines += [("versions", ", ".join(f"{name} {number}" for name, number in versions.items()))] if versions else []
    changed = changed_parameters(origin, schema)
    brought = {"reference": REFERENCE} if "reference" in section else {}
    idle = {name: changed.pop(name) for name in without_effect(brought | changed, defaults(schema))}
    others = "all others" if origin.parameters else "all others that the file knows of"
    lines.append(("parameters", f"{_values(changed) or 'none'} ({others} have their defaults)"))
    lines += [("no effect", f"{_values(idle)}, given, did nothing beside the others")] if idle else []
    lines += [("doubt", text) for text in [*doubts, *([not_of_last] if not_of_last else _left_overs(origin, last))]]
    lines += [("repeat", text) for text in repeat(origin, changed, schema)]
    return "\n".join([str(origin.path), *_in_columns(lines)]) + "\n"


def _values(parameters: dict) -> str:
    """Parameters with their values, in words."""
    named = {name: value for name, value in parameters.items() if name not in ("input", "outdir")}
    return ", ".join(f"{name} {shown(value)}" for name, value in named.items())


def _in_columns(lines: list[tuple[str, str]]) -> list[str]:
    """Name and text side by side; a name that comes again is not repeated."""
    width = max(len(name) for name, _ in lines)
    before = ["", *(name for name, _ in lines)]
    return [
        f"{name if name != last else '':<{width}}  {text}" for (name, text), last in zip(lines, before, strict=False)
    ]


def changed_parameters(origin: Origin, schema: dict) -> dict:
    """The parameters whose values were not the defaults; of a file by itself those that its record knows."""
    about = properties(schema)
    return {
        name: value
        for name, value in (origin.parameters or asked_for(origin)).items()
        if name in about and value not in (None, "", about[name].get("default")) and not OWN_IMAGE.fullmatch(str(value))
    }


def _left_overs(origin: Origin, last: LastRun) -> list[str]:
    """Which results in a folder are not those of its last run."""
    if origin.outdir is None:
        return []
    samples = [] if origin.sample else left_over(origin.outdir, last)
    left = left_below(origin.place, origin.outdir, origin.parameters, last.start)
    files = [path.as_posix() for path in left if path.parts[0] not in samples]
    said = [f"left out: {', '.join(samples)}, which the last run does not have or did not finish"] if samples else []
    return said + ([f"left by an earlier run: {_listed(files, 'files and folders')}"] if files else [])


def _not_of_last(origin: Origin, last: LastRun) -> str:
    """Why a result in the folder of a run is not one of the last run into it; empty where it may be one."""
    outdir = origin.outdir
    if outdir is None:
        return ""
    kind = "file" if origin.place.is_file() else "folder"
    is_result = is_published(origin.place, outdir)
    if is_result and (not_made := unmade(origin.place, outdir, origin.parameters)):
        return f"the last run into this folder makes no {not_made}: an earlier one left this {kind}"
    if origin.sample and last.finished is not None and origin.sample not in last.finished:
        return f"the last run into this folder does not have {origin.sample}, or did not finish it"
    if is_result and is_earlier(origin.place, last.start):
        return f"this {kind} is older than the last run into this folder: an earlier one left it"
    return ""


def repeat(origin: Origin, changed: dict, schema: dict) -> list[str]:
    """The command that makes the result again, and the sections and the reference that it needs, as far as known."""
    about, given = properties(schema), dict(changed)
    if not origin.parameters and "reference" in origin.section:
        given["reference"] = REFERENCE
    for name, (had, _) in other_parameters(origin).items():
        given.pop(name, None)
        given |= {name: had} if had not in ("", about[name].get("default")) else {}
    given = {name: from_anywhere(origin, value) if "format" in about[name] else value for name, value in given.items()}
    sheet = given.pop("input", "samplesheet.csv")
    given.pop("outdir", None)
    options = [part for name, value in given.items() for part in (f"--{name}", shown(value))]
    command = shlex.join(["./efnst", "run", "--input", sheet, "--outdir", "repeated", *options])
    return [command, *_needed(origin)]


def _needed(origin: Origin) -> list[str]:
    """What the command needs: the whole cohort, the samplesheet of the section alone, or what a file says of these."""
    if not origin.sample:
        return []
    cohort = origin.section.get("cohort", {}).get("samples", [])
    is_cohort = "reference" not in origin.section and (cohort or origin.parameters.get("scope") == "cohort")
    names = f" ({_listed(cohort)})" if cohort else ""
    together = f"all sections of the cohort{names}, whose domains are found together"
    if origin.parameters and is_cohort:
        return [f"for {together}: a section alone would get other domains"]
    if origin.row:
        written = io.StringIO()
        row = _sheet_row(origin.row)
        csv.writer(written, lineterminator="\n").writerows([list(row), list(row.values())])
        return ["for this section alone, with a samplesheet of these two lines:", *written.getvalue().splitlines()]
    if origin.parameters:
        return []
    inputs = ", ".join(row["file"] for row in origin.section.get("inputs", []))
    lines = [f"where samplesheet.csv names {origin.sample} and the folder with {inputs or 'its files'}"]
    lines += [f"and {together}, with their groups"] if is_cohort else []
    used = origin.section.get("reference")
    return lines + ([f"and {REFERENCE} is the folder `reference` of a run, with the files named above"] if used else [])


def _sheet_row(row: dict) -> dict[str, object]:
    """A row of sections.json as the samplesheet has it: only what is given, and the covariates in their own columns."""
    columns = {"sample" if name == "id" else name: value for name, value in row.items()}
    columns |= columns.pop("covariates", {})
    return {name: value for name, value in columns.items() if value not in (None, "") and name != "problem"}


def _kind(origin: Origin, sections: list[str]) -> tuple[str, str]:
    """The step that made a result, and what it is; `sections` are those that the whole run finished."""
    if origin.place == origin.outdir:
        return "", f"results of {len(sections)} section{'s' * (len(sections) != 1)}"
    step, kind = step_and_kind(origin.place, origin.outdir)
    is_quantised = step == "EXPORT_ENCODER" and origin.parameters.get("precision") == "int8"
    return ("QUANTISE_ENCODER" if is_quantised else step), kind


def _sections(origin: Origin, last: LastRun) -> list[str]:
    """The finished sections of a result of the whole run; none of a result of one section."""
    if origin.sample or origin.outdir is None:
        return []
    recorded = {path.stem for path in (origin.outdir / PIPELINE_INFO / "provenance").glob("*.json")}
    return sorted(recorded if last.finished is None else recorded & last.finished)


def _inputs(origin: Origin, check: bool) -> list[str]:
    """One line for each input file; with `check` whether it is still what it was."""
    lines = []
    for row in origin.section.get("inputs", []):
        text = f"{row['role']}: {row['file']}, {row['bytes']:,} bytes, {row['method']} {row['checksum']}"
        lines.append(f"{text}{f' – {input_state(origin, row)}' if check else ''}")
    return lines


def _section_lines(origin: Origin, check: bool) -> list[tuple[str, str]]:
    """Image, encoder, domains, seed and devices; with `check` whether files of these are still what they were."""
    section = origin.section
    if not section:
        return []
    image, domains = section.get("image", {}), section["domains"]
    lines = []
    if image:
        size = f", {image['width']} × {image['height']} px" if image["source"] != "none" else ""
        lines.append(("image", f"{image['source']}{size}"))
    if "encoder" in section:
        used = section["encoder"]
        weights = f"{used.get('weights_file', '')} sha256 {used.get('weights_sha256', '?')}"
        state = weights_state(origin, used) if check and "weights_file" in used else ""
        licence = f", licence {used['licence']}" if "licence" in used else ""
        lines.append(("encoder", f"{used['encoder']}, weights {weights}{licence}{state and f' – {state}'}"))
    lines += _shared_lines(origin, check)
    lines.append(("domains", f"{domains['n_domains_found']} found, {domains['n_domains_asked']} asked for or chosen"))
    lines.append(("seed", str(section["seed"])))
    devices = section.get("devices", {})
    lines.append(("device", ", ".join(f"{name}: {device}" for name, device in sorted(devices.items())) or "?"))
    return lines


def _shared_lines(origin: Origin, check: bool) -> list[tuple[str, str]]:
    """The cohort that a section was learned with, or the reference that it was brought into, with its files."""
    if "cohort" in origin.section:
        return [("cohort", f"learned together: {_listed(origin.section['cohort']['samples'])}")]
    used = origin.section.get("reference")
    if not used:
        return []
    lines = [("reference", f"of {_listed(used['samples'])}, correct_by {used['correct_by']}")]
    for name, checksum in sorted(used["files"].items()):
        state = f" – {reference_state(origin, name, checksum)}" if check else ""
        lines.append(("reference", f"{name} sha256 {checksum}{state}"))
    return lines


def _listed(names: list[str], kind: str = "") -> str:
    """Names of sections, or of what `kind` says; of many the first, and how many others there are."""
    more = len(names) - SHOWN_SECTIONS
    return ", ".join(names[:SHOWN_SECTIONS]) + (f" and {more} other{f' {kind}' if kind else 's'}" if more > 0 else "")
