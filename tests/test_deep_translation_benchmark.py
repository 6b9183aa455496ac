"""What `benchmarks/deep_translation.py` puts together, and what it writes of it."""

from __future__ import annotations

from pathlib import Path

import deep_translation as deep
import merging
import numpy as np
import pytest
import torch

from composer import Run, aligned, recalibrated
from composer_cifar_resnet import CifarResNet
from composer_controls import Random
from composer_cyclegan import CycleGAN
from composer_kernels import Convolutions
from composer_translation import Flow, Transport
from tiny import tiny_images, tiny_population, training_images

NETWORK = CifarResNet(filters=2, size=16)


def test_a_host_takes_over_its_own_kernels_in_the_first_layers_and_nothing_else() -> None:
    population = tiny_population("cat", 3, architecture=NETWORK)
    kernels = Random().translate([Convolutions().extract(population, Run())], Run(1))
    host = population.select([1])
    made = deep.taken_over(host, kernels, 2, 3)
    layers = list(kernels.layers)
    for number, layer in enumerate(layers):
        source = kernels.layers[layer][2] if number < 3 else population.weights[f"{layer}.weight"][1]
        assert torch.equal(made.weights[f"{layer}.weight"][0].flatten(), source.flatten()), layer
    rest = [name for name in host.weights if name.removesuffix(".weight") not in layers]
    assert all(torch.equal(made.weights[name], host.weights[name]) for name in rest)
    assert len(layers) == max(deep.DEPTHS) == 19


def test_networks_are_judged_with_statistics_anew_by_their_own_head_and_by_a_fitted_one() -> None:
    host = tiny_population("cat", 1, architecture=NETWORK)
    shown = deep.Pictures(tiny_images(20), tiny_images(10, seed=2), torch.arange(40) % 2)
    anew = recalibrated(host, [shown.training], Run(deep.SEED))
    said = torch.stack([torch.zeros(80), anew.features(shown.training)[0][:, 0]], 1)
    own, fitted = deep.told(host, said, shown)
    np.testing.assert_array_equal(own, merging.right(anew.logits(shown.test)[0], shown.labels))
    wanted = (anew.features(shown.test)[0][:, 0] > 0).long() == shown.labels
    assert (fitted == wanted.numpy()).mean() > 0.9, "the head tells what was said"


def test_every_way_and_control_is_measured_at_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"flow": Flow(align=False, steps=1), "cyclegan pca": CycleGAN(space="pca", epochs=1)}
    shared = {"cyclegan, shared": CycleGAN(share=True, scale="unit", epochs=1, hidden=1)}
    monkeypatch.setattr(deep, "WAYS", {"transport": Transport(align=False), **quick, **shared})
    population = tiny_population("cat", 5, architecture=NETWORK)
    shown = deep.Pictures(training_images("cat"), tiny_images(3), torch.arange(12) % 2)
    found, seconds = deep.measured(aligned(population, population, NETWORK), 2, shown)
    assert set(found) == {*deep.WAYS, deep.NEAREST, deep.MEAN, deep.HALFWAY, deep.AS_FAR, deep.NOISE, deep.ALONE}
    assert set(seconds) == set(deep.WAYS)
    for way, depths in found.items():
        assert list(depths) == ([0] if way == deep.ALONE else list(deep.DEPTHS))
        assert all(own.shape == fitted.shape == (12,) for hosts in depths.values() for own, fitted in hosts)
        assert {len(hosts) for hosts in depths.values()} == {2}


def test_the_controls_come_from_the_half_that_no_host_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "WAYS", {"transport": Transport(align=False)})
    population = tiny_population("cat", 5, architecture=NETWORK)
    hosts, others = (Convolutions().extract(population.select(own), Run()) for own in ([0, 1], [2, 3, 4]))
    made, _ = deep.all_made(others, hosts)
    copied = made[deep.NEAREST].layers["conv1"]
    assert all(any(torch.equal(own, other) for other in others.layers["conv1"]) for own in copied)
    torch.testing.assert_close(made[deep.MEAN].layers["conv1"][1], others.layers["conv1"].mean(0))
    halfway = (hosts.layers["conv1"][1] + others.layers["conv1"].mean(0)) / 2
    torch.testing.assert_close(made[deep.HALFWAY].layers["conv1"][1], halfway)
    assert float(made[deep.NOISE].layers["conv1"].std()) == pytest.approx(float(hosts.layers["conv1"].std()), rel=0.2)


def test_noise_is_as_far_from_each_host_as_what_transport_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "WAYS", {"transport": Transport(align=False)})
    population = tiny_population("cat", 5, architecture=NETWORK)
    hosts, others = (Convolutions().extract(population.select(own), Run()) for own in ([0, 1], [2, 3, 4]))
    made, _ = deep.all_made(others, hosts)
    for layer, own in hosts.layers.items():
        far, wanted = ((made[way].layers[layer][:2] - own).flatten(1).norm(dim=1) for way in (deep.AS_FAR, "transport"))
        torch.testing.assert_close(far, wanted)


def test_the_head_of_dead_features_says_what_is_usual() -> None:
    said = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    assert deep.fitted(torch.zeros(2, 4), said, torch.ones(3, 4)).tolist() == [[0.0, 2.0]] * 3


def answers(**of_ways: float) -> deep.Answers:
    """Each way tells the same share of 100 pictures rightly, at every depth, with both heads; two hosts."""
    found: deep.Answers = {}
    for way, part in of_ways.items():
        told = np.arange(100) < 100 * part
        depths = (0,) if way == "alone" else deep.DEPTHS
        found[deep.ALONE if way == "alone" else way] = {depth: [(told, told)] * 2 for depth in depths}
    return found


@pytest.mark.parametrize(
    ("flow", "said"), [(0.9, "`flow` (90.0"), (0.4, "is below `random`"), (0.6, "is not clearly apart from `random`")]
)
def test_the_block_says_how_the_best_translator_stands_beside_the_best_control(flow: float, said: str) -> None:
    found = answers(flow=flow, transport=0.3, random=0.6, alone=0.95)
    found.update({way: found["transport"] for way in deep.WAYS if way not in found})
    text = " ".join(deep.block(found, {"flow": 3.2}, 2, 19).split())
    assert said in text
    assert ("is above `random`" in text) == (flow > 0.6)
    assert "19 ResNet-20, 2 hosts, accuracy in per cent on 100 pictures" in text
    assert "| none: 95.0 (9" in text
    assert "| flow | translator | " in text
    assert " | 3 |" in text


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{deep.BEGIN}old\n{deep.END}\nafter\n", encoding="utf-8")
    deep.write("new\n", page)
    assert page.read_text(encoding="utf-8") == f"before\n{deep.BEGIN}new\n{deep.END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="marks"):
        deep.write("new\n", page)
