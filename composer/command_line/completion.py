"""What a shell completes: recipes, and the names of components and plugins. The rest click does by itself."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Recipes that begin so, in this folder and the folders in it; where there are none, whatever the shell finds."""
    from click.shell_completion import CompletionItem

    begun = glob.escape(incomplete)
    # pathlib drops the `./` and the trailing `/` that a shell has to find again.
    found = [file for inside in ("*", "*/*") for file in glob.glob(f"{begun}{inside}.y*ml")]  # noqa: PTH207
    names = sorted(file for file in set(found) if Path(file).suffix in (".yaml", ".yml"))
    return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def components(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Components that begin so, with what they do."""
    from click.shell_completion import CompletionItem

    from composer.registry import load_registry

    offered = sorted({(found.name, found.summary()) for found, _ in load_registry().components()})
    return [CompletionItem(name, help=summary) for name, summary in offered if name.startswith(incomplete)]


def plugins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Plugins, distributions and components that begin so."""
    from click.shell_completion import CompletionItem

    from composer.registry import load_registry

    known = {name for plugin in load_registry().plugins for name in (plugin.name, plugin.distribution)}
    own = [CompletionItem(name) for name in sorted(known) if name.startswith(incomplete)]
    return own + [item for item in components(ctx, param, incomplete) if item.value not in known]
