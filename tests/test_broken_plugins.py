"""What a plugin can break, and what happens: the plugin and its distribution are named, and the rest goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from composer import ComposedModel, ComposerError, Population, Preprocessing, Split, hook
from composer.errors import PluginError
from composer.hookspecs import Stage
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import Plugin, Registry
from composer.running.boundary import first_fault
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.step import Step
from composer.running.store_folder import VARIABLE
from composer_cifar_resnet import PretrainedCifarResNet
from conftest import ROOT
from tiny import tiny_images, tiny_kernels, tiny_population

Make = Callable[..., list[EntryPoint]]

PLUGIN = '''
from composer import *

class Mine({interface}):
    """Breaks."""
    name = "mine"
    {body}

@hook
def composer_components():
    return [Mine]
'''
QUICK = """\
name: quick
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 16}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}
compositions:
  product: {assembler: product}
controls: []
evaluators: [EVALUATOR]
"""


def plugin(interface: str, *lines: str) -> str:
    """A plugin's source; the lines are its component's body, and those of its verb are indented."""
    return PLUGIN.format(interface=interface, body="\n    ".join(lines))


def translator(*lines: str) -> str:
    """A translator with a verb of these lines."""
    return plugin("Translator", "def translate(self, parents, run):", *(f"    {line}" for line in lines))


def sole(found: list[EntryPoint]) -> Plugin:
    (only,) = Registry(found).plugins
    return only


# -- while it is loaded ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("from composer import nothing_of_that_name", "ImportError: cannot import name 'nothing_of_that_name'"),
        ("from composer import Translator", "bad_plugin has no hook; composer_components is what offers components"),
        (
            "def composer_componets():\n    return []",
            "bad_plugin has no hook (it has composer_componets); composer_components is what offers components",
        ),
        (
            "from composer import hook\n@hook\ndef composer_stage_startet(stage): ...",
            "composer_stage_startet is no hook of composer; did you mean 'composer_stage_started'?",
        ),
        (
            "from composer import hook\n@hook\ndef composer_stage_started(stage, time): ...",
            "hookimpl definition: composer_stage_started(stage, time) Argument(s) {'time'} are declared in the "
            "hookimpl but can not be found in the hookspec",
        ),
        (
            "def composer_components():\n    return None",
            "composer_components gave None in place of a list of component classes",
        ),
        ("def composer_components():\n    raise RuntimeError", "RuntimeError: "),
        ("def composer_components():\n    exit(3)", "SystemExit: 3"),
        (
            translator("return parents[0]").replace("[Mine]", "[Mine, Mine]"),
            "composer_components gave two components of kind translator with the name 'mine'",
        ),
        (
            translator("return parents[0]").replace('"mine"', '"../mine"'),
            "Mine: the name '../mine' is none that a recipe could write",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_why_and_the_rest_work(
    distribution: Make, source: str, reason: str
) -> None:
    distribution("good-plugin", translator("return parents[0]"))
    registry = Registry(distribution("bad-plugin", source, version="0.3"))
    bad = registry.plugins[0]
    assert bad.error is not None
    assert bad.error.startswith(reason)
    assert str(bad) == "the plugin extra (bad-plugin 0.3)"
    assert registry.find("translator", "mine"), "the good plugin's"
    assert registry.watchers("composer_stage_started") == [], "nothing of a broken plugin is told of runs"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (
            "kernel-composer>=99",
            "it needs kernel-composer>=99, and this is 0.1.0; pip install --upgrade mine kernel-composer",
        ),
        ("Kernel_Composer<0.1", "it needs Kernel_Composer<0.1, and this is 0.1.0; "),
        ("kernel-composer>=0.1", None),
        ("kernel-composer>=99; extra == 'later'", None),
        ("kernel-composer-tools>=99", None),
        ("torch", None),
    ],
)
def test_a_plugin_that_needs_another_version_of_composer_is_broken(
    distribution: Make, tmp_path: Path, asked: str, reason: str | None
) -> None:
    found = distribution("mine", translator("return parents[0]"))
    with (tmp_path / "site" / "mine-1.0.dist-info" / "METADATA").open("a", encoding="utf-8") as metadata:
        metadata.write(f"Requires-Dist: {asked}\n")
    error = sole(found).error
    if reason is None:
        assert error is None
    else:
        assert error is not None
        assert error.startswith(reason)


def test_what_a_plugin_prints_while_it_is_imported_is_not_on_standard_output(
    distribution: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sole(distribution("mine", "print('hello')\n" + translator("return parents[0]"))).error is None
    assert capsys.readouterr() == ("", "hello\n")


# -- while it works ----------------------------------------------------------------------------


class Bench:
    """One component of the plugin `my-plugin 0.3` at work, as a step of a run."""

    def __init__(self, make: Make, folder: Path) -> None:
        self.make = make
        self.engine: Engine | None = None
        self.folder = folder

    def __call__(self, source: str, *given: Any, **about: Any) -> Any:
        registry = Registry(self.make("my-plugin", source, entry="mine", version="0.3"))
        ((kind, _),) = registry.components()
        component = kind()
        self.engine = Engine(StageCache(self.folder / "stages"), "cpu", registry)
        inputs = tuple(
            Step(f"given.{index}", "merged", component, "bare_verbs:given", 0) for index in range(len(given))
        )
        self.engine.results = {step.key: value for step, value in zip(inputs, given, strict=True)}
        split = Split(tuple(about["concepts"]), about["concept"]) if "concepts" in about else None
        step = Step(
            f"{kind.kind}.mine", "merged", component, f"bare_verbs:{kind.kind}", 0, inputs, about=about, split=split
        )
        try:
            return self.engine.result(step)
        finally:
            self.status = self.engine.finished[step.key].status if step.key in self.engine.finished else None
            self.facts = self.engine.cache.facts(step.name, step.key)


@pytest.fixture
def work(distribution: Make, tmp_path: Path) -> Bench:
    return Bench(distribution, tmp_path)


BLACK, CAT = tiny_kernels("black"), tiny_kernels("cat", seed=1)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("return None", "None in place of KernelSet"),
        ("return dict(first.layers)", "a dict in place of KernelSet"),
        ("return KernelSet('x', {}, ('a',))", "kernels of no layer"),
        ("return KernelSet('x', {n: t[:0] for n, t in first.layers.items()}, ())", "kernels without members"),
        (
            "return KernelSet('x', {n: t / 0 for n, t in first.layers.items()}, first.members)",
            "kernels in which 'conv1' has NaN or infinity (450 of 450 numbers)",
        ),
        (
            "return KernelSet('x', {n: t[..., :3] for n, t in first.layers.items()}, first.members)",
            "kernels of 'conv1' that are [2, 3, 5, 3] for each member; 'black' has them [2, 3, 5, 5]",
        ),
        (
            "return KernelSet('x', {'conv1': first.layers['conv1']}, first.members)",
            "kernels of 'conv2' that are absent for each member; 'black' has them [3, 2, 5, 5]",
        ),
        (
            "return KernelSet('x', {n: t.double() for n, t in first.layers.items()}, first.members)",
            "kernels of 'conv1' that are torch.float64, not torch.float32",
        ),
        (
            "return KernelSet('x', {n: t.clone().requires_grad_() for n, t in first.layers.items()}, first.members)",
            "kernels in which 'conv1' still requires a gradient; detach it",
        ),
        ("return KernelSet('x', {n: t.numpy() for n, t in first.layers.items()}, first.members)", "is a ndarray, not"),
        ("return KernelSet('x', first.layers, (1, 2, 3))", "kernels with a member that is named by no text: 1, 2, 3"),
    ],
)
def test_wrong_kernels_are_refused_and_not_kept(work: Bench, line: str, fault: str) -> None:
    with pytest.raises(ComposerError, match=re.escape(fault)) as raised:
        work(translator("first = parents[0]", line), BLACK, CAT)
    assert str(raised.value).startswith("translator.mine for merged: the plugin mine (my-plugin 0.3) returned ")
    assert work.status == "failed"
    assert work.facts is None, "a wrong result is not kept"


def test_kernels_may_have_the_layers_of_any_parent_and_any_number_of_members(work: Bench) -> None:
    other = tiny_kernels("cat", members=1)
    other = type(other)("cat", {"conv1": other.layers["conv1"]}, other.members)
    assert len(work(translator("return parents[1]"), BLACK, other)) == 1


@pytest.mark.parametrize(
    ("source", "given", "about", "fault"),
    [
        (
            plugin("ImageSource", "def load(self, split, run):", "    return []"),
            (),
            {"concepts": ["black", "cat"], "concept": None},
            "a list in place of Images",
        ),
        (
            plugin(
                "ImageSource",
                "def load(self, split, run):",
                "    from tiny import tiny_images",
                "    return tiny_images()",
            ),
            (),
            {"concepts": ["black", "dog"], "concept": None},
            "pictures of test labelled with black, cat; asked for are black, dog",
        ),
        (
            plugin(
                "ImageSource",
                "def load(self, split, run):",
                "    from tiny import tiny_images",
                "    return tiny_images().select([0, 1])",
            ),
            (),
            {"concepts": ["black", "cat"], "concept": None},
            "pictures made by a function, which cannot be kept: give pixels or a FileDecoder",
        ),
        (
            plugin(
                "KernelExtractor",
                "def extract(self, population, run):",
                "    from tiny import tiny_kernels",
                "    return tiny_kernels('cat')",
            ),
            (tiny_population("black"),),
            {},
            "kernels of members cat 0, cat 1, cat 2; the population has black 0, black 1, black 2",
        ),
        (
            plugin("Assembler", "def assemble(self, kernels, parents, run):", "    return parents[0]"),
            (tiny_population(),),
            {},
            "a Population in place of ComposedModel",
        ),
        (
            plugin(
                "Assembler",
                "def assemble(self, kernels, parents, run):",
                "    from dataclasses import replace",
                "    weights = {**parents[0].weights, 'fc1.bias': parents[0].weights['fc1.bias'] * float('nan')}",
                "    return ComposedModel((replace(parents[0], weights=weights),), parents[0].members)",
            ),
            (tiny_population(),),
            {},
            "a population of 'black' in which 'fc1.bias' has NaN or infinity (6 of 6 numbers)",
        ),
        (
            plugin("Evaluator", "def evaluate(self, model, images, run):", "    return {}"),
            (ComposedModel((tiny_population(),), ("a", "b", "c")), tiny_images()),
            {},
            "a dict in place of Report",
        ),
        (
            plugin(
                "Evaluator",
                "def evaluate(self, model, images, run):",
                "    import numpy",
                "    return Report({'auc': Score(numpy.array([0.5, numpy.nan, 0.1]))})",
            ),
            (ComposedModel((tiny_population(),), ("a", "b", "c")), tiny_images()),
            {},
            "values of score 'auc' with NaN or infinity (1 of 3 numbers)",
        ),
        (
            plugin(
                "Evaluator",
                "def evaluate(self, model, images, run):",
                "    import numpy",
                "    return Report({'auc': Score(numpy.array([0.5]))})",
            ),
            (ComposedModel((tiny_population(),), ("a", "b", "c")), tiny_images()),
            {},
            "1 values of score 'auc' for a model of 3 members",
        ),
    ],
)
def test_wrong_results_of_the_other_kinds_are_refused(
    work: Bench, source: str, given: tuple[Any, ...], about: Mapping[str, Any], fault: str
) -> None:
    with pytest.raises(ComposerError, match=re.escape(f"the plugin mine (my-plugin 0.3) returned {fault}")):
        work(source, *given, **about)
    assert work.facts is None


MODELS = """\
@property
    def network(self):
        from tiny import ARCHITECTURE
        return ARCHITECTURE
    def load(self, concept, run):
        from dataclasses import replace
        from tiny import tiny_population
        population = tiny_population(concept)
        weights = dict(population.weights)"""


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ("return replace(population, outputs=(2,))", "that means outputs 2; its head has 0 to 1"),
        (
            "del weights['fc1.weight']\n        return replace(population, weights=weights)",
            "with outputs 0 and without the head 'fc1'",
        ),
        (
            "weights['conv1.weight'] = weights['conv1.weight'][:, :1]\n"
            "        return replace(population, weights=weights)",
            "whose members do not fit architecture 'cnn': 'conv1.weight' is [1, 3, 5, 5] instead of [2, 3, 5, 5]",
        ),
        (
            "weights['more'] = weights['conv1.bias']\n        return replace(population, weights=weights)",
            "whose members do not fit architecture 'cnn': left over: more",
        ),
        (
            "from composer_cnn import CNN\n        return tiny_population(concept, architecture=CNN(size=32))",
            "of architecture {'use': 'cnn', 'filters': [6, 16], 'kernel_size': 5, 'size': 32}; its `network` is ",
        ),
    ],
)
def test_a_population_that_does_not_fit_its_network_is_refused(work: Bench, lines: str, fault: str) -> None:
    source = plugin("ModelSource", *f"{MODELS}\n        {lines}".replace("\n    ", "\n").split("\n"))
    with pytest.raises(ComposerError, match=re.escape(f"(my-plugin 0.3) returned a population of 'black' {fault}")):
        work(source)


def test_a_population_need_not_have_the_counts_of_batch_norms_steps() -> None:
    source = PretrainedCifarResNet(weights=Path("none.th"))
    state = source.network.build(10).state_dict()
    weights = {name: tensor[None] for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert len(weights) < len(state)
    preprocessing = Preprocessing(32)
    population = Population("cat", source.network, weights, ("cat 0",), preprocessing, (3,))
    assert first_fault(source, population, (), None) is None


def test_running_out_of_memory_is_nobodys_bug(work: Bench) -> None:
    with pytest.raises(ComposerError, match="this machine has no memory left: take fewer or smaller networks") as said:
        work(translator("raise MemoryError()"), BLACK, CAT)
    assert not isinstance(said.value, PluginError)
    assert work.status == "failed"


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        ("ValueError('odd')", ValueError),
        ("SystemExit(0)", SystemExit),
        ("BrokenPipeError()", BrokenPipeError),
        ("__import__('asyncio').CancelledError()", BaseException),
        ("(lambda: 1 / 0)()", ZeroDivisionError),
    ],
)
def test_whatever_a_component_raises_is_a_bug_of_its_plugin(
    work: Bench, raised: str, cause: type[BaseException]
) -> None:
    with pytest.raises(PluginError) as caught:
        work(translator(f"raise {raised}"), BLACK)
    assert str(caught.value) == (
        "translator.mine for merged: this is a bug in the plugin mine (my-plugin 0.3), in translator 'mine'"
    )
    assert isinstance(caught.value.__cause__, cause)
    assert work.status == "failed"


def test_a_verb_that_takes_other_arguments_is_a_bug_of_its_plugin(work: Bench) -> None:
    with pytest.raises(PluginError, match=re.escape("a bug in the plugin mine (my-plugin 0.3), in translator 'mine'")):
        work(translator("return parents[0]").replace("parents, run", "parents"), BLACK)


def test_a_components_own_error_for_people_stays_one(work: Bench) -> None:
    with pytest.raises(ComposerError, match=r"^translator.mine for merged: too few members$"):
        work(translator("raise ComposerError('too few members')"), BLACK)


def test_what_a_component_prints_goes_to_standard_error_and_is_named_in_the_report(
    work: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    work(translator("print('hello')", "return parents[0]"), BLACK)
    assert capsys.readouterr() == ("", "hello\n")
    assert work.facts is not None
    assert work.facts["warnings"] == ["the plugin mine (my-plugin 0.3) printed, which only the command should: 'hello'"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("run.figure('../../outside', Lines('', {}, '', ''))", "figure under the name '../../outside', which is none"),
        ("run.figure('/outside', Lines('', {}, '', ''))", "figure under the name '/outside', which is none"),
        ("run.figure('mine', {})", "recorded a dict as figure 'mine'"),
        ("run.warn(3)", "warned with a int in place of a text"),
    ],
)
def test_what_a_component_records_stays_in_the_runs_folder(work: Bench, line: str, fault: str) -> None:
    with pytest.raises(ComposerError, match=re.escape(fault)) as raised:
        work(translator(line, "return parents[0]"), BLACK)
    assert "the plugin mine (my-plugin 0.3) " in str(raised.value)
    assert [path.name for path in work.folder.iterdir() if path.name != "site"] == ["stages"]


# -- while it watches --------------------------------------------------------------------------

WATCHES = """
from composer import hook, ComposerError
told = []
"""


class Counts:
    """Another watcher, which must be told of everything."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self.events.append(stage.name)

    @hook
    def composer_run_finished(self) -> None:
        self.events.append("run")


@pytest.mark.parametrize("event", ["stage_started", "stage_progress", "stage_finished", "run_finished"])
def test_a_watcher_that_raises_is_named_once_and_loses_nothing(
    distribution: Make, tmp_path: Path, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = f"{WATCHES}\n@hook\ndef composer_{event}():\n    told.append(1)\n    raise ValueError('odd')\n"
    registry = Registry(distribution("my-plugin", source, entry="mine", version="0.3"))
    counts = Counts()
    registry.watch(counts)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(QUICK.replace("EVALUATOR", "recognition"), encoding="utf-8")
    report = run_recipe(read_recipe(recipe), tmp_path / "run", "cpu", registry=registry, store=tmp_path / "store")
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == report
    assert counts.events[-3:] == ["evaluate.recognition", "page", "run"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the plugin mine (my-plugin 0.3) failed in composer_{event} and is told nothing more of this run, "
        "which goes on: odd"
    )
    assert record.exc_info is not None, "its author needs the traceback"
    assert len(sys.modules["my_plugin"].told) == 1


# -- from the command line ---------------------------------------------------------------------

RAISES = plugin("Evaluator", "def evaluate(self, model, images, run):", "    raise ValueError('odd')")
HANGS = plugin(
    "Evaluator",
    "def evaluate(self, model, images, run):",
    "    import pathlib, time",
    "    pathlib.Path('runs/hanging').touch()",
    "    while True:",
    "        time.sleep(0.1)",
)


LISTENING = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from composer.command_line.cli import main
main()
"""


def command(folder: Path) -> subprocess.Popen[str]:
    """`composer run` of a recipe that uses the plugin, in a process that sees it installed."""
    (folder / "recipe.yaml").write_text(QUICK.replace("EVALUATOR", "mine"), encoding="utf-8")
    return subprocess.Popen(
        # Where the tests run in the background, the shell has told them to ignore Ctrl-C, and they would hand that on.
        [sys.executable, "-c", LISTENING, "run", "recipe.yaml", "--device", "cpu"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_shows_a_plugins_bug_with_its_traceback_and_names_it(distribution: Make, tmp_path: Path) -> None:
    distribution("my-plugin", RAISES, entry="mine", version="0.3")
    process = command(tmp_path)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "ValueError: odd" in said
    assert said.splitlines()[-1] == (
        "error: composition 'product': evaluate.mine for product: this is a bug in the plugin mine (my-plugin 0.3), "
        "in evaluator 'mine': please report it with the lines above"
    )


def test_ctrl_c_ends_a_component_that_hangs_and_what_was_finished_is_kept(
    distribution: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution("my-plugin", HANGS, entry="mine", version="0.3")
    stages = tmp_path / "runs" / "quick" / "stages"
    monkeypatch.setenv(VARIABLE, str(stages))
    process = command(tmp_path)
    until = time.monotonic() + 300
    while not (tmp_path / "runs" / "hanging").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.endswith(
        "stopped in the plugin mine (my-plugin 0.3); what was finished is kept; run the same command to go on\n"
    )
    assert "Traceback" not in said
    assert list(stages.glob("population.cat-*"))
    assert not list(stages.glob(".part-*"))
