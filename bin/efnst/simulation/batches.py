"""A cohort measured in batches: one kind of tissue, of whose regions some sections lack some and one has an extra one.

What differs between batches is what differs between laboratories: how well each gene is caught, how deep was sequenced,
how strongly was stained. Nothing of it says anything about regions.
"""

from dataclasses import dataclass, replace

import numpy as np

from efnst.simulation.counts import Programmes, simulate_counts, simulate_programmes
from efnst.simulation.regions import LAYOUTS, Tissue, simulate_tissue
from efnst.simulation.space_ranger import SimulatedSection, measured
from efnst.simulation.specimen import Recipe, Specimen
from efnst.simulation.stained_image import Stain, simulate_appearance, simulate_frame, simulate_stain

LAYOUT = "layers"
EXTRA = "extra"  # the region that the last section alone has
MOST_LACKING = 2  # regions that a section may lack
FEWEST = 3  # regions that it has at least
GENE_SD = 0.5  # of the logarithm of what a batch multiplies each gene by
DEPTHS = (1.0, 0.5, 2.0)  # what the batches, in turn, multiply counts by
STAIN_SD = 0.25  # of the logarithm of what a batch multiplies haematoxylin and eosin by


@dataclass(frozen=True)
class Batch:
    """What a batch multiplies by: `genes` [G] natural logarithms, `depth`, `haematoxylin` and `eosin`."""

    name: str
    genes: np.ndarray
    depth: float
    haematoxylin: float
    eosin: float

    def of_counts(self, programmes: Programmes) -> Programmes:
        """The programmes as this batch catches them."""
        return replace(programmes, log_mean=programmes.log_mean + self.genes)

    def of_stain(self, stain: Stain) -> Stain:
        """The stain as this batch takes it up."""
        return replace(stain, darkness=stain.darkness * self.haematoxylin, eosin=stain.eosin * self.eosin)


@dataclass(frozen=True)
class Plan:
    """The cohort: `n_sections` in `n_batches` that take turns, all from one `seed`."""

    n_sections: int
    n_batches: int
    seed: int

    def name(self, number: int) -> str:
        """sim_01, sim_02, …"""
        return f"sim_{number + 1:0{len(str(self.n_sections))}d}"

    def batch(self, number: int) -> str:
        """Of section `number` (0, 1, …): batch_1, batch_2, …"""
        return f"batch_{number % self.n_batches + 1}"

    def regions(self, number: int, n_shared: int) -> np.ndarray:
        """The regions of a section, sorted, out of 0 … `n_shared`, of which the last is the extra one."""
        rng = np.random.default_rng([self.seed, number, 3])
        n_lacking = min(int(rng.integers(MOST_LACKING + 1)), max(n_shared - FEWEST, 0))
        regions = np.sort(rng.permutation(n_shared)[n_lacking:])
        return np.append(regions, n_shared) if number == self.n_sections - 1 else regions


def simulate_batch(plan: Plan, number: int, n_genes: int) -> Batch:
    """The batch of section `number`."""
    turn = number % plan.n_batches
    rng = np.random.default_rng([plan.seed, turn, 4])
    genes, stains = rng.normal(0, GENE_SD, n_genes), np.exp(rng.normal(0, STAIN_SD, 2))
    return Batch(plan.batch(number), genes, DEPTHS[turn % len(DEPTHS)], float(stains[0]), float(stains[1]))


def simulate_batched_section(plan: Plan, number: int, recipe: Recipe) -> SimulatedSection:
    """Section `number` (0, 1, …); a region has one name, programme and stain in all sections."""
    n_shared = recipe.n_regions or LAYOUTS[LAYOUT]
    regions, batch = plan.regions(number, n_shared), simulate_batch(plan, number, recipe.n_genes)
    kind, rng = np.random.default_rng([plan.seed, 0]), np.random.default_rng([plan.seed, number, 1])
    tissue = _named(simulate_tissue(recipe.n_spots, LAYOUT, len(regions), rng), regions, n_shared)
    programmes = simulate_programmes(recipe.n_genes, n_shared + 1, kind, recipe.contrast)
    programmes = replace(programmes, region=programmes.region[regions], depth=programmes.depth[regions])
    stain = _stain_of(simulate_stain(n_shared + 1, kind), regions)
    counts = simulate_counts(tissue, batch.of_counts(programmes), recipe.median_counts * batch.depth, rng)
    appearance = simulate_appearance(tissue, batch.of_stain(stain), simulate_frame(tissue, rng), rng)
    specimen = Specimen(tissue, appearance, counts)
    return measured(specimen, plan.name(number), LAYOUT, recipe.um_per_px, rng, (plan.seed, number, 2))


def _named(tissue: Tissue, regions: np.ndarray, n_shared: int) -> Tissue:
    """The tissue with the names that its `regions` have in all sections."""
    names = [EXTRA if region == n_shared else f"region_{region + 1}" for region in regions]
    return replace(tissue, region_names=tuple(names))


def _stain_of(stain: Stain, regions: np.ndarray) -> Stain:
    """The stain of some regions."""
    return Stain(**{name: values[regions] for name, values in vars(stain).items() if name != "drift"})
