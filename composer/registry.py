"""Which plugins there are and what they offer. Built-in plugins are found the same way as anybody's."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from traceback import walk_tb
from types import ModuleType
from typing import Any

import pluggy

from composer import hookspecs
from composer.component import Component
from composer.errors import ComposerError
from composer.interfaces import INTERFACES
from composer.version import __version__

GROUP = "composer"
DISTRIBUTION = "kernel-composer"
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""Names of components; they become names of folders."""


@dataclass(frozen=True)
class Plugin:
    """One entry point; `error` says in a line why it is broken, and then it offers nothing."""

    name: str
    distribution: str
    version: str
    components: tuple[type[Component], ...] = ()
    error: str | None = None
    module: str = ""

    @property
    def title(self) -> str:
        return f"{self.distribution}:{self.name}"

    def __str__(self) -> str:
        return f"the plugin {self.name} ({self.distribution} {self.version})"


class Registry:
    """The components of all plugins, and the hooks that watch a run."""

    def __init__(self, found: Iterable[EntryPoint]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self.plugins = tuple(self._load(entry) for entry in sorted(found, key=_title))

    @property
    def hook(self) -> Any:
        """The hooks of all plugins and watchers, to be called."""
        return self._manager.hook

    def offering(self, component: type[Component]) -> Plugin | None:
        """The plugin that offers this very class; None for a class of no installed plugin."""
        return next((plugin for offered, plugin in self.components() if offered is component), None)

    def owner(self, watcher: object) -> Plugin | None:
        """The plugin whose module (or an object of it) implements hooks; None for an object of composer's own."""
        name = getattr(watcher, "__name__", None) or type(watcher).__module__
        return next((plugin for plugin in self.plugins if _inside(name, plugin)), None)

    def blamed(self, error: BaseException) -> list[Plugin]:
        """The plugins whose code an exception passed through, the one nearest to its cause first."""
        modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
        passed = (next((plugin for plugin in self.plugins if _inside(name, plugin)), None) for name in modules[::-1])
        return list(dict.fromkeys(plugin for plugin in passed if plugin))

    def bug(self, error: BaseException, component: Component | None = None) -> str:
        """`a bug in the plugin mine (my-plugin 0.3)`: where a bug may be, by the code that raised."""
        plugins = self.blamed(error)
        own = self.offering(type(component)) if component else None
        if not plugins and own:  # it was called in a way that it does not know
            plugins = [own]
        places = " or ".join(map(str, plugins)) or "composer or in a plugin"
        at = f", in {component.noun} {component.name!r}" if component else ""
        return f"a bug in {places}{at}"

    def watchers(self, event: str) -> list[object]:
        """All that implement one hook, in the order in which they are told."""
        return [implementation.plugin for implementation in reversed(getattr(self.hook, event).get_hookimpls())]

    def tell(self, watcher: object, event: str, facts: Mapping[str, Any]) -> None:
        """Calls one hook of one watcher alone."""
        others = [other for other in self.watchers(event) if other is not watcher]
        self._manager.subset_hook_caller(event, others)(**facts)

    def watch(self, watcher: object) -> None:
        """Lets an object with hook methods watch runs."""
        self._manager.register(watcher)
        self._manager.check_pending()

    def unwatch(self, watcher: object) -> None:
        self._manager.unregister(watcher)

    def components(self, kind: str | None = None) -> list[tuple[type[Component], Plugin]]:
        """All components, or those of one kind, each with the plugin that offers it."""
        return [
            (component, plugin)
            for plugin in self.plugins
            for component in plugin.components
            if kind in (None, component.kind)
        ]

    def named(self, name: str) -> list[type[Component]]:
        """The components of that name, of whatever kind."""
        return [component for component, _ in self.components() if component.name == name]

    def find(self, kind: str, name: str) -> type[Component]:
        """The component of that kind and name; ComposerError with the nearest names, or with both who offer it."""
        offers = [(component, plugin) for component, plugin in self.components(kind) if component.name == name]
        if len(offers) > 1:
            by = " and ".join(f"{plugin.distribution} (plugin {plugin.name!r})" for _, plugin in offers)
            raise ComposerError(f"{name!r} is offered by {by}; uninstall one of them")
        if offers:
            return offers[0][0]
        raise ComposerError(self._unknown(kind, name))

    def _unknown(self, kind: str, name: str) -> str:
        names = [component.name for component, _ in self.components(kind)]
        noun = next(interface.noun for interface in INTERFACES if interface.kind == kind)
        message = f"no {noun} is called {name!r}{nearest(name, names)}"
        elsewhere = sorted({component.kind for component in self.named(name)})
        if elsewhere:
            message += f" ({name!r} is the name of a component of kind {', '.join(elsewhere)})"
        broken = [plugin for plugin in self.plugins if plugin.error]
        if len(broken) == 1:
            message += f"; plugin {broken[0].title} is broken and may hold it ({broken[0].error})"
        elif broken:
            titles = ", ".join(plugin.title for plugin in broken)
            message += f"; broken plugins that may hold it: {titles} (`composer list-plugins` says why)"
        return message

    def _load(self, entry: EntryPoint) -> Plugin:
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "?"
        title = f"{distribution}:{entry.name}"
        try:
            # What a plugin prints while it is imported must not end up in `list-plugins --json`.
            with redirect_stdout(sys.stderr):
                _check_requirement(entry)
                module = entry.load()
                if getattr(module, "__file__", None) is None:
                    raise ComposerError(f"{entry.value} is a folder without a module")
                self._manager.register(module, name=title)
                self._check_hooks(module)
                components = _offered(module)
        # A plugin is somebody else's code and may raise anything; it must not take the others down.
        except (Exception, SystemExit) as error:
            if self._manager.has_plugin(title):
                self._manager.unregister(name=title)
            return Plugin(entry.name, distribution, version, error=_reason(error), module=entry.module)
        return Plugin(entry.name, distribution, version, components, module=entry.module)

    def _check_hooks(self, module: ModuleType) -> None:
        """Raises ComposerError for a module with a misspelt hook, or with none; called plugin by plugin."""
        known = [name for name in vars(hookspecs) if name.startswith("composer_")]
        for caller in self._manager.get_hookcallers(module) or ():
            if caller.name not in known:
                raise ComposerError(f"{caller.name} is no hook of composer{nearest(caller.name, known)}")
        if not self._manager.get_hookcallers(module) and not hasattr(module, "composer_components"):
            near = [name for name in vars(module) if name.startswith("composer")]
            met = f" (it has {', '.join(near)})" if near else ""
            raise ComposerError(f"{module.__name__} has no hook{met}; composer_components is what offers components")


def _inside(module: str, plugin: Plugin) -> bool:
    root = plugin.module.partition(".")[0]
    return module == root or module.startswith(f"{root}.")


def _check_requirement(entry: EntryPoint) -> None:
    """Raises ComposerError where a plugin's distribution asks for another version of composer than this one."""
    asked = [
        line
        for line in (entry.dist and entry.dist.requires) or ()
        if re.match(r"kernel[-_.]+composer", line, re.IGNORECASE)
    ]
    if entry.dist is None or entry.dist.name == DISTRIBUTION or not asked:
        return
    from packaging.requirements import Requirement  # only where somebody else's plugin is installed
    from packaging.utils import canonicalize_name

    for requirement in map(Requirement, asked):
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if (
            canonicalize_name(requirement.name) == DISTRIBUTION
            and applies
            and not requirement.specifier.contains(__version__, prereleases=True)
        ):
            raise ComposerError(
                f"it needs {requirement.name}{requirement.specifier}, and this is {__version__}; "
                f"pip install --upgrade {entry.dist.name} {requirement.name}"
            )


def _reason(error: BaseException) -> str:
    """Why a plugin is broken, on one line."""
    if isinstance(error, pluggy.PluginValidationError):  # says what is wrong on its last line
        return " ".join(str(error).split("\n")[1:])
    text = str(error) if isinstance(error, ComposerError) else f"{type(error).__name__}: {error}"
    return (text.splitlines() or [type(error).__name__])[0]


def _offered(module: ModuleType) -> tuple[type[Component], ...]:
    """The components that a plugin's module offers, looked at; ComposerError where one cannot be used."""
    if not hasattr(module, "composer_components"):
        return ()  # a plugin that only watches
    offered = module.composer_components()
    if not isinstance(offered, Iterable):
        raise ComposerError(f"composer_components gave {offered!r} in place of a list of component classes")
    components = tuple(offered)
    for component in components:
        check_component(component, module)
    names = [(component.kind, component.name) for component in components]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ComposerError(f"composer_components gave two components of kind {kind} with the name {name!r}")
    return components


def check_component(component: type[Component], module: ModuleType) -> None:
    """Raises ComposerError where a class cannot be used as a component."""
    if not (isinstance(component, type) and issubclass(component, Component)):
        raise ComposerError(f"composer_components gave {component!r}, which is no component class")
    if not issubclass(component, INTERFACES):
        raise ComposerError(f"{component.__name__} implements none of composer's interfaces")
    if "name" not in vars(component) or not component.name:
        raise ComposerError(f"{component.__name__} has no `name`")
    if not re.fullmatch(NAME, component.name):
        raise ComposerError(f"{component.__name__}: the name {component.name!r} is none that a recipe could write")
    if not component.summary() and sys.flags.optimize < 2:  # which takes all docstrings away
        raise ComposerError(f"{component.__name__} has no docstring")
    missing = sorted(component.__abstractmethods__)
    if missing:
        raise ComposerError(f"{component.__name__} does not define {', '.join(missing)}")
    bare = [option for option, field in component.model_fields.items() if not field.description]
    if bare:
        raise ComposerError(f"{component.__name__}: option {bare[0]!r} has no description")


MOST_NAMES = 30
"""Longest list of names that an error message writes out."""


def nearest(name: str, names: Sequence[str], count: int = 1) -> str:
    """`; did you mean 'epochs'?`, or the whole list where nothing is near and it is short."""
    close = get_close_matches(name, names, n=count)
    if close:
        return f"; did you mean {' or '.join(repr(found) for found in close)}?"
    known = sorted(set(names))
    return f"; there are {', '.join(known)}" if 0 < len(known) <= MOST_NAMES else ""


def _title(entry: EntryPoint) -> str:
    return f"{entry.dist.name if entry.dist else ''}:{entry.name}"


@cache
def load_registry() -> Registry:
    """The registry of what is installed, made once per process."""
    return Registry(entry_points(group=GROUP))
