"""timm's networks: cut before their last layer, with a file's weights or none; skipped where timm is absent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from composer import ComposerError, Images, Population, Run, stack
from composer_checkpoints import Checkpoints
from composer_timm import PretrainedTimm, Timm
from composer_timm.catalogue import networks
from conftest import ROOT

timm = pytest.importorskip("timm", reason="the extra [timm] is not installed")
from composer_timm.loading import from_hub  # noqa: E402 (imports timm)

FAMILIES = ["resnet18", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_050"]


def published_network(model: str, outputs: int) -> Any:
    """timm's own network as a user would have trained it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(model, pretrained=False, num_classes=outputs).eval()
        with torch.no_grad():
            for parameter in network.parameters():  # nothing may be hidden by zeros or ones
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
        return network


def pictures(size: int, count: int = 2) -> Images:
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    return Images([str(index) for index in range(count)], {"cat": [True] * count}, pixels)


def test_the_catalogue_is_what_timm_offers() -> None:
    assert networks() == set(timm.list_models())


def same_as_timm(model: str, names: tuple[str, ...], file: Path) -> Population:
    """The population of a network's file, whose logits are asserted to be those of timm's own network."""
    network = published_network(model, 3)
    torch.save(network.state_dict(), file)
    population = PretrainedTimm(model=model, file=file, names=names).load("cat", Run())
    images = pictures(population.preprocessing.size)
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(population.preprocessing.size)))
    torch.testing.assert_close(population.logits(images)[0], wanted, rtol=1e-3, atol=1e-4)
    return population


@pytest.mark.parametrize("model", FAMILIES)
def test_a_file_gives_the_logits_that_timm_s_own_network_gives(model: str, tmp_path: Path) -> None:
    population = same_as_timm(model, ("dog", "cat", "cat"), tmp_path / "mine.pth")
    assert population.members == ("mine",)
    assert population.outputs == (1, 2)


def test_an_untrained_network_follows_the_seed_and_leaves_the_random_state_alone() -> None:
    source, before = PretrainedTimm(model="resnet18", pretrained=False), torch.get_rng_state()
    first, again, other = (source.load("cat", Run(seed=seed)).weights["head.weight"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_is_made_for_the_size_asked_for(tmp_path: Path) -> None:
    for model in ("resnet18", "vit_tiny_patch16_224"):
        population = PretrainedTimm(model=model, pretrained=False, size=64).load("cat", Run())
        assert population.log_odds(pictures(64)).shape == (1, 2), model
    assert PretrainedTimm(model="convnext_atto").network.options()["size"] == 224


def test_a_wrong_name_or_file_is_answered_before_any_work(tmp_path: Path) -> None:
    assert "did you mean 'resnet18'" in dict(PretrainedTimm(model="resnet81").problems(()))["model"]
    source = PretrainedTimm(model="resnet18", file=tmp_path / "none.pth")
    assert "there is no file" in dict(source.problems(()))["file"]
    assert set(dict(PretrainedTimm(model="resnet18", pretrained=False, names=("cat",)).problems(()))) == {"names"}


def test_names_must_be_as_many_as_the_outputs(tmp_path: Path) -> None:
    torch.save(published_network("resnet18", 3).state_dict(), tmp_path / "mine.pth")
    with pytest.raises(ComposerError, match=r"names: there are 2, and .*mine\.pth has 3 outputs"):
        PretrainedTimm(model="resnet18", file=tmp_path / "mine.pth", names=("dog", "cat")).load("cat", Run())


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("no network")

    source = PretrainedTimm(model="resnet18.a1_in1k")
    architecture = source.network
    assert isinstance(architecture, Timm)
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(ComposerError, match=r"no network.*fetch model\.safetensors of timm/resnet18\.a1_in1k"):
        from_hub(architecture)


@pytest.mark.parametrize("model", ["test_vit4", "resnetblur18", "gcvit_xxtiny", "swin_tiny_patch4_window7_224"])
def test_tables_and_filters_that_no_file_holds_are_those_of_timm(model: str, tmp_path: Path) -> None:
    if not timm.is_model(model):
        pytest.skip(f"timm {timm.__version__} has no {model}")
    same_as_timm(model, ("dog", "cat", "cow"), tmp_path / "mine.pth")


def test_a_network_that_uses_one_tensor_in_several_places_gives_features() -> None:
    population = PretrainedTimm(model="coat_tiny", pretrained=False).load("cat", Run())
    assert population.log_odds(pictures(224, 1)).shape == (1, 1)


def test_members_do_not_share_what_a_network_computes_of_its_weights_once() -> None:
    architecture = Timm(model="levit_128s", size=224)
    networks = [architecture.build(2).eval() for _ in range(2)]
    with torch.no_grad():
        for name, parameter in networks[1].named_parameters():
            if "attention_bias" in name:
                parameter.normal_(std=5)
        pixels = torch.rand(1, 3, 224, 224)
        weights = stack([network.state_dict() for network in networks])
        wanted = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
        torch.testing.assert_close(architecture.stacked_features(weights, pixels), wanted, rtol=1e-4, atol=1e-4)


def test_the_page_names_every_family_of_the_timm_that_it_was_made_with() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    made_with = re.search(r"Families of timm (\S+) and of torchvision", page)
    assert made_with is not None
    if made_with[1] != timm.__version__:
        pytest.skip(f"the page was made with timm {made_with[1]}, and timm {timm.__version__} is installed")
    families = {timm.model_entrypoint(model).__module__.rpartition(".")[2] for model in timm.list_models()}
    assert families - set(re.findall(r"`(\w+)`\s\(", page)) == set()


def test_the_architecture_s_mean_is_timm_s_own() -> None:
    assert Timm(model="vit_tiny_patch16_224", size=224).mean == (0.5, 0.5, 0.5)
    assert Timm(model="resnet18").mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("model", ["levit_128s", "dla46x_c", "efficientvim_m1", "efficientvit_m0", "crossvit_9_240"])
def test_several_heads_and_those_that_are_convolutions_become_one_linear_head(model: str, tmp_path: Path) -> None:
    if model not in timm.list_models():
        pytest.skip(f"timm {timm.__version__} has no {model}")
    same_as_timm(model, ("dog", "cat", "cow"), tmp_path / "mine.pth")


def test_a_network_whose_cut_is_not_timm_s_own_is_refused_by_name(tmp_path: Path) -> None:
    """volo adds the highest of its tokens' outputs, which no linear layer on features gives."""
    sentence = "composer's cut of volo_d1_224 gives other outputs than timm's own: not supported"
    with pytest.raises(ComposerError, match=sentence):
        PretrainedTimm(model="volo_d1_224", pretrained=False, size=96).load("cat", Run())
    file = tmp_path / "mine.pth"
    torch.save({"head.weight": torch.zeros(2, 3)}, file)
    with pytest.raises(ComposerError, match=sentence):
        Checkpoints(pattern=file, architecture=Timm(model="volo_d1_224", size=96)).load("cat", Run())


def test_checkpoints_give_timm_s_logits_and_prepare_pictures_as_timm_does(tmp_path: Path) -> None:
    network, file = published_network("test_vit2", 3), tmp_path / "mine.pth"
    torch.save(network.state_dict(), file)
    architecture = Timm(model="test_vit2")
    population = Checkpoints(pattern=file, architecture=architecture, outputs=(1,)).load("cat", Run())
    assert population.preprocessing == PretrainedTimm(model="test_vit2", file=file).load("cat", Run()).preprocessing
    assert population.preprocessing.mean == (0.5, 0.5, 0.5)
    images = pictures(population.preprocessing.size)
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(population.preprocessing.size)))
    torch.testing.assert_close(population.logits(images)[0], wanted, rtol=1e-3, atol=1e-4)


def test_a_size_that_is_left_out_is_the_network_s_own() -> None:
    assert Timm(model="inception_v3") == Timm(model="inception_v3", size=299)
    assert Timm(model="test_vit").input_size == 160
    assert Timm(model="resnet81").size is None


def test_a_head_under_its_older_name_is_read_as_timm_reads_it(tmp_path: Path) -> None:
    network = published_network("test_convnext", 3)
    state = {
        name.replace("head.fc.", "head.").replace("head.norm.", "norm."): t for name, t in network.state_dict().items()
    }
    assert "head.weight" in state
    torch.save(state, tmp_path / "old.pth")
    population = PretrainedTimm(model="test_convnext", file=tmp_path / "old.pth", names=("a", "b", "cat")).load(
        "cat", Run()
    )
    assert torch.equal(population.weights["head.weight"][0], network.state_dict()["head.fc.weight"])


def test_a_file_without_a_head_gives_features_for_fit(tmp_path: Path) -> None:
    network, file = published_network("test_vit2", 0), tmp_path / "dino.pth"
    torch.save({"teacher": {f"backbone.{name}": tensor for name, tensor in network.state_dict().items()}}, file)
    source = PretrainedTimm(model="test_vit2", file=file)
    with pytest.raises(ComposerError, match="missing: head"):
        source.load("cat", Run())
    population = source.load_body("cat", Run())
    images = pictures(population.preprocessing.size)
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(population.preprocessing.size)))
    torch.testing.assert_close(population.features(images)[0], wanted, rtol=1e-3, atol=1e-4)
    assert not population.has_head


def test_weights_that_lack_a_parameter_are_refused_rather_than_made_up() -> None:
    population = PretrainedTimm(model="resnet18", pretrained=False, size=32).load("cat", Run())
    weights = {name: tensor for name, tensor in population.weights.items() if name != "body.conv1.weight"}
    with pytest.raises(ValueError, match=r"lack 'body\.conv1\.weight'"):
        population.architecture.stacked_features(weights, torch.zeros(1, 3, 32, 32))
