"""One network out of two: what each way is worth, and what it costs; writes docs/frontier.md and docs/frontier.png.

    python benchmarks/frontier.py --pairs 16 --seeds 1
    python benchmarks/frontier.py --pairs 16 --seeds 3 --store FOLDER   # goes on with what `composer bench` left there

Parents, test pictures, oracles and gain are those of `composer bench`. What a way costs is the processor time of its
stages on the first pair, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from merging import block_of
from readme import machine
from torch.utils.flop_counter import FlopCounterMode

from composer import ComposedModel
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.step import in_order
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import DRAWINGS, Entrants, benchmark, find_entrants, pair_recipe
from composer.sweeps.leaderboard import Row, leaderboard

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "frontier.md"
PHOTOGRAPHS = "<!-- begin: photographs -->\n", "<!-- end: photographs -->\n"
"""Around the block that benchmarks/frontier_photographs.py writes."""


@dataclass(frozen=True)
class Way:
    """One way of making a network: what the table calls it, its recipe slots, and whether it is a control."""

    title: str
    slots: Mapping[str, Any]
    control: bool = False


def _assembled(title: str, name: str, **options: Any) -> Way:
    return Way(title, {"assembler": {"use": name, **options}})


def _control(title: str, translator: str) -> Way:
    return Way(title, {"translator": translator, "assembler": "refit"}, control=True)


WAYS: Mapping[str, Way] = {
    "product": _assembled("`product`: both parents", "product"),
    "distil": _assembled("`distil`", "distil", members=3),
    "distil_wide": _assembled("`distil`, width 1.5", "distil", members=3, width=1.5),
    "channel_choice": _assembled("`channel_choice`", "channel_choice"),
    "channel_choice_wide": _assembled("`channel_choice`, width 1.5", "channel_choice", width=1.5),
    "pleas": _assembled("`pleas`", "pleas"),
    "pleas_wide": _assembled("`pleas`, width 1.5", "pleas", width=1.5),
    "zipit": _assembled("`zipit`", "zipit"),
    "zipit_wide": _assembled("`zipit`, width 1.5", "zipit", width=1.5),
    "optimal_transport": _assembled("`optimal_transport`", "optimal_transport"),
    "aligned_mean": _assembled("`aligned_mean`", "aligned_mean"),
    "mean": _control("*the mean of both parents' kernels*", "mean"),
    "untouched": _control("*one parent's kernels*", "untouched"),
    "random": _control("*random kernels*", "random"),
}

ONE_WIDTH = ("channel_choice", "pleas", "zipit", "optimal_transport", "aligned_mean")
"""Of the ways in weight space those with one parent's width."""


@dataclass(frozen=True)
class Cost:
    """Of one network: parameters and multiply-adds for a picture; of a whole composition: pictures and seconds."""

    parameters: int
    adds: int
    pictures: int
    members: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=16, help="how many of the 16 drawn pairs")
    parser.add_argument("--seeds", type=int, default=1, help="seeds, from 1 on")
    parser.add_argument("--store", type=Path, help="folder with finished stages; left out: composer's own")
    parser.add_argument("--work", type=Path, default=Path("runs/frontier"), help="folder for a lock")
    parser.add_argument("--output", type=Path, default=PAGE, help="page to write; the figure goes beside it")
    options = parser.parse_args()
    world = replace(DRAWINGS, compositions={name: way.slots for name, way in WAYS.items()})
    found = benchmark(options.work, options.pairs, options.seeds, (), load_registry(), print, options.store, world)
    failed = {f"{name}: {why}" for one in found.judgements for name, why in one.failed.items() if name in WAYS}
    if failed:
        raise SystemExit("\n".join(sorted(failed)))
    costs = costs_of(DRAWINGS.pairs[0], options.store or default_store())
    rows = {row.name: row for row in leaderboard(found) if row.name in WAYS}
    draw(rows, costs, options.output.with_suffix(".png"))
    kept = block_of(options.output, *PHOTOGRAPHS)
    options.output.write_text(page(rows, costs, options.pairs, options.seeds) + kept, encoding="utf-8")
    print(options.output)


def costs_of(pair: tuple[str, ...], store: Path) -> dict[str, Cost]:
    """What each way has cost on one pair, as the store says."""
    registry = load_registry()
    entrants = Entrants({name: way.slots for name, way in WAYS.items()}, find_entrants(registry).alone, frozenset(), {})
    recipe = pair_recipe(pair, 1, entrants, (), registry)
    plan = make_plan(recipe)
    compositions = {composition.name: composition for composition in recipe.compositions}
    found = {}
    with StageCache(store) as kept:
        engine = Engine(kept, "cpu", registry)
        shown = sum(len(engine.result(step)) for step in plan.training.values())
        parents = {step.key for step in (*plan.populations.values(), *plan.training.values())}
        for arm in plan.arms:
            if arm.composition.name not in WAYS:
                continue
            model: ComposedModel = engine.result(arm.model)
            steps = [step for step in in_order(iter([arm.model])) if step.key not in parents]
            for step in steps:
                engine.result(step)  # where the store had the model and not what it was made of
            facts = [kept.facts(step.name, step.key) or {} for step in steps]
            terms = compositions[arm.composition.name].assembler.terms
            found[arm.composition.name] = Cost(
                model.parameters,
                multiply_adds(model),
                0 if terms.pictures == "none" else shown,
                len(model),
                sum(own.get("processor_seconds", own["seconds"]) for own in facts),
            )
    return found


def multiply_adds(model: ComposedModel) -> int:
    """For one picture, of one member with all of its parts; a shared body once."""
    total = 0
    for index, part in enumerate(model.parts):
        total += part.weights[f"{part.architecture.head}.weight"][0].numel()
        if model.bodies[index] == index:
            network = part.architecture.build(outputs=1).eval()
            pixels = torch.zeros(1, 3, part.preprocessing.size, part.preprocessing.size)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
            total += counter.get_total_flops() // 2
    return total


def page(rows: Mapping[str, Row], costs: Mapping[str, Cost], pairs: int, seeds: int) -> str:
    """The page, in Markdown."""
    own = costs["distil"]
    return "\n".join(
        [
            "# One network out of two: what it is worth and what it costs",
            "",
            _filled(
                f"Written by `python benchmarks/frontier.py --pairs {pairs} --seeds {seeds}` ({machine()}). It covers "
                f"{pairs} of 16 drawn pairs of attribute and object and {seeds} of 3 seeds of "
                "[the benchmark](benchmark.md), whose parents, pictures and gain these are: 0 is the better parent "
                "alone, 1 what networks reach that were trained on labelled pictures of the target; in brackets the "
                "95 % interval over pairs, seeds and pictures."
            ),
            "",
            "![Gain against parameters and seconds](frontier.png)",
            "",
            *table(rows, costs),
            "",
            _filled(
                f"Parameters and multiply-adds are those of one network that answers one picture; {own.parameters:,} "
                "parameters are one parent's size. Pictures are the parents' own training pictures, of which no label "
                "is looked at. Seconds are processor time for all members of one pair "
                f"({costs['product'].members} of each, of `distil` {own.members}), parents excepted; on a machine "
                "that does other work they differ by some tens of per cent from run to run. The same command with "
                "`--pairs 16 --seeds 3` covers all."
            ),
            "",
            _filled(what_it_shows(rows, costs)),
            "",
        ]
    )


def table(rows: Mapping[str, Row], costs: Mapping[str, Cost]) -> Iterator[str]:
    yield "| | gain | AUC, hardest cell | parameters | multiply-adds | pictures | seconds |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in ranked(rows):
        row, cost = rows[name], costs[name]
        numbers = f"{cost.parameters:,} | {cost.adds:,} | {cost.pictures:,} | {cost.seconds:.1f}"
        yield f"| {WAYS[name].title} | {gain_text(row)} | {row.hardest:.3f} | {numbers} |"


def ranked(rows: Mapping[str, Row]) -> list[str]:
    """Controls last, each sort with the highest gain first."""
    return sorted(rows, key=lambda name: (WAYS[name].control, -(rows[name].gain.value or 0.0)))


def gain_text(row: Row) -> str:
    assert row.gain.value is not None
    assert row.gain.interval is not None
    low, high = row.gain.interval
    return f"{row.gain.value:.2f} ({low:.2f} to {high:.2f})"


def what_it_shows(rows: Mapping[str, Row], costs: Mapping[str, Cost]) -> str:
    """In sentences that follow from the numbers."""
    controls = [name for name in rows if WAYS[name].control]
    best = max(controls, key=lambda name: interval(rows[name])[1])
    above = [WAYS[name].title for name in ranked(rows) if not WAYS[name].control and clear(rows, name, controls)]
    size = costs["distil"].parameters
    merged = [name for name in ranked(rows) if not WAYS[name].control and name in ONE_WIDTH]
    first = (
        f"Above every control by intervals that do not overlap: {listed(above)}."
        if above
        else "None is clearly above every control."
    )
    closest = (
        "lies within its parents' product's interval"
        if overlap(rows["distil"], rows["product"])
        else "lies below the product"
    )
    return (
        f"{first} The strongest control is {WAYS[best].title}, {gain_text(rows[best])}. Of one parent's size, "
        f"`distil` has {gain_text(rows['distil'])}: it {closest}, {gain_text(rows['product'])}, at "
        f"{size / costs['product'].parameters:.2f} of its parameters. Of the ways in weight space the best of one "
        f"parent's width is {WAYS[merged[0]].title}, {gain_text(rows[merged[0]])}."
    )


def interval(row: Row) -> tuple[float, float]:
    assert row.gain.interval is not None
    return row.gain.interval


def clear(rows: Mapping[str, Row], name: str, others: Sequence[str]) -> bool:
    return all(interval(rows[name])[0] > interval(rows[other])[1] for other in others)


def overlap(one: Row, other: Row) -> bool:
    (low, high), (least, most) = interval(one), interval(other)
    return low <= most and least <= high


def listed(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def draw(rows: Mapping[str, Row], costs: Mapping[str, Cost], file: Path) -> None:
    """Gain with its interval against parameters, and against seconds."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    canvas, panels = plt.subplots(1, 2, figsize=(12, 5.5), sharey=True, constrained_layout=True)
    names = ranked(rows)
    for axes, label in zip(panels, ("parameters", "seconds of processor time for one pair"), strict=True):
        for number, name in enumerate(names):
            row, cost = rows[name], costs[name]
            across = cost.parameters if label == "parameters" else cost.seconds
            beside = across * (1 + 0.004 * (number - len(names) / 2))  # networks of one size beside each other
            low, high = interval(row)
            value = row.gain.value or 0.0
            axes.errorbar(
                beside,
                value,
                [[value - low], [high - value]],
                fmt="s" if WAYS[name].control else "o",
                color=str(0.3 + 0.2 * (number % 3)) if WAYS[name].control else plt.get_cmap("tab20")(number),
                label=WAYS[name].title.replace("`", "").replace("*", ""),
            )
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    panels[1].set_xscale("log")
    panels[0].set_ylabel("gain, with its 95 % interval")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    canvas.savefig(file, dpi=110)
    plt.close(canvas)


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False)


if __name__ == "__main__":
    main()
