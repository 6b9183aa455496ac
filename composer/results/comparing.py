"""Runs side by side: one score of every composition, and what differs in recipes, seeds and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.data.records import target_of
from composer.data.score_info import main_score, read_declared
from composer.errors import ComposerError
from composer.registry import nearest
from composer.results.run_folder import SavedRun, read_runs

ABSENT = None
"""What a run has for a key that is not in its recipe."""
LONGEST = 40
"""Letters of a recipe's value in a sentence."""


def compare(folders: Sequence[Path], score: str | None = None) -> dict[str, Any]:
    """The comparison that `composer compare --json` prints; docs/report.md describes it.

    score: default is the main score that the runs' evaluators declare, or the first that there is. ComposerError names
    every run that is not there, not finished or damaged, and a score that no run has.
    """
    runs = read_runs(folders)
    chosen = choose_score(runs, score)
    titles = run_titles(runs)
    return {
        "score": chosen,
        "runs": {title: _facts(run) for title, run in zip(titles, runs, strict=True)},
        "compositions": {
            name: {
                title: _shown(run, name, chosen)
                for title, run in zip(titles, runs, strict=True)
                if name in run.report["compositions"]
            }
            for name in _ordered(runs)
        },
        "differences": differences(dict(zip(titles, runs, strict=True))),
    }


def choose_score(runs: Sequence[SavedRun], score: str | None) -> str:
    """The score to compare by; ComposerError with the nearest where no run has it."""
    known = list(dict.fromkeys(name for run in runs for arm in _arms(run).values() for name in arm["scores"]))
    if score is None:
        if not known:
            raise ComposerError(" ".join(["these runs have no scores to compare.", *_not_judged(runs)]))
        declared = {name: info for run in runs for name, info in read_declared(run.report).items()}
        return str(main_score(declared, known))
    if score not in known:
        raise ComposerError(f"--score {score}: none of these runs has it{nearest(score, known)}")
    return score


def _not_judged(runs: Sequence[SavedRun]) -> list[str]:
    return list(dict.fromkeys(said for run in runs if (said := run.report.get("not_judged"))))


def run_titles(runs: Sequence[SavedRun]) -> list[str]:
    """The names of the runs' folders, or their paths where two are called the same."""
    names = [run.folder.absolute().name for run in runs]
    paths = [str(run.folder) for run in runs]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ComposerError(f"{twice}: is named twice")
    return names if len(set(names)) == len(names) else paths


def differences(runs: Mapping[str, SavedRun]) -> dict[str, dict[str, Any]]:
    """`recipe.models.members`, `seed`, `versions.torch` -> run -> value, for all keys in which the runs differ."""
    flat = {title: _comparable(run) for title, run in runs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    table = {key: {title: values.get(key, ABSENT) for title, values in flat.items()} for key in keys}
    return {key: row for key, row in table.items() if any(value != next(iter(row.values())) for value in row.values())}


def flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    """`models.architecture.size` -> 32; a list of plain values stays one value, an empty mapping is one."""
    if isinstance(data, Mapping) and data:
        items: list[tuple[Any, Any]] = list(data.items())
    elif isinstance(data, list) and any(isinstance(item, Mapping) for item in data):
        items = list(enumerate(data))
    else:
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def changed_keys(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what two flattened recipes differ."""
    return [key for key in dict.fromkeys([*then, *now]) if then.get(key) != now.get(key)]


def short(value: Any) -> str:
    """A recipe's value in a sentence, cut where it is long."""
    text = "absent" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def tidy_rows(folders: Sequence[Path]) -> list[dict[str, str]]:
    """A row per run, composition, score and member, for `--csv`; ComposerError as `compare` raises it."""
    runs = read_runs(folders)
    problems, rows = [], []
    for title, run in zip(run_titles(runs), runs, strict=True):
        try:
            rows += [{"run": title, **row} for row in run.scores()]
        except ComposerError as error:
            problems.append(str(error))
    if problems:
        raise ComposerError("\n".join(problems))
    return rows


def _arms(run: SavedRun) -> Mapping[str, Any]:
    arms: Mapping[str, Any] = run.report["compositions"]
    return arms


def _ordered(runs: Sequence[SavedRun]) -> list[str]:
    """All compositions, and after them what is a control in every run that has it."""
    names = list(dict.fromkeys(name for run in runs for name in _arms(run)))
    made = [name for name in names if any(name in _arms(run) and not _arms(run)[name]["control"] for run in runs)]
    return [*made, *(name for name in names if name not in made)]


def _facts(run: SavedRun) -> dict[str, Any]:
    return {
        "folder": str(run.folder),
        "name": run.report["name"],
        "target": target_of(run.report),
        "seed": run.report["seed"],
        "finished": run.run["finished"],
    }


def _shown(run: SavedRun, composition: str, score: str) -> dict[str, Any]:
    arm = _arms(run)[composition]
    labels = {"target_labels": arm["labels"]} if arm.get("labels") else {}
    return {"control": arm["control"], "members": arm["members"], **labels, **arm["scores"].get(score, {})}


def _comparable(run: SavedRun) -> dict[str, Any]:
    """All in which runs can differ, flattened. A seed counts once, the name of a run not at all."""
    document = {key: value for key, value in run.document.items() if key not in ("name", "seed", "root")}
    return {
        "target": target_of(run.report),
        "seed": run.report["seed"],
        "device": run.run.get("device"),
        **flatten(document, "recipe"),
        **flatten(run.run["versions"], "versions"),
    }
