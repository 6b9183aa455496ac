"""torchvision's classifiers by torchvision's own names, with what is published of them; recognised in files."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import nn

from composer import KnownNetwork, NetworkLibrary, Preprocessing
from composer_torchvision.network import ParametersOn, torchvision_models

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "layer1.0.conv1.weight": ("resnet", "resnext", "wide_resnet"),
    "features.denseblock1.denselayer1.conv1.weight": ("densenet",),
    "features.0.weight": ("alexnet", "vgg", "squeezenet"),
    "features.0.0.weight": ("convnext", "efficientnet", "mobilenet", "swin"),
    "encoder.layers.encoder_layer_0.ln_1.weight": ("vit",),
    "stem.0.weight": ("regnet",),
    "stem.0.0.weight": ("maxvit",),
    "layers.0.weight": ("mnasnet",),
    "conv1.0.weight": ("shufflenet",),
    "conv1.conv.weight": ("googlenet",),
    "Conv2d_1a_3x3.conv.weight": ("inception",),
}
"""A parameter -> families whose members have it: building all to compare takes ten seconds."""
OUTPUTS = 1000


class Torchvisions(NetworkLibrary):
    """All classifiers for pictures that torchvision has, also those that `architecture: torchvision` cannot be."""

    name = "torchvision"

    def names(self) -> list[str]:
        models = torchvision_models()
        names: list[str] = models.list_models(module=models)
        return names

    def network(self, name: str, outputs: int | None = None) -> KnownNetwork:
        """With the preprocessing and the classes of its newest published weights."""
        weights = torchvision_models().get_model_weights(name)["DEFAULT"]
        network = on_meta(name, outputs or OUTPUTS)
        prepare = weights.transforms()
        classes = tuple(weights.meta["categories"])
        text = (
            f"shorter side to {prepare.resize_size[0]}, {prepare.crop_size[0]}x{prepare.crop_size[0]} from the middle, "
            f"{prepare.interpolation.value}; mean {tuple(prepare.mean)}, std {tuple(prepare.std)} (torchvision's; "
            f"composer resizes the whole picture and cuts nothing off)"
        )
        return KnownNetwork(
            f"torchvision's {name}",
            network,
            last_linear(network),
            text,
            classes if (outputs or OUTPUTS) == len(classes) else (),
            prepared=Preprocessing(prepare.crop_size[0], tuple(prepare.mean), tuple(prepare.std)),
            written={"use": "torchvision", "model": name},
        )

    def candidates(self, names: Collection[str]) -> Iterable[str]:
        families = tuple(family for key, families in FAMILIES.items() if key in names for family in families)
        return [name for name in self.names() if name.startswith(families)] if families else []

    def why_none(self, name: str) -> str:
        there = name not in self.names() and name in torchvision_models().list_models()
        return "is a model of torchvision, but no classifier of pictures" if there else ""


def last_linear(network: nn.Module) -> str | None:
    """Name of the last linear layer, where it is also the last layer with weights."""
    named = [(name, module) for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return named[-1][0] if named and isinstance(named[-1][1], nn.Linear) else None


def on_meta(name: str, outputs: int) -> nn.Module:
    """torchvision's network without numbers, which costs neither time nor memory."""
    meta = ParametersOn(torch.device("meta"))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), meta:
        # googlenet and inception_v3 warn that their random start will change; here none is used.
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        network: nn.Module = torchvision_models().get_model(name, weights=None, num_classes=outputs)
    return network
