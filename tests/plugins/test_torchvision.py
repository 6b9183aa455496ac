"""torchvision's classifiers: cut before their last layer, with published weights, a file's, or none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from composer import ComposerError, Images, Preprocessing, Run, stack
from composer_checkpoints import Checkpoints
from composer_torchvision import PretrainedTorchvision, Torchvision
from composer_torchvision.catalogue import classifiers
from composer_torchvision.download import download
from composer_torchvision.network import Network
from tiny import tiny_images

FAMILIES = {  # one of each, and the smallest size in pixels that it is tried at
    "resnet18": 32,
    "mobilenet_v3_small": 32,
    "vit_b_32": 64,
    "regnet_x_400mf": 32,
}
SLOW_FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 64,
    "inception_v3": 80,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "shufflenet_v2_x0_5": 32,
    "swin_t": 64,
    "swin_v2_t": 64,
}
EACH_FAMILY = [*FAMILIES.items(), *(pytest.param(*item, marks=pytest.mark.slow) for item in SLOW_FAMILIES.items())]


def published_network(model: str, outputs: int, size: int = 224, seed: int = 0) -> nn.Module:
    """torchvision's own network as a user would have trained it: no running statistics of a fresh one."""
    options: dict[str, Any] = {"vit_b_32": {"image_size": size}}.get(model, {})
    if model in ("googlenet", "inception_v3"):
        options = {"init_weights": False, "aux_logits": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = models.get_model(model, weights=None, num_classes=outputs, **options)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return network.eval()


def saved(network: nn.Module, file: Path) -> Path:
    torch.save(network.state_dict(), file)
    return file


def pictures(size: int, count: int = 3) -> Images:
    generator = torch.Generator().manual_seed(4)
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    return Images([str(index) for index in range(count)], {"cat": [True] * count}, pixels)


def said(**options: Any) -> dict[str, str]:
    return dict(PretrainedTorchvision.model_validate(options).problems(("cat",)))


def test_the_catalogue_is_what_torchvision_offers() -> None:
    offered = set(models.list_models(module=models))
    assert set(classifiers()) == offered - {"squeezenet1_0", "squeezenet1_1"}
    for model, sizes in classifiers().items():
        published = models.get_model_weights(model).__members__
        usable = {name for name, weights in published.items() if weights.meta["categories"] is not None}
        assert set(sizes) == usable, model
        for name, size in sizes.items():
            assert published[name].transforms().crop_size == [size], (model, name)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(classifiers()))
def test_every_classifier_can_be_cut_before_its_last_layer(model: str) -> None:
    with torch.device("meta"):
        architecture = Torchvision(model=model)
        network = Network(architecture, outputs=3).eval()
        pixels = torch.empty(2, 3, architecture.input_size, architecture.input_size)
        features = network.features(pixels)
        assert network(pixels).shape == (2, 3)
    assert features.shape == (2, network.head.in_features)


@pytest.mark.parametrize(("model", "size"), EACH_FAMILY)
def test_a_file_gives_the_logits_that_torchvision_s_own_network_gives(model: str, size: int, tmp_path: Path) -> None:
    network = published_network(model, 3, size)
    source = PretrainedTorchvision(model=model, file=saved(network, tmp_path / "mine.pth"), size=size, weights=None)
    population, images = source.load("cat", Run()), pictures(size)
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(size)))
    assert population.members == ("mine",)
    known = population.architecture.build(3)
    assert set(population.weights) == {name for name in known.state_dict() if not name.endswith("num_batches_tracked")}
    logits = torch.nn.functional.linear(
        population.features(images)[0], population.weights["head.weight"][0], population.weights["head.bias"][0]
    )
    torch.testing.assert_close(logits, wanted, rtol=1e-3, atol=1e-4)


def test_stacked_members_give_the_features_that_each_network_gives_alone() -> None:
    architecture = Torchvision(model="resnet18", size=32)
    networks = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(architecture.build(2).eval())
    states: list[Any] = [{name: value.detach() for name, value in network.state_dict().items()} for network in networks]
    pixels = torch.rand(9, 3, 32, 32)  # more than one pass takes
    with torch.no_grad():
        stacked = architecture.stacked_features(stack(states), pixels)
        alone = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
    torch.testing.assert_close(stacked, alone, rtol=1e-4, atol=1e-5)


def test_in_training_mode_too_each_member_is_the_network_alone() -> None:
    architecture = Torchvision(model="resnet18", size=32)
    networks = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(architecture.build(2).double().train())
    states: list[Any] = [{name: value.detach() for name, value in network.state_dict().items()} for network in networks]
    weights, pixels = stack(states), torch.rand(9, 3, 32, 32).double()  # float32 rounds more than the bound
    with torch.no_grad():
        stacked = architecture.stacked_features(weights, pixels, training=True)
        alone = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
    torch.testing.assert_close(stacked, alone, rtol=1e-5, atol=1e-5)
    for member, network in enumerate(networks):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(weights[name][member], value, rtol=1e-5, atol=1e-5)


def test_names_say_which_outputs_of_a_file_mean_the_concept(tmp_path: Path) -> None:
    file = saved(published_network("resnet18", 3), tmp_path / "mine.pth")
    source = PretrainedTorchvision(model="resnet18", file=file, names=("dog", "cat", "cat"), size=32)
    assert source.load("cat", Run()).outputs == (1, 2)
    assert source.load("black", Run()).outputs == ()
    assert source.class_names() == ("dog", "cat", "cat")


def test_as_many_names_as_outputs_are_asked_for(tmp_path: Path) -> None:
    file = saved(published_network("resnet18", 3), tmp_path / "mine.pth")
    with pytest.raises(ComposerError, match=r"names: there are 2, and .*mine\.pth has 3 outputs"):
        PretrainedTorchvision(model="resnet18", file=file, names=("dog", "cat"), size=32).load("cat", Run())


def test_one_output_means_the_concept_as_through_a_sigmoid(tmp_path: Path) -> None:
    network = published_network("resnet18", 1)
    source = PretrainedTorchvision(model="resnet18", file=saved(network, tmp_path / "mine.pth"), size=32)
    population, images = source.load("cat", Run()), pictures(32)
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(32)))[:, 0]
    torch.testing.assert_close(population.log_odds(images)[0], wanted, rtol=1e-3, atol=1e-4)


def test_files_are_read_whatever_lies_around_the_weights(tmp_path: Path) -> None:
    state = published_network("resnet18", 2).state_dict()
    wrapped = {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "mine.pth")
    population = PretrainedTorchvision(model="resnet18", file=tmp_path / "mine.pth", size=32).load("cat", Run())
    assert torch.equal(population.weights["body.conv1.weight"][0], state["conv1.weight"])
    assert torch.equal(population.weights["head.weight"][0], state["fc.weight"])


def test_densenet_s_old_names_are_understood(tmp_path: Path) -> None:
    state = published_network("densenet121", 2).state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in name else name: value
        for name, value in state.items()
    }
    torch.save(old, tmp_path / "old.pth")
    population = PretrainedTorchvision(model="densenet121", file=tmp_path / "old.pth", size=32).load("cat", Run())
    name = "features.denseblock1.denselayer1.norm1.weight"
    assert name not in old
    assert torch.equal(population.weights[f"body.{name}"][0], state[name])


def test_vision_transformers_old_names_are_understood(tmp_path: Path) -> None:
    state = published_network("vit_b_32", 2, size=64).state_dict()
    old = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for name, value in state.items()
    }
    torch.save(old, tmp_path / "old.pth")
    population = PretrainedTorchvision(model="vit_b_32", file=tmp_path / "old.pth", size=64).load("cat", Run())
    name = "encoder.layers.encoder_layer_0.mlp.3.weight"
    assert name not in old
    assert torch.equal(population.weights[f"body.{name}"][0], state[name])


def test_a_checkpoint_of_another_network_is_refused_with_what_does_not_fit(tmp_path: Path) -> None:
    file = saved(published_network("resnet18", 2), tmp_path / "mine.pth")
    with pytest.raises(ComposerError) as raised:
        PretrainedTorchvision(model="resnet34", file=file, size=32).load("cat", Run())
    message = str(raised.value)
    assert "mine.pth: is no checkpoint of architecture 'torchvision' (model: resnet34" in message
    assert "missing: layer1.2.conv1.weight" in message
    assert message.endswith("These are the names and shapes of torchvision's resnet18")
    with pytest.raises(ComposerError, match=r"'layer1\.0\.conv1\.weight' is \[64, 64, 3, 3\] instead of"):
        PretrainedTorchvision(model="resnet50", file=file, size=32).load("cat", Run())
    with pytest.raises(ComposerError, match=r"mine\.pth: is no checkpoint .*left over: conv1\.weight"):
        PretrainedTorchvision(model="mobilenet_v2", file=file, size=32).load("cat", Run())


def test_an_untrained_network_comes_from_the_run_s_seed_alone() -> None:
    source = PretrainedTorchvision(model="resnet18", weights=None, size=32)
    state = torch.get_rng_state()
    first, again, other = (source.load("cat", Run(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in first.weights.items())
    assert not torch.equal(first.weights["head.weight"], other.weights["head.weight"])
    assert first.weights["head.weight"].shape == (1, 2, 512)
    assert first.outputs == (0,)


def test_published_weights_are_read_from_torch_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    network = published_network("mobilenet_v3_small", 1000)
    saved(network, folder / models.MobileNet_V3_Small_Weights.DEFAULT.url.rpartition("/")[2])
    population = PretrainedTorchvision(model="mobilenet_v3_small").load("cat", Run())
    assert population.outputs == (281, 282, 283, 284, 285)
    assert population.members == ("mobilenet_v3_small DEFAULT",)
    assert population.preprocessing.size == 224
    assert population.preprocessing.mean == (0.485, 0.456, 0.406)
    assert torch.equal(population.weights["head.bias"][0], network.state_dict()["classifier.3.bias"])


def test_without_a_network_the_error_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    url = models.ResNet18_Weights.IMAGENET1K_V1.url
    home = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    with pytest.raises(ComposerError) as error:
        PretrainedTorchvision(model="resnet18", weights="IMAGENET1K_V1").load("cat", Run())
    assert f"fetch {url} elsewhere and put it at {home}" in str(error.value)
    assert list(home.parent.iterdir()) == [], "something half-written was left"


def test_a_download_is_kept_only_if_its_content_is_what_its_name_says(tmp_path: Path) -> None:
    content = bytes(3_000_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    good = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    steps: list[tuple[str, int, int]] = []
    download(source.as_uri(), good, Run(report_progress=lambda *step: steps.append(step)))
    assert good.read_bytes() == content
    assert steps[-1] == (f"downloading {good.name} (MiB)", 3, 3)
    with pytest.raises(OSError, match="does not have the sha256"):
        download(source.as_uri(), tmp_path / "net-00000000.pth", Run())
    assert sorted(tmp_path.iterdir()) == sorted([source, good])


@pytest.mark.parametrize("said", [None, True, False])
def test_whether_googlenet_changes_its_input_inside_can_be_said(said: bool | None, tmp_path: Path) -> None:
    network = published_network("googlenet", 2, 64)
    network.transform_input = said is not False  # type: ignore[assignment]  # a plain attribute of the network
    architecture = Torchvision(model="googlenet", size=64, transform_input=said)
    run, file = Run(), saved(network, tmp_path / "mine.pth")
    population = Checkpoints(pattern=file, architecture=architecture, outputs=(1,)).load("cat", run)
    images = pictures(64)
    with torch.no_grad():  # the network itself takes what is normalised as ImageNet
        wanted = network(Preprocessing(64, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(images.at(64)))
    torch.testing.assert_close(population.logits(images)[0], wanted, rtol=1e-3, atol=1e-4)
    assert [warning for warning in run.warnings if "say `transform_input: false`" in warning] == run.warnings
    assert len(run.warnings) == (said is None)


def test_a_size_that_is_left_out_is_that_of_the_newest_weights() -> None:
    for model, size in {"inception_v3": 299, "efficientnet_b4": 380, "swin_v2_t": 256, "resnet18": 224}.items():
        assert Torchvision(model=model) == Torchvision(model=model, size=size)


def test_a_file_without_a_head_gives_features_for_fit(tmp_path: Path) -> None:
    network = published_network("shufflenet_v2_x0_5", 2, 64)
    state = {f"encoder.{name}": t for name, t in network.state_dict().items() if not name.startswith("fc.")}
    torch.save(state | {"projector.weight": torch.ones(3, 1024)}, tmp_path / "simclr.pth")
    options = {"model": "shufflenet_v2_x0_5", "size": 64}
    run, images = Run(), pictures(64)
    source = PretrainedTorchvision(**options, file=tmp_path / "simclr.pth", weights=None)
    population = source.load_body("cat", run)
    network.fc = nn.Identity()
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(64)))
    torch.testing.assert_close(population.features(images)[0], wanted, rtol=1e-3, atol=1e-4)
    assert run.warnings == ["simclr.pth: read for its features alone, without projector.weight [3, 1024]"]


def test_pixels_go_to_inception_as_its_published_weights_want_them(tmp_path: Path) -> None:
    file = saved(published_network("inception_v3", 2), tmp_path / "mine.pth")
    prepare = PretrainedTorchvision(model="inception_v3", file=file).load("cat", Run()).preprocessing
    assert (prepare.size, prepare.mean, prepare.std) == (299, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_the_architecture_is_known_before_any_weight_is_read() -> None:
    source = PretrainedTorchvision(model="vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1")
    assert source.network == Torchvision(model="vit_b_16", size=384)
    assert PretrainedTorchvision(model="resnet18", size=64).network == Torchvision(model="resnet18", size=64)


def test_mistakes_are_seen_before_any_work(tmp_path: Path) -> None:
    assert "did you mean 'resnet18'" in said(model="resnet8")["model"]
    assert "no classifier 'fasterrcnn_resnet50_fpn'" in said(model="fasterrcnn_resnet50_fpn")["model"]
    assert "there are IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT" in said(model="resnet50", weights="V3")["weights"]
    assert "there is no file" in said(model="resnet50", file=tmp_path / "none.pth")["file"]
    assert "outputs of a `file`" in said(model="resnet50", names=("cat",))["names"]
    assert said(model="resnet50") == {}


@pytest.mark.parametrize(("model", "size"), [("vit_b_32", 100), ("inception_v3", 32), ("maxvit_t", 100)])
def test_a_size_that_a_network_cannot_take_is_refused(model: str, size: int) -> None:
    with pytest.raises(ComposerError, match=f"size: {model} cannot take {size} pixels: "):
        PretrainedTorchvision(model=model, weights=None, size=size).load("cat", Run())


def test_classes_are_imagenet_s_unless_a_file_has_others(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    assert len(PretrainedTorchvision(model="resnet18").class_names() or ()) == 1000
    assert "cat" in PretrainedTorchvision(model="resnet18").class_groups()
    assert PretrainedTorchvision(model="resnet18", file=file).class_names() is None
    assert PretrainedTorchvision(model="resnet18", file=file).class_groups() == {}
    assert "cat" in PretrainedTorchvision(model="resnet18", file=file, names="imagenet").class_groups()
    assert PretrainedTorchvision(model="resnet18", weights=None).class_names() is None


def test_tensors_of_a_network_on_meta_cost_no_memory() -> None:
    with torch.device("meta"):
        network = Network(Torchvision(model="regnet_y_128gf"), outputs=2)  # 2.5 GB where it is made
    state: dict[str, Tensor] = network.state_dict()
    assert {tensor.device.type for tensor in state.values()} == {"meta"}


def test_a_second_row_of_zeros_is_an_output_like_any_other(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        state = models.shufflenet_v2_x0_5(num_classes=2).state_dict()
    state["fc.weight"][1], state["fc.bias"][1] = 0, 0
    torch.save(state, tmp_path / "cat.pth")
    options = {"model": "shufflenet_v2_x0_5", "file": tmp_path / "cat.pth", "size": 32}
    named = PretrainedTorchvision.model_validate({**options, "names": ("dog", "cat")}).load("cat", Run())
    assert named.outputs == (1,)
    unnamed = PretrainedTorchvision.model_validate(options).load("cat", Run())
    with pytest.raises(ComposerError, match="has 2 outputs, and nothing says which of them mean 'cat'"):
        unnamed.log_odds(tiny_images(size=32))
