"""Whether composer gives each family of networks the logits that its own library gives.

    python benchmarks/families.py            # all families, as docs/models.md lists them; writes the list anew
    python benchmarks/families.py --choose   # and chooses the networks anew, the smallest of each family of timm's
    python benchmarks/families.py --only beit,volo   # prints these alone

A family is a module of `timm.models` or of `torchvision.models`. Its network, untrained, with random numbers in every
parameter, is saved as a user would save it, read by composer, and both are shown the same two pictures of the size that
the network was made for.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from composer import ComposerError, Images, ModelSource, Run
from composer_timm import PretrainedTimm
from composer_torchvision import PretrainedTorchvision

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BLOCK = re.compile(r"(<!-- made by: python benchmarks/families.py -->\n).*?(<!-- end -->)", re.DOTALL)
LISTED = re.compile(r"`(\w+)` \((\w+)\)")
TOLERANCE = 1e-3
"""Of the largest logit: how far the two may be apart."""
SMALL = (
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
    """The sentence that refuses it; empty where its logits are the library's."""


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    only = set(options.only.split(",")) if options.only else None
    models = smallest() if options.choose else listed(PAGE.read_text(encoding="utf-8"))
    ours = list(outcomes(only, models, PretrainedTimm, timm_network))
    theirs = list(outcomes(only, TORCHVISION, torchvision_source, torchvision_network))
    if only is None:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(BLOCK.sub(lambda found: found[1] + block(ours, theirs) + found[2], text), encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare composer's logits with those of timm and torchvision.")
    parser.add_argument("--choose", action="store_true", help="choose timm's networks anew")
    parser.add_argument("--only", help="families to look at, with commas; the page stays as it is")
    return parser.parse_args()


def outcomes(
    only: set[str] | None,
    models: Mapping[str, str],
    source: Callable[..., ModelSource],
    network: Callable[[str], nn.Module],
) -> Iterator[Outcome]:
    for family, model in models.items():
        if only is not None and family not in only:
            continue
        started = time.perf_counter()
        outcome = Outcome(family, model, compared(model, source, network))
        print(f"{family} {model}: {outcome.refused or 'same'} ({time.perf_counter() - started:.0f} s)", flush=True)
        yield outcome


def compared(model: str, source: Callable[..., ModelSource], network: Callable[[str], nn.Module]) -> str:
    """The sentence that refuses the network; empty where the logits are the same. SystemExit where they are others."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        whole = network(model)
        random_numbers(whole)
        file = Path(folder) / "mine.pth"
        torch.save(whole.state_dict(), file)
        try:
            population = source(model=model, file=file, names=("dog", "cat", "cow")).load("cat", Run())
        except ComposerError as error:
            return str(error).removeprefix("timm: ").removeprefix("torchvision: ").removeprefix("model: ")
        pixels = torch.randint(0, 256, (2, 3, *[population.preprocessing.size] * 2), dtype=torch.uint8)
        images = Images(["0", "1"], {"cat": [True, True]}, pixels)
        wanted, met = whole(population.preprocessing(pixels)), population.logits(images)[0]
    require_same(model, wanted, met)
    return ""


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


def timm_network(model: str) -> nn.Module:
    network: nn.Module = timm.create_model(model, pretrained=False, num_classes=3)
    return network.eval()


def torchvision_source(model: str, file: Path, names: Sequence[str]) -> ModelSource:
    own = {"transform_input": False} if model in ("googlenet", "inception_v3") else {}
    return PretrainedTorchvision(model=model, file=file, names=tuple(names), **own)


def torchvision_network(model: str) -> nn.Module:
    own: dict[str, Any] = {"init_weights": False} if model in ("googlenet", "inception_v3") else {}
    network: nn.Module = torchvision.models.get_model(model, weights=None, num_classes=3, **own)
    return network.eval()


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


def listed(page: str) -> dict[str, str]:
    """Each family that the page lists -> its network."""
    block = BLOCK.search(page)
    ours = block[0].partition("torchvision's")[0] if block else ""
    return dict(sorted(LISTED.findall(ours)))


def block(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> str:
    """The list for the page."""
    return (
        f"Families of timm {timm.__version__} and of torchvision {torchvision.__version__.partition('+')[0]}, each by one "
        f"small network of random numbers:\n\n{told('timm', ours)}\n\n{told('torchvision', theirs)}\n"
    )


def told(library: str, outcomes: Sequence[Outcome]) -> str:
    same = ", ".join(f"`{one.family}` ({one.model})" for one in outcomes if not one.refused)
    refused = "\n".join(f"- `{one.family}` ({one.model}): {one.refused}" for one in outcomes if one.refused)
    return f"**The same logits as {library}'s own**: {same}.\n\n**Refused by name**:\n{refused or '- none'}"


if __name__ == "__main__":
    main()
