"""What to cite for a section."""

from efnst.names import DOMAIN
from efnst.records.section import Records

CITATIONS = {
    "EfNST": "Zhao Y, et al. A composite scaling network of EfficientNet for improving spatial domain identification "
    "performance. Communications Biology 2024; 7 (preprint: bioRxiv 2023.12.03.569798).",
    "EfficientNet": "Tan M, Le QV. EfficientNet: rethinking model scaling for convolutional neural networks. "
    "ICML 2019.",
    "Macenko": "Macenko M, et al. A method for normalizing histology slides for quantitative analysis. ISBI 2009.",
    "Reinhard": "Reinhard E, et al. Color transfer between images. IEEE Comput Graph Appl 2001; 21: 34.",
    "Harmony": "Korsunsky I, et al. Fast, sensitive and accurate integration of single-cell data with Harmony. "
    "Nature Methods 2019; 16: 1289.",
    "Leiden": "Traag VA, Waltman L, van Eck NJ. From Louvain to Leiden: guaranteeing well-connected communities. "
    "Scientific Reports 2019; 9: 5233.",
    "Spatial prior": "Zhang Y, Brady M, Smith S. Segmentation of brain MR images through a hidden Markov random field "
    "model and the expectation-maximization algorithm. IEEE Trans Med Imaging 2001; 20: 45.",
    "CHAOS and PAS": "Shang L, Zhou X. Spatially aware dimension reduction for spatial transcriptomics. "
    "Nature Communications 2022; 13: 7203.",
    "Moran's I": "Moran PAP. Notes on continuous stochastic phenomena. Biometrika 1950; 37: 17.",
    "Neighbouring domains": "Palla G, et al. Squidpy: a scalable framework for spatial omics analysis. "
    "Nature Methods 2022; 19: 171.",
    "False discovery rate": "Benjamini Y, Hochberg Y. Controlling the false discovery rate. "
    "Journal of the Royal Statistical Society B 1995; 57: 289.",
    "PAGA": "Wolf FA, et al. PAGA: graph abstraction reconciles clustering with trajectory inference through a "
    "topology preserving map of single cells. Genome Biology 2019; 20: 59.",
    "decoupler": "Badia-i-Mompel P, et al. decoupleR: ensemble of computational methods to infer biological activities "
    "from omics data. Bioinformatics Advances 2022; 2: vbac016.",
    "UMAP": "McInnes L, Healy J, Melville J. UMAP: uniform manifold approximation and projection. arXiv 1802.03426.",
    "scanpy": "Wolf FA, Angerer P, Theis FJ. SCANPY: large-scale single-cell gene expression data analysis. "
    "Genome Biology 2018; 19: 15.",
    "Nextflow": "Di Tommaso P, et al. Nextflow enables reproducible computational workflows. "
    "Nature Biotechnology 2017; 35: 316.",
}


def citations(records: Records, has_layout: bool) -> dict[str, str]:
    """What to cite for this section: the methods that had a part in it."""
    stain = records.features.stain_normalisation if records.features else "none"
    has_graph = records.description.adjacency.connectivity is not None
    encoder = records.encoder.encoder if records.encoder else ""
    shared = records.training.reference or records.training.cohort
    left_out = {
        "EfficientNet": not encoder.startswith("efficientnet"),
        "Macenko": stain != "macenko",
        "Reinhard": stain != "reinhard",
        "Harmony": not (shared and shared.corrected),
        "Spatial prior": "spatial prior" not in records.domains.methods[DOMAIN].how,
        "decoupler": records.description.gene_sets is None,
        "PAGA": not has_graph,
        "UMAP": not has_layout,
        "scanpy": not (has_layout or has_graph),
    }
    return {name: text for name, text in CITATIONS.items() if not left_out.get(name)}
