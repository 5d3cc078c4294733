"""Parameters that do nothing beside the others."""

import pytest
from tests.support.places import PROJECT

import apply_reference
import assign_domains
import fit_domains
import learn_embedding
from efnst.inputs.combinations import combination_problems
from efnst.program.cli import options_of, parameters_of_all
from efnst.program.parameters import defaults, read_schema
from efnst.provenance.without_effect import OF_REFERENCE, effect_warnings

USUAL = defaults(read_schema(PROJECT / "nextflow_schema.json"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reference": "r", "n_domains": 3}, "found 3 with --reference, which it has no effect on"),
        ({"reference": "r", "correct_by": "none"}, 'found "none" with --reference'),
        ({"reference": "r", "learn_labels": True}, "found true with --reference"),
        ({"reference": "r", "image_fusion": "none"}, 'found "none" with --reference'),
        ({"reference": "r", "diffusion": 2.0}, "found 2.0 with --reference"),
        ({"correct_by": "none"}, 'found "none" with --scope section, in which it has no effect'),
        ({"shared_genes": 0.5}, "found 0.5 with --scope section, in which it has no effect"),
    ],
)
def test_what_has_no_effect_is_a_warning(given: dict, said: str) -> None:
    (warning,) = effect_warnings(USUAL | given, USUAL)
    assert said in warning and combination_problems(USUAL | given, USUAL, [{"labels": ""}]) == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"n_domains": 3},
        {"scope": "cohort", "correct_by": "none", "shared_genes": 0.5},
        {"reference": "r", "refinement_rounds": 1, "seed": 3, "use_image": False, "patch_um": 100, "n_markers": 5},
    ],
)
def test_what_has_an_effect_is_none(given: dict) -> None:
    assert effect_warnings(USUAL | given, USUAL) == []


def test_what_a_reference_takes_the_place_of_is_what_only_the_steps_that_make_one_are_given() -> None:
    """What a step of both ways is given has an effect, but for what `assign_domains.py` needs without a reference."""
    of = {each.__name__: set(parameters_of_all(options_of(each.main))) for each in (learn_embedding, fit_domains)}
    made = of["learn_embedding"] | of["fit_domains"]
    kept = made - OF_REFERENCE
    assert kept == {"device", "stain_normalisation", "refinement_rounds", "ignore_labels", "seed"}
    assert set(parameters_of_all(options_of(apply_reference.main))) == {"stain_normalisation"}
    found_with = set(parameters_of_all(options_of(assign_domains.main)))
    assert found_with - OF_REFERENCE == {"refinement_rounds", "ignore_labels", "seed"} and made >= OF_REFERENCE
