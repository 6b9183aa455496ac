"""Whether a recipe gives every component what its contract asks for; seen before any weight is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from composer.component import Component
from composer.networks.architecture import Architecture
from composer.recipes.located_yaml import Path_
from composer.recipes.recipe import assembler_path, models_path, placed_splits
from composer.registry import nearest

if TYPE_CHECKING:
    from composer.recipes.recipe import Composition, Recipe


WHICH = "which with `images:`"


def contract_problems(recipe: Recipe) -> Iterable[tuple[Path_, str]]:
    """(path in the recipe, what is not given)."""
    for concept in recipe.concepts:
        if concept.images is None and concept.models.contract.pictures != "none":
            message = f"{concept.models.name!r} needs pictures of {concept.name!r}: say {WHICH}"
            yield models_path(recipe, concept), message
    yield from few_pictures(recipe)
    for arm in recipe.compositions:
        for slot, component in (("translator", arm.translator), ("assembler", arm.assembler)):
            if component is not None:
                path: Path_ = ("controls",) if arm.control else ("compositions", arm.name, slot)
                hint = "; `controls: [parents]` does without it" if arm.control else ""
                for message in broken(component, arm, recipe):
                    yield path, f"{message}{hint}"


def few_pictures(recipe: Recipe) -> Iterable[tuple[Path_, str]]:
    """Options of model sources that ask for more training pictures than there are at most."""
    concepts = {concept.name: concept for concept in recipe.concepts}
    for _, source, split in placed_splits(recipe):
        concept = concepts.get(split.concept or "")
        asked, counted = concept and concept.models.fewest_pictures(), source.picture_count(split)
        if concept and asked and counted and counted[1] < asked[1]:
            message = f"takes {asked[1]:,} training pictures at least, and there are {counted[1]:,}; "
            yield (*models_path(recipe, concept), asked[0]), f"{message}give more (images: `{counted[0]}`)"


def without_misfits(recipe: Recipe) -> Recipe:
    """The recipe without those controls that its parents cannot give what they need; its notes name them.

    For controls that nobody asked for: one that a recipe names is an error.
    """
    kept, notes = [], []
    for arm in recipe.compositions:
        parts = [part for part in (arm.translator, arm.assembler) if part is not None and arm.control]
        faults = [message for part in parts for message in broken(part, arm, recipe)]
        if faults:
            notes.append(f"the usual control {arm.name!r} is left out: {faults[0]}")
        else:
            kept.append(arm)
    left = {(arm.translator or arm.assembler).name for arm in kept if arm.control}
    document = {**recipe.document, "controls": [name for name in recipe.document["controls"] if name in left]}
    return replace(recipe, compositions=tuple(kept), document=document, notes=tuple(notes))


def zoo_problems(recipe: Recipe) -> Iterable[tuple[Path_, str]]:
    """(path, message) for compositions that cannot learn from the concepts that they name."""
    for arm in recipe.compositions:
        names = dict.fromkeys(name for group in arm.assembler.learns_from() for name in group)
        for name in names:
            if name in recipe.names:
                yield (
                    assembler_path(arm),
                    f"learns from {name!r}, which is a concept of this recipe; name others, which it is not used on",
                )
        if names and recipe.images is None:
            yield assembler_path(arm), f"learns from pictures of {', '.join(names)}: say {WHICH}"
        elif names and recipe.concepts[-1].models.contract.pictures != "labelled":
            models = recipe.concepts[-1].models.name
            yield assembler_path(arm), f"learns from networks that are trained here, and {models!r} trains none"


def meaning_problems(recipe: Recipe) -> Iterable[tuple[Path_, str]]:
    """(path, message) for concepts that nobody has said the outputs of, though a composition needs their log-odds."""
    for concept in recipe.concepts:
        names, groups = concept.models.class_names(), concept.models.class_groups()
        known = names is None or concept.name in names or concept.name in groups
        if log_odds_needed(recipe, concept.name) and not known and concept.outputs is None:
            hint = nearest(concept.name, [*groups, *(names or ())], 5)
            message = f"{concept.models.name!r} has no class {concept.name!r}{hint} (`classes:` says which mean it)"
            yield models_path(recipe, concept), message


def picture_notes(recipe: Recipe) -> Iterable[str]:
    """What is worth knowing of the pictures before any is looked at, each sentence once."""
    return dict.fromkeys(note for _, source, split in placed_splits(recipe) for note in source.split_notes(split))


def log_odds_needed(recipe: Recipe, concept: str) -> bool:
    """Whether a composition is made of the concept's own answers, or an evaluator asks for them."""
    if any(evaluator.terms.populations for evaluator in recipe.evaluators.values()):
        return True
    return any(concept in arm.parents and not arm.assembler.needs_kernels for arm in recipe.compositions)


def written(network: Architecture) -> str:
    """`torchvision resnet18`: an architecture and the network of its family, where it has several."""
    return " ".join([network.name, *([str(network.options()["model"])] if "model" in network.options() else [])])


def broken(component: Component, arm: Composition, recipe: Recipe) -> Iterable[str]:
    """What a composition does not give to one of its components."""
    contract = component.terms
    title = f"{component.kind} {component.name!r}"
    sources = {concept.name: concept.models for concept in recipe.concepts if concept.name in arm.parents}
    fewest, most = contract.parents
    if len(sources) < fewest or (most is not None and len(sources) > most):
        yield f"{title} takes {contract.parents_text()} parents, and here are {len(sources)} ({', '.join(sources)})"
    if contract.architecture == "one":
        networks = {name: source.network for name, source in sources.items()}
        if len({str(network.options()) for network in networks.values()}) > 1:
            met = ", ".join(f"{name}: {network.options()}" for name, network in networks.items())
            yield f"{title} needs parents of one architecture, and here are {met}"
    if contract.kernels_alone and recipe.extractor.name == "convolutions":
        networks = {str(source.network.options()): source.network for source in sources.values()}
        for network in networks.values():
            if unfilled := network.unfilled():
                instead = "or use an assembler that keeps the parents, such as 'product'"
                yield (
                    f"{title} makes networks of kernels alone, which cannot fill {unfilled} of {written(network)}; "
                    f"take the rest from a parent (option `rest`), {instead}"
                )
    if contract.pictures != "none":
        without = [concept.name for concept in recipe.concepts if concept.name in sources and concept.images is None]
        if without:
            yield f"{title} needs pictures of {', '.join(without)}: say {WHICH}"
