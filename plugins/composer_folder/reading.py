"""Reads the pictures of a split, and says what is odd about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from composer import ComposerError, Images, Run, Split, cell_name, require_both_classes
from composer_folder import layout
from composer_folder.copies import copies
from composer_folder.layout import Group
from composer_folder.pictures import PictureReader, Pictures

if TYPE_CHECKING:
    from composer_folder import Folder


def load(source: Folder, split: Split, run: Run) -> Images:
    """The pictures of a split, already decoded at `source.size`; any other size is read from the files."""
    problems = list(source.split_problems(split))
    if problems:
        raise ComposerError("\n".join(f"{option}: {message}" for option, message in problems))
    if split.concept is None:
        return _Reader(source, source.test, split, run).test_pictures()
    return _Reader(source, source.train, split, run).training_pictures(split.concept)


class _Reader(PictureReader):
    """One split of one source."""

    def __init__(self, source: Folder, root: Path, split: Split, run: Run) -> None:
        super().__init__(source, root, split, run)
        self.source = source

    def test_pictures(self) -> Images:
        groups = layout.test_groups(self.root, self.split.concepts, self.source.ignore)
        self.warn_of_missing_cells(layout.empty_cells(groups, self.split.concepts, self.source.ignore))
        pictures = self.read(self.listed(groups))
        strays = [path for path in layout.entries(self.root, self.source.ignore) if not path.is_dir()]
        self.warn_of_others([*self.others(groups), *strays])
        images = self.images(pictures, self.split.concepts)
        self.require_target(images)
        self.warn_of_leaks(pictures, self.training_files(), self.source.train)
        return images

    def training_pictures(self, concept: str) -> Images:
        groups = layout.training_groups(self.root, concept)
        pictures = self.read(self.listed(groups))
        inside = layout.entries(self.root / concept, self.source.ignore)
        self.warn_of_others([*self.others(groups), *(path for path in inside if path.name not in layout.ANSWERS)])
        images = self.images(pictures, [concept])
        require_both_classes(images, concept, str(self.root / concept))
        self.warn_of_targets(pictures)
        return images

    def warn_of_targets(self, pictures: Pictures) -> None:
        """Training pictures that show what is kept apart, because they lie in the `yes` of each of these concepts."""
        for apart in self.split.kept_apart:
            others = [concept for concept in apart if concept != self.split.concept]
            groups = [layout.training_groups(self.root, other)[0] for other in others]
            if len(others) == len(apart) or not groups or not all(group.folder.is_dir() for group in groups):
                continue
            found = [path for path, shown in zip(pictures.paths, pictures.shown, strict=True) if shown]
            for group in groups:
                found = [path for path, _ in copies(found, self.files([group]))]
            if found:
                self.run.warn(
                    f"{len(found)} pictures of {self.split} show {cell_name(apart)}, for they also lie in `yes` of "
                    f"{' and '.join(others)}: the first is {self.name(found[0])}"
                )

    def listed(self, groups: Sequence[Group]) -> list[tuple[Path, frozenset[str]]]:
        """Every picture of some folders, and the concepts that it shows."""
        ignore, limit = self.source.ignore, self.source.limit
        return [(path, own.shown) for own in groups for path in layout.contents(own.folder, ignore, limit).pictures]

    def others(self, groups: Sequence[Group]) -> Iterable[Path]:
        """Every file of some folders that is no picture."""
        return [path for group in groups for path in layout.contents(group.folder, self.source.ignore).others]

    def training_files(self) -> list[Path]:
        """The training pictures of all concepts, as far as there are any."""
        named = [layout.training_groups(self.source.train, concept) for concept in self.split.concepts]
        return self.files([group for groups in named for group in groups if group.folder.is_dir()])

    def files(self, groups: Sequence[Group]) -> list[Path]:
        return [path for path, _ in self.listed(groups) if layout.is_readable(path)]
