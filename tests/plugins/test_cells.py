"""Pictures named by what they show: how they are parted, what is refused, and what is said before one is opened."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from composer import ComposerError, Expression, Split
from composer.command_line.cli import main
from composer.recipes.recipe_reader import read_recipe
from composer.running.cache import StageCache
from composer.running.outcome import compute
from composer_cells.parting import parted
from photos import BLACK, CELLS, CONCEPTS, HEADER, TEST, TSHIRT, draw, group_of, load, rows_of, said, source, write


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


def test_a_rare_combination_is_parted_as_evenly_as_a_frequent_one(tmp_path: Path) -> None:
    rows = [f"f{index}.png,black,tshirt,crowd {index // 7}" for index in range(98)]
    for person in ("ann", "ben"):
        rows += [
            f"{person}.png,black,tshirt,{person}",
            *(f"{person}{index}.png,red,trousers,{person}" for index in (0, 1)),
        ]
    write(tmp_path, rows, drawn=False)
    for row in rows:
        (tmp_path / row.split(",")[0]).touch()
    for seed in range(8):
        cells = [picture.values for picture in parted(source(tmp_path, test=0.5, seed=seed)).testing]
        assert cells.count(("red", "trousers")) == 2, "two of four, whichever comes first"
        assert 43 <= cells.count(("black", "tshirt")) <= 57


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


def test_names_of_a_folder_stand_in_any_order(folders: Path) -> None:
    (folders / "red+tshirt").rename(folders / "tshirt+red")
    assert said(folders) == []
    assert Counter(load(folders)[0].cells) == {"black+tshirt": 2, "black": 2, "tshirt": 4, "none": 4}


def test_the_limit_is_of_each_combination_in_training_and_in_test(table: Path) -> None:
    test, _ = load(table, limit=1)
    assert Counter(name[0] for name in test.names) == dict.fromkeys("012345", 1)
    assert len(load(table, BLACK, limit=1)[0]) == 5
    assert source(table, limit=1).picture_count(TEST) == ("limit", 6)
    assert len(list(source(table, limit=1).split_files(BLACK))) == 6, "five pictures and the table"


def test_a_limit_takes_pictures_evenly_spaced(tmp_path: Path) -> None:
    for place, cell in enumerate(("black+tshirt", "red+trousers")):
        for index in range(9):
            draw(tmp_path / cell / f"{index}.png", 10 * place + index)
    tested = load(tmp_path)[0].names
    assert len(tested) == 8
    assert list(load(tmp_path, limit=2)[0].names) == [tested[index] for index in (0, 2, 4, 6)]


def test_labelled_pictures_show_the_target_and_are_none_of_the_test_pictures(table: Path) -> None:
    labelled, warnings = load(table, Split(CONCEPTS, labelled=True))
    assert warnings == []
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
    assert "(there are black, blue, red, trousers, tshirt)" in said(tmp_path, Split(("x", "y")))[0]


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


def test_dead_links_are_left_out_with_a_warning(folders: Path) -> None:
    for folder in list(folders.iterdir()):
        (folder / "dead.png").symlink_to(folders / "gone.png")
    _, warnings = load(folders, unreadable=0.9)
    assert any("cannot be read and are left out: " in warning and "dead.png" in warning for warning in warnings)
    assert not [file for file in source(folders).split_files(TEST) if file.name == "dead.png"]


def test_combinations_that_are_not_tested_on_are_a_warning(tmp_path: Path) -> None:
    _, (warning,) = load(write(tmp_path, rows_of([("black", "tshirt"), ("black", "trousers"), ("red", "trousers")])))
    assert warning == (
        "there are no test pictures of tshirt, so the scores do not say whether black+tshirt is told from these"
    )


def test_a_target_of_which_no_picture_can_be_read_is_refused(folders: Path) -> None:
    for picture in (folders / "black+tshirt").iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(ComposerError, match=r"0 of 10 readable pictures show black\+tshirt"):
        load(folders, unreadable=1)


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


def test_a_target_that_is_not_tested_on_is_refused_with_the_number_of_groups(table: Path) -> None:
    assert said(table, test=0.01)[0] == (
        "test: all 10 pictures that show the target black+tshirt, of 5 groups, have become training pictures; "
        "add pictures, or change `test` or `seed`"
    )


def test_what_every_picture_shows_cannot_be_learned(tmp_path: Path) -> None:
    write(tmp_path, rows_of([("black", "tshirt"), ("red", "tshirt")]))
    (problem,) = said(tmp_path, TSHIRT)
    assert problem == ": every picture shows 'tshirt', so nothing tells it from others; add pictures without it"


def test_wrong_folders_are_refused(folders: Path) -> None:
    (folders / "red+shoes").mkdir()
    (folders / "red+").mkdir()
    (folders / "red +hat").mkdir()
    draw(folders / "red+red+cap" / "0.png", 1)
    blank, unnamed, twice, empty = sorted(said(folders))
    for name, problem in (("red+", unnamed), ("red +hat", blank)):
        assert f"{folders}/{name}: a folder is named by what its pictures show" in problem
    assert f"{folders}/red+red+cap names 'red' twice" in twice
    assert f"no pictures in {folders}/red+shoes" in empty
    for place in ("red+shoes", "red+", "red +hat"):
        (folders / place).rmdir()
    (folders / "red+red+cap" / "0.png").unlink()
    (folders / "red+red+cap").rename(folders / "BLACK+shoes")
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
