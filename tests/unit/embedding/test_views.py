"""What each training sees of a section."""

from efnst.embedding.options import EmbeddingOptions
from efnst.embedding.views import DIFFUSION_FACTORS, GENE_SHARES, PC_SHARES, view_of


def test_views_are_drawn_from_the_documented_sets() -> None:
    options = EmbeddingOptions()
    assert view_of(EmbeddingOptions(vary_views=False), 3) == (3000, 30, 0.5)
    views = [view_of(options, seed) for seed in range(60)]
    assert {view.n_genes for view in views} == {round(3000 * share) for share in GENE_SHARES}
    assert {view.expression_pcs for view in views} == {round(30 * share) for share in PC_SHARES}
    assert {view.diffusion for view in views} == {0.5 * factor for factor in DIFFUSION_FACTORS}
    assert view_of(options, 3) == view_of(options, 3)
