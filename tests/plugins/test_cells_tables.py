"""Tables of labels: what is read, and what is refused with line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from composer import ComposerError
from composer.command_line.cli import main
from photos import CELLS, GROUPS, HEADER, TEST, group_of, load, rows_of, said, source, write


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Sixty pictures of six cells by five people."""
    return write(tmp_path, rows_of())


def test_the_order_of_the_rows_changes_nothing(table: Path) -> None:
    before = load(table)[0].names
    write(table, rows_of()[::-1], drawn=False)
    assert load(table)[0].names == before


def test_columns_of_groups_and_splits_are_never_what_pictures_show(tmp_path: Path) -> None:
    write(tmp_path, [f"{row},train" for row in rows_of()], f"{HEADER},split")
    assert source(tmp_path, group=None, split=None).targets() == sorted(CELLS)


def test_a_column_of_splits_decides(tmp_path: Path) -> None:
    parts = ["train", "TEST", "val", "train"]
    rows = [f"{row},{'train' if row.endswith('0') else parts[index % 4]}" for index, row in enumerate(rows_of())]
    write(tmp_path, rows, f"{HEADER},split")
    test, _ = load(tmp_path)
    assert set(test.names) == {row.split(",")[0] for row in rows if row.endswith("TEST")}
    (note,) = source(tmp_path).split_notes(TEST)
    assert note.startswith("4 of 5 groups have training and test pictures by the table's own split")
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


def changed(number: int, old: str, new: str) -> Callable[[list[str]], list[str]]:
    def change(rows: list[str]) -> list[str]:
        assert old in rows[number]
        return [row.replace(old, new, 1) if index == number else row for index, row in enumerate(rows)]

    return change


@pytest.mark.parametrize(
    ("change", "header", "parts"),
    [
        (changed(3, "0-1-1.png", "0" * 999), HEADER, ["line 5 (000", "there is no such file"]),
        (
            changed(3, "0-1-1.png", "/tmp/0-1-1.png"),
            HEADER,
            ["line 5 (/tmp/0-1-1.png): a file is named as seen from `ro"],
        ),
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
        (list, "path;attribute;object", ["line 1 has no column 'file' (its columns: path, attribute, object)"]),
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


def test_a_file_is_the_same_however_its_path_is_written(tmp_path: Path) -> None:
    write(tmp_path, rows_of())
    write(tmp_path, changed(3, "0-1-1.png", f"../{tmp_path.name}/0-1-0.png")(rows_of()), drawn=False)
    (problem,) = said(tmp_path)
    assert problem.endswith(f"line 5 (as line 4: ../{tmp_path.name}/0-1-0.png): a file has one row only")


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


def test_commas_in_quoted_names_of_columns_part_no_columns(table: Path) -> None:
    before = load(table)[0].names
    lines = (table / "labels.csv").read_text(encoding="utf-8").replace(",", ";").splitlines()
    header = '"file";"colour, as seen";"thing, or none, or several";group'
    (table / "labels.csv").write_text("\n".join([header, *lines[1:]]), encoding="utf-8")
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
