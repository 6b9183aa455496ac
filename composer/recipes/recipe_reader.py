"""Reads a recipe, collecting everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from composer.data.expressions import MOST_CONCEPTS, Expression
from composer.errors import Problem, RecipeError
from composer.interfaces import Assembler, Criterion, Evaluator, ImageSource, KernelExtractor, ModelSource, Translator
from composer.recipes.contracts import contract_problems, meaning_problems, picture_notes, without_misfits, zoo_problems
from composer.recipes.located_yaml import Document, Path_, read_document
from composer.recipes.memory import memory_notes, memory_problems
from composer.recipes.overrides import apply
from composer.recipes.recipe import (
    NO_PICTURES,
    Composition,
    Concept,
    Recipe,
    placed_components,
    placed_splits,
    why_no_name,
)
from composer.recipes.slots import SlotReader
from composer.recipes.target import formula_problems, target_notes, target_problems
from composer.registry import Registry, load_registry, nearest

KEYS = (
    "name",
    "seed",
    "root",
    "concepts",
    "target",
    "images",
    "models",
    "extractor",
    "compositions",
    "controls",
    "pick",
    "evaluators",
    "oracle",
)
DEFAULT_EXTRACTOR = "convolutions"
DEFAULT_CONTROLS = ("random", "parents")
DEFAULT_PICK = "agreement"
DEFAULT_EVALUATORS = ("recognition", "clusters")
LARGEST_SEED = 2**63 - 1


def read_recipe(path: Path, overrides: Sequence[str] = (), registry: Registry | None = None) -> Recipe:
    """The recipe in a file, `--set` changes applied; RecipeError with everything that is wrong with it."""
    document = read_document(path)
    apply(document, overrides)
    return _Reader(document, path, registry or load_registry()).read()


def read_data(data: Mapping[str, Any], origin: str, registry: Registry | None = None) -> Recipe:
    """The recipe that plain data says, relative paths starting from the current folder; `origin` names it in errors."""
    return _Reader(Document(dict(data), origin), Path(origin), registry or load_registry()).read()


class _Reader(SlotReader):
    """Walks the document once, collecting problems instead of stopping at the first."""

    def read(self) -> Recipe:
        data = self.document.data
        if data is None:
            raise RecipeError([Problem(str(self.path), "", "the recipe is empty")])
        if not isinstance(data, dict):
            raise RecipeError([Problem(self.document.place(()), "", "a recipe is a mapping of keys to values")])
        self.unknown_keys((), data, KEYS)
        self.root = self.read_root(data)
        name = self.read_name(data)
        seed = self.read_seed(data)
        concepts = self.read_concepts(data)
        names = tuple(concept for concept, _ in concepts)
        formula = self.read_target(data, names)
        images = self.read_images(("images",), data)
        models = [self.read_concept(concept, path, data) for concept, path in concepts]
        extractor = self.slot(KernelExtractor, ("extractor",), data.get("extractor", DEFAULT_EXTRACTOR))
        written = self.read_compositions(data)
        controls = self.read_controls(data, names, written)
        pick = self.slot(Criterion, ("pick",), data.get("pick", DEFAULT_PICK))
        if "pick" in data and "images" not in data:
            self.problem(("pick",), f"a member is picked by what it says of test pictures; {NO_PICTURES}")
        evaluators = self.read_evaluators(data)
        oracle = data.get("oracle", False)
        if not isinstance(oracle, bool):
            self.problem(("oracle",), f"must be true or false, not {oracle!r}")
        if oracle and "images" not in data:
            self.problem(("oracle",), f"an oracle is trained and judged on labelled pictures; {NO_PICTURES}")
        if self.problems or extractor is None or pick is None:
            raise RecipeError(self.problems)
        recipe = Recipe(
            self.path,
            name,
            seed,
            self.root,
            tuple(cast("list[Concept]", models)),
            images,
            extractor,
            tuple(
                Composition(arm.name, arm.assembler, arm.translator, arm.control, arm.parents or names)
                for arm in (*written.values(), *controls)
            ),
            pick,
            evaluators,
            self.resolved(name, seed, data, models, formula, images, extractor, written, pick, evaluators),
            bool(oracle),
            formula,
        )
        if "controls" not in data:
            recipe = without_misfits(recipe)
        self.check(recipe)
        if self.problems:
            raise RecipeError(self.problems)
        notes = (*target_notes(recipe), *memory_notes(recipe), *picture_notes(recipe))
        return replace(recipe, notes=(*recipe.notes, *notes))

    # -- the parts ---------------------------------------------------------------------------

    def read_root(self, data: Mapping[str, Any]) -> Path:
        root = data.get("root", ".")
        if not isinstance(root, str):
            self.problem(("root",), f"must be a folder, not {root!r}")
            return self.path.parent
        folder = self.path.parent.absolute() / Path(root).expanduser()
        if not os.path.isdir(folder):  # noqa: PTH112  # False too for a name that no disk takes
            self.problem(("root",), f"there is no folder {folder}")
        return folder

    def read_name(self, data: Mapping[str, Any]) -> str:
        name = data.get("name", self.path.stem)
        if wrong := why_no_name(name):
            self.problem(("name",), wrong)
            return self.path.stem
        return str(name)

    def read_seed(self, data: Mapping[str, Any]) -> int:
        seed = data.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            self.problem(("seed",), f"must be a whole number from 0 to 2^63 - 1, not {seed!r}")
            return 0
        return seed

    def read_concepts(self, data: Mapping[str, Any]) -> list[tuple[str, Path_]]:
        """Concept names with where each one's own options stand."""
        written = data.get("concepts")
        if isinstance(written, dict):
            named: list[tuple[Any, Path_]] = [(name, ("concepts", name)) for name in written]
        elif isinstance(written, list):
            named = [(name, ("concepts", index)) for index, name in enumerate(written)]
        else:
            self.problem(("concepts",), "must name the concepts, attribute first and object last: [black, cat]")
            return []
        if not 2 <= len(named) <= MOST_CONCEPTS:
            most = f"; {MOST_CONCEPTS} are the most" if len(named) > 2 else ""
            self.problem(("concepts",), f"a composition needs at least two concepts, not {len(named)}{most}")
        seen: set[str] = set()
        for name, path in named:
            if wrong := why_no_name(name):
                self.problem(path, wrong)
            elif name == "none":
                self.problem(path, "must not be 'none', which is what a picture that shows no concept is called")
            elif name in seen:
                self.problem(path, f"{name!r} is named twice")
            seen.add(str(name))
        return [(str(name), path) for name, path in named]

    def read_target(self, data: Mapping[str, Any], names: Sequence[str]) -> Expression | None:
        """The formula that the recipe asks for; None for all concepts at once, or with problems."""
        text = data.get("target")
        if not isinstance(text, str):
            if "target" in data:
                self.problem(("target",), f"must be a formula such as {' and not '.join(names[:2])}, not {text!r}")
            return None
        problems = list(formula_problems(text, names, "the recipe"))
        for message in problems:
            self.problem(("target",), message)
        if problems:
            return None
        formula = Expression.parse(text)
        return None if formula.is_conjunction and set(formula.concepts) == set(names) else formula

    def read_concept(self, name: str, path: Path_, data: Mapping[str, Any]) -> Concept | None:
        """A concept with its own images and models, or those that the recipe gives for all."""
        concepts = data["concepts"]
        own = (concepts[name] or {}) if isinstance(concepts, dict) else {}
        if not isinstance(own, dict):
            self.problem(path, f"must be a mapping with images: and models:, not {own!r}")
            return None
        self.unknown_keys(path, own, ("images", "models", "classes"))
        models_path = (*path, "models") if "models" in own else ("models",)
        own_images = ((*path, "images"), own) if "images" in own else (("images",), data)
        images = self.read_images(*own_images)
        models = self.slot(ModelSource, models_path, own.get("models", data.get("models")), "where models come from")
        if models is None:
            return None
        outputs = None if own.get("classes") is None else self.read_classes((*path, "classes"), own["classes"], models)
        return Concept(name, images, models, outputs)

    def read_images(self, path: Path_, holder: Mapping[str, Any]) -> ImageSource | None:
        """The pictures that a recipe or one of its concepts names; None where it names none, or with problems."""
        return self.slot(ImageSource, path, holder["images"], "which pictures to use") if "images" in holder else None

    def read_classes(self, path: Path_, written: Any, models: ModelSource) -> tuple[int, ...]:
        """Output indices from indices, class names and names of groups of classes."""
        names, groups = models.class_names(), models.class_groups()
        outputs: list[int] = []
        for index, item in enumerate(written if isinstance(written, list) else [written]):
            place = (*path, index) if isinstance(written, list) else path
            if isinstance(item, int) and not isinstance(item, bool):
                if item < 0 or (names is not None and item >= len(names)):
                    most = f" to {len(names) - 1}" if names is not None else " up"
                    self.problem(place, f"{models.name!r} has outputs 0{most}, not {item}")
                outputs.append(item)
            elif item in groups:
                outputs += groups[item]
            elif names is not None and item in names:
                outputs += [output for output, name in enumerate(names) if name == item]
            elif names is None:
                self.problem(place, f"the classes of {models.name!r} have no names; give numbers, not {item!r}")
            else:
                self.problem(place, f"{models.name!r} has no class {item!r}{nearest(str(item), [*groups, *names], 5)}")
        return tuple(dict.fromkeys(outputs))

    def read_compositions(self, data: Mapping[str, Any]) -> dict[str, Composition]:
        written = data.get("compositions")
        if not isinstance(written, dict) or not written:
            self.problem(("compositions",), "must name at least one composition, such as product: {assembler: product}")
            return {}
        compositions: dict[str, Composition] = {}
        for name, parts in written.items():
            path = ("compositions", name)
            if wrong := why_no_name(name):
                self.problem(path, f"a composition's name {wrong}")
            if not isinstance(parts, dict):
                self.problem(path, f"must be a mapping with assembler: and perhaps translator:, not {parts!r}")
                continue
            self.unknown_keys(path, parts, ("translator", "assembler"))
            assembler = self.slot(Assembler, (*path, "assembler"), parts.get("assembler"), "how to make the model")
            translator = None
            if parts.get("translator") is not None:
                translator = self.slot(Translator, (*path, "translator"), parts["translator"])
            if assembler is None:
                continue
            if assembler.needs_kernels and parts.get("translator") is None:
                self.problem(path, f"assembler {assembler.name!r} needs kernels: add a translator")
            if not assembler.needs_kernels and parts.get("translator") is not None:
                self.problem((*path, "translator"), f"assembler {assembler.name!r} takes the parents, no kernels")
            compositions[name] = Composition(name, assembler, translator)
        return compositions

    def read_controls(
        self, data: Mapping[str, Any], names: Sequence[str], compositions: Mapping[str, Composition]
    ) -> list[Composition]:
        """The controls as compositions.

        A translator stands in for the compositions' own, once with each of their assemblers; a component
        that takes one parent is applied to each parent alone.
        """
        written = data.get("controls", list(DEFAULT_CONTROLS) if "images" in data else [])
        if not isinstance(written, list):
            self.problem(("controls",), f"must be a list such as [random, parents], not {written!r}")
            return []
        if written and "images" not in data:
            self.problem(("controls",), f"controls are there to be judged beside; {NO_PICTURES}")
            return []
        assemblers: list[Assembler] = []
        for composition in compositions.values():
            if composition.translator is not None and composition.assembler not in assemblers:
                assemblers.append(composition.assembler)
        arms: list[Composition] = []
        for index, item in enumerate(written):
            path = ("controls", index)
            name = item.get("use") if isinstance(item, dict) else item
            kinds = {component.kind for component in self.registry.named(name)} if isinstance(name, str) else set()
            if "translator" not in kinds and "assembler" not in kinds:
                offered = [c.name for kind in ("translator", "assembler") for c, _ in self.registry.components(kind)]
                self.problem(path, f"no translator or assembler is called {name!r}{nearest(str(name), offered)}")
                continue
            if "assembler" in kinds:
                assembler = self.slot(Assembler, path, item)
                if assembler is not None:
                    arms += self.control_arms(assembler, None, str(name), names)
                continue
            translator = self.slot(Translator, path, item)
            stand_ins = assemblers or [a for a in [self.slot(Assembler, path, "transplant")] if a]
            for assembler in stand_ins if translator is not None else []:
                own = str(name) if len(stand_ins) == 1 else f"{name}.{assembler.name}"
                arms += self.control_arms(assembler, translator, own, names)
        taken = set(compositions)
        for arm in arms:
            if arm.name in taken:
                self.problem(("controls",), f"there are two compositions called {arm.name!r}; rename one")
            taken.add(arm.name)
        return arms

    def control_arms(
        self, assembler: Assembler, translator: Translator | None, name: str, names: Sequence[str]
    ) -> list[Composition]:
        most = (translator or assembler).contract.parents[1]
        if most == 1 and len(names) > 1:
            return [Composition(f"{name}.{n}", assembler, translator, control=True, parents=(n,)) for n in names]
        return [Composition(name, assembler, translator, control=True, parents=tuple(names))]

    def read_evaluators(self, data: Mapping[str, Any]) -> dict[str, Evaluator]:
        """label -> evaluator; in a list the label is the component's name."""
        if "images" not in data:
            if "evaluators" in data:
                self.problem(("evaluators",), f"evaluators judge on test pictures; {NO_PICTURES}")
            return {}
        written = data.get("evaluators", list(DEFAULT_EVALUATORS))
        if isinstance(written, list):
            items: list[tuple[str | None, Path_, Any]] = [
                (None, ("evaluators", index), item) for index, item in enumerate(written)
            ]
        elif isinstance(written, dict):
            items = [(label, ("evaluators", label), item) for label, item in written.items()]
        else:
            self.problem(("evaluators",), f"must be a list such as [recognition, clusters], not {written!r}")
            return {}
        evaluators: dict[str, Evaluator] = {}
        for label, path, item in items:
            evaluator = self.slot(Evaluator, path, item)
            if evaluator is None:
                continue
            label = evaluator.name if label is None else label
            if wrong := why_no_name(label):
                self.problem(path, f"a label {wrong}")
            elif label in evaluators:
                self.problem(
                    path, f"every evaluator needs a label of its own, `evaluators: {{label: ...}}`; met {label!r}"
                )
            evaluators[label] = evaluator
        if not evaluators and not self.problems:
            self.problem(("evaluators",), "must name at least one evaluator")
        return evaluators

    # -- the whole ---------------------------------------------------------------------------

    def check(self, recipe: Recipe) -> None:
        """What single slots cannot show: contracts, and what components say of the concepts."""
        for place, message in (*contract_problems(recipe), *meaning_problems(recipe), *zoo_problems(recipe)):
            self.problem(place, message)
        for message in target_problems(recipe):
            self.problem(("target",), message)
        for place, component in placed_components(recipe):
            for option, message in component.problems(recipe.names):
                self.problem((*place, option) if option else place, message)
        for place, message in () if self.problems else memory_problems(recipe):  # of what cannot run nothing is known
            self.problem(place, message)
        for place, source, split in placed_splits(recipe):
            for option, message in source.split_problems(split):
                self.problem((*place, option) if option else place, message)

    def resolved(
        self,
        name: str,
        seed: int,
        data: Mapping[str, Any],
        concepts: Sequence[Concept | None],
        formula: Expression | None,
        images: ImageSource | None,
        extractor: KernelExtractor,
        compositions: Mapping[str, Composition],
        pick: Criterion,
        evaluators: Mapping[str, Evaluator],
    ) -> dict[str, Any]:
        return {
            "name": name,
            "seed": seed,
            "root": str(self.root),
            "concepts": {
                concept.name: {
                    **({"images": concept.images.options()} if concept.images is not None else {}),
                    "models": concept.models.options(),
                    **({"classes": list(concept.outputs)} if concept.outputs is not None else {}),
                }
                for concept in concepts
                if concept is not None
            },
            **({"target": formula.text} if formula is not None else {}),
            **({"images": images.options()} if images is not None else {}),
            "extractor": extractor.options(),
            "compositions": {
                arm.name: {
                    **({"translator": arm.translator.options()} if arm.translator else {}),
                    "assembler": arm.assembler.options(),
                }
                for arm in compositions.values()
            },
            "controls": list(data.get("controls", DEFAULT_CONTROLS if images is not None else ())),
            **({"pick": pick.options()} if images is not None else {}),
            **({"evaluators": {label: one.options() for label, one in evaluators.items()}} if evaluators else {}),
            "oracle": bool(data.get("oracle", False)),
        }
