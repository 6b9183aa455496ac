"""Whether a run's folder still holds what the run wrote; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from composer.data.files import read_part
from composer.data.records import RunRecord
from composer.errors import ComposerError
from composer.recipes.recipe import placed_components, placed_splits
from composer.results.comparing import changed_keys, flatten, short
from composer.results.run_folder import require_run
from composer.running.locking import reading
from composer.running.sealing import FILES, RUN, STAGE, file_digest, is_sealed, own_files, read_sealed
from composer.running.versions import version_now

Kind = Literal["changed", "missing", "added", "input", "recipe", "version", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the run left it. Only what was `touched` makes a run not whole."""

    kind: Kind
    what: str
    said: str
    touched: bool = True


@dataclass(frozen=True)
class Verification:
    """What was compared, and all that was found."""

    folder: Path
    files: int
    inputs: int
    stages: int
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        return not any(finding.touched for finding in self.findings)

    def data(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "folder": str(self.folder),
            "whole": self.whole,
            "checked": {"files": self.files, "inputs": self.inputs, "stages": self.stages},
            "findings": [asdict(finding) for finding in self.findings],
        }


def verify(folder: Path) -> Verification:
    """Compares a run with the hashes that it wrote; ComposerError where there is no finished run."""
    require_run(folder)
    try:
        with reading(folder):
            return _verify(folder)
    except OSError as error:
        where = error.filename or folder
        raise ComposerError(f"{where}: cannot be compared: {error.strerror or error}") from error


def _verify(folder: Path) -> Verification:
    run = read_part(folder / RUN, RunRecord)
    if run.get("seal") is None:
        raise ComposerError(
            f"{folder}: {RUN} has no hashes: the run was stopped while it wrote, or an older composer made it; "
            "run its recipe again, which computes nothing that is kept"
        )
    store = Path(run.get("store") or folder)
    findings = [
        *_record(run),
        *_recipe(folder, run),
        *_files(folder, run["files"]),
        *_stages(store, run["stages_kept"]),
        *_inputs(folder, run["inputs"]),
        *_versions(run["versions"]),
    ]
    kept = {Path(name).parent for name in run["stages_kept"] if (store / name).exists()}
    return Verification(folder, len(run["files"]), len(run["inputs"]), len(kept), tuple(findings))


def _record(run: Mapping[str, Any]) -> list[Finding]:
    if is_sealed(run):
        return []
    return [Finding("changed", RUN, "its content is not what the run wrote: hashes below may be forged too")]


def _recipe(folder: Path, run: Mapping[str, Any]) -> list[Finding]:
    """Which keys of recipe.yaml were edited, and whether the recipe that was run was."""
    found = []
    file = folder / "recipe.yaml"
    if file.exists() and file_digest(file) != run["files"].get(file.name):
        try:
            now = flatten(yaml.safe_load(file.read_text(encoding="utf-8")))
        except (UnicodeDecodeError, RecursionError, yaml.YAMLError):
            now = {}
        then = flatten(run["document"])
        keys = changed_keys(then, now)
        said = ", ".join(f"{key} is {short(now.get(key))}, was {short(then.get(key))}" for key in keys[:5])
        more = f", and {len(keys) - 5} more" if len(keys) > 5 else ""
        found.append(Finding("recipe", file.name, f"edited: {said}{more}" if said else "edited, no option changed"))
    if run["recipe_file"] is not None:
        source, digest = Path(run["recipe_file"][0]), run["recipe_file"][1]
        if not source.exists():
            found.append(Finding("unknown", str(source), "the recipe that was run is not here", touched=False))
        elif not source.is_file() or file_digest(source) != digest:
            found.append(Finding("recipe", str(source), "the recipe that was run was edited since"))
    return found


def _files(folder: Path, then: Mapping[str, str]) -> list[Finding]:
    found = []
    for name, digest in then.items():
        if not (folder / name).is_file():
            found.append(Finding("missing", name, "the run wrote it"))
        elif name != "recipe.yaml" and file_digest(folder / name) != digest:
            found.append(Finding("changed", name, "its content is not what the run wrote"))
    added = [file.relative_to(folder).as_posix() for file in own_files(folder)]
    return [*found, *(Finding("added", name, "the run did not write it") for name in added if name not in then)]


def _stages(store: Path, then: Mapping[str, str]) -> list[Finding]:
    """A stage that was pruned is no fault, nor one that another run computed again; one that was changed is."""
    found = []
    for name, digest in then.items():
        file = store / name
        now = file_digest(file) if file.is_file() else digest
        if now == digest:
            continue
        if (read_sealed(file.parent / STAGE) or {}).get(FILES, {}).get(file.name) == now:
            said = "another run computed it again since, with another result"
            found.append(Finding("unknown", str(file), said, touched=False))
        else:
            said = "not what the run kept; delete its folder, and the next run computes it again"
            found.append(Finding("changed", str(file), said))
    return found


def _inputs(folder: Path, then: Mapping[str, str]) -> list[Finding]:
    """Inputs whose folder is gone are not held against a run that was sent to somebody."""
    found = []
    away = [name for name in then if not Path(name).parent.is_dir()]
    if away:
        count = f"{len(away)} of {len(then)} inputs lie in folders that are not here"
        found.append(Finding("unknown", str(Path(away[0]).parent), f"{count}; they were not compared", touched=False))
    for name, digest in then.items():
        if not Path(name).parent.is_dir():
            continue
        if not Path(name).is_file():
            found.append(Finding("input", name, "gone since the run read it"))
        elif file_digest(Path(name)) != digest:
            found.append(Finding("input", name, "changed since the run read it"))
    if then and len(away) < len(then):
        found += _new_inputs(folder, then)
    return found


def _new_inputs(folder: Path, then: Mapping[str, str]) -> list[Finding]:
    """Files that the same recipe would read now, beside those that it read then."""
    from composer.recipes.recipe_reader import read_recipe  # loads every plugin

    try:
        recipe = read_recipe(folder / "recipe.yaml")
    except ComposerError as error:
        said = f"what it would read now cannot be told: {str(error).splitlines()[0]}"
        return [Finding("unknown", "recipe.yaml", said, touched=False)]
    now = {str(file.absolute()) for _, source, split in placed_splits(recipe) for file in source.split_files(split)}
    for _, component in placed_components(recipe):
        if component.kind != "images":
            now |= {str(file.absolute()) for file in component.files()}
    folders = {Path(name).parent for name in then}
    new = sorted(name for name in now - set(then) if Path(name).parent in folders)
    return [Finding("input", name, "added since the run; it would be read now") for name in new]


def _versions(then: Mapping[str, str]) -> list[Finding]:
    """Another version changes no result that is there; it may change those of a repetition."""
    return [
        Finding("version", name, f"{now} now, {version} then", touched=False)
        for name, version in then.items()
        if (now := version_now(name)) != version
    ]
