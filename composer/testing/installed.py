"""All checks on all components of an installed plugin, for pytest and for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from composer.component import Component
from composer.errors import ComposerError
from composer.interfaces import ImageSource, Split
from composer.recipes.located_yaml import parse
from composer.recipes.slots import read_component
from composer.recipes.value_kinds import type_text
from composer.registry import Plugin, Registry, nearest
from composer.testing.every_kind import OF_THE_CLASS
from composer.testing.examples import CONCEPTS
from composer.testing.kinds import CHECKS, make_trial
from composer.testing.trial import Check, ContractError, NotCheckedError, Trial, title

Result = Literal["passed", "failed", "not checked"]
Settings = Mapping[tuple[str, str], Any]
"""(component, option) -> value, in place of the defaults."""


@dataclass(frozen=True)
class Outcome:
    """What one check found; `message` says what was met, or why the check could not be made."""

    check: Check
    result: Result
    message: str = ""


@dataclass(frozen=True)
class Subject:
    """A component of a plugin, to be checked with its default options or with those that were set."""

    component: type[Component]
    plugin: Plugin
    settings: Settings
    concepts: tuple[str, ...]

    @property
    def title(self) -> str:
        return title(self.component)

    @property
    def checks(self) -> tuple[Check, ...]:
        return CHECKS[self.component.kind]

    @cached_property
    def trial(self) -> Trial:
        """A trial on the tiny examples; NotCheckedError where the component needs what cannot be made up."""
        options = {option: self.settings[name, option] for name, option in self.settings if self._has(name, option)}
        needed = [
            f"{option} ({field.description or type_text(field.annotation)})"
            for option, field in self.component.model_fields.items()
            if field.is_required() and option not in options
        ]
        if needed:
            raise self._needs("; ".join(needed))
        component = read_component(self.component, options)
        problems = [*component.problems(self.concepts)]
        inputs: dict[str, Any] = {}
        if isinstance(component, ImageSource):
            inputs["concepts"] = self.concepts
            problems += component.split_problems(Split(self.concepts))
            training = [item for one in self.concepts for item in component.split_problems(Split(self.concepts, one))]
            inputs["test_only"] = bool(training) and not problems and all(not option for option, _ in training)
            problems += [] if inputs["test_only"] else training
        if component.kind == "models":
            inputs["concept"] = self.concepts[0]
        if problems:
            option, message = problems[0]
            raise self._needs(f"{option}: {message}" if option else message)
        return make_trial(component, **inputs)

    def outcomes(self) -> Iterator[Outcome]:
        """Every check of the component's kind, in turn."""
        return map(self.outcome, self.checks)

    def outcome(self, check: Check) -> Outcome:
        """What a check finds. Where the component cannot do its work at all, the checks of its work are not made."""
        try:
            if check not in OF_THE_CLASS and check.name != "works":
                _require_work(self.trial)
            check(self.trial)
        except (NotCheckedError, ComposerError) as error:
            return Outcome(check, "not checked", str(error))
        except ContractError as error:
            return Outcome(check, "failed", str(error))
        return Outcome(check, "passed")

    def _has(self, name: str, option: str) -> bool:
        return name == self.component.name and option in self.component.model_fields

    def _needs(self, what: str) -> NotCheckedError:
        return NotCheckedError(f"{self.title}: needs {what}")


def _require_work(trial: Trial) -> None:
    try:
        trial.value()
    except NotCheckedError:
        raise
    except ContractError as error:
        raise NotCheckedError(f"{trial.title}: it does not work: {error}") from None


def subjects(
    name: str, registry: Registry, settings: Settings | None = None, concepts: Sequence[str] = CONCEPTS[:2]
) -> list[Subject]:
    """The components of the plugin, the distribution, or the component called `name`, in that order of preference.

    ComposerError with the nearest names where there is none, or with the reason where the plugin is broken.
    """
    plugins = [plugin for plugin in registry.plugins if name in (plugin.name, plugin.title)]
    plugins = plugins or [plugin for plugin in registry.plugins if plugin.distribution == name]
    offers = [(component, plugin) for plugin in plugins for component in plugin.components]
    if not plugins:
        offers = [(component, plugin) for component, plugin in registry.components() if component.name == name]
    broken = [plugin for plugin in plugins if plugin.error]
    if broken:
        reasons = "; ".join(f"plugin {plugin.title} is broken: {plugin.error}" for plugin in broken)
        raise ComposerError(f"{reasons}; mend it, then check it again")
    if not offers and plugins:
        raise ComposerError(f"plugin {plugins[0].title} offers no components; there is nothing to check")
    if not offers:
        known = {component.name for component, _ in registry.components()}
        known |= {known for plugin in registry.plugins for known in (plugin.name, plugin.distribution)}
        raise ComposerError(f"no plugin, distribution or component is called {name!r}{nearest(name, sorted(known), 3)}")
    made = settings or {}
    _require_options(made, [component for component, _ in offers])
    return [Subject(component, plugin, made, tuple(concepts)) for component, plugin in offers]


def read_settings(written: Sequence[str], option: str) -> Settings:
    """`cyclegan.epochs=1` and others as data; ComposerError that begins with `option` where one cannot be read."""
    settings: dict[tuple[str, str], Any] = {}
    for item in written:
        path, equals, text = item.partition("=")
        component, dot, name = path.partition(".")
        if not (equals and dot and component and name):
            raise ComposerError(f"{option} {item}: must be COMPONENT.OPTION=VALUE, cyclegan.epochs=1 say")
        settings[component, name] = parse(text, f"{option} {item}").data
    return settings


def read_concepts(written: str, option: str) -> tuple[str, ...]:
    """`black,cat` as two concepts."""
    concepts = tuple(part.strip() for part in written.split(","))
    if len(set(concepts)) < 2 or not all(concepts):
        raise ComposerError(f"{option} {written}: must be two or more different concepts, black,cat say")
    return concepts


def _require_options(settings: Settings, components: Sequence[type[Component]]) -> None:
    for name, option in settings:
        named = [component for component in components if component.name == name]
        if not named:
            names = sorted({component.name for component in components})
            raise ComposerError(f"{name}.{option}: {name!r} is not among the components to check{nearest(name, names)}")
        options = sorted({known for component in named for known in component.model_fields})
        if option not in options:
            raise ComposerError(f"{name}.{option}: {name!r} has no such option{nearest(option, options)}")
