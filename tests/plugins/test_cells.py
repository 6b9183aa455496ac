"""Pictures named by what they show: how they are parted, what is refused, and what is said before one is opened."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from composer import ComposerError, Expression, Images, Run, Split
from composer.command_line.cli import main
from composer.recipes.recipe_reader import read_recipe
from composer.running.cache import StageCache
from composer.running.outcome import compute
from composer_cells import Cells

CONCEPTS = ("black", "tshirt")
TEST = Split(CONCEPTS)
BLACK = Split(CONCEPTS, "black")
TSHIRT = Split(CONCEPTS, "tshirt")
CELLS = [(colour, garment) for colour in ("black", "blue", "red") for garment in ("tshirt", "trousers")]
GROUPS = 5
"""Groups of each cell, with two pictures each."""
HEADER = "file,attribute,object,group"


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(path)


def rows_of(cells: Iterable[Sequence[str]] = CELLS) -> list[str]:
    """A row for each picture; a person has pictures of every cell."""
    return [
        f"{number}-{group}-{copy}.png,{','.join(cell)},person {group}"
        for number, cell in enumerate(cells)
        for group in range(GROUPS)
        for copy in range(2)
    ]


def write(root: Path, rows: Sequence[str], header: str = HEADER, drawn: bool = True) -> Path:
    (root / "labels.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    for seed, row in enumerate(rows if drawn else ()):
        draw(root / row.split(",")[0], seed)
    return root


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Sixty pictures of six cells by five people."""
    return write(tmp_path, rows_of())


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Five pictures in each of six folders."""
    for number, cell in enumerate(CELLS):
        for index in range(5):
            draw(tmp_path / "+".join(cell) / f"{index}.png", 10 * number + index)
    return tmp_path


def source(home: Path, /, **options: Any) -> Cells:
    return Cells.model_validate(options, context={"root": home})


def load(home: Path, asked: Split = TEST, /, **options: Any) -> tuple[Images, list[str]]:
    run = Run()
    return source(home, **options).load(asked, run), run.warnings


def said(home: Path, asked: Split = TEST, /, **options: Any) -> list[str]:
    return [f"{option}: {message}" for option, message in source(home, **options).split_problems(asked)]


def group_of(name: str) -> str:
    return name.split("-")[1]


# -- how pictures are parted -----------------------------------------------------------------


def test_a_table_is_parted_by_groups_and_the_target_is_left_out_of_training(table: Path) -> None:
    test, warnings = load(table)
    black, _ = load(table, BLACK)
    tshirt, _ = load(table, TSHIRT)
    assert warnings == []
    assert Counter(test.cells) == {"black+tshirt": 4, "black": 4, "tshirt": 8, "none": 8}
    assert len(set(test.names)) == 24, "two of the five people"
    for training in (black, tshirt):
        assert not {group_of(name) for name in training.names} & {group_of(name) for name in test.names}
        assert not [name for name in training.names if name.startswith("0-")], "black T-shirts"
        assert len(training) == 30
    assert sorted(black.labels["black"].tolist()) == [False] * 24 + [True] * 6, "black trousers; nothing black"
    assert {name[0] for name, own in zip(tshirt.names, tshirt.labels["tshirt"], strict=True) if own} == {"2", "4"}


def test_the_seed_decides_the_parts_and_the_target_does_not(table: Path) -> None:
    def tested(seed: int, concepts: tuple[str, ...] = CONCEPTS) -> set[str]:
        return set(load(table, Split(concepts), seed=seed)[0].names)

    assert tested(0) == tested(0, ("blue", "trousers"))
    assert len({frozenset(tested(seed)) for seed in range(6)}) > 1
    assert [sorted({group_of(name) for name in tested(seed)}) for seed in (0, 1)] == [["2", "3"], ["0", "1"]], (
        "the same on every machine"
    )


def test_the_order_of_the_rows_changes_nothing(table: Path) -> None:
    before = load(table)[0].names
    write(table, rows_of()[::-1], drawn=False)
    assert load(table)[0].names == before


def test_each_combination_is_tested_on_in_proportion(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{number}-{index}.png,{','.join(cell)},{rng.integers(12)}"
        for number, cell in enumerate(CELLS)
        for index in range(30)
    ]
    test, _ = load(write(tmp_path, rows), test=0.3)
    for number in range(len(CELLS)):
        count = sum(name.startswith(f"{number}-") for name in test.names)
        assert 5 <= count <= 14, "9 of 30 were asked for, and groups are whole"


def test_folders_are_named_by_what_they_show(folders: Path) -> None:
    draw(folders / "none" / "0.png", 99)
    draw(folders / "striped+black+tshirt" / "deep" / "0.png", 98)
    (folders / "notes.txt").write_text("x", encoding="utf-8")
    test, warnings = load(folders)
    assert Counter(test.cells) == {"black+tshirt": 2, "black": 2, "tshirt": 4, "none": 4}
    assert [warning for warning in warnings if "notes.txt" in warning]
    black, _ = load(folders, BLACK)
    assert "none/0.png" in black.names
    assert not [name for name in black.names if "black+tshirt" in name]


def test_a_column_of_splits_decides(tmp_path: Path) -> None:
    parts = ["train", "TEST", "val", "train"]
    rows = [f"{row},{parts[index % 4]}" for index, row in enumerate(rows_of())]
    write(tmp_path, rows, f"{HEADER},split")
    test, _ = load(tmp_path)
    assert set(test.names) == {row.split(",")[0] for row in rows if row.endswith("TEST")}
    (note,) = source(tmp_path).split_notes(TEST)
    assert note.startswith("5 of 5 groups have training and test pictures by the table's own split")
    assert len(load(tmp_path, split=None)[0]) == 24, "the column is then no factor either"
    write(tmp_path, [f"{row}," for row in rows_of()], f"{HEADER},split", drawn=False)
    assert len(load(tmp_path)[0]) == 24, "an empty column says nothing"


def test_an_empty_column_of_groups_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, [row.partition("person")[0] for row in rows_of()])
    assert len({group_of(name) for name in load(tmp_path)[0].names}) == GROUPS
    (note,) = source(tmp_path).split_notes(TEST)
    assert note.startswith("nothing says which pictures belong together")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    write(tmp_path, rows_of(), "Datei,Farbe,Ding,wer")
    (tmp_path / "labels.csv").rename(tmp_path / "tabelle.csv")
    options: dict[str, Any] = {"labels": "tabelle.csv", "file": "Datei", "factors": ["Farbe", "Ding"], "group": "wer"}
    assert len(load(tmp_path, **options)[0]) == 24


def test_the_limit_is_of_each_combination_in_training_and_in_test(table: Path) -> None:
    test, _ = load(table, limit=1)
    assert Counter(name[0] for name in test.names) == dict.fromkeys("012345", 1)
    assert len(load(table, BLACK, limit=1)[0]) == 5
    assert source(table, limit=1).picture_count(TEST) == ("limit", 6)
    assert len(list(source(table, limit=1).split_files(BLACK))) == 6, "five pictures and the table"


def test_labelled_pictures_show_the_target_and_are_none_of_the_test_pictures(table: Path) -> None:
    labelled, _ = load(table, Split(CONCEPTS, labelled=True))
    assert labelled.target.sum() == 6
    assert labelled.concepts == CONCEPTS
    assert not set(labelled.names) & set(load(table)[0].names)


def test_three_factors_make_a_formulas_target_with_all_its_cells(tmp_path: Path) -> None:
    cells = [(*cell, pattern) for cell in CELLS for pattern in ("plain", "striped")]
    write(tmp_path, rows_of(cells), "file,attribute,object,pattern,group")
    concepts = ("black", "tshirt", "striped")
    formula = Expression.parse("black and tshirt and not striped")
    test, warnings = load(tmp_path, Split(concepts, formula=formula))
    assert len(set(test.cells)) == 8
    assert warnings == []
    training, _ = load(tmp_path, Split(concepts, "striped", formula=formula))
    assert not [name for name in training.names if name.startswith(("0-", "1-"))], "no black T-shirt, striped or not"
    assert Counter(training.labels["striped"].tolist()) == {True: 30, False: 30}
    assert source(tmp_path).possible(("black", "striped"))
    assert not source(tmp_path).possible(("black", "red"))
    five = Split((*concepts, "red", "trousers"), formula=Expression.parse("black and striped"))
    assert len(set(load(tmp_path, five)[0].cells)) == len(cells), "all that five concepts can be at once here"


def test_a_picture_may_show_nothing_of_a_kind(tmp_path: Path) -> None:
    write(tmp_path, rows_of([*CELLS, ("none", "tshirt"), ("black", "none")]))
    assert Counter(load(tmp_path)[0].cells) == {"black+tshirt": 4, "black": 8, "tshirt": 12, "none": 8}
    assert "none" not in [name for _, message in source(tmp_path).split_problems(Split(("x", "y"))) for name in message]


# -- what is said before a picture is opened ---------------------------------------------------


def test_a_concept_shown_with_one_other_value_alone_is_noted_before_any_work(tmp_path: Path) -> None:
    rows = rows_of([("arla", "milk"), ("arla", "yoghurt"), ("alpro", "milk"), ("alpro", "yoghurt"), ("oatly", "milk")])
    write(tmp_path, rows)
    for path in tmp_path.glob("*.png"):
        path.write_bytes(b"")
    split = Split(("arla", "milk"), "arla")
    note = (
        "all training pictures of 'arla' show 'yoghurt': its cells vary in nothing else, so what is learned as "
        "'arla' may be 'yoghurt'; add some of 'arla' without 'yoghurt'"
    )
    assert list(source(tmp_path).split_notes(split)) == [note]
    assert list(source(tmp_path).split_notes(Split(("arla", "milk"), "milk"))) == []
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "concepts: [arla, milk]\nimages: cells\nmodels: train\ncompositions: {product: {assembler: product}}\n",
        encoding="utf-8",
    )
    assert note in read_recipe(recipe).notes, "and so in the run's warnings"
    checked = CliRunner().invoke(main, ["check", str(recipe)])
    assert checked.exit_code == 0, checked.output
    assert note in " ".join(checked.output.split())


def test_what_all_pictures_share_is_no_confusion(tmp_path: Path) -> None:
    write(tmp_path, [f"{row},here" for row in rows_of()], f"{HEADER},place")
    assert list(source(tmp_path).split_notes(BLACK)) == [
        "all training pictures of 'black' show 'trousers': its cells vary in nothing else, so what is learned as "
        "'black' may be 'trousers'; add some of 'black' without 'trousers'"
    ]


def test_pictures_without_groups_are_noted(folders: Path) -> None:
    (note,) = source(folders).split_notes(TEST)
    assert note.startswith("nothing says which pictures belong together")


def test_pictures_that_are_in_both_parts_are_a_warning(table: Path) -> None:
    test, training = load(table)[0].names[0], load(table, BLACK)[0].names[0]
    (table / test).write_bytes((table / training).read_bytes())
    _, (warning,) = load(table)
    assert "1 of the 24 test pictures are also training pictures" in warning
    assert f"the first is {test}, the same as {training}" in warning


def test_checking_opens_no_picture_and_imports_no_torch(table: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from composer import Split
from composer_cells import Cells
cells = Cells(root=Path({str(table)!r}))
for split in (Split(("black", "tshirt")), Split(("black", "tshirt"), "black")):
    assert not list(cells.split_problems(split))
    list(cells.split_notes(split))
assert len(list(cells.split_files(Split(("black", "tshirt"))))) == 61
print(*{{"torch", "numpy", "PIL"}} & set(sys.modules))
"""
    for path in table.glob("*.png"):
        path.write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == ""


def test_pairs_to_hold_out_are_those_whose_parts_occur_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, rows_of([*CELLS, ("white", "tshirt"), ("black", "shoes")]))
    assert source(tmp_path).targets() == sorted(CELLS)
    write(tmp_path, [f"{row},x" for row in rows_of()], f"{HEADER},place", drawn=False)
    assert source(tmp_path).targets() == ()
    assert len(source(tmp_path, factors=["attribute", "object"]).targets()) == 6


# -- bad input -------------------------------------------------------------------------------


def changed(number: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    def change(rows: list[str]) -> list[str]:
        assert old in rows[number]
        return [row.replace(old, new, 1) if index == number else row for index, row in enumerate(rows)]

    return change


@pytest.mark.parametrize(
    ("change", "header", "parts"),
    [
        (changed(3, "0-1-1.png", "0" * 999), HEADER, ["line 5 (000", "there is no such file"]),
        (changed(3, "0-1-1.png", "0-1-9.png"), HEADER, ["labels: ", "labels.csv: line 5 (0-1-9.png): there is no"]),
        (changed(3, "black", ""), HEADER, ["line 5: column 'attribute' is empty; fill it in"]),
        (changed(3, "black", "  "), HEADER, ["line 5: column 'attribute' is empty; fill it in"]),
        (changed(3, "person 1", ""), HEADER, ["line 5: column 'group' is empty"]),
        (changed(3, "0-1-1.png", ""), HEADER, ["line 5: column 'file' is empty"]),
        (changed(3, "0-1-1.png", "0-1-0.png"), HEADER, ["line 5 (as line 4: 0-1-0.png): a file has one row only"]),
        (changed(3, ",person 1", ""), HEADER, ["line 5 (3): the header has 4 columns"]),
        (changed(3, "black", '"black'), HEADER, ["line ", "quotation marks in pairs?"]),
        (changed(3, "black", "Black"), HEADER, ["'black' and 'Black' differ in capitals only"]),
        (changed(3, "black", "black+x"), HEADER, ["line 5 ('black+x'): column 'attribute' has a '+'"]),
        (changed(3, "tshirt", "black"), HEADER, ["'black' stands in the columns 'attribute' and 'object'"]),
        (list, "path,attribute,object,group", ["file: ", "line 1 has no column 'file' (its columns: path, attribute"]),
        (list, "files,attribute,object,group", ["no column 'file'; did you mean 'files'?"]),
        (list, "file,object,object,group", ["line 1 has two columns 'object'"]),
        (lambda _: [], HEADER, ["has no row below its header"]),
        (lambda _: [], "", ["is empty; its first line names the columns"]),
        (lambda rows: [row.partition(",")[0] for row in rows], "file", ["line 1 has no column for what a picture"]),
        (
            lambda rows: [f"{row},{'train' if index else 'tset'}" for index, row in enumerate(rows)],
            f"{HEADER},split",
            ["split: ", "line 2 ('tset'): column 'split' must be one of train"],
        ),
        (
            lambda rows: [f"{row},train" for row in rows],
            f"{HEADER},split",
            ["split: all 10 pictures that show the target black+tshirt are training pictures by the table"],
        ),
        (
            lambda rows: [row for row in rows if "black,tshirt" not in row],
            HEADER,
            ["no picture shows the target black+tshirt, so there is nothing to test on; pictures show black+trousers"],
        ),
        (
            lambda rows: [row for row in rows if "black,tshirt" in row],
            HEADER,
            ["no picture shows anything but black+tshirt"],
        ),
        (
            lambda rows: [row.partition(",person")[0] + f",{row[0]}" for row in rows],
            HEADER,
            ["group: all 10 pictures that show the target black+tshirt are of the group '0', which cannot be parted"],
        ),
    ],
)
def test_a_wrong_table_is_refused_with_line_and_column(
    tmp_path: Path, change: Callable[[list[str]], list[str]], header: str, parts: list[str]
) -> None:
    write(tmp_path, rows_of())
    write(tmp_path, change(rows_of()), header, drawn=False)
    problems = said(tmp_path)
    for part in parts:
        assert part in problems[0]
    assert "labels.csv" in problems[0] or "line" not in problems[0]
    with pytest.raises(ComposerError) as caught:
        load(tmp_path)
    assert parts[-1] in str(caught.value)


def test_all_wrong_rows_are_said_at_once_and_counted(tmp_path: Path) -> None:
    write(tmp_path, [*rows_of(), *(f"no-{index}.png,blue,,x" for index in range(9))], drawn=False)
    missing, empty = said(tmp_path)
    assert "line 2 (0-0-0.png), line 3 (0-0-1.png), line 4 (0-1-0.png) and 66 more: there is no such file" in missing
    assert "line 62, line 63, line 64 and 6 more: column 'object' is empty" in empty


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "utf-8-sig"), ("\t", "utf-8"), (",", "utf-8-sig")])
@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_tables_of_spreadsheets_are_read(table: Path, delimiter: str, encoding: str, ending: str) -> None:
    before = load(table)[0].names
    text = (table / "labels.csv").read_text(encoding="utf-8").replace(",", delimiter).replace("\n", ending)
    (table / "labels.csv").write_bytes(f"{ending}{text}{ending}".encode(encoding))
    assert load(table)[0].names == before


@pytest.mark.parametrize(
    ("encode", "part"),
    [
        (lambda text: text.replace("blue", "bläu").encode("latin-1"), "line 22 is not UTF-8 (byte 0xe4); save it as"),
        (lambda text: text.encode("utf-16"), "looks like UTF-16; save it as 'CSV UTF-8'"),
        (lambda _: b"PK\x03\x04 a workbook", "is a workbook and no table of text"),
    ],
)
def test_tables_in_other_encodings_are_refused(table: Path, encode: Callable[[str], bytes], part: str) -> None:
    file = table / "labels.csv"
    file.write_bytes(encode(file.read_text(encoding="utf-8")))
    (problem,) = said(table)
    assert problem.startswith(f"labels: {file}: ")
    assert part in problem


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"group": "persn"}, "group: {root}/labels.csv: line 1 has no column 'persn'"),
        ({"factors": ["attribut"]}, "factors: {root}/labels.csv: line 1 has no column 'attribut'; did you mean 'attri"),
        ({"split": "part"}, "split: {root}/labels.csv: line 1 has no column 'part'"),
        ({"labels": "label.csv"}, "labels: no file {root}/label.csv; did you mean 'labels.csv'? ({root} holds "),
        ({"labels": "l" * 300}, "labels: no file {root}/lll"),
        ({"labels": "l" * 300 + "/labels.csv"}, "labels: {root}/lll"),
        ({"labels": "."}, "labels: {root} is no file; name a table of labels"),
        ({"root": "pictres"}, "root: no folder {root}/pictres"),
    ],
)
def test_what_an_option_names_has_to_be_there(table: Path, options: dict[str, Any], problem: str) -> None:
    (met,) = said(table, **options)
    assert met.startswith(problem.format(root=table))


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        (Split(("blck", "tshirt"), "blck"), ["no picture shows 'blck'; did you mean 'black'? (there are black, blue"]),
        (Split(("black", "shoe")), ["no picture shows 'shoe'"]),
        (Split(("black", "blue")), ["no picture shows the target black+blue"]),
        (
            Split(("blue", "shoes"), "shoes"),
            ["there is no training picture of 'shoes': all 10 that show 'shoes' show blue"],
        ),
    ],
)
def test_concepts_that_cannot_be_learned_or_tested_are_refused(tmp_path: Path, split: Split, parts: list[str]) -> None:
    cells = [*CELLS, ("blue", "shoes")] if "shoes" in split.concepts else CELLS
    problems = said(write(tmp_path, rows_of(cells)), split)
    for part in parts:
        assert part in problems[0]


def test_columns_are_refused_where_there_is_no_table(folders: Path) -> None:
    met = said(folders, group="who", factors=["colour"], split=None)
    assert [problem.partition(":")[0] for problem in met] == ["factors", "group"]
    assert f"names a column, and there is no table {folders}/labels.csv" in met[0]


def test_what_every_picture_shows_cannot_be_learned(tmp_path: Path) -> None:
    write(tmp_path, rows_of([("black", "tshirt"), ("red", "tshirt")]))
    (problem,) = said(tmp_path, TSHIRT)
    assert problem == ": every picture shows 'tshirt', so nothing tells it from others; add pictures without it"


def test_wrong_folders_are_refused(folders: Path) -> None:
    (folders / "red+shoes").mkdir()
    (folders / "red+").mkdir()
    draw(folders / "red+red" / "0.png", 1)
    unnamed, twice, empty = sorted(said(folders))
    assert f"{folders}/red+: a folder is named by what its pictures show" in unnamed
    assert f"{folders}/red+red names 'red' twice" in twice
    assert f"no pictures in {folders}/red+shoes" in empty
    for place in ("red+shoes", "red+"):
        (folders / place).rmdir()
    (folders / "red+red" / "0.png").unlink()
    (folders / "red+red").rename(folders / "BLACK+shoes")
    draw(folders / "BLACK+shoes" / "0.png", 1)
    assert "'BLACK' and 'black' differ in capitals only" in said(folders)[0]


def test_a_table_of_another_name_beside_folders_is_named(folders: Path) -> None:
    write(folders, [], drawn=False).joinpath("labels.csv").rename(folders / "meta.csv")
    (problem,) = said(folders, Split(("shirt", "trousers"), "shirt"))
    assert problem.endswith(", by the folders' names; `labels: meta.csv` reads the table)")


def test_a_folder_with_neither_table_nor_folders_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "0.png", 0)
    (problem,) = said(tmp_path)
    assert problem.startswith(f"root: {tmp_path} has neither a table labels.csv nor folders named by what")
    assert problem.endswith(f"{tmp_path} holds 0.png")


def test_check_names_the_option_and_shows_no_traceback(tmp_path: Path) -> None:
    write(tmp_path, changed(3, "black", "")(rows_of()))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "concepts: [black, tshirt]\nimages: cells\nmodels: train\ncompositions: {product: {assembler: product}}\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(main, ["check", str(recipe)])
    assert done.exit_code == 2
    problems = [line for line in done.output.splitlines() if "images.labels" in line]
    assert len(problems) == 1, "each of the recipe's splits meets it, and it is said once"
    assert "line 5: column 'attribute' is empty" in " ".join(done.output.split())


def test_any_target_is_a_line_of_a_recipe(table: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "concepts: [red, trousers]\nimages: cells\n"
        "models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}\n"
        "compositions: {product: {assembler: product}}\ncontrols: [parents]\nevaluators: [recognition]\noracle: true\n",
        encoding="utf-8",
    )
    with StageCache(tmp_path / "store") as store:
        report = compute(read_recipe(recipe), store, "cpu").report
    assert report["images"]["cells"] == {"red+trousers": 4, "red": 4, "trousers": 8, "none": 8}
    assert report["oracle"]["scores"]
    assert any("its cells vary in nothing else" in warning for warning in report["warnings"])
