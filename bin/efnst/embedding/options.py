"""What of the learning step can be chosen."""

from dataclasses import dataclass

from efnst.errors import EfnstError, check_choice

IMAGE_FUSIONS = ("late", "weights", "concatenate", "none")
EMBEDDINGS = ("decoded", "latent_skip", "latent")
TARGETS = ("diffused", "inputs")
GRAPHS = ("nearest", "radius")


@dataclass(frozen=True)
class EmbeddingOptions:
    """How expression and image features are made, how spots are joined, and what of the network is kept."""

    min_spots_per_gene: int = 3
    n_genes: int = 3000
    expression_pcs: int = 30
    image_pcs: int = 50
    image_fusion: str = "late"  # one of IMAGE_FUSIONS
    image_weight: float = 1.0
    n_neighbours: int = 4
    augmentation: float = 0.2
    graph: str = "nearest"  # one of GRAPHS
    graph_neighbours: int = 6
    graph_radius: float = 1.5  # pitches; 1.5 joins touching spots: the hexagonal ring of 6
    diffusion: float = 0.5
    weigh_by_counts: bool = True
    target: str = "diffused"  # one of TARGETS
    embedding: str = "decoded"  # one of EMBEDDINGS
    embedding_dims: int = 25
    vary_views: bool = True
    expression_rep: str = ""  # features in obsm that take the place of components of the expression
    save_model: bool = False

    def __post_init__(self) -> None:
        choices = {"image_fusion": IMAGE_FUSIONS, "graph": GRAPHS, "target": TARGETS, "embedding": EMBEDDINGS}
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)
        if self.save_model and self.expression_rep:
            message = "Expected save_model or expression_rep, found both: a model is saved with its map from genes."
            raise EfnstError(message)
