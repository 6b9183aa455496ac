"""`composer merge`: checkpoints made one network, as a folder that `composer.load` reads."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from composer import load
from composer.command_line.cli import main
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN

NETWORK = "{use: cnn, filters: [2, 3], size: 16}"


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[str, str]:
    """Two networks of three outputs."""
    files = []
    for seed, name in enumerate("AB"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.save(CNN(filters=(2, 3), size=16).build(3).state_dict(), tmp_path / f"{name}.pth")
        files.append(str(tmp_path / f"{name}.pth"))
    return files[0], files[1]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of twelve pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return folder


def merge(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["merge", *arguments])


def test_the_folder_is_loaded_and_holds_the_mean(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    method = "{use: aligned_mean, by: nothing}"
    said = merge(*checkpoints, "--architecture", NETWORK, "--outputs", "1", "--method", method, "-o", str(folder))
    assert said.exit_code == 0, said.output
    model = load(folder)
    assert (model.target, model.member) == ("merged", "A + B")
    first, second = (torch.load(file, weights_only=True) for file in checkpoints)
    state = model.state_dict()
    (name,) = [name for name in state if name.endswith("conv2.weight")]
    torch.testing.assert_close(state[name], (first["conv2.weight"] + second["conv2.weight"]) / 2)


def test_a_network_merged_with_itself_says_the_same(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    first, _ = checkpoints
    said = merge(first, first, "--architecture", NETWORK, "--outputs", "1", "-o", str(tmp_path / "out"))
    assert said.exit_code == 0, said.output
    network = CNN(filters=(2, 3), size=16).build(3).eval()
    network.load_state_dict(torch.load(first, weights_only=True))
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = network((pixels - 0.5) / 0.5)
        wanted = logits[:, 1] - logits[:, [0, 2]].logsumexp(1)
        torch.testing.assert_close(load(tmp_path / "out")(pixels), wanted, rtol=1e-4, atol=1e-5)


def test_what_was_taken_of_several_networks_in_a_file_is_said(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    first, second = (torch.load(file, weights_only=True) for file in checkpoints)
    torch.save({"model": first, "ema": second}, tmp_path / "two.pth")
    stacked = {name: torch.stack([first[name], second[name]]) for name in first}
    torch.save(stacked, tmp_path / "stacked.pth")
    files = str(tmp_path / "two.pth"), str(tmp_path / "stacked.pth")
    said = merge(*files, "--architecture", NETWORK, "--outputs", "1", "-o", str(tmp_path / "out"))
    assert said.exit_code == 0, said.output
    output = " ".join(said.output.split())
    assert "took the network under 'model'; it also holds 'ema'" in output
    assert "warning: stacked.pth: the first of the 2 networks in the file" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "has 3 outputs; say which count"),
        (("--outputs", "3"), "has outputs 0 to 2"),
        (("--outputs", "one"), "must be numbers from 0"),
        (("--outputs", "1", "--method", "refit"), "not out of networks alone"),
        (("--outputs", "1", "--method", "{use: aligned_mean, by: activations}"), "and there are none"),
    ],
)
def test_what_cannot_be_merged_is_named_and_writes_nothing(
    checkpoints: tuple[str, str], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    said = merge(*checkpoints, "--architecture", NETWORK, *options, "-o", str(tmp_path / "out"))
    assert said.exit_code == 2
    assert message in " ".join(said.output.split())
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_already_is_kept(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    said = merge(*checkpoints, "--architecture", NETWORK, "--outputs", "1", "-o", str(tmp_path / "out"))
    assert said.exit_code == 2
    assert "is there already" in " ".join(said.output.split())


def broken_pair(kind: str, first: str, folder: Path) -> tuple[str, tuple[str, ...]]:
    """A second file that cannot be merged with the first, and options."""
    other = folder / f"{kind}.pth"
    network = CNN(filters=(2, 3), size=16).build(5 if kind == "classes" else 3)
    state = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    if kind == "nan":
        state["conv2.weight"] = state["conv2.weight"] * float("nan")
    if kind != "missing":
        torch.save(state, other)
    return str(other), ("--architecture", NETWORK)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("classes", r"A.pth has 3 outputs, .*classes.pth 5: their classes differ, so a new head has to be fitted"),
        ("nan", r"nan.pth: holds NaN or infinite numbers in conv2.weight"),
        ("missing", r"missing.pth: cannot be read: No such file"),
    ],
)
def test_files_that_cannot_be_merged_are_named_in_one_line_and_write_nothing(
    checkpoints: tuple[str, str], tmp_path: Path, kind: str, message: str
) -> None:
    other, options = broken_pair(kind, checkpoints[0], tmp_path)
    before = sorted(tmp_path.iterdir())
    said = merge(checkpoints[0], other, *options, "--outputs", "1", "-o", str(tmp_path / "out"))
    assert said.exit_code == 2
    assert re.search(message, said.output), said.output
    assert len(said.output.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_networks_of_two_architectures_are_refused_with_both_names(tmp_path: Path) -> None:
    files = []
    for depth in (20, 32):
        files.append(str(tmp_path / f"{depth}.pth"))
        torch.save(CifarResNet(depth=depth).build(10).state_dict(), files[-1])
    said = merge(*files, "--outputs", "3", "-o", str(tmp_path / "out"))
    assert said.exit_code == 2
    assert re.search(r"\(depth: 20, .*\(depth: 32, .* merges networks of one architecture\n$", said.output)
    assert not (tmp_path / "out").exists()


def test_classes_that_differ_are_merged_with_a_head_fitted_on_pictures(
    checkpoints: tuple[str, str], tmp_path: Path, pictures: Path
) -> None:
    other, options = broken_pair("classes", checkpoints[0], tmp_path)
    said = merge(
        checkpoints[0], other, *options, "--outputs", "1", "--images", str(pictures), "-o", str(tmp_path / "out")
    )
    assert said.exit_code == 0, said.output
    assert load(tmp_path / "out").state_dict()["parts.0.network.fc1.weight"].shape[0] == 2, "merged, or not"


def test_options_of_the_method_are_set_one_by_one(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    said = merge(
        *checkpoints, "--architecture", NETWORK, "--outputs", "1", "--set", "by=nothing", "-o", str(tmp_path / "out")
    )
    assert said.exit_code == 0, said.output
    card = (tmp_path / "out" / "README.md").read_text()
    assert "by: nothing" in card
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "unknown"
    wrong = merge(*checkpoints, "--outputs", "1", "--set", "bi=nothing", "-o", str(tmp_path / "other"))
    assert "--set bi=nothing: bi: unknown option; there are by, " in wrong.output


@pytest.mark.parametrize("method", ["{use: zipit, width: 1.5}", "pleas", "channel_choice", "optimal_transport"])
def test_units_are_merged_on_pictures(
    checkpoints: tuple[str, str], pictures: Path, tmp_path: Path, method: str
) -> None:
    options = ("--architecture", NETWORK, "--outputs", "1", "--images", str(pictures), "--method", method)
    said = merge(*checkpoints, *options, "-o", str(tmp_path / "out"))
    assert said.exit_code == 0, said.output
    shapes = {
        name.rpartition("conv2.")[2]: list(own.shape) for name, own in load(tmp_path / "out").state_dict().items()
    }
    assert shapes["weight"] == ([4, 3, 5, 5] if "width" in method else [3, 2, 5, 5])
    alone = merge(checkpoints[0], *options, "-o", str(tmp_path / "alone"))
    assert "networks, not 1" in " ".join(alone.output.split())
    blind = merge(*checkpoints, *options[:4], "--method", method, "-o", str(tmp_path / "blind"))
    assert "units are watched on the parents' pictures, and there are none" in " ".join(blind.output.split())


def test_pictures_that_cannot_be_read_are_named(checkpoints: tuple[str, str], tmp_path: Path) -> None:
    options = ("--architecture", NETWORK, "--outputs", "1", "--set", "by=activations")
    said = merge(*checkpoints, *options, "--images", str(tmp_path / "none.png"), "-o", str(tmp_path / "out"))
    assert said.exit_code == 2
    assert "none.png" in said.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare"])
def test_networks_of_one_base_are_merged_around_it(checkpoints: tuple[str, str], tmp_path: Path, method: str) -> None:
    first, base = checkpoints
    common = ("--architecture", NETWORK, "--outputs", "1", "--method", method)
    folder = tmp_path / "out"
    said = merge(first, first, *common, "--set", f"base={base}", "--set", "scale=0", "-o", str(folder))
    assert said.exit_code == 0, said.output
    wanted = torch.load(base, weights_only=True)["conv2.weight"]
    state = load(folder).state_dict()
    assert any(torch.equal(tensor, wanted) for name, tensor in state.items() if name.endswith("conv2.weight"))
    assert str(tmp_path) not in (folder / "config.json").read_text() + (folder / "README.md").read_text()
    refused = merge(first, first, *common, "-o", str(tmp_path / "other"))
    assert refused.exit_code == 2
    assert (
        f"--method {method}: base: say the file of the weights that all parents were fine-tuned from" in refused.output
    )
    assert not (tmp_path / "other").exists()
