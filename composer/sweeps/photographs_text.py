"""The document of a benchmark on people's own pictures: a row for each pair held out, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from composer.data.expressions import cell_name
from composer.judging.gain import Sampled
from composer.results.gain_table import gain_cells
from composer.running.versions import versions
from composer.sweeps.benchmark import Benchmark, Judgement, World
from composer.sweeps.leaderboard import by_pair, leaderboard, pooled
from composer.sweeps.leaderboard_text import cores, processor, settings, table
from composer.text import seconds_text

INTRODUCTION = """\
What is made of two concepts that were never seen together, on photographs. Each pair is held out in turn: a model of,
say, a black T-shirt is made of a model of *black* and one of *tshirt*. No training picture of either shows a black
T-shirt; the test pictures show all combinations."""

READING = """\
AUC of the pair against all other test pictures, and against the cell that it is most easily taken for: the
first concept without the second, the second without the first, or neither. *Better parent* is the better of the
two models alone, chosen with the test labels. *Above both* says by how much the composition is above it, with the 95 %
interval of the difference on the same resampled pictures; `yes` where that interval is above 0. *Less product* is the
difference to the product in the same way. *Oracle* is a model of the same kind trained with pictures of the pair, its
own training pictures. Intervals draw pictures again within each cell and, of several seeds, seeds; in the mean also
pairs."""

ONE_NETWORK = """\
The product is one network here already, with nothing lost: both parents stand on the same body, which looks at a
picture once, and only heads are there twice. `distil` is one network that had to learn what the two say: the same body
with an output for each concept, fitted by least squares to what the parents say of their own training pictures, without
their labels and none of the pair. What they say is linear in what this body sees, and none of it is cut off (`clip:
100`), so these few pictures can teach it whole; how near it comes is said below each table."""
NEAR = 0.01
"""AUCs that are called near each other differ by no more."""


@dataclass(frozen=True)
class Album:
    """One set of pictures, and what was found in it. name: what the document calls it."""

    name: str
    world: World
    found: Benchmark


def document(albums: Sequence[Album], command: str, overrides: Sequence[str]) -> str:
    """The content of the document."""
    changes = ", ".join(f"`{one}`" for one in overrides) or "none"
    seconds = {key: value for album in albums for key, value in album.found.seconds.items()}
    made = {
        "networks": settings(albums[0].world.models),
        "changes": changes,
        "machine": f"{cores()} of {processor()}",
        "versions": settings(versions([])),
        "computing": f"{seconds_text(sum(seconds.values()))} in {len(seconds)} stages; on a machine that does other "
        "work too it takes longer",
    }
    parts = [
        "# On photographs",
        f"Written by `{command}`; do not edit it.",
        INTRODUCTION,
        *([ONE_NETWORK] if all(map(_one_body, albums)) else []),
        *(part for album in albums for part in _section(album)),
        "## What the columns mean",
        READING,
        "## How it was made",
        table(("", ""), list(made.items())),
    ]
    return "\n\n".join(parts) + "\n"


def summary(album: Album) -> str:
    """The table of one album, for a terminal."""
    return "\n\n".join(_section(album))


def _one_body(album: Album) -> bool:
    """Whether all networks of an album stand on one pretrained body."""
    assembler = (album.world.compositions or {}).get("distil", {}).get("assembler", {})
    return "body" in assembler and assembler["body"] == album.world.models.get("backbone")


def _section(album: Album) -> list[str]:
    judgements = album.found.judgements
    rows = [row for row in leaderboard(album.found) if row.kind == "composition"]
    if album.world.compositions is not None:
        order = list(album.world.compositions)
        rows.sort(key=lambda row: order.index(row.name))
    compositions = [row.name for row in rows]
    pairs = by_pair(judgements)
    headers = ["held out", "test pictures"]
    for name in compositions[:1]:
        headers += [name, f"{name}, hardest cell", "above both"]
    for name in compositions[1:]:
        headers += [name, f"{name} less {compositions[0]}"]
    headers += ["better parent", "oracle"]
    lines = [_row(cell_name(pair), own, compositions) for pair, own in pairs.items()]
    lines.append(_row(f"mean of {len(pairs)}", judgements, compositions))
    gains = [f"`{row.name}` {' ('.join(gain_cells(row.gain.facts()))})" for row in rows]
    return [
        f"## {album.name}",
        table(headers, lines),
        f"{_of_seeds(judgements, compositions)} Gain in the hardest cell, where the better parent is 0 and the oracle "
        f"1: {'; '.join(gains)}.",
        *(_compared(judgements, name, compositions[0]) for name in compositions[1:]),
        *_notes(album.found),
    ]


def _compared(judgements: Sequence[Judgement], name: str, other: str) -> str:
    """How near one composition comes to another, in a sentence."""
    every = [pooled(own, _less(name, other)) for own in by_pair(judgements).values()]
    near = sum(abs(one.value) <= NEAR for one in every)
    mean = pooled(judgements, _less(name, other))
    return (
        f"`{name}` less `{other}`: {_difference(mean)} on the mean, within {NEAR:g} of it for "
        f"{near} of {len(every)} pairs; the farthest is {max((one.value for one in every), key=abs):+.3f}."
    )


def _row(title: str, judgements: Sequence[Judgement], compositions: Sequence[str]) -> list[str]:
    with_pair, every = (sorted({one.pictures[place] for one in judgements}) for place in (0, 1))
    cells = [title, f"{_range(with_pair)} of {_range(every)}"]
    for name in compositions[:1]:
        above = pooled(judgements, _less(name, "better parent"))
        cells += [
            _said(pooled(judgements, lambda one, name=name: one.auc[name])),  # type: ignore[misc]
            _said(pooled(judgements, lambda one, name=name: one.hardest[name])),  # type: ignore[misc]
            f"{'yes' if _bounds(above)[0] > 0 else 'no'}: {_difference(above)}",
        ]
    for name in compositions[1:]:
        cells += [
            _said(pooled(judgements, lambda one, name=name: one.auc[name])),  # type: ignore[misc]
            _difference(pooled(judgements, _less(name, compositions[0]))),
        ]
    return [
        *cells,
        _said(pooled(judgements, lambda one: one.auc["better parent"])),
        _said(pooled(judgements, lambda one: one.auc["oracle"])),
    ]


def _less(name: str, other: str) -> Callable[[Judgement], Sampled]:
    """How far a composition's AUC is above another's, or the better parent's, on the same resamples."""

    def difference(one: Judgement) -> Sampled:
        ours, theirs = one.auc[name], one.auc[other]
        return Sampled(ours.value - theirs.value, ours.replicates - theirs.replicates)

    return difference


def _difference(sampled: Sampled) -> str:
    low, high = _bounds(sampled)
    return f"{sampled.value:+.3f} ({low:+.3f} to {high:+.3f})"


def _of_seeds(judgements: Sequence[Judgement], compositions: Sequence[str]) -> str:
    """The mean AUC of each seed alone."""
    seeds = sorted({one.seed for one in judgements})
    if len(seeds) < 2:
        return f"Seed {seeds[0]}."
    said = []
    for name in compositions:
        means = [np.mean([one.auc[name].value for one in judgements if one.seed == seed]) for seed in seeds]
        said.append(f"`{name}` {', '.join(f'{mean:.3f}' for mean in means)}")
    return f"Mean AUC of each of the seeds {seeds[0]} to {seeds[-1]} alone: {'; '.join(said)}."


def _notes(found: Benchmark) -> list[str]:
    """What was said before any picture was looked at."""
    if not found.notes:
        return []
    lines = [
        f"- {note} ({', '.join(cells)})" if len(cells) < len(by_pair(found.judgements)) else f"- {note}"
        for note, cells in found.notes.items()
    ]
    return ["Said by `composer check` of these recipes, before any picture is looked at:", "\n".join(lines)]


def _said(sampled: Sampled) -> str:
    low, high = _bounds(sampled)
    return f"{sampled.value:.3f} ({low:.3f} to {high:.3f})"


def _bounds(sampled: Sampled) -> tuple[float, float]:
    low, high = np.percentile(sampled.replicates, [2.5, 97.5])
    return float(low), float(high)


def _range(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def named(root: Path) -> str:
    """What the document calls the pictures of a folder."""
    return root.absolute().name
