"""`composer unite`: classifiers of different classes made one model of all their classes."""

from __future__ import annotations

import json
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from colours import FIRST, NETWORK, SECOND, SIZE, colour_home, fill, some_pixels
from composer import load
from composer.command_line.cli import main
from composer_cnn import CNN
from unions import by_class, made, options, said, unite


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of two colours each, pictures of all four, and others to test with."""
    return colour_home(tmp_path_factory.mktemp("unite"))


def test_a_union_tells_the_classes_of_both(home: Path, tmp_path: Path) -> None:
    model = made(home, tmp_path / "out", ("a", "b"))
    assert model.answers == (*FIRST, *SECOND)
    predictions = model.predict(sorted((home / "test").rglob("*.png")))
    right = [prediction.label == Path(prediction.name).parent.name for prediction in predictions]
    assert np.mean(right) > 0.9
    for prediction in predictions:
        assert sum(prediction.concepts.values()) == pytest.approx(1, abs=1e-4), "one softmax"


def test_independent_classes_need_not_sum_to_one(home: Path, tmp_path: Path) -> None:
    model = made(home, tmp_path / "out", ("a", "b"), "--outputs", "independent")
    predictions = model.predict(sorted((home / "test").rglob("*.png")))
    assert np.mean([p.label == Path(p.name).parent.name for p in predictions]) > 0.9
    sums = [sum(prediction.concepts.values()) for prediction in predictions]
    assert max(abs(total - 1) for total in sums) > 0.05


def test_a_network_united_with_itself_gives_its_own_answers(home: Path, tmp_path: Path) -> None:
    model = made(home, tmp_path / "out", ("a", "a"), pictures="plain")
    assert model.answers == FIRST
    network = CNN(filters=(3, 3), size=SIZE).build(2).eval()
    network.load_state_dict(torch.load(home / "a.pth", weights_only=True))
    pixels = some_pixels()
    with torch.no_grad():
        own = network((pixels / 255 - 0.5) / 0.5).softmax(1)
        torch.testing.assert_close(model(pixels).sigmoid(), own, atol=1e-4, rtol=1e-3)
    assert len(list(model.parameters())) == len(list(network.parameters())) + 2, "its body is there twice"


def test_the_order_of_networks_does_not_matter(home: Path, tmp_path: Path) -> None:
    pixels, found = some_pixels(), []
    for index, order in enumerate(permutations("abc")):
        found.append(by_class(made(home, tmp_path / str(index), order), pixels))
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        for name, values in other.items():
            torch.testing.assert_close(values, found[0][name], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("outputs", ["softmax", "independent"])
def test_classes_of_one_network_keep_their_order(home: Path, tmp_path: Path, outputs: str) -> None:
    """On each picture, the classes that one network alone knows are ranked as it ranks them."""
    pixels = some_pixels()
    alone = by_class(made(home, tmp_path / "self", ("a", "a"), "--outputs", outputs, pictures="plain"), pixels)
    both = by_class(made(home, tmp_path / "both", ("a", "b"), "--outputs", outputs, pictures="plain"), pixels)
    sure = (alone["red"] - alone["green"]).abs() > 1e-2
    assert torch.equal((alone["red"] > alone["green"])[sure], (both["red"] > both["green"])[sure])


def test_without_labels_nothing_is_calibrated_and_that_is_said(home: Path, tmp_path: Path) -> None:
    files = home / "a.pth", home / "b.pth"
    result = unite(*files, *options(home, a=FIRST, b=SECOND), "--pictures", home / "plain", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "a: not calibrated: no labelled pictures" in said(result)
    labelled = unite(*files, *options(home, a=FIRST, b=SECOND), "--pictures", home / "pictures", "-o", tmp_path / "b")
    assert "not calibrated" not in labelled.output, labelled.output


def test_folders_are_taken_for_labels_unless_told_otherwise(home: Path, tmp_path: Path) -> None:
    shown = made(home, tmp_path / "one", ("a", "b"), "--unlabelled")
    flat = made(home, tmp_path / "two", ("a", "b"), pictures="plain")
    pixels = some_pixels()
    with torch.no_grad():
        torch.testing.assert_close(shown(pixels), flat(pixels))


def test_a_test_folder_says_how_good_it_is(home: Path, tmp_path: Path) -> None:
    files = home / "a.pth", home / "b.pth"
    names = options(home, a=FIRST, b=SECOND)
    where = "--pictures", home / "pictures", "--test", home / "test", "-o", tmp_path / "out"
    result = unite(*files, *names, *where)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "config.json").read_text())["test"]["side by side"]
    model = load(tmp_path / "out")
    predictions = model.predict(sorted((home / "test").rglob("*.png")))
    right = sum(prediction.label == Path(prediction.name).parent.name for prediction in predictions)
    assert found["accuracy"]["right"] == right
    assert found["accuracy"]["of"] == 24
    assert [own["parent"] for own in found["parents"]] == ["a", "b"]
    assert all(own["before"]["of"] == 12 and own["before"]["value"] > 0.9 for own in found["parents"])
    wrong_side = {(Path(p.name).parent.name, p.label) for p in predictions}
    apart = {(true, told) for true, told in wrong_side if (true in FIRST) != (told in FIRST)}
    assert {(row["class"], row["for"]) for row in found["taken"]} == apart
    low, high = found["accuracy"]["interval"]
    assert low < found["accuracy"]["value"] <= high
    assert "taken for another's" in said(result)


def test_what_is_taken_for_a_class_of_another_network_is_counted(home: Path, tmp_path: Path) -> None:
    """A folder `green` that holds blue pictures."""
    wrong = fill(tmp_path / "test", {"red": "red", "green": "blue", "blue": "blue", "white": "white"}, 5, seed=70)
    files = home / "a.pth", home / "b.pth"
    where = "--pictures", home / "pictures", "--test", wrong, "-o", tmp_path / "out"
    result = unite(*files, *options(home, a=FIRST, b=SECOND), *where)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "config.json").read_text())["test"]["side by side"]
    assert found["taken"] == [{"class": "green", "for": "blue", "pictures": 5}]
    first, second = found["parents"]
    assert (first["after"]["right"], first["after"]["of"], first["elsewhere"]["right"]) == (5, 10, 5)
    assert (second["after"]["right"], second["after"]["of"], second["elsewhere"]["right"]) == (10, 10, 0)
    assert "green taken for blue: 5" in said(result)


def test_a_folder_may_be_called_after_two_classes_where_these_are_independent(home: Path, tmp_path: Path) -> None:
    files = home / "a.pth", home / "b.pth"
    names = options(home, a=FIRST, b=SECOND)
    two = fill(tmp_path / "two", {"red+blue": "red", "green": "green", "white": "white", "none": "blue"}, 12, seed=80)
    where = "--pictures", home / "pictures", "--test", two, "-o", tmp_path / "out"
    done = unite(*files, *names, *where, "--outputs", "independent")
    assert done.exit_code == 0, done.output
    red, _, blue, _ = json.loads((tmp_path / "out" / "config.json").read_text())["test"]["side by side"]["classes"]
    assert (red["class"], blue["class"], blue["yes"]["right"], blue["yes"]["of"]) == ("red", "blue", 0, 12)
    assert red["auc"] > 0.9 > blue["auc"]
    assert (red["no"]["of"], blue["no"]["of"]) == (36, 36)
    assert "yes for its own" in said(done)
    assert "blue by itself: AUC" in (tmp_path / "out" / "README.md").read_text()
    refused = unite(*files, *names, *where[:-1], tmp_path / "no")
    assert refused.exit_code == 2
    assert "red and blue are two classes, and of one softmax a picture shows one; --outputs independent" in said(
        refused
    )


def test_test_pictures_that_calibrated_it_are_refused(home: Path, tmp_path: Path) -> None:
    files = home / "a.pth", home / "b.pth"
    names = options(home, a=FIRST, b=SECOND)
    where = "--test", home / "pictures", "-o", tmp_path / "out"
    result = unite(*files, *names, "--pictures", home / "pictures", *where)
    assert result.exit_code == 2
    assert "is a test picture too" in said(result)
    assert not (tmp_path / "out").exists()
    unlabelled = unite(*files, *names, "--pictures", home / "plain", *where)
    assert unlabelled.exit_code == 0, "no label was looked at"


def test_an_only_output_is_a_class_and_is_told_from_all_else(home: Path, tmp_path: Path) -> None:
    state = torch.load(home / "a.pth", weights_only=True)
    for name in ("fc1.weight", "fc1.bias"):
        state[name] = state[name][:1] - state[name][1:2]  # red against green
    torch.save(state, tmp_path / "red.pth")
    given = ["--names", f"{tmp_path / 'red.pth'}=red", "--architecture", f"{tmp_path / 'red.pth'}={NETWORK}"]
    both = [tmp_path / "red.pth", home / "b.pth", *given, *options(home, b=SECOND)]
    result = unite(*both, "--pictures", home / "plain", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    model = load(tmp_path / "out")
    assert model.answers == ("red", *SECOND)
    (prediction,) = model.predict(home / "test" / "red" / "0.png")
    assert prediction.label == "red"


def test_what_was_taken_of_several_networks_in_a_file_is_said(home: Path, tmp_path: Path) -> None:
    state = torch.load(home / "a.pth", weights_only=True)
    torch.save({"model": state, "ema": state}, tmp_path / "two.pth")
    given = ["--names", f"{tmp_path / 'two.pth'}=red,green", "--architecture", f"{tmp_path / 'two.pth'}={NETWORK}"]
    both = [tmp_path / "two.pth", home / "b.pth", *given, *options(home, b=SECOND)]
    result = unite(*both, "--pictures", home / "plain", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "took the network under 'model'; it also holds 'ema'" in said(result)


def test_one_network_learns_the_union(home: Path, tmp_path: Path) -> None:
    student = "--one", "--architecture", f"{{use: cnn, filters: [8, 8], size: {SIZE}}}", "--steps", "120"
    model = made(home, tmp_path / "out", ("a", "b"), *student, "--test", home / "test")
    assert len(model.parts) == 1
    assert model.answers == (*FIRST, *SECOND)
    found = json.loads((tmp_path / "out" / "config.json").read_text())["test"]
    assert list(found) == ["side by side", "one network"]
    teachers = made(home, tmp_path / "two", ("a", "b"))
    with torch.no_grad():
        ours, theirs = model(some_pixels()).flatten(), teachers(some_pixels()).clamp(-5, 5).flatten()
    assert float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1]) > 0.7
    predictions = model.predict(sorted((home / "test").rglob("*.png")))
    assert sum(predictions[0].concepts.values()) == pytest.approx(1, abs=1e-4)


def test_a_formula_of_its_classes_can_be_asked(home: Path, tmp_path: Path) -> None:
    made(home, tmp_path / "out", ("a", "b"))
    model = load(tmp_path / "out", target="red or blue")
    assert model.answers == ("red or blue",)
    predictions = model.predict(sorted((home / "test").rglob("*.png")))
    right = [p.shown == (Path(p.name).parent.name in ("red", "blue")) for p in predictions]
    assert np.mean(right) > 0.9


def test_of_one_softmax_the_probabilities_of_a_formula_add_up(home: Path, tmp_path: Path) -> None:
    model, pixels = made(home, tmp_path / "out", ("a", "b")), some_pixels()
    asked = load(tmp_path / "out", target="red or not (blue or green)")
    with torch.no_grad():
        each = model(pixels).sigmoid()
        torch.testing.assert_close(asked(pixels).sigmoid(), each[:, 0] + each[:, 3], atol=1e-4, rtol=1e-3)


def test_a_formula_of_independent_classes_has_bounds_and_one_of_a_softmax_none(home: Path, tmp_path: Path) -> None:
    for outputs in ("softmax", "independent"):
        made(home, tmp_path / outputs, ("a", "b"), "--outputs", outputs)
        model = load(tmp_path / outputs, target="red or blue")
        (prediction,) = model.predict(home / "test" / "red" / "0.png")
        if outputs == "softmax":
            assert prediction.bounds is None
        else:
            assert prediction.bounds is not None
            low, high = prediction.bounds
            assert prediction.probability is not None
            assert low <= prediction.probability <= high
            assert low == pytest.approx(max(prediction.concepts["red"], prediction.concepts["blue"]), abs=1e-6)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("red and blue", "no picture can show 'red+blue', so there is nothing to find: each picture shows one class"),
        ("red or green or blue or white", "every picture shows"),
        ("rot", "the union has no such concept"),
    ],
)
def test_a_formula_that_decides_nothing_is_refused(home: Path, tmp_path: Path, target: str, message: str) -> None:
    made(home, tmp_path / "out", ("a", "b"))
    result = CliRunner().invoke(main, ["predict", str(tmp_path / "out"), str(home / "test"), "--target", target])
    assert result.exit_code == 2
    assert message in said(result)


@pytest.mark.parametrize("target", ["", "red or blue"])
def test_a_folder_of_its_own_says_the_same(home: Path, tmp_path: Path, target: str) -> None:
    made(home, tmp_path / "out", ("a", "b"))
    model = load(tmp_path / "out", target=target or None)
    asked = ("--target", target) if target else ()
    command = ["export", str(tmp_path / "out"), "--format", "safetensors", "--output", str(tmp_path / "copy"), *asked]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    again, pixels = load(tmp_path / "copy"), some_pixels()
    assert (again.answers, again.target) == (model.answers, model.target)
    with torch.no_grad():
        torch.testing.assert_close(again(pixels), model(pixels))


@pytest.mark.slow  # torch.onnx takes twenty seconds for any network
def test_an_onnx_file_has_a_column_for_each_class(home: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = made(home, tmp_path / "out", ("a", "b"))
    result = CliRunner().invoke(main, ["export", str(tmp_path / "out"), "--output", str(tmp_path / "union.onnx")])
    assert result.exit_code == 0, result.output
    assert "log_odds of 4 classes [N, 4]" in result.output
    pixels = torch.rand(5, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(tmp_path / "union.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, model(pixels).numpy(), atol=1e-3)


def test_predict_shows_the_likeliest_class(home: Path, tmp_path: Path) -> None:
    made(home, tmp_path / "out", ("a", "b"))
    picture = str(home / "test" / "blue" / "0.png")
    shown = CliRunner().invoke(main, ["predict", str(tmp_path / "out"), picture])
    assert re.search(r"blue/0.png +blue +\S+ %", shown.output), shown.output
    assert "1 picture: 1 blue" in shown.output
    as_csv = CliRunner().invoke(main, ["predict", str(tmp_path / "out"), picture, "--csv"])
    assert "picture,red,green,blue,white,probability,shown,error" in as_csv.output
    assert ",blue," in as_csv.output.splitlines()[-1]
