"""What a run shows of its progress: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from composer import progress
from composer.hookspecs import Stage
from composer.progress import MOST_BARS, BarWatcher, LineWatcher, stage_line


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_without_a_terminal_each_stage_may_be_one_plain_line() -> None:
    console = Console(file=StringIO(), width=60)
    with LineWatcher(console, verbose=True) as watcher:
        reason = "changed: options, inputs, and much else that makes this line long"
        watcher.composer_stage_finished(Stage("translate.cyclegan", "cyclegan", "computed", reason, 12.3))
        watcher.composer_stage_finished(Stage("evaluate.clusters", "cyclegan", "kept"))
    first, second = printed(console).splitlines()
    assert first.split("  ")[0] == "translate.cyclegan"
    assert first.endswith(f"12 s  computed ({reason})")
    assert second.startswith("evaluate.clusters of cyclegan ")
    assert second.endswith("kept")
    assert "\x1b" not in printed(console)


def test_all_that_is_done_for_one_composition_is_one_line() -> None:
    console = Console(file=StringIO(), width=60)
    with LineWatcher(console) as watcher:
        for stage in (
            Stage("population.cat", "cat", "computed", "new", 2.0),
            Stage("translate.cyclegan", "cyclegan", "computed", "changed: options", 12.3),
            Stage("images.test", "test", "kept"),
            Stage("evaluate.clusters", "cyclegan", "computed", "new", 0.7),
            Stage("kernels.cat", "cat", "computed", "new", 0.01),
            Stage("evaluate.clusters", "cat", "kept"),
            Stage("assemble.product", "product", "failed", "new", 1.0),
        ):
            watcher.composer_stage_finished(stage)
    assert [line.split() for line in printed(console).splitlines()] == [
        ["cat", "2.0", "s", "population"],
        ["cyclegan", "13", "s", "translate,", "evaluate", "(changed:", "options)"],
        ["assemble.product", "1.0", "s", "failed", "(new)"],
        ["kept,", "unchanged:", "test"],
    ]
    assert "\x1b" not in printed(console)


def test_a_failed_stage_says_so() -> None:
    assert stage_line(Stage("population.cat", "cat", "failed", "new", 1.0)).plain.endswith("failed (new)")


def terminal() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=80, color_system=None, _environ={"TERM": "xterm"})


def test_bars_say_what_is_done_and_how_far_it_is() -> None:
    console = terminal()
    stage = Stage("translate.cyclegan", "cyclegan")
    with BarWatcher(console) as watcher:
        watcher.composer_stage_started(stage)
        watcher.composer_stage_progress(stage, "conv1 epochs", 0, 40)
        watcher.composer_stage_progress(stage, "conv1 epochs", 3, 40)
        watcher.progress.refresh()
    assert "translate.cyclegan: conv1 epochs" in printed(console)
    assert "3/40" in printed(console)


def test_a_stage_shows_only_its_latest_bars_and_leaves_none_behind() -> None:
    stage = Stage("population.cat", "cat")
    with BarWatcher(terminal()) as watcher:
        watcher.composer_stage_started(stage)
        for step in range(3 * MOST_BARS):
            watcher.composer_stage_progress(stage, f"step {step}", 0, 2)
        shown = [task.description for task in watcher.progress.tasks]
        assert shown == [f"population.cat: step {step}" for step in range(2 * MOST_BARS, 3 * MOST_BARS)]
        watcher.composer_stage_finished(Stage("population.cat", "cat", "computed"))
        assert not watcher.progress.tasks


def test_what_was_kept_is_gathered_in_one_line_at_the_end() -> None:
    console = terminal()
    with BarWatcher(console) as watcher:
        watcher.composer_stage_finished(Stage("images.test", "test", "kept"))
        watcher.composer_stage_finished(Stage("population.cat", "cat", "kept"))
        watcher.composer_stage_finished(Stage("assemble.product", "product", "computed", "new", 2.0))
        watcher.composer_stage_finished(Stage("evaluate.clusters", "product", "kept"))
    text = printed(console)
    assert text.index("2.0 s  assemble") < text.index("kept, unchanged: test, cat")


@pytest.mark.parametrize(("widgets", "watcher"), [(object(), BarWatcher), (None, LineWatcher)])
def test_in_a_notebook_there_are_bars_where_it_can_draw_them(
    widgets: object, watcher: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Console(file=StringIO(), force_jupyter=True)
    monkeypatch.setattr(progress, "make_console", lambda **_: notebook)
    monkeypatch.setattr(progress, "find_spec", {"ipywidgets": widgets}.get)
    assert type(progress.make_watcher()) is watcher
