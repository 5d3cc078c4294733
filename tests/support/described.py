"""Sections as the reports take them."""

import anndata


def with_image(data: anndata.AnnData, **facts: object) -> anndata.AnnData:
    """`data` with other facts about its image."""
    data.uns["section"]["image"] = data.uns["section"]["image"] | facts
    return data
