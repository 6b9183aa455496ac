"""Classifiers of different classes as one model: what `composer unite` does, from Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from composer.data.files import require_free
from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.models.calibrating import FEWEST
from composer.models.loading import LoadedModel
from composer.models.picture_folders import picture_groups
from composer.models.shown import Shown, shown_in, shown_of
from composer.models.union import OUTPUTS, Knower, Outputs, union_of
from composer.models.union_scores import Scores, judged_by, scored
from composer.models.union_student import student_of
from composer.models.union_words import PYTHON, Words
from composer.models.united import LoadedUnion
from composer.models.united_folder import home_of, score_lines, write_united
from composer.models.uniting import United, parent_in_memory, read_parent
from composer.models.uniting import unite as side_by_side
from composer.networks.architecture import Architecture
from composer.recipes.slots import read_plain
from composer.running.labelled import refuse_test_pictures

Plain = str | Mapping[str, Any]
"""A component as a recipe holds it."""
Source = str | Path | Tensor | Iterable[str | Path]
"""A folder, files, or pixels uint8 [N, 3, S, S]."""


@dataclass(frozen=True)
class Classifier:
    """A network that tells classes apart, to be united with others.

    network: a checkpoint, or a network in memory that gives logits [N, K] of prepared pictures [N, 3, S, S], those of
    one softmax; it is copied. names: what its outputs mean, in their order: `-` leaves one out, `none` means none of
    the others; left out where the checkpoint's plugin knows them.
    architecture: of a checkpoint, as a recipe holds it; left out, recognised. preprocessing: of a network in memory,
    how pixels become its input.
    """

    network: nn.Module | str | Path
    names: Sequence[str] | None = None
    architecture: Architecture | Plain | None = None
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True)
class UnitedModel:
    """One model of all classes that several classifiers know.

    model: what `composer.load` gives of it. scores: `side by side` and, where one was made, `one network`; empty where
    it was not judged. Each has `all`, how many pictures it tells rightly (`value`, `interval`), `parents`, each one's
    own classes `before` and `after`, `taken`, what is taken for another's, and of independent classes `classes`, each
    by itself. notes: what could not be measured, and other things worth knowing.
    """

    model: LoadedModel
    scores: Mapping[str, Scores]
    notes: tuple[str, ...]
    made: United = field(repr=False)
    product: United = field(repr=False)
    files: tuple[Path, ...] = field(repr=False)
    about_pictures: str = field(repr=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the union, in the order of the model's columns."""
        return self.made.classes

    def save(self, folder: str | Path) -> Path:
        """Writes the folder that `composer.load`, `composer predict` and `composer export` read, and gives its path.

        ComposerError where it is there already, or a network in memory is part of it: no file can say what it is.
        """
        folder = Path(folder)
        require_free(folder)
        write_united(self.made, folder, self.files, self.scores, self.about_pictures)
        return folder

    def __str__(self) -> str:
        judged = [f"{title}: {line}" for title, each in self.scores.items() for line in score_lines(each)]
        said = [self.model.target, f"calibrated on {self.about_pictures}", *(f"note: {note}" for note in self.notes)]
        return "\n".join([*said, *(judged or ["not judged"])])


@dataclass(frozen=True)
class Given:
    """Pictures as the user gives them; labelled: whether a folder's folders are called as classes."""

    source: Source
    labels: Sequence[str | None] | None = None
    labelled: bool = True

    def shown(self, union: Sequence[str], option: str, outputs: Outputs, words: Words, fewest: int) -> Shown:
        """The pictures and what they show; ComposerError where that is no class of the union."""
        if not isinstance(self.source, (str, Path)):
            return shown_of(self.source, self.labels, union, option, fewest=fewest, outputs=outputs, words=words)
        if self.labels is not None:
            raise ComposerError(f"labels of {option}: the folders say what the pictures show; leave them out")
        groups, place = picture_groups(Path(self.source), option), f"{option} {self.source}"
        return shown_in(groups, union, place, labelled=self.labelled, fewest=fewest, outputs=outputs, words=words)


@dataclass(frozen=True)
class Wanted:
    """What kind of model is wanted, as for `unite`."""

    outputs: Outputs = "softmax"
    one: bool = False
    student: Architecture | None = None
    steps: int | None = None
    seed: int = 0


def unite(
    *parents: Classifier | str | Path,
    pictures: Source,
    labels: Sequence[str | None] | None = None,
    labelled: bool = True,
    test: Source | None = None,
    test_labels: Sequence[str | None] | None = None,
    outputs: Outputs = "softmax",
    one: bool = False,
    student: Architecture | Plain | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> UnitedModel:
    """One model of all classes that the parents know, calibrated on pictures; what `composer unite` makes.

    parents: two or more, of any architectures, sizes and numbers of classes; a name that several have is one class.
    pictures: of what all of them know, which none has learned from: a folder with a folder for each class, called as
    it (`none` for no class), files, or uint8 [N, 3, S, S]. labels: of files or pixels, the class of each, None where
    nobody says it. labelled: False takes no label from folders. test, test_labels: others, to judge the model by.
    outputs: `softmax`: each picture shows one of all classes; `independent`: yes or no for each, and labels may name
    several, joined by `+`. one: one network, which learns from the pictures what the parents say together, of the
    architecture `student` (left out: the smallest of theirs) in so many `steps`.
    What could not be measured is warned of. ComposerError where networks or labels do not fit.
    """
    if len(parents) < 2:
        raise ComposerError(f"unite() takes two parents or more, not {len(parents)}")
    if outputs not in OUTPUTS:
        raise ComposerError(f"outputs: must be {' or '.join(map(repr, OUTPUTS))}, not {outputs!r}")
    if not one and (student is not None or steps is not None):
        raise ComposerError(f"{'steps' if student is None else 'student'}: is of one network; give one=True with it")
    if test is None and test_labels is not None:
        raise ComposerError("test_labels: are of the pictures in `test`, and there are none")
    given = [parent if isinstance(parent, Classifier) else Classifier(parent) for parent in parents]
    wanted = Wanted(outputs, one, _architecture(student), steps, seed)
    judged = None if test is None else Given(test, test_labels)
    found = united_by(given, Given(pictures, labels, labelled), judged, wanted, PYTHON)
    for note in found.notes:
        warnings.warn(note, stacklevel=2)
    return found


def united_by(
    parents: Sequence[Classifier], pictures: Given, test: Given | None, wanted: Wanted, words: Words
) -> UnitedModel:
    """The same for the command line too. words: what options are called in messages."""
    run = Run(seed=wanted.seed)
    read = [_read(parent, run, words) for parent in parents]
    if wanted.one and wanted.student is None and any(isinstance(parent.network, nn.Module) for parent in parents):
        raise ComposerError(
            "one: say of which architecture the one network shall be, student='cnn' or another: parents in memory have "
            "none that could be trained anew"
        )
    union = union_of([Knower(classes) for _, classes in read])
    seen = pictures.shown(union, words.pictures, wanted.outputs, words, FEWEST)
    shown = None if test is None else test.shown(union, words.test, wanted.outputs, words, 1)
    if shown is not None:
        judged_by(shown, union)  # before anything takes long
    product = side_by_side(read, seen, wanted.outputs, run)
    refuse_test_pictures(product.model, seen.images, None if shown is None else shown.images)
    made = student_of(product, seen, run, wanted.student, wanted.steps) if wanted.one else product
    models = {"side by side": product, **({"one network": made} if wanted.one else {})}
    scores = {} if shown is None else {title: scored(each, product, shown) for title, each in models.items()}
    files = tuple(map(_file_of, parents))
    about = f"{len(seen)} pictures, {seen.labelled or 'none'} of them labelled"
    called = f"composer.unite({', '.join(map(str, files))})"
    model = LoadedUnion(made.model, home_of(made, called))
    return UnitedModel(model, scores, tuple(made.notes), made, product, files, about)


def _file_of(parent: Classifier) -> Path:
    """A parent's file, or of a network in memory what stands for it in texts."""
    return Path(type(parent.network).__name__ if isinstance(parent.network, nn.Module) else parent.network)


def _read(parent: Classifier, run: Run, words: Words) -> tuple[Population, tuple[str, ...]]:
    """A parent's network, and a name for each of its outputs."""
    file = _file_of(parent)
    if not isinstance(parent.network, nn.Module):
        if parent.preprocessing is not None:
            raise ComposerError(f"{file}: preprocessing is of networks in memory; a checkpoint's is known")
        return read_parent(file, parent.names, _architecture(parent.architecture), run, words)
    if parent.architecture is not None:
        raise ComposerError(f"the network {file}: is in memory, so it needs no architecture; leave it out")
    if parent.preprocessing is None:
        raise ComposerError(
            f"the network {file}: nothing says how pixels become its input; give preprocessing=Preprocessing("
            "SIZE, MEAN, STD)"
        )
    return parent_in_memory(parent.network, parent.names or (), parent.preprocessing, words)


def _architecture(given: Architecture | Plain | None) -> Architecture | None:
    if given is None or isinstance(given, Architecture):
        return given
    return read_plain(Architecture, given, "architecture")
