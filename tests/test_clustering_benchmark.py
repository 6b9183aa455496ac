"""What `benchmarks/clustering.py` makes of the trials that it measured."""

from __future__ import annotations

from pathlib import Path

import clustering
import clustering_kept as kept
import clustering_surrogate as surrogates
import clustering_trials as measure
import numpy as np
import pytest
from clustering_trials import METHODS, SCHEMES, Trials

from composer import ComposedModel, Run
from composer_clustering import Clusters
from composer_clustering.space import combinations
from tiny import tiny_images, tiny_population


def trials(index: tuple[float, ...], best: int) -> dict[str, Trials]:
    """The same trials of each method; every objective likes one of them best, and the last two are whitened."""
    liked = np.arange(len(index)) == best
    whitened = np.arange(len(index)) >= len(index) - 2
    worth = {objective: liked.astype(np.float64) for objective in measure.OBJECTIVES}
    return dict.fromkeys(METHODS, Trials(np.asarray(index), worth, whitened))


def measured(name: str, index: tuple[float, ...], best: int, gain: float) -> kept.Measured:
    scheme = np.where(np.arange(len(SCHEMES)) == 4, 0.2 + gain, 0.2)
    return kept.Measured(
        name,
        {"product": trials(index, best)},
        {"product": {"kmeans": scheme, "dbscan": scheme}},
        {"product": (0.9, 0.8, 0.5)},
    )


def test_what_is_lost_is_the_distance_to_the_best_trial() -> None:
    found = measure.regrets({"product": trials((0.1, 0.5, 0.3, 0.2), best=2)}, dict.fromkeys(METHODS, 1))
    lost = {way: of_methods["kmeans"] for way, of_methods in found.items()}
    assert lost["default options"] == pytest.approx(0.4)
    assert lost["stability"] == pytest.approx(0.2)
    assert lost["stability, mahalanobis"] == pytest.approx(0.2)
    assert lost["default options, mahalanobis"] == pytest.approx(0.2)
    assert lost["any options"] == pytest.approx(0.5 - 0.275)
    assert lost["any options, mahalanobis"] == pytest.approx(0.25)
    assert lost["best on the other pairs"] == 0


def test_what_is_best_on_the_other_pairs_is_chosen_without_the_pair_itself() -> None:
    pairs = [measured("a", (0.0, 0.9, 0.1, 0), 0, 0), measured("b", (0.0, 0.2, 0.8, 0), 0, 0)]
    found = clustering.regrets_of(pairs)["best on the other pairs"]["kmeans"]
    np.testing.assert_allclose(found, [0.9 - 0.1, 0.8 - 0.2])


def test_the_document_says_what_it_covers_and_every_difference_with_its_interval(tmp_path: Path) -> None:
    pairs = [measured("black+cat", (0.1, 0.5, 0.3, 0.2), 2, 0.1), measured("red+fish", (0.1, 0.5, 0.3, 0.2), 2, 0.3)]
    document = tmp_path / "clustering.md"
    document.write_text(f"before\n{clustering.BEGIN}old\n{clustering.END}\nafter\n")
    clustering.write(clustering.page(pairs, [], 4), document)
    text = document.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "over 2 drawn pairs (black+cat, red+fish) with 4 trials" in text.replace("\n", " ")
    assert "| mahalanobis | +0.200 (+0.100 to +0.300) |" in text
    assert "| euclidean | 0.200 (0.200 to 0.200) |" in text
    assert "| stability | 0.200 (0.200 to 0.200) |" in text
    assert "- stability: +0.200 (+0.200 to +0.200)" in text
    assert "0.900 (0.900 to 0.900) | 0.800 (0.800 to 0.800)" in text
    without = clustering.page([kept.Measured("a", {}, pairs[0].schemes, pairs[0].naming)], [], 4)
    assert "a search loses" not in without


def test_a_third_of_the_trials_is_whitened_and_the_plainest_come_first() -> None:
    options = combinations("kmeans", clustering.VARY, Clusters())
    numbers = measure.numbers_of(options, 12)
    assert len(set(numbers)) == 12
    assert options[numbers[0]] == {}
    assert options[numbers[1]] == {"metric": "mahalanobis"}
    assert sum(options[number].get("metric") == "mahalanobis" for number in numbers) >= 4
    plain = combinations("kmeans", clustering.VARY[:-1], Clusters())
    assert not any("mahalanobis" in str(plain[number]) for number in measure.numbers_of(plain, 12))


def test_photographs_without_pictures_of_the_parents_are_measured_and_stand_apart() -> None:
    population = tiny_population()
    one = measure.Composition(
        "product",
        ComposedModel((population,), population.members),
        tiny_images(6),
        Run(picked=1, parents=(population, tiny_population("cat", seed=1))),
    )
    found = clustering.searched(clustering.measured_of("photos", [one], labelled=False), [one], 3, labelled=False)
    assert found.schemes["product"]["kmeans"].shape == (len(clustering.PLAIN),)
    assert not found.trials["product"]["kmeans"].whitened.any()
    text = clustering.page([measured("black+cat", (0.1, 0.5), 1, 0.1)], [found], 3)
    assert (
        "### The study's 89 photographs\n\nNothing was chosen here. The *surrogate* is the one that is shipped" in text
    )
    assert "photos: lost to the best of 3 trials." in text
    assert found.trials["product"]["kmeans"].seen.keys() == set(measure.SEEN)


def seen_trials(seed: int, slope: float) -> dict[str, Trials]:
    """Trials whose index is what the parents say, and a product, by a slope; the last cannot be judged."""
    rng = np.random.default_rng(seed)
    found = {}
    for method in METHODS:
        seen = {name: np.append(rng.normal(size=30), np.nan) for name in measure.SEEN}
        index = np.append(slope * seen["parents"] + 0.1 * seen["noise"] * seen["dbcv"], 0.9)[:31] / 5
        worth = {name: np.append(seen[name][:30], -2) for name in measure.OBJECTIVES}
        found[method] = Trials(np.nan_to_num(index), worth, np.zeros(31, dtype=np.bool_), seen)
    return found


def seen_pair(name: str, seed: int, slope: float = 1) -> kept.Measured:
    return kept.Measured(name, {"product": seen_trials(seed, slope)}, {}, {})


def test_a_surrogate_learns_what_the_index_depends_on() -> None:
    fitted = surrogates.fitted([seen_pair(f"a{seed}+b{seed}", seed) for seed in range(8)])
    judged = surrogates.told(seen_pair("x+y", 99), fitted).trials["product"]["kmeans"]
    said = judged.worth["surrogate"]
    assert np.corrcoef(said[:30], judged.index[:30])[0, 1] > 0.97
    assert said[30] == -2, "what cannot be judged is worth less than any other"
    row = {name: float(judged.seen[name][0]) for name in measure.SEEN}
    assert said[0] == pytest.approx(fitted.says(row))


def test_a_pair_is_judged_by_a_surrogate_of_pairs_that_share_no_concept_with_it() -> None:
    pairs = [seen_pair("black+cat", 0), seen_pair("black+dog", 1, -1), seen_pair("white+cat", 2, -1)]
    pairs += [seen_pair(f"{name}+fish", 3 + number) for number, name in enumerate(("white", "red", "green"))]
    assert [other.name for other in surrogates.strangers(pairs[0], pairs)] == ["white+fish", "red+fish", "green+fish"]
    found = surrogates.held_out(pairs)[0].trials["product"]["kmeans"]
    assert np.corrcoef(found.worth["surrogate"][:30], found.index[:30])[0, 1] > 0.9, "others would turn it around"
    blind = found.worth["surrogate that asks no parent"][:30]
    assert abs(np.corrcoef(blind, found.index[:30])[0, 1]) < 0.7, "the parents say most of it"
    assert surrogates.held_out(pairs[:2]) == pairs[:2], "nobody can judge them"


def test_what_was_measured_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "one.json"
    assert kept.read(file) is None
    one = kept.Measured(
        "a+b", {"product": seen_trials(0, 1)}, {"product": {"kmeans": np.arange(3.0)}}, {"product": (0.9, 0.8, 0.5)}
    )
    kept.write(one, file)
    again = kept.read(file)
    assert again is not None
    assert (again.name, again.naming) == (one.name, one.naming)
    np.testing.assert_array_equal(again.schemes["product"]["kmeans"], one.schemes["product"]["kmeans"])
    for name, own in one.trials["product"].items():
        other = again.trials["product"][name]
        np.testing.assert_array_equal(other.index, own.index)
        np.testing.assert_array_equal(other.whitened, own.whitened)
        for part, values in {**own.worth, **own.seen}.items():
            np.testing.assert_array_equal({**other.worth, **other.seen}[part], values)
