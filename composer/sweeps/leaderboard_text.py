"""The benchmark's document: Markdown with the leaderboard, what it covers, and on which machine it ran."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from composer.data.expressions import cell_name
from composer.results import words
from composer.results.gain_table import gain_cells
from composer.running.versions import versions
from composer.sweeps.benchmark import MODELS, OPTIONS, PAIRS, PICTURES, Benchmark
from composer.sweeps.leaderboard import Row, by_pair, leaderboard
from composer.text import seconds_text

FULL = (16, 3)
"""Pairs and seeds at the default size."""


def document(found: Benchmark, command: str, overrides: Sequence[str]) -> str:
    """The content of benchmark.md."""
    judgements = found.judgements
    pairs = len(by_pair(judgements))
    seeds = len(judgements) // pairs
    rows = leaderboard(found)
    covers = f"{pairs} of {len(PAIRS)} pairs, {seeds} seed{'s' if seeds > 1 else ''}"
    if (pairs, seeds) < FULL or seeds < FULL[1]:
        covers += f" (less than the default {FULL[0]} pairs and {FULL[1]} seeds)"
    parts = [
        "# The benchmark",
        f"Written by `{command}`; do not edit it. It covers {covers}.",
        INTRODUCTION,
        table(("", "kind", "AUC", "AUC, hardest cell", "gain", "95 % interval"), leader_rows(found, rows)),
        verdict(rows),
        READING,
        "## Gain of each pair",
        "Means over the seeds. `-`: the oracle is not shown to be better than the better parent there.",
        table(("pair", "better parent", "oracle", *(_plain(row.name) for row in rows)), pair_rows(found, rows)),
        "## Who is not in the table",
        absent(found),
        "## How it was made",
        made(found, overrides),
    ]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
Every composition and control that is installed, on attribute x object pairs of the drawn world. Each pair is held out
in turn: a model of, say, a black cat is made of networks that know black and networks that know cats, and is tested on
pictures of black cats, black others, other cats and others. No training picture of an attribute shows any of the
benchmark's objects, nor one of an object any of its attributes; so each population is trained once per seed and is
used in all pairs that it serves, and none has seen any target."""

READING = """\
AUC and AUC against the hardest cell are means over pairs and seeds, of the member picked without labels. Gain is
(composition - better parent) / (oracle - better parent) of the mean AUC of the hardest cell: 0 is no better than a
parent, 1 as good as networks of the same architecture trained on as many labelled pictures with the target among them
(half of them show it). The interval draws again pairs, within pairs seeds, and within test sets pictures, 1,000 times.
It speaks of pairs like these of drawn pictures, not of photographs. [report.md](report.md) says when gain misleads."""


def verdict(rows: Sequence[Row]) -> str:
    """Of each composition: the controls whose whole interval of gain lies below its own, and those it is not above."""
    sentences = []
    controls = [row for row in rows if row.kind == "control" and row.gain.interval]
    for row in rows:
        if row.kind == "control" or row.gain.interval is None:
            continue
        low = row.gain.interval[0]
        below = {one.name: one.gain.interval is not None and one.gain.interval[1] < low for one in controls}
        verdicts = {name: "better" if wholly else "unclear" for name, wholly in below.items()}
        sentences.append(f"{words.verdict(row.name, verdicts, quote='`')}.")
    return " ".join(["By intervals that do not overlap:", *sentences]) if controls and sentences else NO_VERDICT


NO_VERDICT = "No composition has a gain to be compared with a control's."


def leader_rows(found: Benchmark, rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A row per entrant, then the references."""
    judgements = found.judgements
    parent = float(np.mean([one.parent.value for one in judgements]))
    oracle = float(np.mean([one.oracle.value for one in judgements]))
    oracle_auc = float(np.mean([one.auc["oracle"].value for one in judgements]))
    return [
        *((row.name, row.kind, f"{row.auc:.3f}", f"{row.hardest:.3f}", *gain_cells(row.gain.facts())) for row in rows),
        ("better parent", "reference", "", f"{parent:.3f}", "0", ""),
        ("oracle", "oracle: has seen the target", f"{oracle_auc:.3f}", f"{oracle:.3f}", "1", ""),
    ]


def pair_rows(found: Benchmark, rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A row per pair: the references, and the gain of every entrant."""
    return [
        (
            cell_name(pair),
            f"{np.mean([one.parent.value for one in own]):.3f}",
            f"{np.mean([one.oracle.value for one in own]):.3f}",
            *(gain_cells(row.by_pair[pair].facts())[0] for row in rows),
        )
        for pair, own in by_pair(found.judgements).items()
    ]


def absent(found: Benchmark) -> str:
    """Who cannot take part, or failed on some pair, grouped by the reason."""
    reasons: dict[str, dict[str, None]] = {}
    for one in found.judgements:
        for name, why in one.failed.items():
            reasons.setdefault(why, {})[name] = None
    for name, why in found.entrants.left_out.items():
        reasons.setdefault(why, {})[name] = None
    lines = [f"- {', '.join(f'`{name}`' for name in names)}: {why}" for why, names in reasons.items()]
    return "\n".join(lines) or "Nobody: all that is installed is in it."


def made(found: Benchmark, overrides: Sequence[str]) -> str:
    """Sizes, machine, versions, time."""
    shown = {key: value for key, value in PICTURES.items() if key not in ("use", "held_out")}
    options = [f"{name} {settings(chosen)}" for name, chosen in OPTIONS.items()]
    lines = {
        "pictures": f"{PICTURES['use']}, {settings(shown)}",
        "networks": f"{MODELS['use']}, members {MODELS['members']}",
        "options": "; ".join(options),
        "changes": ", ".join(f"`{one}`" for one in overrides) or "none",
        "machine": f"{cores()} of {processor()}",
        "versions": settings(versions([])),
        "computing": f"{seconds_text(sum(found.seconds.values()))} in {len(found.seconds)} stages, "
        "interrupted or not; on a machine that does other work too it takes longer",
    }
    return table(("", ""), list(lines.items()))


def settings(options: Mapping[str, object]) -> str:
    """`size 32, train 1000`."""
    return ", ".join(f"{key} {value}" for key, value in options.items())


def cores() -> str:
    """How many cores this process may use."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{count} core{'s' if count > 1 else ''}"


def processor() -> str:
    """The processor's name as far as the system says it."""
    known = Path("/proc/cpuinfo")
    if known.is_file():
        for line in known.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "an unknown processor"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _plain(name: str) -> str:
    return name.replace("-", " ")
