"""Which output of a network fires for which folder of pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from composer import ComposedModel, ComposerError, Preprocessing
from composer.command_line.cli import main
from composer.models.picture_folders import picture_groups
from composer.models.responses import responses
from composer_cnn import CNN
from saved_run import save_model, saved_run
from tiny import ARCHITECTURE, tiny_population


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five dark and seven light pictures, one of these two folders down, and a file that is no picture."""
    rng = np.random.default_rng(0)
    for kind, brightness, count in (("dark", 30, 5), ("light", 220, 7)):
        for index in range(count):
            file = tmp_path / "photos" / kind / ("deeper/" if index == 6 else "") / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(brightness - 20, brightness + 20, (20, 24, 3), dtype=np.uint8)).save(file)
    (tmp_path / "photos" / "light" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "photos"


def pixels(folder: Path, size: int) -> Tensor:
    """uint8 [N, 3, size, size], as Pillow reads and resizes."""
    files = [file for file in sorted(folder.rglob("*.png")) if file.name != "broken.png"]
    read = [np.array(Image.open(file).resize((size, size), Image.Resampling.BILINEAR)) for file in files]
    return torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2)


def light_network(photos: Path, architecture: CNN, outputs: int = 2) -> nn.Module:
    """A network whose last output fires for light pictures and for no dark one."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = architecture.build(outputs)
        prepared = Preprocessing(architecture.size)
        dark, light = (
            network.features(prepared(pixels(photos / kind, architecture.size))).mean(0)  # type: ignore[operator]
            for kind in ("dark", "light")
        )
        away = light - dark
        scale = 8 / away.square().sum()
        head = network.get_submodule(architecture.head)
        assert isinstance(head, nn.Linear)
        head.weight.zero_()
        head.bias.zero_()
        head.weight[-1] = away * scale
        head.bias[-1] = -(away * scale) @ (light + dark) / 2
    return network


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_the_output_that_fires_is_named_for_every_folder(tmp_path: Path, photos: Path) -> None:
    torch.save(light_network(photos, CNN()).state_dict(), tmp_path / "which.pth")
    found = invoke(tmp_path / "which.pth", "--images", photos)
    assert found.exit_code == 0, found.output
    assert "dark: output 0 (0.98 on these, 0.02 on the others)" in found.stdout
    assert "light: output 1 (0.98 on these, 0.02 on the others)" in found.stdout
    assert "1 picture could not be read" in found.stderr
    (data,) = json.loads(invoke(tmp_path / "which.pth", "--images", photos, "--json").stdout)
    assert [(each["folder"], each["pictures"]) for each in data["folders"]] == [("dark", 5), ("light", 7)]
    assert [each["first"] for each in data["folders"]] == [[1, 0], [0, 1]]


def test_a_network_with_other_options_is_read_as_the_recipe_says_it(tmp_path: Path, photos: Path) -> None:
    torch.save({"model": light_network(photos, ARCHITECTURE).state_dict()}, tmp_path / "small.pt")
    refused = invoke(tmp_path / "small.pt", "--images", photos)
    assert refused.exit_code == 2
    assert "say which it is as a recipe does, --architecture '{use: cnn, ...}'" in refused.stderr
    said = invoke(tmp_path / "small.pt", "--images", photos, "--architecture", "{use: cnn, filters: [2, 3], size: 16}")
    assert "light: output 1" in said.stdout
    wrong = invoke(tmp_path / "small.pt", "--images", photos, "--architecture", "{use: cnn, siz: 16}")
    assert "siz: unknown option; did you mean 'size'?" in wrong.stderr
    assert "--architecture: is for --images" in invoke(tmp_path / "small.pt", "--architecture", "cnn").stderr


def test_an_only_output_is_a_sigmoid(tmp_path: Path, photos: Path) -> None:
    torch.save(light_network(photos, ARCHITECTURE, 1).state_dict(), tmp_path / "one.pt")
    (found,) = responses(str(tmp_path / "one.pt"), picture_groups(photos), ARCHITECTURE)
    assert found.outputs == ("output 0",)
    dark, light = found.folders
    assert dark.mean[0] == pytest.approx(0.018, abs=0.01)
    assert light.mean[0] == pytest.approx(0.982, abs=0.01)
    assert (dark.first, light.first) == ((0,), (1,))


def test_the_only_outputs_of_several_heads_are_sigmoids(tmp_path: Path, photos: Path) -> None:
    """As those of a student are: a head of one row is not read as two."""
    population = tiny_population("cat", members=1)
    head = {name: tensor[:, :1] for name, tensor in population.head_weights.items()}
    one = replace(population, weights={**population.body_weights, **head}, _memo={})
    save_model(tmp_path / "models" / "student", ComposedModel((one,), one.members))
    (found,) = responses(str(tmp_path / "models" / "student"), picture_groups(photos))
    network = ARCHITECTURE.build(1)
    network.load_state_dict({name: tensor[0] for name, tensor in one.weights.items()})
    for response in found.folders:
        with torch.inference_mode():
            expected = network(one.preprocessing(pixels(photos / response.folder, 16))).sigmoid().mean(0)
        assert response.mean == pytest.approx(expected.tolist(), abs=1e-5)


def test_probabilities_are_those_of_the_network_itself(tmp_path: Path, photos: Path) -> None:
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = get_model("resnet18", num_classes=3).eval()
    torch.save({"state_dict": {f"net.{name}": each for name, each in network.state_dict().items()}}, tmp_path / "r.pt")
    (found,) = responses(str(tmp_path / "r.pt"), picture_groups(photos))
    prepared = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for response in found.folders:
        with torch.inference_mode():
            expected = network(prepared(pixels(photos / response.folder, 224))).softmax(1).mean(0)
        assert response.mean == pytest.approx(expected.tolist(), abs=1e-5)


def test_of_stacked_networks_the_first_is_run(tmp_path: Path, photos: Path) -> None:
    population = tiny_population("cat")
    save_file(dict(population.weights), tmp_path / "all.safetensors")
    (found,) = responses(str(tmp_path / "all.safetensors"), picture_groups(photos), ARCHITECTURE)
    assert found.notes == ("the first of the 3 networks in the file",)
    alone = ARCHITECTURE.build(2)
    alone.load_state_dict({name: tensor[0] for name, tensor in population.weights.items()})
    with torch.inference_mode():
        expected = alone(population.preprocessing(pixels(photos / "dark", 16))).softmax(1).mean(0)
    assert found.folders[0].mean == pytest.approx(expected.tolist(), abs=1e-5)


def test_every_network_of_a_composition_answers(tmp_path: Path, photos: Path) -> None:
    saved_run(tmp_path / "run")
    found = responses(str(tmp_path / "run" / "models" / "product"), picture_groups(photos))
    assert [each.title.rpartition("network of ")[2] for each in found] == ["black", "cat"]
    with pytest.raises(ComposerError, match="has no head, and so no outputs"):
        responses(str(tmp_path / "run" / "models" / "features"), picture_groups(photos))


def test_what_holds_no_pictures_or_no_weights_is_said(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_bytes(b"no picture")
    torch.save(CNN().build(2).state_dict(), tmp_path / "n.pth")
    for images, message in (
        ("empty", "empty: the folder holds no picture"),
        ("gone", "--images {0}/gone: there is no such folder"),
        ("n.pth", "--images {0}/n.pth: is a file"),
        ("bad", "none of the pictures can be read: {0}/bad/1.png"),
    ):
        refused = invoke(tmp_path / "n.pth", "--images", tmp_path / images)
        assert refused.exit_code == 2
        assert message.format(tmp_path) in refused.stderr
    assert "--images needs the weights themselves" in invoke("resnet18", "--images", photos).stderr


def test_pictures_beside_the_folders_are_a_group_too(photos: Path) -> None:
    (photos / "light" / "0.png").rename(photos / "0.png")
    groups = picture_groups(photos)
    assert {folder: len(files) for folder, files in groups.items()} == {".": 1, "dark": 5, "light": 7}


def test_the_error_about_outputs_without_names_says_how_to_find_out(tmp_path: Path) -> None:
    unnamed = replace(tiny_population("cat"), outputs=())
    assert "`composer inspect FILE --images FOLDER` shows which of them fires" in unnamed.why_no_log_odds
