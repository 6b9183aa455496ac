from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from calling import call
from composer import __version__, hook
from composer.command_line.cli import explain
from composer.hookspecs import Stage
from composer.registry import load_registry
from conftest import SMALL

Write = Callable[[str], Path]
COMMANDS = (
    "init",
    "run",
    "check",
    "pictures",
    "list-plugins",
    "describe",
    "schema",
    "predict",
    "export",
    "inspect",
    "merge",
    "unite",
    "report",
    "compare",
    "verify",
    "sweep",
    "zoo",
    "learn",
    "compose",
    "bench",
    "store",
    "check-plugin",
    "new-plugin",
    "push",
)

PRODUCT = """\
name: quick
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 16}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}
compositions:
  product: {assembler: product}
controls: [parents]
evaluators: [recognition]
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are written below the current folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


# -- start-up ----------------------------------------------------------------------------------


def test_help_names_every_command_and_gives_examples() -> None:
    shown = call("--help")
    assert shown.exit_code == 0
    listed = shown.output.split("Commands:\n")[1]
    assert re.findall(r"^  ([a-z-]+)  +[A-Z]", listed, re.MULTILINE) == list(COMMANDS)
    assert "\n    composer run recipes/black_cat.yaml\n" in shown.output


def test_composer_alone_shows_its_help_and_is_content() -> None:
    alone = call()
    assert (alone.exit_code, alone.output) == (0, call("--help").output)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    shown = call(command, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: composer {command}")


def test_the_version_is_told() -> None:
    assert call("--version").output == f"composer {__version__}\n"


def test_help_imports_neither_torch_nor_rich_nor_any_plugin_but_those_with_commands() -> None:
    done = python(
        "import sys\nfrom composer.command_line.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print(sorted(m for m in sys.modules if m in ('torch', 'numpy', 'rich', 'yaml') or m.startswith('composer_')))"
    )
    assert done.stdout.endswith("['composer_hub', 'composer_hub.command', 'composer_new_plugin']\n"), done.stderr


@pytest.mark.parametrize("command", ["check", "list-plugins", "describe", "schema"])
def test_only_commands_that_compute_import_torch(command: str, recipe_file: Write) -> None:
    arguments = {"check": [str(recipe_file(SMALL))], "describe": ["cyclegan"]}.get(command, [])
    done = python(
        "import sys\nfrom composer.command_line.cli import main\n"
        f"main({[command, *arguments]!r}, standalone_mode=False)\n"
        "heavy = ('torch', 'numpy', 'sklearn', 'matplotlib', 'composer.zoo.phrases')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert done.stdout.endswith("[]\n"), done.stdout + done.stderr


def test_composer_can_be_run_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "composer", "--version"], capture_output=True, text=True, timeout=300)
    assert done.stdout == f"composer {__version__}\n"


# -- check -------------------------------------------------------------------------------------


def test_check_says_what_a_fine_recipe_will_do(recipe_file: Write) -> None:
    shown = call("check", recipe_file(SMALL), "--set", "models.members=5")
    assert shown.exit_code == 0
    assert shown.output.startswith("recipe is fine: small makes black+cat (seed 3)\n")
    for said in ("drawings (size 16, train 80, test 40)", "members 5", "product (product)", "random, parents.black"):
        assert said in shown.output, shown.output


def test_check_names_every_problem_with_its_place_and_exits_with_2(recipe_file: Write) -> None:
    path = recipe_file(
        SMALL.replace("epochs: 1}, assembler", "epoch: 1}, assembler").replace("members: 3", "members: 0")
    )
    shown = call("check", path)
    assert shown.exit_code == 2
    lines = shown.output.splitlines()
    assert lines[0] == "error: the recipe has 2 problems"
    assert lines[1].startswith(f"{path}:5:"), lines
    assert re.match(rf"{re.escape(str(path))}:7:\d+: .*did you mean 'epochs'\?", lines[2]), lines


def test_a_recipe_that_is_not_there_is_named() -> None:
    shown = call("check", "nowhere.yaml")
    assert shown.exit_code == 2
    assert "nowhere.yaml: there is no such file" in shown.output


def test_a_wrong_change_is_named_as_it_was_written(recipe_file: Write) -> None:
    shown = call("check", recipe_file(SMALL), "--set", "models.member=5")
    assert shown.exit_code == 2
    assert "--set models.member=5" in shown.output


# -- run ---------------------------------------------------------------------------------------


def test_run_prints_plain_lines_one_table_and_where_everything_is(recipe_file: Write) -> None:
    path = recipe_file(PRODUCT)
    shown = call("run", path)
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.output
    assert re.search(r"^product +[\d.]+ s  assemble, pick, evaluate, page$", shown.output, re.MULTILINE), shown.output
    assert re.search(r"^product +2 ", shown.output, re.MULTILINE)
    assert re.search(r"^  parents\.cat +2 ", shown.output, re.MULTILINE)
    assert re.search(r"^(works|in doubt|does not work): ", shown.output, re.MULTILINE), shown.output
    assert "Best composition" not in shown.output
    assert (
        "Saved in runs/quick: report.html, report.json, scores.csv, recipe.yaml, run.json, figures/, models/. Took "
        in shown.output
    )
    assert json.loads(Path("runs/quick/report.json").read_text())["name"] == "quick"

    again = call("run", path, "--all", "--verbose")
    assert re.search(r"^evaluate\.recognition of product +[\d.]+ s  kept$", again.output, re.MULTILINE), again.output
    assert "Best composition" in again.output
    assert re.search("^kept, unchanged: .*black, .*product", call("run", path).output, re.MULTILINE)


def test_seed_and_output_are_those_asked_for(recipe_file: Write) -> None:
    assert call("run", recipe_file(PRODUCT), "--seed", "11", "--output", "mine").exit_code == 0
    assert json.loads(Path("mine/report.json").read_text())["seed"] == 11
    assert not Path("runs").exists()


def test_a_broken_recipe_leaves_nothing_behind(recipe_file: Write) -> None:
    assert call("run", recipe_file(PRODUCT.replace("members: 2", "members: two"))).exit_code == 2
    assert list(Path.cwd().iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(recipe_file: Write) -> None:
    Path("taken").write_text("a file")
    shown = call("run", recipe_file(PRODUCT), "--output", "taken/below")
    assert shown.exit_code == 2
    assert "error: --output taken/below: cannot be written" in shown.output


class Raises:
    """A watcher that raises when a stage starts."""

    def __init__(self, stage: str, error: BaseException) -> None:
        self.stage = stage
        self.error = error

    @hook
    def composer_stage_started(self, stage: Stage) -> None:
        if stage.name == self.stage:
            raise self.error


@contextmanager
def raising(stage: str, error: BaseException) -> Iterator[None]:
    watcher = Raises(stage, error)
    load_registry().watch(watcher)
    try:
        yield
    finally:
        load_registry().unwatch(watcher)


@pytest.mark.usefixtures("own_store")
def test_ctrl_c_keeps_what_was_finished_and_the_same_command_goes_on(recipe_file: Write) -> None:
    path = recipe_file(PRODUCT)
    with raising("population.cat", KeyboardInterrupt()):
        shown = call("run", path)
    assert shown.exit_code == 130
    assert shown.output.endswith("stopped; what was finished is kept; run the same command to go on\n")
    assert re.search(r"^population\.black .* kept$", call("run", path, "--verbose").output, re.MULTILINE)


@pytest.mark.parametrize(
    ("error", "exit_code", "last"),
    [
        (
            ValueError("odd"),
            1,
            "error: this is a bug in composer or in a plugin: please report it with the lines above",
        ),
        (OSError(28, "No space left on device", "runs/x"), 2, "error: runs/x: No space left on device"),
        (MemoryError("out of memory"), 2, "compute on the CPU (--device cpu)"),
    ],
)
def test_only_a_bug_shows_its_traceback_and_asks_for_a_report(
    recipe_file: Write, monkeypatch: pytest.MonkeyPatch, error: Exception, exit_code: int, last: str
) -> None:
    def broken(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("composer.running.outcome.make_plan", broken)
    shown = call("run", recipe_file(PRODUCT))
    assert shown.exit_code == exit_code
    assert shown.output.splitlines()[-1].endswith(last), shown.output
    assert ("Traceback" in shown.output) == (exit_code == 1)


def test_watchers_are_gone_after_a_run(recipe_file: Write) -> None:
    path = recipe_file(PRODUCT)
    call("run", path)
    lines = [
        line for line in call("run", path, "--verbose").output.splitlines() if line.startswith("assemble.product ")
    ]
    assert len(lines) == 1, lines


def test_a_missing_torch_is_explained(recipe_file: Write) -> None:
    path = str(recipe_file(PRODUCT))
    done = python(
        f"import sys\nsys.modules['torch'] = None\nfrom composer.command_line.cli import main\nmain(['run', {path!r}])"
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        "error: the package torch is not installed: pip install torch torchvision, both from one package index\n"
    )


def test_builds_of_torch_that_do_not_fit_together_are_explained() -> None:
    assert "from one package index" in str(explain(RuntimeError("operator torchvision::nms does not exist")))
    assert explain(RuntimeError("something else")) is None


# -- pictures ----------------------------------------------------------------------------------


def test_pictures_writes_a_sheet_and_says_where(recipe_file: Write) -> None:
    path = recipe_file(PRODUCT)
    shown = call("pictures", path, "--per-cell", "3")
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[-1] == "runs/quick/pictures.png"
    with Image.open("runs/quick/pictures.png") as sheet:
        assert sheet.format == "PNG"
    assert call("pictures", path, "--output", "a/b.png").output.splitlines()[-1] == "a/b.png"


def test_a_sheet_that_cannot_be_written_is_named(recipe_file: Write) -> None:
    Path("taken").write_text("a file")
    shown = call("pictures", recipe_file(PRODUCT), "--output", "taken/sheet.png")
    assert shown.exit_code == 2
    assert "--output taken/sheet.png: cannot be written" in shown.output


# -- terminals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "code"), [(">&-", 0), ("| true", 0), ("> /dev/full", 2)])
@pytest.mark.parametrize("command", ["--version", "describe cnn"])
def test_output_that_cannot_be_written_ends_with_one_line_at_most(command: str, where: str, code: int) -> None:
    if "full" in where and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    line = f"{sys.executable} -m composer {command} {where}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) <= 1, done.stderr
    assert "Traceback" not in done.stderr


def test_without_docstrings_the_built_in_plugins_are_not_broken() -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "composer", "list-plugins", "--json"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["broken"] == []


def test_letters_that_the_terminal_lacks_do_not_stop_a_command() -> None:
    surroundings = {
        **os.environ,
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii",
    }
    done = subprocess.run(
        [sys.executable, "-m", "composer", "describe", "zèbre"],
        capture_output=True,
        text=True,
        timeout=300,
        env=surroundings,
    )
    assert done.returncode == 2
    assert "no component is called" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_names_another_library_that_is_imported_as_composer(tmp_path: Path) -> None:
    other = tmp_path / "mosaicml-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: mosaicml\nVersion: 1.0\n")
    (other / "top_level.txt").write_text("composer\n")
    command = [sys.executable, "-m", "composer", "--version"]
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(tmp_path))))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (0, f"composer {__version__}\n")
    assert done.stderr.startswith("warning: mosaicml is imported as `composer` too")
    alone = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert alone.stderr == ""
