"""From the embedding to the section's domains, the two baselines beside them, and the scores of all three."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from efnst.domains.bins import COLUMNS, Bins, bin_domains, units_of
from efnst.domains.candidates import Space, space_of, views
from efnst.domains.clustering import cluster
from efnst.domains.consensus import agreement, closest, consensus
from efnst.domains.continuity import chaos, pas
from efnst.domains.evidence import Gains, held_out_gains, voting_weights
from efnst.domains.ingredients import evidence_record
from efnst.domains.novelty import judged, novel_units, novelty_of
from efnst.domains.options import DomainOptions
from efnst.domains.partitions import choice_of_number, partitions_of
from efnst.domains.refinement import refine
from efnst.domains.scores import best_matches, confusion, label_scores, scored_spots
from efnst.domains.vocabulary import Vocabulary
from efnst.names import (
    BASELINES,
    DOMAIN,
    LABEL,
    NOVEL_DOMAIN,
    SECTION,
    SPATIAL,
)
from efnst.pairing import contingency, partners
from efnst.records.reference import ReferenceFit

SILHOUETTE_SPOTS = 5000  # the silhouette takes time with the square of the spots: more than these are sampled


@dataclass(frozen=True)
class Assigned:
    """Domains 1 … K by falling size int [n_spots], each spot's confidence, the baselines' domains, the embedding shown.

    `confidence` is the share of the votes, by weight, that agree with the domain (of a single partition: the mixture's
    probability, NaN without one), NaN in `NOVEL_DOMAIN`; `embedding` is that of the training that agrees best with the
    consensus, with domains of several sections the consensus of all of these: their embeddings are one space. `bins` is
    the table of domains.csv where the spots are units of bins or cells. `novelty`, with a reference, is the share of
    known tissue that lies nearer to its domains; `names` text [n_spots] and `name_probability` are what labels taught.
    """

    domains: np.ndarray
    confidence: np.ndarray
    baselines: dict[str, np.ndarray]
    embedding: np.ndarray
    bins: pd.DataFrame | None = None
    novelty: np.ndarray | None = None
    names: np.ndarray | None = None
    name_probability: np.ndarray | None = None


@dataclass(frozen=True)
class Found:
    """How a section's domains were found, before they are told and scored.

    `partitions` int [n_trainings, n_spots] are those of the trainings, `shares` [n_spots, n_labels] how many agree on
    each of the `labels` int [n_spots], `refined` what these became and `domains` their numbers in the result. `shown`
    is the training whose embedding is shown. `members` are the gains of the partitions that could vote, how much each
    counts, and how many of them are of trainings.
    """

    partitions: np.ndarray
    labels: np.ndarray
    shares: np.ndarray | None
    refined: np.ndarray
    domains: np.ndarray
    shown: int
    how: str
    choice: dict
    options: DomainOptions
    members: tuple[Gains, np.ndarray, int]


def assign_domains(
    section: AnnData,
    arrays: dict[str, np.ndarray],
    options: DomainOptions,
    bins: Bins | None = None,
    shared: Vocabulary | None = None,
    fit: ReferenceFit | None = None,
) -> tuple[Assigned, dict]:
    """Domains of `section` and the record of domains.json; `arrays` are those of embedding.npz.

    The domains are the section's own, or those that it shares with others. A section that was not among these comes
    with its `fit`: what is unlike all that they have is then no domain, but `NOVEL_DOMAIN`. The baselines get the same
    number of domains and the same refinement; their domains are numbered to match EfNST's. Where `bins` are given,
    `section` holds their units: EfNST's domains are then told for each bin (bins.py), those of the baselines and of
    each training are those of its unit, and labels are scored by bins.
    """
    embeddings = list(embeddings_of(arrays).values())
    positions = np.asarray(section.obsm[SPATIAL], float)
    counts = sparse.csr_array(section.X)
    spots = section.obs.get(LABEL), slice(None)
    given, units = spots if bins is None else (bins.labels, units_of(bins, section.obs))
    totals = np.asarray(counts.sum(1)).ravel()
    space = space_of(arrays, totals, positions, options.weigh_by_counts)
    if shared is None:
        own = _own(embeddings, space, counts, positions, options)
    else:
        beside = [] if shared.views is None else shared.views.of(arrays, totals, positions)
        own = _shared([*embeddings, *beside], counts, positions, options, shared)
    options, domains, novelty = own.options, own.domains, None
    if fit is not None:
        novelty = novelty_of(shared.p_values(embeddings, positions), fit)
        domains = np.where(novel_units(novelty, positions, options.refinement_rounds), NOVEL_DOMAIN, domains)
    baselines, spaces = _baselines(arrays, positions, options, own.domains, shared is None)
    novel = domains == NOVEL_DOMAIN
    table = None if bins is None else _table_of_bins(bins, units, section, own, novel, baselines)
    spaces, found = {DOMAIN: (embeddings[own.shown], own.how), **spaces}, {DOMAIN: domains, **baselines}
    methods = {
        name: {"n_domains": _n_domains(labels), "how": spaces[name][1]}
        | {"silhouette": _silhouette(spaces[name][0], labels)}
        | {"chaos": chaos(labels, positions), "pas": pas(labels, positions)}
        | _scores(labels if table is None else table[COLUMNS[name]].to_numpy(), given, options.ignored)
        for name, labels in found.items()
    }
    methods[DOMAIN] |= agreement_by_units(domains, own.partitions, units, given, options)
    compared = replace(options, n_domains=max(2, len(np.unique(own.domains))))
    evidence = evidence_record(space, counts, positions, found, own.members, compared)
    record = _record(section, bins, given, domains, methods, options) | {"evidence": evidence}
    record |= ({"choice": own.choice} if own.choice else {}) | ({} if shared is None else {"common": True})
    record |= {} if fit is None else {"fit": judged(fit, float(novel.mean()))}
    return Assigned(domains, _confidence(own, novel), baselines, embeddings[own.shown], table, novelty), record


def _baselines(
    arrays: dict[str, np.ndarray], positions: np.ndarray, options: DomainOptions, domains: np.ndarray, alone: bool
) -> tuple[dict[str, np.ndarray], dict[str, tuple[np.ndarray, str]]]:
    """The baselines' domains, and for each its space and how they were found.

    Of a section with domains of its own as many are looked for as were asked for, else as many as were found.
    """
    runs = {"leiden": (arrays["expression"], "leiden"), "diffused": (arrays["diffused"], "mixture")}
    number = options.n_domains if alone else max(2, len(np.unique(domains)))
    found = {
        name: cluster(values, number, how, options.seed, positions, options.spatial_prior)
        for name, (values, how) in runs.items()
    }
    baselines = {
        name: match_numbers(refine(found[name].labels, positions, options.refinement_rounds), domains)
        for name in BASELINES
    }
    return baselines, {name: (runs[name][0], found[name].how) for name in BASELINES}


def _own(
    embeddings: list[np.ndarray],
    space: Space,
    counts: sparse.csr_array,
    positions: np.ndarray,
    options: DomainOptions,
) -> Found:
    """Domains of a section by itself.

    Each training's embedding is clustered and refined by itself, and so are the training-free views (candidates.py);
    those of these partitions that hold against the best in held-out counts vote (evidence.py), and their consensus is
    refined again.
    """
    choice = choice_of_number(embeddings, positions, options) if options.n_domains is None else {}
    if choice:
        options = replace(options, n_domains=choice["n_domains"])
    beside = views(space, options.diffusion) if options.untrained_views else []
    partitions, clusterings = partitions_of([*embeddings, *beside], positions, options)
    gains = held_out_gains(counts, positions, partitions, options.seed)
    weights, n_trainings = voting_weights(gains), len(embeddings)
    labels, votes = consensus(partitions, weights)
    refined = refine(labels, positions, options.refinement_rounds)
    shares = votes if len(partitions) > 1 else clusterings[0].probabilities
    return Found(
        *(partitions[:n_trainings], labels, shares, refined, by_size(refined)),
        *(closest(partitions[:n_trainings], labels), clusterings[0].how, choice, options),
        members=(gains, weights, n_trainings),
    )


def _shared(
    embeddings: list[np.ndarray],
    counts: sparse.csr_array,
    positions: np.ndarray,
    options: DomainOptions,
    shared: Vocabulary,
) -> Found:
    """The domains that a section shares with others, of which it need not have all."""
    partitions = shared.partitions(embeddings, positions, options.refinement_rounds)
    shares = shared.votes(partitions)
    labels = shares.argmax(1)
    refined = refine(labels, positions, options.refinement_rounds)
    options = replace(options, n_domains=shared.n_domains)
    found = np.where(partitions < 0, shared.n_domains, partitions)  # a component that is no domain is one of its own
    gains = held_out_gains(counts, positions, found, options.seed)
    return Found(
        partitions[: shared.n_trainings],
        *(labels, shares, refined, refined + 1, shared.shown, f"{shared.how}, of all sections together", {}, options),
        members=(gains, np.ones(len(partitions)), shared.n_trainings),
    )


def _shares(own: Found, told: np.ndarray) -> np.ndarray:
    """Shares [n_units, n_domains] of the domains that units `told` bool [n_units] have, in their order; of others 0.

    They are certain where there are none.
    """
    numbers, first = np.unique(own.domains[told], return_index=True)
    found = own.domains[:, None] == numbers if own.shares is None else own.shares[:, own.refined[told][first]]
    return found * told[:, None].astype(float)


def _table_of_bins(
    bins: Bins, rows: np.ndarray, units: AnnData, own: Found, novel: np.ndarray, baselines: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The table of domains.csv, a row for each bin; `rows` int [n_bins] are those of the bins' units.

    A bin's confidence is the share of its unit's votes for its domain. Bins of `novel` units, bool [n_units], have no
    domain, and their counts no part in what the domains express.
    """
    told, lost = ~novel | novel.all(), novel[rows]
    shares = _shares(own, told)
    found, probability = bin_domains(bins, sparse.csr_array(units.X), units.obs, shares)
    domains = np.where(lost, NOVEL_DOMAIN, np.unique(own.domains[told])[found - 1])
    confidence = np.where(lost | (own.shares is None), np.nan, shares[rows, found - 1].round(4))
    table = {"barcode": bins.barcodes, "domain": domains, "confidence": confidence}
    table |= {name: labels[rows] for name, labels in baselines.items()}
    table |= {"domain_probability": np.where(lost, np.nan, probability.round(4))}
    return pd.DataFrame(table | {"unit": units.obs_names.to_numpy()[rows]})


def embeddings_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The embeddings among `arrays`, one per training, in the order of the trainings."""
    names = sorted((name for name in arrays if name.startswith("embedding_")), key=lambda name: int(name[10:]))
    return {name: arrays[name] for name in names}


def agreement_by_units(
    domains: np.ndarray,
    partitions: np.ndarray,
    units: np.ndarray | slice,
    given: pd.Series | None,
    options: DomainOptions,
) -> dict:
    """How much the trainings agree with each other and, where labels are `given`, each with these.

    `units` are all spots, or int [n_bins] the row of each bin's unit; `given` of the same length. Of bins also how much
    the `domains` of their units agree with the labels.
    """
    record, has_runs = {}, len(partitions) > 1
    if has_runs:
        record = {"n_runs": len(partitions), "stability": float(agreement(partitions).mean())}
    if given is None or not scored_spots(given, options.ignored).any():
        return record

    def ari(labels: np.ndarray) -> float:
        return label_scores(labels[units], given, options.ignored)["ari"]

    record |= {} if isinstance(units, slice) else {"ari_of_units": ari(domains)}
    return record | ({"ari_of_runs": [ari(labels) for labels in partitions]} if has_runs else {})


def _record(
    section: AnnData,
    bins: Bins | None,
    given: pd.Series | None,
    domains: np.ndarray,
    methods: dict,
    options: DomainOptions,
) -> dict:
    """What domains.json says, without the sample's name."""
    labels, sizes = np.unique(domains, return_counts=True)
    pieces = "bins" if section.uns[SECTION]["bin_um"] else "spots" if bins is None else "cells"
    return {
        "n_domains_asked": options.n_domains,
        "n_domains_found": _n_domains(domains),
        "clustering": options.clustering,
        "spatial_prior": options.spatial_prior,
        "refinement_rounds": options.refinement_rounds,
        "refined": options.refinement_rounds > 0,
        "seed": options.seed,
        "sizes": {str(label): int(size) for label, size in zip(labels, sizes, strict=True)},
        "pieces": pieces,
        "n_pieces": section.n_obs if bins is None else len(bins.barcodes),
        "n_labelled": 0 if given is None else int(scored_spots(given, options.ignored).sum()),
        "ignore_labels": options.ignored,
        "methods": methods,
    }


def _n_domains(domains: np.ndarray) -> int:
    """How many there are; what a reference does not have is none."""
    return len(np.unique(domains[domains != NOVEL_DOMAIN]))


def _scores(labels: np.ndarray, given: pd.Series | None, ignored: list[str]) -> dict:
    """Agreement with the labels given, where there are any."""
    scores = {} if given is None else label_scores(labels, given, ignored)
    if not scores:
        return {}
    matches, table = best_matches(labels, given, ignored), confusion(labels, given, ignored)
    return scores | {"best_matches": matches.to_dict("records"), "confusion": table.to_dict("split")}


def _silhouette(values: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean silhouette of `labels` in the space they were found in; None with a single domain."""
    n_domains = len(np.unique(labels))
    if not 2 <= n_domains < len(labels):
        return None
    sample = SILHOUETTE_SPOTS if len(labels) > SILHOUETTE_SPOTS else None
    with threadpool_limits(1):
        return float(silhouette_score(values, labels, sample_size=sample, random_state=0))


def _confidence(own: Found, novel: np.ndarray) -> np.ndarray:
    """What the shares say of each spot's label after refinement; NaN without them and where a spot is `novel`."""
    votes = np.nan if own.shares is None else own.shares[np.arange(len(novel)), own.refined]
    return np.where(novel, np.nan, votes)


def by_size(labels: np.ndarray) -> np.ndarray:
    """Labels renumbered 1 … K by falling size, equal sizes by first spot."""
    values, first, codes, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), int)
    rank[np.lexsort((first, -sizes))] = np.arange(1, len(values) + 1)
    return rank[codes]


def match_numbers(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Labels numbered as what they are paired with in `reference`, and above its numbers where with nothing."""
    groups = by_size(labels) - 1
    return partners(contingency(groups, reference - 1))[groups] + 1
