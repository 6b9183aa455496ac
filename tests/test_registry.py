from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from composer import ComposerError
from composer.registry import Registry, load_registry

Make = Callable[..., list[EntryPoint]]

GOOD = '''
from composer import Translator, hook

class Swap(Translator):
    """Swaps."""
    name = "swap"
    def translate(self, parents, run):
        return parents[0]

@hook
def composer_components():
    return [Swap]
'''


def test_every_built_in_plugin_loads_and_offers_something() -> None:
    for plugin in load_registry().plugins:
        if plugin.distribution == "kernel-composer":
            assert plugin.error is None, f"{plugin.name}: {plugin.error}"
            has_hooks_alone = plugin.name in ("english", "hub", "mlflow", "ray", "tensorboard")
            assert bool(plugin.components) != has_hooks_alone, f"{plugin.name}: {len(plugin.components)} components"


def test_a_third_partys_component_is_found(distribution: Make) -> None:
    registry = Registry(distribution("swap-plugin", GOOD))
    assert registry.find("translator", "swap").__name__ == "Swap"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def (", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (GOOD.replace("def composer_components", "def composer_componets"), "composer_componets"),
        (GOOD.replace('"""Swaps."""', ""), "Swap has no docstring"),
        (GOOD.replace('name = "swap"', ""), "Swap has no `name`"),
        (GOOD.replace("def translate", "def translat"), "Swap does not define translate"),
        (GOOD.replace("[Swap]", "[Swap()]"), "is no component class"),
        (GOOD.replace('name = "swap"', 'name = "swap"\n    epochs: int = 3'), "option 'epochs' has no description"),
    ],
)
def test_a_broken_plugin_is_listed_and_the_rest_work(distribution: Make, source: str, reason: str) -> None:
    distribution("good-plugin", GOOD.replace('"swap"', '"other"'))
    registry = Registry(distribution("bad-plugin", source))
    bad = next(plugin for plugin in registry.plugins if plugin.distribution == "bad-plugin")
    assert bad.error is not None
    assert reason in bad.error
    assert bad.components == ()
    assert registry.find("translator", "other").name == "other"


def test_an_unknown_name_mentions_the_broken_plugin_that_may_hold_it(distribution: Make) -> None:
    registry = Registry(distribution("bad-plugin", "import nothing_of_that_name"))
    with pytest.raises(ComposerError, match=r"bad-plugin:extra is broken and may hold it \(ModuleNotFoundError"):
        registry.find("translator", "swap")


def test_two_plugins_with_one_name_are_an_error_that_names_both(distribution: Make) -> None:
    distribution("first-plugin", GOOD)
    registry = Registry(distribution("second-plugin", GOOD))
    with pytest.raises(ComposerError, match=r"first-plugin.* and second-plugin"):
        registry.find("translator", "swap")


def test_two_distributions_may_use_the_same_entry_point_name(distribution: Make) -> None:
    distribution("first-plugin", GOOD)
    registry = Registry(distribution("second-plugin", GOOD.replace('"swap"', '"other"')))
    assert {plugin.title for plugin in registry.plugins} == {"first-plugin:extra", "second-plugin:extra"}
    assert registry.find("translator", "swap") is not registry.find("translator", "other")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ComposerError, match=r"no translator is called 'cyclegam'; did you mean 'cyclegan'\?"):
        load_registry().find("translator", "cyclegam")


def test_a_name_of_another_kind_is_said_to_be_one() -> None:
    with pytest.raises(ComposerError, match="'product' is the name of a component of kind assembler"):
        load_registry().find("translator", "product")


def test_without_docstrings_no_plugin_is_called_broken() -> None:
    code = "from composer.registry import load_registry; print([p.error for p in load_registry().plugins if p.error])"
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
