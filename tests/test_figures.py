"""Figures as they are drawn: small pictures, grey and in colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from composer.data.figures import Tiles, draw, from_json, tile_sheet, to_json

GREY = [[0.0, 1.0], [2.0, 4.0]]
RED = [[[9.0, 1.0, 1.0], [1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 5.0]]]
BOTH = Tiles("kernels", [[GREY], [RED, GREY]], ["grey", "coloured"])


def test_a_tile_goes_from_its_least_to_its_largest_value_and_between_tiles_there_is_nothing() -> None:
    sheet = tile_sheet(BOTH)
    assert sheet.shape == (6, 6, 4)
    assert sheet[0, 0].tolist() == [0, 0, 0, 1]
    assert sheet[1, 1].tolist() == [1, 1, 1, 1]
    assert sheet[1, 0].tolist() == [0.5, 0.5, 0.5, 1]
    assert (sheet[2, :, 3] == 0).all()
    assert (sheet[:2, 3:, 3] == 0).all(), "the first row has one tile only"


def test_a_tile_of_three_values_at_each_place_is_in_colour_on_one_scale() -> None:
    sheet = tile_sheet(BOTH)
    assert sheet[3, 0].tolist() == [1, 0, 0, 1]
    assert sheet[4, 1].tolist() == [0, 0, 0.5, 1]
    assert tile_sheet(Tiles("flat", [[[[[2.0, 2.0, 2.0]]]]], ["one"]))[0, 0].tolist() == [0.5, 0.5, 0.5, 1]


def test_a_coloured_figure_is_kept_as_json_and_drawn_in_its_colours(tmp_path: Path) -> None:
    again = from_json(to_json(BOTH))
    assert again == BOTH
    draw(again, tmp_path / "kernels.png")
    pixels = np.asarray(Image.open(tmp_path / "kernels.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == (255, 0, 0)).all(axis=1).any()
    assert (pixels == (0, 0, 128)).all(axis=1).any() or (pixels == (0, 0, 127)).all(axis=1).any()
