"""A finished run as a notebook shows it: a table, a data frame, a plot, the pictures."""

from __future__ import annotations

import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import composer
from composer import ComposerError
from composer.api import Composed
from composer.results.notebook import CONTROL, MADE, as_html, plotted
from composer.results.run_folder import COLUMNS, read_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Composed:
    return composer.compose(
        ["black", "cat"],
        images={"use": "drawings", "size": 16, "train": 40, "test": 16},
        models={
            "use": "train",
            "architecture": {"use": "cnn", "filters": [2, 3], "size": 16},
            "members": 2,
            "epochs": 1,
        },
        compositions={"product": {"assembler": "product"}},
        controls=["parents"],
        evaluators=["recognition"],
        output=tmp_path_factory.mktemp("notebook") / "run",
        device="cpu",
    )


def test_it_is_told_of_in_a_line_where_there_is_no_html(run: Composed) -> None:
    assert repr(run) == f"<black_cat: product; in {run.folder}>"


class Table(HTMLParser):
    """The texts of all cells, row by row, and every tag that was met."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every tag is closed in its turn"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def test_a_notebook_shows_the_table_of_a_run(run: Composed) -> None:
    table = Table(run._repr_html_())
    assert table.open == []
    assert table.rows[0][:4] == ["composition", "n", "size", "AUC"]
    assert [row[0] for row in table.rows[1:]] == ["product", "controls", *sorted_controls(run)]
    assert table.rows[1][3].startswith(f"{auc(run, 'product'):.3f}")


def test_what_a_recipe_calls_things_is_not_read_as_html(run: Composed) -> None:
    arms = {f"<img src=x>{name}": arm for name, arm in run.report["compositions"].items()}
    shown = as_html({**run.report, "name": "<script>", "compositions": arms, "comparisons": [], "warnings": ["a<b"]})
    assert not Table(shown).tags & {"img", "script", "b<"}
    assert "&lt;img src=x&gt;product" in shown
    assert "a&lt;b" in shown


def test_the_scores_are_a_data_frame_of_every_member(run: Composed) -> None:
    frame = run.scores
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == len(read_run(run.folder).scores())
    own = frame[(frame.composition == "product") & (frame.score == "recognition.auc")]
    assert list(own.member) == [0, 1]
    assert own.value[own.picked].item() == auc(run, "product")
    assert not own.control.any()
    assert frame.control.any()


def test_scores_without_pandas_say_what_to_install(run: Composed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ComposerError, match=r"pip install 'kernel-composer\[notebook\]'"):
        _ = run.scores


def test_scores_of_a_folder_that_holds_another_run_by_now_are_refused(run: Composed) -> None:
    other = replace(run, report={**run.report, "seed": 99})
    for ask in (lambda: other.scores, lambda: other.pictures):
        with pytest.raises(ComposerError, match="holds another run by now"):
            ask()


def test_a_plot_has_every_composition_with_its_interval_and_controls_in_grey(run: Composed) -> None:
    figure = run.plot()
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["product", *sorted_controls(run)]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    bars = [line for line in axes.lines if line.get_marker() != "o"]
    assert [np.asarray(dot.get_xdata()).tolist() for dot in dots] == [[auc(run, name)] for name in names]
    assert [np.asarray(bar.get_xdata()).tolist() for bar in bars] == [
        run.report["compositions"][name]["scores"]["recognition.auc"]["interval"] for name in names
    ]
    assert [dot.get_color() for dot in dots] == [MADE, CONTROL, CONTROL]
    assert axes.get_xlabel().startswith("AUC of the picked member")
    png: bytes = figure._repr_png_()  # type: ignore[attr-defined]  # what notebooks look for
    assert png.startswith(b"\x89PNG")


def test_a_run_without_scores_has_no_plot(run: Composed) -> None:
    arms = {name: {**arm, "scores": {}} for name, arm in run.report["compositions"].items()}
    with pytest.raises(ComposerError, match="no composition has a score"):
        plotted({**run.report, "compositions": arms})


def test_the_pictures_are_a_sheet_of_what_it_trained_and_tested_on(run: Composed) -> None:
    sheet = run.pictures
    assert sheet.mode == "RGB"
    assert sheet.height > 8 * 72, "yes and no of two concepts, and four cells"


def auc(run: Composed, composition: str) -> float:
    value: float = run.report["compositions"][composition]["scores"]["recognition.auc"]["picked"]
    return value


def sorted_controls(run: Composed) -> list[str]:
    arms: dict[str, Any] = {name: arm for name, arm in run.report["compositions"].items() if arm["control"]}
    return sorted(arms, key=lambda name: -auc(run, name))
