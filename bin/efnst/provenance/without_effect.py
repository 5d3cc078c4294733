"""Parameters that were given and do nothing, as a reference, or what a scope is about, takes their place."""

from efnst.domains.options import DomainOptions, NamingOptions
from efnst.embedding.options import CohortOptions, EmbeddingOptions, NetworkOptions, TrainingOptions
from efnst.program.options import parameters_of
from efnst.program.parameters import show

OF_COHORT = frozenset(parameters_of(CohortOptions))
LEARNED = (EmbeddingOptions, TrainingOptions, NetworkOptions, CohortOptions, DomainOptions, NamingOptions)
BESIDE_REFERENCE = frozenset({"refinement_rounds", "ignore_labels", "seed"})  # of these, what a section is found with
OF_REFERENCE = frozenset(name for kind in LEARNED for name in parameters_of(kind)) - BESIDE_REFERENCE


def without_effect(parameters: dict, usual: dict) -> list[str]:
    """The names of those `parameters` that are not `usual`, the defaults, and have no effect beside the others."""
    own = frozenset() if parameters.get("scope") == "cohort" else OF_COHORT
    idle = OF_REFERENCE if parameters.get("reference") else own
    return [name for name, value in parameters.items() if name in idle and value != usual.get(name)]


def effect_warnings(parameters: dict, usual: dict) -> list[str]:
    """One line for each of them; `parameters` have their defaults."""
    by = "--reference, which it has no effect on: networks, domains and names are those of the reference"
    by = by if parameters.get("reference") else f"--scope {parameters['scope']}, in which it has no effect"
    return [
        f"parameter --{name}: found {show(parameters[name])} with {by}" for name in without_effect(parameters, usual)
    ]
