"""The whole pipeline from Python: a recipe as arguments in place of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from composer.component import Component
from composer.data.expressions import Expression
from composer.errors import ComposerError
from composer.interfaces import Assembler, Criterion, Evaluator, ImageSource, KernelExtractor, ModelSource, Translator
from composer.recipes.recipe_reader import read_data
from composer.registry import Registry, load_registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from PIL import Image

    from composer.models.loading import LoadedModel
    from composer.results.run_folder import SavedRun

Plain = str | Mapping[str, Any]
"""What a recipe's slot holds: `NAME`, or a mapping with `use` and options beside it."""


@dataclass(frozen=True)
class Composed:
    """What a run left: the content of `report.json`, and the folder with everything else.

    A notebook shows its table.
    """

    report: Mapping[str, Any]
    folder: Path
    store: Path | None = None
    """Where its stages are kept; None for the usual place."""

    @property
    def scores(self) -> DataFrame:
        """Every score of every member, a row each: composition, control, score, member, value, picked, ...

        ComposerError where pandas is not installed (the extra `notebook`), or the folder holds another run by now.
        """
        from composer.results.notebook import as_frame  # imports matplotlib
        from composer.results.run_folder import typed

        return as_frame([typed(row) for row in self._saved().scores()])

    @property
    def pictures(self) -> Image.Image:
        """A sheet of the pictures that it trained and tested on, a labelled row for each kind.

        ComposerError where it has none, or the folder holds another run by now.
        """
        self._saved()
        from composer.pipeline import load_pictures  # imports torch
        from composer.recipes.recipe_reader import read_recipe
        from composer.results.contact_sheet import contact_sheet

        return contact_sheet(load_pictures(read_recipe(self.folder / "recipe.yaml"), store=self.store))

    def plot(self) -> Figure:
        """The main score of each composition with its interval, controls in grey; ComposerError where none is there."""
        from composer.results.notebook import plotted  # imports matplotlib

        return plotted(self.report)

    def __repr__(self) -> str:
        made = ", ".join(name for name, arm in self.report["compositions"].items() if not arm["control"])
        return f"<{self.report['name']}: {made}; in {self.folder}>"

    def _repr_html_(self) -> str:
        from composer.results.notebook import as_html  # imports matplotlib

        return as_html(self.report)

    def _saved(self) -> SavedRun:
        """What lies in the folder; ComposerError where that is another run by now."""
        from composer.results.run_folder import read_run

        saved = read_run(self.folder)
        if saved.report != self.report:
            raise ComposerError(
                f"{self.folder}: holds another run by now, of another recipe or seed; run this one again"
            )
        return saved

    def load(
        self,
        composition: str | None = None,
        member: int | str | None = None,
        target: str | Expression | None = None,
    ) -> LoadedModel:
        """One member of a composition, as `composer.load` gives it."""
        from composer.models.loading import load  # imports torch

        return load(self.folder, composition, member, target)


def compose(
    concepts: Sequence[str] | Mapping[str, Mapping[str, Any] | None],
    *,
    target: str | Expression | None = None,
    images: ImageSource | Plain | None = None,
    models: ModelSource | Plain | None = None,
    compositions: Mapping[str, Mapping[str, Assembler | Translator | Plain]],
    extractor: KernelExtractor | Plain | None = None,
    controls: Sequence[Translator | Assembler | Plain] | None = None,
    pick: Criterion | Plain | None = None,
    evaluators: Sequence[Evaluator | Plain] | Mapping[str, Evaluator | Plain] | None = None,
    oracle: bool = False,
    name: str | None = None,
    seed: int = 0,
    root: str | Path = ".",
    output: str | Path | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    fresh: bool = False,
    progress: bool = False,
    wait: bool = True,
    store: str | Path | None = None,
    workers: int = 1,
    executor: str | None = None,
) -> Composed:
    """Runs a recipe given as arguments: everything that `composer run` does, with the same store and the same folder.

    Arguments are a recipe's keys. Every slot takes a component (`Drawings(size=32)`) or what YAML would hold
    (`"drawings"`, `{"use": "drawings", "size": 32}`); the two can be mixed. What is left out has a recipe's default.

    target: a formula of the concepts, `"cat and not black"` or an `Expression`; all of them at once by default.
    oracle: also train a network on labelled pictures of the target, to measure composition gain.
    name: default is the concepts joined by `_`. root: where relative paths of components start, the current folder.
    output: folder for all results, default `runs/<name>`. progress: shows the stages on standard error.
    wait: for another run that works in the folder; without it that is a ComposerError.
    store: folder that keeps stages for all runs, default COMPOSER_STORE or `composer` in the user's cache folder.
    workers: processes that work stages at once, each with its share of the cores; a script that asks for more than one
    has its work under `if __name__ == "__main__":`, as for any new process in Python.
    executor: who works them, `NAME` or `NAME:ADDRESS`, as `ray` for a cluster of Ray's; by default processes here.
    RecipeError with everything that is wrong with the arguments, before any work; ComposerError for what goes wrong
    in a run and can be mended.
    """
    from composer.progress import watching  # rich, only where something is shown

    registry = load_registry()
    given = {
        "concepts": concepts,
        "target": target.text if isinstance(target, Expression) else target,
        "images": images,
        "models": models,
        "extractor": extractor,
        "compositions": compositions,
        "controls": controls,
        "pick": pick,
        "evaluators": evaluators,
    }
    data = {key: plain(value, registry, key) for key, value in given.items() if value is not None}
    names = [str(concept) for concept in concepts]
    recipe = read_data(
        {"name": name or "_".join(names), "seed": seed, "root": str(root), "oracle": oracle, **data},
        "compose()",
        registry,
    )
    folder = Path(output) if output is not None else Path("runs") / recipe.name
    with watching(registry) if progress else nullcontext():
        from composer.pipeline import run_recipe  # imports torch, which the check above does without
        from composer.running.parallel import Parallel

        at = None if store is None else Path(store)
        report = run_recipe(recipe, folder, device, fresh, registry, wait, at, Parallel(workers, executor))
    return Composed(report, folder, None if store is None else Path(store))


def plain(value: Any, registry: Registry, path: str = "") -> Any:
    """`value` as a recipe would hold it: components become their options, `use` first.

    path: where it stands, for error messages. ComposerError for a component that no installed plugin offers.
    """
    if isinstance(value, Component):
        _require_offered(type(value), registry, path)
        return value.options()
    if isinstance(value, type) and issubclass(value, Component):
        raise ComposerError(f"compose(): {path}: {value.__name__} is a class; write {value.__name__}(...)")
    if isinstance(value, Mapping):
        return {str(key): plain(item, registry, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, registry, f"{path}.{index}") for index, item in enumerate(value)]
    return str(value) if isinstance(value, Path) else value


def _require_offered(component: type[Component], registry: Registry, path: str) -> None:
    """The cache and saved models know a component by its name, so that name must lead to the same class."""
    if not any(offered is component for offered, _ in registry.components(component.kind)):
        raise ComposerError(
            f"compose(): {path}: {component.__module__}.{component.__name__} is offered by no installed plugin; "
            f"give its module an entry point of group 'composer' and install it"
        )
