"""The methods of a section as text: each sentence is chosen by the options and facts that it depends on."""

from collections.abc import Callable
from typing import NamedTuple

from efnst.provenance.method_facts import facts_of
from efnst.records.section import Records


class Sentence(NamedTuple):
    """A sentence of a topic, filled with the facts of `facts_of`; it is left out where it does not hold of them."""

    topic: str
    text: str
    holds: Callable[[dict], object] = lambda _facts: True


def _is(**expected: object) -> Callable[[dict], bool]:
    """Whether facts are as expected."""
    return lambda facts: all(facts.get(name) == value for name, value in expected.items())


SENTENCES = (
    Sentence(
        "units",
        "{Pieces} were summed into squares of {unit_um} × {unit_um} µm ({unit_reason}), which take the place of spots "
        "below.",
        _is(units="summed"),
    ),
    Sentence("units", "{Pieces} take the place of spots below.", _is(units="as they are")),
    Sentence("quality", "Spots with {limits} were kept."),
    Sentence(
        "quality",
        "These limits are tighter than asked for where spots lie more than {qc_mads:g} scaled median absolute "
        "deviations from the section's median (counts and genes on a logarithmic scale).",
        lambda facts: facts.get("qc_mads"),
    ),
    Sentence("image", "No image was used.", _is(image="none")),
    Sentence(
        "image",
        "What the networks read of images was told from the section's expression.",
        lambda facts: facts["image"] == "none" and facts["n_fused"],
    ),
    Sentence(
        "image",
        "Square patches{ring} of {patch_um} µm{side_by_side} were cut from the {image_source} image {where}{stain} and "
        "encoded by {encoder}, run in {precision} on {encoder_device}.",
        lambda facts: facts["image"] != "none",
    ),
    Sentence("image", "The image had no part in the domains{unused}.", _is(image="unused")),
    Sentence(
        "image",
        "The image features were reduced to at most {image_pcs} principal components{between}.",
        lambda facts: facts["image"] in ("fused", "weights"),
    ),
    Sentence(
        "image",
        "Beside the expression the networks read {n_fused} of these, those with spatial structure, each with its "
        "Moran's I{image_scale} as standard deviation.",
        _is(image="fused"),
    ),
    Sentence(
        "image",
        "They only had a part in which neighbours are similar{why_not_fused}.",
        _is(image="weights"),
    ),
    Sentence(
        "expression",
        "Counts were normalised by library size and log-transformed; the {n_genes_used} genes with the largest Moran's "
        "I of those seen in {min_spots_per_gene} or more spots were reduced to at most {expression_pcs} principal "
        "components.",
        _is(features="genes of the section"),
    ),
    Sentence(
        "expression",
        "Counts were normalised by library size and log-transformed; of the genes that at least {shared} % of the "
        "sections measure, seen in {min_spots_per_gene} or more spots, the {n_genes_used} with the best mean rank of "
        "Moran's I were reduced to at most {expression_pcs} principal components.",
        _is(features="shared genes"),
    ),
    Sentence(
        "expression",
        "Features that came with the counts ({expression_rep}) took the place of expression; they were reduced to at "
        "most {expression_pcs} principal components.",
        _is(features="given"),
    ),
    Sentence(
        "cohort",
        "The domains are those of {n_sections} sections: components of the genes that these share, {correction}, "
        "networks trained on a sample of all of them, and one mixture for each.",
        _is(origin="cohort"),
    ),
    Sentence(
        "cohort",
        "The domains are those of the reference, learned from {n_sections} sections: components of the genes that "
        "these share, {correction}, and one mixture for each network.",
        _is(origin="reference"),
    ),
    Sentence(
        "augmentation",
        "Each spot was augmented with its {neighbours} by {alike_by}{and_image} (weight {augmentation}).",
        lambda facts: facts["lends"],
    ),
    Sentence(
        "network",
        "A denoising autoencoder containing a variational graph autoencoder was trained {times} for up to {epochs} "
        "epochs on a graph that joins each spot to its {graph_neighbours} nearest (seed {seed}, {device}).",
        lambda facts: facts["origin"] != "reference",
    ),
    Sentence(
        "network",
        "No network was trained on the section: it was brought into the space of a reference (space.safetensors with "
        "SHA-256 {space_sha256}), whose networks were applied as they are.",
        _is(origin="reference"),
    ),
    Sentence(
        "network",
        "These are denoising autoencoders containing a variational graph autoencoder, trained {times} for up to "
        "{epochs} epochs on a graph that joins each spot to its {graph_neighbours} nearest (seed {seed}, {device}).",
        _is(origin="reference"),
    ),
    Sentence(
        "network",
        "Of {n_spots:,} spots, whole tiles with some {n_learned_from:,} in all were learned from.",
        lambda facts: facts["origin"] == "section" and facts["is_sketched"],
    ),
    Sentence(
        "network",
        "{Each_training} drew a view of its own: {drawn}.",
        _is(vary_views=True),
    ),
    Sentence(
        "network",
        "Decoded are the components without augmentation{and_fused}, diffused over neighbouring spots (strength "
        "{diffusion:g}{by_counts}).",
        _is(target="diffused"),
    ),
    Sentence("network", "Decoded are the inputs themselves.", _is(target="inputs")),
    Sentence(
        "network",
        "The embedding of a training is the first {embedding_dims} principal components of what it was asked for and "
        "what it decoded, side by side.",
        _is(embedding="decoded"),
    ),
    Sentence("network", "The embedding of a training is its latent space.", _is(embedding="latent")),
    Sentence("network", "Set otherwise than by default: {tuned}.", lambda facts: facts["tuned"]),
    Sentence(
        "number",
        "The number of domains was not given; of 2 to {most_domains_tried}, the smallest number was chosen that "
        "predicts held-out blocks of the {of_section} with at least five sixths of the best gain in log-likelihood.",
        _is(choice="supported"),
    ),
    Sentence(
        "number",
        "The number of domains was not given; none of 2 to {most_domains_tried} predicts held-out blocks of the "
        "{of_section} better than a single domain by more than two standard errors, and the smallest within one "
        "standard error of the best was chosen.",
        _is(choice="not supported"),
    ),
    Sentence(
        "domains",
        "{Each_embedding} was partitioned into {n_domains_asked} domains ({how}){refined}.",
        _is(origin="section"),
    ),
    Sentence(
        "domains",
        "So {were_views} of the section without a network: half or all of the components{and_fused}, diffused over "
        "neighbouring spots with once, twice and four times a strength of {diffusion:g}{views_by_counts}.",
        lambda facts: facts["origin"] == "section" and facts["n_views"],
    ),
    Sentence(
        "domains",
        "{Each_embedding}{and_each_view} was divided by a mixture into the {n_domains_asked} domains that the sections "
        "share ({how}){refined}; {n_domains_found} of them are in this one.",
        lambda facts: facts["origin"] != "section",
    ),
    Sentence(
        "domains", "Spots unlike all tissue of the reference were left without a domain.", _is(origin="reference")
    ),
    Sentence(
        "evidence",
        "Evidence for domains is how much better their profiles in one random half of the counts tell the other half "
        "than the section's mean profile does.",
    ),
    Sentence(
        "evidence",
        "Of the {n_members} partitions, the {n_voting} with the most evidence counted in full in the consensus: those "
        "behind the best by less than three quarters of what is significant in a paired test over {n_blocks} blocks of "
        "the section (p < 0.05), at least half of all; the weights of the others fell from there, down to 0.01.",
        _is(vote="weighed"),
    ),
    Sentence(
        "evidence",
        "All {n_members} partitions counted in full in the consensus: none of the worse half was behind the best by "
        "more than three quarters of what is significant in a paired test over {n_blocks} blocks of the section (p < "
        "0.05).",
        _is(vote="all in full"),
    ),
    Sentence(
        "evidence",
        "All {n_members} partitions counted in full in the consensus; the section is too small to tell them apart.",
        _is(vote="not told apart"),
    ),
    Sentence("evidence", "All {n_members} partitions counted alike in the consensus.", _is(vote="alike")),
    Sentence(
        "evidence",
        "To this evidence ({gain} nats a count), {ingredients}.",
        lambda facts: facts["ingredients"],
    ),
    Sentence("evidence", "That of these domains is {gain} nats a count.", lambda facts: not facts["ingredients"]),
    Sentence(
        "bins",
        "Each {piece} took its domain from its own counts, the squares around it and its neighbours.",
        _is(units="summed"),
    ),
    Sentence(
        "names",
        "Names of domains were learned from the labels of other sections, by linear discriminants of diffused "
        "components.",
        lambda facts: facts["names"],
    ),
    Sentence(
        "labels",
        "Labels{but_names} had no part in this; the domains were compared with them by the adjusted Rand index"
        "{without_labels}.",
        lambda facts: facts["n_labelled"],
    ),
    Sentence(
        "neighbours",
        "Domains that touch more or less often than by chance were identified by {n_permutations} permutations of the "
        "domains over the spots.",
        _is(several=True),
    ),
    Sentence(
        "genes",
        "Marker genes were identified by a Wilcoxon rank-sum test of each domain against all other spots "
        "(tie-corrected, on log-normalised counts), spatially variable genes by Moran's I over touching spots. p "
        "values were adjusted by the method of Benjamini and Hochberg. As the domains were found in the same counts, "
        "the p values of the markers only rank genes.",
        _is(several=True),
    ),
    Sentence(
        "genes",
        "Spatially variable genes were identified by Moran's I over touching spots; p values were adjusted by the "
        "method of Benjamini and Hochberg.",
        _is(several=False),
    ),
    Sentence(
        "genes",
        "The activity of gene sets in each domain is that of univariate linear models (decoupler).",
        lambda facts: facts["gene_sets"],
    ),
)


def methods_text(records: Records, parameters: dict, section: dict) -> dict[str, str]:
    """The methods as text by topic, with the values that really ran; `section`: uns["section"] as plain values.

    A sentence with a value that is not known is left out.
    """
    facts, found = facts_of(records, parameters, section), {}
    for sentence in SENTENCES:
        text = _filled(sentence, facts)
        if text:
            found[sentence.topic] = f"{found[sentence.topic]} {text}" if sentence.topic in found else text
    return found


def _filled(sentence: Sentence, facts: dict) -> str | None:
    """A sentence with its values; None where it does not hold, or one of them is not known."""
    try:
        return sentence.text.format_map(facts) if sentence.holds(facts) else None
    except KeyError:
        return None
