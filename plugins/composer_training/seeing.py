"""What members see of pictures: each with its own body, or all through a frozen one that looks once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from composer import Architecture, ComposerError, Population, Preprocessing, Run
from composer_training import Train
from composer_training.starting import Start

PICTURES_AT_ONCE = 256
"""Pictures per forward pass where nothing is trained."""

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Free:
    """Members whose bodies are trained, each on the pixels [N, 3, S, S]."""

    architecture: Architecture
    preprocessing: Preprocessing
    pixels: Tensor
    bfloat16: bool = False
    compile: str | None = None
    """torch.compile's mode for a step of training."""

    @cached_property
    def forward(self) -> Callable[[Weights, Tensor], Tensor]:
        """Training's forward pass, float32 [M, B, 2]; compiled where that is asked for."""

        def plain(group: Weights, batch: Tensor) -> Tensor:
            return stacked_logits(self.architecture, group, batch, training=True)

        return plain if self.compile is None else compiled(plain, self.compile)

    def batch(self, index: Tensor, which: Tensor | None = None) -> Tensor:
        """What is looked at of the pictures at `index`: preprocessed pixels [B, 3, S, S]. which: bool [B], mirrored."""
        batch = self.preprocessing(self.pixels[index])
        return batch if which is None else mirrored(batch, which)

    def logits(self, group: Weights, first: int, batch: Tensor, *, training: bool) -> Tensor:
        """float32 [M, B, 2]. first: the group's first member."""
        if not training:
            return stacked_logits(self.architecture, group, batch).float()
        with autocast(self.pixels.device, self.bfloat16):
            return self.forward(group, batch).float()


@dataclass(frozen=True)
class Frozen:
    """Heads alone, on what the bodies of a start see: features [S, N, D], and [S, N, D] of the mirrored pictures."""

    head: str
    features: Tensor
    mirrored: Tensor

    def batch(self, index: Tensor, which: Tensor | None = None) -> Tensor:
        """The features [S, B, D] of the pictures at `index`. which: bool [B], mirrored."""
        plain = self.features[:, index]
        return plain if which is None else torch.where(which[:, None], self.mirrored[:, index], plain)

    def logits(self, group: Weights, first: int, batch: Tensor, *, training: bool) -> Tensor:
        """float32 [M, B, 2]. first: the group's first member."""
        weight, bias = group[f"{self.head}.weight"], group[f"{self.head}.bias"]
        whose = torch.arange(first, first + len(weight), device=weight.device) % len(batch)
        return torch.baddbmm(bias[:, None], batch[whose], weight.mT)


def seen(options: Train, start: Start, pixels: Tensor, run: Run) -> Free | Frozen:
    """What the members learn from, as the options say. pixels: uint8 [N, 3, S, S] on the run's device."""
    if options.precision == "bfloat16":
        require_bfloat16(pixels.device)
    if options.body == "free" or start.body is None:
        return Free(start.architecture, start.preprocessing, pixels, options.precision == "bfloat16", options.compile)
    looked = torch.split(pixels, PICTURES_AT_ONCE)
    features = [
        features_of(start.body, each, options, run) for each in run.progress(looked, "looking once", len(looked))
    ]
    plain, turned = (torch.cat(each, dim=1) for each in zip(*features, strict=True))
    return Frozen(start.architecture.head, plain, turned)


@torch.no_grad()
def features_of(body: Population, pixels: Tensor, options: Train, run: Run) -> tuple[Tensor, Tensor]:
    """Features [S, N, D] of pictures and of the mirrored ones; the same twice where none is mirrored."""
    weights = {name: tensor.to(run.device) for name, tensor in body.weights.items()}
    batch = body.preprocessing(pixels)
    with autocast(pixels.device, options.precision == "bfloat16"):
        plain = body.architecture.stacked_features(weights, batch).float()
        if not options.flip:
            return plain, plain
        return plain, body.architecture.stacked_features(weights, batch.flip(-1)).float()


def compiled(forward: Callable[[Weights, Tensor], Tensor], mode: str) -> Callable[[Weights, Tensor], Tensor]:
    """The same, compiled when it is first called. ComposerError there where torch cannot compile it."""
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    step = torch.compile(forward, mode=mode, dynamic=False)

    def called(group: Weights, batch: Tensor) -> Tensor:
        try:
            return step(group, batch)
        except TorchDynamoException as error:
            (why, *_) = str(error).strip().splitlines() or [type(error).__name__]
            raise ComposerError(
                f"train: compile: torch cannot compile this network here ({why}); leave it out"
            ) from error

    return called


def mirrored(pixels: Tensor, which: Tensor) -> Tensor:
    """The pictures [N, 3, S, S], those of `which`, bool [N], mirrored left to right."""
    return torch.where(which[:, None, None, None], pixels.flip(-1), pixels)


def autocast(device: torch.device, bfloat16: bool) -> AbstractContextManager[object]:
    """Mixed precision on a device, or none."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def require_bfloat16(device: torch.device) -> None:
    """ComposerError where a GPU does not compute with bfloat16."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ComposerError("train: precision: this GPU does not compute with bfloat16; take float32")


def stacked_logits(architecture: Architecture, weights: Weights, pixels: Tensor, *, training: bool = False) -> Tensor:
    """float32 [M, N, 2]."""
    features = architecture.stacked_features(weights, pixels, training=training)  # [M, N, D]
    head = architecture.head
    return torch.baddbmm(weights[f"{head}.bias"][:, None], features, weights[f"{head}.weight"].mT)
