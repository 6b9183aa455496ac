"""The folder of a union: what `composer.load` reads, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.data.files import new_folder, write_json, write_text
from composer.models.cards import front_matter, licence_facts
from composer.models.folder_files import CARD, CONFIG, WEIGHTS
from composer.models.in_memory import in_no_folder
from composer.models.model_folder import ModelFolder, about
from composer.models.union_scores import MOST_TAKEN, Class, Scores
from composer.models.uniting import United
from composer.running.storage import pack, write_tensors

UNION = "union"
"""What the composition is called."""


def config_of(made: United) -> dict[str, Any]:
    """config.json."""
    facts, _ = pack(made.model)
    architectures = [part.architecture.name for part in made.model.parts]
    target = f"one of {len(made.classes)} classes"
    known = about(architectures, UNION, made.classes, target, (0, "the only member"))
    return {"type": "ComposedModel", **facts, **known, **_union_facts(made)}


def _union_facts(made: United) -> dict[str, Any]:
    """How its networks are read."""
    union = {
        "outputs": made.outputs,
        "classes": list(made.classes),
        "networks": [knower.facts() for knower in made.knowers],
    }
    return {"id2label": {str(index): name for index, name in enumerate(made.classes)}, "union": union}


def home_of(made: United, called: str) -> ModelFolder:
    """A union's folder where there is none; messages name `called` in its place."""
    home = in_no_folder(called, UNION, made.model)
    return ModelFolder(home.path, {**home.config, **_union_facts(made)})


def write_united(
    made: United, folder: Path, files: Sequence[Path], scores: Mapping[str, Scores], about_pictures: str
) -> None:
    """Writes a new folder, whole or not at all."""
    with new_folder(folder) as part:
        write_tensors(part / WEIGHTS, pack(made.model)[1])
        tested = {title: each.facts() for title, each in scores.items()}
        write_json(part / CONFIG, {**config_of(made), "united": [file.name for file in files], "test": tested})
        write_text(part / CARD, card(made, files, scores, about_pictures))


def card(made: United, files: Sequence[Path], scores: Mapping[str, Scores], about_pictures: str) -> str:
    """What the folder is, for people who open it."""
    count = len(made.model.parts)
    kind = (
        "one network that learned what these say together"
        if made.knowers[0].says == "log_odds"
        else (f"{count} networks side by side" if count > 1 else "one network")
    )
    answer = (
        "one softmax over all classes" if made.outputs == "softmax" else "yes or no for each class, whatever the others"
    )
    measured = "\n\n".join(
        f"## {title}, on test pictures\n\n" + "\n".join(f"- {line}" for line in score_lines(each))
        for title, each in scores.items()
    )
    notes = "".join(f"- note: {note}\n" for note in made.notes)
    facts = {"library_name": "composer", "pipeline_tag": "image-classification", **licence_facts("")}
    sections = [
        f"{front_matter(facts)}\n# {' + '.join(dict.fromkeys(file.stem for file in files))}",
        f"Tells {len(made.classes)} classes: {', '.join(made.classes)}. Made of {', '.join(f.name for f in files)}: "
        f"{kind}, {made.model.parameters:,} parameters; {answer}.",
        f"Calibrated on {about_pictures}.\n\n{notes}".rstrip(),
        measured or "How good it is was not measured.",
        '```python\nimport composer\n\nmodel = composer.load(".")\nprint(model.predict(["a.jpg"]))\n```',
    ]
    return "\n\n".join(sections) + "\n"


def score_lines(scores: Scores) -> list[str]:
    """What was found, a sentence a line."""
    lines = [f"all classes: {scores.all} of {scores.all.of} pictures told rightly"]
    lines += [
        f"classes of {own.parent}: {own.before} by itself among its own, {own.after} among all; "
        f"{own.elsewhere.right} of {own.elsewhere.of} taken for another network's"
        for own in scores.parents
    ]
    lines += [f"{true} taken for {said}: {count}" for true, said, count in scores.taken[:MOST_TAKEN]]
    return lines + [class_line(one) for one in scores.classes]


def class_line(one: Class) -> str:
    """How well one of several independent classes is told by itself."""
    said = [
        f"AUC {one.auc:.3f}" if one.auc is not None else "",
        f"yes for {one.yes} of its own" if one.yes is not None else "",
        f"no for {one.no} of others" if one.no is not None else "",
    ]
    return f"{one.name} by itself: {', '.join(filter(None, said))}"
