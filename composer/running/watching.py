"""Telling the watchers of a run what happens; one that fails is named, and the run goes on without it."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from composer.errors import ComposerError
from composer.registry import Registry

log = logging.getLogger("composer")


class Watchers:
    """All that watch one run. A hook is called by its name, as pluggy does it: `watchers.composer_stage_started(...)`.

    A watcher that raises is logged with the name of its plugin and told nothing more of this run: what somebody
    else does with a result must not lose it. Ctrl-C is let through.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._failed: set[object] = set()

    def __getattr__(self, event: str) -> Any:
        return partial(self._tell, event)

    def _tell(self, event: str, **facts: Any) -> None:
        for watcher in self._registry.watchers(event):
            if watcher not in self._failed:
                try:
                    self._registry.tell(watcher, event, facts)
                except (Exception, SystemExit) as error:
                    self._failed.add(watcher)
                    self._log(watcher, event, error)

    def _log(self, watcher: object, event: str, error: BaseException) -> None:
        plugin = self._registry.owner(watcher)
        name = str(plugin) if plugin else f"the watcher {type(watcher).__name__}"
        message = f"{name} failed in {event} and is told nothing more of this run, which goes on: {error}"
        log.error(message, exc_info=None if isinstance(error, ComposerError) else error)
