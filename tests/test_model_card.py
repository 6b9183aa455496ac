from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

from composer.models.exporting import one_member_card
from composer.models.loading import load
from composer.results.model_card import complete
from saved_run import PICKED, saved_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    saved_run(tmp_path / "run")
    return tmp_path / "run"


def card(run: Path, composition: str, change: dict[str, Any] | None = None) -> str:
    report = json.loads((run / "report.json").read_text())
    report.update(change or {})
    complete(run / "models" / composition, report, composition)
    return (run / "models" / composition / "README.md").read_text()


def test_the_front_matter_is_yaml_with_the_hubs_fields(run: Path) -> None:
    _, front, _ = card(run, "product").split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["license"] == "unknown"
    assert facts["library_name"] == "composer"
    assert facts["pipeline_tag"] == "image-classification"
    assert {"composer", "black", "cat"} <= set(facts["tags"])


def test_the_config_keeps_the_model_and_gains_what_its_users_need(run: Path) -> None:
    home = run / "models" / "product"
    before = json.loads((home / "config.json").read_text())
    card(run, "product")
    after = json.loads((home / "config.json").read_text())
    assert before.items() <= after.items()
    assert after["model_type"] == "composer"
    assert after["architectures"] == ["cnn"]
    assert re.fullmatch(r"kernel-composer \S+ \(plugin cnn\)", after["plugins"]["cnn"])
    assert after["id2label"] == {"0": "not black+cat", "1": "black+cat"}
    assert (after["picked_member"], after["picked_by"]) == (PICKED, "agreement with the other members")
    card(run, "product")
    assert json.loads((home / "config.json").read_text()) == after, "writing it again changes nothing"


def test_the_table_shows_the_composition_and_the_controls_alone(run: Path) -> None:
    text = card(run, "product")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "|  | members | AUC | K-means accuracy, median |"
    assert rows[2] == "| **product** | 3 | 0.900 [0.870, 0.930] | 0.550 |"
    assert rows[3] == "| control: parents.black | 3 | 0.950 [0.920, 0.980] | 0.550 |"
    assert len(rows) == 4, "other compositions have cards of their own"
    assert "On 20 test pictures (5 black+cat, 5 black, 5 cat, 5 none)" in text


def test_the_card_says_which_controls_a_composition_is_not_shown_to_be_better_than(run: Path) -> None:
    said = "AUC: 0.900. Without resampled pictures, or with too few, nobody can say whether the difference is chance ("
    assert f"{said}best control: parents.black, 0.950)." in card(run, "product")
    report = json.loads((run / "report.json").read_text())
    report["compositions"]["parents.black"]["scores"]["recognition.auc"]["picked"] = 0.86
    one = {"composition": "product", "control": "parents.black", "score": "recognition.auc", "verdict": "unclear"}
    report["comparisons"] = [one]
    assert "AUC: 0.900. product is not clearly above parents.black (best control" in card(run, "product", report)
    report["comparisons"] = [{**one, "verdict": "better"}]
    said = "AUC: 0.900. product is better than each control (best control: parents.black, 0.860)."
    assert said in card(run, "product", report)
    assert "It is a **control**" in card(run, "parents.black")


def test_the_card_says_which_scores_were_fitted_with_labels_and_what_the_run_warned_of(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    report["compositions"]["product"]["scores"]["recognition.accuracy"] = {
        **report["compositions"]["product"]["scores"]["recognition.auc"],
        "labels": "fitting",
    }
    text = card(run, "product", report)
    assert "are no measure of this model, in: `recognition.accuracy`" in text
    assert "0.900 [0.870, 0.930]†" in text
    assert "- Said by the run: population.black: it knows little" in text


def test_the_card_claims_nothing_of_what_a_parent_learned_elsewhere(run: Path) -> None:
    text = " ".join(card(run, "product").split())
    assert "learned its own concept only" not in text
    assert "No step" not in text
    assert "was not looked at unless a warning below says so" in text
    assert "loads the one that is best by these labels" in text


def test_the_card_of_features_promises_no_predictions(run: Path) -> None:
    text = card(run, "features")
    assert "it has no head, and so decides nothing" in text
    assert "predict" not in text


def test_the_python_on_the_card_runs(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = re.search(r"```python\nimport composer\n\n(.*?)```", card(run, "product"), re.DOTALL)
    assert code is not None
    assert len(code[1].strip().splitlines()) == 2
    monkeypatch.chdir(run)
    Image.new("RGB", (30, 20), "black").save("photo.jpg")

    public = SimpleNamespace(load=load)  # the package, as far as the code needs it
    exec(code[1].replace("path/to/this/folder", str(run / "models" / "product")), {"composer": public})
    assert "Prediction(name='photo.jpg', probability=0." in capsys.readouterr().out


def test_a_composition_that_nobody_judged_has_a_card_too(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    for arm in report["compositions"].values():
        arm["scores"] = {}
    text = card(run, "product", report)
    assert f"number {PICKED} is the default (picked without labels, by agreement with the other members)" in text
    assert "nobody knows what it is worth" in text


def front(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return facts


def test_the_model_index_has_the_picked_members_scores_but_those_that_labels_were_fitted_to(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    scores = report["compositions"]["product"]["scores"]
    scores["recognition.accuracy"] = {**scores["recognition.auc"], "interval": None, "picked": 0.7}
    scores["recognition.auc_hardest_cell"] = {**scores["recognition.auc"], "labels": "fitting"}
    scores["undeclared.score"] = scores["recognition.auc"]
    (index,) = front(card(run, "product", report))["model-index"]
    assert index["name"] == "small: product"
    (result,) = index["results"]
    assert [(metric["type"], metric["value"], metric["name"]) for metric in result["metrics"]] == [
        ("auc", 0.9, "AUC (95 % interval 0.870 to 0.930)"),
        ("accuracy", 0.7, "accuracy"),
        ("accuracy", 0.6, "K-means accuracy (95 % interval 0.570 to 0.630)"),
    ]
    assert result["dataset"]["name"] == "20 test pictures of the recipe small (5 black+cat, 5 black, 5 cat, 5 none)"
    assert result["task"]["type"] == "image-classification"


def test_what_nobody_judged_has_no_model_index(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    report["compositions"]["product"]["scores"] = {}
    assert "model-index" not in front(card(run, "product", report))


def test_a_card_for_one_member_has_no_scores_in_its_front_matter(run: Path) -> None:
    whole = card(run, "product")
    text = one_member_card(whole, "black 1 x cat 1")
    assert "model-index" in front(whole)
    assert front(text) == {name: value for name, value in front(whole).items() if name != "model-index"}
    assert one_member_card("---\n[\n---\n# a\n", "x").startswith("---\n[\n---\n# a\n")


def test_a_card_for_one_member_says_so_below_the_title(run: Path) -> None:
    text = one_member_card(card(run, "product"), "black 1 x cat 1")
    assert "# small: product\n\nThis folder holds one member alone, `black 1 x cat 1`" in text
    assert one_member_card("no title", "x") == "no title"
