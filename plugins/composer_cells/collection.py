"""What pictures there are and what each shows, from a table or from the names of folders; no picture is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from composer import ComposerError, cell_concepts
from composer_folder import layout

if TYPE_CHECKING:
    from composer_cells import Cells


class RefusedError(ComposerError):
    """Pictures that cannot be taken as they are: (option, message) for all that is wrong with them."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{option}: {message}" for option, message in problems))


@dataclass(frozen=True)
class Picture:
    """A picture as its row or folder describes it.

    name: its path from the root. values: what it shows, by factor, or in the order of the folder's name. group: empty
    where nobody says. testing: whether the table tests on it; None where nobody says.
    """

    path: Path
    name: str
    values: tuple[str, ...]
    group: str = ""
    testing: bool | None = None

    @property
    def shown(self) -> frozenset[str]:
        """The names of all that it shows."""
        return frozenset(value for value in self.values if cell_concepts(value))


@dataclass(frozen=True)
class Collection:
    """All pictures in the order of their paths.

    factors: the columns that say what is shown; empty for folders. tables: the file that said so. strays: files that
    are no pictures, or lie where none belongs. grouped, split: whether the table has these columns.
    """

    pictures: tuple[Picture, ...]
    factors: tuple[str, ...] = ()
    tables: tuple[Path, ...] = ()
    strays: tuple[Path, ...] = ()
    grouped: bool = False
    split: bool = False

    def by_factor(self) -> list[tuple[str, set[str]]]:
        """(factor, its values); for folders the n-th names, where all have as many; else nothing."""
        lengths = {len(picture.values) for picture in self.pictures}
        if len(lengths) > 1:
            return []
        columns = [set(column) for column in zip(*(picture.values for picture in self.pictures), strict=True)]
        names = self.factors or tuple(f"name {number}" for number in range(1, len(columns) + 1))
        return list(zip(names, columns, strict=True))


def collect(source: Cells) -> Collection:
    """The pictures of a source; RefusedError for all that is wrong with its table or its folders."""
    from composer_cells import TABLE
    from composer_cells.table import read_table

    if not source.root.is_dir():
        raise RefusedError([("root", layout.missing(source.root))])
    table = source.root / source.labels
    if os.path.isfile(table):  # noqa: PTH113  # False too for a name that no disk takes
        found = read_table(source, table)
    elif source.labels != TABLE:
        raise RefusedError([("labels", _no_table(table))])
    elif columns := _columns_asked_for(source):
        said = f"names a column, and there is no table {table}; folders say what their pictures show by their names"
        raise RefusedError([(option, said) for option in columns])
    else:
        found = _read_folders(source.root)
    if problems := list(_capitals(found)):
        raise RefusedError(problems)
    return found


def _no_table(table: Path) -> str:
    """`no file photos/lables.csv; did you mean 'labels.csv'? ...`."""
    folder = table.parent
    if os.path.isdir(table) or not os.path.isdir(folder):  # noqa: PTH112  # False too for a name that no disk takes
        return f"{table} is no file; name a table of labels, as seen from `root`"
    files = [place.name for place in layout.entries(folder) if place.is_file()]
    return f"no file {table}{layout.did_you_mean(layout.nearest(table.name, files))} ({layout.holding(folder)})"


def _columns_asked_for(source: Cells) -> list[str]:
    """The options that name columns in other words than by default."""
    usual = {option: type(source).model_fields[option].default for option in ("file", "factors", "group", "split")}
    return [option for option, name in usual.items() if getattr(source, option) not in (name, None)]


def _read_folders(root: Path) -> Collection:
    """A folder for each combination, named by all that its pictures show."""
    places = layout.entries(root)
    folders = [place for place in places if place.is_dir()]
    if not folders:
        said = f"{root} has neither a table labels.csv nor folders named by what their pictures show, as black+tshirt"
        raise RefusedError([("root", f"{said}: {layout.holding(root)}")])
    if problems := list(_wrong_folders(folders)):
        raise RefusedError(problems)
    held = {folder: layout.contents(folder, ()) for folder in folders}
    pictures = [
        Picture(path, path.relative_to(root).as_posix(), cell_concepts(folder.name))
        for folder, contents in held.items()
        for path in contents.pictures
    ]
    strays = [path for contents in held.values() for path in contents.others]
    return Collection(tuple(pictures), strays=(*strays, *(place for place in places if not place.is_dir())))


def _wrong_folders(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        names = cell_concepts(folder.name)
        name = layout.printable(folder)
        if not all(part.strip() == part and part for part in names):
            yield "root", f"{name}: a folder is named by what its pictures show, joined by '+' without blanks"
        elif len(set(names)) < len(names):
            yield "root", f"{name} names {max(names, key=names.count)!r} twice"
        elif not layout.contents(folder, ()).pictures:
            yield "root", f"no pictures in {name}: {layout.holding(folder)}; fill it, or move it away"


def _capitals(collection: Collection) -> Iterator[tuple[str, str]]:
    """Names that differ in capitals only: pictures of the one would count as not showing the other."""
    spelled: dict[str, str] = {}
    for picture in collection.pictures:
        for value in picture.values:
            known = spelled.setdefault(value.casefold(), value)
            if known != value:
                option = "labels" if collection.tables else "root"
                yield option, f"{known!r} and {value!r} differ in capitals only ({picture.path}); write them alike"
                return
