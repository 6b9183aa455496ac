"""A report as runs of an MLflow experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A log that is kept on this machine tells nobody that it is kept. Read when mlflow is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# MLflow asks for this consent, because new features go to its databases only; none is needed here.
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow import MlflowClient


def log(report: Mapping[str, Any], folder: Path, store: Path) -> None:
    """One MLflow run for each composition, in the experiment that is called as the recipe is."""
    store.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=store.absolute().as_uri())
    known = client.get_experiment_by_name(report["name"])
    experiment = known.experiment_id if known else client.create_experiment(report["name"])
    for name, composition in report["compositions"].items():
        run = client.create_run(experiment, run_name=name).info.run_id
        facts = {"version": report["version"], "seed": report["seed"], "target": report["target"]}
        for key in ("control", "members", "parameters"):
            facts[key] = composition[key]
        for key, value in facts.items():
            client.log_param(run, key, value)
        for score, values in composition["scores"].items():
            metric = re.sub(r"[^\w. /-]", "_", score)  # MLflow takes no other signs: black+cat
            client.log_metric(run, f"{metric}.picked", values["picked"])
            client.log_metric(run, f"{metric}.median", values["median"])
        for file in (folder / "report.json", folder / "recipe.yaml", *(folder / "figures").glob(f"{name} - *.png")):
            client.log_artifact(run, str(file))
        client.set_terminated(run)
