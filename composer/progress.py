"""Progress of a run: bars in a terminal, plain lines elsewhere. A watcher like any plugin's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column as RichColumn
from rich.text import Text

from composer.hookspecs import Stage, hook
from composer.registry import Registry
from composer.text import make_console, seconds_text

MOST_BARS = 4
"""Bars shown at once for one stage."""


def make_watcher() -> BarWatcher | LineWatcher:
    """Bars where standard error is a terminal that can draw them, otherwise plain lines."""
    console = make_console(error=True)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return BarWatcher(console)
    return LineWatcher(console)


@contextmanager
def watching(registry: Registry) -> Iterator[None]:
    """Shows progress of the stages that run meanwhile."""
    with make_watcher() as watcher:
        registry.watch(watcher)
        try:
            yield
        finally:
            registry.unwatch(watcher)


class LineWatcher:
    """One line for each stage that ends."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self.console.print(stage_line(stage), soft_wrap=True)


class BarWatcher:
    """Bars for what is being done, and above them a line for each stage that was computed.

    Stages that were kept are gathered in one line, which would else be most of the screen.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.kept: list[str] = []
        self.bars: dict[str, TaskID] = {}
        self.progress = Progress(
            SpinnerColumn("line"),
            TextColumn(
                "{task.description}", table_column=RichColumn(ratio=1, no_wrap=True, overflow="ellipsis"), markup=False
            ),
            BarColumn(bar_width=max(10, min(30, console.width // 5))),
            _CountColumn(),
            _TimeColumn(),
            console=console,
            expand=True,
            transient=True,
            refresh_per_second=5,  # more takes time from the work itself
        )

    def __enter__(self) -> BarWatcher:
        self.bars[""] = self.progress.add_task("starting", total=None)  # importing torch takes seconds
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say_kept()
        self.progress.stop()

    @hook
    def composer_stage_started(self, stage: Stage) -> None:
        self._clear()
        self.bars[""] = self.progress.add_task(_title(stage), total=None)

    @hook
    def composer_stage_progress(self, stage: Stage, what: str, done: int, total: int) -> None:
        if what not in self.bars:
            self._make_room()
            self.bars[what] = self.progress.add_task(f"{_title(stage)}: {what}", total=total)
        self.progress.update(self.bars[what], completed=done, total=total)

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self._clear()
        if stage.status == "kept":
            self.kept.append(_title(stage))
            return
        self._say_kept()
        self.console.print(stage_line(stage), soft_wrap=True)

    def _make_room(self) -> None:
        """The bar without a count gives way to the first with one, and old bars to new ones."""
        while "" in self.bars or len(self.bars) >= MOST_BARS:
            oldest = "" if "" in self.bars else next(iter(self.bars))
            self.progress.remove_task(self.bars.pop(oldest))

    def _clear(self) -> None:
        for bar in self.bars.values():
            self.progress.remove_task(bar)
        self.bars.clear()

    def _say_kept(self) -> None:
        if self.kept:
            count = f"{len(self.kept)} stages" if len(self.kept) > 1 else "1 stage"
            self.console.print(Text(f"kept {count}, unchanged: {', '.join(self.kept)}", style="dim"))
            self.kept.clear()


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f" {int(task.completed)}/{int(task.total)} ", justify="right")


class _TimeColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        elapsed = seconds_text(int(task.elapsed or 0)).replace(".0", "")
        if task.total is None or task.finished or task.time_remaining is None:
            return Text(elapsed)
        return Text(f"{elapsed}, {seconds_text(int(task.time_remaining)).replace('.0', '')} left")


def stage_line(stage: Stage) -> Text:
    """`translate.cyclegan  12 s  computed (changed: options)`, in columns."""
    style = {"kept": "dim", "failed": "bold red"}.get(stage.status, "")
    outcome = f"{stage.status} ({stage.reason})" if stage.reason else stage.status
    return Text(f"{_title(stage):<42} {seconds_text(stage.seconds):>9}  {outcome}", style=style)


def _title(stage: Stage) -> str:
    return stage.name if stage.name.endswith(f".{stage.subject}") else f"{stage.name} of {stage.subject}"
