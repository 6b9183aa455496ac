"""A run that takes the place of another in its folder says so."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from click.testing import CliRunner

from composer.command_line.cli import main
from composer.results.replacing import replacement
from composer.results.run_folder import read_run
from tiny import ARCHITECTURE


def recipe_in(folder: Path) -> Path:
    torch.save(ARCHITECTURE.build(2).state_dict(), folder / "one.pth")
    models = {"use": "checkpoints", "pattern": "one.pth", "architecture": ARCHITECTURE.options(), "outputs": [1]}
    recipe = {"concepts": ["black", "cat"], "models": models, "compositions": {"product": {"assembler": "product"}}}
    (folder / "both.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "both.yaml"


def test_another_seed_or_option_replaces_a_run_with_a_word_and_the_same_recipe_without(tmp_path: Path) -> None:
    recipe, folder = recipe_in(tmp_path), tmp_path / "run"

    def run(*arguments: str) -> str:
        found = CliRunner().invoke(main, ["run", str(recipe), "--output", str(folder), "--device", "cpu", *arguments])
        assert found.exit_code == 0, found.output
        return found.stderr

    assert "note:" not in run()
    assert "note:" not in run()
    said = run("--seed", "3")
    assert said.startswith(
        f"note: {folder} holds the run with seed 0; this one with seed 3 replaces it. "
        f"To keep both: --output {folder}-seed-3\n"
    ), said
    assert read_run(folder).report["seed"] == 3
    said = run("--seed", "3", "--set", "models.outputs=[0]")
    assert "holds the run with seed 3, concepts.black.models.outputs [1], concepts.cat.models.outputs [1]; " in said
    assert f"To keep both: --output {folder}-2\n" in said
    found = CliRunner().invoke(
        main, ["run", str(recipe), "--output", str(tmp_path / "other"), "--device", "cpu", "--seed", "4"]
    )
    assert "note:" not in found.stderr


def test_many_other_options_are_counted_and_the_folder_that_is_named_is_free(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run-seed-9").mkdir()
    (tmp_path / "run" / "run.json").write_text(
        '{"finished": "now", "versions": {}, "device": "cpu", "document": {"seed": 1, "a": 1, "b": 2, "c": 3, "d": 4}}'
    )
    said = replacement(tmp_path / "run", {"seed": 9, "name": "x" * 60})
    assert "holds the run with seed 1, a 1, b 2, c 3 and 2 more options; this one with seed 9, a absent" in said
    assert said.endswith(f"--output {tmp_path / 'run-seed-9-2'}")
    said = replacement(tmp_path / "run", {"seed": 1, "a": 1, "b": 2, "c": 3, "d": "x" * 60})
    assert f"this one with seed 1, d {'x' * 37}... replaces it" in said
    (tmp_path / "run" / "run.json").write_text("{")
    assert replacement(tmp_path / "run", {"seed": 9}) == ""
