from __future__ import annotations

import pickle
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

import composer_torchvision
from composer import ComposerError
from composer.models.inspection import Inspection, inspect_model
from composer.models.known_networks import recognise, shapes_of, trained
from composer.networks.layers import layers_of_network, layers_of_shapes, unstacked
from composer.registry import Registry
from composer_cnn import CNN
from composer_torchvision.library import Torchvisions, last_linear
from saved_run import saved_run
from tiny import tiny_population

REGISTRY = Registry(
    EntryPoint(name, f"composer_{name}", "composer") for name in ("cnn", "training", "drawings", "cifar_resnet")
)
REGISTRY.watch(composer_torchvision)  # for the library's networks alone, not for its components


def inspect(model: Path | str) -> Inspection:
    (found,) = inspect_model(str(model), REGISTRY)
    return found


def abilities(found: Inspection) -> list[bool]:
    """Whether kernels can be extracted, units aligned, networks assembled from kernels, and the whole be a parent."""
    return [ability.able for ability in found.abilities]


# -- what is what ------------------------------------------------------------------------------


def test_a_plain_network_can_be_used_in_every_way(tmp_path: Path) -> None:
    torch.save(CNN().build(2).state_dict(), tmp_path / "model.pth")
    found = inspect(tmp_path / "model.pth")
    assert [(layer.name, layer.kind, layer.shape) for layer in found.layers] == [
        ("conv1", "convolution", (6, 3, 5, 5)),
        ("conv2", "convolution", (16, 6, 5, 5)),
        ("fc1", "head", (2, 400)),
    ]
    assert found.facts["network"] == "architecture cnn (filters: [6, 16], kernel_size: 5, size: 32)"
    assert found.facts["outputs"] == "2, from 400 features in 'fc1'"
    assert found.facts["parameters"] == "3,674"
    assert abilities(found) == [True, True, True, True]


def test_batch_norm_keeps_kernels_alone_from_making_the_network() -> None:
    found = inspect("resnet18")
    assert abilities(found) == [True, True, False, True]
    assert [layer.why for layer in found.layers if layer.name == "bn1"] == [
        "a scale and a shift for each channel, no kernels"
    ]
    assert "kernels cannot fill bn1 and 19 more (normalisation)" in found.abilities[2].why
    assert found.facts["outputs"].startswith("1000 (tench, goldfish, ")
    assert "224x224" in found.facts["preprocessing"]
    assert "(0.485, 0.456, 0.406)" in found.facts["preprocessing"]


def test_grouped_convolutions_cannot_be_extracted_and_only_depthwise_ones_follow_their_channels() -> None:
    grouped = next(layer for layer in inspect("resnext50_32x4d").layers if layer.kind == "grouped convolution")
    assert (grouped.extract, grouped.align, grouped.groups) == (False, "no", 32)
    assert abilities(inspect("resnext50_32x4d")) == [True, False, False, True]
    depthwise = next(layer for layer in inspect("mobilenet_v2").layers if layer.kind == "grouped convolution")
    assert (depthwise.extract, depthwise.align) == (False, "with the layer before")
    assert abilities(inspect("mobilenet_v2")) == [True, True, False, True]


def test_attention_cannot_be_aligned_and_a_head_of_convolutions_is_no_parent() -> None:
    transformer = inspect("vit_b_16")
    assert abilities(transformer) == [True, False, False, True]
    assert {"class_token", "encoder.pos_embedding"} <= {layer.name for layer in transformer.layers}
    assert abilities(inspect("squeezenet1_1"))[3] is False


def test_without_convolutions_the_linear_layers_below_the_head_have_the_kernels() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    layers = layers_of_network(network, last_linear(network))
    assert [(layer.kind, layer.extract) for layer in layers] == [("linear", True), ("head", False)]


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "mobilenet_v3_small", "convnext_tiny", "vit_b_16", "swin_t", "inception_v3"]
)
def test_layers_guessed_from_shapes_are_those_of_the_network(name: str) -> None:
    network = Torchvisions().network(name).network
    known = {layer.name: (layer.kind, layer.parameters) for layer in layers_of_network(network, last_linear(network))}
    guessed = layers_of_shapes(shapes_of(trained(network.state_dict())))
    assert {layer.name: (layer.kind, layer.parameters) for layer in guessed} == known


# -- checkpoints -------------------------------------------------------------------------------


def test_a_checkpoint_of_a_torchvision_network_is_recognised_whatever_its_number_of_classes(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        state = models.shufflenet_v2_x0_5(num_classes=3).state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "model": wrapped, "best": 0.5}, tmp_path / "best.ckpt")
    found = inspect(tmp_path / "best.ckpt")
    assert found.facts["network"] == "torchvision's shufflenet_v2_x0_5"
    assert found.facts["found under"] == "'model'; beside it: epoch, best"
    assert "'module.'" in found.facts["names"]
    assert found.facts["outputs"] == "3, from 1,024 features in 'fc'"


@pytest.mark.parametrize("form", ["pth", "safetensors", "under a prefix", "beside a loss"])
def test_a_network_is_seen_alike_in_every_format_and_under_every_prefix(tmp_path: Path, form: str) -> None:
    state = models.shufflenet_v2_x0_5(num_classes=2).state_dict()
    file = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pth")
    if form == "safetensors":
        save_file(state, file)
    else:
        prefix = "" if form == "pth" else "model.net."
        beside = {"loss.weight": torch.ones(2)} if form == "beside a loss" else {}
        torch.save({**{f"{prefix}{name}": tensor for name, tensor in state.items()}, **beside}, file)
    found = inspect(file)
    assert found.facts["network"] == "torchvision's shufflenet_v2_x0_5"
    assert found.facts["outputs"] == "2, from 1,024 features in 'fc'"
    assert abilities(found)[3]


def test_the_head_of_an_unknown_network_is_found_by_name_where_names_are_sorted(tmp_path: Path) -> None:
    layer = {"vit.layer.0.attention.value.weight": torch.ones(8, 8), "vit.layer.0.attention.value.bias": torch.ones(8)}
    save_file(
        {"classifier.weight": torch.ones(2, 8), "classifier.bias": torch.ones(2), **layer}, tmp_path / "a.safetensors"
    )
    assert inspect(tmp_path / "a.safetensors").facts["outputs"] == "2, from 8 features in 'classifier'"


@pytest.mark.parametrize("name", ["alexnet", "regnet_y_400mf", "squeezenet1_0", "mnasnet0_5", "googlenet"])
def test_every_family_of_torchvision_is_recognised(name: str) -> None:
    shapes = shapes_of(Torchvisions().network(name, 7).network.state_dict())
    known = recognise(shapes, Path("file"), REGISTRY)
    assert known is not None
    assert known.title == f"torchvision's {name}"


def test_a_network_with_other_options_is_said_to_differ_in_shape(tmp_path: Path) -> None:
    torch.save(CNN(filters=(2, 3), size=16).build(4).state_dict(), tmp_path / "model.pth")
    found = inspect(tmp_path / "model.pth")
    assert "the names are those of architecture cnn" in found.facts["network"]
    assert "'conv1.weight' is [2, 3, 5, 5] instead of [6, 3, 5, 5]" in found.facts["network"]
    assert found.facts["outputs"] == "4, from 3 features in 'fc1'"
    assert abilities(found) == [True, True, True, True]


def test_an_unknown_network_is_guessed_and_says_so(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=8), nn.Linear(8, 2))
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    found = inspect(tmp_path / "mine.pt")
    assert "guessed from names and shapes" in found.facts["network"]
    assert [layer.kind for layer in found.layers] == ["convolution", "normalisation", "grouped convolution", "head"]


def test_stacked_networks_are_counted_and_one_is_shown(tmp_path: Path) -> None:
    save_file(dict(tiny_population(members=3, architecture=CNN()).weights), tmp_path / "all.safetensors")
    found = inspect(tmp_path / "all.safetensors")
    assert found.facts["members"] == "3, stacked along the first axis"
    assert found.layers[0].shape == (6, 3, 5, 5)
    assert unstacked({"conv.weight": (3, 3, 3, 3), "conv.bias": (3,)})[0] is None, "equal by chance"


def test_a_cifar_resnet_is_known_with_its_classes_and_preprocessing(shared: Path) -> None:
    found = inspect(next((shared / "cifar10").glob("resnet20-*.th")))
    assert found.facts["network"].startswith("architecture cifar_resnet (depth: 20")
    assert found.facts["outputs"].startswith("10 (airplane, automobile, bird, cat, ...)")
    assert "mean (0.485, 0.456, 0.406)" in found.facts["preprocessing"]


def test_numbers_that_are_not_finite_are_warned_of(tmp_path: Path) -> None:
    state = CNN().build(2).state_dict()
    state["conv1.bias"][0] = torch.nan
    torch.save(state, tmp_path / "model.pth")
    assert "NaN or infinite numbers in conv1.bias" in inspect(tmp_path / "model.pth").facts["warning"]


class Evil:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    file, mark = tmp_path / "evil.pth", tmp_path / "mark"
    file.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ComposerError, match=r"evil\.pth: refused"):
        inspect(file)
    torch.save({"state_dict": CNN().build(2).state_dict(), "extra": Evil(mark)}, file)
    with pytest.raises(ComposerError, match=r"evil\.pth: refused.*more than tensors"):
        inspect(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.safetensors", b"\x08", "is damaged or no safetensors file"),
        ("text.pth", b"hello", "text.pth: "),
        ("empty.pth", b"", "is damaged or no checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ComposerError, match=message):
        inspect(tmp_path / name)


def test_a_file_without_named_tensors_says_what_it_holds(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "model.pth")
    with pytest.raises(ComposerError, match=r"holds no tensors under names, but a mapping with 'epoch'"):
        inspect(tmp_path / "model.pth")
    torch.save(torch.zeros(3), tmp_path / "model.pth")
    with pytest.raises(ComposerError, match=r"holds no tensors under names, but a Tensor"):
        inspect(tmp_path / "model.pth")


# -- names and folders -------------------------------------------------------------------------


def test_every_network_of_a_saved_composition_is_shown(tmp_path: Path) -> None:
    saved_run(tmp_path / "run")
    black, cat = inspect_model(str(tmp_path / "run"), REGISTRY)
    assert "composition product, 3 members, network 1 of 2" in black.title
    assert black.facts["concept"] == "black (output 0)"
    assert "24x24 pixels" in cat.facts["preprocessing"]
    (features,) = inspect_model(str(tmp_path / "run" / "models" / "features"), REGISTRY)
    assert features.facts["concept"] == "black+cat (features only)"
    assert abilities(features) == [True, True, True, False]


def test_a_name_that_is_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(ComposerError, match=r"no model of torchvision is called so; did you mean 'resnet18'"):
        inspect("resnet-18")
    with pytest.raises(ComposerError, match=r"is a model of torchvision, but no classifier"):
        inspect("fcn_resnet50")
    with pytest.raises(ComposerError, match=r"model\.pth: there is no such file or folder"):
        inspect("model.pth")


def test_inspecting_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    inspect("vit_b_16")
    assert torch.equal(torch.random.get_rng_state(), before)
