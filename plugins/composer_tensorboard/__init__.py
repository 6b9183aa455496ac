"""Watches runs for TensorBoard: `COMPOSER_TENSORBOARD=runs/tensorboard composer run RECIPE` writes there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from composer import ComposerError, Stage, hook

FOLDER = "COMPOSER_TENSORBOARD"
"""Environment variable with the folder to write into; unset, nothing is written."""
_seconds: dict[str, float] = {}


@hook
def composer_stage_started() -> None:
    if os.environ.get(FOLDER) and find_spec("tensorboard") is None:
        raise ComposerError(
            f"{FOLDER} is set, and tensorboard is absent: pip install -e '.[tensorboard]' in composer's own folder"
        )


@hook
def composer_stage_finished(stage: Stage) -> None:
    _seconds[f"{stage.name} of {stage.subject}"] = stage.seconds


@hook
def composer_run_finished(report: Mapping[str, Any], folder: Path) -> None:
    seconds = dict(_seconds)
    _seconds.clear()
    if where := os.environ.get(FOLDER):
        from composer_tensorboard.writing import write  # imports torch

        write(report, seconds, folder / "figures", Path(where) / report["name"])
