"""What the sentences about the methods of a section depend on, and what they are filled with."""

from efnst.embedding.sketch import SKETCH_UNITS
from efnst.geometry.units import MANY_UNITS
from efnst.image.places import LATTICE_UM
from efnst.names import DOMAIN, NO_IMAGE
from efnst.program.numbers import with_error
from efnst.program.parameters import known_parameters
from efnst.records.domains import DomainsRecord, Evidence
from efnst.records.encoder import FINE_PX, EncoderRecord, FeaturesRecord, licence_text
from efnst.records.quality import ImageQc, SectionQc
from efnst.records.section import Records

TUNING = (  # of the network; said where they are not the defaults
    *("tolerance", "learning_rate", "decoder", "batch_norm_momentum", "input_noise", "graph_loss", "graph_weight"),
    "kl_weight",
)
CORRECTIONS = {"group": "groups of sections", "sample": "sections"}  # by correct_by: differences between what
KINDS = {"max_pct_mt": "mitochondrial", "max_pct_ribo": "ribosomal", "max_pct_hb": "haemoglobin"}
NO_OWN_WEIGHTS = ("-pytorch-model", "efficientnet-pytorch")  # ends of the names of packages that bring ImageNet's
STAINS = {"macenko": "stain", "reinhard": "colours"}


def facts_of(records: Records, parameters: dict, section: dict) -> dict:
    """All facts by name; parameters of networks that a reference trained are the reference's."""
    training, domains = records.training, records.domains
    given = parameters | (training.reference.parameters if training.reference else {})
    facts = given | training.model_dump(include={"seed", "device", "epochs", "n_genes_used"})
    facts |= domains.model_dump(include={"n_domains_asked", "n_domains_found", "n_labelled"})
    facts |= _quality(records.qc) | _units(section) | _shared(records, given) | _learning(records, given)
    facts |= _image(records, given, section)
    facts |= _domains(domains) | _votes(domains.evidence, facts["origin"] != "section")
    facts |= {"choice": "of the reference"} if facts["origin"] == "reference" else {}
    described = {"several": len(records.description.adjacency.domains) > 1}
    described["gene_sets"] = records.description.gene_sets is not None
    return facts | described | {"n_permutations": records.description.adjacency.n_permutations}


def _quality(qc: SectionQc) -> dict:
    """The limits that spots had to keep to."""
    limits = qc.thresholds.plain()
    least = [(limits["min_counts_per_spot"], "count"), (limits["min_genes_per_spot"], "gene")]
    most = [f"{limits[name]:g} % {kind}" for name, kind in KINDS.items() if limits[name] < 100]
    parts = [f"at least {counted(*pair)}" for pair in least] + ([f"at most {_listed(most)} counts"] if most else [])
    return {"n_spots": qc.n_spots_kept, "qc_mads": qc.qc_mads, "limits": _listed(parts)}


def _units(section: dict) -> dict:
    """What takes the place of spots."""
    if "unit_um" not in section:
        return {"units": "spots"}
    bin_um = section["bin_um"]
    return {
        "units": "as they are" if section["unit_um"] == bin_um else "summed",
        "Pieces": f"Bins of {bin_um:g} µm" if bin_um else "Cells",
        "piece": "bin" if bin_um else "cell",
        "unit_um": f"{section['unit_um']:g}",
        "unit_reason": section["unit_reason"],
    }


def _shared(records: Records, given: dict) -> dict:
    """Where the domains come from: the section, a cohort or a reference."""
    training = records.training
    used = training.reference or training.cohort
    origin = "section" if not used else "reference" if training.reference else "cohort"
    features = "shared genes" if used else "given" if given.get("expression_rep") else "genes of the section"
    facts = {"origin": origin, "features": features, "of_section": "sections" if used else "section"}
    if not used:
        return facts
    correct_by = training.reference.correct_by if training.reference else given.get("correct_by", "group")
    reason = " (all are of one group)" if correct_by == "group" else ""
    between = f"corrected by Harmony for differences between {CORRECTIONS.get(correct_by, 'sections')}"
    facts |= {"n_sections": len(used.samples), "correction": between if used.corrected else f"not corrected{reason}"}
    facts |= {"shared": f"{100 * given['shared_genes']:g}"} if "shared_genes" in given else {}
    sums = training.reference.files if training.reference else {}
    return facts | {"space_sha256": sums.get("space.safetensors", "?")}


def _learning(records: Records, given: dict) -> dict:
    """How the networks learned."""
    known, fused = known_parameters(), records.training.n_image_components_fused
    n_seeds, n_lent = given.get("n_seeds"), given.get("n_neighbours")
    drawn = [] if given.get("expression_rep") else ["a third, two thirds or all of the genes"]
    drawn += ["half, two thirds or all of the components"]
    drawn += ["once, twice or four times the diffusion"] if given.get("target") == "diffused" else []
    tuned = [name for name in TUNING if name in given and given[name] != known[name]["default"]]
    facts = {"drawn": "; ".join(drawn), "n_fused": fused, "lends": bool(n_lent and given.get("augmentation"))}
    facts |= {"is_sketched": records.qc.n_spots_kept > MANY_UNITS, "n_learned_from": SKETCH_UNITS}
    by_counts = "; spots with few counts follow their neighbours more" if given.get("weigh_by_counts") else ""
    facts |= {"by_counts": by_counts, "views_by_counts": "" if given.get("target") == "diffused" else by_counts}
    facts |= {"and_fused": " and those of the image" if fused else ""}
    facts |= {"alike_by": "these features" if given.get("expression_rep") else "expression"}
    facts |= {"tuned": _listed([f"{name} {given[name]}" for name in tuned])}
    facts |= {"times": "once" if n_seeds == 1 else f"{n_seeds} times"} if n_seeds else {}
    each = "The" if n_seeds == 1 else "Each"
    facts |= {"Each_embedding": f"{each} embedding", "Each_training": f"{each} training"}
    if n_lent:
        facts["neighbours"] = "most similar neighbour" if n_lent == 1 else f"{n_lent} most similar neighbours"
    return facts


def _image(records: Records, given: dict, section: dict) -> dict:
    """Whether there is an image, how it was described, and what part it had."""
    source, qc, features = section.get("image", {}).get("source"), records.image_qc, records.features
    facts = {"image": _part_of_image(records, given), "image_source": source, "and_image": ""}
    if source == NO_IMAGE or not (qc and features and records.encoder):
        return facts | {"image": "none" if source == NO_IMAGE else "unknown"}
    facts |= {"and_image": " and image"} if facts["image"] in ("fused", "weights") else {}
    by_reference = records.training.reference and not records.training.image
    facts["unused"] = _why_unused(records) if by_reference else ""
    weight = given.get("image_weight", 1)
    facts["image_scale"] = "" if weight == 1 else f" times {weight:g}"
    facts |= _patches(qc, features, records.qc.n_spots_kept, "reference" if records.training.reference else "cohort")
    facts["why_not_fused"] = _why_not_fused(given, qc)
    precision = {"precision": features.precision, "encoder_device": _device_named(features)}
    return facts | precision | {"encoder": _encoder_named(records.encoder)}


def _part_of_image(records: Records, given: dict) -> str:
    """What part the image had in the domains of a section that has one."""
    if not records.training.image or given.get("image_fusion") == "none":
        return "unused"
    if records.training.n_image_components_fused:
        return "fused"
    return "weights" if given.get("n_neighbours") and given.get("augmentation") else "unused"


def _why_unused(records: Records) -> str:
    """Why an image had no part in the domains of a reference."""
    if not records.training.n_image_components_fused:
        return ": the reference was learned without images"
    return f": patches of less than {FINE_PX} px show too little texture to stand beside it as in the reference"


def _why_not_fused(given: dict, qc: ImageQc) -> str:
    """Why an image that was to stand beside the expression does not."""
    if given.get("image_fusion") != "late":
        return ""
    px = min(patch.patch_um for patch in qc.patches) / qc.um_per_px
    reason = f"patches of less than {FINE_PX} px show" if px < FINE_PX else "its components have"
    return f": {reason} too little {'texture' if px < FINE_PX else 'spatial structure'} to stand beside the expression"


def _patches(qc: ImageQc, features: FeaturesRecord, n_spots: int, origin: str) -> dict:
    """The patches, where they were cut, and what was done to them."""
    n_around, n_widths = qc.patches_per_spot - 1, len(qc.patches)
    is_lattice = features.n_spots < n_spots
    stain, asked = features.stain_normalisation, features.asked.get("stain_normalisation", "none")
    done = f", brought to the median {STAINS[stain]} of the {origin} after {stain.title()}," if stain in STAINS else ""
    ring = f" (one in the centre and {n_around} at {qc.ring_um:g} µm from it, whose features were averaged)"
    return {
        "ring": ring if n_around else "",
        "patch_um": ", ".join(f"{patch.patch_um:g}" for patch in qc.patches),
        "side_by_side": ", whose features stand side by side," if n_widths > 1 else "",
        "where": f"on a lattice, every {LATTICE_UM} µm," if is_lattice else "around each spot",
        "between": ", interpolated between the patches" if is_lattice else "",
        "stain": ", as it is, for want of two stains," if stain == "none" != asked else done,
    }


def _domains(domains: DomainsRecord) -> dict:
    """How the domains were found and named."""
    rounds, views = domains.refinement_rounds, sum(member.kind == "view" for member in domains.evidence.members)
    over = f", refined over neighbouring spots in {counted(rounds, 'round')}" if rounds else ""
    left_out = f", without spots labelled {_listed(domains.ignore_labels)}" if domains.ignore_labels else ""
    facts = {"how": domains.methods[DOMAIN].how, "refined": over, "without_labels": left_out, "n_views": views}
    facts |= {"were_views": "was one view" if views == 1 else f"were {views} views"}
    facts |= {"and_each_view": f", and each of {views} views without a network," if views else ""}
    facts |= {"names": domains.names is not None, "but_names": ", but for the names," if domains.names else ""}
    if domains.choice:
        facts["choice"] = "supported" if domains.choice.supported else "not supported"
        facts["most_domains_tried"] = max(domains.choice.curve.n_domains)
    return facts


def _votes(evidence: Evidence, is_shared: bool) -> dict:
    """How the partitions voted, and what evidence each ingredient added."""
    members, n_blocks = evidence.members, evidence.n_blocks
    n_voting = sum(member.in_full for member in members)
    vote = "weighed" if n_voting < len(members) else "not told apart" if n_blocks < 2 else "all in full"
    vote = "none" if len(members) < 2 else "alike" if is_shared else vote
    added = [
        f"the {name} added {' ± '.join(with_error(part.gain, part.error))} ({part.verdict})"
        for name, part in evidence.ingredients.items()
    ]
    facts = {"vote": vote, "n_members": len(members), "n_voting": n_voting, "n_blocks": n_blocks}
    return facts | {"gain": f"{evidence.methods.efnst.gain:.4f}", "ingredients": ", ".join(added)}


def _encoder_named(encoder: EncoderRecord) -> str:
    """The encoder, its weights, and which of its outputs was taken."""
    is_known = encoder.output and encoder.weights.file.endswith(NO_OWN_WEIGHTS)
    weights = "ImageNet weights" if is_known else f"the weights of {encoder.weights.file}"
    licence = licence_text(encoder.declaration)
    logits = " (class logits)" if encoder.output == "logits" else ""
    return f"{encoder.encoder}{logits} with {weights}{f' (licence: {licence})' if licence else ''}"


def _device_named(features: FeaturesRecord) -> str:
    """Where the encoder ran, and what of it that device left to the CPU."""
    left = _listed([f"{count} {kind}" for kind, count in features.operators_on_cpu.items()])
    return f"{features.device} ({features.provider}{f'; left to the CPU: {left}' if left else ''})"


def counted(number: float, noun: str) -> str:
    """A number and what is counted: `1 count`, `3 counts`."""
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


def _listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
