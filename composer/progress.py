"""Progress of a run: bars in a terminal and in a notebook, plain lines elsewhere. A watcher like any plugin's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
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
SHORT = 0.1
"""Seconds below which a subject that was told of already is not told of again."""


def make_watcher(verbose: bool = False) -> BarWatcher | LineWatcher:
    """Bars where standard error is a terminal or a notebook that can draw them, otherwise plain lines."""
    console = make_console(error=True)
    if console.is_jupyter:
        draws = find_spec("ipywidgets") is not None
    else:
        draws = sys.stderr.isatty() and not console.is_dumb_terminal
    return BarWatcher(console, verbose) if draws else LineWatcher(console, verbose)


@contextmanager
def watching(registry: Registry, verbose: bool = False) -> Iterator[None]:
    """Shows progress of the stages that run meanwhile; verbose: a line for each of them."""
    with make_watcher(verbose) as watcher:
        registry.watch(watcher)
        try:
            yield
        finally:
            registry.unwatch(watcher)


class Lines:
    """A line for all stages of one subject (a concept, a composition), when the next one's turn has come.

    What was kept is told of in one line at the end. verbose: a line for each stage.
    """

    def __init__(self, console: Console, verbose: bool) -> None:
        self.console = console
        self.verbose = verbose
        self.stages: list[Stage] = []
        self.kept: dict[str, None] = {}
        self.said: set[str] = set()

    def add(self, stage: Stage) -> None:
        if self.verbose or stage.status == "failed":
            self._end_subject()
            self._say(stage_line(stage))
        elif stage.status == "kept":
            self.kept[stage.subject] = None
        else:
            if self.stages and self.stages[0].subject != stage.subject:
                self._end_subject()
            self.stages.append(stage)

    def end(self) -> None:
        """Says what is still to be said."""
        self._end_subject()
        kept = [subject for subject in self.kept if subject not in self.said]
        if kept:
            self._say(Text(f"kept, unchanged: {', '.join(kept)}", style="dim"))

    def _end_subject(self) -> None:
        stages, self.stages = self.stages, []
        if not stages:
            return
        subject, seconds = stages[0].subject, sum(stage.seconds for stage in stages)
        if seconds >= SHORT or subject not in self.said:
            self._say(subject_line(subject, seconds, stages))
        self.said.add(subject)

    def _say(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)


class LineWatcher:
    """Lines alone, as `Lines` says them."""

    def __init__(self, console: Console, verbose: bool = False) -> None:
        self.lines = Lines(console, verbose)

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lines.end()

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self.lines.add(stage)


class BarWatcher:
    """Bars for what is being done, and above them lines for what was done."""

    def __init__(self, console: Console, verbose: bool = False) -> None:
        self.lines = Lines(console, verbose)
        self.bars: dict[tuple[str, str], TaskID] = {}
        """Stage and what it counts -> bar; several stages run at once where there are workers."""
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
        self.bars["", ""] = self.progress.add_task("starting", total=None)  # importing torch takes seconds
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lines.end()
        self.progress.stop()

    @hook
    def composer_stage_started(self, stage: Stage) -> None:
        self._clear("")
        self._clear(_title(stage))
        self.bars[_title(stage), ""] = self.progress.add_task(_title(stage), total=None)

    @hook
    def composer_stage_progress(self, stage: Stage, what: str, done: int, total: int) -> None:
        title = _title(stage)
        if (title, what) not in self.bars:
            self._make_room(title)
            self.bars[title, what] = self.progress.add_task(f"{title}: {what}", total=total)
        self.progress.update(self.bars[title, what], completed=done, total=total)

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self._clear(_title(stage))
        self.lines.add(stage)

    def _make_room(self, title: str) -> None:
        """A stage's bar without a count gives way to its first with one, and its old bars to new ones."""
        own = [key for key in self.bars if key[0] == title]
        while (title, "") in own or len(own) >= MOST_BARS:
            self.progress.remove_task(self.bars.pop(own.pop(0)))

    def _clear(self, title: str) -> None:
        for key in [key for key in self.bars if key[0] == title]:
            self.progress.remove_task(self.bars.pop(key))


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f" {int(task.completed)}/{int(task.total)} ", justify="right")


class _TimeColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        elapsed = seconds_text(int(task.elapsed or 0)).replace(".0", "")
        if task.total is None or task.finished or task.time_remaining is None:
            return Text(elapsed)
        return Text(f"{elapsed}, {seconds_text(int(task.time_remaining)).replace('.0', '')} left")


def subject_line(subject: str, seconds: float, stages: Sequence[Stage]) -> Text:
    """`cyclegan   12 s  translate, assemble, pick, evaluate`, in columns, and what but `new` are the reasons."""
    done = dict.fromkeys(stage.name.partition(".")[0] for stage in stages)
    reasons = dict.fromkeys(stage.reason for stage in stages if stage.reason not in ("", "new"))
    because = f" ({'; '.join(reasons)})" if reasons else ""
    return Text(f"{subject:<23} {seconds_text(seconds):>9}  {', '.join(done)}{because}")


def stage_line(stage: Stage) -> Text:
    """`translate.cyclegan  12 s  computed (changed: options)`, in columns."""
    style = {"kept": "dim", "failed": "bold red"}.get(stage.status, "")
    outcome = f"{stage.status} ({stage.reason})" if stage.reason else stage.status
    return Text(f"{_title(stage):<42} {seconds_text(stage.seconds):>9}  {outcome}", style=style)


def stage_title(name: str, subject: str) -> str:
    """`population.black`, or `assemble.refit of cyclegan` where the name does not say for what."""
    return name if name.endswith(f".{subject}") else f"{name} of {subject}"


def _title(stage: Stage) -> str:
    return stage_title(stage.name, stage.subject)
