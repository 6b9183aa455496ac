"""The product's calibration, prior and dependence: what is learned from held-out pictures, and what is said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import composer
from composer import ComposedModel, ComposerError, Curve, Dependence, HeldOut, Images, Population, Run
from composer.models.exporting import export, onnx_difference
from composer.models.in_memory import in_no_folder
from composer.models.loading import LoadedModel
from composer.running.storage import load, save
from composer_assembly import Product
from composer_cnn import CNN
from composer_training import Train
from composer_training.training import sample
from test_exporting import needs_onnx
from tiny import tiny_images, tiny_population, training_images

IMAGES = tiny_images()
PICTURES = (training_images("black", 90), training_images("cat", 90, seed=2))
METHODS = ["temperature", "platt", "isotonic"]


def held_out(
    slope: float = 0.25, shift: float = 1.0, count: int = 2000, members: int = 3, seed: int = 0, **rest: Any
) -> HeldOut:
    """Members that are sure of themselves: sigmoid(slope x + shift) is how often they are right at log-odds x."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0, 6, (1, count)).repeat(members, 0)
    order = log_odds[0].argsort().argsort()
    even = (order * 0.6180339887) % 1  # spread evenly beside the log-odds, so that shares are as they should be
    shown = even < 1 / (1 + np.exp(-(slope * log_odds[0] + shift)))
    return HeldOut(torch.from_numpy(log_odds).float(), torch.from_numpy(shown), "made up", **rest)


@cache
def parent(concept: str = "black", seed: int = 0, **rest: Any) -> Population:
    return replace(tiny_population(concept, seed=seed), held_out=held_out(seed=seed, **rest))


def assembled(*parents: Population, **options: Any) -> tuple[ComposedModel, list[str]]:
    run = Run(pictures=PICTURES)
    return Product(**options).assemble(None, list(parents), run), run.warnings


def curve_of(known: Population, **options: Any) -> Curve:
    model, warnings = assembled(known, parent("cat", 1), **options)
    assert warnings == []
    (curve, _) = (part.calibration for part in model.parts)
    assert curve is not None
    return curve


@pytest.mark.parametrize("method", METHODS)
def test_calibrated_log_odds_say_how_often_networks_are_right(method: str) -> None:
    shift = 0.0 if method == "temperature" else 1.0
    curve = curve_of(parent(shift=shift), calibrate=method)
    values = torch.tensor([[-8.0, -4.0, 0.0, 4.0, 8.0]]).repeat(3, 1)
    wanted = (0.25 * values + shift).sigmoid()
    torch.testing.assert_close(curve(values).sigmoid(), wanted, rtol=0, atol=0.02 if method != "isotonic" else 0.08)


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrated_concept_keeps_the_order_of_its_pictures(method: str) -> None:
    curve = curve_of(parent(), calibrate=method)
    values = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([-1e4, 1e4])]).sort().values.repeat(3, 1)
    found = curve(values)
    assert bool(found.isfinite().all())
    steps = found.diff()
    assert bool((steps >= 0).all())
    assert method == "isotonic" or bool((steps > 0).all())


def test_curves_of_pictures_that_tell_perfectly_stay_finite() -> None:
    for method, every in (("temperature", 2), ("platt", 2), ("platt", 4), ("isotonic", 4)):
        shown = torch.arange(240) % every == 0
        perfect = HeldOut((shown.float() * 20 - 10).repeat(3, 1), shown, "made up")
        curve = curve_of(replace(tiny_population(), held_out=perfect), calibrate=method)
        # Platt's targets of p pictures that show it and n that do not: no line is steeper than to these.
        p, n = (241, 241) if method == "isotonic" else (240 // every + 1, 240 - 240 // every + 1)
        wanted = torch.tensor([[1 / (n + 1), p / (p + 1)]]).expand(3, -1)
        torch.testing.assert_close(
            curve(torch.tensor([[-10.0, 10.0]]).repeat(3, 1)).sigmoid(), wanted, rtol=1e-3, atol=0
        )


@pytest.mark.parametrize("prior", ["kept", "out"])
def test_only_what_a_member_was_not_trained_on_counts_and_each_has_its_own_curve(prior: str) -> None:
    whole = held_out(shift=-2.0)
    hidden = whole.log_odds.clone()
    places = torch.arange(2000)
    left_out = torch.stack([places % 2 == 1, places % 3 == 1, whole.shown | (places % 4 == 1)])
    hidden[~left_out] = torch.nan
    found = curve_of(
        replace(tiny_population(), held_out=replace(whole, log_odds=hidden)), calibrate="platt", prior=prior
    )
    for member, own in enumerate(left_out):
        alone = HeldOut(whole.log_odds[:, own], whole.shown[own], "made up")
        wanted = curve_of(replace(tiny_population(), held_out=alone), calibrate="platt", prior=prior)
        torch.testing.assert_close(found.y[member], wanted.y[member])
        torch.testing.assert_close(found.above[member], wanted.above[member])


def test_the_prior_of_the_calibration_is_taken_out() -> None:
    usual, out = (curve_of(parent(shift=-2.0), calibrate="platt", prior=prior) for prior in ("kept", "out"))
    share = float(parent(shift=-2.0).held_out.shown.float().mean())  # type: ignore[union-attr]  # it has one
    assert share < 0.4
    torch.testing.assert_close(out.y, usual.y - np.log(share / (1 - share)))


@pytest.mark.parametrize(("balanced", "shift"), [(False, 1.0), (True, 0.0)])
def test_without_calibration_the_prior_of_the_training_is_taken_out_unless_it_was_balanced(
    balanced: bool, shift: float
) -> None:
    known = parent(shift=-2.0, balanced=balanced)
    assert known.held_out is not None
    share = float(known.held_out.shown.float().mean())
    curve = curve_of(known, prior="out")
    wanted = torch.full((3, 1), -shift * float(np.log(share / (1 - share))), dtype=torch.float64)
    torch.testing.assert_close(curve.y, wanted)
    assert bool((curve.above == 1).all())


def test_a_factor_alone_leaves_the_prior_of_the_training(  # it does not look at shares
) -> None:
    curves = [
        curve_of(parent(shift=-2.0, balanced=balanced), calibrate="temperature", prior="out")
        for balanced in (True, False)
    ]
    known = parent(shift=-2.0).held_out
    assert known is not None
    share = float(known.shown.float().mean())
    torch.testing.assert_close(curves[0].y, torch.zeros(3, 1, dtype=torch.float64))
    torch.testing.assert_close(curves[1].y, torch.full((3, 1), -np.log(share / (1 - share)), dtype=torch.float64))


def broken(change: str) -> HeldOut:
    known = held_out(count=120)
    log_odds, shown = known.log_odds.clone(), known.shown.clone()
    if change == "few":
        return HeldOut(log_odds[:, :12], shown[:12], "made up")
    if change == "one class":
        shown[:] = True
    elif change == "constant":
        log_odds[1] = 0.5
    elif change == "infinite":
        log_odds[1, 7] = torch.inf
    elif change == "diverged":
        log_odds[1] = torch.nan
    elif change == "turned":
        log_odds[1] = -log_odds[1]
    return HeldOut(log_odds, shown, "made up")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "few",
            "3 of 3 networks of 'black' stay as they are: [0-9] held-out pictures are of the rarer kind, and 10 are",
        ),
        ("one class", "3 of 3 networks of 'black' stay as they are: 0 held-out"),
        ("constant", "1 of 3 networks of 'black' stay as they are: they answer the same"),
        ("infinite", "1 of 3 networks of 'black' stay as they are: their log-odds are not finite"),
        ("diverged", "1 of 3 networks of 'black' stay as they are: 0 held-out"),
        ("turned", "1 of 3 networks of 'black' stay as they are: on held-out pictures they are no better than chance"),
    ],
)
@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_what_cannot_be_calibrated_stays_as_it_is_and_is_named(change: str, says: str, method: str) -> None:
    known = replace(tiny_population(), held_out=broken(change))
    model, warnings = assembled(known, parent("cat", 1), calibrate=method)
    (warning,) = warnings
    assert re.search(says, warning), warning
    values = torch.linspace(-5, 5, 7).repeat(3, 1)
    curve = model.parts[0].calibration
    assert curve is not None
    torch.testing.assert_close(curve(values)[1], values[1])
    assert torch.equal(curve(values)[0], values[0]) == says.startswith("3 of 3")


def test_a_free_curve_needs_200_pictures_and_is_a_line_below() -> None:
    known = replace(tiny_population(), held_out=held_out(count=199))
    model, (warning,) = assembled(known, parent("cat", 1), calibrate="isotonic")
    assert "networks of 'black' get Platt's line, not a free curve: 199 pictures are held out, and 200" in warning
    line = curve_of(known, calibrate="platt")
    fewer = held_out(count=199)
    fewer.log_odds[1, :9] = torch.nan
    _, (warning,) = assembled(replace(known, held_out=fewer), parent("cat", 1), calibrate="isotonic")
    assert "3 of 3 networks of 'black' get Platt's line, not a free curve: 190 to 199 pictures" in warning
    values = torch.linspace(-5, 5, 7).repeat(3, 1)
    assert model.parts[0].calibration is not None
    torch.testing.assert_close(model.parts[0].calibration(values), line(values))


def test_networks_of_which_nothing_is_known_are_calibrated_on_their_training_pictures_and_it_is_said() -> None:
    model, warnings = assembled(tiny_population(), parent("cat", 1), calibrate="platt")
    assert "which pictures of 'black' its models were not trained on is not known" in warnings[0]
    assert model.parts[0].calibration is not None
    _, warnings = assembled(tiny_population(), parent("cat", 1), prior="out")
    assert "how many of the pictures that the models of 'black' were trained on show it is not known" in warnings[0]
    with pytest.raises(ComposerError, match="nothing can be calibrated for 'black'"):
        Product(calibrate="platt").assemble(None, [tiny_population(), parent("cat", 1)], Run())


def test_the_product_multiplies_calibrated_probabilities_and_decides_by_them() -> None:
    model, _ = assembled(parent(), parent("cat", 1), calibrate="platt")
    black, cat = (part.log_odds(IMAGES) for part in model.parts)
    raw = replace(model.parts[0], calibration=None).log_odds(IMAGES)
    assert model.parts[0].calibration is not None
    assert model.parts[0].held_out is None, "what was said before is not kept beside the curve"
    assert torch.equal(black, model.parts[0].calibration(raw))
    wanted = black.double().sigmoid() * cat.double().sigmoid()
    torch.testing.assert_close(model.log_odds(IMAGES).double().sigmoid(), wanted, rtol=1e-5, atol=1e-7)
    assert torch.equal(model.decisions(IMAGES), (black > 0) & (cat > 0))


def test_calibrating_twice_is_refused() -> None:
    model, _ = assembled(parent(), parent("cat", 1), calibrate="platt")
    again = replace(model.parts[0], held_out=held_out())
    with pytest.raises(ComposerError, match="the models of 'black' are calibrated already"):
        assembled(again, parent("cat", 1), calibrate="platt")


def test_by_default_nothing_is_changed() -> None:
    usual, warnings = assembled(parent(), parent("cat", 1))
    assert warnings == []
    assert all(part.calibration is None for part in usual.parts)
    assert usual.dependence == Dependence()
    assert Product().terms.pictures == "none"
    assert Product(calibrate="platt").terms.pictures == Product(prior="out").terms.pictures == "labelled"
    assert Product(dependence="copula").terms.pictures == "unlabelled"


def test_a_copulas_correlation_is_that_of_what_parents_say_and_no_rising_curve_changes_it() -> None:
    same = tiny_population()
    twins, _ = assembled(same, replace(same, concept="cat"), dependence="copula")
    assert twins.dependence == Dependence("copula", 0.95)
    plain, _ = assembled(parent(), parent("cat", 1), dependence="copula")
    curved, _ = assembled(parent(), parent("cat", 1), dependence="copula", calibrate="platt")
    assert plain.dependence.correlation == pytest.approx(curved.dependence.correlation, abs=0.02)
    head = same.architecture.head
    turned = {name: -tensor if name.startswith(head) else tensor for name, tensor in same.weights.items()}
    against, _ = assembled(same, replace(same, concept="cat", weights=turned), dependence="copula")
    assert against.dependence == Dependence("copula", -0.95)


def test_a_copula_without_enough_to_go_by_is_independence_and_it_is_said() -> None:
    few = (PICTURES[0].select(range(9)), PICTURES[1].select(range(9)))
    run = Run(pictures=few)
    assert Product(dependence="copula").assemble(None, [parent(), parent("cat", 1)], run).dependence == Dependence()
    assert "18 pictures are too few for a copula" in run.warnings[0]
    dead = replace(tiny_population(), weights={name: t * 0 for name, t in tiny_population().weights.items()})
    model, warnings = assembled(dead, parent("cat", 1), dependence="copula")
    assert model.dependence == Dependence()
    assert "a parent answers the same for every picture" in warnings[0]
    with pytest.raises(ComposerError, match="a copula needs the parents' pictures"):
        Product(dependence="copula").assemble(None, [parent(), parent("cat", 1)], Run())


@pytest.mark.parametrize(
    "damage",
    [
        {"calibration": 7},
        {"calibration": [{"x": [0.0]}]},
        {"calibration": [{"x": [0.0], "y": [0.0], "below": -1.0, "above": 1.0}]},
        {"calibration": []},
        {"calibration": [{"x": [0.0], "y": [float("nan")], "below": 1.0, "above": 1.0}]},
        {"dependence": "copula"},
        {"dependence": {"kind": "copula", "correlation": 7}},
    ],
    ids=str,
)
def test_a_damaged_calibration_or_dependence_is_refused_with_its_file(damage: dict[str, Any], tmp_path: Path) -> None:
    folder = export(loaded(calibrate="platt", dependence="copula"), tmp_path / "alone", "safetensors")
    config = json.loads((folder / "config.json").read_text())
    if "calibration" in damage:
        config["parts"][1] |= damage
    else:
        config |= damage
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ComposerError, match=r"config.json: (calibration of 'cat'|dependence): "):
        composer.load(folder)


def loaded(**options: Any) -> LoadedModel:
    model, _ = assembled(parent(), parent("cat", 1), **options)
    one = model.select([1])
    return LoadedModel(one, in_no_folder("a test", "product", one))


CHOICES = [{"calibrate": "isotonic", "prior": "out"}, {"calibrate": "platt", "dependence": "copula"}]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_a_saved_and_a_loaded_product_are_calibrated(options: dict[str, Any], tmp_path: Path) -> None:
    model, _ = assembled(parent(), parent("cat", 1), **options)
    save(model, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, ComposedModel)
    assert torch.equal(again.log_odds(IMAGES), model.log_odds(IMAGES))
    one = loaded(**options)
    torch.testing.assert_close(one(IMAGES.at(16)), model.log_odds(IMAGES)[1])
    folder = export(one, tmp_path / "alone", "safetensors")
    torch.testing.assert_close(composer.load(folder)(IMAGES.at(16)), model.log_odds(IMAGES)[1])


def test_predict_gives_calibrated_probabilities(tmp_path: Path) -> None:
    Image.fromarray(IMAGES.at(16)[0].permute(1, 2, 0).numpy()).save(tmp_path / "one.png")
    model, _ = assembled(parent(), parent("cat", 1), calibrate="platt", prior="out")
    (said,) = loaded(calibrate="platt", prior="out").predict(tmp_path / "one.png")
    assert said.probability == pytest.approx(float(model.log_odds(IMAGES)[1, 0].double().sigmoid()), rel=1e-5)
    black, cat = (float(part.log_odds(IMAGES)[1, 0].double().sigmoid()) for part in model.parts)
    assert said.concepts["black"] == pytest.approx(black, rel=1e-5)
    assert said.bounds == pytest.approx((max(0, black + cat - 1), min(black, cat)), rel=1e-4)


@pytest.mark.parametrize("dependence", ["minimum", "copula"])
def test_an_exported_program_is_calibrated_and_keeps_its_dependence(dependence: str, tmp_path: Path) -> None:
    model = loaded(calibrate="isotonic", dependence=dependence)
    program = torch.export.load(export(model, tmp_path / "model", "torch_export")).module()
    torch.testing.assert_close(program(IMAGES.at(16).float() / 255), model(IMAGES.at(16)))


@needs_onnx
@pytest.mark.slow
def test_an_onnx_file_is_calibrated_and_one_with_a_copula_is_refused(tmp_path: Path) -> None:
    model = loaded(calibrate="isotonic", dependence="minimum")
    assert onnx_difference(model, export(model, tmp_path / "model", "onnx")) < 1e-5
    with pytest.raises(ComposerError, match="ONNX has no normal distribution, which the dependence 'copula'"):
        export(loaded(dependence="copula"), tmp_path / "other", "onnx")


def test_what_networks_say_of_pictures_their_sample_left_out_is_kept_with_them(tmp_path: Path) -> None:
    options = Train(architecture=CNN(filters=(2, 3), size=16), members=3, epochs=1)
    images = training_images("black", 60)
    population = options.load("black", Run(seed=3, pictures=(images,)))
    assert population.held_out is not None
    said, there = population.held_out.log_odds, ~population.held_out.log_odds.isnan()
    torch.testing.assert_close(said[there], population.log_odds(images)[there], rtol=1e-4, atol=1e-4)
    assert 0.2 < float(there.float().mean()) < 0.55, "1/e of the pictures"
    assert torch.equal(there, sample(images.labels["black"], 3, Run(seed=3).rng()) == 0)
    assert not torch.equal(there[0], there[1])
    assert population.held_out.shown.tolist() == images.labels["black"].tolist()
    save(population, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Population)
    assert again.held_out is not None
    torch.testing.assert_close(again.held_out.log_odds, said, equal_nan=True)
    assert again.weights.keys() == population.weights.keys()
    (chosen,) = again.select([2]).held_out.log_odds  # type: ignore[union-attr]  # it has one
    torch.testing.assert_close(chosen, said[2], equal_nan=True)
    all_seen = options.model_copy(update={"resample": False}).load("black", Run(seed=3, pictures=(images,)))
    assert all_seen.held_out is None, "no picture was left out"


def test_curves_rise() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Curve.line(torch.tensor([-1.0]), torch.tensor([0.0]))
    with pytest.raises(ValueError, match="1 curves calibrate 3 members"):
        replace(tiny_population(), calibration=Curve.line(torch.tensor([1.0]), torch.tensor([0.0])))


def test_labelled_pictures_of_one_kind_leave_the_prior_in() -> None:
    known = held_out(count=120)
    one_kind = replace(known, shown=torch.ones(120, dtype=torch.bool))
    _, warnings = assembled(replace(tiny_population(), held_out=one_kind), parent("cat", 1), prior="out")
    assert warnings == ["product: the prior of 'black' is not taken out: its pictures are of one kind only"]


def test_images_are_needed_only_where_they_are_used() -> None:
    assert isinstance(PICTURES[0], Images)
    model = Product(calibrate="temperature").assemble(None, [parent(), parent("cat", 1)], Run())
    assert model.parts[0].calibration is not None
