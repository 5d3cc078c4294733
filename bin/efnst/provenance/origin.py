"""What is known of how a result was made: its own record, and those of the run in whose folder it lies."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from efnst.errors import EfnstError
from efnst.names import PIPELINE_INFO
from efnst.provenance.run_records import RunRecords, fitting, json_of, read_run, read_section
from efnst.records.domains import Provenance

DEEPEST = 6  # folders between a result and the output folder
NO_EFFECT = ("batch_size",)  # on any result
OF_EFFICIENTNET = ("encoder", "encoder_output", "precision")  # an encoder of one's own has its own


@dataclass(frozen=True)
class Origin:
    """What is known of how a result was made; empty where it is not known.

    `section` is the content of provenance.json, `parameters`, `run` and `row` those of pipeline_info (`row`: the one
    of the section in the samplesheet). `outdir` is the run's output folder, None for a file by itself; `place` is where
    `path` lies in it.
    """

    path: Path
    place: Path
    outdir: Path | None
    sample: str
    section: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    run: dict = field(default_factory=dict)
    row: dict = field(default_factory=dict)


def find_origin(path: Path) -> Origin:
    """Where `path`, a result or a folder of them, comes from: by its own content and by the run's folder around it."""
    if not path.exists():
        raise EfnstError(f"Expected a result of efnst, found no file or folder `{path}`.")
    places = [Path(os.path.abspath(path)), path.resolve()]  # results may be published as links
    place, outdir = next(((place, found) for place in places if (found := _outdir(place))), (places[-1], None))
    own = _own_record(path)
    sample = own.get("sample", "") or _sample(place, outdir)
    if outdir is not None:
        return _in_folder(path, place, read_run(outdir), sample, own)
    if not own:
        raise EfnstError(
            f"Expected `{path.name}` in the output folder of a run, beside its {PIPELINE_INFO}, found none there: "
            ".h5ad and .geojson of a section carry their own record, any other result is explained by the folder "
            "around it."
        )
    return Origin(path, place, None, sample, own)


def origin_of_section(records: RunRecords, sample: str) -> Origin:
    """Where the results of a section in the output folder of a run come from."""
    place = records.outdir / sample
    return _in_folder(place, place, records, sample, {})


def asked_for(origin: Origin) -> dict:
    """The parameters that the section was made with, as they were asked for: "" where nothing was given.

    What the section decides, such as thresholds or a number of domains, is compared as it was asked for, too.
    """
    ran = origin.section.get("parameters", {})
    unknown = NO_EFFECT if "encoder_output" in ran else (*NO_EFFECT, *OF_EFFICIENTNET)
    return {name: value for name, value in (ran | origin.section.get("asked", {})).items() if name not in unknown}


def from_anywhere(origin: Origin, path: str) -> str:
    """The path of a file or folder as it is called from any folder, where it is known from which it was given."""
    return str(Path(origin.run["launch_dir"]) / path) if origin.run and "://" not in path else path


def shown(value: object) -> str:
    """A value as on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_folder(path: Path, place: Path, records: RunRecords, sample: str, own: dict) -> Origin:
    """The origin of a result in the output folder of a run; `own`: the record that it carries, {} for none."""
    section = own or (read_section(records.outdir, sample) if sample else {})
    row = (records.rows or {}).get(sample, {})
    return Origin(path, place, records.outdir, sample, section, records.parameters, records.run, row)


def _outdir(path: Path) -> Path | None:
    """The output folder that `path` lies in, None if it lies in none."""
    folders = [path, *path.parents]
    store = next((number for number, folder in enumerate(folders) if folder.suffix == ".zarr"), 0)
    candidates = folders[store : store + DEEPEST + 1]
    return next((folder for folder in candidates if (folder / PIPELINE_INFO / "parameters.json").is_file()), None)


def _sample(path: Path, outdir: Path | None) -> str:
    """The section that a result within `outdir` is of; empty for one of the whole cohort."""
    if outdir is None or path == outdir:
        return ""
    first = path.relative_to(outdir).parts[0]
    if first == PIPELINE_INFO:
        return path.stem if path.parent.name == "provenance" else ""
    return first if (outdir / PIPELINE_INFO / "provenance" / f"{first}.json").is_file() else ""


def _own_record(path: Path) -> dict:
    """The record that the .h5ad or .geojson of a section carries; empty for other files."""
    if path.suffix == ".h5ad":
        from anndata.io import read_elem

        from efnst.inputs.hdf5 import opened
        from efnst.provenance.record import compact

        try:
            with opened(path) as file:
                record, facts = read_elem(file["uns/efnst"]), read_elem(file["uns/section"])
        except KeyError:
            return {}
        except (OSError, EfnstError) as error:
            raise EfnstError(f"Expected a result of efnst in `{path.name}`, found none: {error}.") from error
        return fitting(path, {"sample": str(facts["sample"])} | compact(record), Provenance)
    if path.suffix == ".geojson":
        own = json_of(path).get("efnst")
        return fitting(path, own, Provenance) if own else {}
    return {}
