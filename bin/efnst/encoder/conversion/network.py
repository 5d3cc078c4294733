"""Networks of PyTorch: an architecture of timm with weights, or a TorchScript file; images in, features out."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from efnst.encoder.cache import sha256
from efnst.encoder.conversion.weights import fill, from_hub, names, read_state, weight_files
from efnst.encoder.declaration import IMAGENET_MEAN, IMAGENET_STD
from efnst.encoder.recipes import Recipe
from efnst.errors import EfnstError

UNUSED = ("mask_token",)  # of training alone


@dataclass(frozen=True)
class Network:
    """A network of images [n, 3, input_px, input_px], whose `facts` are fields of its declaration."""

    module: nn.Module
    facts: dict

    def with_facts(self, facts: dict) -> "Network":
        """The same where some facts, those not None, are others."""
        return replace(self, facts=self.facts | {key: value for key, value in facts.items() if value is not None})


class Pooled(nn.Module):
    """A network whose features are those that `pooling` says: of its tokens, or as the network gives them.

    The first `n_prefix` tokens are that of the class and registers; the rest are those of the patches.
    """

    def __init__(self, network: nn.Module, pooling: str, n_prefix: int) -> None:
        super().__init__()
        self.network, self.pooling, self.n_prefix = network, pooling, n_prefix

    def forward(self, images: Tensor) -> Tensor:
        """Features [n, n_features] of `images`."""
        if self.pooling == "network":
            return self.network(images)
        tokens = getattr(self.network, "forward_features", self.network)(images)
        kinds = {"class": tokens[:, 0], "mean": tokens[:, self.n_prefix :].mean(1)}
        return torch.cat(list(kinds.values()), 1) if self.pooling == "both" else kinds[self.pooling]


def of_recipe(recipe: Recipe, weights: Path | None, untrained: bool, pooling: str | None) -> Network:
    """The network of a recipe, with the weights of a file or folder, else from the hub."""
    network = _timm(recipe.architecture, recipe.arguments)
    source = {} if untrained else _load(network, weights, recipe.source)
    kept = {"name", "input_px", "um_per_px", "mean", "std", "licence", "commercial", "source"}
    facts = recipe.model_dump(include=kept) | source
    return _pooled(network, pooling or recipe.pooling, network.num_prefix_tokens, facts)


def of_timm(
    architecture: str, weights: Path | None, untrained: bool, pooling: str | None, input_px: int | None
) -> Network:
    """Any architecture of timm, which knows its colours and size."""
    network = _timm(architecture, {"img_size": input_px} if input_px else {})
    known = network.pretrained_cfg
    repository = known.get("hf_hub_id") or ""
    source = {} if untrained else _load(network, weights, repository)
    facts = {"name": architecture, "input_px": input_px or known["input_size"][-1]}
    facts |= {"mean": list(known["mean"]), "std": list(known["std"])}
    facts |= {"source": f"timm {architecture}", "licence": known.get("license") if not weights else None}
    facts = {key: value for key, value in facts.items() if value is not None} | source
    return _pooled(network, pooling or "network", getattr(network, "num_prefix_tokens", 0), facts)


def of_torchscript(file: Path, pooling: str | None, input_px: int | None) -> Network:
    """The network in a TorchScript file, whose code is run."""
    if input_px is None:
        raise EfnstError("Expected --input_px for a TorchScript file, which does not tell the width of its images.")
    if not file.is_file():
        raise EfnstError(f"Expected a TorchScript file in `{file}`, found no such file.")
    try:
        network = torch.jit.load(str(file), map_location="cpu").eval()
    except RuntimeError as error:
        raise EfnstError(
            f"Expected `{file.name}` to be TorchScript, found: {' '.join(str(error).split())[:200]}. Weights alone are "
            "given with --weights, to the architecture that they are of."
        ) from error
    facts = {"name": file.stem, "input_px": input_px, "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}
    return _pooled(network, pooling or "network", 1, facts | {"source": file.name, "weights_sha256": sha256(file)})


def _pooled(network: nn.Module, pooling: str, n_prefix: int, facts: dict) -> Network:
    """The network with its pooling, ready for inference."""
    if pooling != "network" and n_prefix == 0:
        raise EfnstError(f"Expected a network with a class token for --pooling {pooling}, found that it has none.")
    return Network(Pooled(network, pooling, n_prefix).eval(), facts | {"pooling": pooling})


def _timm(architecture: str, arguments: dict) -> nn.Module:
    """An architecture of timm without classifier, its weights random."""
    import timm

    if not timm.is_model(architecture):
        near = ", ".join(timm.list_models(f"*{architecture.split('.')[0][:12]}*")[:5]) or "none"
        raise EfnstError(f"Expected an architecture of timm, found `{architecture}`. Similar: {near}.")
    layers = {"mlp_layer": timm.layers, "act_layer": nn}  # arguments that name a class
    given = {key: getattr(layers[key], value) if key in layers else value for key, value in arguments.items()}
    torch.manual_seed(0)
    try:
        return timm.create_model(architecture, pretrained=False, num_classes=0, **given)
    except TypeError as error:
        raise EfnstError(f"Expected {architecture} to take {', '.join(given)}, found that it does not.") from error


def _load(network: nn.Module, weights: Path | None, repository: str) -> dict:
    """Load weights from a file or folder, else from a repository of the hub; what the declaration says of them."""
    if weights is None and not repository:
        raise EfnstError("Expected --weights, since timm knows of no weights for this architecture.")
    files = weight_files(weights) if weights else from_hub(repository)
    module = sys.modules[type(network).__module__]
    convert = getattr(module, "checkpoint_filter_fn", lambda state, _network: state)
    classifier = network.pretrained_cfg.get("classifier") or ()
    spare = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    fill(network, read_state(files), lambda state: convert(state, network), (*spare, *UNUSED))
    source = f"{names(files).replace('`', '')}{'' if weights else f' of {repository}'}"
    return {"source": source} | ({"weights_sha256": sha256(files[0])} if len(files) == 1 else {})
