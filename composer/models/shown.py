"""Pictures with the classes that they show: out of folders that are called as these, of files, or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from composer.data.decoding import UnreadablePictureError
from composer.data.expressions import NONE
from composer.data.images import Images
from composer.errors import ComposerError
from composer.models.calibrating import FEWEST
from composer.models.in_memory import images_of
from composer.models.union import Outputs
from composer.models.union_words import COMMAND, Words
from composer.registry import nearest

JOINT = "+"
"""Between the classes in the name of a folder whose pictures show several."""


@dataclass(frozen=True)
class Shown:
    """Pictures, and what each shows where that is said: a class, several joined by +, `none` for none of them."""

    images: Images
    labels: tuple[str | None, ...]
    place: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labelled(self) -> int:
        """How many pictures somebody said of what they show."""
        return sum(label is not None for label in self.labels)

    def show_several(self, union: Sequence[str]) -> bool:
        """Whether some show more than one class."""
        return any(len(classes_in(label, union)) > 1 for label in set(self.labels) if label is not None)


def classes_in(label: str, union: Sequence[str]) -> tuple[str, ...]:
    """The classes that a label names: `alpro+milk` two, unless that is a class itself; `none` none."""
    if label in union:
        return (label,)
    return tuple(name for name in label.split(JOINT) if name != NONE)


def labels_for(own: Sequence[str], labels: Sequence[str | None], union: Sequence[str], who: str) -> list[str | None]:
    """What a network may be told of each picture: the class of its own, `none` where it shows none of these.

    None where nobody says what the picture shows. ComposerError where it shows two that the network tells apart.
    """
    found: dict[str, str] = {}
    for label in {label for label in labels if label is not None}:
        named = [name for name in classes_in(label, union) if name in own]
        if len(named) > 1:
            raise ComposerError(f"{label}: {' and '.join(named)} are both classes of {who}, which says one of them")
        found[label] = named[0] if named else NONE
    return [None if label is None else found[label] for label in labels]


def shown_in(
    groups: Mapping[str, Sequence[Path]],
    union: Sequence[str],
    option: str,
    *,
    labelled: bool,
    fewest: int = FEWEST,
    outputs: Outputs = "softmax",
    words: Words = COMMAND,
) -> Shown:
    """Pictures with the classes that their folders are called after; ComposerError for a folder that none is.

    groups: the pictures in each folder of a folder, those beside the folders under `.`. outputs: with `independent` a
    folder may be called after several classes.
    """
    files = [file for group in groups.values() for file in group]
    names = [None if name == "." or not labelled else name for name, group in groups.items() for _ in group]
    hint = f"a folder is called as a class, or {NONE!r}; {words.unlabelled} no label from folders"
    for name in groups:
        if labelled and name != ".":
            _require_classes(name, union, f"{option}/{name}", outputs, words, hint)
    return _enough(images_of(files), names, option, fewest, "take it out of the folder")


def shown_of(
    pictures: Tensor | Iterable[str | Path],
    labels: Sequence[str | None] | None,
    union: Sequence[str],
    option: str,
    *,
    fewest: int = FEWEST,
    outputs: Outputs = "softmax",
    words: Words = COMMAND,
) -> Shown:
    """Pictures in memory or in files, and what is said of each; ComposerError where that fits no class, or not them."""
    images = images_of(pictures, option)
    said = [None] * len(images) if labels is None else list(labels)
    if len(said) != len(images):
        raise ComposerError(f"labels of {option}: are {len(said)}, and there are {len(images)} pictures")
    for label in dict.fromkeys(said):
        if label is not None:
            hint = f"{NONE!r} is of pictures that show none, None of those that nobody has labelled"
            _require_classes(label, union, f"labels of {option}", outputs, words, hint)
    return _enough(images, said, option, fewest, "leave it out")


def _require_classes(label: str, union: Sequence[str], who: str, outputs: Outputs, words: Words, hint: str) -> None:
    if label == NONE:
        return
    named = classes_in(label, union)
    for name in named or (label,):
        if name not in union:
            raise ComposerError(f"{who}: no class is called {name!r}{nearest(name, union)} ({hint})")
    if len(named) > 1 and outputs == "softmax":
        raise ComposerError(
            f"{who}: {' and '.join(named)} are two classes, and of one softmax a picture shows one; "
            f"{words.independent} tells each class by itself"
        )


def _enough(images: Images, labels: Sequence[str | None], option: str, fewest: int, mend: str) -> Shown:
    """ComposerError where there are fewer; of a picture that cannot be read, when it is looked at."""
    if len(images) < fewest:
        count = f"{len(images)} picture{'' if len(images) == 1 else 's'}"
        raise ComposerError(f"{option}: has {count}, and {fewest} are the fewest")

    def at(size: int) -> Tensor:
        try:
            return images.at(size)
        except UnreadablePictureError as error:
            raise ComposerError(f"{option}: {error}; {mend}") from None

    return Shown(Images(images.names, {}, at), tuple(labels), option)
