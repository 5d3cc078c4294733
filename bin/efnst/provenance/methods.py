"""The methods of a section as text, with the values that really ran, and what to cite."""

from efnst.names import DOMAIN, NO_IMAGE
from efnst.records.domains import Evidence, TrainingRecord
from efnst.records.encoder import EncoderRecord, FeaturesRecord, licence_text
from efnst.records.quality import ImageQc
from efnst.records.section import Records

METHODS_TEXT = {  # one sentence per topic, filled with the parameters that ran
    "quality": "Spots with at least {min_counts_per_spot} counts, at least {min_genes_per_spot} genes and at most "
    "{max_pct_mt} % mitochondrial counts were kept.",
    "units": "Bins or cells were summed into squares of {unit_um} × {unit_um} µm, which take the place of spots below; "
    "each bin or cell took its domain from its own counts, the squares around it and its neighbours.",
    "image": "{patches} of {patch_um} µm around each spot were cut from the {image_source} image and encoded by "
    "{encoder}, run in {precision} on {encoder_device}; the image features were reduced to at most {image_pcs} "
    "principal components.",
    "expression": "Counts were normalised by library size and log-transformed; the {n_genes_used} most spatially "
    "variable genes were reduced to at most {expression_pcs} principal components.",
    "augmentation": "The expression of each spot was augmented with that of its {n_neighbours} most similar neighbours "
    "(weight {augmentation}).",
    "network": "A denoising autoencoder containing a variational graph autoencoder was trained {n_seeds} times for up "
    "to {epochs} epochs on a graph of neighbouring spots (seed {seed}, {device}); the embedding of each training "
    "combines its decoded features with the features diffused over the graph.",
    "number": "The number of domains was not given; of 2 to {most_domains_tried}, the smallest number was chosen that "
    "predicts held-out blocks of the section with at least five sixths of the best gain in log-likelihood (where no "
    "gain is more than two standard errors above that of a single domain: within one standard error of the best).",
    "domains": "Each embedding was partitioned into {n_domains_asked} domains ({how}), refined over neighbouring "
    "spots in {refinement_rounds} rounds.",
    "evidence": "So were {n_views} views of the section without a network. Counts were split in two random halves; of "
    "the {n_members} partitions, the {n_voting} whose domains told one half from the other best counted in full in the "
    "consensus: those behind the best by less than three quarters of what is significant in a paired test over "
    "{n_blocks} blocks of the section (p < 0.05), at least half of all; the weights of others fell to 0.01. To this "
    "evidence ({gain} nats a count), {ingredients}.",
    "neighbours": "Domains that touch more or less often than by chance were identified by {n_permutations} "
    "permutations of the domains over the spots.",
    "genes": "Marker genes were identified by a Wilcoxon rank-sum test of each domain against all other spots "
    "(tie-corrected, on log-normalised counts), spatially variable genes by Moran's I over touching spots. p values "
    "were adjusted by the method of Benjamini and Hochberg. As the domains were found in the same counts, the p values "
    "of the markers only rank genes.",
}
CORRECTIONS = {"group": "groups of sections", "sample": "sections"}  # by correct_by: differences between what
COMMON_TEXT = (
    "The domains are those of {n_sections} sections: components of the genes that these share, {correction}, networks "
    "trained on a sample of all of them, and one mixture for each."
)
REFERENCE_TEXT = {  # "number" is of the reference, too
    "network": "No network was trained on the section: it was brought into the space of a reference "
    "(space.safetensors with SHA-256 {space_sha256}), whose networks, denoising autoencoders containing a variational "
    "graph autoencoder, trained {n_seeds} times for up to {epochs} epochs on a graph of neighbouring spots (seed "
    "{seed}, {device}), were applied as they are; the embedding of each combines its decoded features with the "
    "features diffused over the graph.",
    "number": "",
    "cohort": "The domains are those of the reference, learned from {n_sections} sections: components of the genes "
    "that these share, {correction}, and one mixture for each network. Spots unlike all tissue of the reference were "
    "left without a domain.",
}
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


def methods_text(records: Records, parameters: dict, image_source: str) -> dict[str, str]:
    """The methods as one sentence per topic, with the values that really ran; left out where a value is unknown."""
    training, domains = records.training, records.domains
    given = _shared_given(training) | parameters | {"image_source": image_source} | records.qc.thresholds.plain()
    given |= training.model_dump(include={"seed", "device", "epochs", "n_genes_used"})
    given |= domains.model_dump(include={"refinement_rounds", "n_domains_asked"})
    given["how"] = domains.methods[DOMAIN].how
    given |= _evidence_given(domains.evidence)
    if domains.choice:
        given["most_domains_tried"] = max(domains.choice.curve.n_domains)
    given["n_permutations"] = records.description.adjacency.n_permutations
    if records.image_qc:
        given["patch_um"] = ", ".join(f"{patch.patch_um:g}" for patch in records.image_qc.patches)
        given["patches"] = _patches_named(records.image_qc)
    if records.encoder:
        given |= {"encoder": _encoder_named(records.encoder), "encoder_device": _device_named(records.features)}
        given["precision"] = records.features.precision
    sentences = _sentences(training)
    sentences |= {"image": "No image was used."} if image_source == NO_IMAGE else {}
    return {topic: text for topic, sentence in sentences.items() if (text := _filled(sentence, given))}


def _sentences(training: TrainingRecord) -> dict[str, str]:
    """The sentences of a section by itself, of one of a cohort, or of one that was brought into a reference."""
    if training.reference:
        return METHODS_TEXT | REFERENCE_TEXT
    return METHODS_TEXT | ({"cohort": COMMON_TEXT} if training.cohort else {})


def _shared_given(training: TrainingRecord) -> dict:
    """What the sentences about a cohort or a reference are filled with, and the parameters of the latter's training."""
    used = training.reference or training.cohort
    if not used:
        return {}
    own = training.reference.parameters if training.reference else {}
    correct_by = training.reference.correct_by if training.reference else training.parameters["correct_by"]
    correction = f"corrected by Harmony for differences between {CORRECTIONS.get(correct_by, 'sections')}"
    found = {"n_sections": len(used.samples), "correction": correction if used.corrected else "not corrected"}
    sums = training.reference.files if training.reference else {}
    return own | found | {"space_sha256": sums.get("space.safetensors", "?")}


def _patches_named(image_qc: ImageQc) -> str:
    """The patches of a spot."""
    n_around = image_qc.patches_per_spot - 1
    around = f" (one in the centre and {n_around} at {image_qc.ring_um:g} µm from it, whose features were averaged)"
    return f"Square patches{around if n_around else ''}"


def _evidence_given(evidence: Evidence) -> dict:
    """What the sentence about the evidence is filled with."""
    added = [
        f"the {name} added {part.gain:.4f} ± {part.error:.4f} ({part.verdict})"
        for name, part in evidence.ingredients.items()
    ]
    return {
        "n_views": sum(member.kind == "view" for member in evidence.members),
        "n_members": len(evidence.members),
        "n_voting": sum(member.in_full for member in evidence.members),
        "n_blocks": evidence.n_blocks,
        "gain": f"{evidence.methods.efnst.gain:.4f}",
        "ingredients": ", ".join(added),
    }


def _encoder_named(encoder: EncoderRecord) -> str:
    """The encoder and its weights."""
    weights = "ImageNet weights" if encoder.output else f"the weights of {encoder.weights.file}"
    licence = licence_text(encoder.declaration)
    return f"{encoder.encoder} with {weights}{f' (licence: {licence})' if licence else ''}"


def _device_named(features: FeaturesRecord) -> str:
    """Where the encoder ran, and what of it that device left to the CPU."""
    left = ", ".join(f"{count} {kind}" for kind, count in features.operators_on_cpu.items())
    return f"{features.device} ({features.provider}{f'; left to the CPU: {left}' if left else ''})"


def _filled(sentence: str, given: dict) -> str | None:
    """`sentence` with its values, None if one of them is not known."""
    try:
        return sentence.format_map(given)
    except KeyError:
        return None


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
