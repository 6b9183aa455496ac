"""What several tests need."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, distributions, version
from pathlib import Path

import pytest

# As the command line does: read when torch is loaded, and much faster on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the cores are shared by the workers already

    import torch  # may have been loaded before; other processes have as many threads, and so give the same bytes

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

from clean_environment import Environment, build_wheel, make_environment
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running.store_folder import VARIABLE

ROOT = Path(__file__).parent.parent
collect_ignore = ["third_party"]  # distributions with tests of their own: test_third_party.py installs and runs them

SMALL = """\
name: small
seed: 3
concepts: [black, cat]
images: {use: drawings, size: 16, train: 80, test: 40}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 3, epochs: 1}
compositions:
  cyclegan: {translator: {use: cyclegan, epochs: 1}, assembler: transplant}
  product: {assembler: product}
controls: [random, parents]
evaluators: [recognition, {use: clusters, methods: [kmeans], umap_figure: false}]
"""
"""The whole main job in about two seconds."""

TINY = """\
name: small
seed: 3
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 20}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 3, epochs: 1}
compositions: {product: {assembler: product}}
controls: [parents]
evaluators: [recognition]
"""
"""A run about which a test asks nothing but that it is one."""


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store of a module's tests: never the user's own, and nothing of other modules in it."""
    folder = tmp_path_factory.mktemp("store")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    yield folder
    os.environ.pop(VARIABLE)
    if before is not None:
        os.environ[VARIABLE] = before


@pytest.fixture(autouse=True)
def kept_threads() -> Iterator[None]:
    """No test, and nothing that it runs, changes how many threads torch has: results depend on it in the last place."""
    import torch

    before = torch.get_num_threads()
    yield
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert after == before, "torch's thread count was changed"


@pytest.fixture
def shared() -> Path:
    """Real data to test with; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("COMPOSER_SHARED", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is absent")
    return folder


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that holds nothing yet, for a test that rests on what is computed and what is kept."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own store"))


@pytest.fixture
def recipe_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a recipe and returns its path."""

    def write(text: str = SMALL) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """As many as there are cores for this process, and no more than fit into the memory of most machines."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


@pytest.fixture
def small_recipe(recipe_file: Callable[[str], Path]) -> Callable[..., Recipe]:
    """The small recipe, with `--set` changes."""
    path = recipe_file(SMALL)

    def read(*overrides: str) -> Recipe:
        return read_recipe(path, overrides)

    return read


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[EntryPoint]]:
    """Makes an installed distribution out of a module's source; returns all entry points made so far."""
    load_registry()  # kept for the whole process: it must not see what is made here
    site = tmp_path / "site"

    def make(name: str, source: str, entry: str = "extra", version: str = "1.0") -> list[EntryPoint]:
        module = name.replace("-", "_")
        home = site / f"{module}-{version}.dist-info"
        home.mkdir(parents=True)
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (home / "entry_points.txt").write_text(f"[composer]\n{entry} = {module}\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(str(site))
        return [point for found in distributions(path=[str(site)]) for point in found.entry_points]

    return make


@pytest.fixture(scope="session")
def composer_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Composer as it would be published."""
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building a wheel needs setuptools 77 or newer: pip install -e '.[dev]'")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def shared_environment(tmp_path_factory: pytest.TempPathFactory, composer_wheel: Path) -> Environment:
    """What `environment` hands to one test after the other; mypy knows composer and torch from the first one on."""
    return make_environment(tmp_path_factory.mktemp("clean") / "environment", composer_wheel)


@pytest.fixture
def environment(shared_environment: Environment) -> Iterator[Environment]:
    """A virtual environment with composer's wheel and no plugin but its own."""
    assert shared_environment.installed() == {"kernel-composer"}
    yield shared_environment
    shared_environment.clear()
