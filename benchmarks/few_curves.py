"""Learning curves of `benchmarks/few.py --data`: what is made of k labels of each kind, and their tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from few_photographs import Case
from numpy.typing import NDArray
from torch import Tensor

from composer import Expression, auc
from composer_few import FewShot
from composer_few.moving import Moved, Shown, moved
from composer_few.spreading import beside, trials

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

MEASURES = ("AUC", "hardest cell", "balanced accuracy")
ROWS = ("few_shot", "spread", "few_alone", "head", "parent", "product", "threshold", "oracle")
"""What is judged. spread: `few_shot` with what of the pictures is not labelled. head: one head on the pretrained body
that knows the labels alone. parent: the one that tells the labels better, with a threshold of theirs. threshold: the
product with a threshold of theirs."""
WORD = "target"
RESAMPLES = 2000
PHOTOGRAPHS = "<!-- begin: benchmarks/few.py --data, {} -->\n"
"""Before what stands in the document of one set of photographs."""
COMPARED = (("few_shot", "product"), ("spread", "few_shot"), ("few_shot", "head"))


def curves(case: Case, labels: Sequence[int], draws: int) -> Floats:
    """Scores [labels, draws, rows, measures]; NaN where there are too few pictures of a kind."""
    found = np.full((len(labels), draws, len(ROWS), len(MEASURES)), np.nan)
    kinds = [np.flatnonzero(case.shown == kind) for kind in (True, False)]
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        orders = [rng.permutation(kind) for kind in kinds]
        for place, count in enumerate(labels):
            if count <= min(map(len, kinds)):
                found[place, draw] = judged(case, np.concatenate([order[:count] for order in orders]))
    return found


def judged(case: Case, chosen: Places) -> Floats:
    """[rows, measures] of what is made with the labels of the chosen pictures."""
    rest = np.setdiff1d(np.arange(len(case.shown)), chosen)
    known, others = shown(case, chosen), shown(case, rest)
    blank = torch.zeros_like(known.log_odds)
    single = Shown((WORD,), Expression.of(WORD), known.features[:1], blank[:1], known.yes)
    product = answers(case, None)
    said: dict[str, Floats] = dict.fromkeys(("few_shot", "spread", "product", "threshold"), product)
    said |= {"few_alone": np.zeros(len(product)), "head": np.zeros(len(product)), "oracle": case.oracle[0].numpy()}
    parents = [
        (own.numpy(), mine.numpy()) for own, mine in zip(known.log_odds, case.tested.log_odds[:, 0], strict=True)
    ]
    if len(chosen):
        yes = known.yes.numpy() > 0
        joint = beside(
            known, others, *(FewShot.model_fields[own].default for own in ("neighbours", "alpha")), knowing=True
        )
        assert joint is not None, "photographs differ"
        said["few_shot"] = answers(case, moved(known))
        said["spread"] = answers(case, moved(known, beside=trials(joint)))
        said["few_alone"] = answers(case, moved(replace(known, log_odds=blank), stay=False), knowing=False)
        head = moved(single, stay=False)
        said["head"] = (case.tested.features[0][0] @ head.slopes[0] + head.shifts[0]).numpy()
        said["threshold"] = product - threshold(known.of_target(known.log_odds)[0].numpy(), yes)
        own, mine = max(parents, key=lambda one: float(auc(one[0][None], yes)[0]))
        said["parent"] = mine - threshold(own, yes)
        return scores(case, np.stack([said[row] for row in ROWS]))
    said["parent"] = product
    found = scores(case, np.stack([said[row] for row in ROWS]))
    found[ROWS.index("parent")] = scores(case, np.stack([mine for _, mine in parents])).mean(0)
    return found


def shown(case: Case, index: Places) -> Shown:
    places = torch.from_numpy(index)
    features = [own[0][places] for own in case.labelled.features]
    yes = torch.from_numpy(case.shown[index]).double()
    return Shown(case.concepts, case.formula, features, case.labelled.log_odds[:, 0][:, places], yes)


def answers(case: Case, step: Moved | None, *, knowing: bool = True) -> Floats:
    """Log-odds of the target on the test pictures, of heads after a step."""
    said = case.tested.log_odds[:, 0] if knowing else torch.zeros_like(case.tested.log_odds[:, 0])
    if step is not None:
        added = [own[0] @ slope for own, slope in zip(case.tested.features, step.slopes, strict=True)]
        said = said + torch.stack(added) + step.shifts[:, None]
    whole: Tensor = case.formula.log_odds(dict(zip(case.concepts, said, strict=True)))
    return whole.double().numpy()


def threshold(log_odds: Floats, yes: NDArray[np.bool_]) -> float:
    """Where labelled pictures are parted best, half way between two of them; of equals the middle one."""
    order = np.sort(log_odds)
    tried = [(one + other) / 2 for one, other in pairwise(order)]
    right = np.asarray([balanced(log_odds - one, yes) for one in tried])
    best = np.flatnonzero(right == right.max())
    return float(tried[best[len(best) // 2]])


def balanced(log_odds: Floats, yes: NDArray[np.bool_]) -> float:
    """Balanced accuracy: the mean share of each kind that is told."""
    return float(((log_odds[yes] > 0).mean() + (log_odds[~yes] <= 0).mean()) / 2)


def scores(case: Case, log_odds: Floats) -> Floats:
    """[rows, measures] of log-odds [rows, N]."""
    cells, hardest = np.asarray(case.cells), []
    for cell in sorted(set(cells[~case.target].tolist())):
        kept = case.target | (cells == cell)
        hardest.append(auc(log_odds[:, kept], case.target[kept]))
    right = [balanced(own, case.target) for own in log_odds]
    return np.stack([auc(log_odds, case.target), np.min(hardest, axis=0), np.asarray(right)], axis=1)


def interval(differences: Floats) -> tuple[float, float, float]:
    """Mean of [pairs, draws] and its 95 % bootstrap interval: pairs are drawn anew, and of each pair its draws."""
    pairs, draws = differences.shape
    rng = np.random.default_rng(0)
    chosen = rng.integers(pairs, size=(RESAMPLES, pairs, 1))
    means = differences[chosen, rng.integers(draws, size=(RESAMPLES, pairs, draws))].mean((1, 2))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def compared(found: Sequence[Floats], place: int, measure: int, one: str, other: str) -> tuple[float, float, float]:
    """By how much a row is above another, of the pairs that have so many labels."""
    whole = whole_of(found, place)[..., measure]
    return interval(whole[..., ROWS.index(one)] - whole[..., ROWS.index(other)])


def whole_of(found: Sequence[Floats], place: int) -> Floats:
    """[pairs, draws, rows, measures] of the pairs that have so many labels."""
    return np.stack([own[place] for own in found if not np.isnan(own[place]).any()])


def text_of(found: Sequence[tuple[Case, Floats]], labels: Sequence[int], command: str) -> str:
    """What the document says of one set of photographs, as far as it is done."""
    names = ", ".join("+".join(case.concepts) for case, _ in found)
    pairs = "1 pair" if len(found) == 1 else f"{len(found)} pairs"
    told = [textwrap.fill(f"By `{command}`: {pairs} ({names}).", 120)]
    lines = "".join(group_text([curve for _, curve in found], labels)).splitlines()
    told += [line if line.startswith("|") else textwrap.fill(line, 120, subsequent_indent="  ") for line in lines]
    return "\n".join(told).rstrip() + "\n"


def group_text(found: Sequence[Floats], labels: Sequence[int]) -> Iterator[str]:
    """A table for each measure, and what it says."""
    there = [place for place in range(len(labels)) if any(not np.isnan(own[place]).any() for own in found)]
    for measure, title in enumerate(MEASURES):
        rows = [row for row in ROWS if measure == MEASURES.index("balanced accuracy") or row != "threshold"]
        ahead = [f"`{one}` above `{other}`" for one, other in COMPARED]
        yield f"\n| {title}: labels of each kind | pairs | {' | '.join([*rows, *ahead])} |\n"
        yield f"| ---: | ---: |{' ---: |' * (len(rows) + len(ahead))}\n"
        for place in there:
            whole = whole_of(found, place)
            means = [f"{whole[:, :, ROWS.index(row), measure].mean():.3f}" for row in rows]
            told = ["{:+.4f} ({:+.4f} to {:+.4f})".format(*compared(found, place, measure, *two)) for two in COMPARED]
            yield f"| {labels[place]} | {len(whole)} | {' | '.join([*means, *told])} |\n"
    yield "\n"
    for measure, title in enumerate(MEASURES):
        yield verdict(found, labels, there, measure, title)


def verdict(found: Sequence[Floats], labels: Sequence[int], there: Sequence[int], measure: int, title: str) -> str:
    """What a composition is worth, from how many labels on training is as good, and whether labels ever harm."""
    ahead = {
        two: [compared(found, place, measure, *two) for place in there] for two in (*COMPARED, ("head", "product"))
    }
    counts, most = [labels[place] for place in there], labels[there[-1]]

    def at(two: tuple[str, str], side: int) -> str:
        """The numbers at which a row is clearly above (1) or below (-1) another."""
        own = [
            str(count) for count, one in zip(counts, ahead[two], strict=True) if min(side * end for end in one[1:]) > 0
        ]
        return ", ".join(own)

    reached = [count for count, one in zip(counts, ahead["head", "product"], strict=True) if one[0] >= 0]
    equal = [count for count, one in zip(counts, ahead["few_shot", "head"], strict=True) if one[1] <= 0]
    worth = reached[0] if reached else f"more than {most}"
    told = [
        f"the product is worth {worth} of each kind (where `head` reaches it).",
        f"`few_shot` is no longer clearly better than `head` from {equal[0]} on."
        if equal
        else f"`few_shot` is clearly better than `head` at every number up to {most}.",
    ]
    for (one, other), names in ((COMPARED[0], "the product"), (COMPARED[1], "`few_shot`")):
        above, below = at((one, other), 1), at((one, other), -1)
        told.append(f"`{one}` is clearly above {names} {f'at {above}' if above else 'nowhere'}, ")
        told[-1] += f"clearly below it {f'at {below}' if below else 'nowhere'}."
    return f"- {title}: {' '.join(told)}\n"
