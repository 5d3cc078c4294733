"""From a network of PyTorch to a graph: weights, pooling, the check against PyTorch, the declaration."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from efnst.encoder.conversion import convert as conversion
from efnst.encoder.conversion.convert import convert, facts_given
from efnst.encoder.conversion.network import Network, Pooled, of_torchscript
from efnst.encoder.conversion.weights import fill, read_state, weight_files
from efnst.encoder.declaration import read_declaration
from efnst.encoder.efficientnet import images_to_onnx, run_graph
from efnst.encoder.external import gather
from efnst.encoder.own import export_own_encoder
from efnst.errors import EfnstError

FACTS = {"name": "tiny", "input_px": 16, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "pooling": "network"}


class Tokens(nn.Module):
    """A class token, a register and four patch tokens of 8 features, as a vision transformer gives them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 8, 8, 8)

    def forward_features(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat([patches.sum(1, keepdim=True), patches[:, :1] * 100, patches], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_features(images)[:, 0] * 2


def tiny(pooling: str = "network") -> Network:
    return Network(Pooled(Tokens(), pooling, 2).eval(), FACTS | {"pooling": pooling})


def test_a_graph_with_its_declaration(tmp_path: Path) -> None:
    network = tiny().with_facts({"um_per_px": 0.5, "licence": "MIT", "commercial": True, "name": None})
    convert(network, tmp_path / "tiny.onnx", half=False, threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.onnx"]
    declared = read_declaration(tmp_path / "tiny.json", tmp_path / "tiny.onnx")
    assert (declared.name, declared.n_features, declared.licence) == ("tiny", 8, "MIT")
    assert declared.um_per_px_range == [0.25, 0.75] and declared.multiply_adds == 4 * 8 * 3 * 64
    assert declared.parity.least_cosine > 0.999999 and declared.parity.n_patches == 32
    assert export_own_encoder(tmp_path / "tiny.onnx", declared, tmp_path / "encoder.onnx") == 8
    patches = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    images = torch.from_numpy(patches).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = network.module((images - 0.5) / 0.25).numpy()
    assert np.allclose(run_graph(tmp_path / "encoder.onnx", patches), expected, atol=1e-4)


@pytest.mark.parametrize("pooling", ["class", "mean", "both"])
def test_pooling_is_part_of_the_graph(pooling: str, tmp_path: Path) -> None:
    convert(tiny(pooling), tmp_path / "tiny.onnx", half=False, threads=1)
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        tokens = Tokens().forward_features(images)
    kinds = {"class": tokens[:, 0], "mean": tokens[:, 2:].mean(1)}
    expected = torch.cat(list(kinds.values()), 1) if pooling == "both" else kinds[pooling]
    session = conversion.open_file(tmp_path / "tiny.onnx", 1)
    assert np.allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-4)


def test_half_computes_in_fp16(tmp_path: Path) -> None:
    declared = convert(tiny(), tmp_path / "tiny.onnx", half=True, threads=1)
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "tiny.onnx").graph.initializer}
    assert declared.precision == "fp16" and onnx.TensorProto.FLOAT16 in kinds
    assert 0.999 <= declared.parity.least_cosine < 1


def test_a_graph_that_does_not_agree_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(module: nn.Module, image_shape: tuple[int, ...], path: Path) -> None:
        with torch.no_grad():
            module.network.patches.weight[:, 0] *= -1
        images_to_onnx(module, image_shape, path)

    monkeypatch.setattr(conversion, "images_to_onnx", wrong)
    with pytest.raises(EfnstError, match=r"cosine of at least 0\.999 to PyTorch's, found -?0\.\d+ on 32 patches"):
        convert(tiny(), tmp_path / "tiny.onnx", half=False, threads=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tiny.onnx", "tiny.json", "tiny.onnx.data"])
def test_nothing_is_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(EfnstError, match=rf"Expected a new --output, found .*{re.escape(name)}"):
        convert(tiny(), tmp_path / "tiny.onnx", half=False, threads=1)
    assert (tmp_path / name).read_text() == "mine"


def test_what_a_user_gives_is_checked_before_the_work(tmp_path: Path) -> None:
    facts = facts_given(mean="0.5,0.4,0.3", std=None, licence="a\nb", name=None)
    assert facts == {"mean": [0.5, 0.4, 0.3], "licence": "a\nb", "name": None}
    with pytest.raises(EfnstError, match="--licence: String should match"):
        convert(tiny().with_facts(facts), tmp_path / "tiny.onnx", half=False, threads=1)
    with pytest.raises(EfnstError, match=r"--mean to be three numbers .* found `0\.5`"):
        facts_given(mean="0.5", std=None)


def test_tokens_need_a_pooling(tmp_path: Path) -> None:
    torch.jit.trace(AllTokens().eval(), torch.rand(2, 3, 16, 16)).save(tmp_path / "tokens.pt")
    with pytest.raises(EfnstError, match=r"found shape \[32, 6, 8\].*--pooling class, mean or both"):
        convert(of_torchscript(tmp_path / "tokens.pt", None, 16), tmp_path / "a.onnx", half=False, threads=1)
    declared = convert(of_torchscript(tmp_path / "tokens.pt", "both", 16), tmp_path / "a.onnx", half=False, threads=1)
    assert (declared.name, declared.n_features, declared.source) == ("tokens", 16, "tokens.pt")


class AllTokens(Tokens):
    """The same where the network itself gives the tokens."""

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_features(images)


def test_a_torchscript_file_says_nothing_of_its_width(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="--input_px"):
        of_torchscript(tmp_path / "a.pt", None, None)
    with pytest.raises(EfnstError, match="found no such file"):
        of_torchscript(tmp_path / "a.pt", None, 16)
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(EfnstError, match=r"`a\.pt` to be TorchScript"):
        of_torchscript(tmp_path / "a.pt", None, 16)


STATE = {"patches.weight": torch.ones(8, 3, 8, 8), "patches.bias": torch.zeros(8)}
FORMS = {
    "plain": STATE,
    "wrapped": {"epoch": 3, "state_dict": STATE},
    "twice": {"model": {"teacher": STATE}},
    "prefixed": {f"backbone.{key}": value for key, value in STATE.items()},
    "with a classifier": STATE | {"head.weight": torch.zeros(5, 8)},
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_in_the_forms_that_training_programs_write(form: str, tmp_path: Path) -> None:
    torch.save(FORMS[form], tmp_path / "weights.pth")
    network = Tokens()
    fill(network, read_state(weight_files(tmp_path)), lambda state: state, ("head",))
    assert float(network.patches.weight.min()) == 1


def test_weights_in_parts(tmp_path: Path) -> None:
    for number, (key, value) in enumerate(STATE.items(), 1):
        save_file({key: value}, tmp_path / f"model-0000{number}-of-00002.safetensors")
    (tmp_path / "optimizer.bin").write_bytes(b"")
    assert read_state(weight_files(tmp_path)).keys() == STATE.keys()


def test_weights_that_are_ambiguous_or_missing(tmp_path: Path) -> None:
    with pytest.raises(EfnstError, match="found no such file or folder"):
        weight_files(tmp_path / "none")
    with pytest.raises(EfnstError, match="found none"):
        weight_files(tmp_path)
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).touch()
    with pytest.raises(EfnstError, match=r"found `a\.pth`, `b\.pth`: name one"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({"patches.weight": STATE["patches.weight"]}, r"1 missing and 0 unknown \(patches\.bias\)"),
        (STATE | {"blocks.0": torch.zeros(1)}, r"0 missing and 1 unknown \(blocks\.0\)"),
        (STATE | {"patches.bias": torch.zeros(9)}, "size mismatch"),
    ],
)
def test_weights_of_another_network_are_refused(state: dict, found: str) -> None:
    with pytest.raises(EfnstError, match=found):
        fill(Tokens(), state, lambda state: state, ("head",))


class Running:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("ran"),)


def test_no_code_of_weights_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Running()}, "weights.pth")
    with pytest.raises(EfnstError, match=r"Expected `weights\.pth` to hold weights"):
        read_state([Path("weights.pth")])
    assert not Path("ran").exists()
    torch.load("weights.pth", weights_only=False)
    assert Path("ran").exists(), "a file that does nothing tests nothing"


def test_weights_in_many_files_are_gathered_in_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 64, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 32)).eval()
    (tmp_path / "parts").mkdir()
    images_to_onnx(network, (3, 16, 16), tmp_path / "whole.onnx")
    model = onnx.load(tmp_path / "whole.onnx")
    onnx.save(model, tmp_path / "parts" / "a.onnx", save_as_external_data=True, all_tensors_to_one_file=False)
    assert len(list((tmp_path / "parts").iterdir())) > 2
    gather(tmp_path / "parts" / "a.onnx", tmp_path / "mine.onnx")
    assert (tmp_path / "mine.onnx").stat().st_size < (tmp_path / "mine.onnx.data").stat().st_size
    (tmp_path / "mine.json").write_text(json.dumps({"input_px": 16}))
    declared = read_declaration(tmp_path / "mine.json", tmp_path / "mine.onnx")
    for name in ("whole", "mine"):
        (tmp_path / name).mkdir()
        export_own_encoder(tmp_path / f"{name}.onnx", declared, tmp_path / name / "encoder.onnx")
    patches = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    whole, mine = (run_graph(tmp_path / name / "encoder.onnx", patches) for name in ("whole", "mine"))
    assert np.array_equal(whole, mine)
