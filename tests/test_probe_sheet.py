"""`composer zoo check --page`: the pictures that a zoo keeps, and which of them each concept fires for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from composer import Zoo
from composer.command_line.cli import main
from composer.zoo.checking import Probed
from composer.zoo.probe_sheet import MOST_OTHERS, write_sheet
from composer.zoo.writing import Entry
from tiny import tiny_images, tiny_population


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="composer")


def cards(section: str) -> list[tuple[str, str]]:
    """(its classes, its caption) of every picture in a section."""
    found = re.findall(r'<figure class="probe ([^"]*)">.*?<figcaption><b>(.*?)</b> (.*?)</figcaption>', section)
    return [(" ".join(classes.split()), f"{text} {what}") for classes, text, what in found]


def sections(page: Path) -> dict[str, str]:
    parts = page.read_text(encoding="utf-8").split("<h2 ")[1:]
    return {re.search(r">(.*?)</h2>", part)[1]: part for part in parts}  # type: ignore[index]


def test_each_concept_shows_its_own_pictures_and_the_others_that_it_is_surest_of(tmp_path: Path) -> None:
    images = {name: tiny_images(4, seed=seed).as_one_concept(name) for seed, name in enumerate(("dog", "bird"))}
    for name, one in images.items():
        one.labels[name][:] = np.resize([True, False], len(one))
    count = len(images["dog"])
    own = np.where(images["dog"].labels["dog"], 3.0, -3.0)
    own[0] = -1.0  # shows a dog, and it does not fire
    own[1] = 2.0  # shows none, and it fires
    other = np.full(count, -5.0)
    other[0] = 4.0  # a bird, of which nobody knows whether it is no dog
    said = {"dog": np.concatenate([own, other]), "bird": np.zeros(2 * count)}
    write_sheet(tmp_path / "sheet.html", Probed(images, said), tmp_path)
    assert list(sections(tmp_path / "sheet.html")) == ["bird", "dog"], "the doubtful first"
    dog = sections(tmp_path / "sheet.html")["dog"]
    mine, others = (cards(part) for part in dog.split("Of all other pictures"))
    assert len(mine) == int(images["dog"].labels["dog"].sum())
    assert mine[0] == ("fires", "95.3 % dog")
    assert mine[-1] == ("wrong", "26.9 % dog")
    assert others[0] == ("fires", "98.2 % bird")
    assert others[1] == ("fires wrong", "88.1 % no dog")
    assert others[2][0] == ""
    assert len(others) <= MOST_OTHERS


def test_the_command_writes_it_and_replaces_only_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSER_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    zoo = Zoo()
    zoo.put(Entry(tiny_population("dog", seed=2), probes=tiny_images(4).as_one_concept("dog")))
    zoo.put(Entry(replace(tiny_population("dog", seed=2), concept="hound")))
    first = call("zoo", "check", "--page", "sheet.html")
    assert "\nwritten: sheet.html" in first.stderr
    assert list(sections(Path("sheet.html"))) == ["dog", "hound"]
    text = Path("sheet.html").read_text(encoding="utf-8")
    assert "<h1>2 concepts, 2 of them doubtful</h1>" in text
    assert "says nearly the same as dog" in sections(Path("sheet.html"))["hound"]
    assert "The zoo keeps no pictures of it." in sections(Path("sheet.html"))["hound"]
    assert "http" not in re.sub(r"http-equiv", "", text), "it needs nothing else"
    assert "written anew: sheet.html" in call("zoo", "check", "--page", "sheet.html").stderr
    Path("mine.html").write_text("mine")
    refused = call("zoo", "check", "--page", "mine.html")
    assert refused.exit_code == 2
    assert "--page mine.html: is a file that composer zoo check did not write" in refused.stderr
    assert Path("mine.html").read_text() == "mine"
    assert "is a folder" in call("zoo", "check", "--page", str(tmp_path)).stderr
