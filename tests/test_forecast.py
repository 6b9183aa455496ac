"""What a run would do, before it does."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner

from composer.command_line.cli import main
from composer.data.facts import Facts
from composer.recipes.recipe_reader import read_recipe
from composer.running.cache import StageCache
from composer.running.forecast import forecast, to_compute
from composer.running.outcome import compute
from composer.running.plan import make_plan
from composer.running.sealing import STAGE
from conftest import TINY


def test_what_is_kept_and_what_the_rest_took_the_last_time_is_known_beforehand(tmp_path: Path) -> None:
    recipe, at = tmp_path / "recipe.yaml", tmp_path / "store"
    recipe.write_text(TINY)
    plan = make_plan(read_recipe(recipe))
    with StageCache(at) as store:
        new = forecast(plan, store)
        assert not any(one.kept for one in new)
        assert to_compute(new) == (len(new), 0.0, len(new))
        compute(read_recipe(recipe), store, "cpu")
        after = forecast(plan, store)
        changed = {one.step.title: one for one in forecast(make_plan(read_recipe(recipe, ["models.epochs=2"])), store)}
    took = {one.step.title: one.seconds for one in after}
    assert all(one.kept for one in after)
    assert changed["images.test for test"].kept
    black = changed["population.black for black"]
    assert (black.kept, black.seconds) == (False, took["population.black for black"])
    said = CliRunner().invoke(main, ["run", str(recipe), "--dry", "--store", str(at), "--set", "models.epochs=2"])
    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert "images.test" in lines[0]
    assert lines[0].endswith("  kept")
    assert any(line.startswith("population.black ") and line.endswith("  to compute") for line in lines)
    assert "of these took" in lines[-1], "the pages were never made"
    assert not (Path("runs") / "small").exists()


def test_the_last_time_is_that_of_the_same_subject_and_the_newest(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TINY)
    plan = make_plan(read_recipe(tmp_path / "recipe.yaml"))
    told = (("product", 7.0), ("product", 8.0), ("parents.cat", 9.0))
    with StageCache(tmp_path / "store") as store:
        for age, (key, (subject, seconds)) in enumerate(zip("abc", told, strict=True)):
            facts = {"subject": subject, "seconds": seconds}
            home = store.store("evaluate.recognition", key * 64, Facts({}), facts, {})
            os.utime(home / STAGE, (age, age))
        found = {one.step.title: one for one in forecast(plan, store)}
    of_product = found["evaluate.recognition for product"]
    assert (of_product.kept, of_product.seconds) == (False, 8.0)
    assert found["evaluate.recognition for parents.black"].seconds is None
