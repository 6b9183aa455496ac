from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bokeh.models import Legend
from click.testing import CliRunner, Result

from composer import ComposedModel, Population, Report, Score
from composer.command_line.cli import main
from composer.data.figures import Heatmap, Histogram, Strip, bin_counts, from_json, to_json
from composer.data.scores import Pick
from composer.judging.declared import declared_scores
from composer.page import gathering, table, words
from composer.page.bars import axis_ticks, base_rate, panels
from composer.page.charts import chart
from composer.page.colours import CELLS, COMPOSITIONS, GREY, palette
from composer.page.gallery import galleries
from composer.page.writing import ABOUT, Shown, _arranged, write_page
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.results.results_table import best_first
from composer.results.verdicts import in_short
from composer_recognition import Recognition
from conftest import SMALL
from saved_run import report as made_up_report
from saved_run import score
from tiny import tiny_images, tiny_population


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the small recipe."""
    home = tmp_path_factory.mktemp("page")
    (home / "recipe.yaml").write_text(SMALL)
    run_recipe(read_recipe(home / "recipe.yaml"), home / "run", "cpu")
    return home / "run"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run to spoil."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """The addresses that a page's elements name, its text outside scripts, its headings, and what is folded away."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self.places: list[str] = []
        self.folded: list[str] = []
        self.inside: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.places += [value or "" for name, value in attrs if name == "id" and tag in ("h2", "details")]
        if tag in ("script", "style", "h2", "summary"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if "script" not in self.inside and "style" not in self.inside:
            self.text += data
        if "h2" in self.inside:
            self.headings.append(data)
        if "summary" in self.inside:
            self.folded.append(data)


# -- what stands on the page -------------------------------------------------------------------


def test_the_page_is_one_file_that_names_no_other(finished: Path) -> None:
    page = Page(finished / "report.html")
    assert page.addresses, "icon and pictures"
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "default-src 'none'" in (finished / "report.html").read_text(), "and may load no other"


def test_the_page_begins_with_a_sentence_and_shows_everything_else_below_it(finished: Path) -> None:
    page = Page(finished / "report.html")
    assert page.headings == [
        "What product is surest of, right and wrong",
        "How good each is",
        "Compositions and controls",
        "How well the parents know their own concepts",
        "The pictures, as a member sees them",
        "How they judge",
        "How they were made",
        "Cost",
        "Warnings",
        "Limits",
        "To repeat it",
    ]
    assert page.folded == [
        "Each composition against each control",
        "Every score of every evaluator",
        "Kernels",
        "Losses",
        "How the parents were trained",
        "What one picture costs",
        "Seconds of each stage",
    ]
    report = read(finished / "report.json")
    sentence = words.summary(report, read(finished / "page.json")["random_pairs"])
    assert page.text.index(sentence) < page.text.index("What product is surest of")
    for part in ("Kernels of conv1", "CycleGAN losses", "AUC of every member", "Log-odds of the target by cell", "ROC"):
        assert part in page.text, part
    assert "composer run recipe.yaml --device cpu" in page.text
    assert "members: 3" in page.text, "the recipe stands there"


def test_every_link_of_the_contents_leads_to_a_heading_and_every_heading_is_there(finished: Path) -> None:
    page = Page(finished / "report.html")
    links = [address.removeprefix("#") for address in page.addresses if address.startswith("#")]
    headings = [place for place in page.places if place != "comparisons"]  # folded away
    assert links == headings
    assert len(links) == len(page.headings)


def test_the_pages_table_is_the_terminals_with_a_verdict_for_each_composition(finished: Path) -> None:
    report = read(finished / "report.json")
    found = table.results(report)
    names = [line.name for line in found.lines]
    assert names == [name for kind in (False, True) for name, arm in best_first(report) if arm["control"] is kind]
    assert [column.header for column in found.main] == ["AUC", "95% interval"]
    shown = {column.header: column.texts for column in (*found.main, *found.others)}
    assert list(shown)[2:] == ["hardest cell", "accuracy", "n", "size"], "as far as one evaluator has columns"
    product = report["compositions"]["product"]["scores"]["recognition.auc"]
    assert shown["AUC"][names.index("product")] == f"{product['picked']:.3f}"
    kinds = {line.name: line.verdict[0] for line in found.lines}
    assert {name for name, kind in kinds.items() if kind} == {"product", "cyclegan"}, "controls have none"
    for line in found.lines:
        if not line.control:
            assert any(
                said.startswith(f"{line.verdict[0]}: ") and line.verdict[1] in said for said in in_short(report)
            ), "the terminal says the same"
    (against,) = [one for one in table.further(report) if one.folded]
    assert len(against.columns[0].texts) == len(report["comparisons"]) > 0
    everything = table.every_score(report)
    assert len(everything[0].texts) == sum(len(arm["scores"]) for arm in report["compositions"].values())


def test_cells_sort_by_the_numbers_of_the_report_and_not_by_their_text(finished: Path) -> None:
    report = read(finished / "report.json")
    found = table.results(report)
    columns = {column.header: column for column in (*found.main, *found.others)}
    arms = [report["compositions"][line.name] for line in found.lines]
    scores = [arm["scores"].get("recognition.auc", {}) for arm in arms]
    assert columns["AUC"].values == [score.get("picked") for score in scores], "unrounded; None where there is none"
    assert columns["95% interval"].values == [(score.get("interval") or [None])[0] for score in scores]
    assert columns["size"].values == [arm["parameters"] for arm in arms]
    (folded,) = [one for one in table.further(report) if one.folded]
    against = {column.header: column for column in folded.columns}
    assert against["p (Holm)"].values == [one["p_holm"] for one in report["comparisons"]]
    assert set(against["verdict"].values) <= {"better than", "not clearly above", "worse than"}


# -- the bars, the pictures and the figures ----------------------------------------------------


def test_bars_lie_between_marks_for_the_better_parent_and_the_oracle() -> None:
    report = compositions({}, product=(False, 0.9), distil=(False, 0.7), random=(True, 0.6))
    report["compositions"]["plain"] = {"control": False, "members": 1, "parameters": 1, "scores": {}}
    report["oracle"] = {
        "parents": {"black": {"recognition.auc": score(0.5, 0)}, "cat": {"recognition.auc": score(0.65, 0)}},
        "scores": {"recognition.auc": score(0.95, 0)},
    }
    panel = panels(report, palette(report, []))[0]
    assert [bar.name for bar in panel.bars] == ["product", "distil", "plain", "random"], "best first, controls last"
    assert [mark.label for mark in panel.marks] == ["better parent (cat) 0.650", "oracle 0.950"]
    assert [tick.label for tick in panel.ticks] == ["0.5", "0.6", "0.7", "0.8", "0.9", "1"]
    product, _, plain, random = panel.bars
    assert (product.low, product.at, product.high) == pytest.approx((74, 80, 86))
    assert product.said == "product: 0.900, 95% interval 0.870 to 0.930"
    assert (plain.at, plain.low, plain.text) == (None, None, "-")
    assert (random.colour, product.colour) == (GREY, COMPOSITIONS[0])
    assert panel.marks[0].at == pytest.approx(30)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0.5], []), ([0.41, 0.98], [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), ([-20, 55], [-20, 0, 20, 40, 60])],
)
def test_axes_have_round_numbers_that_enclose_all_values(values: list[float], ticks: list[float]) -> None:
    found = axis_ticks(values)
    assert found[0] <= min(values)
    assert found[-1] >= max(values)
    assert len(found) <= 7
    if len(values) > 1:
        assert found == ticks


def test_a_composition_keeps_its_colour_and_cells_have_others() -> None:
    report = compositions({}, product=(False, 0.9), cyclegan=(False, 0.7), random=(True, 0.6))
    colours = palette(report, ["black+cat", "black", "cat", "none"])
    both = colours.of(["random", "cyclegan", "product", "chance"])
    assert both == [GREY, COMPOSITIONS[1], COMPOSITIONS[0], GREY]
    assert colours.of(["cyclegan"]) == [COMPOSITIONS[1]]
    cells = colours.of(["black", "none", "black+cat"])
    assert cells == [CELLS[1], GREY, CELLS[0]]
    assert not set(CELLS) & set(COMPOSITIONS)
    assert not set(colours.of(["generator", "discriminator"])) & {*CELLS, *COMPOSITIONS}


def test_the_first_pictures_are_of_the_best_single_network_twelve_a_cell() -> None:
    arm = {"control": False, "scores": {}}
    report = {"compositions": {"product": arm, "distil": arm, "random": {**arm, "control": True}}}
    sides = {"right": list(range(12)), "wrong": list(range(12, 24)), "counts": [40, 20]}
    few = {"right": [0, 1], "wrong": list(range(12, 24)), "counts": [2, 20]}
    said = {"gallery": {"cat": sides, "none": few}, "members": [{"log_odds": [0.0] * 24}], "networks": 1}
    page = {
        "compositions": {"product": {**said, "networks": 2}, "distil": said, "random": said},
        "pictures": {"thumbnails": {str(i): f"picture {i}" for i in range(24)}, "names": [str(i) for i in range(24)]},
    }
    found = galleries(report, page, ["product", "distil", "random"])
    assert list(found) == ["distil", "product"]
    cat, none = found["distil"]
    assert [one.name for one in (*cat.right, *cat.wrong)] == [str(i) for i in (*range(6), *range(12, 18))]
    assert (len(none.right), len(none.wrong), none.counts) == (2, 10, [2, 20])
    assert cat.right[0].probability == "0.500"


def arranged(*figures: Any) -> dict[str, list[Shown]]:
    data = [{"shows": "judged", "subject": "product", "name": "x", **to_json(figure)} for figure in figures]
    return _arranged({"figures": data}, {"compositions": {}})


def test_heat_maps_of_one_kind_share_a_scale() -> None:
    maps = [Heatmap("cosine", [[low, high]], ["a"], ["b", "c"]) for low, high in ((0.2, 0.4), (-0.5, 0.3))]
    other = Heatmap("distance", [[7.0, 9.0]], ["a"], ["b", "c"])
    found = [one.figure for one in arranged(*maps, other)["distances"]]
    assert [(each.low, each.high) for each in found if isinstance(each, Heatmap)] == [(-0.5, 0.4)] * 2 + [(7.0, 9.0)]


def test_a_network_with_one_answer_says_so_in_place_of_its_histogram() -> None:
    same = Histogram("t", {"cat": [-1.5, -1.5], "none": [-1.50001]}, "log-odds", 0.0, "as likely as not")
    below = Histogram("t", {"cat": [-1.5, -2.5], "none": [-0.1]}, "log-odds", 0.0, "as likely as not")
    both = Histogram("t", {"cat": [-1.5, 2.5]}, "log-odds", 0.0, "as likely as not")
    found = arranged(same, below, both)["judged"]
    assert [one.note for one in found] == [
        "It gives every picture the same answer: log-odds -1.5.",
        "Dashed: as likely as not. No picture lies above it.",
        "Dashed: as likely as not.",
    ]
    assert [one.figure is None for one in found] == [True, False, False]


def test_accuracies_have_a_line_for_the_base_rate_and_a_legend_below() -> None:
    report = compositions({}, product=(False, 0.9))
    report["compositions"]["product"]["scores"]["recognition.accuracy"] = {**score(0.9, 0), "base": 0.75}
    base = base_rate(report, "recognition.accuracy")
    assert (base, base_rate(report, "recognition.auc")) == (0.75, None)
    strip = Strip("accuracy of every member", {"product": [0.8, 0.9]}, "accuracy", {"product": 0.9}, "picked")
    plot: Any = chart(strip, palette(report, []), base)
    (legend,) = [one for one in plot.below if isinstance(one, Legend)]
    assert [item.label.value for item in legend.items] == ["picked", "always the same answer: 0.750"]
    line = legend.items[1].renderers[0].data_source.data
    assert list(line["x"]) == [0.75, 0.75]


def test_limits_that_all_share_are_said_once(finished: Path) -> None:
    text = Page(finished / "report.html").text
    assert text.count("Not for decisions about people.") == 1
    assert text.count("product: AUC: ") == 1


# -- the sentence ------------------------------------------------------------------------------


def compositions(verdicts: dict[tuple[str, str], str], **values: tuple[bool, float]) -> dict[str, Any]:
    """A report: (composition, control) -> verdict; composition -> (is it a control, its AUC), intervals of 0.06."""
    arms = {
        name: {"control": control, "members": 3, "parameters": 10, "scores": {"recognition.auc": score(value, 0)}}
        for name, (control, value) in values.items()
    }
    comparisons = [
        {"composition": ours, "control": theirs, "score": "recognition.auc", "verdict": verdict}
        for (ours, theirs), verdict in verdicts.items()
    ]
    return {**made_up_report({}), "compositions": arms, "comparisons": comparisons}


def test_the_sentence_says_how_good_the_best_is_and_what_controls_reach() -> None:
    better = {(ours, theirs): "better" for ours in ("product", "cyclegan") for theirs in ("random", "mean")}
    values = {"product": (False, 0.95), "cyclegan": (False, 0.8), "random": (True, 0.71), "mean": (True, 0.85)}
    assert words.summary(compositions(better, **values), [("cyclegan", "random")]) == (
        "product reaches AUC 0.95 [0.92, 0.98] on pictures of “black cat”; product is better than each control; the "
        "best control, mean, reaches 0.85; translated kernels of cyclegan are better than random kernels in AUC "
        "(control: random)."
    )


def test_the_sentence_does_not_praise_what_controls_reach_too() -> None:
    values = {"cyclegan": (False, 0.8), "random": (True, 0.85), "mean": (True, 0.7)}
    mixed = {("cyclegan", "random"): "worse", ("cyclegan", "mean"): "better"}
    assert words.summary(compositions(mixed, **values), [("cyclegan", "random")]) == (
        "cyclegan reaches AUC 0.80 [0.77, 0.83] on pictures of “black cat”; cyclegan is better than mean, but worse "
        "than random; the best control, random, reaches 0.85; translated kernels of cyclegan are worse than random "
        "kernels in AUC (control: random)."
    )
    lucky = compositions({("cyclegan", "random"): "better"}, cyclegan=(False, 0.8), random=(True, 0.7))
    lucky["compositions"]["cyclegan"]["scores"]["recognition.auc"]["median"] = 0.6
    assert "are not clearly above random kernels in AUC" in words.summary(lucky, [("cyclegan", "random")])
    unclear = dict.fromkeys(mixed, "unclear")
    assert "is not clearly above any control" in words.summary(compositions(unclear, **values), [])
    assert "with too few" in words.summary(compositions({}, **values), [])
    assert "No control has this score" in words.summary(compositions({}, product=(False, 0.9)), [])


# -- what is gathered --------------------------------------------------------------------------


def test_of_many_pictures_every_cell_gives_its_share() -> None:
    images = tiny_images(150, size=8)
    chosen = gathering.chosen_pictures(images)
    assert (len(chosen), chosen) == (400, sorted(set(chosen)))
    cells = [images.cells[index] for index in chosen]
    assert {cell: cells.count(cell) for cell in set(cells)} == dict.fromkeys(("black+cat", "black", "cat", "none"), 100)


def test_the_gallery_has_the_surest_pictures_of_each_cell() -> None:
    images = tiny_images(20)
    model = ComposedModel((tiny_population("black"), tiny_population("cat", seed=1)), ("a", "b", "c"))
    found = gathering.gather(model, images, {}, {}, Pick(np.zeros(len(model)), "x"), 0, "cpu", control=False)
    first = np.asarray(found["members"][0]["log_odds"])
    called = np.asarray(found["members"][0]["called"])
    assert set(found["gallery"]) == {"black+cat", "black", "cat", "none"}
    for cell, sides in found["gallery"].items():
        own = [index for index, name in enumerate(images.cells) if name == cell]
        target = cell == "black+cat"
        for side, wanted in (("right", target), ("wrong", not target)):
            having = sorted((i for i in own if called[i] == wanted), key=lambda i: first[i], reverse=bool(wanted))
            assert sorted(first[sides[side]]) == sorted(first[having[:12]]), f"{cell}, {side}"
        assert sum(sides["counts"]) == len(own)
    places = np.array([found["members"][0][axis] for axis in ("x", "y")])
    assert np.abs(places).max() == pytest.approx(1), "in a square of side 2"


def test_a_body_that_two_parts_share_is_one_network_and_costs_once() -> None:
    images, pick = tiny_images(20), Pick(np.zeros(3), "x")
    black, cat = tiny_population("black"), tiny_population("cat", seed=1)

    def gathered(*parts: Population) -> dict[str, Any]:
        return gathering.gather(ComposedModel(parts, ("a", "b", "c")), images, {}, {}, pick, 0, "cpu", control=True)

    one, apart, together = gathered(black), gathered(black, cat), gathered(black, cat.on_body_of(black))
    assert [found["networks"] for found in (one, apart, together)] == [1, 2, 1]
    adds = [found["cost"]["multiply_adds"] for found in (one, apart, together)]

    assert adds[1] == 2 * adds[0]
    assert adds[0] < adds[2] < 1.1 * adds[0], "and a head"


def test_novelty_stands_beside_the_score_of_the_same_member() -> None:
    distances = Score(np.asarray([3.0, 1.0, 2.0]))
    aucs = Score(np.asarray([0.9, 0.6]), judged=(0, 2))  # member 1 could not be judged
    reports = {"recognition": Report({"auc": aucs}), "novelty": Report({"to_nearest_parent": distances})}
    model = ComposedModel((tiny_population("black"),), ("a", "b", "c"))
    pick, declared = Pick(np.zeros(3), "agreement"), declared_scores({"recognition": Recognition()})
    found = gathering.gather(model, tiny_images(5), reports, declared, pick, 0, "cpu", control=False)
    assert found["novelty"] == {"distance": [3.0, 2.0], "score": [0.9, 0.6]}
    del reports["novelty"]
    assert "novelty" not in gathering.gather(model, tiny_images(5), reports, declared, pick, 0, "cpu", False)


# -- written again -----------------------------------------------------------------------------


def test_the_page_is_written_again_from_the_folder_alone(copied: Path) -> None:
    before = Page(copied / "report.html").text
    for gone in ("models", "figures"):
        shutil.rmtree(copied / gone)
    (copied / "report.html").unlink()
    assert Page(write_page(copied)).text == before


def test_names_of_pictures_cannot_break_the_page(copied: Path) -> None:
    scripts = (copied / "report.html").read_text().count("<script")
    data = read(copied / "page.json")
    data["pictures"]["names"] = ["</script><script>alert(1)</script>' onerror='x"] * 40
    (copied / "page.json").write_text(json.dumps(data))
    (copied / "run.json").write_text(json.dumps({**read(copied / "run.json"), "files": {}}))  # as if the run wrote it
    assert write_page(copied).read_text().count("<script") == scripts


def test_figures_are_png_and_svg_files_too(finished: Path) -> None:
    names = {file.stem for file in (finished / "figures").glob("*.png")}
    assert {"all - roc", "all - members recognition.auc", "product - log-odds", "cyclegan - losses conv1"} <= names
    assert names == {file.stem for file in (finished / "figures").glob("*.svg")}


def test_histograms_count_every_picture_once(finished: Path) -> None:
    (found,) = [one for one in read(finished / "page.json")["figures"] if one["name"] == "log-odds"]
    figure = from_json({key: value for key, value in found.items() if key not in ABOUT})
    assert isinstance(figure, Histogram)
    assert {group: int(counts.sum()) for group, counts in bin_counts(figure).items()} == dict.fromkeys(
        ("black+cat", "black", "cat", "none"), 10
    )


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), prog_name="composer")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "page.json").unlink(), "has no page.json; an older composer made it: run its recipe again"),
        (lambda run: (run / "page.json").write_text("{"), "page.json: is not what the run wrote"),
        (lambda run: (run / "page.json").write_text('{"format": 9}'), "page.json: is not what the run wrote"),
        (lambda run: (run / "report.json").unlink(), "damaged: report.json is missing"),
        (shutil.rmtree, "there is no such folder"),
    ],
)
def test_a_page_that_cannot_be_written_says_why(copied: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(copied)
    shown = call("report", str(copied))
    assert shown.exit_code == 2, shown.output
    assert message in shown.output


# -- in a browser ------------------------------------------------------------------------------

EVERYWHERE = """
function everywhere(root, selector) {
  const inner = [...root.querySelectorAll("*")].filter(e => e.shadowRoot).map(e => everywhere(e.shadowRoot, selector));
  return [...root.querySelectorAll(selector), ...inner.flat()];
}
"""
"""Bokeh draws into shadow roots, which selectors do not enter."""
ROWS = """
return [...document.querySelectorAll("table.sortable tbody tr")].filter(row => row.cells.length > 1)
  .map(row => [...row.cells].map(cell => cell.innerText.trim()));
"""
FIRST_DOT = """
const plot = Bokeh.documents[0].get_model_by_name("explorer"), view = Bokeh.index.find_one(plot);
view.el.scrollIntoView({block: "center"});
const data = plot.renderers[0].data_source.data, box = view.el.getBoundingClientRect();
const x = view.frame.x_scale.compute(data.x[0]), y = view.frame.y_scale.compute(data.y[0]);
return [data.name[0], box.left + x, box.top + y];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with its chromedriver (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser: Any, finished: Path) -> Any:
    """The browser with the page of the run, when everything is drawn."""
    browser.get((finished / "report.html").as_uri())
    wait_for(lambda: len(browser.execute_script(ROWS)) == 5, "the table has no rows")
    return browser


def wait_for(condition: Callable[[], bool], message: str, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, message
        time.sleep(0.1)


def test_the_page_opens_without_errors(opened: Any) -> None:
    drawn = f"{EVERYWHERE} return everywhere(document, 'canvas').length"
    wait_for(lambda: opened.execute_script(drawn) > 8, "figures are missing")
    assert [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_the_scatter_shows_the_picture_under_the_pointer(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    wait_for(lambda: opened.execute_script("return Bokeh.documents[0].is_idle"), "the page is never done")
    name, x, y = opened.execute_script(FIRST_DOT)
    pointer = ActionChains(opened)
    move: Any = pointer.w3c_actions.pointer_action.move_to_location
    for step in (30, 0):  # it has to move to count as hovering
        move(round(x) + step, round(y) + step)
    pointer.perform()
    seen = (
        f"{EVERYWHERE} return everywhere(document, '.bk-Tooltip').map(tip => everywhere(tip.shadowRoot, 'img').map("
        "picture => [picture.src.slice(0, 23), picture.naturalWidth, picture.parentElement.innerText])).flat()"
    )
    wait_for(lambda: bool(opened.execute_script(seen)), "no picture appears")
    shown = opened.execute_script(seen)
    assert all((source, width) == ("data:image/jpeg;base64,", 16) for source, width, _ in shown)
    assert any(name in text for *_, text in shown), shown


def test_a_tap_keeps_the_picture_and_a_swipe_scrolls_the_page(opened: Any) -> None:
    wait_for(lambda: opened.execute_script("return Bokeh.documents[0].is_idle"), "the page is never done")
    opened.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        name, x, y = opened.execute_script(FIRST_DOT)

        def touch(kind: str, *points: tuple[float, float]) -> None:
            places = [{"x": at_x, "y": at_y} for at_x, at_y in points]
            opened.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        touch("touchStart", (x, y))
        touch("touchEnd")
        kept = "return Bokeh.documents[0].get_model_by_name('tapped').text"
        wait_for(lambda: f"</b><br>{name}<br>" in opened.execute_script(kept), "no picture is kept")
        before = opened.execute_script("return window.scrollY")
        touch("touchStart", (x, y))
        for step in range(1, 10):
            touch("touchMove", (x, y - 15 * step))
        touch("touchEnd")
        wait_for(lambda: opened.execute_script("return window.scrollY") > before + 50, "the page stays where it is")
    finally:
        opened.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_click_on_a_heading_sorts_compositions_and_controls_apart(opened: Any) -> None:
    headings = opened.find_elements("css selector", "table.sortable th")
    place = [heading.text for heading in headings].index("AUC")

    def cells(column: int) -> list[str]:
        return [row[column] for row in opened.execute_script(ROWS)]

    for turn in (1, -1):
        headings[place].find_element("tag name", "button").click()
        controls = [float(text) for text in cells(place)[2:4]]
        assert controls == sorted(controls, reverse=turn == 1)
        assert [cells(place)[1], cells(place)[4]] == ["-", "-"], "what has no AUC stays last"
    headings[0].find_element("tag name", "button").click()
    assert cells(0) == ["cyclegan", "product", "parents.black", "parents.cat", "random"]


@pytest.mark.parametrize("width", [1400, 390])
def test_a_score_is_in_sight_without_scrolling_sideways(opened: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
        ends = opened.execute_script(
            "return [...document.querySelectorAll('table.sortable th')].map(cell => cell.getBoundingClientRect().right)"
        )
        last = ends[-1] if width == 1400 else ends[1]  # of the narrow table, the column beside the names
        assert last <= width
        opened.execute_script("document.querySelector('table.sortable').parentElement.scrollLeft = 1000")
        first = "return document.querySelector('table.sortable th').getBoundingClientRect().left"
        assert opened.execute_script(first) >= 0, "names stay where they are"
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_another_member_can_be_chosen_for_the_scatter(opened: Any) -> None:
    places = "return Array.from(Bokeh.documents[0].get_model_by_name('explorer').renderers[0].data_source.data.x)"
    before = opened.execute_script(places)
    select = opened.execute_script(f"{EVERYWHERE} return everywhere(document, 'select')[0]")
    options = opened.execute_script("return [...arguments[0].options].map(option => option.value)", select)
    assert sum(option.startswith("product: ") for option in options) >= 2, "picked and another member"
    chosen = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    opened.execute_script(chosen, select, options[-1])
    wait_for(lambda: opened.execute_script(places) != before, "the dots stay where they are")


@pytest.mark.slow
def test_a_page_of_400_pictures_is_small_and_quickly_written(tmp_path: Path) -> None:
    text = SMALL.replace("test: 40", "test: 400").replace("size: 16, train", "size: 32, train")
    (tmp_path / "recipe.yaml").write_text(text)
    run_recipe(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "run", "cpu")
    started = time.process_time()
    page = write_page(tmp_path / "run")
    assert time.process_time() - started < 5
    assert len(read(tmp_path / "run/page.json")["pictures"]["thumbnails"]) == 400
    assert page.stat().st_size < 4e6
