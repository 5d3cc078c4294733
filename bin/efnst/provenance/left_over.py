"""Results that an earlier run left in a folder: what the last one does not make, and what was there before it."""

from fnmatch import fnmatch
from pathlib import Path

from efnst.provenance.last_run import is_earlier
from efnst.provenance.results import is_published

RULES = (  # path within the output folder, {sample} for its first part; the parameters it is made with; what it is
    ("reference", ("cohort",), "reference"),
    ("domain_tests.csv", ("common",), "tables of common domains"),
    ("shared_markers.csv", ("common",), "tables of common domains"),
    ("mixing.csv", ("common",), "tables of common domains"),
    ("shared_gene_sets.csv", ("common",), "tables of common domains"),
    ("models", ("save_model", "use_image"), "models"),
    ("{sample}/model.pt", ("save_model", "section"), "models of sections"),
    ("{sample}/{sample}_bins.h5ad", ("keep_bins",), "files of bins"),
    ("{sample}/gene_sets.csv", ("gene_sets",), "activity of gene sets"),
    ("{sample}/figures", ("figures",), "figures"),
    ("{sample}/exports/loupe.csv", ("loupe",), "export for Loupe Browser"),
    ("{sample}/exports/domains_*.geojson", ("geojson",), "outlines"),
    ("{sample}/exports/{sample}.zarr", ("spatialdata",), "SpatialData"),
)


def unmade(path: Path, outdir: Path, parameters: dict) -> str:
    """What a result in the output folder is where a run with these parameters makes no such thing; else empty.

    `parameters` are those of parameters.json, {} where they are not known.
    """
    place = path.relative_to(outdir).as_posix()
    asked = _asked(parameters)
    found = (what for name, needed, what in RULES if parameters and _is(place, name) and not asked.issuperset(needed))
    return next(found, "")


def left_below(folder: Path, outdir: Path, parameters: dict, start: float) -> list[Path]:
    """The results in a folder of a run that `unmade` tells of, or that were there before `start`; sorted.

    Paths are within the output folder; of a folder that is named nothing else is. `start` is that of `LastRun`.
    """
    places = {path for depth in ("*", "*/*", "*/*/*") for path in outdir.glob(depth) if folder in path.parents}
    left = {
        path
        for path in places
        if is_published(path, outdir) and (unmade(path, outdir, parameters) or is_earlier(path, start))
    }
    return sorted(path.relative_to(outdir) for path in left if left.isdisjoint(path.parents))


def _is(place: str, name: str) -> bool:
    """Whether a place in the output folder is what is called `name`, or lies in it."""
    pattern = name.format(sample=place.split("/")[0])
    return fnmatch(place, pattern) or fnmatch(place, f"{pattern}/*")


def _asked(parameters: dict) -> set[str]:
    """What a run was asked for, in the words of RULES."""
    exports = str(parameters.get("exports", "")).replace("all", "loupe,geojson,figures,spatialdata")
    has_reference, together = bool(parameters.get("reference")), parameters.get("scope") == "cohort"
    ways = {"section": not together, "cohort": together, "common": together or has_reference}
    if has_reference:
        ways |= {"section": False, "cohort": False}
    given = {name: parameters.get(name) for name in ("gene_sets", "save_model", "use_image", "keep_bins")}
    return {name for name, value in (ways | given).items() if value} | {name.strip() for name in exports.split(",")}
