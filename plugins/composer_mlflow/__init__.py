"""Watches runs for MLflow: `COMPOSER_MLFLOW=runs/mlflow composer run RECIPE` logs into a file store in that folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from composer import ComposerError, hook

FOLDER = "COMPOSER_MLFLOW"
"""Environment variable with the folder of the file store; unset, nothing is logged."""


@hook
def composer_stage_started() -> None:
    if os.environ.get(FOLDER) and find_spec("mlflow") is None:
        raise ComposerError(
            f"{FOLDER} is set, and mlflow is absent: pip install -e '.[mlflow]' in composer's own folder"
        )


@hook
def composer_run_finished(report: Mapping[str, Any], folder: Path) -> None:
    if where := os.environ.get(FOLDER):
        from composer_mlflow.logging import log

        log(report, folder, Path(where))
