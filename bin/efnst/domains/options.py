"""How domains are found and described; nextflow_schema.json says what each parameter means."""

from efnst.program.options import options


@options
class DomainOptions:
    """How domains are found and scored; without `n_domains` their number is chosen, up to `max_domains`."""

    n_domains: int | None
    max_domains: int
    clustering: str
    spatial_prior: float
    untrained_views: bool
    diffusion: float
    weigh_by_counts: bool
    refinement_rounds: int
    ignore_labels: str
    seed: int

    @property
    def ignored(self) -> list[str]:
        """The labels left out of the scores."""
        return [label.strip() for label in self.ignore_labels.split(",") if label.strip()]


@options
class NamingOptions:
    """Whether labels teach names."""

    learn_labels: bool


@options
class DescriptionOptions:
    """How domains are described."""

    n_markers: int
    umap_spots: int
    seed: int
