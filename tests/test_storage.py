from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from composer import ComposedModel, Images, KernelSet, Population, Report, Score
from composer.data.curve import HeldOut
from composer.data.files import new_folder, put_in_place, write_json
from composer.errors import ComposerError
from composer.running.locking import STORE_LOCK
from composer.running.storage import FolderKeeper, load, pack, save
from tiny import tiny_images, tiny_kernels, tiny_population


def test_a_population_comes_back_as_it_was(tmp_path: Path) -> None:
    population = tiny_population()
    save(population, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Population)
    assert again.architecture == population.architecture
    assert again.members == population.members
    assert again.preprocessing == population.preprocessing
    images = tiny_images()
    assert torch.equal(again.log_odds(images), population.log_odds(images))


def test_kernels_come_back_in_their_order(tmp_path: Path) -> None:
    kernels = tiny_kernels()
    save(kernels, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, KernelSet)
    assert all(torch.equal(again.layers[layer], kernels.layers[layer]) for layer in kernels.layers)
    assert list(again.layers) == list(kernels.layers)


def test_a_composed_model_comes_back_with_all_its_parts(tmp_path: Path) -> None:
    model = ComposedModel((tiny_population("black"), tiny_population("cat", seed=1)), ("a", "b", "c"))
    save(model, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, ComposedModel)
    assert torch.equal(again.log_odds(tiny_images()), model.log_odds(tiny_images()))


def test_pictures_come_back_and_sizes_decoded_later_are_kept(tmp_path: Path) -> None:
    images = tiny_images()
    home = tmp_path / "images"
    home.mkdir()
    (tmp_path / STORE_LOCK).touch()
    save(images, home)
    again = load(home)
    assert isinstance(again, Images)
    again.keeper = FolderKeeper(home)
    assert torch.equal(again.at(16), images.at(16))
    assert again.cells == images.cells
    again.at(8)
    assert (home / "size-8.safetensors").exists()
    afresh = load(home)
    assert isinstance(afresh, Images)
    assert torch.equal(afresh.at(8), images.at(8))


def test_scores_come_back_to_the_last_bit(tmp_path: Path) -> None:
    score = Score(
        np.array([0.1, 1 / 3]),
        np.array([0.2, 0.3]),
        "fitting",
        higher_is_better=False,
        base=0.7,
        picked=1,
        picked_by="luck",
    )
    save(Report({"kmeans.entropy": score}), tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Report)
    found = again.scores["kmeans.entropy"]
    assert np.array_equal(found.values, score.values)
    assert (found.picked, found.picked_by, found.labels, found.best) == (1, "luck", "fitting", 0.1)
    assert (found.base, found.judged, found.higher_is_better) == (0.7, None, False)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(path, {"good": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"bad": float("nan")})
    assert path.read_text() == '{\n  "good": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_pictures_of_files_that_have_moved_are_looked_for_again(tmp_path: Path) -> None:
    from PIL import Image

    from composer import FileDecoder
    from composer.running.cache import StageCache

    file = tmp_path / "picture.png"
    Image.new("RGB", (9, 9), "red").save(file)
    cache = StageCache(tmp_path / "stages")
    images = Images(["picture"], {"red": [True]}, FileDecoder((str(file),), "white"))
    images.at(4)
    cache.store("images.test", "0" * 64, images, {}, {})
    again = cache.load("images.test", "0" * 64)
    assert isinstance(again, Images)
    assert (cache.path("images.test", "0" * 64) / "size-4.safetensors").exists(), "decoded once, kept for later"
    assert torch.equal(again.at(8), images.at(8))
    file.rename(tmp_path / "elsewhere.png")
    assert cache.load("images.test", "0" * 64) is None


def test_a_folder_takes_the_place_of_another_or_leaves_it_there(tmp_path: Path) -> None:
    home, part = tmp_path / "home", tmp_path / "part"
    for name, folder in (("old", home), ("new", part)):
        folder.mkdir()
        (folder / name).touch()
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nowhere", home)
    assert [path.name for path in home.iterdir()] == ["old"], "what could not be replaced is there still"
    put_in_place(part, home)
    assert [path.name for path in home.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"

    def fill(name: str, replace: bool = False, fails: bool = False) -> None:
        with new_folder(home, replace) as part:
            (part / name).touch()
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill("half", fails=True)
    assert list(home.parent.iterdir()) == []
    fill("first")
    with pytest.raises(ComposerError, match="home: is there already"):
        fill("second")
    assert [path.name for path in home.iterdir()] == ["first"]
    fill("third", replace=True)
    assert [path.name for path in home.iterdir()] == ["third"]
    assert [path.name for path in home.parent.iterdir()] == ["home"]


def test_a_folder_that_was_made_meanwhile_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(ComposerError, match="home: is there already"), new_folder(home):
        home.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_what_was_held_out_is_kept_in_finite_numbers_and_comes_back_as_it_was(tmp_path: Path) -> None:
    said = torch.tensor([[1.0, torch.nan, 0.0], [torch.nan, -2.0, 3.0]])
    held_out = HeldOut(said, torch.tensor([True, False, True]), "by halves", balanced=True)
    whole = replace(tiny_population().select([0, 1]), held_out=held_out)
    assert all(bool(tensor.isfinite().all()) for tensor in pack(whole)[1].values())
    save(whole, tmp_path)
    back = load(tmp_path)
    assert isinstance(back, Population)
    assert back.held_out is not None
    torch.testing.assert_close(back.held_out.log_odds, said, rtol=0, atol=0, equal_nan=True)
    assert (back.held_out.how, back.held_out.balanced) == ("by halves", True)
    assert back.weights.keys() == whole.weights.keys()
