"""`composer new-plugin`: what it writes works as written, and what it refuses leaves nothing behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clean_environment import ROOT, Environment
from composer.command_line.cli import main
from composer_new_plugin import KINDS, LONGEST


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def new_plugin(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new-plugin", *arguments], prog_name="composer")


def refused(*arguments: str) -> str:
    """The message of a refusal, which must have left the folder as it was."""
    before = sorted(Path().rglob("*"))
    result = new_plugin(*arguments)
    assert result.exit_code == 2, result.output
    assert sorted(Path().rglob("*")) == before
    return result.output


def ruff(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    assert found is not None, "ruff is not installed"
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=300)


RUN_EACH = """\
import sys
from composer.command_line.cli import main
for folder in sys.argv[1:]:
    assert not main(["run", f"{folder}/recipe.yaml", "--output", f"{folder}/run"], standalone_mode=False), folder
"""
"""What `tests/test_recipe.py` of a written plugin does in a process of its own, for all of them in one."""
PATIENCE = 900.0


@pytest.mark.slow
def test_written_plugins_install_are_listed_pass_their_tests_and_run_their_recipes_unedited(
    here: Path, environment: Environment
) -> None:
    """Torch is imported, and known to mypy, once for all; `test_docs_plugins.py` runs the whole pytest of one alone."""
    folders = {kind: f"composer-my-{kind}" for kind in KINDS}
    for kind in KINDS:
        environment.succeed(f"composer new-plugin my_{kind} --kind {kind}", here)
    environment.succeed("pip install " + " ".join(f"-e ./{folder}" for folder in folders.values()), here, PATIENCE)
    listed = json.loads(environment.succeed("composer list-plugins --json", here))
    assert listed["broken"] == []
    for kind, folder in folders.items():
        own = [component["name"] for component in listed["components"] if component["distribution"] == folder]
        assert own == (["my_models_network", "my_models"] if kind == "models" else [f"my_{kind}"])
    tests = [f"{folder}/tests/test_my_{kind}.py" for kind, folder in folders.items()]
    code = [f"{folder}/composer_my_{kind}" for kind, folder in folders.items()]
    environment.succeed(f"pytest -W error {' '.join(tests)}", here, PATIENCE)
    environment.succeed(
        f"mypy --config-file {folders['models']}/pyproject.toml {' '.join(code + tests)}", here, PATIENCE
    )
    environment.succeed("mypy", here / folders["models"])
    (here / "run_each.py").write_text(RUN_EACH, encoding="utf-8")
    environment.succeed(f"python run_each.py {' '.join(folders.values())}", here, PATIENCE)
    for folder in folders.values():
        assert (here / folder / "run" / "report.json").is_file()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ab", "a" * LONGEST])
def test_written_code_is_clean_whatever_the_length_of_the_name(kind: str, name: str) -> None:
    assert new_plugin(name, "--kind", kind, "--output", "made").exit_code == 0
    for arguments in (["check"], ["format", "--diff"]):
        done = ruff(*arguments, "--no-cache", "made")
        assert done.returncode == 0, done.stdout


def test_no_placeholder_is_left_in_what_is_written() -> None:
    for kind in KINDS:
        assert new_plugin("mine", "--kind", kind, "--output", kind).exit_code == 0
        files = [path for path in Path(kind).rglob("*") if path.is_file()]
        assert {"pyproject.toml", "README.md", "LICENSE", ".gitignore", "recipe.yaml"} <= {file.name for file in files}
        for file in files:
            left = file.read_text(encoding="utf-8").replace("${{ matrix.python }}", "").replace("$schema=", "")
            assert "$" not in left, file
            assert file.suffix != ".txt"


def test_the_wheel_holds_every_template(composer_wheel: Path) -> None:
    plugins = ROOT / "plugins"
    files = (plugins / "composer_new_plugin" / "templates").rglob("*.txt")
    templates = {path.relative_to(plugins).as_posix() for path in files}
    assert len(templates) > 20
    assert templates <= set(zipfile.ZipFile(composer_wheel).namelist())


def test_it_says_what_to_do_next() -> None:
    result = new_plugin("half_and_half", "--kind", "images")
    assert result.output == (
        "composer-half-and-half: an image source called half_and_half, and its tests. Next:\n"
        "  cd composer-half-and-half\n  pip install -e '.[dev]'\n  composer list-plugins\n  pytest\n"
    )
    assert "class HalfAndHalf(ImageSource):" in Path(
        "composer-half-and-half/composer_half_and_half/__init__.py"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "My-Blend",
            "lower-case words of a-z and 0-9, joined by underscores, the first beginning with a letter; try 'my_",
        ),
        ("2nd", "'2nd' cannot be the name of a plugin"),
        ("../blend", "; try 'blend'"),
        ("blend\n", "cannot be the name"),
        ("überblendung", "cannot be the name"),
        ("", "'' cannot be the name"),
        ("no", "YAML reads it as False"),
        ("null", "YAML reads it as None"),
        ("none", "a class called None, which is a name in use"),
        ("run", "a class called Run, which is a name in use"),
        ("kernel_set", "a class called KernelSet"),
        ("warning", "a class called Warning"),
        ("a" * (LONGEST + 1), "is too long for a name: 30 letters, and 29 are the most"),
        ("cyclegan", "'cyclegan' is already a translator of kernel-composer (plugin 'cyclegan')"),
        ("convolutions", "'convolutions' is already a kernel extractor of kernel-composer (plugin 'kernels')"),
        ("recognition", "'recognition' is already an evaluator"),
        ("clustering", "'clustering' is already a plugin of kernel-composer"),
        ("imagenet", "a package called 'composer_imagenet' is already installed"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(name: str, said: str) -> None:
    assert said in refused(name, "--kind", "translator")


def test_an_unknown_kind_is_refused_and_the_kinds_are_named() -> None:
    message = refused("blend", "--kind", "architecture")
    for kind in KINDS:
        assert kind in message


def test_a_folder_that_is_not_empty_is_refused(here: Path) -> None:
    (here / "composer-blend").mkdir()
    (here / "composer-blend" / "notes.txt").write_text("mine", encoding="utf-8")
    message = refused("blend", "--kind", "translator")
    assert message == ("error: composer-blend: the folder is not empty (notes.txt); choose another with --output\n")


def test_a_file_in_the_way_is_refused(here: Path) -> None:
    (here / "taken").write_text("mine", encoding="utf-8")
    assert "taken: is a file" in refused("blend", "--kind", "translator", "--output", "taken")
    assert "cannot be written: Not a directory" in refused("blend", "--kind", "models", "--output", "taken/below")


def test_an_empty_folder_is_filled_also_the_current_one(here: Path) -> None:
    assert new_plugin("blend", "--kind", "translator", "--output", ".").exit_code == 0
    assert (here / "pyproject.toml").is_file()


@pytest.mark.parametrize("existing", [True, False])
def test_what_fails_half_way_leaves_nothing_behind(existing: bool, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if existing:
        (here / "made").mkdir()
    write = Path.write_text

    def full_disk(self: Path, *arguments: str, **options: str) -> int:
        if self.name == "recipe.yaml":
            raise OSError(28, "No space left on device")
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full_disk)
    folder = "made" if existing else "made/of/many"
    message = refused("blend", "--kind", "translator", "--output", folder)
    assert message == f"error: {folder}: cannot be written: No space left on device\n"


def test_it_starts_without_torch() -> None:
    code = (
        "import sys; from composer.command_line.cli import main; "
        "main(['new-plugin', 'quick', '--kind', 'models'], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_name_is_taken_as_distributions_are_written(here: Path) -> None:
    assert new_plugin("half-and-half", "--kind", "translator").exit_code == 0
    assert (here / "composer-half-and-half" / "composer_half_and_half").is_dir()
