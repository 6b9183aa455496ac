"""The benchmark: every composition and control that is installed, on attribute x object pairs held out in turn.

No training picture of an attribute shows any of the benchmark's objects, nor one of an object any of its attributes.
So no parent has seen any target, and none has to be trained again for the next pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.data.expressions import cell_name
from composer.data.pooling import FeaturePool
from composer.data.score_info import main_score
from composer.data.scores import Score
from composer.errors import ComposerError, RecipeError
from composer.interfaces import Assembler, Evaluator, ImageSource, Translator
from composer.judging import gain
from composer.judging.declared import declared_scores
from composer.judging.gain import Sampled
from composer.pipeline import opened, working
from composer.recipes.located_yaml import Document
from composer.recipes.overrides import apply
from composer.recipes.recipe import Recipe, why_no_oracle
from composer.recipes.recipe_reader import DEFAULT_EVALUATORS, read_data
from composer.recipes.slots import read_component
from composer.registry import Registry
from composer.running.engine import Engine
from composer.running.last_run import recall, remember
from composer.running.outcome import choose_device, judge_oracle
from composer.running.plan import Plan, make_plan

ATTRIBUTES = ("black", "white", "red", "striped")
OBJECTS = ("cat", "dog", "fish", "car")
PAIRS = tuple((ATTRIBUTES[i], OBJECTS[(i + turn) % 4]) for turn in range(4) for i in range(4))
"""In an order of which every four show all attributes and all objects."""
PICTURES = {"use": "drawings", "size": 32, "train": 1000, "test": 400, "held_out": [*ATTRIBUTES, *OBJECTS]}
MODELS = {"use": "train", "members": 6}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cyclegan": {"epochs": 150},
    "distil": {"members": 3},
    "taught": {"steps": 200},
}
"""Options of components whose defaults take too long here."""


@dataclass(frozen=True)
class World:
    """Pictures to compose in: the pairs to hold out, and the recipe's slots for pictures and models.

    compositions: what is made of each pair; None for all that is installed. changing: the option of the pictures, if
    any, that each seed gives another value. shared: whether pairs share parents, which are then kept in memory.
    """

    pairs: Sequence[tuple[str, ...]]
    images: Mapping[str, Any]
    models: Mapping[str, Any]
    compositions: Mapping[str, Mapping[str, Any]] | None = None
    changing: str | None = None
    shared: bool = True


DRAWINGS = World(PAIRS, PICTURES, MODELS)
FITTED = {"use": "fit", "backbone": "efficientnet_lite", "scaling": "common"}
"""Models for photographs: a head for each concept on one pretrained body."""
AS_THEY_ARE = {"use": "distil", "mixed": 0}
"""One network for photographs: its head is fitted to what the parents say of their own pictures, unmixed, so that
the body, which sees them for the parents too, sees each once."""
ON_THEIR_BODY = {**AS_THEY_ARE, "clip": 100}
"""The same on the parents' own body: what they say is linear there, and can be learned whole if none is cut off."""


@dataclass(frozen=True)
class Entrants:
    """What takes part: recipe slots by name, which of them are controls, and what stays away and why."""

    compositions: Mapping[str, Mapping[str, Any]]
    alone: Sequence[str]
    """Controls that take one parent at a time."""
    controls: frozenset[str]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Judgement:
    """One pair with one seed: AUCs of the picked members, over all and of the hardest cell, and on resampled pictures.

    auc: also of `oracle` and of `better parent`. pictures: test pictures that show the pair, and all.
    """

    pair: tuple[str, ...]
    seed: int
    auc: Mapping[str, Sampled]
    hardest: Mapping[str, Sampled]
    parent: Sampled
    oracle: Sampled
    failed: Mapping[str, str]
    pictures: tuple[int, int] = (0, 0)


@dataclass
class Benchmark:
    """What was judged, and what it took."""

    entrants: Entrants
    judgements: list[Judgement] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of every stage, whether it was computed now or before: its place in the store -> seconds."""
    notes: dict[str, dict[str, None]] = field(default_factory=dict)
    """What is worth knowing before any picture is looked at -> the pairs of which it was said."""


def benchmark(
    folder: Path,
    pairs: int,
    seeds: int,
    overrides: Sequence[str],
    registry: Registry,
    say: Callable[[str], None],
    store: Path | None = None,
    world: World = DRAWINGS,
) -> Benchmark:
    """Judges everything on the first `pairs` pairs with seeds 1 to `seeds`; what the store has is kept.

    folder: holds nothing but a lock and what the stages were made from. say: told of every pair that is done.
    """
    found = Benchmark(find_entrants(registry) if world.compositions is None else _entrants_of(world, registry))
    rounds = [(seed, pair) for seed in range(1, seeds + 1) for pair in world.pairs[:pairs]]
    recipes = [pair_recipe(pair, seed, found.entrants, overrides, registry, world) for seed, pair in rounds]
    pool = FeaturePool()
    with working(folder), opened(store) as stages:  # only now that all of them are known to be right
        seen = recall(folder)
        engine = Engine(stages, choose_device("cpu"), registry, seen=seen)
        try:
            for done, (recipe, (seed, pair)) in enumerate(zip(recipes, rounds, strict=True), start=1):
                found.judgements.append(judge(engine, recipe, found, pool, world.shared))
                say(f"{cell_name(pair)}, seed {seed}: {done} of {len(rounds)}")
        finally:
            remember(folder, seen)
    return found


def world_of(name: str, root: Path, overrides: Sequence[str], registry: Registry) -> World:
    """The pictures in a folder as the image source `name` reads them, each pair that it offers held out in turn."""
    slot: dict[str, Any] = {"use": name, "root": str(root)}
    document = Document({"images": dict(slot), "models": dict(FITTED)}, "composer bench")
    own = tuple(f"{key}{sign}" for key in ("images", "models") for sign in ".=")
    apply(document, [one for one in overrides if one.strip().startswith(own)])
    component = registry.find("images", name)
    source = read_component(component, document.data["images"], registry)
    assert isinstance(source, ImageSource)
    if not source.shows_target:
        raise ComposerError(f"composer bench: images {name!r} have no labelled pictures of a target to measure gain by")
    pairs = [pair for pair in source.targets() if len(pair) == 2]
    if not pairs:
        raise ComposerError(
            f"composer bench: images {name!r} of {root} offer no pair to hold out: pictures show one of each of two "
            "kinds, such as black and tshirt, and each of a pair must be shown with another one too"
        )
    changing = "seed" if "seed" in component.model_fields else None
    return World(pairs, slot, FITTED, _made_of_photographs(document.data["models"]), changing, shared=False)


def _made_of_photographs(models: Any) -> Mapping[str, Mapping[str, Any]]:
    """The product of the parents, and one network that learned from them: on their own body, where they have one."""
    backbone = models.get("backbone") if isinstance(models, Mapping) else None
    student = AS_THEY_ARE if backbone is None else {**ON_THEIR_BODY, "body": backbone}
    return {"product": {"assembler": "product"}, "distil": {"assembler": student}}


def _entrants_of(world: World, registry: Registry) -> Entrants:
    """What the world says, and the controls that take one parent at a time."""
    return Entrants(world.compositions or {}, find_entrants(registry).alone, frozenset(), {})


def find_entrants(registry: Registry) -> Entrants:
    """Every translator with every assembler that takes kernels, and every assembler that takes the parents."""
    compositions: dict[str, Mapping[str, Any]] = {}
    controls, alone = set(), []
    left_out = {}
    offered: dict[str, list[type[Component]]] = {
        kind: sorted((component for component, _ in registry.components(kind)), key=lambda one: one.name)
        for kind in ("translator", "assembler")
    }
    for assembler in offered["assembler"]:
        assert issubclass(assembler, Assembler)
        if not assembler.needs_kernels:
            if assembler.contract.parents[1] == 1:
                alone.append(assembler.name)
                continue
            candidates: dict[str, list[type[Component]]] = {assembler.name: [assembler]}
        else:
            candidates = {f"{one.name}-{assembler.name}": [one, assembler] for one in offered["translator"]}
        for name, parts in candidates.items():
            slots = {part.kind: {"use": part.name, **OPTIONS.get(part.name, {})} for part in parts}
            if why := _refused(name, slots, parts, registry):
                left_out[name] = why
                continue
            compositions[name] = slots
            if any(part.control for part in parts if issubclass(part, (Translator, Assembler))):
                controls.add(name)
    return Entrants(compositions, alone, frozenset(controls), left_out)


def _refused(
    name: str,
    slots: Mapping[str, Any],
    parts: Sequence[type[Component]],
    registry: Registry,
) -> str:
    """Why a composition cannot take part, or nothing."""
    for part in parts:
        required = [option for option, about in part.model_fields.items() if about.is_required()]
        if required:
            return f"{part.name} needs options that the benchmark cannot know: {', '.join(required)}"
    try:
        alone = Entrants({name: slots}, (), frozenset(), {})
        pair_recipe(PAIRS[0], 1, alone, (), registry)
    except RecipeError as error:
        # Named by their options: the message would name folders of this machine.
        reads = [f"{part.name}: {option}" for part in parts for option in _paths(part)]
        if reads:
            return f"it reads files that the benchmark does not have ({', '.join(reads)})"
        return "; ".join(problem.message for problem in error.problems)
    return ""


def _paths(component: type[Component]) -> list[str]:
    """Its options that are files or folders."""
    return [name for name, about in component.model_fields.items() if isinstance(about.get_default(), Path)]


def pair_recipe(
    pair: tuple[str, ...],
    seed: int,
    entrants: Entrants,
    overrides: Sequence[str],
    registry: Registry,
    world: World = DRAWINGS,
) -> Recipe:
    """The recipe that judges all entrants on one pair."""
    data = {
        "name": "_".join(pair),
        "seed": seed,
        "concepts": list(pair),
        "images": {**world.images, **({world.changing: seed} if world.changing else {})},
        "models": dict(world.models),
        "compositions": {name: dict(slots) for name, slots in entrants.compositions.items()},
        "controls": list(entrants.alone),
        "evaluators": [judging_evaluator(registry)],
        "oracle": True,
    }
    document = Document(data, "composer bench")
    apply(document, overrides)
    return read_data(document.data, "composer bench", registry)


def judging_evaluator(registry: Registry) -> str:
    """The evaluator to judge by: of a recipe's usual ones the first that has a score to measure gain in."""
    for name in DEFAULT_EVALUATORS:
        evaluator = registry.find("evaluator", name)
        assert issubclass(evaluator, Evaluator)
        if any(info.gain for info in evaluator.scores):
            return name
    raise ComposerError("composer bench: none of the usual evaluators declares a score to measure gain in")


def judge(engine: Engine, recipe: Recipe, found: Benchmark, pool: FeaturePool, shared: bool = True) -> Judgement:
    """One pair with one seed; a composition that fails says why, and the others go on."""
    plan = make_plan(recipe)
    for note in recipe.notes:
        found.notes.setdefault(note, {})[cell_name(recipe.names)] = None
    for step in plan.steps():
        if step.split is not None:
            engine.result(step).pool = pool
    oracle = judge_oracle(engine, plan.oracle)
    if oracle is None or plan.oracle is None:
        raise ComposerError(f"composer bench: an oracle is needed to measure gain by; {why_no_oracle(recipe)}")
    label, _, measure = oracle.score.partition(".")
    declared = declared_scores({label: recipe.evaluators[label]})
    whole = str(main_score(declared, (f"{label}.{name}" for name in oracle.report.scores))).partition(".")[2]
    scores: dict[str, Mapping[str, Score]] = {}
    failed = {}
    for arm in plan.arms:
        name = role(arm.composition.name, recipe)
        try:
            scores[name] = engine.result(arm.reports[label]).scores
        except ComposerError as error:
            failed[name] = str(error)
    for step in plan.steps():
        facts = engine.cache.facts(step.name, step.key)
        if facts is not None:
            found.seconds[engine.cache.path(step.name, step.key).name] = facts["seconds"]
    pictures = engine.result(plan.test) if plan.test else None
    _let_go(engine, plan, shared)
    judged = {name: own for name, own in scores.items() if measure in own}
    failed.update({name: "it gives no log-odds" for name in scores if name not in judged})
    return Judgement(
        recipe.names,
        recipe.seed,
        {name: Sampled.of(own[whole]) for name, own in judged.items()}
        | {
            "oracle": Sampled.of(oracle.report.scores[whole]),
            "better parent": gain.better_parent([Sampled.of(said.scores[whole]) for said in oracle.parents.values()]),
        },
        {name: Sampled.of(own[measure]) for name, own in judged.items()},
        gain.better_parent([Sampled.of(said.scores[measure]) for said in oracle.parents.values()]),
        Sampled.of(oracle.report.scores[measure]),
        failed,
        (0, 0) if pictures is None else (int(pictures.target.sum()), len(pictures)),
    )


def role(arm: str, recipe: Recipe) -> str:
    """`parents.attribute` for `parents.black`: the same row for all pairs."""
    name, _, concept = arm.partition(".")
    return f"{name}.{dict(zip(recipe.names, ('attribute', 'object'), strict=True))[concept]}" if concept else arm


def _let_go(engine: Engine, plan: Plan, keeping: bool) -> None:
    """Forgets all that the next pair does not need."""
    for step in plan.populations.values():
        engine.result(step).forget_features()
    shared = {step.key for step in (*plan.training.values(), *plan.populations.values()) if keeping}
    for step in plan.steps():
        if step.key not in shared:
            engine.forget(step)
