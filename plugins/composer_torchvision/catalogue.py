"""What the installed torchvision offers, read from its sources: importing it would take seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

MODEL = re.compile(
    r"^@register_model\(\)\n(?:@[^\n]+\n|[ )][^\n]*\n)*def (\w+)\([^)]*?weights: Optional\[(\w+)\]", re.MULTILINE
)
WEIGHTS = re.compile(r"^class (\w+)\(WeightsEnum\):\n((?:[ )][^\n]*\n|\n)*)", re.MULTILINE)
MEMBER = re.compile(r"^    ([A-Z]\w*) = Weights\((.*?)^    \)", re.MULTILINE | re.DOTALL)
DEFAULT = re.compile(r"^    DEFAULT = (\w+)", re.MULTILINE)
CROP = re.compile(r"crop_size=(\d+)")
WITHOUT_LINEAR = ("squeezenet1_0", "squeezenet1_1")
"""Classifiers that end with a convolution."""

Sizes = Mapping[str, int]
"""Name of published weights -> height and width in pixels of the pictures that they were made for."""


@cache
def classifiers() -> Mapping[str, Sizes]:
    """Picture classifiers with a linear layer at their end; empty where torchvision is not installed."""
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        return {}
    models: dict[str, str] = {}
    weights: dict[str, Sizes] = {}
    for file in sorted((Path(found.origin).parent / "models").glob("*.py")):
        source = file.read_text(encoding="utf-8")
        models.update(MODEL.findall(source))
        weights.update({name: _sizes(body) for name, body in WEIGHTS.findall(source)})
    return {name: weights[kind] for name, kind in sorted(models.items()) if name not in WITHOUT_LINEAR}


def _sizes(body: str) -> Sizes:
    sizes = {
        name: int(size[1])
        for name, said in MEMBER.findall(body)
        if (size := CROP.search(said)) and '"categories": None' not in said  # weights without a classifier
    }
    if (default := DEFAULT.search(body)) and default[1] in sizes:
        sizes["DEFAULT"] = sizes[default[1]]
    return sizes
