"""A composed model ready for use: one member as an `nn.Module` that also reads pictures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from composer.data import decoding
from composer.data.composed import ComposedModel, combined, decided
from composer.data.decoding import UnreadablePictureError, as_rgb, printable, read_picture
from composer.data.dependence import bounds
from composer.data.expressions import Expression
from composer.errors import ComposerError
from composer.models.at_hand import at_hand
from composer.models.model_folder import ModelFolder, open_folder
from composer.models.part import Part
from composer.models.pixels import in_255
from composer.recipes.target import formula_problems

Picture = str | Path | Image.Image
BATCH = 32
"""Pictures that `predict` gives to the networks at once."""


def load(
    path: str | Path,
    composition: str | None = None,
    member: int | str | None = None,
    target: str | Expression | None = None,
    revision: str | None = None,
) -> LoadedModel:
    """One member of a composition, in evaluation mode on the CPU.

    path: a run's folder, or the folder of one composition (`runs/x/models/product`, or a copy of it); `user/repo`,
    where there is no such path, is fetched from the Hugging Face hub once (the extra `hub`).
    composition: which one of the run; left out, the one that is best in the report's main score, chosen by the
    labels of the test pictures, controls left aside.
    target: another formula than the model was made for, such as `cat and not black`, of the concepts that it knows.
    member: index or name; left out, the member that the report picked without labels, and without a report member 0.
    revision: of the repository: a branch, tag or commit; left out, the newest. A commit's hash pins it.
    ComposerError where there is no such thing, or the architecture's plugin is not installed.
    """
    with open_folder(at_hand(path, revision), composition) as home:
        model = home.read(home.member(member))
        if home.union is not None:
            from composer.models.united import LoadedUnion  # is made of what stands here

            return LoadedUnion(model, home, target)
        return LoadedModel(model if target is None else asked_for(model, target, home), home)


def asked_for(model: ComposedModel, target: str | Expression, home: ModelFolder) -> ComposedModel:
    """The model asked for another formula; ComposerError where the text is none, or the model cannot answer it."""
    text = target if isinstance(target, str) else target.text
    who = f"{home.path}: target"
    if not model.has_log_odds:
        raise ComposerError(
            f"{who}: composition {home.name!r} gives features and no log-odds, so no formula{_use(home)}"
        )
    problems = list(formula_problems(text, model.knows, f"composition {home.name!r}"))
    if problems:
        raise ComposerError(f"{who}: {'; '.join(problems)}{_use(home) if len(model.knows) == 1 else ''}")
    return model.answering(Expression.parse(text))


def _use(home: ModelFolder) -> str:
    """Which compositions of the same run give log-odds."""
    others = ", ".join(home.beside())
    return f"; others are there: {others}" if others else ""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture; for an unreadable one `error` says why, and the rest is empty."""

    name: str
    """The file, or `picture 3` for the third picture that came without one."""
    probability: float | None = None
    """Of the target."""
    shown: bool | None = None
    """Whether the target counts as shown."""
    concepts: Mapping[str, float] = field(default_factory=dict)
    """Probability of each concept that has a network of its own."""
    error: str | None = None
    label: str | None = None
    """The likeliest class, of a model with a union of classes."""
    bounds: tuple[float, float] | None = None
    """The least and the largest probability of the target, however its concepts hang together; of one concept none."""


class LoadedModel(nn.Module):
    """One member of a composition, made of ordinary modules.

    `model(pixels)` gives log-odds of the target; `model.predict(paths)` reads pictures and says what they show.
    """

    def __init__(self, model: ComposedModel, home: ModelFolder) -> None:
        super().__init__()
        if len(model) != 1:
            raise ValueError(f"a loaded model is one member, not {len(model)}")
        parts: list[Part] = []
        for index, (first, part) in enumerate(zip(model.bodies, model.parts, strict=True)):
            parts.append(Part(part, None if first == index else parts[first]))
        self.parts = nn.ModuleList(parts)
        self.bodies = model.bodies
        self.home = home
        self.member = model.members[0]
        self.concepts = tuple(part.concept for part in model.parts)
        self.expression, self.dependence = model.target, model.dependence
        self.eval()

    @property
    def composition(self) -> str:
        """Its name in the recipe."""
        return self.home.name

    @property
    def target(self) -> str:
        """What it was composed for: `black+cat`, all concepts at once, or a formula of them."""
        return str(self.expression or Expression.all_of(self.concepts))

    @property
    def answers(self) -> tuple[str, ...]:
        """What its log-odds are of, one for each column; of a single answer there are no columns."""
        return (self.target,)

    @property
    def asked_anew(self) -> bool:
        """Whether it is asked for another formula than it was composed for."""
        usual = Expression.all_of(self.concepts)
        made, asked = self.home.expression or usual, self.expression or usual
        concepts = (made & asked).concepts
        return made.cells(concepts) != asked.cells(concepts)

    @property
    def has_log_odds(self) -> bool:
        """Whether every network has a head; without, there are features only."""
        return all(part.outputs for part in self._parts())

    @property
    def sizes(self) -> tuple[int, ...]:
        """The input sizes of the networks, largest first, each once."""
        return tuple(sorted({part.size for part in self._parts()}, reverse=True))

    def forward(self, pixels: Tensor) -> Tensor:
        """Log-odds of the target, float32 [N].

        pixels: RGB [N, 3, H, W] of any size, uint8 in 0..255 or float in 0..1; no other type or range is taken, and
        nothing is to be normalised. Every network resizes them for itself (bilinear, antialiased), which differs from
        Pillow's resizing by rounding; `predict` uses Pillow's own, as a run does.
        ComposerError where a network has no head, or the pixels are others.
        """
        return self.log_odds_of(in_255(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """Features of all networks, a shared body's once, float32 [N, D]; pixels as for `forward`."""
        return self.features_of(in_255(pixels))

    def log_odds_of(self, pixels: Tensor) -> Tensor:
        """Log-odds [N] of pixels that are in 0..255 already, which is not looked at: a graph can be drawn of it."""
        return self._combined(self._each_log_odds(dict.fromkeys(self.sizes, pixels)))

    def features_of(self, pixels: Tensor) -> Tensor:
        """Features [N, D] of pixels that are in 0..255 already, which is not looked at."""
        parts = self._parts()
        return torch.cat([parts[first].features(pixels) for first in dict.fromkeys(self.bodies)], dim=-1)

    def predict(
        self, pictures: Picture | Iterable[Picture], threshold: float | None = None, batch: int = BATCH
    ) -> list[Prediction]:
        """What each picture shows, one result per picture and in their order.

        pictures: paths and Pillow images. Whatever cannot be read gets a result with `error`, and the others theirs.
        threshold: probability of the target above which it counts as shown; left out, it is decided by
        which concepts' own probabilities are above 0.5.
        """
        return list(self.predict_each(pictures, threshold, batch))

    def predict_each(
        self, pictures: Picture | Iterable[Picture], threshold: float | None = None, batch: int = BATCH
    ) -> Iterator[Prediction]:
        """The results of `predict`, as they become ready."""
        if not self.has_log_odds:
            raise ComposerError(self._headless())
        if threshold is not None and not 0 <= threshold <= 1:
            raise ComposerError(f"threshold: must be a probability from 0 to 1, not {threshold}")
        each = iter([pictures] if isinstance(pictures, (str, Path, Image.Image)) else pictures)
        done = 0
        with ThreadPoolExecutor(min(decoding.THREADS, os.cpu_count() or 1)) as pool:
            while chunk := list(islice(each, batch)):
                with warnings.catch_warnings():
                    # read_picture sets filters too, and threads that end in another order than they began would leave
                    # them behind; not across a yield, because they belong to the whole process.
                    warnings.simplefilter("ignore")
                    opened = list(pool.map(self._opened, chunk, range(done + 1, done + 1 + len(chunk))))
                yield from self._judged(opened, threshold)
                done += len(chunk)

    def _opened(self, picture: Picture, number: int) -> tuple[str, dict[int, Tensor] | str]:
        """Name, and uint8 [3, S, S] for every input size or what is wrong with the picture."""
        name = getattr(picture, "filename", "") or f"picture {number}"
        try:
            if isinstance(picture, Image.Image):
                rgb = as_rgb(picture, name)
            else:
                name = printable(picture)
                rgb = read_picture(picture)
        except UnreadablePictureError as error:
            return name, error.reason
        return name, {size: _pixels(rgb, size) for size in self.sizes}

    @torch.inference_mode()
    def _judged(
        self, opened: list[tuple[str, dict[int, Tensor] | str]], threshold: float | None
    ) -> Iterator[Prediction]:
        device = next(self.parameters()).device
        readable = [pixels for _, pixels in opened if not isinstance(pixels, str)]
        rows: Iterator[Prediction] = iter(())
        if readable:
            stacked = {size: torch.stack([pixels[size] for pixels in readable]).to(device) for size in self.sizes}
            rows = iter(self._said(self._each_log_odds(stacked), threshold))
        for name, pixels in opened:
            if isinstance(pixels, str):
                yield Prediction(name, error=pixels)
            else:
                said = next(rows)
                yield replace(said, name=name)

    def _said(self, each: Tensor, threshold: float | None) -> list[Prediction]:
        """Nameless predictions from the parts' log-odds [P, N]."""
        log_odds = self._combined(each)
        if not bool(log_odds.isfinite().all()):
            raise ComposerError(
                f"{self.home.path}: the log-odds of member {self.member!r} are not finite: its weights have diverged; "
                "take another member"
            )
        probability = log_odds.double().sigmoid()
        shown = probability > threshold if threshold is not None else self._decided(each)
        own = dict(zip(self.concepts, each.double().sigmoid().tolist(), strict=True)) if len(each) > 1 else {}
        limits = self._bounds(each)
        return [
            Prediction("", value, decided, {name: values[index] for name, values in own.items()}, bounds=limit)
            for index, (value, decided, limit) in enumerate(
                zip(probability.tolist(), shown.tolist(), limits, strict=True)
            )
        ]

    def _bounds(self, each: Tensor) -> Sequence[tuple[float, float] | None]:
        """What no dependence of the concepts leaves, for each picture; none where one concept is all there is."""
        if len(set(self.concepts)) < max(2, len(self.concepts)):
            return [None] * each.shape[1]
        formula = self.expression or Expression.all_of(self.concepts)
        low, high = bounds(formula, dict(zip(self.concepts, each, strict=True)))
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def _each_log_odds(self, pixels: Mapping[int, Tensor]) -> Tensor:
        """Log-odds of each part, [P, N]."""
        if not self.has_log_odds:
            raise ComposerError(self._headless())
        shared = self._shared_features(pixels)
        return torch.stack(
            [
                part.log_odds_of(shared[first]) if first in shared else part(pixels[part.size])
                for part, first in zip(self._parts(), self.bodies, strict=True)
            ]
        )

    def _shared_features(self, pixels: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """What bodies with several heads see, each once, by the first part that has the body."""
        parts = self._parts()
        several = [first for first in dict.fromkeys(self.bodies) if self.bodies.count(first) > 1]
        return {first: parts[first].features(pixels[parts[first].size]) for first in several}

    def _combined(self, each: Tensor) -> Tensor:
        return combined(self.concepts, list(each), self.expression, self.dependence)

    def _decided(self, each: Tensor) -> Tensor:
        """Whether the target is shown where each part decides at 0.5 for itself, bool [N]."""
        return decided(self.concepts, list(each > 0), self.expression)

    def _parts(self) -> list[Part]:
        return [part for part in self.parts if isinstance(part, Part)]

    def _headless(self) -> str:
        others = ", ".join(self.home.beside())
        use = f"use one that does: {others}" if others else "use an assembler that keeps or fits a head"
        return f"{self.home.path}: composition {self.composition!r} gives features and no log-odds; {use}"


def _pixels(picture: Image.Image, size: int) -> Tensor:
    resized = picture.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
