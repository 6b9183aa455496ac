"""The two watchers that ship: what they write is what the report says, and only where they are asked to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from conftest import TINY

needs_tensorboard = pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs the extra [tensorboard]")
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the extra [mlflow]")
WATCHERS = {"COMPOSER_TENSORBOARD": "tensorboard", "COMPOSER_MLFLOW": "mlflow"}
LINES = 60


@pytest.fixture
def run(recipe_file: Callable[[str], Path], tmp_path: Path) -> Callable[[], dict[str, Any]]:
    return lambda: run_recipe(read_recipe(recipe_file(TINY)), tmp_path / "run", "cpu")


@needs_tensorboard
def test_tensorboard_shows_the_scores_the_seconds_and_the_figures(
    run: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    monkeypatch.setenv("COMPOSER_TENSORBOARD", str(tmp_path / "events"))
    report = run()

    def read(folder: Path) -> Any:
        return EventAccumulator(str(folder)).Reload()

    for name, composition in report["compositions"].items():
        events = read(tmp_path / "events" / "small" / name)
        assert len(events.Tags()["scalars"]) == 2 * len(composition["scores"])
        for score, facts in composition["scores"].items():
            (event,) = events.Scalars(f"{score}/picked")
            assert event.step == report["seed"]
            assert event.value == pytest.approx(facts["picked"], rel=1e-6)
    whole = read(tmp_path / "events" / "small")
    assert "seconds/population.black of black" in whole.Tags()["scalars"]
    figures = {file.stem for file in (tmp_path / "run" / "figures").glob("*.png")}
    assert figures
    assert set(whole.Tags()["images"]) == figures


@needs_mlflow
def test_mlflow_has_a_run_for_each_composition_with_its_scores(
    run: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("COMPOSER_MLFLOW", str(tmp_path / "store"))
    report = run()
    run()
    client = MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    logged = client.search_runs([experiment.experiment_id])
    assert sorted(found.info.run_name for found in logged) == sorted([*report["compositions"]] * 2)
    product = next(found for found in logged if found.info.run_name == "product")
    scores = report["compositions"]["product"]["scores"]
    assert product.data.metrics["recognition.auc.picked"] == scores["recognition.auc"]["picked"]
    assert product.data.params["members"] == "3"
    assert product.info.status == "FINISHED"
    assert "report.json" in [file.path for file in client.list_artifacts(product.info.run_id)]


def test_neither_writes_where_it_is_not_asked_to(
    run: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in WATCHERS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml", "run"]


@pytest.mark.usefixtures("own_store")  # nobody is told of the start of a stage that is kept
@pytest.mark.parametrize(("variable", "library"), WATCHERS.items())
def test_a_watcher_whose_library_is_absent_says_what_to_install_and_the_run_goes_on(
    run: Callable[[], dict[str, Any]],
    variable: str,
    library: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "never"))
    monkeypatch.setattr(f"composer_{library}.find_spec", lambda name: None)
    with caplog.at_level(logging.ERROR):
        assert run()["compositions"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the plugin {library} (kernel-composer 0.1.0) failed in composer_stage_started and is told nothing more of "
        f"this run, which goes on: {variable} is set, and {library} is absent: pip install "
        f"-e '.[{library}]' in composer's own folder"
    )
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("library", WATCHERS.values())
def test_a_watcher_is_under_sixty_lines(library: str) -> None:
    spec = find_spec(f"composer_{library}")
    assert spec is not None
    assert spec.origin is not None
    files = list(Path(spec.origin).parent.glob("*.py"))
    assert len(files) == 2
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 2 * LINES
    assert all(len(file.read_text(encoding="utf-8").splitlines()) < LINES for file in files)
