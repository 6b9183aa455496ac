"""EfficientNet-Lite0: the network, and its weights from the registry package."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer import ComposerError, Images, Preprocessing, Run, Split, stack
from composer_checkpoints import Checkpoints
from composer_efficientnet_lite import PACKAGE, EfficientNetLite, PretrainedEfficientNetLite, weights_file
from composer_efficientnet_lite.network import SameConv
from composer_folder import Folder

needs_weights = pytest.mark.skipif(weights_file() is None, reason="the extra 'pretrained' is not installed")


def trained_network(seed: int = 0) -> nn.Module:
    """A network whose running statistics are not those of a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EfficientNetLite().build(outputs=3)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return network.eval()


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in network.state_dict().items()}


def test_stacked_members_give_the_features_that_each_network_gives_alone() -> None:
    architecture = EfficientNetLite(size=32)
    networks = [trained_network(seed) for seed in (1, 2)]
    pixels = torch.rand(5, 3, 32, 32)  # more than one pass takes
    with torch.no_grad():
        stacked = architecture.stacked_features(stack([tensors(network) for network in networks]), pixels)
        alone = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
    assert stacked.shape == (2, 5, 1280)
    torch.testing.assert_close(stacked, alone, rtol=1e-4, atol=1e-5)


def test_the_forward_pass_is_the_head_on_the_features() -> None:
    network, pixels = trained_network(), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        features = network.features(pixels)  # type: ignore[operator]
        torch.testing.assert_close(network(pixels), network._fc(features))  # type: ignore[operator]


@pytest.mark.parametrize(("size", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_an_odd_pixel_of_padding_goes_to_the_right_and_to_the_bottom(size: int, before: int, after: int) -> None:
    convolution = SameConv(1, 1, size, stride=2, bias=False)
    pixels = torch.rand(1, 1, 8, 8)
    wanted = F.conv2d(F.pad(pixels, (before, after, before, after)), convolution.weight, stride=2)
    torch.testing.assert_close(convolution(pixels), wanted)


@needs_weights
def test_pixels_are_prepared_as_the_weights_want_them() -> None:
    prepare = PretrainedEfficientNetLite().load("cat", Run()).preprocessing
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert prepare.size == 224
    wanted = torch.tensor([(0 - 127) / 128, 0, 1]).view(1, 3, 1, 1)
    torch.testing.assert_close(prepare(pixels), wanted, rtol=0, atol=1e-6)


def test_missing_weights_are_a_problem_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    source = PretrainedEfficientNetLite()
    hint = "pip install -e '.[pretrained]' in composer's own folder"
    assert any(hint in message for _, message in source.problems(("cat",)))
    assert source.files() == []
    with pytest.raises(ComposerError, match=re.escape(hint)):
        source.load("cat", Run())


def test_classes_and_groups_are_known_without_the_weights() -> None:
    names, groups = PretrainedEfficientNetLite().class_names(), PretrainedEfficientNetLite().class_groups()
    assert names is not None
    assert names[groups["cat"][0]] == "tabby"


def test_checkpoints_prepare_pictures_as_the_published_weights_want_them(tmp_path: Path) -> None:
    torch.save(EfficientNetLite().build(2).state_dict(), tmp_path / "mine.pth")
    source = Checkpoints(pattern=tmp_path / "mine.pth", architecture=EfficientNetLite(), outputs=(1,))
    prepare = source.load("cat", Run()).preprocessing
    assert prepare == Preprocessing(224, (127 / 255,) * 3, (128 / 255,) * 3)


@needs_weights
@pytest.mark.parametrize(("concept", "outputs"), [("cat", (281, 282, 283, 284, 285)), ("tabby", (281,)), ("black", ())])
def test_the_concept_s_own_name_says_which_outputs_mean_it(concept: str, outputs: tuple[int, ...]) -> None:
    population = PretrainedEfficientNetLite().load(concept, Run())
    assert population.outputs == outputs
    assert population.members == ("efficientnet_lite0",)
    assert population.weights["_fc.weight"].shape == (1, 1000, 1280)


@needs_weights
def test_the_weights_know_cats_from_dogs(shared: Path) -> None:
    if not (shared / "catdog").is_dir():
        pytest.skip(f"no real data: {shared / 'catdog'} is absent")
    source = Folder.model_validate({"limit": 10}, context={"root": shared / "catdog"})
    images: Images = source.load(Split(("black", "cat")), Run())
    log_odds = PretrainedEfficientNetLite().load("cat", Run()).log_odds(images)[0]
    shown = torch.from_numpy(images.labels["cat"])
    better = (log_odds[shown][:, None] > log_odds[~shown]).float().mean()  # AUC
    assert better > 0.95
