"""One network beside the product on photographs: what each is worth and costs; writes a block of docs/frontier.md.

    python benchmarks/frontier_photographs.py --root ../shared/data/catdog

Runs recipes/catdog.yaml, whose student is of the body that both parents have. A run that is there already is used.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from frontier import PAGE, PHOTOGRAPHS, ROOT
from merging import replaced
from readme import AUC, HARDEST, machine
from torch.utils.flop_counter import FlopCounterMode

import composer
from composer.data.files import read_json
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe

RECIPE = ROOT / "recipes" / "catdog.yaml"
TITLES = {
    "product": "`product`: both parents, whose body is one",
    "distil": "`distil`, the parents' body and one head",
    "parents.black": "*the parent that knows black*",
    "parents.cat": "*the parent that knows cats*",
}

Report = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("../shared/data/catdog"), help="folder with train/ and test/")
    parser.add_argument("--run", type=Path, default=Path("runs/frontier_photographs"), help="folder of the run")
    parser.add_argument("--store", type=Path, help="folder with finished stages; left out: composer's own")
    parser.add_argument("--output", type=Path, default=PAGE, help="page whose block is written")
    options = parser.parse_args()
    if not (options.run / "report.json").exists():
        run_recipe(read_recipe(RECIPE, [f"root={options.root.absolute()}"]), options.run, store=options.store)
    report, facts = read_json(options.run / "report.json"), read_json(options.run / "run.json")
    adds = {name: multiply_adds(options.run, name) for name in TITLES}
    written = block(report, facts, adds)
    page = options.output.read_text(encoding="utf-8")
    options.output.write_text(replaced(page, written, *PHOTOGRAPHS), encoding="utf-8")
    print(options.output)


def multiply_adds(run: Path, name: str) -> int:
    """For one picture."""
    model = composer.load(run, name)
    pixels = torch.zeros(1, 3, 224, 224, dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(pixels)
    return int(counter.get_total_flops() // 2)


def block(report: Report, facts: Report, adds: Mapping[str, int]) -> str:
    """In Markdown."""
    begin, end = PHOTOGRAPHS
    arms = report["compositions"]
    sizes = [arms[name]["parameters"] for name in ("product", "distil")]
    auc = {name: arms[name]["scores"][AUC] for name in ("product", "distil")}
    low, high = auc["product"]["interval"]
    where = "within" if low <= auc["distil"]["picked"] <= high else "outside of"
    paragraphs = [
        f"Written by `python benchmarks/frontier_photographs.py --root ../shared/data/catdog` ({machine()}): "
        "`recipes/catdog.yaml`, black cats out of photographs of black things and of cats; in brackets the 95 % "
        f"interval over test pictures. The student's head is fitted to what the parents say of their own pictures, "
        "of which no label is looked at. Clothing and groceries are judged [on photographs](photographs.md).",
        "\n".join(table(report, facts, adds)),
        f"`distil` has {auc['distil']['picked']:.3f}, {where} the product's interval, with {sizes[1] / sizes[0]:.2f} "
        "times its parameters. The product is one network with two heads, since parents that share a body run it once; "
        "the student is that body with one head.",
    ]
    filled = [text if text.startswith("|") else textwrap.fill(text, 119, break_on_hyphens=False) for text in paragraphs]
    return begin + "## On photographs\n" + "\n\n".join(filled) + "\n" + end


def table(report: Report, facts: Report, adds: Mapping[str, int]) -> Iterator[str]:
    yield "| | AUC | AUC, hardest cell | parameters | multiply-adds | seconds |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, title in TITLES.items():
        arm = report["compositions"][name]
        scores = " | ".join(score(arm["scores"][one]) for one in (AUC, HARDEST))
        yield f"| {title} | {scores} | {arm['parameters']:,} | {adds[name]:,} | {seconds(facts, name)} |"


def score(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]
    return f"{one['picked']:.3f} ({low:.3f} to {high:.3f})"


def seconds(facts: Report, name: str) -> str:
    """Of the processor, to make it of its parents; empty of a parent."""
    made = [stage for stage in facts["stages"] if stage["name"].startswith("assemble.") and stage["subject"] == name]
    return f"{sum(stage.get('processor_seconds', stage['seconds']) for stage in made):.1f}" if made else ""


if __name__ == "__main__":
    main()
