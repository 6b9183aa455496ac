from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RECIPE = Path(__file__).parent.parent / "recipe.yaml"


def test_the_recipe_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "composer", "run", str(RECIPE), "--output", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
