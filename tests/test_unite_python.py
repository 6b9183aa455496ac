"""`composer.unite`: the same as the command, from Python, and of networks and pictures in memory."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import composer
from colours import FIRST, SECOND, SIZE, colour_home, some_pixels
from composer import Classifier, ComposerError, Images, Population, Preprocessing, UnitedModel
from composer.command_line.cli import main
from composer.models.calibrating import calibrated
from composer.models.part import Part
from composer.models.union import Knower, united

A = {"use": "cnn", "filters": [3, 3], "size": SIZE}
B = {**A, "size": 20}
COLOUR, SIDE = ("red", "green"), ("left", "right")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour_home(tmp_path_factory.mktemp("unite"))


def both(home: Path, **options: Any) -> UnitedModel:
    parents = Classifier(home / "a.pth", FIRST, A), Classifier(home / "b.pth", SECOND, B)
    return composer.unite(*parents, **{"pictures": home / "pictures", **options})


def test_files_are_united_as_the_command_does_it(home: Path, tmp_path: Path) -> None:
    found = both(home, test=home / "test")
    assert found.classes == found.model.answers == (*FIRST, *SECOND)
    command = ["unite", str(home / "a.pth"), str(home / "b.pth"), "--pictures", str(home / "pictures")]
    for file, names, network in (("a.pth", FIRST, A), ("b.pth", SECOND, B)):
        command += ["--names", f"{home / file}={','.join(names)}"]
        command += ["--architecture", f"{home / file}={json.dumps(network)}"]
    done = CliRunner().invoke(main, [*command, "--test", str(home / "test"), "-o", str(tmp_path / "command")])
    assert done.exit_code == 0, done.output
    assert found.save(tmp_path / "python") == tmp_path / "python"
    for file in ("config.json", "README.md", "model.safetensors"):
        assert (tmp_path / "python" / file).read_bytes() == (tmp_path / "command" / file).read_bytes(), file
    again = composer.load(tmp_path / "python")
    with torch.no_grad():
        torch.testing.assert_close(again(some_pixels()), found.model(some_pixels()))
    scores = found.scores["side by side"]
    assert f"side by side: all classes: {scores.all} of 24 pictures told rightly" in str(found)
    assert scores.all.value > 0.9
    (prediction,) = found.model.predict(home / "test" / "blue" / "0.png")
    assert prediction.label == "blue"


def test_a_body_that_two_networks_share_looks_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    before = Population._of_pixels

    def counted(own: Population, images: Images, device: torch.device | str) -> Tensor:
        looked.append(len(images))
        return before(own, images, device)

    monkeypatch.setattr(Population, "_of_pixels", counted)
    parents = Classifier(home / "a.pth", FIRST, A), Classifier(home / "c.pth", ("white", "blue"), A)
    found = composer.unite(*parents, pictures=home / "pictures", test=home / "test")
    assert looked == [56, 24], "once for calibrating, once for judging"
    assert found.made.model.parameters == sum(tensor.numel() for tensor in found.model.parameters())
    (shared,) = {part.network for part in found.model.parts if isinstance(part, Part)}
    monkeypatch.undo()
    shared.get_submodule("conv1").register_forward_hook(lambda *_: looked.append(0))
    pixels = some_pixels()
    with torch.no_grad():
        said = found.model(pixels)
    assert looked == [56, 24, 0]
    torch.testing.assert_close(said, found.made.log_odds(Images(list(map(str, range(48))), {}, pixels)))


class Means(nn.Module):
    """Logits of two classes by how far apart two means of the pixels are."""

    def __init__(self, what: str, gain: float = 6.0) -> None:
        super().__init__()
        self.what, self.gain = what, nn.Parameter(torch.tensor(gain))

    def forward(self, pixels: Tensor) -> Tensor:
        light = (
            pixels.mean((2, 3)) if self.what == "colour" else pixels.mean((1, 2)).reshape(len(pixels), 2, -1).mean(2)
        )
        apart = self.gain * (light[:, 0] - light[:, 1])
        return torch.stack([apart, -apart], dim=1)


def squares(count: int, seed: int) -> tuple[Tensor, list[str]]:
    """Squares, red, green or blue, left, right or in the middle, on noisy grey; and what each picture shows."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (9 * count, 3, SIZE, SIZE), dtype=np.uint8)
    labels = []
    for index in range(9 * count):
        colour, place = index % 3, index // 3 % 3
        pixels[index, colour, 4:12, 4 * place : 4 * place + 8] = 220
        shown = [*COLOUR[colour : colour + 1], *(SIDE[place // 2 : place // 2 + 1] if place != 1 else [])]
        labels.append("+".join(shown) or "none")
    return torch.from_numpy(pixels), labels


def colour_and_side(**options: Any) -> UnitedModel:
    parents = (
        Classifier(Means("colour"), COLOUR, preprocessing=Preprocessing(SIZE)),
        Classifier(Means("side"), SIDE, preprocessing=Preprocessing(SIZE)),
    )
    pictures, labels = squares(6, 0)
    return composer.unite(*parents, **{"pictures": pictures, "labels": labels, "outputs": "independent", **options})


def test_networks_that_know_different_things_of_one_picture_are_united_class_by_class() -> None:
    test, labels = squares(6, 1)
    found = colour_and_side(test=test, test_labels=labels)
    assert not found.notes, "both are calibrated, by labels that name two classes"
    with torch.no_grad():
        shown = found.model(test) > 0
    wanted = torch.tensor([[name in label.split("+") for name in found.classes] for label in labels])
    assert float((shown == wanted).float().mean()) > 0.95, "yes for a colour and a side, no for the others"
    scores = found.scores["side by side"]
    assert (scores.all.right, scores.all.of) == (48, 48), "the two likeliest are the two that are shown, or one the one"
    assert [one.name for one in scores.classes] == [*COLOUR, *SIDE]
    for one, said, true in zip(scores.classes, shown.T, wanted.T, strict=True):
        assert one.yes is not None
        assert one.no is not None
        assert (one.yes.right, one.yes.of) == (int((said & true).sum()), int(true.sum()))
        assert (one.no.right, one.no.of) == (int((~said & ~true).sum()), int((~true).sum()))
        assert one.no.of == 36, "pictures that show nothing of the kind count too"
        assert one.auc == pytest.approx(1, abs=0.02)
    assert "red by itself: AUC" in str(found)


def test_a_picture_of_two_classes_is_told_rightly_where_both_are_the_likeliest() -> None:
    """The sides of all test pictures are said wrongly."""
    test, labels = squares(5, 2)
    two = [index for index, label in enumerate(labels) if "+" in label]
    swapped = [labels[index].replace("left", "x").replace("right", "left").replace("x", "right") for index in two]
    scores = colour_and_side(test=test[two], test_labels=swapped).scores["side by side"]
    assert scores.all.right == 0
    colours, sides = scores.parents
    assert (colours.after.right, sides.after.right) == (20, 0)
    assert not scores.taken, "left for right is the doing of one network alone"


def test_where_all_pictures_show_a_class_of_each_network_it_is_taken_that_all_others_do() -> None:
    pictures, labels = squares(6, 4)
    two = [index for index, label in enumerate(labels) if "+" in label]
    own = [labels[index] for index in two]
    with pytest.warns(UserWarning, match="taken that as good as all pictures show one"):
        found = colour_and_side(pictures=pictures[two], labels=own, test=squares(6, 5)[0][two], test_labels=own)
    assert min(one.yes.value for one in found.scores["side by side"].classes if one.yes is not None) > 0.95


def test_what_does_not_know_none_of_its_own_says_its_classes_as_often_as_labelled_pictures_show_one() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 2, generator=generator)
    labels = [None if index >= 200 else "none" if index % 4 == 0 else "ab"[index % 2] for index in range(300)]
    logits[:200:4] += 3  # pictures that show neither are the surest
    knower, notes = calibrated(Knower(("a", "b")), logits, labels, ("a", "b", "c"), "it", beside=True)
    assert "it: does not tell pictures of its own classes from others: its energy is no higher" in notes
    assert knower.slope == 0
    assert knower.offset == pytest.approx(np.log(151 / 51))
    each = united([knower, Knower(("c",))], [logits, logits[:, :1]], "independent")[:, :2].sigmoid()
    torch.testing.assert_close(each.sum(1), torch.full((300,), 151 / 202))
    alone, _ = calibrated(Knower(("a", "b")), logits, labels, ("a", "b", "c"), "it")
    assert alone.slope > 0, "of classes that exclude each other the score is all there is"


def test_networks_in_memory_cannot_be_kept_and_one_that_learns_from_them_can(tmp_path: Path) -> None:
    found = colour_and_side()
    with pytest.raises(ComposerError, match="cannot be written as a recipe; a student that learns from it can"):
        found.save(tmp_path / "both")
    assert not (tmp_path / "both").exists()
    with pytest.warns(UserWarning, match="agree badly with their teachers"):
        one = colour_and_side(one=True, student={"use": "cnn", "filters": [2, 2], "size": SIZE}, steps=3)
    assert len(list(one.model.parts)) == 1
    loaded = composer.load(one.save(tmp_path / "one"))
    assert loaded.answers == (*COLOUR, *SIDE)


def test_what_could_not_be_measured_is_warned_of(home: Path) -> None:
    with pytest.warns(UserWarning, match=": not calibrated: no labelled pictures") as met:
        both(home, pictures=sorted((home / "plain").iterdir()))
    assert len(met) == 2, "one for each network"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = sorted((home / "pictures").rglob("*.png"))
        labelled = both(home, pictures=files, labels=[file.parent.name for file in files])
    with torch.no_grad():
        torch.testing.assert_close(labelled.model(some_pixels()), both(home).model(some_pixels()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda home: composer.unite("a.pth", pictures=home), r"unite\(\) takes two parents or more, not 1"),
        (lambda home: both(home, outputs="sofmax"), "outputs: must be 'softmax' or 'independent', not 'sofmax'"),
        (lambda home: both(home, steps=3), "steps: is of one network; give one=True with it"),
        (lambda home: both(home, student="cnn"), "student: is of one network"),
        (
            lambda home: both(home, student="cn", one=True),
            "no architecture is called 'cn'; did you mean 'cnn'",
        ),
        (lambda home: both(home, test_labels=["red"]), "test_labels: are of the pictures in `test`"),
        (lambda home: both(home, labels=["red"]), "labels of pictures: the folders say what the pictures show"),
        (lambda home: both(home, pictures=home / "no"), "pictures .*/no: there is no such folder"),
        (lambda home: both(home, pictures=some_pixels().float()), "pictures: must be uint8"),
        (lambda home: both(home, pictures=some_pixels(2), labels=["red"] * 8), "has 8 pictures, and 20 are the fewest"),
        (lambda home: both(home, pictures=some_pixels(), labels=["red"]), "are 1, and there are 48 pictures"),
        (
            lambda home: both(home, pictures=some_pixels(), labels=["rad"] * 48),
            "no class is called 'rad'; did you mean",
        ),
        (
            lambda home: both(home, pictures=some_pixels(), labels=["red+blue"] * 48),
            "red and blue are two classes, and of one softmax a picture shows one; outputs='independent' tells",
        ),
        (
            lambda home: both(home, pictures=some_pixels(), labels=["red+green"] * 48, outputs="independent"),
            r"red\+green: red and green are both classes of a, which says one of them",
        ),
        (lambda home: both(home, test=some_pixels()), "test: has no picture in a folder that is called as a class"),
        (
            lambda home: both(
                home, pictures=some_pixels(), labels=["red"] * 48, test=some_pixels(), test_labels=["red"] * 48
            ),
            "picture 0: is a test picture too",
        ),
        (lambda home: colour_and_side(one=True), "say of which architecture the one network shall be, student="),
        (
            lambda home: composer.unite(Classifier(Means("side"), SIDE), home / "a.pth", pictures=home),
            "the network Means: nothing says how pixels become its input; give preprocessing=",
        ),
        (
            lambda home: composer.unite(*[Classifier(Means("side"), ["x"], None, Preprocessing(8))] * 2, pictures=home),
            "the names of Means: gives 1 names, and the network has 2 outputs",
        ),
        (
            lambda home: composer.unite(*[Classifier(Means("side"), SIDE, A, Preprocessing(8))] * 2, pictures=home),
            "is in memory, so it needs no architecture",
        ),
        (
            lambda home: composer.unite(*[Classifier(home / "a.pth", FIRST, A, Preprocessing(8))] * 2, pictures=home),
            "preprocessing is of networks in memory",
        ),
        (
            lambda home: composer.unite(*[Classifier(home / "a.pth", architecture=A)] * 2, pictures=home),
            r"nobody says what they mean; name them in their order, Classifier\(\.\.\., names=",
        ),
    ],
)
def test_what_cannot_be_united_is_said_in_the_words_of_python(
    home: Path, call: Callable[[Path], UnitedModel], message: str
) -> None:
    with pytest.raises(ComposerError, match=message) as met:
        call(home)
    assert "--" not in str(met.value).replace("--images FOLDER", "")  # of `composer inspect`
