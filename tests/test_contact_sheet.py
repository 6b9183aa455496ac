"""The sheet of a recipe's pictures."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image

from composer import Images, LoadedModel, Prediction
from composer.data.decoding import FileDecoder
from composer.results.contact_sheet import contact_sheet, rows
from tiny import tiny_images, training_images


def test_a_sheet_has_a_row_for_yes_and_no_of_training_and_for_each_cell_of_the_test() -> None:
    images = tiny_images(3)
    assert [(row.label, len(row.indices)) for row in rows("test", images)] == [
        ("black+cat", 3),
        ("black", 3),
        ("cat", 3),
        ("none", 3),
    ]
    assert [row.label for row in rows("train.cat", training_images("cat"))] == ["cat: yes", "cat: no"]


def test_pictures_on_the_sheet_are_enlarged_without_blurring() -> None:
    pixels = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    pixels[0, :, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    sheet = np.asarray(contact_sheet({"test": Images(["one"], {"black": [True], "cat": [True]}, pixels)}))
    assert (sheet == [255, 0, 0]).all(axis=-1).sum() == 36 * 36
    assert (sheet == [0, 0, 0]).all(axis=-1).sum() == 3 * 36 * 36


def test_a_sheet_shows_at_most_as_many_pictures_as_asked_for() -> None:
    images = tiny_images(9)
    few, many = contact_sheet({"test": images}, 5), contact_sheet({"test": images}, 9)
    assert many.width - few.width == 4 * (80 + 4)
    assert many.height == few.height


class SaysYes:
    """A model that takes every picture for the target."""

    target, composition = "black+cat", "yes"

    def predict(self, pictures: list[Image.Image]) -> list[Prediction]:
        return [Prediction("", 0.9, True) for _ in pictures]


def test_what_a_model_says_stands_below_test_pictures_in_red_where_it_is_wrong() -> None:
    images, model = tiny_images(3), cast("LoadedModel", SaysYes())
    lowest = {}
    for cell in ("black+cat", "none"):
        own = images.select([index for index, other in enumerate(images.cells) if other == cell])
        sheet = np.asarray(contact_sheet({"test": own}, 3, model))
        lowest[cell] = int((sheet == [200, 30, 30]).all(axis=-1).sum())
        assert sheet.shape[0] == np.asarray(contact_sheet({"test": own}, 3)).shape[0] + 4 * 18
    assert lowest["black+cat"] == 0
    assert lowest["none"] > 0
    training = {"train.cat": training_images("cat")}
    assert contact_sheet(training, 3, model).size == contact_sheet(training, 3).size


def test_of_picture_files_only_those_on_the_sheet_are_decoded(tmp_path: Path) -> None:
    files = [tmp_path / f"{index}.png" for index in range(4)]
    for file in files[:1] + files[3:]:  # the two in between are absent
        Image.new("RGB", (50, 40), (0, 200, 0)).save(file)
    images = Images([file.name for file in files], {"cat": [True] * 4}, FileDecoder(tuple(map(str, files))))
    sheet = np.asarray(contact_sheet({"test": images}, 2))
    assert (sheet == [0, 200, 0]).all(axis=-1).sum() == 2 * 96 * 96
