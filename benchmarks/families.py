"""Whether composer gives each family of networks the logits that its own library gives.

    python benchmarks/families.py            # all families, as docs/models.md lists them; writes the list anew
    python benchmarks/families.py --choose   # and chooses the networks anew, the smallest of each family of timm's
    python benchmarks/families.py --only beit,volo   # prints these alone

A family is a module of `timm.models` or of `torchvision.models`. Its network, untrained, with random numbers in every
parameter, is saved as a user would save it, read by composer, and both are shown the same two pictures.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import textwrap
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from composer import ComposerError, Images, Population, Run
from composer_timm import PretrainedTimm
from composer_timm.building import usual_size, whole_network
from composer_torchvision import PretrainedTorchvision

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BLOCK = re.compile(r"(<!-- made by: python benchmarks/families.py -->\n).*?(<!-- end -->)", re.DOTALL)
REFUSED = re.compile(r"^- `(\w+)` \((\w+)\): (.+)$", re.MULTILINE)
LISTED = re.compile(r"`(\w+)`\s\((\w+)\)")
NAMES = ("dog", "cat", "cow")
SIZES = (64, 96, 128, 224)
"""Pixels a side: the first that the network takes, else the size that it was made for."""
PENDING = "not compared yet"
TOLERANCE = 1e-3
"""Of the largest logit: how far the two may be apart."""
SMALL: tuple[str, ...] = (
    "test",
    "zepto",
    "atto",
    "femto",
    "pico",
    "nano",
    "xxtiny",
    "xxs",
    "xtiny",
    "xs",
    "tiny",
    "mini",
    "small",
    "050",
)
SMALL += ("_t", "_s0", "_m0", "_0", "_s", "18", "11", "14", "26", "34", "48", "base", "_b", "_m")
LARGE = ("large", "huge", "giant", "so400m", "7b", "101", "152", "200", "269", "_xl", "_l")
TRIED = 5
TORCHVISION = {
    "alexnet": "alexnet",
    "convnext": "convnext_tiny",
    "densenet": "densenet121",
    "efficientnet": "efficientnet_b0",
    "googlenet": "googlenet",
    "inception": "inception_v3",
    "maxvit": "maxvit_t",
    "mnasnet": "mnasnet0_5",
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3": "mobilenet_v3_small",
    "regnet": "regnet_y_400mf",
    "resnet": "resnet18",
    "shufflenetv2": "shufflenet_v2_x0_5",
    "squeezenet": "squeezenet1_1",
    "swin_transformer": "swin_t",
    "vgg": "vgg11",
    "vision_transformer": "vit_b_16",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one family."""

    family: str
    model: str
    refused: str = ""
    """The sentence that refuses it, or `PENDING`; empty where its logits are the library's."""


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    page = PAGE.read_text(encoding="utf-8")
    known = {"timm": entries(page, "timm"), "torchvision": entries(page, "torchvision")}
    models = smallest() if options.choose else {family: one.model for family, one in known["timm"].items()}
    only = set(options.only.split(",")) if options.only else None
    chosen = [("timm", *each) for each in models.items()] + [("torchvision", *each) for each in TORCHVISION.items()]
    for library, family, model in chosen:
        known[library].setdefault(family, Outcome(family, model, PENDING))
        if only is None or family in only:
            started = time.perf_counter()
            outcome = Outcome(family, model, compared(library, model))
            print(f"{family} {model}: {outcome.refused or 'same'} ({time.perf_counter() - started:.0f} s)", flush=True)
            known[library][family] = outcome
            told = block(known["timm"].values(), known["torchvision"].values())
            PAGE.write_text(with_block(page, told), encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare composer's logits with those of timm and torchvision.")
    parser.add_argument("--choose", action="store_true", help="choose timm's networks anew")
    parser.add_argument("--only", help="families to look at, with commas; what the page says of others stays")
    return parser.parse_args()


def compared(library: str, model: str) -> str:
    """The sentence that refuses the network; empty where the logits are the same. SystemExit where they are others."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file = Path(folder) / "mine.pth"
        try:
            whole, population = SOURCES[library](model, file)
        except ComposerError as error:
            return str(error).removeprefix(f"{library}: ").removeprefix("model: ").removeprefix(f"{file}: ")
        pixels = torch.randint(0, 256, (2, 3, *[population.preprocessing.size] * 2), dtype=torch.uint8)
        images = Images(["0", "1"], {"cat": [True, True]}, pixels)
        wanted, met = whole(population.preprocessing(pixels)), population.logits(images)[0]
    require_same(model, wanted, met)
    return ""


def from_timm(model: str, file: Path) -> tuple[nn.Module, Population]:
    """The network, and what composer makes of its file."""
    size = next((size for size in SIZES if works(model, size)), usual_size(model))
    whole = saved(whole_network(model, size, outputs=len(NAMES)), file)
    return whole, PretrainedTimm(model=model, file=file, names=NAMES, size=size).load("cat", Run())


def works(model: str, size: int) -> bool:
    """Whether the network takes pictures of a size."""
    with torch.device("meta"), torch.no_grad():
        try:
            whole_network(model, size, outputs=2).eval()(torch.empty(1, 3, size, size))
        except (ComposerError, AssertionError, NotImplementedError, RuntimeError, TypeError, ValueError):
            return False
    return size <= usual_size(model)


def from_torchvision(model: str, file: Path) -> tuple[nn.Module, Population]:
    """The network, and what composer makes of its file."""
    own = model in ("googlenet", "inception_v3")  # trained from scratch, without a change of the input inside
    scratch = {"transform_input": False} if own else {}
    source = PretrainedTorchvision(model=model, file=file, names=NAMES, **scratch)
    options: dict[str, Any] = {"init_weights": False} if own else {}
    whole = torchvision.models.get_model(model, weights=None, num_classes=len(NAMES), **options)
    return saved(whole, file), source.load("cat", Run())


SOURCES = {"timm": from_timm, "torchvision": from_torchvision}


def saved(network: nn.Module, file: Path) -> nn.Module:
    random_numbers(network)
    torch.save(network.state_dict(), file)
    return network.eval()


def require_same(model: str, wanted: Tensor, met: Tensor) -> None:
    """SystemExit where logits are not finite, do not depend on the picture, or differ."""
    if not bool(wanted.isfinite().all()) or torch.equal(wanted[0], wanted[1]):
        sys.exit(f"{model}: its own logits {wanted.tolist()} show nothing")
    difference = float((wanted - met).abs().max() / wanted.abs().max())
    if difference > TOLERANCE:
        sys.exit(f"{model}: composer's logits are off by {difference:.2g} of the largest")


def random_numbers(network: nn.Module) -> None:
    """Puts random numbers where parameters start as zeros, ones or nearly so, since with those mistakes do not show."""
    torch.manual_seed(0)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(std=0.1)
        elif isinstance(tensor, nn.Parameter) and (tensor.ndim == 1 or float(tensor.std()) < 0.01):
            tensor.add_(torch.randn_like(tensor), alpha=0.1)


def families() -> dict[str, list[str]]:
    """Each module of timm's -> its networks."""
    found: dict[str, list[str]] = defaultdict(list)
    for model in timm.list_models():
        found[timm.model_entrypoint(model).__module__.rpartition(".")[2]].append(model)
    return dict(sorted(found.items()))


def smallest() -> dict[str, str]:
    """Each family -> the smallest of those whose names promise the least."""
    return {family: min(sorted(models, key=promised)[:TRIED], key=parameters) for family, models in families().items()}


def promised(model: str) -> tuple[int, int, str]:
    """Sorts small networks first, by what they are called."""
    small = min((index for index, word in enumerate(SMALL) if word in model), default=len(SMALL))
    return small + 50 * any(word in model for word in LARGE), len(model), model


def parameters(model: str) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in timm.create_model(model, pretrained=False).parameters())


def entries(page: str, library: str) -> dict[str, Outcome]:
    """What the page says of each family of a library."""
    found = BLOCK.search(page)
    said = {one.partition("'")[0]: one for one in re.split(r"\*\*The\ssame\slogits\sas\s", found[0])} if found else {}
    same, _, rest = said.get(library, "").partition("**Refused by name**")
    refused, _, pending = rest.partition(f"**{PENDING.capitalize()}**")
    outcomes = [Outcome(family, model) for family, model in LISTED.findall(same)]
    outcomes += [Outcome(family, model, why) for family, model, why in REFUSED.findall(refused)]
    outcomes += [Outcome(family, model, PENDING) for family, model in LISTED.findall(pending)]
    return {one.family: one for one in sorted(outcomes, key=lambda one: one.family)}


def with_block(page: str, told: str) -> str:
    return BLOCK.sub(lambda found: found[1] + told + found[2], page)


def block(ours: Iterable[Outcome], theirs: Iterable[Outcome]) -> str:
    """The list for the page."""
    return (
        f"Families of timm {timm.__version__} and of torchvision {torchvision.__version__.partition('+')[0]}, each by "
        f"one small network of random numbers:\n\n{told('timm', ours)}\n\n{told('torchvision', theirs)}\n"
    )


def told(library: str, outcomes: Iterable[Outcome]) -> str:
    ordered = sorted(outcomes, key=lambda one: one.family)
    refused = [one for one in ordered if one.refused not in ("", PENDING)]
    parts = [
        written(f"The same logits as {library}'s own", (one for one in ordered if not one.refused)),
        "\n".join(["**Refused by name**:", *(f"- `{one.family}` ({one.model}): {one.refused}" for one in refused)]),
    ]
    if pending := [one for one in ordered if one.refused == PENDING]:
        parts.append(written(PENDING.capitalize(), pending))
    return "\n\n".join(parts if refused else [parts[0], *parts[2:]])


def written(title: str, outcomes: Iterable[Outcome]) -> str:
    named = ", ".join(f"`{one.family}` ({one.model})" for one in outcomes)
    return textwrap.fill(f"**{title}**: {named}.", 118, break_on_hyphens=False)


if __name__ == "__main__":
    main()
