from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from composer import ComposerError, KernelSet, Run, Split
from composer_study import StudyGenerators, StudyPictures

CONCEPTS = ("black", "cat")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The layout that the study published, made up: five pictures and the four generators."""
    names = {
        "0": ["black_dog (1).jpg", "white_cat (1).png", "car (1).webp", "black (2).jpg"],
        "1": ["black_cat (1).jpg"],
    }
    for folder, files in names.items():
        (tmp_path / "GeneratedCNN_test" / folder).mkdir(parents=True)
        for file in files:
            Image.new("RGB", (40, 30), "gray").save(tmp_path / "GeneratedCNN_test" / folder / file)
    generator = torch.Generator().manual_seed(0)
    for layer, channels in (("", 3), ("2_", 2)):
        for direction in ("A2B", "B2A"):
            shapes = {
                "main.0.weight": (4, channels, 3, 3, 3),
                "main.0.bias": (4,),
                "main.2.weight": (channels, 4, 3, 3, 3),
                "main.2.bias": (channels,),
            }
            weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
            torch.save(weights, tmp_path / f"{layer}generator_{direction}.pth")
    return tmp_path


def kernels(concept: str, numbers: list[int]) -> KernelSet:
    generator = torch.Generator().manual_seed(len(concept))
    count = len(numbers)
    layers = {
        "conv1": torch.randn(count, 2, 3, 5, 5, generator=generator),
        "conv2": torch.randn(count, 4, 2, 5, 5, generator=generator),
    }
    return KernelSet(concept, layers, tuple(f"{concept}_model_{number:04}" for number in numbers))


def generators(root: Path, **options: object) -> StudyGenerators:
    return StudyGenerators.model_validate(options, context={"root": root})


def pictures(root: Path) -> StudyPictures:
    return StudyPictures.model_validate({}, context={"root": root})


def test_what_a_picture_shows_is_read_from_its_folder_and_name(study: Path) -> None:
    images = pictures(study).load(Split(CONCEPTS), Run())
    assert dict(zip(images.names, images.cells, strict=True)) == {
        "0/black (2).jpg": "black",
        "0/black_dog (1).jpg": "black",
        "0/car (1).webp": "none",
        "0/white_cat (1).png": "cat",
        "1/black_cat (1).jpg": "black+cat",
    }
    assert images.at(32).shape == (5, 3, 32, 32)


def test_a_missing_folder_is_named_and_there_is_nothing_to_train_from(study: Path, tmp_path: Path) -> None:
    ((option, message),) = pictures(tmp_path / "absent").split_problems(Split(CONCEPTS))
    assert option == "folder"
    assert str(tmp_path / "absent" / "GeneratedCNN_test") in message
    ((_, message),) = pictures(study).split_problems(Split(CONCEPTS, "cat"))
    assert "no training pictures of 'cat'" in message
    assert list(pictures(study).split_problems(Split(CONCEPTS))) == []


def test_networks_that_both_parents_number_are_translated_both_ways(study: Path) -> None:
    made = generators(study).translate([kernels("black", [0, 229, 7]), kernels("cat", [229, 3, 7])], Run())
    assert made.members == ("7 A", "229 A", "7 B", "229 B")
    assert {layer: tuple(tensor.shape) for layer, tensor in made.layers.items()} == {
        "conv1": (4, 2, 3, 5, 5),
        "conv2": (4, 4, 2, 5, 5),
    }


def test_a_translation_is_the_generators_own_on_exchanged_axes(study: Path) -> None:
    black, cat = kernels("black", [1]), kernels("cat", [1])
    made = generators(study, domains=["A"]).translate([black, cat], Run())
    weights = torch.load(study / "generator_B2A.pth", weights_only=True)
    network = torch.nn.Sequential(
        torch.nn.Conv3d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv3d(4, 3, 3, padding=1), torch.nn.Tanh()
    )
    network.load_state_dict({name.removeprefix("main."): tensor for name, tensor in weights.items()})
    expected = network(cat.layers["conv1"].transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(made.layers["conv1"], expected.detach())


def test_a_file_that_is_no_generator_is_named(study: Path) -> None:
    parents = [kernels("black", [1]), kernels("cat", [1])]
    file = study / "generator_B2A.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, file)
    with pytest.raises(ComposerError, match="holds no generator"):
        generators(study).translate(parents, Run())
    file.write_bytes(b"half a file")
    with pytest.raises(ComposerError, match="cannot be read as weights"):
        generators(study).translate(parents, Run())
    file.unlink()
    assert [option for option, _ in generators(study).problems(CONCEPTS)] == ["conv1_to_a"]


def test_parents_without_a_common_number_are_refused(study: Path) -> None:
    with pytest.raises(ComposerError, match="no number is in the names of members of both"):
        generators(study).translate([kernels("black", [1]), kernels("cat", [2])], Run())


def test_the_89_photographs_are_34_black_cats_and_55_others(shared: Path) -> None:
    images = pictures(shared / "mlusingml").load(Split(CONCEPTS), Run())
    cells = images.cells
    assert {cell: cells.count(cell) for cell in set(cells)} == {"black+cat": 34, "black": 14, "cat": 5, "none": 36}
