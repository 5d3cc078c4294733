"""The methods text and its references."""

from dataclasses import replace

from tests.support.records import example

from efnst.provenance.methods import citations, methods_text
from efnst.records.domains import DomainsRecord, MethodRecord, UsedCohort, UsedReference
from efnst.records.encoder import EncoderDeclaration, EncoderRecord, FeaturesRecord
from efnst.records.quality import ImageQc, PatchScale
from efnst.records.section import Records


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
    parameters = {"image_pcs": 50, "n_seeds": 4}
    patches = [example(PatchScale, patch_um=width) for width in (100.0, 190.0)]
    imaged = {"image_qc": example(ImageQc, patches=patches, patches_per_spot=1, ring_um=0.0)}
    encoder = example(EncoderRecord, encoder="efficientnet-lite0", output="pooled")
    given = {"device": "openvino", "provider": "OpenVINO", "operators_on_cpu": {"ReduceSum": 2}}
    ran = example(FeaturesRecord, **given)
    text = methods_text(replace(records, **imaged, encoder=encoder, features=ran), parameters, "hires")
    assert "patches of 100, 190 µm" in text["image"]
    assert "hires image and encoded by efficientnet-lite0 with ImageNet weights," in text["image"]
    assert "run in fp32 on openvino (OpenVINO; left to the CPU: 2 ReduceSum)" in text["image"]
    own = example(EncoderRecord, encoder="mine", weights={"file": "own.onnx", "sha256": "0"})
    ran = ran.changed(device="cpu", provider="CPU", operators_on_cpu={})
    text = methods_text(replace(records, **imaged, encoder=own, features=ran), parameters, "hires")
    assert "encoded by mine with the weights of own.onnx, run in fp32 on cpu (CPU);" in text["image"]
    declared = example(EncoderDeclaration, licence="CC-BY-NC-ND-4.0", commercial=False)
    ringed = {"image_qc": example(ImageQc, patches=patches, patches_per_spot=7, ring_um=39.0)}
    told = methods_text(
        replace(records, **ringed, encoder=own.changed(declaration=declared), features=ran), parameters, "hires"
    )
    assert "with the weights of own.onnx (licence: CC-BY-NC-ND-4.0, no commercial use), run" in told["image"]
    assert told["image"].startswith("Square patches (one in the centre and 6 at 39 µm from it, whose features were")
    assert "4 times for up to 3 epochs" in text["network"]
    assert "(0.5000 nats a count), the text added 0.5000 ± 0.5000 (text)." in text["evidence"]
    assert "seed 7" in text["network"]
    assert "at least 3 counts" in text["quality"]
    assert "augmentation" not in text
    assert "image" not in methods_text(records, parameters, "hires")
    assert methods_text(records, parameters, "none")["image"] == "No image was used."


def test_a_cohort_is_said_to_be_corrected_where_it_was(records: Records) -> None:
    assert "cohort" not in methods_text(records, {}, "none")
    told = {}
    for corrected in (True, False):
        cohort = UsedCohort(samples=["a", "b", "c"], corrected=corrected)
        training = records.training.changed(cohort=cohort, parameters={"correct_by": "sample"})
        ran = replace(records, training=training)
        told[corrected] = methods_text(ran, {}, "none")["cohort"]
        assert ("Harmony" in citations(ran, False)) == corrected
    assert "of 3 sections" in told[True] and "corrected by Harmony for differences between sections," in told[True]
    assert "not corrected," in told[False] and "Harmony" not in told[False]


def test_with_a_reference_nothing_was_trained(records: Records) -> None:
    own = {"n_seeds": 2, "epochs": 20, "n_neighbours": 4, "augmentation": 0.2, "expression_pcs": 30}
    sums = {"space.safetensors": "0123abcd"}
    used = {"samples": ["a", "b"], "corrected": False, "correct_by": "none", "files": sums, "parameters": own}
    training = records.training.changed(reference=UsedReference(**used), parameters={})
    choice = {"n_domains": 2, "runner_up": None, "flat": False, "supported": True}
    curve = {key: [0.5] for key in ("stability", "sd", "se", "gain", "gain_se")} | {"n_domains": [2]}
    domains = records.domains.changed(choice=choice | {"curve": curve})
    ran = replace(records, training=training, domains=domains)
    text = methods_text(ran, {"epochs": 400, "clustering": "mixture"}, "none")
    assert text["network"].startswith("No network was trained on the section: it was brought into the space of a ref")
    assert "SHA-256 0123abcd" in text["network"] and "trained 2 times" in text["network"]
    assert "weight 0.2" in text["augmentation"]
    assert "of the reference, learned from 2 sections" in text["cohort"] and "not corrected" in text["cohort"]
    assert not text.get("number") and "number" in methods_text(replace(records, domains=domains), {}, "none")
    assert "Harmony" not in citations(ran, False)
