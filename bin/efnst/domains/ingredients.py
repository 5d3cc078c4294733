"""What image, network, mixture and prior each add to the evidence for a section's domains."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from efnst.domains.candidates import COMPONENT_SHARES, Smooth, Space
from efnst.domains.clustering import Clustering, cluster, with_prior
from efnst.domains.evidence import Difference, Gains, held_out_gains
from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.embedding.views import DIFFUSION_FACTORS
from efnst.names import DOMAIN

SHARE, FACTOR = COMPONENT_SHARES[-1], DIFFUSION_FACTORS[1]  # of the view that ingredients are taken from
PLAIN, NO_IMAGE, NO_PRIOR, NO_MIXTURE = "plain", "no image", "no prior", "k-means"
CLEAR = 2  # standard errors, from which on an ingredient adds something
LITTLE = 0.01  # of what the domains gain: less is little, however certain


def image_evidence(
    space: Space, counts: sparse.csr_array, positions: np.ndarray, options: DomainOptions
) -> Difference | None:
    """What the image adds to the evidence of a section; None where none is fused.

    It takes two clusterings and no training, so that encoders can be compared by it. Needs `options.n_domains`.
    """
    if space.image is None:
        return None
    found = {name: labels for name, labels in _variants(space, positions, options).items() if name in (PLAIN, NO_IMAGE)}
    gains = held_out_gains(counts, positions, np.stack(list(found.values())), options.seed)
    return gains.difference(*gains.values)


def evidence_record(
    space: Space,
    counts: sparse.csr_array,
    positions: np.ndarray,
    methods: dict[str, np.ndarray],
    members: tuple[Gains, np.ndarray, int],
    options: DomainOptions,
) -> dict:
    """What domains.json says of the evidence.

    `methods` are the domains of EfNST and the baselines, `members` the gains of the partitions that could vote, how
    much each counts, and how many of them are of trainings.
    """
    variants = _variants(space, positions, options)
    found = [np.unique(labels, return_inverse=True)[1] for labels in methods.values()]
    gains = held_out_gains(counts, positions, np.stack([*found, *variants.values()]), options.seed)
    told = {name: gains.difference(values) for name, values in zip(methods, gains.values, strict=False)}
    of = dict(zip([*methods, *variants], gains.values, strict=True))
    added = {
        "image": (PLAIN, NO_IMAGE),
        "mixture": (NO_PRIOR, NO_MIXTURE),
        "prior": (PLAIN, NO_PRIOR),
    }
    parts = {name: gains.difference(of[a], of[b]) for name, (a, b) in added.items() if a in of and b in of}
    parts |= _network(members)
    return {
        "n_blocks": len(gains.weights),
        "methods": {name: {"gain": value.gain, "error": value.error} for name, value in told.items()},
        "ingredients": {name: _ingredient(parts[name], told[DOMAIN].gain) for name in parts},
        "members": _members(*members),
    }


def _network(members: tuple[Gains, np.ndarray, int]) -> dict[str, Difference]:
    """What trainings gain over the views without a network, on average; nothing without such views."""
    gains, _, n_trainings = members
    if n_trainings == len(gains.values):
        return {}
    return {"network": gains.difference(gains.of(slice(n_trainings)), gains.of(slice(n_trainings, None)))}


def _members(gains: Gains, weights: np.ndarray, n_trainings: int) -> list[dict]:
    """One line for each partition that could vote."""
    kinds = ["training" if number < n_trainings else "view" for number in range(len(weights))]
    return [
        {"kind": kind, "gain": gain, "weight": weight}
        for kind, gain, weight in zip(kinds, gains.means.tolist(), weights.tolist(), strict=True)
    ]


def _variants(space: Space, positions: np.ndarray, options: DomainOptions) -> dict[str, np.ndarray]:
    """Refined labels int [n_spots] of a view, plain and with one ingredient left out each."""
    diffusion = FACTOR * options.diffusion
    full = Smooth.of(space, diffusion).view(SHARE, space.width)
    fitted = _clustered(full, options)
    found = {PLAIN: with_prior(fitted, full, positions, options.spatial_prior)}
    if space.image is not None:
        without = Smooth.of(replace(space, image=None), diffusion).view(SHARE, space.width)
        found[NO_IMAGE] = with_prior(_clustered(without, options), without, positions, options.spatial_prior)
    if options.clustering == "mixture":
        found[NO_PRIOR] = fitted
        found[NO_MIXTURE] = _clustered(full, replace(options, clustering="kmeans"))
    return {name: refine(each.labels, positions, options.refinement_rounds) for name, each in found.items()}


def _clustered(space: np.ndarray, options: DomainOptions) -> Clustering:
    """A view clustered as the options say, each spot by itself."""
    return cluster(space, options.n_domains, options.clustering, options.seed)


def _ingredient(added: Difference, whole: float) -> dict:
    """The record of one ingredient, of domains that gain `whole` in all."""
    if abs(added.gain) < max(CLEAR * added.error, LITTLE * abs(whole)):
        verdict = "little"
    else:
        verdict = "clear" if added.gain > 0 else "costs"
    return {"gain": added.gain, "error": added.error, "verdict": verdict}
