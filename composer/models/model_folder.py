"""A composition's folder on disk: `config.json` and `model.safetensors`, all members stacked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.curve import Curve
from composer.data.dependence import Dependence
from composer.data.expressions import Expression, cell_name
from composer.data.files import read_json, read_part
from composer.data.population import Population
from composer.data.records import JudgedModels
from composer.data.score_info import best_of, main_score, read_declared, title_of
from composer.errors import ComposerError
from composer.models.folder_files import CONFIG, MODELS, REPORT, WEIGHTS
from composer.registry import load_registry, nearest
from composer.running.locking import reading
from composer.running.storage import formula, unpack, weights_of_part
from composer.version import __version__


@dataclass(frozen=True)
class ModelFolder:
    """One composition's folder, its config read and the weights not yet."""

    path: Path
    config: Mapping[str, Any]
    why: str = ""
    """Why this composition of a run was taken, where nobody said which."""

    @property
    def name(self) -> str:
        """The composition's name."""
        return str(self.config.get("composition", self.path.name))

    @property
    def target(self) -> str:
        """What it was composed for: `black+cat`, or a formula."""
        return str(self.config.get("target") or self.expression or cell_name(part["concept"] for part in self.parts))

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(self.config["members"])

    @property
    def parts(self) -> Sequence[Mapping[str, Any]]:
        parts: Sequence[Mapping[str, Any]] = self.config["parts"]
        return parts

    @property
    def union(self) -> Mapping[str, Any] | None:
        """How its networks are read whose classes are united; None for any other model."""
        found: Mapping[str, Any] | None = self.config.get("union")
        return found

    @property
    def has_log_odds(self) -> bool:
        return all(part["outputs"] for part in self.parts)

    def member(self, asked: int | str | None) -> int:
        """Index of the member asked for; without one, of that picked without labels, and where nothing was picked 0."""
        names = self.members
        if asked is None:
            return self._picked()
        if isinstance(asked, str) and asked in names:
            return names.index(asked)
        if isinstance(asked, str):
            raise ComposerError(f"{self.path}: no member is called {asked!r}{nearest(asked, names)}")
        if not 0 <= asked < len(names):
            raise ComposerError(f"{self.path}: has members 0 to {len(names) - 1}, not {asked}")
        return asked

    def read(self, member: int) -> ComposedModel:
        """One member; only its own weights are read. ComposerError where they are damaged or no plugin knows them."""
        try:
            parts = tuple(self._part(index, member) for index in range(len(self.parts)))
        except (OSError, SafetensorError) as error:
            raise self._unreadable(error) from error
        return ComposedModel(parts, (self.members[member],), self.expression, dependence=self.dependence)

    def population(self, part: int = 0) -> Population:
        """One of its networks with all members; ComposerError as for `read`."""
        try:
            return self._part(part, None)
        except (OSError, SafetensorError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> ComposerError:
        return ComposerError(f"{self.path / WEIGHTS}: cannot be read ({error}); copy it again")

    def beside(self) -> list[str]:
        """Names of the other compositions of the same run that give log-odds."""
        if self.path.absolute().parent.name != MODELS:
            return []
        run = self.path.absolute().parent.parent
        return [other.name for other in _compositions(run) if other.has_log_odds and other.name != self.name]

    def _picked(self) -> int:
        picked = self.config.get("picked_member")
        if picked is None:
            report = _report(self.path.absolute().parent.parent)
            picked = picked_member(report, self.name)[0] if self.name in report.get("compositions", {}) else 0
        return int(picked)

    @property
    def expression(self) -> Expression | None:
        """As much of its target as it knows; None for all of its concepts. ComposerError where it is no formula."""
        try:
            target = formula(self.config)
        except (TypeError, ValueError) as error:
            raise ComposerError(f"{self.path / CONFIG}: expression: {error}") from None
        known = [part["concept"] for part in self.parts] if self.union is None else self.union["classes"]
        unknown = [] if target is None else [concept for concept in target.concepts if concept not in known]
        if unknown and len(known) > 1:  # of a single network the outputs that count are stored
            raise ComposerError(f"{self.path / CONFIG}: expression: no network knows {', '.join(map(repr, unknown))}")
        return target

    def _curves(self, part: int) -> list[Any]:
        """What the log-odds of one part's members are sent through; ComposerError where that is damaged."""
        facts = self.parts[part]
        try:
            read = Curve.of_facts(facts["calibration"])
        except (KeyError, TypeError, ValueError) as error:
            raise ComposerError(f"{self.path / CONFIG}: calibration of {facts['concept']!r}: {error!r}") from None
        if len(read) != len(facts["members"]):
            met = f"{len(read)} curves for {len(facts['members'])} members"
            raise ComposerError(f"{self.path / CONFIG}: calibration of {facts['concept']!r}: {met}")
        return list(facts["calibration"])

    @property
    def dependence(self) -> Dependence:
        """How its concepts are taken to hang together. ComposerError where the file does not say it rightly."""
        try:
            return Dependence.of_facts(self.config)
        except (TypeError, ValueError) as error:
            raise ComposerError(f"{self.path / CONFIG}: dependence: {error}") from None

    def _part(self, index: int, member: int | None) -> Population:
        """One network with one of the members, or with all; one that serves all members is read for each."""
        facts = self.parts[index]
        one = 0 if len(facts["members"]) == 1 else member
        own = slice(None) if one is None else slice(one, one + 1)
        with safe_open(self.path / WEIGHTS, framework="pt") as file:
            weights: dict[str, Tensor] = {
                name: file.get_slice(stored)[own]
                for stored, name in weights_of_part(self.parts, index, file.keys()).items()
            }
        facts = {**facts, "type": "Population", "members": facts["members"][own]}
        if "calibration" in facts:
            facts["calibration"] = self._curves(index)[own]
        try:
            population = unpack(facts, weights)
        except ComposerError as error:
            plugin = self.config.get("plugins", {}).get(facts["architecture"]["use"])
            offered = f"; it was made with {plugin}" if plugin else ""
            raise ComposerError(f"{self.path / CONFIG}: {error}{offered}; install the plugin that offers it") from error
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
            name = facts["architecture"]["use"]
            raise ComposerError(
                f"{self.path / CONFIG}: architecture {name!r} as installed does not know these options ({wrong})"
            ) from error
        assert isinstance(population, Population)
        return population


@contextmanager
def open_folder(path: Path, composition: str | None = None) -> Iterator[ModelFolder]:
    """The composition that `find_model` finds, which no run changes meanwhile."""
    folder = path.absolute()
    with reading(folder.parent.parent if folder.parent.name == MODELS else folder):
        yield find_model(path, composition)


@contextmanager
def open_model(path: Path, composition: str | None = None) -> Iterator[Path]:
    """The folder of one composition of a run, or of a model's own, which no run changes meanwhile.

    composition: left out, the one that `composer.load` takes. ComposerError where there is none.
    """
    with open_folder(path, composition) as home:
        yield home.path


def find_model(path: Path, composition: str | None = None) -> ModelFolder:
    """The composition that a run's folder or a composition's own folder holds.

    Without a name it is the one that is best in the report's main score, chosen by test labels, controls left aside.
    """
    if (path / CONFIG).is_file():
        home = read_folder(path)
        if composition not in (None, home.name):
            raise ComposerError(
                f"{path}: is the folder of composition {home.name!r}, not {composition!r}; give the run's folder"
            )
        return home
    if not path.is_dir():
        met = "is a file" if path.exists() else "there is no such folder"
        raise ComposerError(f"{path}: {met}; give a run's folder, or one of the folders in its {MODELS}/")
    there = {home.name: home for home in _compositions(path)}
    if not there:
        raise ComposerError(
            f"{path}: holds no {CONFIG} and no {MODELS}/*/{CONFIG}; finish the run first (composer run)"
        )
    if composition is None:
        return _chosen(path, there)
    if composition not in there:
        raise ComposerError(f"{path}: no composition is called {composition!r}{nearest(composition, list(there))}")
    return there[composition]


def read_folder(path: Path) -> ModelFolder:
    """A composition's folder; ComposerError where its config is no composed model's."""
    file = path / CONFIG
    config = _json(file)
    if not isinstance(config, dict) or config.get("type") != "ComposedModel":
        raise ComposerError(f"{file}: describes no model that composer made")
    try:
        for part in config["parts"]:
            _ = part["concept"], part["architecture"]["use"], part["members"][0], part["preprocessing"], part["outputs"]
        _ = config["members"][0]
    except (KeyError, TypeError, IndexError) as error:
        raise ComposerError(f"{file}: is damaged or of another version ({error!r})") from error
    return ModelFolder(path, config)


def about(
    architectures: Sequence[str], composition: str, concepts: Sequence[str], target: str, picked: tuple[int, str]
) -> dict[str, Any]:
    """What config.json says beside the model itself, for people and other programs.

    picked: the member that people get, and what picked it. ComposerError where no installed plugin offers one of the
    architectures: whoever loads the model needs it.
    """
    return {
        "model_type": "composer",
        "library_name": "composer",
        "composer_version": __version__,
        "architectures": list(dict.fromkeys(architectures)),
        "plugins": {name: _offered_by(name) for name in dict.fromkeys(architectures)},
        "composition": composition,
        "concepts": list(concepts),
        "target": target,
        "id2label": {"0": f"not {target}", "1": target},
        "picked_member": picked[0],
        "picked_by": picked[1],
    }


def _offered_by(architecture: str) -> str:
    for component, plugin in load_registry().components("architecture"):
        if component.name == architecture:
            return f"{plugin.distribution} {plugin.version} (plugin {plugin.name})"
    raise ComposerError(
        f"no installed plugin offers the architecture {architecture!r}, and whoever loads the model needs one"
    )


def picked_member(report: Mapping[str, Any], composition: str) -> tuple[int, str]:
    """(index, by what) of the member that a run picked without labels."""
    arm: Mapping[str, Any] = report["compositions"][composition]
    if "picked_member" in arm:
        return int(arm["picked_member"]), str(arm["picked_by"])
    scores = arm["scores"]  # an older composer picked one for each score, and loaded that of the AUC
    for name in sorted(scores, key=lambda name: not name.endswith(".auc")):
        return int(scores[name]["picked_member"]), str(scores[name]["picked_by"])
    return 0, ""


def _chosen(run: Path, there: Mapping[str, ModelFolder]) -> ModelFolder:
    said = _report(run).get("compositions", {})
    made = [home for name, home in there.items() if not said.get(name, {}).get("control", False)]
    able = [home for home in made if home.has_log_odds] or made
    if len(able) == 1:
        return able[0]
    declared = read_declared(_report(run))
    scores = {home.name: said.get(home.name, {}).get("scores", {}) for home in able}
    main = main_score(declared, (name for own in scores.values() for name in own))
    judged = {name: own[main] for name, own in scores.items() if main in own}
    if main is None or not judged:
        names = ", ".join(there)
        raise ComposerError(f"{run}: holds several compositions ({names}); say which, with --composition")
    values = {name: float(score["picked"]) for name, score in judged.items()}
    higher = next(iter(judged.values()))["higher_is_better"]
    best = best_of(values, higher)
    why = (
        f"{best}: of {len(able)} compositions the one with the {'highest' if higher else 'lowest'} "
        f"{title_of(declared, main)} on the test pictures, {values[best]:.3f}, chosen by their labels"
    )
    return ModelFolder(there[best].path, there[best].config, why)


def _compositions(run: Path) -> Iterator[ModelFolder]:
    for config in sorted((run / MODELS).glob(f"*/{CONFIG}")):
        yield read_folder(config.parent)


def _report(run: Path) -> dict[str, Any]:
    file = run / REPORT
    return read_part(file, JudgedModels) if file.is_file() else {}


def _json(file: Path) -> Any:
    try:
        return read_json(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ComposerError(f"{file}: is no JSON ({error})") from error
    except OSError as error:
        raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
