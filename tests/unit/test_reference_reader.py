"""The reader of docs/cohort.md reads a reference without our library."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
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


def test_the_reader_of_the_documentation(simulated_section: Callable[..., AnnData], tmp_path: Path) -> None:
    options, survey, sections = EmbeddingOptions(expression_pcs=6), Survey(), []
    for n_spots in (150, 120):
        section = simulated_section(n_spots, 100)
        section.var["gene_ids"] = [f"E{number}" for number in range(section.n_vars)]
        survey.add(section, 10)
        sections.append(section)
    genes = survey.chosen(60, 1.0)
    parts = [part_of(section, None, batch, genes, options) for section, batch in zip(sections, "ab", strict=True)]
    components, _ = fit_components(pooled(parts), np.arange(60), 6, 0)
    save_space(tmp_path, Learned(genes, components, [], options, TrainingOptions()))
    mixture = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2), np.zeros(1, int))
    save_vocabulary(tmp_path, Vocabulary(1, 1, 0, [mixture], np.arange(3.0), 1.0, "mixture"), {})

    read = reader()
    space, domains = read["read_reference"](tmp_path)
    counts, ids = sections[1].X.toarray(), sections[1].var["gene_ids"]
    found = read["components"](space, counts, ids, counts.sum(1))
    assert np.allclose(found, components.plain(parts[1]), atol=1e-4)
    assert domains["known"].tolist() == [0, 1, 2] and domains["mixtures.0.numbers"].tolist() == [0]
