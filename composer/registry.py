"""Which plugins there are and what they offer. Built-in plugins are found the same way as anybody's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

import pluggy

from composer import hookspecs
from composer.errors import ComposerError
from composer.interfaces import INTERFACES, Component

GROUP = "composer"


@dataclass(frozen=True)
class Plugin:
    """One entry point; `error` says in a line why it is broken, and then it offers nothing."""

    name: str
    distribution: str
    version: str
    components: tuple[type[Component], ...] = ()
    error: str | None = None

    @property
    def title(self) -> str:
        return f"{self.distribution}:{self.name}"


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
            module = entry.load()
            if getattr(module, "__file__", None) is None:
                raise ComposerError(f"{entry.value} is a folder without a module")
            self._manager.register(module, name=title)
            # Unknown hook names are found plugin by plugin, so that one misspelling does not stop the rest.
            self._manager.check_pending()
            components = tuple(module.composer_components()) if hasattr(module, "composer_components") else ()
            for component in components:
                check_component(component, module)
        # A plugin is somebody else's code and may raise anything; it must not take the others down.
        except (Exception, SystemExit) as error:
            if self._manager.has_plugin(title):
                self._manager.unregister(name=title)
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return Plugin(entry.name, distribution, version, error=reason)
        return Plugin(entry.name, distribution, version, components)


def check_component(component: type[Component], module: ModuleType) -> None:
    """Raises ComposerError where a class cannot be used as a component."""
    if not (isinstance(component, type) and issubclass(component, Component)):
        raise ComposerError(f"composer_components gave {component!r}, which is no component class")
    if not issubclass(component, INTERFACES):
        raise ComposerError(f"{component.__name__} implements none of composer's interfaces")
    if "name" not in vars(component) or not component.name:
        raise ComposerError(f"{component.__name__} has no `name`")
    if not component.summary():
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
