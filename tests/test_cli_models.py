from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from composer import ComposerError
from composer.command_line.cli import Commands
from composer.command_line.cli_models import COMMANDS, asked_pictures
from composer.models.loading import load
from composer.text import percent
from composer_cnn import CNN
from saved_run import saved_run

GROUP = Commands("composer", commands={str(command.name): command for command in COMMANDS})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a run in it and a folder of pictures."""
    saved_run(tmp_path / "run")
    pictures = tmp_path / "pictures"
    (pictures / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.JPG", "more/c.webp"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(pictures / name)
    (pictures / "notes.txt").write_text("no picture")
    (pictures / ".hidden.png").write_bytes(b"")
    (pictures / ".thumbnails").mkdir()
    (pictures / ".thumbnails" / "dark.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(GROUP, list(arguments), prog_name="composer")


# -- predict -----------------------------------------------------------------------------------


def test_predict_prints_a_row_per_picture_with_every_probability() -> None:
    shown = call("predict", "run", "pictures")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["picture", "black", "cat", "black+cat", "shown"]
    (expected,) = load("run").predict("pictures/b.png")
    (row,) = [line for line in lines if "pictures/b.png" in line]
    assert row.split() == [
        "pictures/b.png",
        *percent(expected.concepts["black"]).split(),
        *percent(expected.concepts["cat"]).split(),
        *percent(expected.probability).split(),
        "yes" if expected.shown else "no",
    ]
    assert "of 3 show black+cat (every concept above 50 %)" in shown.stdout
    assert "run/models/product: black+cat by product, member 'black 2 x cat 2'" in shown.stderr


class Sheet(HTMLParser):
    """The pictures of a page with what stands below them, its list, and every address."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.cards: list[tuple[str, list[str]]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.heading = self.listed = self.inside = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.inside = tag if tag in ("h1", "figure", "li", "style") else self.inside
        if tag == "img":
            self.cards.append((own["alt"] or "", []))

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside == "h1":
            self.heading += data
        elif self.inside == "li":
            self.listed += data
        elif self.inside == "figure" and data.strip():
            self.cards[-1][1].append(data.strip())


def test_a_page_shows_the_pictures_themselves_the_most_probable_first() -> None:
    Path("pictures/broken.png").write_bytes(b"no picture")
    Path("pictures/b.png").rename("pictures/<script>&'\".png")
    shown = call("predict", "run", "pictures", "--page", "found.html")
    assert shown.exit_code == 0, shown.output
    assert "written: found.html\n" in shown.stderr
    found = load("run").predict([path for path in asked_pictures(["pictures"]) if path.name != "broken.png"])
    page = Sheet(Path("found.html"))
    assert [name for name, _ in page.cards] == [
        one.name for one in sorted(found, key=lambda one: -(one.probability or 0))
    ]
    for one in found:
        texts = dict(page.cards)[one.name]
        shares = [text for concept in ("black", "cat") for text in (concept, percent(one.concepts[concept]))]
        assert texts == [percent(one.probability), "yes" if one.shown else "no", *shares, one.name]
    assert page.heading == f"{sum(bool(one.shown) for one in found)} of 3 show black+cat"
    assert "pictures/broken.png: " in page.listed
    assert "script" not in page.tags, "names are text"
    assert all(address.startswith("data:") for address in page.addresses)
    assert page.addresses[1:] == [
        address for address in page.addresses if address.startswith("data:image/jpeg;base64,")
    ]


def test_a_page_replaces_only_what_predict_wrote() -> None:
    Path("mine.html").write_text("<p>mine")
    for place, message in (
        ("mine.html", "--page mine.html: is a file that composer predict did not write; give another name"),
        ("pictures", "--page pictures: is a folder"),
        ("gone/found.html", "--page gone/found.html: there is no folder gone"),
    ):
        refused = call("predict", "run", "pictures", "--page", place)
        assert refused.exit_code != 0
        assert message in refused.output
    assert Path("mine.html").read_text() == "<p>mine"
    assert call("predict", "run", "pictures/b.png", "--page", "found.html").exit_code == 0
    again = call("predict", "run", "pictures", "--page", "found.html", "--json")
    assert "written anew: found.html\n" in again.stderr
    assert len(Sheet(Path("found.html")).cards) == len(json.loads(again.stdout)["pictures"]) == 3


def test_json_is_all_that_standard_output_holds() -> None:
    shown = call("predict", "run", "pictures", "gone.png", "--json", "--member", "1", "--threshold", "0.9")
    data = json.loads(shown.stdout)
    assert (data["composition"], data["member"], data["target"]) == ("product", "black 1 x cat 1", "black+cat")
    assert (data["threshold"], data["unreadable"]) == (0.9, 1)
    expected = load("run", member=1).predict("pictures/b.png", threshold=0.9)[0]
    (found,) = [picture for picture in data["pictures"] if picture["name"] == "pictures/b.png"]
    assert found["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert found["concepts"]["cat"] == pytest.approx(expected.concepts["cat"], abs=1e-6)
    assert found["shown"] is expected.shown
    (gone,) = [picture for picture in data["pictures"] if picture["name"] == "gone.png"]
    assert gone == {
        "name": "gone.png",
        "probability": None,
        "shown": None,
        "concepts": {},
        "error": "no such file",
        "bounds": None,
        "label": None,
    }


def test_csv_has_a_line_per_picture() -> None:
    Path("pictures/a, b.png").write_bytes(b"no picture")
    shown = call("predict", "run/models/product", "pictures", "--csv")
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    assert [row["picture"] for row in rows] == [
        f"pictures/{name}" for name in ("a, b.png", "a.JPG", "b.png", "more/c.webp")
    ]
    assert list(rows[0]) == ["picture", "black", "cat", "black+cat", "shown", "error"]
    assert rows[0]["error"].startswith("not a JPEG, PNG")
    assert (rows[0]["black"], rows[0]["shown"]) == ("", "")
    assert 0 < float(rows[1]["black+cat"]) < min(float(rows[1]["black"]), float(rows[1]["cat"]))
    assert rows[1]["shown"] in ("true", "false")


def test_a_model_of_one_network_has_the_targets_probability_alone() -> None:
    shown = call("predict", "run", "pictures/b.png", "--composition", "parents.black", "--csv")
    assert shown.stdout.splitlines()[0] == "picture,black,shown,error"


def test_unreadable_files_are_named_and_counted_and_only_where_all_are_it_fails() -> None:
    Path("pictures/cut.png").write_bytes(Path("pictures/b.png").read_bytes()[:200])
    shown = call("predict", "run", "pictures", "gone.png")
    assert shown.exit_code == 0
    assert "2 of 5 pictures could not be read:" in shown.stderr
    assert "  gone.png: no such file" in shown.stderr
    assert "  pictures/cut.png: " in shown.stderr
    assert "cut.png" not in shown.stdout
    alone = call("predict", "run", "pictures/cut.png", "--json")
    assert alone.exit_code == 1
    assert json.loads(alone.stdout)["unreadable"] == 1
    many = call("predict", "run", *(f"gone{index}.png" for index in range(25)))
    assert many.exit_code == 1
    assert "25 of 25 pictures could not be read:" in many.stderr
    assert "  and 5 more" in many.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "*.xyz"), "error: *.xyz: no file matches"),
        (("run", "run"), "error: run: the folder holds no picture"),
        (("nowhere", "pictures"), "error: nowhere: there is no such folder"),
        (("run", "pictures", "--composition", "features"), "gives features and no log-odds"),
        (("run", "pictures", "--member", "9"), "has members 0 to 2, not 9"),
        (("run", "pictures", "--json", "--csv"), "choose one of the two"),
        (("run",), "Missing argument 'PICTURES...'"),
        (("run", "pictures", "--threshold", "2"), "2.0 is not in the range"),
    ],
)
def test_what_the_user_can_mend_is_said_with_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    shown = call("predict", *arguments)
    assert shown.exit_code == 2, shown.output
    assert message in shown.stderr
    assert "Traceback" not in shown.output


def test_pictures_are_found_in_folders_and_by_patterns_each_once(here: Path) -> None:
    def found(*given: str) -> list[str]:
        return [file.as_posix() for file in asked_pictures(given)]

    everything = ["pictures/a.JPG", "pictures/b.png", "pictures/more/c.webp"]
    assert found("pictures") == everything
    assert found("pictures/b.png", "pictures") == ["pictures/b.png", "pictures/a.JPG", "pictures/more/c.webp"]
    assert found("pictures/**/*.webp") == ["pictures/more/c.webp"]
    assert found(str(here / "pictures" / "*.png")) == [str(here / "pictures" / "b.png")]
    Path("pictures/[1].png").touch()
    assert found("pictures/[1].png") == ["pictures/[1].png"], "a name that looks like a pattern"
    assert found("pictures/notes.txt", "gone.jpg") == ["pictures/notes.txt", "gone.jpg"], "named by itself: tried"
    with pytest.raises(ComposerError, match="no file matches"):
        asked_pictures(["pictures/*.bmp"])


def test_certainty_is_not_invented_by_rounding() -> None:
    values = (0.0, 1e-9, 0.0005, 0.1234, 0.5, 0.9994, 0.9999, 1.0, None)
    assert [percent(value) for value in values] == [
        "0.0 %", "<0.1 %", "0.1 %", "12.3 %", "50.0 %", "99.9 %", ">99.9 %", "100.0 %", "-",
    ]  # fmt: skip


# -- export ------------------------------------------------------------------------------------


def test_export_writes_what_is_asked_for_and_says_how_to_use_it() -> None:
    shown = call("export", "run", "--format", "torch_export")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == "product.pt2\n"
    assert "in: pixels, float32 [N, 3, 24, 24], RGB in 0..1; out: log_odds of the target [N]" in shown.stderr
    assert torch.export.load("product.pt2").module()(torch.zeros(3, 3, 24, 24)).shape == (3,)
    shown = call("export", "run", "--format", "safetensors", "--output", "mine", "--member", "black 1 x cat 1")
    assert shown.exit_code == 0, shown.output
    assert load("mine").member == "black 1 x cat 1"
    again = call("export", "run", "--format", "safetensors", "--output", "mine")
    assert again.exit_code == 2
    assert "mine: is a folder already" in again.stderr


def test_export_to_onnx_is_compared_with_the_original() -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    shown = call("export", "run", "--composition", "parents.black")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout == "parents.black.onnx\n"
    assert "compared with PyTorch by onnxruntime: largest difference" in shown.stderr


# -- inspect -----------------------------------------------------------------------------------


def test_inspect_prints_layers_with_reasons_and_what_the_whole_is_good_for() -> None:
    shown = call("inspect", "resnet18")
    assert shown.exit_code == 0, shown.output
    rows = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line.strip()}
    assert rows["conv1"] == ["conv1", "convolution", "64x3x7x7", "yes", "yes", "yes"]
    assert rows["bn1"] == ["bn1", "normalisation", "64", "no", "follows", "no", "1"]
    assert "  1  a scale and a shift for each channel, no kernels" in shown.stdout
    assert "  no   assemble a network from kernels alone (transplant, refit): kernels cannot fill bn1" in shown.stdout


def test_inspect_can_print_json() -> None:
    torch.save(CNN().build(2).state_dict(), "model.pth")
    (found,) = json.loads(call("inspect", "model.pth", "--json").stdout)
    assert found["layers"][0]["shape"] == [6, 3, 5, 5]
    assert found["facts"]["outputs"] == "2, from 400 features in 'fc1'"
    assert call("inspect", "no_such_model").exit_code == 2


def test_the_commands_can_be_listed_without_importing_torch() -> None:
    code = "import sys, composer.command_line.cli_models; sys.exit('torch' in sys.modules or 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=300, check=False).returncode == 0
