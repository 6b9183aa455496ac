"""At the end of a run: the study's tables beside what was found, and all networks beside all controls."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer import expected_best
from composer_study import published
from composer_study.field import chance_of_reaching, kinds
from composer_study.measures import STUDY

Floats = NDArray[np.float64]

CLAIMS = {"K-means": 0.876, "DBSCAN": 0.887}
"""The study's best accuracies, of network 229 A."""
FIELDS = {
    "kmeans.matched_accuracy": "K-means on the features as they are",
    "umap.kmeans.accuracy": "K-means after UMAP, the study's pipeline",
}
SEEN_WITH = "umap-learn 0.5.12, scikit-learn 1.9.1, numba 0.68.1"
"""The versions with which the rows of K-means that docs/study.md names were met."""


@dataclass(frozen=True)
class Arm:
    """One composition: score name -> values, and the names of the members that they are of."""

    name: str
    values: Mapping[str, Floats]
    members: Mapping[str, tuple[str, ...]]

    def groups(self, score: str) -> dict[str, Floats]:
        """The values of all members, and of each kind of them where there are several."""
        values = self.values[score]
        parts = kinds(self.members[score])
        return {self.name: values, **{f"{self.name}, {kind}": values[index] for kind, index in parts.items()}}


def finish(report: Mapping[str, Any], folder: Path) -> None:
    """Writes `study.md` and two figures into the run's folder and shows the tables; nothing without the evaluator."""
    import click
    import yaml

    recipe = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    for label, options in recipe.get("evaluators", {}).items():
        if options["use"] == "study":
            arms = read_arms(report, folder, label)
            text = "\n".join([*replay_tables(arms, options["roundings"]), *field_tables(arms)])
            (folder / "study.md").write_text(f"# The study, replayed\n```\n{text}```\n", encoding="utf-8")
            draw(arms, folder / "figures")
            click.echo(text)
            return


def read_arms(report: Mapping[str, Any], folder: Path, label: str) -> list[Arm]:
    """Every composition's values of every member, which report.json leaves out, from scores.csv.

    A composition that is the same as an earlier one is left out.
    """
    found: dict[str, dict[str, list[tuple[str, float]]]] = {name: {} for name in report["compositions"]}
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            of, _, score = row["score"].partition(".")
            if of == label:
                pairs = found[row["composition"]].setdefault(score, [])
                pairs.append((row["member_name"], float(row["value"])))
    arms: list[Arm] = []
    for index, (name, scores) in enumerate(found.items()):
        if not scores or scores in list(found.values())[:index]:
            continue
        values = {score: np.array([value for _, value in pairs]) for score, pairs in scores.items()}
        members = {score: tuple(member for member, _ in pairs) for score, pairs in scores.items()}
        arms.append(Arm(name, values, members))
    return arms


def replay_tables(arms: Sequence[Arm], roundings: int) -> Iterable[str]:
    """The study's tables in its order, each row beside the printed one."""
    for arm in arms:
        if "replay.kmeans.accuracy" not in arm.values:
            continue
        for method, rows in published.TABLES.items():
            yield f"{published.TITLES[method]} of {arm.name}: as printed | as met most often in {roundings} roundings\n"
            lines = [["network", *_HEADERS, "|", *_HEADERS, "", "agrees", "accuracy"]]
            lines += [
                _row(arm, method, row, roundings)
                for row in rows
                if row.model in arm.members[f"replay.{method}.accuracy"]
            ]
            yield aligned(lines)
        yield (
            "acc: accuracy. rec: recall, which the study calls precision. prec: precision, which it calls recall.\n"
            "ent, pur: entropy and purity of clusters within classes; the usual ones are of classes within clusters.\n"
            "=: what is met most often agrees in all five figures; ~: what is met at times does. agrees: how often.\n"
            f"Met with {SEEN_WITH}; here are umap-learn {version('umap-learn')},"
            f" scikit-learn {version('scikit-learn')}, numba {version('numba')}.\n"
        )


_HEADERS = ("acc", "rec", "prec", "ent", "pur")


def _row(arm: Arm, method: str, row: published.Row, roundings: int) -> list[str]:
    place = arm.members[f"replay.{method}.accuracy"].index(row.model)
    found = {name: float(arm.values[f"replay.{method}.{name}"][place]) for name in (*STUDY, *_EXTRAS)}
    values = [found[name] for name in STUDY]
    mark = "=" if published.agrees(values, row.printed) else "~" if found["agreeing"] else ""
    return [
        row.model,
        *row.printed,
        "|",
        *(f"{value:.3f}" for value in values),
        mark,
        f"{round(found['agreeing'] * roundings)}/{roundings}",
        f"{found['accuracy_lowest']:.3f}-{found['accuracy_highest']:.3f}",
    ]


_EXTRAS = ("agreeing", "accuracy_lowest", "accuracy_highest")


def field_tables(arms: Sequence[Arm]) -> Iterable[str]:
    """Accuracies of all networks of every composition, and where the study's best stand among the best of as many."""
    for score, title in FIELDS.items():
        judged = [arm for arm in arms if score in arm.values]
        if not judged:
            continue
        most = max(len(arm.values[score]) for arm in judged)
        yield f"{title}: accuracy over networks\n"
        header = [
            "kernels",
            "networks",
            "lowest",
            "quartile",
            "median",
            "quartile",
            "best",
            "best of 27",
            f"of {most:,}",
        ]
        lines = [[*header, *(f">= {claim}" for claim in CLAIMS.values())]]
        for arm in judged:
            lines += [_distribution(name, values, most) for name, values in arm.groups(score).items()]
        yield aligned(lines)
        yield (
            f"best of 27, of {most:,}: expected, drawn with replacement from the row's networks. >= x: how many\n"
            f"networks reach the study's best, and the chance that the best of {most:,} does.\n"
        )


def _distribution(name: str, values: Floats, most: int) -> list[str]:
    quartiles = np.percentile(values, [0, 25, 50, 75, 100])
    reached = [
        f"{int((values >= claim - 5e-4).sum())} ({100 * chance_of_reaching(values, claim - 5e-4, most):.0f} %)"
        for claim in CLAIMS.values()
    ]
    expected = expected_best(values, [27, most], replacement=True)
    return [name, f"{len(values):,}", *(f"{number:.3f}" for number in (*quartiles, *expected)), *reached]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        " ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def draw(arms: Sequence[Arm], folder: Path) -> None:
    """Two figures of the K-means accuracies of all compositions: shares of networks, and the best of N."""
    from matplotlib.figure import Figure  # half a second to import; no pyplot, so no global state

    score = next(iter(FIELDS))
    judged = [arm for arm in arms if score in arm.values]
    most = max((len(arm.values[score]) for arm in judged), default=0)
    counts = np.unique(np.geomspace(1, max(most, 1), 200).round())
    for name in ("accuracies", "best of N"):
        canvas = Figure(figsize=(6.4, 4.6), layout="constrained")
        axes = canvas.subplots()
        for arm in judged:
            values = np.sort(arm.values[score])
            if name == "accuracies":
                axes.step(values, np.arange(1, len(values) + 1) / len(values), label=arm.name, linewidth=1.2)
            else:
                axes.plot(counts, expected_best(values, counts, replacement=True), label=arm.name, linewidth=1.2)
        for method, claim in CLAIMS.items():
            line = axes.axvline if name == "accuracies" else axes.axhline
            line(claim, color="0.5", linestyle=":" if method == "K-means" else "--", linewidth=0.9)
        if name == "accuracies":
            axes.set_xlabel("K-means accuracy")
            axes.set_ylabel("share of networks with at most so much")
            axes.set_title("All networks; the dotted lines are the study's 0.876 and 0.887", fontsize=10)
        else:
            axes.set_xscale("log")
            axes.set_xlabel("networks to pick from")
            axes.set_ylabel("expected K-means accuracy of the best")
            axes.set_title("The best of N networks; the dotted lines are the study's 0.876 and 0.887", fontsize=10)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
        for ending in ("png", "svg"):
            canvas.savefig(folder / f"study - {name}.{ending}", dpi=110)
