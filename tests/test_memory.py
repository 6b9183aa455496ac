"""How much memory a recipe will take, said before any work, at the option that decides it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from composer.errors import RecipeError
from composer.recipes import memory
from composer.recipes.recipe_reader import read_recipe
from composer_cnn import CNN
from conftest import ROOT

RECIPE = """\
name: large
concepts: [black, cat]
images: {use: drawings, size: 32, train: 1000, test: 400}
models:
  use: train
  architecture: {use: cnn, filters: [6, 16], size: 32}
  members: 32
compositions:
  product: {assembler: product}
"""


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB, whatever the machine has that the test runs on."""
    monkeypatch.setattr(memory, "machine_memory", lambda: 8 * 10**9)


def read(folder: Path, *overrides: str) -> Any:
    (folder / "r.yaml").write_text(RECIPE)
    return read_recipe(folder / "r.yaml", overrides)


def refusals(folder: Path, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        read(folder, *overrides)
    return [str(problem).replace(f"{folder}/", "") for problem in error.value.problems]


def test_a_recipe_that_fits_says_nothing_of_memory(tmp_path: Path) -> None:
    assert read(tmp_path).notes == ()


def test_pictures_beyond_the_memory_are_refused_with_the_estimate_and_what_to_lower(tmp_path: Path) -> None:
    said = refusals(tmp_path, "images.train=100000", "models.architecture.size=512", "models.members=1")
    first = (
        "--set images.train=100000: images.train: 100,000 pictures (train.black) of 512x512 pixels take about 79 GB, "
        "and this machine has 8.0 GB of memory; lower `train` or the size of the network (512)"
    )
    assert said[0] == first
    assert len(said) == 2, said  # the other concept's


def test_many_members_and_large_filters_are_refused_where_they_are_written(tmp_path: Path) -> None:
    said = refusals(tmp_path, "models.members=10000", "models.architecture.filters=[4096, 4096]")
    assert said[0].startswith("--set models.members=10000: models.members: 10,000 networks in training, of 419,")
    assert "take about 67,192 GB, and this machine has 8.0 GB of memory; lower `members` or the network's" in said[0]
    (tmp_path / "r.yaml").write_text(RECIPE.replace("members: 32", "members: 10000").replace("[6, 16]", "[64, 4096]"))
    with pytest.raises(RecipeError, match=r"r\.yaml:7:3: models\.members: 10,000 networks in training"):
        read_recipe(tmp_path / "r.yaml")


def test_members_that_a_translator_makes_are_counted(tmp_path: Path) -> None:
    (said,) = refusals(
        tmp_path,
        "compositions.noise={translator: {use: random, members: 100000}, assembler: transplant}",
        "controls=[]",
        "images.test=4000",
    )
    assert "compositions.noise.translator.members: the features of 100,000 networks on 4,000 test pictures" in said
    assert "lower `members`, the network or the images' `test`" in said


def test_what_takes_much_of_the_memory_is_a_note(tmp_path: Path) -> None:
    (said,) = read(tmp_path, "images.size=256", "images.test=40000").notes
    assert said == (
        "images.test: 40,000 pictures (test) of 256x256 pixels take about 7.9 GB, and this machine has 8.0 GB of "
        "memory; lower `test` or `size` where it does not fit"
    )


def test_pictures_in_folders_are_counted(tmp_path: Path) -> None:
    for concept in ("black", "cat"):
        for side in ("yes", "no"):
            folder = tmp_path / "train" / concept / side
            folder.mkdir(parents=True)
            for index in range(200):
                Image.new("RGB", (4, 4)).save(folder / f"{index}.png")
    for cell in ("black+cat", "black", "cat", "none"):
        (tmp_path / "test" / cell).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "test" / cell / "0.png")
    said = refusals(tmp_path, "images={use: folder, size: 4096}")
    assert "400 pictures (train.black) of 4096x4096 pixels take about 20 GB" in said[0]
    assert read(tmp_path, "images={use: folder, size: 4096, limit: 20}").notes == ()


def test_the_footprint_of_the_small_network_is_that_of_the_network_itself() -> None:
    for network in (CNN(), CNN(filters=(2, 3), size=16), CNN(filters=(4, 5), kernel_size=3, size=33)):
        built = network.build(2)
        pixels = torch.zeros(1, 3, network.size, network.size)
        kept: list[int] = []
        conv = built.get_submodule("conv1")
        conv.register_forward_hook(lambda module, given, result, kept=kept: kept.append(result.numel()))
        features = built.features(pixels)  # type: ignore[operator]
        found = network.footprint()
        assert found.parameters == sum(tensor.numel() for tensor in built.parameters())
        assert found.features == features.shape[1]
        assert [found.activations] == kept


def test_every_shipped_recipe_fits_into_8_gb_as_far_as_it_is_known() -> None:
    read_any = 0
    for file in sorted((ROOT / "recipes").glob("*.yaml")):
        try:
            said = " ".join(read_recipe(file).notes)
            read_any += 1
        except RecipeError as error:  # its pictures are not here
            said = str(error)
        if "of memory" in said:
            pytest.fail(f"{file}: {said}")
    assert read_any > 2


def test_the_machine_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    whole = memory.machine_memory()
    assert whole is not None
    assert 10**8 < whole < 10**14
    (tmp_path / "limit").write_text("max\n")
    (tmp_path / "less").write_text("123456789\n")
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "limit"), str(tmp_path / "gone"), str(tmp_path / "less")))
    assert memory.machine_memory() == 123456789


def test_the_estimate_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RECIPE)
    code = f"""
import sys
from pathlib import Path
from composer.recipes.memory import needs
from composer.recipes.recipe_reader import read_recipe
assert list(needs(read_recipe(Path({str(tmp_path / "r.yaml")!r}))))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
