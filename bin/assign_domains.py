#!/usr/bin/env python3
"""Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""

from pathlib import Path
from typing import Annotated

import typer

from efnst.domains.options import DomainOptions
from efnst.program.cli import run


def main(
    sample: Annotated[str, typer.Option(help="Name of the sample.")],
    section: Annotated[Path, typer.Option(help="section.h5ad of read_section.py.")],
    embedding: Annotated[Path, typer.Option(help="embedding.npz of learn_embedding.py.")],
    training: Annotated[Path, typer.Option(help="training.json of learn_embedding.py.")],
    source: Annotated[
        Path | None, typer.Option(help="What section.h5ad was read from, for the picture in the .h5ad.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Its full-resolution image, where one was used.")] = None,
    image_qc: Annotated[Path | None, typer.Option("--image_qc", help="image_qc.json of tile_image.py.")] = None,
    features_json: Annotated[
        Path | None, typer.Option("--features_json", help="features.json of embed_patches.py.")
    ] = None,
    encoder_json: Annotated[
        Path | None, typer.Option("--encoder_json", help="encoder.json of export_encoder.py.")
    ] = None,
    outdir: Annotated[Path, typer.Option(help="Folder for the sample's .h5ad, domains.csv and domains.json.")] = Path(
        "."
    ),
    failure: Annotated[
        Path | None, typer.Option(help="Write an input error to this file and end with status 0.")
    ] = None,
    options: DomainOptions = DomainOptions(),
) -> None:
    """Assign each spot to a spatial domain, beside two baselines, and score the result where labels were given."""
    import anndata

    from efnst.domains.assign import assign_domains, domain_table, final_section
    from efnst.image.picture import scanpy_pictures
    from efnst.names import PROVENANCE
    from efnst.program.arrays import read_arrays
    from efnst.program.cli import log, read_json, versions, write_json
    from efnst.provenance.record import add_origin, compact

    spots = anndata.read_h5ad(section)
    arrays = read_arrays(embedding, spots.obs_names.to_numpy())
    assigned, record = assign_domains(spots, arrays, options)
    record = {"sample": sample} | record
    domain_table(spots.obs_names, assigned).to_csv(outdir / "domains.csv", index=False)
    write_json(outdir / "domains.json", record)
    used = read_json(training)
    used["versions"] |= versions("scikit-learn", "leidenalg", "anndata")
    final = final_section(spots, arrays, assigned, used, record)
    final.uns["spatial"] = {sample: scanpy_pictures(final, source, image)}
    given = {"max_domains": options.max_domains, "refinement_rounds": options.refinement_rounds}
    given["ignore_labels"] = ",".join(options.ignored)
    paths = {"image_qc": image_qc, "features": features_json, "encoder": encoder_json}
    add_origin(final, given, {name: read_json(path) if path else None for name, path in paths.items()})
    final.write_h5ad(outdir / f"{sample}.h5ad", compression="gzip")
    write_json(outdir / "provenance.json", {"sample": sample} | compact(final.uns[PROVENANCE]))
    how = "asked" if options.n_domains else "chosen"
    log.info("%s: %d domains (%d %s)", sample, record["n_domains_found"], record["n_domains_asked"], how)


if __name__ == "__main__":
    run(main)
