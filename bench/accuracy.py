#!/usr/bin/env python3
"""Agreement with labels of EfNST and the two baselines, per section over several seeds. Prints a Markdown table.

    ./efnst python bench/accuracy.py --data DATA [--seeds 10] [--chosen] [--sections dlpfc_151673=7 her2st_B1=4:none …]
    ./efnst python bench/accuracy.py --data DATA --ablation [--seeds 4] [--variants 'no image' …]

DATA holds one Space Ranger folder per section, each with a labels.csv. `=K` is the number of domains, `:none` runs
without the image. Sections that are named sim_image, sim_expression or sim_space are simulated: two of their regions
differ in that alone. Reading, patches and features are made once; learning and clustering once for each seed. With
--chosen EfNST chooses the number of domains as well, of the same embeddings. With --ablation every variant of the
learning step (`VARIANTS`) is scored, each training by itself: `--seeds` trainings from one seed, without their
consensus, which would hide how far they lie apart.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import anndata
import numpy as np
from programs import BIN, program
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(BIN))

from efnst.domains.assign import assign_domains
from efnst.domains.options import DomainOptions
from efnst.embedding.cohort import Member
from efnst.embedding.image_features import image_features
from efnst.embedding.learn import learn
from efnst.embedding.options import CohortOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.embedding.training import choose_device
from efnst.image.places import SPOT_UM
from efnst.names import BASELINES, DOMAIN
from efnst.program.arrays import read_arrays
from efnst.program.options import parameters_of
from efnst.records.arrays import FEATURES_NPZ

SECTIONS = ["dlpfc_151673=7", "dlpfc_151510=7", "her2st_A1=5", "her2st_B1=4:none", "her2st_H1=6:none"]
SIMULATED = ["sim_image=5", "sim_expression=5", "sim_space=5"]
METHODS = (DOMAIN, *BASELINES)
CHOSEN = (f"{DOMAIN}, K chosen", "K")
IGNORED = ("undetermined",)  # labels
N_SEEDS = TrainingOptions().n_seeds  # trainings to a consensus
PATCH_UM = str(SPOT_UM)
OF_IMAGES = {"image_fusion", "patch_um"}  # what variants change only where there is an image
VARIANTS = {  # name: what differs from the defaults
    "default": {},
    "the same view for all": {"vary_views": False},
    "no image": {"image_fusion": "none"},
    "image in the weights only": {"image_fusion": "weights"},
    "no augmentation": {"augmentation": 0.0},
    "augmentation 0.5": {"augmentation": 0.5},
    "8 neighbours lend": {"n_neighbours": 8},
    "patches of 95 µm": {"patch_um": "95"},
    "patches of 380 µm": {"patch_um": "380"},
    "patches of 95 and 380 µm": {"patch_um": "95,380"},
    "1000 genes": {"n_genes": 1000},
    "15 components": {"expression_pcs": 15},
    "50 components": {"expression_pcs": 50},
    "counts not weighed": {"weigh_by_counts": False},
    "inputs as target": {"target": "inputs"},
    "latent space alone": {"embedding": "latent"},
    "15 dimensions": {"embedding_dims": 15},
    "40 dimensions": {"embedding_dims": 40},
    "sigmoid decoder": {"decoder": "sigmoid"},
    "published graph loss": {"graph_loss": "published"},
    "no graph loss": {"graph_weight": 0.0},
    "no KL": {"kl_weight": 0.0},
    "12 neighbours in the graph": {"graph_neighbours": 12},
    "no noise": {"input_noise": 0.0},
    "60 epochs": {"epochs": 60, "tolerance": 0.0},
    "400 epochs": {"tolerance": 0.0},
    "no spatial prior": {"spatial_prior": 0.0},
    "k-means": {"clustering": "kmeans"},
    "Leiden": {"clustering": "leiden"},
    "not refined": {"refinement_rounds": 0},
}


class Section(NamedTuple):
    """A section to be scored: its folder, the number of domains asked for, its image ("": that of the folder)."""

    source: Path
    n_domains: int
    image: str

    @classmethod
    def of(cls, entry: str, data: Path) -> "Section":
        """From an entry such as `her2st_B1=4:none`."""
        name, _, rest = entry.partition("=")
        n_domains, _, image = rest.partition(":")
        return cls(data / name, int(n_domains), image)

    def found(self, work: Path) -> Path:
        """Its folder; one whose name starts with sim_ is simulated first, within `work`."""
        name = self.source.name
        return simulate(name[4:], work) if name.startswith("sim_") else self.source


def prepare(
    folder: Path, image: str, work: Path, threads: int, patch_um: str = PATCH_UM
) -> tuple[anndata.AnnData, dict]:
    """The section and the arrays of its image features."""
    name, section = folder.name, work / "section.h5ad"
    options = ["--image", image] if image else []
    outs = folder / "outs" if (folder / "outs").exists() else folder
    labels = folder / "labels.csv"
    program("read_section", "--sample", name, "--source", outs, "--labels", labels, "--outdir", work, *options)
    spots = anndata.read_h5ad(section)
    if image:
        return spots, {}
    where = ["--section", section, "--source", outs, "--outdir", work]
    program("tile_image", "--sample", name, "--patch_um", patch_um, *where)
    files = ["--patches", work / "patches.h5", "--encoder", work.parent / "encoder.onnx", "--threads", threads]
    program("embed_patches", "--sample", name, "--outdir", work, *files)
    return spots, read_arrays(work / name / "features.npz", FEATURES_NPZ, spots.obs_names.to_numpy())


def simulate(kind: str, work: Path) -> Path:
    """A simulated section in which `kind` alone separates two regions: the layout `mixed`, 1200 spots."""
    program("simulate_cohort", "--outdir", work / kind, "--n_spots", 1200, "--separated_by", kind, "--seed", 3)
    return work / kind / "sim_mixed"


def domains_of(
    spots: anndata.AnnData, image: dict, n_domains: int | None, seed: int, threads: int, n_seeds: int, **variant: object
) -> dict:
    """What `assign_domains` records of the section: `n_seeds` trainings from `seed`."""
    given = {"seed": seed, "ignore_labels": ",".join(IGNORED), "n_seeds": n_seeds} | variant
    return assigned(spots, learned(spots, image, threads, given), n_domains, given)


def learned(spots: anndata.AnnData, image: dict, threads: int, given: dict) -> dict:
    """The arrays of the learning step, with the parameters `given`."""
    embedding, network = options_with(EmbeddingOptions, given), options_with(NetworkOptions, given)
    training = replace(options_with(TrainingOptions, given), network=network)
    member = Member("section", "", Path(), None, held=(spots, image_features(image, spots.n_obs)))
    with threadpool_limits(threads):
        return learn([member], embedding, training, CohortOptions(), choose_device("cpu"), threads).own


def assigned(spots: anndata.AnnData, arrays: dict, n_domains: int | None, given: dict) -> dict:
    """What `assign_domains` records of embeddings; None chooses the number of domains."""
    return assign_domains(spots, arrays, options_with(DomainOptions, given | {"n_domains": n_domains}))[1]


def scored(spots: anndata.AnnData, image: dict, n_domains: int, seed: int, threads: int, chosen: bool) -> list[float]:
    """ARI of EfNST and the baselines with one seed and, where also `chosen`, that and the number that it chooses."""
    given = {"seed": seed, "ignore_labels": ",".join(IGNORED), "n_seeds": N_SEEDS}
    arrays = learned(spots, image, threads, given)
    methods = assigned(spots, arrays, n_domains, given)["methods"]
    found = [methods[method]["ari"] for method in METHODS]
    if chosen:
        free = assigned(spots, arrays, None, given)
        found += [free["methods"][DOMAIN]["ari"], free["n_domains_asked"]]
    return found


def options_with(kind: type, given: dict) -> object:
    """The options `kind` with those of the parameters `given` that are theirs."""
    return kind(**{name: given[name] for name in parameters_of(kind) if name in given})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sections", nargs="+", default=SECTIONS + SIMULATED)
    parser.add_argument("--chosen", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    options = parser.parse_args()
    if options.ablation and options.seeds < 2:
        parser.error("--ablation needs at least two --seeds.")
    variants = {name: VARIANTS[name] for name in options.variants} if options.ablation else {"default": {}}
    columns = ["variant", DOMAIN] if options.ablation else [*METHODS, *(CHOSEN if options.chosen else ())]
    over = f"{options.seeds} trainings" if options.ablation else f"seeds 0 to {options.seeds - 1}"
    print(f"ARI, refined, K given, mean ± standard deviation over {over}\n")
    print(f"| section | K | image | {' | '.join(columns)} |\n|---|---|---|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        program("export_encoder", "--outdir", work)
        for entry in options.sections:
            section = Section.of(entry, options.data)
            name = section.source.name
            (work / name).mkdir()
            prepared = cache(partial(prepare, section.found(work), section.image, work / name, options.threads))
            used = prepared(PATCH_UM)[0].uns["section"]["image"]["source"]
            for variant, differs in variants.items():
                if used == "none" and differs.keys() & OF_IMAGES:
                    continue
                spots, arrays = prepared(differs.get("patch_um", PATCH_UM))
                if options.ablation:
                    given = spots, arrays, section.n_domains
                    record = domains_of(*given, 0, options.threads, n_seeds=options.seeds, **differs)
                    values = np.array(record["methods"][DOMAIN]["ari_of_runs"])[:, None]
                else:
                    run = partial(scored, spots, arrays, section.n_domains)
                    values = np.array([run(seed, options.threads, options.chosen) for seed in range(options.seeds)])
                cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(0), values.std(0), strict=True)]
                shown = [variant, *cells] if options.ablation else cells
                print(f"| {name} | {section.n_domains} | {used} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
