"""The reader of docs/cohort.md reads a reference without our library."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from tests.support.places import PROJECT

from efnst.domains.saved_vocabulary import save_vocabulary
from efnst.domains.vocabulary import Mixture, Vocabulary
from efnst.embedding.cohort import Learned
from efnst.embedding.options import EmbeddingOptions, TrainingOptions
from efnst.embedding.part import part_of, pooled
from efnst.embedding.saved_space import save_space
from efnst.embedding.space import fit_components
from efnst.genes.shared import Survey


def reader() -> dict[str, Callable]:
    """The functions of the example in the documentation."""
    code = re.search(r"```python\n(.*?)```", (PROJECT / "docs" / "cohort.md").read_text(), re.DOTALL).group(1)
    assert len(code.splitlines()) <= 50 and "efnst" not in code
    found: dict = {}
    exec(code, found)
    return found


@pytest.mark.parametrize("batches", ["ab", "aa", ("", "")])
@pytest.mark.parametrize("lacking", [(), (0, 7, 20)])
def test_the_reader_of_the_documentation(
    batches: str | tuple[str, ...], lacking: tuple[int, ...], simulated_section: Callable[..., AnnData], tmp_path: Path
) -> None:
    """Also of a reference in which nothing is taken out, and of a section that does not measure all of its genes."""
    options, survey, sections = EmbeddingOptions(expression_pcs=6), Survey(), []
    for n_spots in (150, 120):
        section = simulated_section(n_spots, 100)
        section.var["gene_ids"] = [f"E{number}" for number in range(section.n_vars)]
        survey.add(section, 10)
        sections.append(section)
    genes = survey.chosen(60, 1.0)
    parts = [part_of(section, None, batch, genes, options) for section, batch in zip(sections, batches, strict=True)]
    components, _ = fit_components(pooled(parts), np.arange(60), 6, 0)
    assert (components.moments is not None) == (batches == ("", ""))
    save_space(tmp_path, Learned(genes, components, [], options, TrainingOptions()))
    mixture = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2), np.zeros(1, int))
    save_vocabulary(tmp_path, Vocabulary(1, 1, 0, [mixture], np.arange(3.0), 1.0, "mixture"), {})

    read = reader()
    space, domains = read["read_reference"](tmp_path)
    given = sections[1][:, ~sections[1].var["gene_ids"].isin(genes.ids[list(lacking)])].copy()
    assert given.n_vars == 100 - len(lacking)
    counts, ids = given.X.toarray(), given.var["gene_ids"]
    found = read["components"](space, counts, ids, counts.sum(1))
    assert np.allclose(found, components.plain(part_of(given, None, batches[1], genes, options)), atol=1e-4)
    assert domains["known"].tolist() == [0, 1, 2] and domains["mixtures.0.numbers"].tolist() == [0]
