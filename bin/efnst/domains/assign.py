"""From the embedding to the section's domains, the two baselines beside them, and the scores of all three."""

from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

from efnst.domains.bins import COLUMNS, Bins, bin_domains, domain_categories, units_of
from efnst.domains.candidates import Space, space_of, views
from efnst.domains.clustering import Clustering, cluster, fitted
from efnst.domains.consensus import agreement, consensus, match
from efnst.domains.continuity import chaos, pas
from efnst.domains.evidence import Gains, held_out_gains, voters
from efnst.domains.ingredients import evidence_record
from efnst.domains.number import choose_number, stability_curve
from efnst.domains.options import DomainOptions
from efnst.domains.refinement import refine
from efnst.domains.scores import best_matches, confusion, label_scores, scored_spots
from efnst.errors import EfnstError
from efnst.names import (
    BASELINES,
    CONFIDENCE,
    DIFFUSED,
    DOMAIN,
    EMBEDDING,
    EXPRESSION_PCS,
    IMAGE_PCS,
    LABEL,
    PROVENANCE,
    SPATIAL,
)
from efnst.palette import division_colours
from efnst.records.domains import DomainFigures, DomainsRecord, TrainingRecord

SILHOUETTE_SPOTS = 5000  # the silhouette takes time with the square of the spots: more than these are sampled


@dataclass(frozen=True)
class Assigned:
    """Domains 1 … K by falling size int [n_spots], each spot's confidence, the baselines' domains, the embedding shown.

    `confidence` is the share of the voting partitions that agree with the domain (of a single one: the mixture's
    probability, NaN without one); `embedding` is that of the training that agrees best with the consensus. `bins` is
    the table of domains.csv where the spots are units of bins or cells.
    """

    domains: np.ndarray
    confidence: np.ndarray
    baselines: dict[str, np.ndarray]
    embedding: np.ndarray
    bins: pd.DataFrame | None = None


def assign_domains(
    section: AnnData, arrays: dict[str, np.ndarray], options: DomainOptions, bins: Bins | None = None
) -> tuple[Assigned, dict]:
    """Domains of `section` and the record of domains.json; `arrays` are those of embedding.npz.

    Each training's embedding and each training-free view (candidates.py) is clustered and refined by itself; those that
    hold in held-out counts vote (evidence.py), and their consensus is refined again. The baselines get the same number
    of domains and refinement, and numbers that match EfNST's. With `bins`, `section` holds their units: EfNST's domains
    are told for each bin (bins.py), the baselines' are those of its unit, and labels are scored by bins.
    """
    embeddings = list(embeddings_of(arrays).values())
    positions = np.asarray(section.obsm[SPATIAL], float)
    given = section.obs.get(LABEL) if bins is None else bins.labels
    choice = _choice(embeddings, positions, options) if options.n_domains is None else {}
    if choice:
        options = replace(options, n_domains=choice["n_domains"])
    _check_number(options.n_domains, section.n_obs)
    counts = sparse.csr_array(section.X)
    space = space_of(arrays, counts, positions, options)
    voted = _voted(embeddings, space, counts, positions, options)
    shown = embeddings[_closest(voted.trained, voted.labels)]
    refined = refine(voted.labels, positions, options.refinement_rounds)
    domains = by_size(refined)
    runs = {"leiden": (arrays["expression"], "leiden"), "diffused": (arrays["diffused"], "mixture")}
    found = {
        name: cluster(values, options.n_domains, how, options.seed, positions, options.spatial_prior)
        for name, (values, how) in runs.items()
    }
    baselines = {
        name: match_numbers(refine(found[name].labels, positions, options.refinement_rounds), domains)
        for name in BASELINES
    }
    table = (
        None
        if bins is None
        else _table_of_bins(bins, section, domains, _shares(voted.shares, refined, domains), baselines)
    )
    spaces = {DOMAIN: (shown, voted.how)} | {name: (runs[name][0], found[name].how) for name in BASELINES}
    methods = {
        name: {"n_domains": len(np.unique(labels)), "how": spaces[name][1]}
        | {"silhouette": _silhouette(spaces[name][0], labels)}
        | {"chaos": chaos(labels, positions), "pas": pas(labels, positions)}
        | _scores(labels if table is None else table[COLUMNS[name]].to_numpy(), given, options.ignored)
        for name, labels in {DOMAIN: domains, **baselines}.items()
    }
    methods[DOMAIN] |= _stability(section, voted.trained, options)
    members = (voted.gains, voted.voting, len(embeddings))
    evidence = evidence_record(space, counts, positions, {DOMAIN: domains, **baselines}, members, options)
    record = _record(given, domains, methods, options) | {"evidence": evidence} | ({"choice": choice} if choice else {})
    return Assigned(domains, _confidence(voted.shares, refined), baselines, shown, table), record


def _check_number(n_domains: int, n_spots: int) -> None:
    """Raise an EfnstError where there are more domains than spots."""
    if n_domains > n_spots:
        raise EfnstError(f"Expected n_domains to be at most the number of spots ({n_spots}), found {n_domains}.")


@dataclass(frozen=True)
class _Voted:
    """The consensus int [n_spots], the shares of the votes [n_spots, n_labels], and what they came from.

    `trained` [n_trainings, n_spots] are the trainings' partitions, `gains` the evidence for all, `voting` bool which
    voted, `how` how each was found. `shares` of a single partition are its probabilities, None where it has none.
    """

    labels: np.ndarray
    shares: np.ndarray | None
    trained: np.ndarray
    gains: Gains
    voting: np.ndarray
    how: str


def _voted(
    embeddings: list[np.ndarray],
    space: Space,
    counts: sparse.csr_array,
    positions: np.ndarray,
    options: DomainOptions,
) -> _Voted:
    """The consensus of those partitions of trainings and views that hold in held-out counts."""
    beside = views(space, options.diffusion) if options.untrained_views else []
    partitions, clustering = _partitions([*embeddings, *beside], positions, options)
    gains = held_out_gains(counts, positions, partitions, options.seed)
    voting = voters(gains)
    labels, votes = consensus(partitions[voting])
    shares = votes if len(partitions) > 1 else clustering.probabilities
    return _Voted(labels, shares, partitions[: len(embeddings)], gains, voting, clustering.how)


def _shares(shares: np.ndarray | None, found: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """`shares` [n_units, n_labels] of the labels `found` in the order of `domains`; certain where there are none."""
    numbers, first = np.unique(domains, return_index=True)
    if shares is None:
        return (domains[:, None] == numbers).astype(float)
    return shares[:, found[first]]


def _table_of_bins(
    bins: Bins, units: AnnData, domains: np.ndarray, shares: np.ndarray, baselines: dict[str, np.ndarray]
) -> pd.DataFrame:
    """The table of domains.csv, a row for each bin."""
    found, probability = bin_domains(bins, sparse.csr_array(units.X), units.obs, shares)
    table = {"barcode": bins.barcodes, "domain": found, "confidence": probability.round(4)}
    rows = units_of(bins, units.obs)
    table |= {name: labels[rows] for name, labels in baselines.items()}
    return pd.DataFrame(table | {"unit": units.obs_names.to_numpy()[rows]})


def embeddings_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The embeddings among `arrays`, one per training, in the order of the trainings."""
    names = sorted((name for name in arrays if name.startswith("embedding_")), key=lambda name: int(name[10:]))
    return {name: arrays[name] for name in names}


def _choice(embeddings: list[np.ndarray], positions: np.ndarray, options: DomainOptions) -> dict:
    """The number of domains chosen, the runner-up, whether none stands out, and the curve it was read from."""
    seen = fitted(len(positions))
    tried = range(2, options.max_domains + 1)
    curve = stability_curve([values[seen] for values in embeddings], positions[seen], tried, options.seed)
    return asdict(choose_number(curve)) | {"curve": curve.to_dict("list")}


def _partitions(
    embeddings: list[np.ndarray], positions: np.ndarray, options: DomainOptions
) -> tuple[np.ndarray, Clustering]:
    """The refined labels of each embedding or view, int [n, n_spots], and the first one's clustering."""
    found = [
        cluster(
            *(embedding, options.n_domains, options.clustering, (options.seed + number) % 2**32),
            *(positions, options.spatial_prior),
        )
        for number, embedding in enumerate(embeddings)
    ]
    return np.stack([refine(c.labels, positions, options.refinement_rounds) for c in found]), found[0]


def _closest(partitions: np.ndarray, labels: np.ndarray) -> int:
    """The partition that agrees best with `labels`."""
    return int(np.argmax([adjusted_rand_score(labels, partition) for partition in partitions]))


def _stability(section: AnnData, partitions: np.ndarray, options: DomainOptions) -> dict:
    """How much the trainings agree with each other and, where labels were given, each with the labels."""
    if len(partitions) == 1:
        return {}
    record = {"n_runs": len(partitions), "stability": float(agreement(partitions).mean())}
    if LABEL in section.obs:
        single = [label_scores(labels, section.obs[LABEL], options.ignored) for labels in partitions]
        record["ari_of_runs"] = [scores["ari"] for scores in single if scores]
    return record


def _record(given: pd.Series | None, domains: np.ndarray, methods: dict, options: DomainOptions) -> dict:
    """What domains.json says, without the sample's name."""
    labels, sizes = np.unique(domains, return_counts=True)
    return {
        "n_domains_asked": options.n_domains,
        "n_domains_found": len(labels),
        "clustering": options.clustering,
        "spatial_prior": options.spatial_prior,
        "refinement_rounds": options.refinement_rounds,
        "refined": options.refinement_rounds > 0,
        "seed": options.seed,
        "sizes": {str(label): int(size) for label, size in zip(labels, sizes, strict=True)},
        "n_labelled": 0 if given is None else int(scored_spots(given, options.ignored).sum()),
        "ignore_labels": options.ignored,
        "methods": methods,
    }


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


def _confidence(shares: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    """What `shares` [n_spots, n_labels] say of each spot's label after refinement; NaN for methods without them."""
    if shares is None:
        return np.full(len(labels), np.nan)
    return shares[np.arange(len(labels)), labels]


def by_size(labels: np.ndarray) -> np.ndarray:
    """Labels renumbered 1 … K by falling size, equal sizes by first spot."""
    values, first, codes, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(values), int)
    rank[np.lexsort((first, -sizes))] = np.arange(1, len(values) + 1)
    return rank[codes]


def match_numbers(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Labels renumbered 1 … n so that as many spots as possible carry the number they have in `reference`."""
    return match(by_size(labels) - 1, reference - 1) + 1


def domain_table(barcodes: pd.Index, assigned: Assigned) -> pd.DataFrame:
    """The table of domains.csv, a row for each spot, or for each bin where the spots are units of them."""
    if assigned.bins is not None:
        return assigned.bins
    table = {"barcode": barcodes, "domain": assigned.domains, "confidence": assigned.confidence.round(4)}
    return pd.DataFrame(table | assigned.baselines)


def final_section(
    section: AnnData, arrays: dict, assigned: Assigned, training: TrainingRecord, record: DomainsRecord
) -> AnnData:
    """`section` with domains, embeddings and how they were made."""
    section.obs[DOMAIN] = domain_categories(assigned.domains)
    section.obs[CONFIDENCE] = assigned.confidence
    for name, labels in assigned.baselines.items():
        section.obs[name] = domain_categories(labels)
    for key in (DOMAIN, *BASELINES, LABEL):
        if key in section.obs:
            groups = section.obs[key].astype("category").array
            colours = division_colours(groups, section.obs[DOMAIN].array, is_numbered=key != LABEL)
            section.uns[f"{key}_colors"] = np.array(colours, dtype=object)
    section.obsm[EMBEDDING] = assigned.embedding
    for name, key in {"diffused": DIFFUSED, "expression": EXPRESSION_PCS, "image_pcs": IMAGE_PCS}.items():
        if name in arrays:
            section.obsm[key] = arrays[name]
    loss = {name: np.asarray(values) for name, values in training.loss.items()}
    section.uns[PROVENANCE] = {
        "parameters": training.parameters
        | {"n_domains": record.n_domains_asked}
        | {key: getattr(record, key) for key in ("clustering", "spatial_prior")},
        "versions": dict(training.versions),
        "seed": record.seed,
        "training": {"device": training.device, "seconds": training.seconds, "loss": loss},
        "domains": record.model_dump(include=set(DomainFigures.model_fields)),
    }
    if record.choice:
        section.uns[PROVENANCE]["number_of_domains"] = pd.DataFrame(record.choice.curve.plain())
    return section
