"""What every component promises, whatever it makes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from composer.errors import ComposerError
from composer.interfaces import Split
from composer.recipes.located_yaml import parse
from composer.recipes.slots import read_component
from composer.registry import check_component as check_class
from composer.registry import load_registry
from composer.running.boundary import faults
from composer.running.cache import StageCache
from composer.testing.observing import differing, fingerprint
from composer.testing.trial import MAIN, Check, Trial, raised

Find = Callable[[Trial], str | None]
IMPORT_SECONDS = 60
MOST_SHOWN = 200
"""Characters of a component's output that a message quotes."""


# -- the class -------------------------------------------------------------------------------


def described(trial: Trial) -> str | None:
    component = type(trial.component)
    try:
        check_class(component, importlib.import_module(component.__module__))
    except ComposerError as error:
        return f"{error}; `list-plugins` and `describe` show people nothing else"
    return None


def options_in_yaml(trial: Trial) -> str | None:
    """Options as a recipe's text, read as recipes are, must give an equal component."""
    component = trial.component
    try:
        text = yaml.safe_dump(component.options(), sort_keys=False, allow_unicode=True)
    except (TypeError, ValueError, yaml.YAMLError) as error:
        return f"they cannot be written: {raised(error)}; use options that YAML can hold: numbers, texts, lists, paths"
    try:
        again = read_component(type(component), parse(text, "options").data)
    except ComposerError as error:
        return f"what was written cannot be read: {error}; let validators accept what they give"
    if again == component:
        return None
    changed = [name for name in type(component).model_fields if getattr(again, name) != getattr(component, name)]
    met = ", ".join(f"{name} was {getattr(component, name)!r}, is {getattr(again, name)!r}" for name in changed)
    return f"{met}; let options stay as they were written, and convert them where they are used"


def without_torch(trial: Trial) -> str | None:
    """Seen for components of installed plugins alone: no other module is imported before a recipe is checked."""
    component = type(trial.component)
    if component not in [offered for offered, _ in load_registry().components()]:
        return None
    if not imports_torch(component.__module__):
        return None
    return (
        f"importing {component.__module__} imports torch, so `composer --help` and `composer check` take seconds; "
        "import it inside the method that needs it, and its names under `if TYPE_CHECKING:`"
    )


@cache
def imports_torch(module: str) -> bool:
    """Whether importing a module in a fresh interpreter imports torch; False where it cannot be imported there."""
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # the module is one that is loaded already
        [sys.executable, "-c", code], env=surroundings, capture_output=True, timeout=IMPORT_SECONDS, check=False
    )
    return done.returncode == 1 and not done.stderr


# -- the work --------------------------------------------------------------------------------


def works(trial: Trial) -> str | None:
    trial.value()
    return None


def same_bytes(trial: Trial) -> str | None:
    differs = differing(fingerprint(trial.value()), fingerprint(trial.value(again=True)))
    if not differs:
        return None
    return (
        f"two calls with seed {trial.observed().run.seed} differ in {_listed(differs)}; take all randomness from "
        "run.generator(), run.rng() or run.seed, none from the global random states"
    )


def inputs_untouched(trial: Trial) -> str | None:
    for case, seen in trial.observations():
        if seen.inputs:
            return (
                f"with {case.title}, the call changed {_listed(seen.inputs)} of what it was given; work on copies "
                "(clone(), +, replace()), and use no method that ends with _"
            )
    return None


def quiet(trial: Trial) -> str | None:
    for case, seen in trial.observations():
        if seen.output:
            return (
                f"with {case.title} it wrote {seen.output[:MOST_SHOWN]!r}; tell people by run.warn(...), show "
                "progress by run.progress(...), and silence the libraries that you call"
            )
    return None


def random_states_kept(trial: Trial) -> str | None:
    """Not judged by the first call: libraries that it imports, such as scikit-learn, draw numbers when loaded."""
    trial.observed()
    later = [(case, trial.observed(name, again=name == MAIN)) for name, case in trial.cases.items()]
    for case, seen in later:
        if seen.random_states:
            return (
                f"with {case.title} it changed the state of {_listed(seen.random_states)}; use run.generator() or "
                "run.rng(), or torch.random.fork_rng where a library knows no generator"
            )
    return None


def settings_kept(trial: Trial) -> str | None:
    for case, seen in trial.observations():
        if seen.settings:
            return (
                f"with {case.title} it changed {'; '.join(seen.settings)}; other components share the process: "
                "leave its settings alone, or put them back in a `finally`"
            )
    return None


def kept_on_disk(trial: Trial) -> str | None:
    """The result, its figures and warnings must go through the stage cache of a run unharmed."""
    value, run = trial.value(), trial.observed().run
    with tempfile.TemporaryDirectory() as folder:
        cache_of_run = StageCache(Path(folder))
        try:
            cache_of_run.store("check", "0" * 64, value, {"warnings": run.warnings}, run.figures)
        # Whatever the component gave is written here, and may be anything.
        except Exception as error:
            return f"it cannot be written: {raised(error)}; {_mend(error)}"
        try:
            again = cache_of_run.load("check", "0" * 64)
        except ComposerError as error:
            return f"it cannot be read again: {error}; install the plugin that offers its architecture"
        if again is None:
            return "it cannot be read again; give tensors, texts, numbers and lists of them"
        differs = differing(fingerprint(value), fingerprint(again))
        if type(again) is type(value) and not differs:
            return None
        return f"{_listed(differs)} came back different; give plain texts and tuples, and float32 or float64 numbers"


def _mend(error: Exception) -> str:
    if isinstance(error, ValueError) and "JSON" in str(error):
        return "figures and scores take finite numbers only"
    return "give composer's own data types, filled with tensors, texts, numbers and lists of them"


def one_member(trial: Trial) -> str | None:
    trial.value("one member")
    return None


def stored_tensors(tensors: Sequence[tuple[str, Tensor]]) -> str | None:
    """The first of some named tensors that has numbers that are not finite."""
    for name, tensor in tensors:
        if tensor.is_floating_point() and not tensor.isfinite().all():
            count = int((~tensor.isfinite()).sum())
            return (
                f"{count} of {tensor.numel()} numbers of {name} are NaN or infinite; look for divisions by zero and "
                "logarithms of zero, or raise a ComposerError that says what the inputs lack"
            )
    return None


def as_runs_ask(part: str, *further: Find) -> Find:
    """Looks in every case for what a run would refuse of a result, as far as it belongs to this check; then further."""

    def find(trial: Trial) -> str | None:
        for case, value in trial.worked():
            given: Any = case.inputs[0]
            split = given if isinstance(given, Split) else None
            inputs = given if isinstance(given, list) else case.inputs  # a translator's parents
            of, what = next(faults(trial.component, value, inputs, split), ("", ""))
            if of == part:
                return f"with {case.title} it gave {what}"
        return next(filter(None, (look(trial) for look in further)), None)

    return find


def own_names(trial: Trial) -> str | None:
    for case, value in trial.worked():
        if found := unique_names(value.members, "member"):
            return f"with {case.title}, {found}"
    return None


def unique_names(names: Sequence[object], of: str) -> str | None:
    """What is wrong with the names of members or pictures."""
    wrong = [name for name in names if not isinstance(name, str) or not name]
    if wrong:
        return f"{wrong[0]!r} names a {of}; give each {of} a text that is not empty"
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        return f"{_listed(repeated)} names more than one {of}; make every name unique, `<parent's member> A` say"
    return None


def _listed(parts: Sequence[str], most: int = 3) -> str:
    named = ", ".join(repr(part) for part in parts[:most])
    return named + (f" and {len(parts) - most} more" if len(parts) > most else "")


OF_THE_CLASS = (
    Check("described", "a docstring, and a description of every option", described),
    Check("options", "options survive being written to YAML and read back", options_in_yaml),
    Check("imports", "the module that declares it does not import torch", without_torch),
)
"""What can be seen without any work."""

OF_THE_WORK = (
    Check("seed", "same seed, same bytes", same_bytes),
    Check("inputs", "inputs stay untouched", inputs_untouched),
    Check("quiet", "nothing reaches the terminal", quiet),
    Check("random", "global random states stay as they are", random_states_kept),
    Check("settings", "torch's thread count and other global settings stay as they are", settings_kept),
    Check("cache", "the result and its figures survive being cached and read back", kept_on_disk),
)
"""What every verb keeps, whatever it gives."""

WORKS = Check("works", "works on the examples", works)
FINITE = Check("finite", "all numbers are finite", as_runs_ask("finite"))
MEMBERS = Check("members", "every member has a name of its own", as_runs_ask("members", own_names))
ONE_MEMBER = Check("one_member", "works for one member as for many", one_member)
