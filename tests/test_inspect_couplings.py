"""`composer inspect --couplings`: which units of a network can change places, and what moves with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from composer import Architecture
from composer.command_line.cli import main
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from saved_run import saved_run


def saved(architecture: Architecture, folder: Path) -> str:
    torch.save(architecture.build(2).state_dict(), folder / "network.pth")
    return str(folder / "network.pth")


def couplings(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", *arguments, "--couplings"])


def test_each_group_has_its_units_and_the_modules_that_move(tmp_path: Path) -> None:
    shown = couplings(saved(CNN(), tmp_path))
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines() == [
        "architecture 'cnn' (filters: [6, 16], kernel_size: 5, size: 32): 2 groups of units can change "
        "places without changing an output",
        "  conv1: 6 units",
        "    axis 0 of conv1; axis 1 of conv2",
        "  conv2: 16 units",
        "    axis 0 of conv2; axis 1 of fc1 (25 places each)",
    ]


def test_long_lists_of_modules_are_cut_and_json_has_all(tmp_path: Path) -> None:
    file = saved(CifarResNet(), tmp_path)
    assert "    axis 0 of conv1, bn1, layer1.0.conv2 and 17 more; axis 1 of " in couplings(file).output
    ((groups,),) = [json.loads(couplings(file, "--json").output).values()]
    named = {f"{axis['tensor']} {axis['axis']}" for axis in groups[0]["axes"]}
    assert (groups[0]["name"], groups[0]["units"]) == ("conv1", 16)
    assert {"layer3.2.bn2.running_var 0", "linear.weight 1"} <= named


def test_a_file_that_is_not_recognised_is_read_as_it_is_said(tmp_path: Path) -> None:
    file = saved(CNN(filters=(2, 3), size=16), tmp_path)
    refused = couplings(file)
    assert refused.exit_code == 2
    assert f"{file}: holds no network that a plugin knows; say which it is, --architecture" in refused.output
    assert "conv2: 3 units" in couplings(file, "--architecture", "{use: cnn, filters: [2, 3], size: 16}").output
    wrong = couplings(file, "--architecture", "cnn")
    assert wrong.exit_code == 2
    assert "is no checkpoint of architecture 'cnn'" in wrong.output


def test_a_saved_composition_shows_each_architecture(tmp_path: Path) -> None:
    saved_run(tmp_path / "run")
    assert couplings(str(tmp_path / "run")).output.count("groups of units") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.pth",), "nowhere.pth: there is no such file, folder or model source"),
        (("nowhere.pth", "--architecture", "cnn"), "--architecture is for a file of weights, and nowhere.pth is none"),
        (("nowhere.pth", "--images", "x"), "--images and --couplings: choose one of the two"),
    ],
)
def test_what_has_no_couplings_to_show_is_refused(arguments: tuple[str, ...], message: str) -> None:
    shown = couplings(*arguments)
    assert shown.exit_code == 2
    assert message in " ".join(shown.output.split())
