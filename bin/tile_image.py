#!/usr/bin/env python3
"""Cut square patches of the H&E image around each spot, or on a lattice over the units of bins."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.errors import EfnstError
from efnst.image.options import PatchOptions
from efnst.names import NO_IMAGE
from efnst.program.arguments import Failure, FullresImage, Outdir, QcRules, Sample, SectionFile, Source
from efnst.program.cli import run

RULES = Path(__file__).resolve().parent.parent / "assets" / "qc_rules.yml"


def main(
    sample: Sample,
    section: SectionFile,
    source: Source,
    image: FullresImage = None,
    qc_rules: QcRules = RULES,
    declaration: Annotated[
        Path | None, typer.Option(help="JSON that declares an encoder of your own, whose scale decides the window.")
    ] = None,
    outdir: Outdir = Path(),
    failure: Failure = None,
    options: PatchOptions = PatchOptions(),
) -> None:
    """Cut a square patch of the H&E image around each spot into one file for the section.

    Units of bins or cells lie closer than a patch is wide: patches are then cut on a lattice, for the units between.
    """
    import numpy as np

    from efnst.image.patches import summarise_patches, window_of, write_patches
    from efnst.image.picture import plain
    from efnst.image.places import places_of_patches, with_ring
    from efnst.image.stain.statistics import stain_statistics
    from efnst.inputs.hdf5 import read_own
    from efnst.names import SECTION, SPATIAL
    from efnst.program.cli import log
    from efnst.quality.rules import apply_rules, read_rules
    from efnst.records.base import write_record
    from efnst.records.quality import ImageQc

    rules = read_rules(qc_rules, "image_qc")
    spots = read_own(section, backed="r")
    chosen = spots.uns[SECTION]["image"]
    picture = _picture(section, chosen, source, image)
    scale = float(chosen["scale"])
    um_per_px = float(spots.uns[SECTION]["um_per_px"]) / scale
    windows = [window_of(size, um_per_px) for size in _widths(options.patch_um, declaration, um_per_px)]
    places = places_of_patches(spots.obs_names.to_numpy(), np.asarray(spots.obsm[SPATIAL]), plain(spots.uns[SECTION]))
    if options.patches_per_spot > 1:
        places = with_ring(places, windows[-1].patch_um, float(spots.uns[SECTION]["um_per_px"]))
    figures = write_patches(outdir / "patches.h5", picture, places, scale, windows, um_per_px)
    record = {"sample": sample, "source": chosen["source"], "um_per_px": um_per_px, "ring_um": places.ring_um}
    record["asked"] = {"patch_um": options.patch_um or ""}
    record |= summarise_patches(figures, windows, places.n_each)
    record["stain"], warnings = stain_statistics(figures["tissue_px"])
    record["qc_status"], record["qc_findings"] = apply_rules(rules, record)
    record["warnings"] += warnings + [finding["text"] for finding in record["qc_findings"]]
    write_record(outdir / "image_qc.json", ImageQc(**record))
    n_patches = len(places.positions)
    log.info("%s: %d patches from the %s image, %.3g µm per px", sample, n_patches, chosen["source"], um_per_px)


def _widths(patch_um: str | None, declaration: Path | None, um_per_px: float) -> list[float]:
    """Widths of the windows in µm: as given, as the encoder of this declaration needs them, else the usual one."""
    from efnst.encoder.declaration import read_declaration, refuse_image, refuse_windows, window_um
    from efnst.image.patches import patch_sizes
    from efnst.image.places import SPOT_UM

    declared = read_declaration(declaration, declaration) if declaration else None
    if declared:
        refuse_image(declared, um_per_px)
    own = window_um(declared) if declared else None
    widths = patch_sizes(patch_um) if patch_um else [own or SPOT_UM]
    if declared:
        refuse_windows(declared, widths)
    return widths


def _picture(section: Path, chosen: dict, source: Path, image: Path | None) -> Path:
    """The file of the image that the section was read with."""
    from efnst.inputs.located import located

    if chosen["source"] == NO_IMAGE:
        raise EfnstError(
            f"Expected a section with an image, found `{section.name}` read without one. Read the section again with "
            "an image, or leave out this step: learn_embedding.py works without features."
        )
    if chosen["source"] == "fullres" and image is None:
        raise EfnstError(
            f"Expected --image, because `{section.name}` was read with a full-resolution image, found none. "
            "Give the image that read_section.py was given."
        )
    return image if chosen["source"] == "fullres" else located(source, chosen["file"])


if __name__ == "__main__":
    run(main)
