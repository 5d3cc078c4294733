"""Which sections of a cohort go together."""

from collections.abc import Callable

import numpy as np
import pytest
from anndata import AnnData

from efnst.embedding.cohort import Member
from efnst.embedding.options import CohortOptions, EmbeddingOptions
from efnst.embedding.reference import gene_prefix
from efnst.embedding.together import together
from efnst.errors import EfnstError

SYMBOLS = {
    "ENSG": "ACTB{}",
    "man": "ACTB{}",
    "ENSMUSG": "Actb{}",
    "mouse": "Actb{}",
    "ENSDARG": "actb{}",
    "panel": "P{}",
    "other": "O{}",
    "ENSSSCG": "ACTB{}",
}
OPTIONS, COHORT = EmbeddingOptions(n_genes=100), CohortOptions()


@pytest.fixture(scope="module")
def member(
    simulated_section: Callable[..., AnnData], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Member]:
    """A section of some of 120 genes, of a species, or with its symbols only; a sixth of a pig's are of pigs alone."""
    folder = tmp_path_factory.mktemp("members")

    def made(sample: str, genes: slice = slice(None), species: str = "ENSG") -> Member:
        section = simulated_section(150, 120, seed=ord(sample[0]))
        section.var_names = [SYMBOLS[species].format(number) for number in range(120)]
        if species == "ENSSSCG":
            section.var_names = [*section.var_names[:100], *(f"PIG{number}" for number in range(20))]
        has_ids = species.startswith("ENS")
        section.var["gene_ids"] = [f"{species}{n:011d}" for n in range(120)] if has_ids else section.var_names
        section[:, genes].copy().write_h5ad(folder / f"{sample}.h5ad")
        return Member(sample, sample, folder / f"{sample}.h5ad", None)

    return made


@pytest.mark.slow
@pytest.mark.parametrize("n_sound", [3, 5])  # of which all, or nearly all, must measure a gene
@pytest.mark.parametrize(
    ("outlier", "reason"),
    [
        ({"species": "ENSMUSG"}, r"species of most sections \(ENSG…\), found those of another \(ENSMUSG…\)"),
        (
            {"genes": slice(0, 20)},
            r"at least 50% of the 100 genes that the sections share, found [12]\d%\. Was another",
        ),
    ],
)
def test_a_section_of_other_genes_is_as_not_given(
    n_sound: int, outlier: dict, reason: str, member: Callable[..., Member]
) -> None:
    sound = [member(name) for name in "bcdef"[:n_sound]]
    alone, found = (together(given, OPTIONS, COHORT) for given in (sound, [member("a", **outlier), *sound]))
    assert np.array_equal(found.genes.ids, alone.genes.ids) and found.sizes == alone.sizes and not alone.problems
    assert found.problems.keys() == {"a"}
    with pytest.raises(EfnstError, match=reason):
        raise EfnstError(found.problems["a"])


def test_a_section_that_lacks_some_genes_is_warned(member: Callable[..., Member]) -> None:
    sections = [member("a", slice(0, 90)), *(member(name) for name in "bcdef")]
    found = together(sections, OPTIONS, COHORT)
    assert not found.problems and 0.1 < found.missing["a"] < 0.5 and not found.warnings["b"]
    assert found.warnings["a"] == [
        f"{found.missing['a']:.0%} of the 100 genes that the sections of the cohort share are not measured here."
    ]


def test_the_species_is_told_behind_a_genome_and_not_of_two_that_are_mixed() -> None:
    human, mouse = ([f"{start}{n:011d}.{n % 3}" for n in range(40)] for start in ("GRCh38_ENSG", "mm10___ENSMUSG"))
    assert gene_prefix(human) == "ENSG" and gene_prefix(mouse) == "ENSMUSG"
    assert gene_prefix(human + mouse[:30]) == "" == gene_prefix(["ACTB", *human[:1]])
    assert gene_prefix([*human, "mm10___ENSMUSG00000000001"]) == "ENSG"


@pytest.mark.parametrize(
    ("more", "said"),
    [([], "ENSG… in a; ENSMUSG… in b"), (["man", "mouse"], "ENSG… in a, c; ENSMUSG… in b, d")],
)
def test_two_species_of_as_many_sections_are_refused(more: list[str], said: str, member: Callable[..., Member]) -> None:
    members = [member(sample, species=each) for sample, each in zip("abcd", ["ENSG", "ENSMUSG", *more], strict=False)]
    with pytest.raises(EfnstError, match=rf"one species, found genes {said}\. Run each species by itself: remove the"):
        together(members, OPTIONS, COHORT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "left_out", "reason"),
    [
        (["ENSG", "ENSMUSG", "man", "man"], "b", r"of most sections \(ENSG…\), found those of another \(ENSMUSG…\)"),
        (["ENSG", "ENSMUSG", "ENSMUSG", "man", "man"], "bc", r"of most sections \(ENSG…\), found"),
        (["ENSG", "ENSMUSG", "mouse"], "a", r"of most sections \(ENSMUSG…\), found those of another \(ENSG…\)"),
        (["ENSG", "ENSSSCG", "man", "man"], "b", r"of most sections \(ENSG…\), found those of another \(ENSSSCG…\)"),
        (["ENSDARG", "ENSMUSG", "man", "man"], "ab", "that most sections name by symbols only, found those of"),
    ],
)
def test_sections_without_identifiers_say_by_their_genes_which_species_most_are_of(
    given: list[str], left_out: str, reason: str, member: Callable[..., Member]
) -> None:
    members = [member(sample, species=species) for sample, species in zip("abcde", given, strict=False)]
    found = together(members, OPTIONS, COHORT)
    assert {*found.sizes} == {each.sample for each in members} - {*left_out} and {*found.problems} == {*left_out}
    with pytest.raises(EfnstError, match=reason):
        raise EfnstError(found.problems[left_out[0]])


def test_sections_that_are_like_no_others_do_not_count_as_one_species(member: Callable[..., Member]) -> None:
    given = ["ENSG", "ENSG", "ENSG", "ENSMUSG", "panel", "panel", "other", "other"]
    with pytest.raises(EfnstError, match="genes that 50% of the 7 sections measure"):  # all but the mouse
        together([member(*each) for each in zip("abcdefgh", [slice(None)] * 8, given, strict=True)], OPTIONS, COHORT)


def test_genes_of_which_no_section_stands_out_are_refused(member: Callable[..., Member]) -> None:
    halves = [member("a", slice(0, 80)), member("b", slice(40, 120))]
    with pytest.raises(EfnstError, match="Expected at least 50 genes that 80% of the 2 sections measure, found 40"):
        together(halves, OPTIONS, COHORT)
