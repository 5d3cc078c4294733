"""The methods text and its references."""

from dataclasses import replace

from efnst.program.records import Records
from efnst.provenance.methods import citations, methods_text


def test_citations_are_of_what_was_done(records: Records) -> None:
    assert {"EfNST", "Leiden"} <= set(citations(records, False))
    assert not {"UMAP", "Macenko", "Reinhard", "EfficientNet"} & set(citations(records, False))
    ran = replace(records, features={"stain_normalisation": "macenko"}, encoder={"encoder": "efficientnet-b0"})
    assert {"UMAP", "Macenko", "EfficientNet"} <= set(citations(ran, True))
    how = records.domains["methods"] | {"efnst": {"how": "Gaussian mixture, spatial prior 0.3"}}
    assert "Spatial prior" not in citations(ran, True)
    assert "Spatial prior" in citations(replace(ran, domains=records.domains | {"methods": how}), True)


def test_methods_text_holds_what_ran_and_nothing_unknown(records: Records) -> None:
    parameters = {"image_pcs": 50, "n_seeds": 4}
    imaged = {"image_qc": {"patches": [{"patch_um": 100.0}, {"patch_um": 190.0}], "warnings": []}}
    encoder = {"encoder": "efficientnet-lite0", "output": "pooled", "weights": {"file": "a"}}
    ran = {"device": "openvino", "provider": "OpenVINO", "precision": "fp32", "operators_on_cpu": {"ReduceSum": 2}}
    text = methods_text(replace(records, **imaged, encoder=encoder, features=ran), parameters, "hires")
    assert "patches of 100, 190 µm" in text["image"]
    assert "hires image; efficientnet-lite0 with ImageNet weights described" in text["image"]
    assert "run in fp32 on openvino (OpenVINO; left to the CPU: 2 ReduceSum)" in text["image"]
    own = {"encoder": "mine", "weights": {"file": "own.onnx"}}
    ran |= {"device": "cpu", "provider": "CPU", "operators_on_cpu": {}}
    text = methods_text(replace(records, **imaged, encoder=own, features=ran), parameters, "hires")
    assert "mine with the weights of own.onnx described them, run in fp32 on cpu (CPU)," in text["image"]
    assert "4 times, for up to 3 epochs" in text["network"]
    assert "seed 7" in text["network"]
    assert "quality" not in text
    assert "image" not in methods_text(records, parameters, "hires")
    assert methods_text(records, parameters, "none")["image"] == "No image was used."
