"""Records of the learning step, of the domains and of how they were made."""

from typing import Literal

from efnst.records.base import Asked, Number, Record, Value, Versions, about
from efnst.records.naming import LeftOutScores
from efnst.records.quality import UsedImage
from efnst.records.reference import CorrectBy, ReferenceFit


class TrainingRun(Record):
    """One training of the network."""

    seed: int = about("its own seed")
    n_genes: int = about("genes that it read", "genes")
    expression_pcs: int = about("components of the expression that it read")
    diffusion: float = about("share of the neighbours in what it decodes")
    epochs: int = about("epochs until its loss no longer fell", "epochs")
    seconds: float = about("time", "s")
    n_spots_without_neighbours: int = about("spots that borrowed no expression", "spots")


class UsedCohort(Record):
    """Sections that were learned from together."""

    samples: list[str] = about("their names", shape="[n_sections]")
    corrected: bool = about("whether Harmony took out differences between them: not where all are of one group")


class UsedReference(UsedCohort):
    """What a section was brought into, instead of a training of its own."""

    correct_by: CorrectBy = about("what differences between its sections were taken out by")
    files: dict[str, str] = about("SHA-256 of its files, as in its reference.json")
    parameters: dict[str, Value] = about("that its networks were trained with")


class TrainingRecord(Record):
    """How the embeddings of a section were learned."""

    sample: str = about("name of the section")
    device: str = about("where the network was trained")
    seed: int = about("seed of the step, from which those of the trainings follow")
    epochs: int = about("epochs of the longest training", "epochs")
    seconds: float = about("time of all trainings, scope cohort: for all sections together", "s")
    n_genes_used: int = about("genes that at least one training may read", "genes")
    n_spots_without_neighbours: int = about("spots that borrowed no expression, in the first training", "spots")
    image: bool = about("whether image features were used")
    n_image_components_fused: int = about("image components that the network read")
    loss: dict[str, list[float]] = about("of the first training, each part by epoch, not weighted", shape="[n_epochs]")
    runs: list[TrainingRun] = about("one for each training")
    parameters: dict[str, Value] = about("that really ran; with --reference none, as nothing is trained")
    versions: Versions = about("of the libraries that trained it")
    cohort: UsedCohort | None = about("scope cohort: the sections that were learned from together", optional=True)
    reference: UsedReference | None = about("with --reference: what took the place of a training", optional=True)
    warnings: list[str] = about("scope cohort: what the user should know", optional=True)


class Match(Record):
    """The domain that fits a label best."""

    label: str = about("the label")
    domain: int = about("the domain with the largest Jaccard index")
    jaccard: float = about("shared spots, of the spots in either")
    n_spots: int = about("spots, bins or cells of the label", "pieces")


class Confusion(Record):
    """What was scored, spots, bins or cells, by domain and label."""

    index: list[int] = about("domains", shape="[n_domains]")
    columns: list[str] = about("labels", shape="[n_labels]")
    data: list[list[int]] = about("spots, bins or cells", "pieces", "[n_domains][n_labels]")


class MethodFigures(Record):
    """The domains of one method in figures."""

    n_domains: int = about("domains found")
    how: str = about("how they were found, in words")
    silhouette: float | None = about("mean, in the space they were found in; null with a single domain")
    chaos: float = about("CHAOS: mean distance to the nearest spot of the same domain, in standard deviations")
    pas: float = about("PAS: share of spots most of whose neighbours are of other domains")
    ari: float | None = about("adjusted Rand index with the labels", optional=True)
    ari_of_units: float | None = about(
        "of EfNST, of bins and cells: ARI where each has the domain of its unit, as the baselines have", optional=True
    )
    ami: float | None = about("adjusted mutual information with the labels", optional=True)
    nmi: float | None = about("normalised mutual information with the labels", optional=True)
    homogeneity: float | None = about("each domain holds one label", optional=True)
    completeness: float | None = about("each label lies in one domain", optional=True)
    v_measure: float | None = about("harmonic mean of the two", optional=True)
    n_runs: int | None = about("trainings, where there are several", optional=True)
    stability: float | None = about("mean ARI of all pairs of trainings, where there are several", optional=True)


class MethodRecord(MethodFigures):
    """The domains of one method, with tables where labels were given."""

    best_matches: list[Match] | None = about("one for each label", optional=True)
    confusion: Confusion | None = about("what was scored, by domain and label", optional=True)
    ari_of_runs: list[float] | None = about(
        "ARI of each training with the labels, of bins and cells by their unit", shape="[n_runs]", optional=True
    )


class NumberCurve(Record):
    """What was measured for each number of domains tried."""

    n_domains: list[int] = about("numbers tried", shape="[n_tried]")
    stability: list[float] = about("mean ARI over all pairs of fits", shape="[n_tried]")
    sd: list[float] = about("its standard deviation", shape="[n_tried]")
    se: list[float] = about("its standard error", shape="[n_tried]")
    gain: list[float] = about("log-likelihood beyond that of one domain", "per left-out spot", "[n_tried]")
    gain_se: list[float] = about("its standard error", "per left-out spot", "[n_tried]")


class Choice(Record):
    """The number of domains where none was given."""

    n_domains: int = about("the number chosen")
    runner_up: int | None = about("the next best; null where one number only was tried")
    flat: bool = about("whether none stands out")
    supported: bool = about("whether the section supports a choice: places left out are told better than by one domain")
    curve: NumberCurve = about("what it was read from")


class Gained(Record):
    """Evidence in counts that were held out."""

    gain: float = about("log-likelihood beyond that of the section's mean profile", "nats a count")
    error: float = about("its standard error over blocks of the section", "nats a count")


class GainedByMethod(Record):
    """Evidence for the domains of each method."""

    efnst: Gained = about("of EfNST")
    leiden: Gained = about("of the baseline `leiden`")
    diffused: Gained = about("of the baseline `diffused`")


class Added(Gained):
    """What one ingredient adds to the evidence."""

    verdict: str = about("`clear`, `little` or `costs`")


class Member(Record):
    """One partition that could vote on the domains."""

    kind: str = about("`training` or `view`, one without a network")
    gain: float = about("its evidence", "nats a count")
    weight: float = about("how much it counts in the vote, 0.01 (where others tie) to 1")

    @property
    def in_full(self) -> bool:
        """Whether it counts in full."""
        return self.weight == 1


class Evidence(Record):
    """How well domains tell held-out counts, and what image, network, mixture and prior add to that."""

    n_blocks: int = about("blocks that the standard errors are over")
    methods: GainedByMethod = about("by method")
    ingredients: dict[str, Added] = about("by ingredient: `image`, `network`, `mixture`, `prior`, where it has a part")
    members: list[Member] = about("partitions that could vote, trainings first")


class DomainFigures(Record):
    """What of the domains also goes into the section's .h5ad."""

    sample: str = about("name of the section")
    n_domains_asked: int = about("number of domains given or chosen")
    n_domains_found: int = about("number of domains found")
    clustering: str = about("how the embeddings were clustered")
    spatial_prior: float = about("how much the mixture prefers the domains of neighbours")
    refinement_rounds: int = about("rounds of majority vote among neighbours")
    refined: bool = about("whether there was any")
    seed: int = about("seed of the step")
    sizes: dict[str, int] = about("spots of each domain", "spots")
    pieces: Literal["spots", "bins", "cells"] = about("what domains.csv has a row for, and labels are scored by")
    n_pieces: int = about("how many these are", "pieces")
    n_labelled: int = about("of them, those with a label that counts for the scores", "pieces")


class DomainsRecord(DomainFigures):
    """The domains of a section beside the two baselines, and their scores."""

    ignore_labels: list[str] = about("labels left out of the scores")
    methods: dict[str, MethodRecord] = about("by method: `efnst`, `leiden`, `diffused`")
    evidence: Evidence = about("held-out counts told by the domains, and what each ingredient adds to that")
    choice: Choice | None = about("where the number of domains was chosen", optional=True)
    common: bool | None = about("true where the domains are those of several sections", optional=True)
    names: dict[str, str] | None = about(
        "by domain, the name that labels taught and most of its units have", optional=True
    )
    named: LeftOutScores | None = about("of a section whose labels taught: named from the others", optional=True)
    fit: ReferenceFit | None = about("with --reference: how the section fits it", optional=True)


class UsedEncoder(Record):
    """The encoder that described the patches."""

    encoder: str = about("its name")
    input_px: int = about("width that patches are brought to", "px")
    coarse_px: int | None = about("width that those narrower than 32 px are brought to", "px", optional=True)
    n_features: int = about("features of a patch")
    weights_file: str = about("name of the file with its weights, or of the package that brings it")
    weights_sha256: str = about("SHA-256 of that file")
    weights_data_sha256: str | None = about("SHA-256 of the file beside it with what it lacks", optional=True)
    licence: str | None = about("licence of a user's own encoder, as declared", optional=True)
    commercial: bool | None = about("whether it allows commercial use, as declared", optional=True)
    source: str | None = about("where network and weights come from, as declared", optional=True)


class UsedTraining(Record):
    """Where the network was trained."""

    device: str = about("the device")
    seconds: float = about("time of all trainings, scope cohort: for all sections together", "s")


class InputFile(Record):
    """One file that a section was read from."""

    role: str = about("what the file is for")
    file: str = about("name within the section's folder")
    bytes: int = about("size", "bytes")
    checksum: str = about("SHA-256")
    method: str = about("of what the checksum is")


class UsedUnits(Record):
    """The units that bins or cells were summed into."""

    unit_um: Number = about("width", "µm")
    unit_reason: str = about("why they are that wide")
    n_bins: int = about("bins or cells", "bins")


class Provenance(Record):
    """How the result of a section was made: `uns["efnst"]` of its .h5ad without the curves."""

    sample: str = about("name of the section")
    parameters: dict[str, Value] = about("that really ran")
    asked: Asked = about("what was asked for of those that section, image or machine decide; empty text: nothing")
    versions: Versions = about("of the libraries that ran")
    seed: int = about("seed of the step that assigns domains")
    devices: dict[str, str] = about("where `network` and `encoder` ran")
    training: UsedTraining = about("how long the trainings took")
    image: UsedImage = about("the image that was used")
    domains: DomainFigures = about("number, sizes and how they were found")
    units: UsedUnits | None = about("of Visium HD and cells", optional=True)
    inputs: list[InputFile] | None = about("files that the section was read from", optional=True)
    encoder: UsedEncoder | None = about("the encoder, where there is an image", optional=True)
    cohort: UsedCohort | None = about("scope cohort: the sections that were learned from together", optional=True)
    reference: UsedReference | None = about("with --reference: what took the place of a training", optional=True)


class DotPlot(Record):
    """The best markers of all domains in each domain."""

    genes: list[str] = about("the genes", shape="[n_genes]")
    mean: list[list[float | None]] = about("mean expression", "log1p of normalised counts", "[n_domains][n_genes]")
    fraction: list[list[float | None]] = about("share of the spots that show the gene", shape="[n_domains][n_genes]")


class Adjacency(Record):
    """Which domains touch each other."""

    domains: list[str] = about("the domains", shape="[n_domains]")
    pairs: list[list[int]] = about("pairs of touching spots", "pairs", "[n_domains][n_domains]")
    enrichment: list[list[float | None]] = about(
        "pairs, of those expected by chance; null where none is", shape="[n_domains][n_domains]"
    )
    z_score: list[list[float | None]] = about(
        "of the pairs, against permuted domains; null without spread", shape="[n_domains][n_domains]"
    )
    n_permutations: int = about("permutations of the domains over the spots")
    connectivity: list[list[float]] | None = about(
        "PAGA: neighbours in the embedding, of those expected by chance, at most 1; absent for a single domain",
        shape="[n_domains][n_domains]",
        optional=True,
    )


class GeneSets(Record):
    """The most active gene sets of the domains, in all domains."""

    names: list[str] = about("the sets", shape="[n_sets]")
    domains: list[str] = about("the domains", shape="[n_domains]")
    activity: list[list[float]] = about("t values of decoupler's ulm", shape="[n_domains][n_sets]")


class Description(Record):
    """What describes the domains of a section."""

    sample: str = about("name of the section")
    n_genes_tested: int = about("genes seen in enough spots to be tested", "genes")
    top_markers: dict[str, list[str]] = about("best markers of each domain", shape="[≤ 10]")
    top_spatial_genes: list[str] = about("genes with the largest Moran's I", shape="[≤ 10]")
    dot_plot: DotPlot = about("the best markers in all domains")
    adjacency: Adjacency = about("which domains touch each other")
    gene_sets: GeneSets | None = about("with `--gene_sets`", optional=True)
    notes: list[str] = about("what could not be described")
