"""What the README says of black_cat, over three seeds: runs the recipe and writes the block anew.

    python benchmarks/readme.py

A run that is there already is used as it is. Numbers that other seeds change are given with their range, and a
sentence on what beats what says in how many of the runs it holds.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from composer.data.files import read_json
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (7, 1, 2)
"""The recipe's own and two others."""
AUC = "recognition.auc"
HARDEST = "recognition.auc_hardest_cell"
ROWS = {
    "distil": "**one network** (`distil`)",
    "product": "both parents side by side (`product`)",
    "cyclegan": "translated kernels, the study's way (`cyclegan`)",
    "random": "*random kernels, a control* (`random`)",
}
BLOCK = re.compile(r"(<!-- made by: python benchmarks/readme.py -->\n).*?(<!-- end -->)", re.DOTALL)

Report = Mapping[str, Any]


def block(reports: Sequence[Report], machine: str) -> str:
    """The table and its sentences, in Markdown; of each number the median of the runs and its range."""
    first = reports[0]
    lines = ["| made of *black* and *cat* | AUC | hardest cell | size |", "| --- | ---: | ---: | ---: |"]
    for name, title in ROWS.items():
        arms = [report["compositions"][name] for report in reports]
        lines.append(row(title, [arm["scores"] for arm in arms], arms[0]["parameters"]))
    oracles = [report["oracle"] for report in reports]
    title = "*trained on labelled black cats, to compare with* (oracle)"
    lines.append(row(title, [oracle["scores"] for oracle in oracles], oracles[0]["parameters"]))
    made = [name for name, arm in first["compositions"].items() if not arm["control"]]
    controls = sum(arm["control"] for arm in first["compositions"].values())
    wins = "; ".join(f"`{name}` {won(reports, name)}" for name in made)
    gains = "; ".join(f"`{name}` {spread_of(values)}" for name, values in gains_of(reports).items())
    paragraphs = [
        f"Median (lowest to highest) of {len(reports)} runs with other seeds, each of the network picked without "
        f"labels. Clearly above each of {controls} controls, the best of which is {best_control(reports)}: {wins}. "
        f"{kernels(reports)} {dead(reports)}",
        "Gain, where 1 is what networks reach that have seen labelled black cats, and 0 the better parent alone: "
        f"{gains}.",
        f"Measured with {machine}.",
    ]
    return "\n".join([*lines, *(f"\n{textwrap.fill(text, 119)}" for text in paragraphs), ""])


def row(title: str, scores: Sequence[Mapping[str, Any]], size: int) -> str:
    cells = [spread_of([each[name]["picked"] for each in scores]) for name in (AUC, HARDEST)]
    return f"| {title} | {' | '.join(cells)} | {size:,} |"


def spread_of(values: Sequence[float]) -> str:
    """`0.984 (0.979 to 0.990)`."""
    if not values:
        return "-"
    return f"{sorted(values)[len(values) // 2]:.3f} ({min(values):.3f} to {max(values):.3f})"


def best_control(reports: Sequence[Report]) -> str:
    """The control with the highest median of its AUC."""
    arms = reports[0]["compositions"]
    medians = {
        name: sorted(report["compositions"][name]["scores"][AUC]["picked"] for report in reports)[len(reports) // 2]
        for name, arm in arms.items()
        if arm["control"] and AUC in arm["scores"]
    }
    best = max(medians, key=lambda name: medians[name])
    return f"`{best}` ({medians[best]:.3f})"


def won(reports: Sequence[Report], name: str) -> str:
    """By the AUC's paired bootstrap with Holm's correction, in each run."""
    wins = sum(bool(report["compositions"][name]["scores"][AUC].get("beats_controls")) for report in reports)
    return f"in {wins} of {len(reports)} runs"


def kernels(reports: Sequence[Report], translated: str = "cyclegan", random: str = "random") -> str:
    """What the runs say of translated kernels beside random ones."""
    verdicts = Counter(
        one["verdict"]
        for report in reports
        for one in report["comparisons"]
        if (one["composition"], one["control"], one["score"]) == (translated, random, AUC)
    )
    words = {"better": "better than", "worse": "worse than", "unclear": "not shown to differ from"}
    said = [f"{words[verdict]} random ones in {verdicts[verdict]}" for verdict in words if verdicts[verdict]]
    return f"Translated kernels are {', '.join(said)} of {len(reports)} runs."


def dead(reports: Sequence[Report], translated: str = "cyclegan") -> str:
    """How many of the translated networks give one answer for every picture."""
    each = [report["compositions"][translated].get("dead", 0) for report in reports]
    members = reports[0]["compositions"][translated]["members"]
    count = str(max(each)) if min(each) == max(each) else f"{min(each)} to {max(each)}"
    return (
        f"Of its {members} networks {'none gives' if count == '0' else f'{count} give'} one answer for every picture."
    )


def gains_of(reports: Sequence[Report]) -> dict[str, list[float]]:
    return {
        name: [report["oracle"]["gains"][name]["value"] for report in reports]
        for name, arm in reports[0]["compositions"].items()
        if not arm["control"]
    }


def machine() -> str:
    """Processor, cores, Python and the libraries that decide."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn"))
    return f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, {libraries}"


def processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/readme"), help="folder of the runs")
    folder = parser.parse_args().runs
    reports = []
    for seed in SEEDS:
        home = folder / f"black_cat-{seed}"
        if not (home / "report.json").exists():
            run_recipe(read_recipe(ROOT / "recipes" / "black_cat.yaml", [f"seed={seed}"]), home)
        reports.append(read_json(home / "report.json"))
    readme = ROOT / "README.md"
    written, count = BLOCK.subn(
        lambda found: found[1] + block(reports, machine()) + found[2], readme.read_text("utf-8")
    )
    if count != 1:
        raise SystemExit(f"{readme}: {count} blocks that are made by this script, in place of one")
    readme.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
