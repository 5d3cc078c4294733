"""Arguments that several programs take, each with one wording. An option is written as the argument, `--image_qc`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from efnst.errors import EfnstError


def _made(folder: Path) -> Path:
    """The folder itself, made where it was not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def one_for_each(samples: list[str], **given: list) -> None:
    """Raise an `EfnstError` where an option that is given once for each section is missing for some, or left over."""
    for name, values in given.items():
        if len(values) != len(samples):
            raise EfnstError(f"Expected --{name} for each of {len(samples)} --sample, found it {len(values)} times.")


Process = Annotated[
    str | None,
    typer.Option("--process", help="Of which process it is a task: write versions.yml.", show_default=False),
]
SAME_ORDER = "one for each section, in the same order"  # said of what several sections have
Samples = Annotated[list[str], typer.Option("--sample", help=f"Names of the sections, {SAME_ORDER}.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help=f"Their groups, empty for none, {SAME_ORDER}.")]
Sample = Annotated[str, typer.Option("--sample", help="Name of the sample, as in the samplesheet.")]
SectionFile = Annotated[Path, typer.Option("--section", help="section.h5ad of read_section.")]
DomainsFile = Annotated[Path, typer.Option("--domains", help="The sample's .h5ad with its domains, of assign_domains.")]
BinsFile = Annotated[
    Path | None, typer.Option("--bins", help="<sample>_bins.h5ad of assign_domains, where it wrote one.")
]
Source = Annotated[
    Path, typer.Option("--source", help="What the section was read from: folder, archive, .h5ad or zarr.")
]
FullresImage = Annotated[Path | None, typer.Option("--image", help="Its full-resolution image, where there is one.")]
TrainingFile = Annotated[Path, typer.Option("--training", help="training.json of learn_embedding.")]
ImageQcFile = Annotated[Path | None, typer.Option("--image_qc", help="image_qc.json of tile_image.")]
FeaturesFile = Annotated[Path | None, typer.Option("--features_json", help="features.json of embed_patches.")]
EncoderFile = Annotated[Path | None, typer.Option("--encoder_json", help="encoder.json of export_encoder.")]
ReferenceFolder = Annotated[
    Path | None, typer.Option("--reference", help="Folder of fit_domains: domains that sections share.")
]
ReferenceFitFile = Annotated[
    Path | None, typer.Option("--reference_fit", help="reference_fit.json of apply_reference.")
]
StainReferenceFile = Annotated[
    Path | None, typer.Option("--stain_reference", help="stain_reference.json of fit_stain.")
]
QcRules = Annotated[Path, typer.Option("--qc_rules", help="Rules for pass, warn and fail.", show_default=False)]
GeneSets = Annotated[Path | None, typer.Option("--gene_sets", help="Gene sets (GMT), where there are any.")]
THREADS_OF_A_STEP = min(2, os.cpu_count() or 1)  # of one with two cores (conf/base.config), started by a user
Threads = Annotated[int, typer.Option("--threads", help="CPU threads.", min=1)]
Outdir = Annotated[Path, typer.Option("--outdir", callback=_made, help="Folder for the results; it is made.")]
Failure = Annotated[
    Path | None, typer.Option("--failure", help="Write what is wrong with the section to this file and end with 0.")
]
Failures = Annotated[
    bool,
    typer.Option("--failures", help="Write what is wrong with a section to OUTDIR/SAMPLE/failure.json and end with 0."),
]
LabelsFile = Annotated[
    str, typer.Option("--labels", help="CSV with barcode and label, or QuPath's GeoJSON, for scores only.")
]
Library = Annotated[
    str, typer.Option("--library", help="Which section, where the source holds several; empty where it holds one.")
]
