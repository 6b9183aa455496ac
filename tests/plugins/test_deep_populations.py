"""The whole job on populations with batch norm and attention: kernels out, and networks made anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from composer import Architecture, Assembler, ComposedModel, KernelExtractor, KernelSet, Population, Run, Translator
from composer_assembly import Refit, Transplant
from composer_cifar_resnet import CifarResNet
from composer_controls import Random
from composer_cyclegan import CycleGAN
from composer_kernels import Convolutions, Linear
from composer_merging import AlignedMean
from composer_timm import Timm
from composer_torchvision import Torchvision
from composer_training import Distil, Train
from composer_vit import ViT
from tiny import training_images

RESNET, VIT = CifarResNet(filters=2, size=16), ViT(width=8, layers=1, heads=2, size=16)
PICTURES = {concept: training_images(concept, count=40) for concept in ("black", "cat")}
FEW = {"epochs": 1, "batch": 20, "members": 2}
Trained = Callable[[Architecture], list[Population]]


@pytest.fixture(scope="module")
def trained() -> Trained:
    """Parents of an architecture, trained once."""
    known: dict[str, list[Population]] = {}

    def parents(architecture: Architecture) -> list[Population]:
        if (key := str(architecture.options())) not in known:
            source = Train.model_validate({**FEW, "architecture": architecture})
            known[key] = [
                source.load(concept, Run(seed=3, pictures=(pictures,))) for concept, pictures in PICTURES.items()
            ]
        return known[key]

    return parents


@pytest.mark.parametrize("architecture", [RESNET, VIT], ids=["resnet", "vit"])
def test_the_same_seed_gives_the_same_bytes(trained: Trained, architecture: Architecture) -> None:
    known = trained(architecture)[1]
    source = Train.model_validate({**FEW, "architecture": architecture})
    again = source.load("cat", Run(seed=3, pictures=(PICTURES["cat"],)))
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in known.weights.items())
    assert len({tensor.numpy().tobytes() for tensor in known.weights[f"{architecture.head}.weight"]}) == 2


@pytest.mark.parametrize("architecture", [RESNET, VIT], ids=["resnet", "vit"])
def test_half_the_bits_learn_as_well(trained: Trained, architecture: Architecture) -> None:
    curves = []
    for precision in ("float32", "bfloat16"):
        own = Run(seed=3, pictures=(PICTURES["cat"],))
        source = Train.model_validate({**FEW, "architecture": architecture, "precision": precision})
        weights = source.load("cat", own).weights
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
        curves.append(own.figures["training"].series["median member"])  # type: ignore[union-attr]
    assert curves[0] != curves[1]
    assert curves[0] == pytest.approx(curves[1], rel=0.05)


def run() -> Run:
    return Run(seed=4, pictures=tuple(PICTURES.values()))


def extracted(extractor: KernelExtractor, parents: list[Population]) -> list[KernelSet]:
    return [extractor.extract(parent, run()) for parent in parents]


@pytest.mark.parametrize(
    ("architecture", "extractor", "translator"),
    [
        (RESNET, Convolutions(), CycleGAN(epochs=1)),
        (VIT, Linear(), CycleGAN(epochs=1)),
        (VIT, Linear(), Random()),
    ],
    ids=["resnet", "vit", "random kernels"],
)
def test_translated_kernels_make_networks_with_a_head_that_answers(
    trained: Trained, architecture: Architecture, extractor: KernelExtractor, translator: Translator
) -> None:
    parents = trained(architecture)
    kernels = translator.translate(extracted(extractor, parents), run())
    (body,) = Transplant(rest="object").assemble(kernels, parents, run()).parts
    assert not architecture.misfit(body.weights, head=False)
    layer = "blocks.0.attn.qkv" if architecture == VIT else "layer1.0.conv1"
    assert torch.equal(body.weights[f"{layer}.weight"].flatten(), kernels.layers[layer].flatten())
    answered(Refit(rest="object").assemble(kernels, parents, run()))


@pytest.mark.parametrize("assembler", [AlignedMean(), Distil(steps=2, batch=20)], ids=["merged", "distilled"])
@pytest.mark.parametrize("architecture", [RESNET, VIT], ids=["resnet", "vit"])
def test_parents_become_one_network(trained: Trained, architecture: Architecture, assembler: Assembler) -> None:
    model = assembler.assemble(None, trained(architecture), run())
    assert {part.architecture for part in model.parts} == {architecture}
    answered(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    [Torchvision(model="mobilenet_v3_small", size=32), Timm(model="test_vit", size=32)],
    ids=["torchvision", "timm"],
)
def test_networks_of_others_go_through_at_a_small_input(trained: Trained, architecture: Architecture) -> None:
    if isinstance(architecture, Timm):
        pytest.importorskip("timm")
    parents = trained(architecture)
    before = architecture.build(2).state_dict()
    for name, tensor in parents[0].weights.items():
        assert tensor.shape == (2, *before[name].shape)
        if name.endswith("running_mean"):
            assert not torch.equal(tensor[0], before[name]), "running statistics are the pictures'"
    (_, kernels) = extracted(Linear(), parents)
    answered(Refit(rest="object").assemble(kernels, parents, run()))


def answered(model: ComposedModel) -> None:
    """Log-odds of the target for every picture, finite, and not the same for all."""
    log_odds = model.log_odds(training_images("cat", count=12, seed=6))
    assert log_odds.isfinite().all()
    assert (log_odds.std(1) > 0).all()
