"""The benchmark of uniting two halves of CIFAR-10: benchmarks/uniting.py."""

from __future__ import annotations

import argparse
from pathlib import Path

import uniting

from composer.models.union_scores import OwnClasses, Scores, Share, scored
from composer.models.uniting import unite
from composer_cifar_resnet import CLASSES


def told(best: int) -> list[uniting.Compared]:
    return [
        uniting.Compared(0.6 if index == best else 0.5, 2.0 - 0.1 * index, Share(40, 80))
        for index in range(len(uniting.WAYS))
    ]


def scores() -> Scores:
    own = OwnClasses("a", Share(36, 40), Share(30, 40), Share(8, 40))
    return Scores(Share(60, 80), (own, own), (("cat", "dog", 5), ("ship", "airplane", 2)))


def page(best: int) -> str:
    cases = [uniting.Case("one pair", ()), uniting.Case("another pair", ())]
    judged = [{"side by side": scores(), "one network": scores()}, {"side by side": scores()}]
    options = argparse.Namespace(epochs=3, steps=7)
    return " ".join(uniting.page(cases, [told(best)] * 2, judged, options).split())


def test_the_page_says_what_the_numbers_say() -> None:
    default = len(uniting.WAYS) - 1
    written = page(default)
    assert "Told rightly most often: energy, fitted to labels. That is what `composer unite` does where" in written
    assert "| one pair: side by side | 75.0 % (64.5 to 83.2) | 90.0, 75.0 | 90.0, 75.0 |" in written
    assert "| one pair | 7 of 80 | cat for dog 5, ship for airplane 2 |" in written
    assert "--epochs 3 --steps 7" in written
    assert "taught 7 steps" in written
    assert "on the mean: 15.0 (one pair), 15.0 (another pair)." in written
    other = page(0)
    assert "takes energy, fitted to labels: 10.0 below it, with a log-loss that is 0.60 lower." in other
    assert "| energy, fitted to labels | 50.0, 1.40 (50.0) | 50.0, 1.40 (50.0) |" in other


def test_published_halves_are_united(shared: Path) -> None:
    """Two ResNet-20 with five outputs each tell ten classes of pictures that they have learned from."""
    _, apart, _ = uniting.read(shared / "cifar10")
    (case, _) = uniting.published(shared / "cifar10")
    some = uniting.Pictures(apart.images.select(range(60)), apart.labels[:60])
    both = unite(case.parents, some.shown())
    assert both.classes == CLASSES
    found = scored(both, both, some.shown())
    assert found.all.value > 0.85
    assert [own.before.of + own.elsewhere.of for own in found.parents] == [
        2 * len(some.of(half)) for half in uniting.HALVES[0]
    ]
