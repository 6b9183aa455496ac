from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from composer.command_line.cli import Commands
from composer.command_line.cli_runs import COMMANDS
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.results.verification import verify
from composer.running.last_run import LAST
from composer.running.sealing import file_digest, sealed

GROUP = Commands("composer", commands={str(command.name): command for command in COMMANDS})
CELLS = {"black+cat": 10, "black": 60, "cat": 110, "none": 200}
RECIPE = """\
name: {name}
seed: {seed}
root: pictures
concepts: [black, cat]
images: {{use: folder, size: 16}}
models: {{use: train, architecture: {{use: cnn, filters: [2, 3], size: 16}}, members: {members}, epochs: 1}}
compositions:
  product: {{assembler: product}}
controls: [parents]
evaluators: [recognition]
"""


def draw(file: Path, shade: int, index: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (shade + index, shade, 255 - shade)).save(file)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, two recipes, and the runs `a` and `b` of them."""
    home = tmp_path_factory.mktemp("finished")
    for index in range(4):
        for cell, shade in CELLS.items():
            draw(home / "pictures" / "test" / cell / f"{index}.png", shade, index)
        for concept in ("black", "cat"):
            draw(home / "pictures" / "train" / concept / "yes" / f"{index}.png", CELLS[concept], index + 10)
            draw(home / "pictures" / "train" / concept / "no" / f"{index}.png", CELLS["none"], index + 10)
    for name, seed, members in (("a", 1, 3), ("b", 2, 2)):
        (home / f"{name}.yaml").write_text(RECIPE.format(name=name, seed=seed, members=members))
        run_recipe(read_recipe(home / f"{name}.yaml"), home / "runs" / name, "cpu")
    return home


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the runs to spoil, as the current folder; its runs still name the pictures of `finished`."""
    shutil.copytree(finished / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(GROUP, list(arguments), prog_name="composer")


def found(folder: str = "runs/a") -> list[tuple[str, str]]:
    return [(finding.kind, finding.what) for finding in verify(Path(folder)).findings]


# -- verify ------------------------------------------------------------------------------------


def test_a_run_that_nobody_touched_is_whole(here: Path) -> None:
    shown = call("verify", "runs/a")
    assert (shown.exit_code, shown.output.count("\n")) == (0, 1), shown.output
    assert "runs/a: whole: " in shown.output
    data = json.loads(call("verify", "runs/a", "--json").output)
    assert data["whole"] is True
    assert data["findings"] == []
    assert data["checked"]["inputs"] == 32, "16 training and 16 test pictures"


def test_files_that_were_changed_removed_and_added_are_named(here: Path) -> None:
    report = here / "runs/a/report.json"
    report.write_text(report.read_text().replace('"picked"', '"picked" ', 1))
    (here / "runs/a/scores.csv").unlink()
    (here / "runs/a/models/mine.safetensors").write_bytes(b"mine")
    (here / "runs/a/.DS_Store").touch()
    (here / "runs/a/pictures.png").touch()
    assert found() == [
        ("changed", "report.json"),
        ("missing", "scores.csv"),
        ("added", "models/mine.safetensors"),
    ]
    shown = call("verify", "runs/a")
    assert shown.exit_code == 2
    assert "touched: 3 differences" in shown.output


def test_a_stage_that_was_changed_is_named_and_a_deleted_one_is_not(here: Path, store: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(store, tmp_path / "copied-store")
    record = here / "runs/a/run.json"
    record.write_text(json.dumps(sealed({**json.loads(record.read_text()), "store": str(copied)})))
    names = {name.partition("/")[0] for name in json.loads(record.read_text())["stages_kept"]}
    stages = [copied / name for name in sorted(names) if name.startswith("population.")]
    shutil.rmtree(stages[0])
    assert found() == []
    (stages[1] / "data.safetensors").write_bytes(b"other")
    assert found() == [("changed", str(stages[1] / "data.safetensors"))]
    facts = json.loads((stages[1] / "stage.json").read_text())
    facts["files"]["data.safetensors"] = file_digest(stages[1] / "data.safetensors")
    (stages[1] / "stage.json").write_text(json.dumps(sealed(facts)))
    assert [kind for kind, _ in found()] == ["unknown"], "another run has computed it again"
    assert verify(here / "runs/a").whole


def test_edited_options_of_the_recipe_are_named_with_their_values(here: Path) -> None:
    recipe = here / "runs/a/recipe.yaml"
    document = yaml.safe_load(recipe.read_text())
    document["concepts"]["cat"]["models"]["members"] = 99
    recipe.write_text(yaml.safe_dump(document))
    (finding,) = verify(here / "runs/a").findings
    assert (finding.kind, finding.said) == ("recipe", "edited: concepts.cat.models.members is 99, was 3")


def test_the_record_itself_is_under_a_seal(here: Path) -> None:
    record = here / "runs/a/run.json"
    record.write_text(record.read_text().replace('"seed": 1', '"seed": 8'))
    assert found() == [("changed", "run.json")]


def test_inputs_that_changed_since_are_named_and_gone_folders_are_no_fault(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    run_recipe(read_recipe(Path("a.yaml")), Path("runs/a"), "cpu")  # everything is kept; its inputs lie here now
    pictures = tmp_path / "copy" / "pictures"
    assert found() == []
    draw(pictures / "test/none/0.png", 1, 0)
    (pictures / "test/none/1.png").unlink()
    draw(pictures / "train/cat/yes/new.png", 1, 0)
    with Path("a.yaml").open("a") as recipe:
        recipe.write("# edited\n")
    assert found() == [
        ("recipe", str(tmp_path / "copy" / "a.yaml")),
        ("input", str(pictures / "test/none/0.png")),
        ("input", str(pictures / "test/none/1.png")),
        ("input", str(pictures / "train/cat/yes/new.png")),
    ]
    shutil.rmtree(pictures)
    Path("a.yaml").unlink()
    assert [kind for kind, _ in found()] == ["unknown", "unknown"]
    assert verify(Path("runs/a")).whole


def test_versions_that_differ_now_are_notes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.results.verification.version_now", lambda name: "9.9" if name == "torch" else "same")
    monkeypatch.setattr("composer.results.verification.is_sealed", lambda _: True)
    record = here / "runs/a/run.json"
    run = json.loads(record.read_text())
    run["versions"] = {"torch": "1.0", "numpy": "same"}
    record.write_text(json.dumps(run))
    (finding,) = verify(here / "runs/a").findings
    assert (finding.what, finding.said, finding.touched) == ("torch", "9.9 now, 1.0 then", False)


def test_a_page_that_is_written_again_is_taken_into_the_record(here: Path) -> None:
    (here / "runs/a/report.html").write_text("<p>mine")
    assert found() == [("changed", "report.html")]
    assert call("report", "runs/a").output == "runs/a/report.html\n"
    assert found() == []


# -- compare and report ------------------------------------------------------------------------


def test_compare_shows_a_score_of_every_composition_and_what_differs(here: Path) -> None:
    data = json.loads(call("compare", "runs/a", "runs/b", "--json").output)
    report = json.loads((here / "runs/b/report.json").read_text())
    assert data["score"] == "recognition.auc"
    picked = report["compositions"]["parents.cat"]["scores"]["recognition.auc"]["picked"]
    assert data["compositions"]["parents.cat"]["b"]["picked"] == picked
    assert data["differences"] == {
        "seed": {"a": 1, "b": 2},
        "recipe.concepts.black.models.members": {"a": 3, "b": 2},
        "recipe.concepts.cat.models.members": {"a": 3, "b": 2},
    }
    shown = call("compare", "runs/a", "runs/b", "--score", "recognition.accuracy").output
    assert "recognition.accuracy" in shown
    assert "\nconcepts.cat.models.members " in shown
    assert "controls:" in shown


def test_csv_has_a_row_per_run_composition_score_and_member(here: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call("compare", "runs/a", "runs/b", "--csv").output)))
    keys = {(row["run"], row["composition"], row["score"], row["member"]) for row in rows}
    assert len(keys) == len(rows)
    arms = [row for row in rows if (row["composition"], row["score"]) == ("parents.cat", "recognition.auc")]
    assert [(row["run"], row["member_name"]) for row in arms] == [
        ("a", "cat 0"),
        ("a", "cat 1"),
        ("a", "cat 2"),
        ("b", "cat 0"),
        ("b", "cat 1"),
    ]
    report = json.loads((here / "runs/a/report.json").read_text())
    score = report["compositions"]["parents.cat"]["scores"]["recognition.auc"]
    (picked,) = [row for row in arms if row["picked"] == "true" and row["run"] == "a"]
    assert (int(picked["member"]), float(picked["value"])) == (score["picked_member"], score["picked"])


def test_report_prints_the_scores_of_one_run_as_tidy_data(here: Path) -> None:
    assert call("report", "runs/a", "--csv").output == (here / "runs/a/scores.csv").read_text()
    first = json.loads(call("report", "runs/a", "--json").output)[0]
    assert (first["composition"], first["control"], first["member"]) == ("product", False, 0)
    assert isinstance(first["value"], float)


def test_runs_that_cannot_be_compared_are_all_named(here: Path) -> None:
    (here / "runs/half").mkdir(parents=True)
    (here / "runs/half" / LAST).write_text("{}")
    (here / "runs/a/report.json").write_text('{"name": ')
    shown = call("compare", "runs/a", "runs/gone", "runs/half", "runs/b")
    assert shown.exit_code == 2
    assert "runs/a/report.json: damaged: " in shown.output
    assert "runs/gone: there is no such folder; there are runs/a, runs/b" in shown.output
    assert "runs/half: the run has not finished" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "runs/a"), "compare takes two runs or more"),
        (("compare", "runs/a", "runs/a"), "runs/a: is named twice"),
        (("compare", "runs/a", "runs/b", "--score", "recognition.auk"), "did you mean 'recognition.auc'?"),
        (("compare", "runs/a", "runs/b", "--csv", "--score", "x.y"), "none of these runs has it"),
        (("compare", "runs/a", "runs/b", "--csv", "--json"), "choose one of the two"),
        (("report", "runs"), "holds no run"),
        (("report", "runs/a", "--csv", "--json"), "choose one of the two"),
    ],
)
def test_what_the_user_can_mend_is_said_with_exit_code_2(here: Path, arguments: tuple[str, ...], message: str) -> None:
    shown = call(*arguments)
    assert shown.exit_code == 2, shown.output
    assert message in shown.output


def test_an_older_or_damaged_table_of_scores_is_named(here: Path) -> None:
    table = here / "runs/a/scores.csv"
    table.write_text("composition,score\nproduct,x\n")
    assert "runs/a/scores.csv: damaged" in call("report", "runs/a", "--csv").output
    table.unlink()
    assert "has no scores.csv" in call("compare", "runs/a", "runs/b", "--csv").output
