"""The model card of a composition, `README.md` as the Hugging Face hub reads it, and the rest of its `config.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.data.files import write_json, write_text
from composer.data.records import target_of, title_of_row
from composer.data.score_info import main_score, read_declared, title_of
from composer.models.cards import HERE, front_matter
from composer.models.folder_files import CARD, CONFIG
from composer.models.model_folder import about, picked_member, read_folder
from composer.results import words
from composer.results.model_index import model_index

MOST_WARNINGS = 10


def complete(folder: Path, report: Mapping[str, Any], composition: str) -> None:
    """Adds to a saved composition what its users need to know: facts in `config.json`, and the card beside it.

    report: the content of report.json.
    """
    saved = read_folder(folder)
    config = {**saved.config, **_facts(saved.parts, report, composition)}
    write_json(folder / CONFIG, config)
    write_text(folder / CARD, model_card(config, report, composition))


def model_card(config: Mapping[str, Any], report: Mapping[str, Any], composition: str) -> str:
    """The card's text: front matter, what it is, the table with the controls, labels, limits, and how to load it."""
    target = config["target"]
    sections = [
        f"{_front_matter(report, composition)}\n# {report['name']}: {composition}",
        _introduction(config, report, composition),
        "## How to use it",
        _usage(config),
        "## How good it is",
        _results(report, composition),
        "## Which labels were used",
        _labels(report, composition, target),
        "## Limits",
        _limits(config, report, composition),
        "## Licence",
        "Not stated: composer does not know the licences of the models and the pictures that this model came from. "
        "Look them up, and put the outcome into the front matter above before you publish it.",
    ]
    return "\n\n".join(sections) + "\n"


def _facts(parts: Sequence[Mapping[str, Any]], report: Mapping[str, Any], composition: str) -> dict[str, Any]:
    architectures = [part["architecture"]["use"] for part in parts]
    picked = picked_member(report, composition)
    return about(architectures, composition, report["concepts"], target_of(report), picked)


def _front_matter(report: Mapping[str, Any], composition: str) -> str:
    facts = {
        "library_name": "composer",
        "pipeline_tag": "image-classification",
        "license": "unknown",
        "tags": ["composer", "model-composition", "model-merging", *report["concepts"]],
        "model_name": f"{report['name']}: {composition}",
    }
    return front_matter({**facts, **model_index(report, composition)})


def _introduction(config: Mapping[str, Any], report: Mapping[str, Any], composition: str) -> str:
    arm = report["compositions"][composition]
    target = config["target"]
    what = f"Tells pictures of **{target}** from all others"
    if not _gives_log_odds(config):
        what = f"Gives features of pictures, made to show **{target}**; it has no head, and so decides nothing"
    kind = " It is a **control**: made to show what needs no composition." if arm["control"] else ""
    count = len(config["parts"])
    networks = "one network" if count == 1 else f"{count} networks side by side"
    picked_by = config["picked_by"]
    how = f"picked without labels, by {picked_by}" if picked_by else "the first: without pictures none is picked"
    sizes = sorted({part["preprocessing"]["size"] for part in config["parts"]})
    return (
        f"{what}. Made by composer {report['version']} out of models of {_listed(report['concepts'])}.{kind}\n\n"
        f"- **What it is**: {networks} ({_listed(config['architectures'], '`')}), {arm['parameters']:,} parameters; "
        f"input {_listed([f'{size}x{size}' for size in sizes])} RGB pixels\n"
        f"- **Members**: {arm['members']}, stacked along the first axis of every tensor; "
        f"number {config['picked_member']} is the default ({how})\n"
        f"- **Seed**: {report['seed']}"
    )


def _usage(config: Mapping[str, Any]) -> str:
    plugins = _listed(sorted(set(config["plugins"].values())))
    call = (
        'print(model.predict(["photo.jpg"]))'
        if _gives_log_odds(config)
        else "features = model.features(pixels)  # pixels: uint8 [N, 3, H, W]"
    )
    return (
        f'```python\nimport composer\n\nmodel = composer.load("{HERE}")\n{call}\n```\n\n'
        f"It needs composer (`pip install kernel-composer`) and what offers its architecture: {plugins}. "
        "The plugins that made it are not needed."
        + (f"\n\n```\ncomposer predict {HERE} photo.jpg\n```" if _gives_log_odds(config) else "")
    )


def _results(report: Mapping[str, Any], composition: str) -> str:
    if said := report.get("not_judged"):
        return str(said)
    images, arms = report["images"], report["compositions"]
    columns = _columns(report)
    if not columns:
        return "No evaluator declared a score that it has; the run's report.json holds what was evaluated."
    shown = {composition: arms[composition], **{name: arm for name, arm in arms.items() if arm["control"]}}
    rows = [["", "members", *(title for _, title, _ in columns)], ["---", *["---:"] * (len(columns) + 1)]]
    for name, arm in shown.items():
        shown_as = title_of_row(name, arm)
        title = f"**{shown_as}**" if name == composition else f"control: {shown_as}"
        rows.append(
            [title, str(arm["members"]), *(_cell(arm["scores"].get(score), kind) for score, _, kind in columns)]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    cells = ", ".join(f"{count} {cell}" for cell, count in images["cells"].items())
    return (
        f"On {images['count']} test pictures ({cells}):\n\n{table}\n\n"
        "Numbers are those of the member picked without labels, with the 95 % interval over the test pictures in "
        "brackets, unless the heading says median. Controls should not work: a composition is worth what it has above "
        "them."
    )


def _columns(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Score, heading, and which number of it: the declared columns, one a score, as far as a report has them."""
    arms = report["compositions"].values()
    return [
        (name, info.title if info.shows[0] == "picked" else f"{info.title}, {info.shows[0]}", info.shows[0])
        for name, info in read_declared(report).items()
        if info.column and info.shows[0] in ("picked", "median") and any(name in arm["scores"] for arm in arms)
    ]


def _cell(score: Mapping[str, Any] | None, kind: str) -> str:
    if score is None:
        return "-"
    interval = score["interval"] if kind == "picked" else None
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return f"{score[kind]:.3f}{bounds}{'†' if score['labels'] == 'fitting' else ''}"


def _labels(report: Mapping[str, Any], composition: str, target: str) -> str:
    if report.get("not_judged"):
        return (
            "No label of a test picture. What a parent that was not trained here had learned from was not looked at, "
            "and no member was picked."
        )
    fitted = [name for name, score in report["compositions"][composition]["scores"].items() if _fits(score)]
    used = report["compositions"][composition].get("labels", 0)
    said = f"Made with {used} labelled pictures, some of {target}, none of them a test picture. " if used else ""
    said += (
        "Composer gave the steps before the evaluation the pictures that the recipe trains each parent's own concept "
        f"from, and neither the test split nor the oracle's pictures of {target}. What a parent that was not trained "
        "here had learned from, and whether a picture of one split is one of the other too, was not looked at unless a "
        "warning below says so. The member was picked without labels. The labels of the test pictures scored the "
        "numbers above; a run's folder without `composition` loads the one that is best by these labels."
    )
    if fitted:
        said += f" They were also fitted to, and are no measure of this model, in: {_listed(fitted, '`')}."
    return said


def limits(config: Mapping[str, Any], report: Mapping[str, Any], composition: str) -> list[str]:
    """What nobody should expect of a composition, in sentences; the run's warnings left out."""
    intervals = "The intervals say how much the choice of test pictures matters, not what another seed would bring."
    points = [
        *([said] if (said := report.get("not_judged")) else [_against_controls(report, composition), intervals]),
        "It has seen only what its parents' pictures show. On pictures of another kind (other cameras, drawings in "
        "place of photographs, several things at once) try it before you trust it.",
        "Not for decisions about people.",
    ]
    if min(part["preprocessing"]["size"] for part in config["parts"]) < 64:
        points.insert(-2, "It looks at very small pictures: details that vanish at that size do not exist for it.")
    return [point for point in points if point]


def _limits(config: Mapping[str, Any], report: Mapping[str, Any], composition: str) -> str:
    points = limits(config, report, composition)
    warnings = list(report["warnings"])
    points += [f"Said by the run: {' '.join(warning.split())}" for warning in warnings[:MOST_WARNINGS]]
    if len(warnings) > MOST_WARNINGS:
        points.append(f"{len(warnings) - MOST_WARNINGS} more warnings stand in the run's report.json.")
    return "\n".join(f"- {point}" for point in points)


def _against_controls(report: Mapping[str, Any], composition: str) -> str:
    """Whether the composition is shown to be better than each control, on the first score that it has with one."""
    arms = report["compositions"]
    ours = arms[composition]
    if ours["control"]:
        return "This is a control; it is here to be compared with."
    rivals = {name for arm in arms.values() if arm["control"] for name in arm["scores"]}
    declared = read_declared(report)
    score = main_score(declared, (name for name in ours["scores"] if name in rivals))
    best = None if score is None else words.best_composition(report, control=True, score=score)
    if score is None or best is None:
        return "It could not be compared with any control: nobody knows what it is worth."
    rival = arms[best[0]]["scores"][score]["picked"]
    return (
        f"{title_of(declared, score)}: {ours['scores'][score]['picked']:.3f}. "
        f"{words.against_controls(report, composition, score)} (best control: {best[0]}, {rival:.3f})."
    )


def _fits(score: Mapping[str, Any]) -> bool:
    return bool(score["labels"] == "fitting")


def _gives_log_odds(config: Mapping[str, Any]) -> bool:
    return all(part["outputs"] for part in config["parts"])


def _listed(items: Sequence[str], quote: str = "") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words.listed([f"{quote}{item}{quote}" for item in items])
