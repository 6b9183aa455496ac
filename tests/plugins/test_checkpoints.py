"""The model source `checkpoints`."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from composer import Architecture, ComposerError, Images, Population, Run
from composer_checkpoints import Checkpoints
from composer_cnn import CNN
from composer_torchvision import Torchvision
from tiny import ARCHITECTURE, tiny_images, tiny_population

POPULATION = tiny_population("black", members=3)


def state(member: int) -> dict[str, Tensor]:
    return {name: tensor[member].clone() for name, tensor in POPULATION.weights.items()}


def source(pattern: Path, **options: Any) -> Checkpoints:
    return Checkpoints.model_validate({"pattern": pattern, "architecture": ARCHITECTURE, **options})


def load(pattern: Path, **options: Any) -> Population:
    return source(pattern, **options).load("black", Run())


def problems(checkpoints: Checkpoints) -> dict[str, str]:
    return dict(checkpoints.problems(("black", "cat")))


def equal(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in others)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three checkpoints, numbered 2, 10 and 1."""
    for member, number in enumerate([1, 2, 10]):
        torch.save(state(member), tmp_path / f"model_{number}.pth")
    return tmp_path


def test_every_file_is_a_member_in_natural_order(folder: Path) -> None:
    population = load(folder / "model_*.pth")
    assert population.members == ("model_1", "model_2", "model_10")
    assert equal(population.weights, POPULATION.weights)
    assert population.concept == "black"
    assert population.architecture == ARCHITECTURE
    assert population.preprocessing.size == ARCHITECTURE.size


def test_a_member_answers_as_the_network_it_was_saved_from(folder: Path) -> None:
    network = ARCHITECTURE.build(outputs=2)
    network.load_state_dict(state(1))
    images = tiny_images()
    population = load(folder / "model_2.pth", outputs=(0,), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    scaled = (images.at(16).float() / 255 - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor(
        [0.2, 0.3, 0.4]
    ).view(3, 1, 1)
    with torch.no_grad():
        log_odds = network(scaled).diff(dim=1).neg().flatten()
    torch.testing.assert_close(population.log_odds(images)[0], log_odds, rtol=1e-4, atol=1e-5)


def test_only_the_first_members_are_read_and_hashed_where_so_many_are_asked_for(folder: Path) -> None:
    first = source(folder / "model_*.pth", members=2)
    assert first.load("black", Run()).members == ("model_1", "model_2")
    assert [file.name for file in first.files()] == ["model_1.pth", "model_2.pth"]


def test_files_that_the_pattern_does_not_match_are_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("no weights")
    (folder / "generator.pth").write_bytes(b"neither")
    assert len(load(folder / "model_*.pth")) == 3


def test_a_relative_pattern_starts_from_the_recipes_root(folder: Path) -> None:
    checkpoints = Checkpoints.model_validate({"pattern": "model_*.pth"}, context={"root": folder})
    assert [file.parent for file in checkpoints.files()] == [folder] * 3


def test_a_folder_may_be_called_like_a_pattern(tmp_path: Path) -> None:
    odd = tmp_path / "run[1]*"
    odd.mkdir()
    torch.save(state(0), odd / "a.pt")
    assert load(odd / "*.pt").members == ("a",)


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for part in ("x", "y"):
        (tmp_path / part).mkdir()
        torch.save(state(0), tmp_path / part / "best.pt")
    assert load(tmp_path / "*" / "best.pt").members == ("x/best.pt", "y/best.pt")


def test_weights_inside_a_training_checkpoint_are_found(tmp_path: Path) -> None:
    parallel = {f"module.{name}": tensor for name, tensor in state(0).items()}
    torch.save({"state_dict": parallel, "best_prec1": 91.6, "epoch": 3}, tmp_path / "a.pt")
    assert equal(load(tmp_path / "a.pt").weights, POPULATION.select([0]).weights)


def wrapped(name: str, number: float = 0.0) -> dict[str, Tensor]:
    return {f"{name}{key}": tensor + number for key, tensor in state(0).items()}


@pytest.mark.parametrize(
    "content",
    [
        {"model": wrapped(""), "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}}, "epoch": 3},
        {"net": wrapped("module."), "acc": np.float64(0.9), "lr": np.float32(0.1)},
        {"model_state_dict": wrapped("_orig_mod."), "args": argparse.Namespace(lr=0.1)},
        {"checkpoint": {"state_dict": wrapped("_orig_mod.module.")}},
        {"state_dict": {**wrapped("model."), "loss.weight": torch.ones(2)}, "pytorch-lightning_version": "2.4"},
        wrapped("network.backbone."),
        {"model_ema": {**wrapped("module."), "n_averaged": torch.tensor(5)}},
        {"ema": wrapped("", 1), "model": wrapped("")},
    ],
)
def test_whatever_a_training_script_puts_around_the_weights_is_taken_off(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert equal(load(tmp_path / "a.pt").weights, POPULATION.select([0]).weights)


def test_the_key_says_which_of_several_state_dicts_to_read(tmp_path: Path) -> None:
    torch.save({"model": state(0), "ema": {"shadow": state(1)}}, tmp_path / "a.pt")
    assert equal(load(tmp_path / "a.pt", key="model").weights, POPULATION.select([0]).weights)
    assert equal(load(tmp_path / "a.pt", key="ema.shadow").weights, POPULATION.select([1]).weights)
    with pytest.raises(ComposerError, match=r"a\.pt: there is no state dict under 'best'; there are 'model', 'ema\.sh"):
        load(tmp_path / "a.pt", key="best")


def test_weights_saved_on_a_gpu_are_read_on_a_cpu(tmp_path: Path) -> None:
    torch.save(state(0), tmp_path / "cpu.pt")
    on_cpu, on_gpu = (b"X" + len(place).to_bytes(4, "little") + place for place in (b"cpu", b"cuda:0"))
    with zipfile.ZipFile(tmp_path / "cpu.pt") as source, zipfile.ZipFile(tmp_path / "gpu.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(on_cpu, on_gpu))
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(tmp_path / "gpu.pt", weights_only=True)
    weights = load(tmp_path / "gpu.pt").weights
    assert {tensor.device.type for tensor in weights.values()} == {"cpu"}
    assert equal(weights, POPULATION.select([0]).weights)


def torchvision_file(file: Path, outputs: int) -> nn.Module:
    """A fine-tuned network as torchvision's own training script saves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = models.get_model("resnet18", weights=None, num_classes=outputs).eval()
    torch.save({"model": network.state_dict(), "epoch": 3, "args": argparse.Namespace(lr=0.1)}, file)
    return network


def test_a_fine_tuned_network_of_torchvision_with_a_head_of_its_own_is_read(tmp_path: Path) -> None:
    network = torchvision_file(tmp_path / "mine.pth", outputs=3)
    options = {"architecture": Torchvision(model="resnet18", size=32), "names": ("dog", "cat", "cat")}
    population, images = load(tmp_path / "mine.pth", **options), tiny_images(size=32)
    assert population.preprocessing.mean == (0.485, 0.456, 0.406), "what is usual for the architecture"
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(32)))
    named = source(tmp_path / "mine.pth", **options).load("cat", Run())
    assert named.outputs == (1, 2)
    torch.testing.assert_close(named.logits(images)[0], wanted, rtol=1e-3, atol=1e-4)


def test_a_single_output_means_the_concept_as_through_a_sigmoid(tmp_path: Path) -> None:
    network = torchvision_file(tmp_path / "mine.pth", outputs=1)
    checkpoints = source(tmp_path / "mine.pth", architecture=Torchvision(size=32), names=("cat",))
    population, images = checkpoints.load("cat", Run()), tiny_images(size=32)
    assert checkpoints.class_names() == ("cat", "not cat")
    with torch.no_grad():
        wanted = network(population.preprocessing(images.at(32)))[:, 0]
    torch.testing.assert_close(population.log_odds(images)[0], wanted, rtol=1e-3, atol=1e-4)


def test_a_file_of_another_network_says_which_one_it_fits(tmp_path: Path) -> None:
    torchvision_file(tmp_path / "mine.pth", outputs=3)
    with pytest.raises(ComposerError, match=r"mine\.pth: .*'cnn'.*missing: conv1\.bias.*of torchvision's resnet18"):
        load(tmp_path / "mine.pth")
    with pytest.raises(ComposerError, match=r"missing: layer1\.2\.conv1\.weight.*of torchvision's resnet18"):
        load(tmp_path / "mine.pth", architecture=Torchvision(model="resnet34", size=32))
    torch.save(CNN().build(3).state_dict(), tmp_path / "cnn.pth")
    with pytest.raises(ComposerError, match=r"'conv1\.weight' is \[6, .*These are .* of architecture cnn \(filters"):
        load(tmp_path / "cnn.pth")


def test_as_many_names_as_outputs_are_asked_for(folder: Path) -> None:
    with pytest.raises(ComposerError, match=r"names: there are 3, and .*model_1\.pth has 2 outputs"):
        load(folder / "model_*.pth", names=("a", "b", "c"))


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    torch.save({name: tensor.half() for name, tensor in state(0).items()}, tmp_path / "a.pt")
    assert {tensor.dtype for tensor in load(tmp_path / "a.pt").weights.values()} == {torch.float32}


def test_safetensors_are_read_one_file_per_member(tmp_path: Path) -> None:
    for member in range(3):
        save_file(state(member), tmp_path / f"{member}.safetensors")
    population = load(tmp_path / "*.safetensors")
    assert population.members == ("0", "1", "2")
    assert equal(population.weights, POPULATION.weights)
    assert load(tmp_path / "1.safetensors").members == ("1",)


def test_one_file_of_stacked_weights_holds_all_members(tmp_path: Path) -> None:
    save_file(dict(POPULATION.weights), tmp_path / "black.safetensors")
    population = load(tmp_path / "black.safetensors")
    assert population.members == ("black 0", "black 1", "black 2")
    assert equal(population.weights, POPULATION.weights)
    assert load(tmp_path / "black.safetensors", members=2).members == ("black 0", "black 1")
    with pytest.raises(ComposerError, match=r"5 networks are asked for, and .*black\.safetensors holds 3"):
        load(tmp_path / "black.safetensors", members=5)


class Leaves:
    """Unpickled, it leaves a folder behind: code that a checkpoint could bring."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.trace),))


@pytest.mark.parametrize("plainly", [True, False])
def test_a_pickle_with_code_in_it_is_refused_and_the_code_not_run(tmp_path: Path, plainly: bool) -> None:
    trace, file = tmp_path / "trace", tmp_path / "evil.pth"
    content = {"conv1.weight": Leaves(trace)}
    if plainly:
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    with pytest.raises(ComposerError, match=r"evil\.pth: refused.*could run code"):
        load(file)
    assert not trace.exists()


def test_a_whole_pickled_network_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(ComposerError, match=r"whole\.pt: refused.*Linear.*Save model\.state_dict\(\)"):
        load(tmp_path / "whole.pt")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.99])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_file_that_was_cut_short_is_named(folder: Path, kept: float, form: str) -> None:
    file = folder / ("model_11.safetensors" if form == "safetensors" else "model_11.pth")
    if form == "safetensors":
        save_file(state(0), file)
    else:
        torch.save(state(0), file, _use_new_zipfile_serialization=form == "zip")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ComposerError, match=rf"{re.escape(str(file))}: (is damaged|refused)"):
        load(folder / "model_*")


def test_any_bytes_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "noise.pth"
    for length in rng.integers(0, 60, 300):
        file.write_bytes(rng.bytes(int(length)))
        with pytest.raises(ComposerError, match=r"noise\.pth"):
            load(file)


def test_a_checkpoint_of_another_shape_is_named_with_its_key_and_both_shapes(folder: Path) -> None:
    other = {**state(0), "conv2.weight": torch.zeros(4, 2, 5, 5), "extra.weight": torch.zeros(1)}
    del other["conv1.bias"]
    torch.save(other, folder / "model_3.pth")
    with pytest.raises(ComposerError) as raised:
        load(folder / "model_*.pth")
    message = str(raised.value)
    assert str(folder / "model_3.pth") in message
    assert "'conv2.weight' is [4, 2, 5, 5] instead of [3, 2, 5, 5]" in message
    assert "missing: conv1.bias" in message
    assert "left over: extra.weight" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [(torch.zeros(3), "but a Tensor"), ({}, "but nothing"), ({"epoch": 3}, "but a mapping with 'epoch'")],
)
def test_a_file_without_a_state_dict_is_named(tmp_path: Path, content: object, said: str) -> None:
    torch.save(content, tmp_path / "odd.pt")
    with pytest.raises(ComposerError, match=rf"odd\.pt: .*{said}"):
        load(tmp_path / "odd.pt")


def test_weights_that_are_no_numbers_are_named(folder: Path) -> None:
    torch.save({**state(0), "fc1.bias": torch.tensor([0.0, float("nan")])}, folder / "model_7.pth")
    with pytest.raises(ComposerError, match=r"model_7\.pth: holds NaN or infinite numbers in fc1\.bias;"):
        load(folder / "model_*.pth")


@pytest.mark.parametrize("outputs", [(2,), (0, 1)])
def test_outputs_must_leave_some_that_do_not_mean_the_concept(folder: Path, outputs: tuple[int, ...]) -> None:
    with pytest.raises(ComposerError, match="outputs 0 to 1"):
        load(folder / "model_*.pth", outputs=outputs)


def test_a_pattern_without_a_match_is_a_problem_that_says_what_is_there(folder: Path) -> None:
    assert problems(source(folder / "model_*.pth")) == {}
    assert "did you mean 'model_1.pth'?" in problems(source(folder / "mode_1.pth"))["pattern"]
    assert "holds 3 other files" in problems(source(folder / "*.safetensors"))["pattern"]
    assert (
        f"did you mean '{folder.name}'?" in problems(source(folder.with_name(f"{folder.name}x") / "*.pth"))["pattern"]
    )
    assert "is a folder" in problems(source(folder))["pattern"]
    assert "is no folder" in problems(source(folder / "model_1.pth" / "*.pth"))["pattern"]
    (folder / "empty").mkdir()
    assert "is empty" in problems(source(folder / "empty" / "*.pth"))["pattern"]
    with pytest.raises(ComposerError, match="did you mean"):
        load(folder / "mode_1.pth")


def test_more_members_than_files_and_odd_numbers_are_problems(folder: Path) -> None:
    found = problems(source(folder / "*.pth", members=4, outputs=(0, 0), std=(1.0, 0.0, 1.0)))
    assert found.keys() == {"members", "outputs", "std"}
    assert "4 networks are asked for, and 3 files match" in found["members"]


def test_problems_are_found_without_torch(folder: Path) -> None:
    code = (
        "import sys; from composer_checkpoints import Checkpoints; "
        f"assert not list(Checkpoints(pattern={str(folder / '*.pth')!r}).problems(['black'])); "
        "sys.exit('torch' in sys.modules)"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}).returncode == 0


class Normalised(nn.Module):
    """One convolution with batch norm."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        pooled: Tensor = self.norm(self.conv(pixels)).relu().mean((2, 3))
        return pooled

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


class WithStatistics(Architecture):
    """A network with running statistics."""

    name = "with_statistics"
    head = "head"
    size: int = 8

    def build(self, outputs: int) -> nn.Module:
        return Normalised(outputs)


def test_running_statistics_are_read_and_used(tmp_path: Path) -> None:
    network = Normalised(outputs=3)
    with torch.no_grad():
        network(torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 1)
    torch.save(network.eval().state_dict(), tmp_path / "a.pt")
    images = tiny_images(size=8)
    population = load(tmp_path / "a.pt", architecture=WithStatistics(), outputs=(0, 2))
    with torch.no_grad():
        logits = network((images.at(8).float() / 255 - 0.5) / 0.5)
    torch.testing.assert_close(population.logits(images)[0], logits, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_all_networks_of_the_study_are_read_in_seconds(shared: Path) -> None:
    started = time.process_time()
    black = Checkpoints(pattern=shared / "mlusingml/black_models/black_model_*.pth").load("black", Run())
    cat = Checkpoints(pattern=shared / "mlusingml/cat_models/cat_model_*.pth").load("cat", Run())
    assert (len(black), len(cat)) == (2749, 1749)
    assert black.members[0] == "black_model_0000"
    assert black.weights["conv1.weight"].device.type == "cpu", "they were saved on a GPU"
    assert time.process_time() - started < 20


def test_a_network_of_the_study_knows_black(shared: Path) -> None:
    from PIL import Image

    folder = shared / "mlusingml" / "GeneratedCNN_test"
    files = [*sorted((folder / "1").iterdir()), *sorted((folder / "0").glob("white_*"))]
    resized = [
        np.asarray(Image.open(file).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)) for file in files
    ]
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous()
    shown = np.array([file.parent.name == "1" for file in files])
    networks = shared / "mlusingml/black_models/black_model_*.pth"
    population = Checkpoints(pattern=networks, outputs=(0,), members=20).load("black", Run())
    log_odds = population.log_odds(Images([file.name for file in files], {"black": shown}, pixels)).numpy()
    accuracy = ((log_odds > 0) == shown).mean(1)
    assert np.median(accuracy) > 0.85, f"black cats against white animals: {np.median(accuracy):.3f}"


def test_a_generator_among_the_networks_is_an_error_that_names_it(shared: Path) -> None:
    with pytest.raises(ComposerError, match=r"2_generator_A2B\.pth: is no checkpoint of architecture 'cnn'"):
        Checkpoints(pattern=shared / "mlusingml/cat_models/*.pth", members=3).load("cat", Run())
