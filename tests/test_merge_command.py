"""`composer merge`: checkpoints made one network, as a folder that `composer.load` reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from composer import load
from composer.command_line.cli import main
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
