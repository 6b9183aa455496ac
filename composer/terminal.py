"""What people see: errors, progress while a run goes on, and the table at its end."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, TextIO

from pydantic.fields import FieldInfo
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column as RichColumn
from rich.table import Table
from rich.text import Text

from composer.errors import ComposerError, RecipeError
from composer.hookspecs import Stage, hook
from composer.interfaces import Component

PIPED_WIDTH = 100
"""Columns of a table that goes to a file or another program."""
MOST_BARS = 4
"""Bars shown at once for one stage."""


def make_console(*, error: bool = False, width: int | None = None) -> Console:
    """A console on standard output or standard error; no colours of its own, and wide where there is no terminal."""
    stream: TextIO = sys.stderr if error else sys.stdout
    console = Console(stderr=error, highlight=False, markup=False, emoji=False)
    if width is not None:
        console.width = width
    elif not stream.isatty():
        console.width = max(PIPED_WIDTH, console.width)
    return console


def print_error(error: ComposerError | str) -> None:
    """Writes `error: ...` to standard error; each problem of a recipe on a line that begins with its place."""
    console = make_console(error=True)
    prefix = Text("error: ", style="bold red")
    if not isinstance(error, RecipeError):
        console.print(prefix + Text(str(error)), soft_wrap=True)
        return
    count = len(error.problems)
    console.print(prefix + Text(f"the recipe has {count} problem{'s' if count > 1 else ''}"), soft_wrap=True)
    for problem in error.problems:
        where = Text(f"{problem.where}: " if problem.where else "", style="bold")
        rest = ": ".join(part for part in (problem.option, problem.message) if part)
        console.print(where + Text(rest), soft_wrap=True)


def seconds_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


# Progress


def make_watcher() -> BarWatcher | LineWatcher:
    """Bars where standard error is a terminal that can draw them, otherwise plain lines."""
    console = make_console(error=True)
    if sys.stderr.isatty() and not console.is_dumb_terminal:
        return BarWatcher(console)
    return LineWatcher(console)


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


# The table at the end of a run

Statistic = Literal["picked", "interval", "median", "best"]


@dataclass(frozen=True)
class ScoreColumn:
    """One column of the table: which number of which score."""

    score: str
    header: str
    title: str
    """What a sentence calls it."""
    statistic: Statistic = "picked"

    def width(self, arms: Iterable[Mapping[str, Any]]) -> int:
        """Characters that the longest of its cells and of the lines of its header has."""
        return max(len(text) for text in [*self.header.split("\n"), *(self.cell(arm["scores"]) for arm in arms)])

    def cell(self, scores: Mapping[str, Any]) -> str:
        """The number of one composition; a dash where it has none, a dagger where labels were fitted to."""
        score = scores.get(self.score, {})
        if self.statistic == "interval":
            return interval_text(score) or "-"
        text = number(score.get(self.statistic))
        return f"{text}†" if text != "-" and score.get("labels") == "fitting" else text


MAIN_COLUMNS = (
    ScoreColumn("recognition.auc", "AUC", "AUC"),
    ScoreColumn("recognition.auc", "95%\ninterval", "AUC", "interval"),
    ScoreColumn("recognition.auc_hardest_cell", "AUC,\nhardest\ncell", "AUC of the hardest cell"),
    ScoreColumn("recognition.accuracy", "accu-\nracy", "accuracy"),
    ScoreColumn("clusters.kmeans.accuracy", "K-means\nmedian", "K-means accuracy", "median"),
    ScoreColumn("clusters.kmeans.accuracy", "best*", "K-means accuracy", "best"),
    ScoreColumn("clusters.one_class_svm.accuracy", "one-class\nSVM", "accuracy of the one-class SVM"),
)
LONGEST_NAME = 23
"""Characters of a composition's name that the table keeps on one line where it can."""


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is missing."""
    return "-" if value is None else f"{value:.3f}"


def interval_text(score: Mapping[str, Any]) -> str:
    """`0.981-0.995`, or nothing where there is no interval."""
    interval = score.get("interval")
    return f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else ""


def count_text(count: int) -> str:
    """At most six characters: `5,142`, `388 k`, `4.65 M`."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.3g} M"


def count_headers(width: int) -> tuple[str, str]:
    return ("members", "parameters") if width >= PIPED_WIDTH else ("mem-\nbers", "para-\nmeters")


def choose_columns(compositions: Mapping[str, Any], width: int) -> list[ScoreColumn]:
    """What of the main scores, and then of all other accuracies, any composition has and `width` has room for.

    Where there are none of these, the first scores of the report.
    """
    names = list(dict.fromkeys(name for arm in compositions.values() for name in arm["scores"]))
    known = {column.score for column in MAIN_COLUMNS}
    wanted = [column for column in MAIN_COLUMNS if column.score in names]
    wanted += [_plain_column(name) for name in names if name not in known and name.endswith("accuracy")]
    wanted = wanted or [_plain_column(name) for name in names]
    longest = max((len(name) + 2 for name in compositions), default=0)
    room = width - min(longest, LONGEST_NAME)
    for header, key in zip(count_headers(width), ("members", "parameters"), strict=True):
        texts = [*header.split("\n"), *(count_text(arm[key]) for arm in compositions.values())]
        room -= max(len(text) for text in texts) + 1
    columns: list[ScoreColumn] = []
    for column in wanted:
        room -= column.width(compositions.values()) + 1
        if room < 0:
            break
        columns.append(column)
    return columns


def _plain_column(name: str) -> ScoreColumn:
    words = name.replace(".", " ").replace("_", " ")
    return ScoreColumn(name, "\n".join(textwrap.wrap(words, 9, break_long_words=False)), name)


def results_table(report: Mapping[str, Any], width: int) -> Table:
    """A row per composition, then one per control."""
    compositions = report["compositions"]
    columns = choose_columns(compositions, width)
    table = _plain_table()
    table.add_column("composition", overflow="fold")
    for header in count_headers(width):
        table.add_column(header, justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column.header, justify="right", no_wrap=True)
    for name, arm in compositions.items():
        if not arm["control"]:
            table.add_row(name, *_cells(arm, columns))
    controls = [(name, arm) for name, arm in compositions.items() if arm["control"]]
    if controls:
        table.add_section()
        table.add_row("controls:")
    for name, arm in controls:
        table.add_row(f"  {name}", *_cells(arm, columns), style="dim")
    return table


def _plain_table() -> Table:
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)


def _cells(arm: Mapping[str, Any], columns: Sequence[ScoreColumn]) -> list[str]:
    return [
        count_text(arm["members"]),
        count_text(arm["parameters"]),
        *(column.cell(arm["scores"]) for column in columns),
    ]


def footnotes(report: Mapping[str, Any], width: int) -> list[str]:
    """What the marks of the table mean, as far as it shows any, and how much more the report holds."""
    compositions = report["compositions"]
    columns = choose_columns(compositions, width)
    notes = []
    if any(column.statistic == "best" for column in columns):
        notes.append("* best member of all by K-means accuracy, chosen with the test labels: luck, not expectation")
    if any("†" in column.cell(arm["scores"]) for column in columns for arm in compositions.values()):
        notes.append("† fitted with test labels, not only scored with them")
    shown = {column.score for column in columns}
    more = len({name for arm in compositions.values() for name in arm["scores"]} - shown)
    if more:
        notes.append(f"{more} more score{'s' if more > 1 else ''} in report.json")
    return notes


def verdicts(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What the table says, in sentences.

    pairs: (composition of translated kernels, the control that puts random kernels in their place).
    """
    compositions = report["compositions"]
    sentences = [best_sentence(compositions), *(kernels_sentence(compositions, *pair) for pair in pairs)]
    return [sentence for sentence in sentences if sentence]


def best_sentence(compositions: Mapping[str, Any]) -> str:
    """Which composition is best, by the member picked without labels, and whether it is above the best control."""
    made = {name: arm for name, arm in compositions.items() if not arm["control"]}
    controls = {name: arm for name, arm in compositions.items() if arm["control"]}
    column = next((c for c in MAIN_COLUMNS if any(c.score in arm["scores"] for arm in made.values())), None)
    if column is None:
        return ""
    best, ours = _highest(made, column.score)
    found = (
        f"Best composition, by the {column.title} of the member picked without labels: {best}, {_with_interval(ours)}."
    )
    if not any(column.score in arm["scores"] for arm in controls.values()):
        return f"{found} No control has this score."
    rival, theirs = _highest(controls, column.score)
    found += f" Best control: {rival}, {_with_interval(theirs)}."
    low = (ours["interval"] or [None])[0]
    if theirs["picked"] >= ours["picked"]:
        return f"{found} No composition is above the best control."
    if low is None:
        return f"{found} Without an interval nobody can say whether the difference is chance."
    if low <= theirs["picked"]:
        return f"{found} The interval of {best} includes the control's value: the difference may be chance."
    if theirs["interval"] and theirs["interval"][1] >= low:
        return f"{found} The interval of {best} excludes the control's value, but the two intervals overlap."
    return (
        f"{found} The interval of {best} excludes the control's: the choice of test pictures hardly explains the "
        "difference (another seed still might)."
    )


def kernels_sentence(compositions: Mapping[str, Any], translated: str, random: str) -> str:
    """Whether translated kernels are above random ones on the main scores that both have.

    One is above the other where the 95 % interval of its picked member and the median of its members both say so.
    Scores for which labels were fitted to are left out.
    """
    ours, theirs = compositions[translated]["scores"], compositions[random]["scores"]
    columns = {column.score: column for column in reversed(MAIN_COLUMNS) if column.statistic in ("picked", "median")}
    parts, above, below = [], 0, 0
    for column in reversed(columns.values()):
        a, b = ours.get(column.score), theirs.get(column.score)
        if a is None or b is None or "fitting" in (a["labels"], b["labels"]):
            continue
        above += _above(a, b)
        below += _above(b, a)
        outcome = "above" if _above(a, b) else "below" if _above(b, a) else "too close to tell"
        values = f"{number(a[column.statistic])} against {number(b[column.statistic])}"
        parts.append(f"{column.title} {values} ({outcome})")
    if not parts:
        return f"Translated kernels ({translated}) and random ones ({random}) share no score of this table."
    if above:
        verdict = "beat random ones" if above == len(parts) else f"beat random ones on {above} of {len(parts)} scores"
    else:
        verdict = "do not beat random ones" if below else "are not shown to beat random ones"
    return f"Translated kernels {verdict} ({translated} against {random}): {'; '.join(parts)}."


def _above(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    interval = ours["interval"]
    return bool(interval and interval[0] > theirs["picked"] and ours["median"] > theirs["median"])


def _highest(arms: Mapping[str, Any], score: str) -> tuple[str, Mapping[str, Any]]:
    """The first arm with the highest picked value, and that score of it."""
    having = {name: arm["scores"][score] for name, arm in arms.items() if score in arm["scores"]}
    name = max(having, key=lambda arm: having[arm]["picked"])
    return name, having[name]


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = interval_text(score)
    return f"{number(score['picked'])} (95% interval {interval})" if interval else number(score["picked"])


def print_results(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]], width: int | None = None) -> None:
    """The table with its footnotes, and what it says in sentences."""
    console = make_console(width=width)
    console.print(f"\n{_heading(report)}\n")
    console.print(results_table(report, console.width))
    for note in footnotes(report, console.width):
        console.print(note, style="dim")
    for warning in report["warnings"]:
        console.print(Text("warning: ", style="yellow") + Text(warning))
    console.print()
    for sentence in verdicts(report, pairs):
        console.print(sentence)


def _heading(report: Mapping[str, Any]) -> str:
    images = report["images"]
    target = "+".join(report["concepts"])
    return f"{report['name']}: {target} in {images['count']} test pictures, {images['positives']} of which show it"


def print_saved(folder: Path, seconds: float) -> None:
    """Where everything is, and how long it took."""
    expected = ("report.json", "recipe.yaml", "run.json", "figures", "models")
    there = [f"{name}/" if (folder / name).is_dir() else name for name in expected if (folder / name).exists()]
    console = make_console()
    listed = f": {', '.join(there)}" if there else ""
    console.print(f"\nSaved in {folder}{listed}. Took {seconds_text(seconds)}.", soft_wrap=True)


# Plugins and components


def print_plugins(found: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """A row per component; broken plugins, and names offered twice, in red with the reason."""
    table = _plain_table()
    table.add_column("kind", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what it does", ratio=1)
    table.add_column("distribution")
    table.add_column("version")
    names = [(row["kind"], row["name"]) for row in found["components"]]
    for row in found["components"]:
        twice = names.count((row["kind"], row["name"])) > 1
        summary = f"two plugins offer this name, uninstall one: {row['summary']}" if twice else row["summary"]
        style = "red" if twice else ""
        table.add_row(row["kind"], row["name"], Text(summary), row["distribution"], row["version"], style=style)
    for row in found["broken"]:
        reason = Text(f"broken: {row['error']}")
        table.add_row("plugin", row["plugin"], reason, row["distribution"], row["version"], style="red")
    make_console().print(table)


def print_component(component: type[Component], offered_by: str) -> None:
    """Everything about one component: what it does, what it needs, its options, an example."""
    console = make_console()
    console.print(Text(f"{component.kind} {component.name}", style="bold"))
    for index, paragraph in enumerate((inspect.getdoc(component) or "").split("\n\n")):
        console.print(Padding(Text(_reflowed(paragraph)), (min(index, 1), 0, 0, 2)))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    for title, text in _contract_rows(component):
        facts.add_row(f"  {title}", text)
    facts.add_row("  offered by", offered_by)
    console.print()
    console.print(facts)
    console.print()
    if component.model_fields:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("  option", no_wrap=True)
        table.add_column("what it is; type, limits, default", overflow="fold")
        for name, field in component.model_fields.items():
            about = ", ".join(text for text in (type_text(field.annotation), _limits(field), _default(field)) if text)
            table.add_row(f"  {name}", Text(f"{field.description}\n") + Text(about, style="dim italic"))
        console.print(table)
    else:
        console.print("  no options")
    console.print("\n  in a recipe:")
    console.print(textwrap.indent(example(component), "    "), style="cyan", soft_wrap=True)
    console.print()


def _reflowed(paragraph: str) -> str:
    """One line to be wrapped anew; lists and other indented text stay as they are."""
    lines = paragraph.split("\n")
    return paragraph if any(line.startswith((" ", "-", "*")) for line in lines) else " ".join(lines)


def _contract_rows(component: type[Component]) -> list[tuple[str, str]]:
    contract = component.contract
    rows = []
    if component.kind in ("translator", "assembler"):
        rows.append(("parents", contract.parents_text()))
        rows.append(("architecture", {"one": "the same for all parents", "any": "any"}[contract.architecture]))
        rows.append(("base", {"shared": "parents trained from the same weights", "any": "any"}[contract.base]))
    if component.kind in ("translator", "assembler", "models"):
        used = {"none": "none", "unlabelled": "the parents' own training pictures, without labels"}
        rows.append(("pictures", used.get(contract.pictures, "the parents' own training pictures with their labels")))
    return [*rows, ("reference", contract.reference)] if contract.reference else rows


_TYPES: dict[Any, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    type(None): "null",
}


def type_text(annotation: Any) -> str:
    """`whole number or null`, `cyclegan | mean`, `list of 2: whole number`, in words for people who write recipes."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0])
    if origin is Literal:
        return " | ".join(str(part) for part in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(part) for part in parts)
    if origin is tuple and Ellipsis not in parts:
        inner = " and ".join(dict.fromkeys(type_text(part) for part in parts))
        return f"list of {len(parts)}: {inner}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping of {type_text(parts[0])} to {type_text(parts[1])}"
    if origin is not None and issubclass(origin, Collection):
        return f"list: {type_text(parts[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return f"name of a component of kind {annotation.kind}"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


_LIMITS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} items",
    "max_length": "at most {} items",
    "pattern": "like {}",
}


def _limits(field: FieldInfo) -> str:
    """`1 to 15`, `above 0, at most 1`, or nothing."""
    met = {limit: getattr(part, limit) for part in field.metadata for limit in _LIMITS if _has(part, limit)}
    if "ge" in met and "le" in met:
        return f"{met['ge']} to {met['le']}"
    return ", ".join(_LIMITS[limit].format(value) for limit, value in met.items())


def _has(part: Any, limit: str) -> bool:
    return getattr(part, limit, None) is not None


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"default {_default_value(field)}"


def _default_value(field: FieldInfo) -> str:
    return written_value(field.get_default(call_default_factory=True))


def written_value(value: Any) -> str:
    """A value as a recipe would hold it, on one line."""
    if isinstance(value, Component):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(written_value(item) for item in value)}]"
    return value if isinstance(value, str) and value else json.dumps(value)


_PLACES = {
    "images": "images: {slot}",
    "architecture": "models: {{use: train, architecture: {slot}}}",
    "models": "models: {slot}",
    "extractor": "extractor: {slot}",
    "translator": "compositions:\n  mine: {{translator: {slot}, assembler: transplant}}",
    "assembler": "compositions:\n  mine: {{{translator}assembler: {slot}}}",
    "evaluator": "evaluators: [{slot}]",
}


def example(component: type[Component]) -> str:
    """The lines of a recipe that use a component, with what must be set and an option or two."""
    fields = component.model_fields
    required = {name: f"<{type_text(field.annotation)}>" for name, field in fields.items() if field.is_required()}
    others = {name: _default_value(field) for name, field in fields.items() if name not in required}
    chosen = required | {
        name: text for name, text in list(others.items())[: 2 - min(2, len(required))] if text != "null"
    }
    options = "".join(f", {name}: {text}" for name, text in chosen.items())
    slot = f"{{use: {component.name}{options}}}" if options else component.name
    translator = "translator: cyclegan, " if getattr(component, "needs_kernels", False) else ""
    return _PLACES[component.kind].format(slot=slot, translator=translator)
