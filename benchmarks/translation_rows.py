"""The rows of docs/translation.md, and what a pair with a seed says of each; benchmarks/translation.py writes of them.

Every row is a set of kernels put into the parents' architecture by `refit`. The rows of `taught` come of one training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from rounds import Round

from composer import Evaluator, KernelSet, Population, Run
from composer.data.pooling import FeaturePool
from composer.data.scores import tells_apart
from composer.judging import picking
from composer.judging.gain import Sampled
from composer.recipes.recipe import Recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.sweeps.benchmark import DRAWINGS, Benchmark, Entrants, Judgement, judge, pair_recipe
from composer_assembly import Refit
from composer_controls.kernels import nearest, noise
from composer_study.novelty import novelty
from composer_translation import Taught
from composer_translation.taught import teach

REFIT = {"assembler": "refit"}
TRANSLATORS: Mapping[str, Mapping[str, Any]] = {
    "cyclegan": {"use": "cyclegan"},
    "cyclegan aligned": {"use": "cyclegan", "align": True, "identity_weight": 5.0},
    "cyclegan normed": {"use": "cyclegan", "align": True, "identity_weight": 5.0, "spectral_norm": True},
    "cyclegan pca": {
        "use": "cyclegan",
        "align": True,
        "identity_weight": 5.0,
        "spectral_norm": True,
        "space": "pca",
    },
    "ridge": {"use": "ridge"},
    "transport": {"use": "transport"},
    "flow": {"use": "flow"},
    "mean": {"use": "mean"},
    "mean aligned": {"use": "mean", "align": True},
    "untouched": {"use": "untouched"},
    "random": {"use": "random"},
    "shuffled": {"use": "shuffled"},
    "untrained": {"use": "untrained"},
}
"""Row -> translator. Those before `mean` translate; it and the others are controls."""
TAUGHT_ROWS = (
    "taught",
    "taught condition shuffled",
    "taught condition the mean",
    "nearest to taught",
    "noise as far as taught",
)
CONTROLS = frozenset([*list(TRANSLATORS)[list(TRANSLATORS).index("mean") :], *TAUGHT_ROWS[1:]])


@dataclass
class Seen:
    """Of one row what the gain does not say, over all pairs and seeds."""

    distances: list[float] = field(default_factory=list)
    """Median distance of kernels to the nearest parent, in units of that between parents."""
    dead: int = 0
    members: int = 0
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Takes in what another round saw."""
        self.distances += other.distances
        self.dead += other.dead
        self.members += other.members
        self.seconds += other.seconds
        self.failed += other.failed


@dataclass(frozen=True)
class Settings:
    """What a round is worked with."""

    cyclegan: int
    """Epochs; 0 leaves it out."""
    steps: int
    """Of `taught`."""

    def entrants(self) -> Entrants:
        """The rows that come of recipes."""
        slots: dict[str, Mapping[str, Any]] = {
            name: {"translator": {**slot, **({"epochs": self.cyclegan} if slot["use"] == "cyclegan" else {})}, **REFIT}
            for name, slot in TRANSLATORS.items()
            if self.cyclegan or slot["use"] != "cyclegan"
        }
        slots |= {"product": {"assembler": "product"}, "aligned_mean": {"assembler": "aligned_mean"}}
        return Entrants(slots, (), CONTROLS, {})


def measured(settings: Settings, one: Round, store: Path) -> tuple[Judgement, dict[str, Seen]]:
    """What a pair with a seed says of all rows."""
    registry, entrants, seen = load_registry(), settings.entrants(), dict[str, Seen]()
    with StageCache(store) as stages:
        engine = Engine(stages, "cpu", registry)
        recipe = pair_recipe(one.pair, one.seed, entrants, (), registry, DRAWINGS)
        judgement = judge(engine, recipe, Benchmark(entrants), FeaturePool())
        return with_taught(engine, recipe, judgement, settings.steps, seen), seen


def together(
    entrants: Entrants, done: Mapping[Round, tuple[Judgement, dict[str, Seen]]]
) -> tuple[Benchmark, dict[str, Seen]]:
    """What several rounds say."""
    seen: dict[str, Seen] = {}
    for _, rows in done.values():
        for name, own in rows.items():
            seen.setdefault(name, Seen()).add(own)
    return Benchmark(entrants, [judgement for judgement, _ in done.values()]), seen


def with_taught(engine: Engine, recipe: Recipe, judgement: Judgement, steps: int, seen: dict[str, Seen]) -> Judgement:
    """The judgement with the rows of `taught`; what is seen of all rows is added to `seen`."""
    plan = make_plan(recipe)
    assert plan.test is not None, "drawings have test pictures"
    test = engine.result(plan.test)
    arms = {arm.composition.name: arm for arm in plan.arms}
    auc, hardest = dict(judgement.auc), dict(judgement.hardest)
    for name in (name for name in TRANSLATORS if name in arms):
        own = seen.setdefault(name, Seen())
        step = arms[name].kernels
        if name in judgement.failed or step is None:
            own.failed.append(judgement.failed.get(name, ""))
            continue
        facts = engine.cache.facts(step.name, step.key) or {}
        own.seconds.append(facts["seconds"])
        _look(own, engine.result(step), [engine.result(other) for other in step.inputs], recipe.seed)
        log_odds = engine.result(arms[name].model).log_odds(test).numpy()
        own.dead += int((~tells_apart(log_odds)).sum())
        own.members += len(log_odds)
    aligned = arms["mean aligned"].kernels
    assert aligned is not None, "it has a translator"
    kernels = [engine.result(step) for step in aligned.inputs]
    parents = [engine.result(step.inputs[0]) for step in aligned.inputs]
    pictures = tuple(engine.result(plan.training[parent.concept]) for parent in parents)
    for name, (made, seconds) in _taught(kernels, parents, pictures, steps, recipe.seed).items():
        own = seen.setdefault(name, Seen())
        model = Refit().assemble(made, parents, Run(recipe.seed, pictures=pictures)).answering(recipe.target)
        run = Run(recipe.seed)
        pick = picking.pick_member(recipe.pick, model, test, run)
        (evaluator,) = recipe.evaluators.values()
        assert isinstance(evaluator, Evaluator)
        report = evaluator.evaluate(model, test, replace(run, picked=pick.member))
        scores = {key: pick.completed(score) for key, score in report.scores.items()}
        auc[name], hardest[name] = Sampled.of(scores["auc"]), Sampled.of(scores["auc_hardest_cell"])
        own.seconds.append(seconds)
        own.members += len(made)
        own.dead += int((~tells_apart(model.log_odds(test).numpy())).sum())
        _look(own, made, kernels, recipe.seed)
    return replace(judgement, auc=auc, hardest=hardest)


def _taught(
    kernels: Sequence[KernelSet], parents: Sequence[Population], pictures: Any, steps: int, seed: int
) -> dict[str, tuple[KernelSet, float]]:
    """Row -> kernels, and the seconds that it took beyond those that it is made of."""
    run = Run(seed, pictures=pictures, parents=tuple(parents))
    started = time.process_time()
    lesson = teach(Taught(steps=steps), kernels, run)
    made = lesson.applied(kernels, "members", run)
    seconds = time.process_time() - started
    rows = (
        made,
        lesson.applied(kernels, "shuffled", run),
        lesson.applied(kernels, "mean", run),
        nearest(made, kernels),
        noise(made, kernels, run),
    )
    return {
        name: (own, seconds if index == 0 else 0.0)
        for index, (name, own) in enumerate(zip(TAUGHT_ROWS, rows, strict=True))
    }


def _look(own: Seen, made: KernelSet, parents: Sequence[KernelSet], seed: int) -> None:
    distances = novelty(made, parents, Run(seed))
    own.distances.append(
        float(median(distances.of_members["nearest"].tolist()) / median(distances.between_parents.tolist()))
    )
