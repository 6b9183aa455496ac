"""What students learn from where it is not the parents' own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from composer import (
    ComposerError,
    Run,
)
from composer_training import Distil
from composer_training.distilling import lessons
from composer_training.unlabelled import dead_leaves
from teachers import (
    LARGE,
    OTHERS,
    PARENTS,
    SMALL,
    correlation,
)


def test_students_may_learn_without_a_picture_at_hand() -> None:
    options: dict[str, Any] = {"pictures": "dead_leaves", "count": 400, "architecture": LARGE, "flip": False}
    assert Distil(**options).terms.pictures == "none"
    run = Run(seed=4)
    model = Distil(**options, steps=300, batch=64, teachers="mean").assemble(None, PARENTS, run)
    others = dead_leaves(100, 24, torch.Generator().manual_seed(9))
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert correlation(part.log_odds(others)[0], parent.log_odds(others).clamp(-5, 5).mean(0)) > 0.6, parent.concept


def test_drawn_shapes_are_many_and_hide_each_other_at_every_scale() -> None:
    one, same, other = (
        dead_leaves(30, size, torch.Generator().manual_seed(seed)) for size, seed in ((64, 1), (64, 1), (64, 2))
    )
    assert torch.equal(one.at(64), same.at(64))
    assert not torch.equal(one.at(64), other.at(64))
    assert (one.at(64).dtype, one.at(64).shape, one.at(200).shape) == (torch.uint8, (30, 3, 64, 64), (30, 3, 200, 200))
    pixels = one.at(64).flatten(2)
    colours = [len(picture.unique(dim=1).T) for picture in pixels]
    assert max(colours) <= 61
    assert min(colours) > 5, "no shape hides all others"
    assert dead_leaves(2, 500, torch.Generator().manual_seed(1)).at(500).shape == (2, 3, 500, 500)


def test_students_may_learn_from_any_folder_of_pictures(tmp_path: Path) -> None:
    for number, pixels in enumerate(OTHERS.at(24).permute(0, 2, 3, 1).numpy()[:30]):
        place = tmp_path / f"{number % 3}" / f"{number}.PNG"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place)
    (tmp_path / ".hidden.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    options: dict[str, Any] = {"pictures": "folder", "folder": tmp_path, "architecture": SMALL, "steps": 2, "mixed": 0}
    assert len(list(Distil(**options).files())) == 30
    learning, held_out = lessons(Distil(**options), PARENTS, 2, 24, Run().generator(), Run())
    together = torch.cat([learning.pixels, held_out.pixels])
    assert {picture.numpy().tobytes() for picture in together} == {
        picture.numpy().tobytes() for picture in OTHERS.at(24)[:30]
    }
    (tmp_path / "0" / "0.PNG").write_text("no picture")
    with pytest.raises(ComposerError, match=r"distil: folder: .*0\.PNG"):
        Distil(**options).assemble(None, PARENTS, Run())


def test_a_folder_is_asked_for_with_its_pictures_alone(tmp_path: Path) -> None:
    said = [("folder", "is where the pictures are with `pictures: folder`, and with that alone")]
    assert list(Distil(pictures="folder").problems(())) == said
    assert list(Distil(folder=tmp_path).problems(())) == said
    assert list(Distil(pictures="folder", folder=tmp_path / "no").problems(())) == [
        ("folder", f"no folder {tmp_path}/no")
    ]
    assert not list(Distil(pictures="folder", folder=tmp_path).problems(()))
    with pytest.raises(ComposerError, match="0 pictures to learn from; 20 are the fewest"):
        Distil(pictures="folder", folder=tmp_path).assemble(None, PARENTS, Run())
