"""What of the learning step can be chosen; nextflow_schema.json says what each parameter means."""

from dataclasses import field

from efnst.errors import EfnstError
from efnst.program.options import options

NO_BATCH = ""  # what sections are corrected as between which no differences are taken out


@options
class EmbeddingOptions:
    """How expression and image features are made, how spots are joined, and what of the network is kept."""

    min_spots_per_gene: int
    n_genes: int
    expression_rep: str | None
    expression_pcs: int
    image_pcs: int
    image_fusion: str
    image_weight: float
    n_neighbours: int
    augmentation: float
    graph_neighbours: int
    diffusion: float
    weigh_by_counts: bool
    target: str
    embedding: str
    embedding_dims: int
    vary_views: bool
    save_model: bool

    def __post_init__(self) -> None:
        if self.save_model and self.expression_rep:
            message = "Expected save_model or expression_rep, found both: a model is saved with its map from genes."
            raise EfnstError(message)


@options
class NetworkOptions:
    """Widths and kinds of layers; 20 dimensions of h and 8 of μ are those of the published network."""

    hidden: int = 32
    encoded_dims: int = 20  # of h
    convolved: int = 64
    graph_dims: int = 8  # of μ
    dropout: float = 0.2
    decoder: str
    batch_norm_momentum: float


@options
class TrainingOptions:
    """How to train; the weights multiply the parts of the loss."""

    n_seeds: int
    epochs: int
    tolerance: float
    learning_rate: float
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    input_noise: float
    reconstruction_weight: float = 1.0
    graph_weight: float
    kl_weight: float
    graph_loss: str
    seed: int
    network: NetworkOptions = field(default_factory=NetworkOptions)


@options
class DeviceOptions:
    """Where the networks run."""

    device: str


@options
class CohortOptions:
    """What several sections have in common, and what differences between them are taken out."""

    correct_by: str
    shared_genes: float

    def batch(self, sample: str, group: str) -> str:
        """What a section is corrected as; a section without a group is one of its own."""
        return {"none": NO_BATCH, "sample": sample, "group": group or sample}[self.correct_by]
