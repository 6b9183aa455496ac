"""What was measured of each target in a file of its own, so that a benchmark that was broken off goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from clustering_trials import Floats, Trials


@dataclass(frozen=True)
class Measured:
    """What one target gave: trials by composition and method, indices by composition, method and scheme, and names.

    naming: accuracy of K-means with clusters named by labels, by the parents and by chance, by composition.
    """

    name: str
    trials: Mapping[str, Mapping[str, Trials]]
    schemes: Mapping[str, Mapping[str, Floats]]
    naming: Mapping[str, tuple[float, float, float]]


def write(found: Measured, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(_plain(found), indent=1), encoding="utf-8")
    part.replace(file)


def read(file: Path) -> Measured | None:
    """What was written; None where there is nothing."""
    if not file.is_file():
        return None
    plain = json.loads(file.read_text(encoding="utf-8"))
    trials = {
        name: {method: _trials(own) for method, own in of_methods.items()}
        for name, of_methods in plain["trials"].items()
    }
    schemes = {
        name: {method: np.asarray(values) for method, values in of_methods.items()}
        for name, of_methods in plain["schemes"].items()
    }
    naming = {name: (own[0], own[1], own[2]) for name, own in plain["naming"].items()}
    return Measured(plain["name"], trials, schemes, naming)


def _trials(plain: Mapping[str, object]) -> Trials:
    worth, seen = (_arrays(plain[part]) for part in ("worth", "seen"))
    return Trials(np.asarray(plain["index"]), worth, np.asarray(plain["whitened"], dtype=np.bool_), seen)


def _arrays(plain: object) -> dict[str, Floats]:
    assert isinstance(plain, dict)
    return {name: np.asarray(values, dtype=np.float64) for name, values in plain.items()}


def _plain(found: Measured) -> dict[str, object]:
    return {
        "name": found.name,
        "trials": {
            name: {
                method: {
                    "index": own.index.tolist(),
                    "worth": {objective: values.tolist() for objective, values in own.worth.items()},
                    "whitened": own.whitened.tolist(),
                    "seen": {each: values.tolist() for each, values in own.seen.items()},
                }
                for method, own in of_methods.items()
            }
            for name, of_methods in found.trials.items()
        },
        "schemes": {
            name: {method: values.tolist() for method, values in of_methods.items()}
            for name, of_methods in found.schemes.items()
        },
        "naming": dict(found.naming),
    }
