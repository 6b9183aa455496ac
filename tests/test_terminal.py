"""What a run prints: its table, its sentences, and what is wrong."""

from __future__ import annotations

import copy
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from composer.command_line.terminal import print_error
from composer.command_line.terminal_results import print_results
from composer.errors import ComposerError, Problem, RecipeError
from composer.judging.declared import declared_scores
from composer.results.results_table import (
    BEATS,
    all_columns,
    best_first,
    columns_by_evaluator,
    count_text,
    fitting,
    footnotes,
    left_out,
    results_sheet,
)
from composer.results.verdicts import best_sentence, in_short, kernels_sentence
from composer.text import seconds_text
from composer_clustering import Clusters
from composer_recognition import Recognition


def score(picked: float, median: float | None = None, half: float | None = 0.02, **more: Any) -> dict[str, Any]:
    interval = None if half is None else [picked - half, picked + half]
    found = {"median": picked if median is None else median, "picked": picked, "best": picked + 0.05}
    return {**found, "interval": interval, "labels": "scoring", "higher_is_better": True, **more}


def arm(*, control: bool = False, members: int = 32, parameters: int = 5142, **scores: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in scores.items()}
    return {"control": control, "members": members, "parameters": parameters, "scores": named}


DECLARED = {
    name: info.facts() for name, info in declared_scores({"recognition": Recognition(), "clusters": Clusters()}).items()
}
REPORT: dict[str, Any] = {
    "name": "black_cat",
    "declared": DECLARED,
    "concepts": ["black", "cat"],
    "images": {"count": 400, "positives": 100},
    "warnings": [],
    "compositions": {
        "random": arm(control=True, clusters__kmeans__accuracy=score(0.73)),
        "cyclegan": arm(
            clusters__kmeans__accuracy=score(0.61),
            clusters__one_class_svm__accuracy=score(0.81, labels="fitting"),
            clusters__kmeans__silhouette=score(0.21),
        ),
        "product": arm(
            parameters=10284,
            recognition__auc=score(0.985, 0.97, 0.005),
            recognition__auc_hardest_cell=score(0.95),
            recognition__accuracy=score(0.93),
        ),
        "parents.cat": arm(control=True, recognition__auc=score(0.9)),
    },
}


def drawn(report: dict[str, Any], width: int, evaluator: int = 0) -> list[str]:
    """The lines of the table of one evaluator as they are printed."""
    console = Console(file=StringIO(), width=width)
    columns = [*columns_by_evaluator(report), []][evaluator]
    console.print(results_sheet(report, fitting(report, columns, width)).drawn())
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(lines: list[str], name: str) -> list[str]:
    return next(line.split() for line in lines if line.strip().startswith(f"{name} "))


def with_scores(name: str, picked: dict[str, dict[str, Any]], *comparisons: dict[str, Any]) -> dict[str, Any]:
    """A report of compositions that have one score each; `other` is a control."""
    arms = {one: {**arm(control=one == "other"), "scores": {name: value}} for one, value in picked.items()}
    return {"declared": DECLARED, "compositions": arms, "comparisons": comparisons}


def compared(score: str, control: str = "other", verdict: str = "better", difference: float = 0.1) -> dict[str, Any]:
    """One entry of report.json's comparisons, of the composition `ours`."""
    interval = [difference - 0.05, difference + 0.05]
    named = {"composition": "ours", "control": control, "score": score, "difference": difference}
    return {**named, "interval": interval, "p": 0.001, "p_holm": 0.01, "verdict": verdict}


# -- the table ---------------------------------------------------------------------------------


def test_the_table_shows_the_picked_value_its_interval_and_the_counts() -> None:
    lines = drawn(REPORT, 100)
    assert row(lines, "product") == ["product", "32", "10,284", "0.985", "0.980-0.990", "0.950", "0.930"]


def test_no_word_of_a_header_is_parted() -> None:
    headers = [column.header for column in all_columns(REPORT)]
    assert headers[:4] == ["AUC", "95%\ninterval", "hardest\ncell", "accuracy"]
    assert not [header for header in headers if "-\n" in header]


def test_the_best_stand_first_and_those_without_the_main_score_last() -> None:
    report = copy.deepcopy(REPORT)
    report["compositions"]["mean"] = arm(recognition__auc=score(0.99))
    assert [name for name, _ in best_first(report)] == ["mean", "product", "parents.cat", "random", "cyclegan"]
    losses = {name: score(value, higher_is_better=False) for name, value in (("a", 0.5), ("b", 0.1), ("other", 0.2))}
    assert [name for name, _ in best_first(with_scores("tidiness.loss", losses))] == ["b", "other", "a"]


def test_each_evaluator_has_a_table_and_that_of_the_main_score_is_first() -> None:
    report = {**REPORT, "compositions": dict(reversed(REPORT["compositions"].items()))}
    for each in (REPORT, report):
        first, second = columns_by_evaluator(each)
        assert {column.score.partition(".")[0] for column in first} == {"recognition"}
        assert {column.score.partition(".")[0] for column in second} == {"clusters"}
        assert first[0].score == "recognition.auc"


def test_k_means_is_shown_by_its_median_and_its_best_member() -> None:
    report = copy.deepcopy(REPORT)
    report["compositions"]["cyclegan"]["scores"]["clusters.kmeans.accuracy"] |= {
        "median": 0.6,
        "picked": 0.5,
        "best": 0.8,
        "best_by_luck": 0.79,
        "best_by_luck_of": "random",
    }
    assert row(drawn(report, 100, 1), "cyclegan")[3:6] == ["0.600", "0.800", "0.790"]
    said = "  by luck: the best to expect of as many members of the control random"
    assert said in footnotes(report, all_columns(report))
    assert row(drawn(report, 100, 1), "random")[5] == "-", "a control is its own luck"


def test_a_mark_says_that_every_control_is_beaten_and_what_it_means() -> None:
    report = copy.deepcopy(REPORT)
    scores = report["compositions"]["product"]["scores"]
    scores["recognition.auc"] |= {"beats_controls": True}
    scores["recognition.accuracy"] |= {"beats_controls": False}
    report["comparisons"] = [compared("recognition.auc")] * 12
    cells = row(drawn(report, 100), "product")
    assert cells[3] == f"0.985{BEATS}"
    assert "".join(cells).count(BEATS) == 1, "neither the interval nor the median is marked"
    notes = footnotes(report, all_columns(report))
    assert any(note.startswith(f"{BEATS} better than each control") and "12 comparisons" in note for note in notes)
    assert not any(BEATS in note for note in footnotes(REPORT, all_columns(REPORT)))


def test_controls_stand_below_the_compositions_and_are_marked() -> None:
    lines = drawn(REPORT, 100)
    starts = [line.split()[0] for line in lines if line.strip()]
    order = [starts.index(name) for name in ("product", "cyclegan", "controls:", "parents.cat", "random")]
    assert order == sorted(order), starts


def test_a_missing_score_is_a_dash() -> None:
    assert row(drawn(REPORT, 100), "cyclegan")[3:] == ["-"] * 4


def test_the_accuracy_of_the_same_answer_for_every_picture_stands_below_the_table() -> None:
    report = copy.deepcopy(REPORT)
    report["compositions"]["product"]["scores"]["recognition.accuracy"] |= {"base": 0.75}
    said = "accuracy without a look at the pictures, always the same answer: 0.750"
    assert said in footnotes(report, all_columns(report))
    assert said not in footnotes(REPORT, all_columns(REPORT))


def test_a_score_that_labels_were_fitted_to_has_a_dagger_and_a_footnote() -> None:
    assert row(drawn(REPORT, 100, 1), "cyclegan")[-1] == "0.810†"
    assert any(note.startswith("† test labels did more than score") for note in footnotes(REPORT, all_columns(REPORT)))


def test_footnotes_explain_only_what_the_table_shows() -> None:
    report = {"declared": DECLARED, "compositions": {"product": REPORT["compositions"]["product"]}}
    assert footnotes(report, all_columns(report)) == []


def test_scores_that_the_table_leaves_out_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert [left_out(REPORT, columns) for columns in (all_columns(REPORT), [])] == [1, 6]
    print_results(REPORT, [])
    assert "\n3 more scores with --all, and in report.json\n" in capsys.readouterr().out
    print_results(REPORT, [], everything=True)
    out = capsys.readouterr().out
    assert "\n1 more score in report.json\n" in out
    assert out.count("controls:") == 2, "a table for each evaluator"


def test_a_footnote_that_two_tables_need_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = copy.deepcopy(REPORT)
    report["compositions"]["product"]["scores"]["recognition.accuracy"] |= {"base": 0.75}
    report["compositions"]["random"]["scores"]["clusters.kmeans.accuracy"] |= {"base": 0.75}
    print_results(report, [], everything=True)
    assert capsys.readouterr().out.count("always the same answer: 0.750") == 1


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_table_fits_and_nothing_is_cut(width: int) -> None:
    report = copy.deepcopy(REPORT)
    report["compositions"]["a rather long name of a composition"] = report["compositions"]["product"]
    report["compositions"]["big"] = arm(
        control=True, members=10_000, parameters=25_557_032, recognition__auc=score(0.5)
    )
    lines = drawn(report, width)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert row(lines, "product")[3:5] == ["0.985", "0.980-0.990"]
    if width >= 80:
        assert row(lines, "product")[5:] == ["0.950", "0.930"]


def test_a_report_without_the_main_scores_shows_what_it_has() -> None:
    report = {"compositions": {"mine": arm(tidiness__overall=score(0.123, half=None))}}
    assert row(drawn(report, 80), "mine") == ["mine", "32", "5,142", "0.123"]


def test_a_report_without_any_score_is_a_table_of_counts() -> None:
    assert row(drawn({"compositions": {"mine": arm()}}, 80), "mine") == ["mine", "32", "5,142"]


def test_a_warning_is_printed_as_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_results({**REPORT, "warnings": ["[red]odd[/red] :cat:"]}, [])
    assert "warning: [red]odd[/red] :cat:\n" in capsys.readouterr().out


def test_what_is_printed_without_a_terminal_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(REPORT, [("cyclegan", "random")])
    assert "\x1b" not in capsys.readouterr().out


# -- the sentences -----------------------------------------------------------------------------


def test_in_short_it_is_said_what_works_what_is_in_doubt_and_what_does_not() -> None:
    arms = {"ours": score(0.98, median=0.8), "close": score(0.9), "bad": score(0.5), "other": score(0.9)}
    report = with_scores("recognition.auc", arms)
    report["compositions"]["mute"] = arm()
    report["comparisons"] = [
        {**compared("recognition.auc", verdict=verdict), "composition": name}
        for name, verdict in (("ours", "better"), ("close", "unclear"), ("bad", "worse"))
    ]
    assert in_short(report) == [
        "works: ours is better than each control",
        "in doubt: close is not clearly above other; mute has no AUC",
        "does not work: bad is worse than other",
    ]
    assert in_short(report, [("ours", "other")])[3:] == [
        "kernels: translated kernels of ours are not clearly above random kernels in AUC (control: other)"
    ], "better by the picked network, and not by the median"
    assert in_short({**report, "not_judged": "nobody knows"}) == ["nobody knows"]
    assert in_short({"declared": {}, "compositions": {"ours": arm()}}) == []


def test_a_composition_that_beats_every_control_is_said_to_be_better_than_each() -> None:
    arms = {"worse": score(0.2), "ours": score(0.98), "other": score(0.9)}
    found = [compared("recognition.auc"), compared("recognition.auc", "third", difference=0.3)]
    sentence = best_sentence(with_scores("recognition.auc", arms, *found))
    assert "picked without labels: ours, 0.980 (95% interval 0.960-1.000). Best control: other, 0.900" in sentence
    assert "ours is better than each control (paired bootstrap over pictures, Holm's correction for 2" in sentence
    assert "the nearest is other, +0.100, 95% interval 0.050 to 0.150" in sentence


def test_better_than_each_control_is_said_only_where_it_is_shown() -> None:
    words = {"b": "better", "u": "unclear", "w": "worse"}
    found = [compared("recognition.auc", name, words[said]) for name, said in zip("abcd", "bbuw", strict=True)]
    sentence = best_sentence(with_scores("recognition.auc", {"ours": score(0.98), "other": score(0.9)}, *found))
    assert "better than each control" not in sentence
    assert "ours is better than a and b, but not clearly above c, and worse than d (" in sentence
    assert "c: +0.100, 95% interval 0.050 to 0.150; d: +0.100" in sentence


def test_without_comparisons_nobody_can_say_what_is_chance() -> None:
    arms = {"ours": score(0.98, half=None), "other": score(0.9)}
    sentence = best_sentence(with_scores("recognition.auc", arms, compared("recognition.accuracy")))
    assert "nobody can say whether the difference is chance" in sentence


def test_the_best_is_chosen_by_the_picked_member_not_by_the_best_one() -> None:
    lucky = score(0.7) | {"best": 1.0}
    arms = {"lucky": lucky, "steady": score(0.8), "other": score(0.5)}
    assert ": steady, 0.800" in best_sentence(with_scores("recognition.auc", arms))


def test_of_a_score_of_which_less_is_better_the_lowest_is_best() -> None:
    arms = {
        name: score(value, higher_is_better=False) for name, value in (("loose", 0.8), ("ours", 0.1), ("other", 0.5))
    }
    assert "chosen by its tidiness.loss on these test pictures, of the member picked without labels: ours, 0.100" in (
        best_sentence(with_scores("tidiness.loss", arms))
    )


def test_it_is_said_where_no_control_has_the_score() -> None:
    assert "No control has this score" in best_sentence(with_scores("recognition.auc", {"ours": score(0.9)}))


def test_nothing_is_said_of_the_best_without_a_score() -> None:
    assert best_sentence({"declared": {}, "compositions": {"ours": arm()}}) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict", "said"),
    [
        (
            score(0.80),
            score(0.70),
            "better",
            "are better than random kernels in AUC (control: other): AUC: picked 0.800",
        ),
        (score(0.70), score(0.80), "worse", "are worse than random kernels in AUC (control: other)"),
        (score(0.71), score(0.70), "unclear", "are not clearly above random kernels in AUC"),
        (score(0.80, median=0.6), score(0.70), "better", "are not clearly above random kernels in AUC"),
        (score(0.70, median=0.9), score(0.80), "worse", "are not clearly above random kernels in AUC"),
    ],
)
def test_translated_kernels_are_compared_with_random_ones(
    ours: dict[str, Any], theirs: dict[str, Any], verdict: str, said: str
) -> None:
    name = "recognition.auc"
    report = with_scores(name, {"ours": ours, "other": theirs}, compared(name, verdict=verdict))
    assert kernels_sentence(report, "ours", "other").startswith(f"Translated kernels of ours {said}")


def test_scores_that_were_not_compared_show_nothing_of_kernels() -> None:
    report = with_scores("recognition.auc", {"ours": score(0.9), "other": score(0.1)})
    assert "are not clearly above random kernels in AUC" in kernels_sentence(report, "ours", "other")


def test_kernels_that_are_above_on_some_scores_are_said_to_be_so() -> None:
    arms = {
        "ours": arm(recognition__auc=score(0.9), clusters__kmeans__adjusted_rand=score(0.6)),
        "other": arm(control=True, recognition__auc=score(0.8), clusters__kmeans__adjusted_rand=score(0.7)),
    }
    found = [compared("recognition.auc"), compared("clusters.kmeans.adjusted_rand", verdict="unclear")]
    sentence = kernels_sentence({"declared": DECLARED, "compositions": arms, "comparisons": found}, "ours", "other")
    assert sentence.startswith(
        "Translated kernels of ours are better than random kernels in AUC, but not clearly above random kernels in "
        "adjusted Rand index of K-means (control: other): AUC: picked 0.900 against 0.800, median 0.900 against 0.800; "
    )


def test_a_score_that_labels_were_fitted_to_does_not_count_for_kernels() -> None:
    fitted = {"ours": score(0.9, labels="fitting"), "other": score(0.5, labels="fitting")}
    assert kernels_sentence(with_scores("recognition.auc", fitted), "ours", "other") == ""


# -- errors ------------------------------------------------------------------------------------


def test_an_error_is_not_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ComposerError("no file [bold]x[/bold] [/]"))
    assert capsys.readouterr().err == "error: no file [bold]x[/bold] [/]\n"


def test_each_problem_of_a_recipe_is_a_line_that_begins_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    long = ("word " * 60).strip()
    print_error(RecipeError([Problem("r.yaml:3:5", "models.x", "unknown [option]"), Problem("r.yaml:9:1", "", long)]))
    assert capsys.readouterr().err.splitlines() == [
        "error: the recipe has 2 problems",
        "r.yaml:3:5: models.x: unknown [option]",
        f"r.yaml:9:1: {long}",
    ]


# -- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.7, "1 min 00 s"), (65, "1 min 05 s"), (7620, "2 h 07 min")],
)
def test_seconds_are_said_as_people_do(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(7, "7"), (99_999, "99,999"), (100_000, "100 k"), (999_700, "1 M"), (4_652_008, "4.65 M"), (25_557_032, "25.6 M")],
)
def test_counts_take_at_most_six_characters(count: int, text: str) -> None:
    assert count_text(count) == text
    assert len(text) <= 6
