"""The taught translator: from the parents' members and pictures to a generator, and from unseen members to kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi

import torch
from torch import Tensor

from composer import ComposerError, Images, KernelSet, Lines, Population, Run
from composer_translation import Taught
from composer_translation.judging import Body, error
from composer_translation.members import Form, joined_names, pairs

CERTAIN = 4.0
"""Log-odds are clipped to +-CERTAIN, as where heads are fitted."""
PICTURES_AT_ONCE = 256
ANEW = 20
"""Points of the curve that the report shows."""
DIVERGED = 100.0
"""No error of a training that works: 1 is to say the same of every picture."""


@dataclass(frozen=True)
class Generator:
    """One forward pass from a member of each parent [B, P, W] to a network's kernels [B, W].

    gate x mean of the members + one network for all + a network of two layers on the members' principal components.
    """

    centre: Tensor  # [P, W]
    axes: Tensor  # [P, W, R], each divided by the spread of the training members along it
    sizes: Sequence[int]
    gate: Tensor  # [layers]
    base: Tensor  # [W]
    inner: Tensor  # [P * R, H]
    outer: Tensor  # [H, W]

    @classmethod
    def fresh(
        cls, members: Sequence[Tensor], sizes: Sequence[int], hidden: int, generator: torch.Generator
    ) -> Generator:
        """It gives the mean of the members at first. members: of each parent the training ones, [M, W]."""
        rank = max(min(map(len, members)) - 1, 1)
        axes = torch.stack([_axes(own, rank) for own in members])
        width = members[0].shape[1]
        inner = torch.randn(len(members) * rank, hidden, generator=generator) * (len(members) * rank) ** -0.5
        learned = [torch.ones(len(sizes)), torch.zeros(width), inner, torch.zeros(hidden, width)]
        centre = torch.stack([own.mean(0) for own in members]).float()
        return cls(centre, axes, sizes, *(each.requires_grad_() for each in learned))

    @property
    def learned(self) -> list[Tensor]:
        return [self.gate, self.base, self.inner, self.outer]

    def __call__(self, members: Tensor) -> Tensor:
        gate = torch.cat([own.expand(size) for own, size in zip(self.gate, self.sizes, strict=True)])
        places = torch.einsum("bpw,pwr->bpr", members - self.centre, self.axes).flatten(1)
        return gate * members.mean(1) + self.base + (places @ self.inner).relu() @ self.outer


def _axes(members: Tensor, rank: int) -> Tensor:
    """float32 [W, rank]: principal axes over the spread along them; zeros where nothing spreads."""
    centred = members - members.mean(0)
    _, spread, axes = torch.linalg.svd(centred, full_matrices=False)
    scale = spread / max(len(members) - 1, 1) ** 0.5
    usable = spread > 1e-6 * members.norm().clamp(min=1e-12)
    weighed = torch.where(usable[:, None], axes / scale.clamp(min=1e-12)[:, None], 0.0)[:rank]
    found = torch.zeros(members.shape[1], rank)
    found[:, : len(weighed)] = weighed.T.float()
    return found


@dataclass(frozen=True)
class Lesson:
    """A generator that has learned, and the members that it has not seen, one of each parent to a network."""

    options: Taught
    form: Form
    generator: Generator
    training: Sequence[Tensor]
    places: Sequence[tuple[int, ...]]

    @torch.no_grad()
    def applied(self, parents: Sequence[KernelSet], condition: str, run: Run) -> KernelSet:
        """Kernels in one pass. condition: as the option of this name."""
        conditions = _conditions(condition, parents, self, run.generator())
        made = self.generator(conditions)
        return self.form.kernels(made, parents, joined_names(parents, self.places), self.options.name, run)


def translate(options: Taught, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Kernels of networks made of members that the generator never saw."""
    return teach(options, parents, run).applied(parents, options.condition, run)


def teach(options: Taught, parents: Sequence[KernelSet], run: Run) -> Lesson:
    """A generator that has learned from some members of `run.parents`, whose kernels `parents` are."""
    form = Form.of(parents, options.name)
    if not run.parents or not any(len(images) for images in run.pictures):
        raise ComposerError("taught: it learns from what the parents say of their own pictures; both must be at hand")
    for parent in run.parents:
        if not parent.has_head:
            raise ComposerError(f"taught: {parent.why_no_log_odds}")
    random = run.generator()
    seen, unseen = split(parents, options.held_out, run)
    training = [form.rows(parent)[places] for parent, places in zip(parents, seen, strict=True)]
    pixels, said = lessons(options, [p.select(own) for p, own in zip(run.parents, seen, strict=True)], random, run)
    generator = Generator.fresh(training, form.sizes, options.hidden, random)
    _train(options, generator, training, form, pixels, said, random, run)
    return Lesson(options, form, generator, training, pairs(unseen, options.members))


def split(parents: Sequence[KernelSet], share: float, run: Run) -> tuple[list[list[int]], list[list[int]]]:
    """(places of members to learn from, of those held out) of each parent: the last ones are held out.

    A parent of one member has none to hold out; it serves in both, and the run is warned.
    """
    seen, unseen = [], []
    for parent in parents:
        out = min(max(round(share * len(parent)), 1), len(parent) - 1)
        every = list(range(len(parent)))
        seen.append(every[: len(every) - out])
        unseen.append(every[len(every) - out :] or every)
        if not out:
            run.warn(f"taught: {parent.concept!r} has one member, so it is judged on what it has learned from")
    return seen, unseen


def lessons(options: Taught, parents: Sequence[Population], random: torch.Generator, run: Run) -> tuple[Tensor, Tensor]:
    """Preprocessed pixels [N, 3, S, S] and the parents' mean log-odds of them, [N, concepts], clipped."""
    prepared = parents[0].preprocessing
    own = torch.cat([images.at(prepared.size) for images in run.pictures])
    mixed = round(len(own) * options.mixed / (1 - options.mixed))
    first, second = (own[torch.randint(len(own), (mixed,), generator=random)] for _ in range(2))
    share = torch.rand((mixed, 1, 1, 1), generator=random)
    blended = (first.float() * share + second.float() * (1 - share)).round().to(torch.uint8)
    pixels = torch.cat([own, blended])
    batches = [
        Images([str(place) for place in range(len(part))], {}, part) for part in torch.split(pixels, PICTURES_AT_ONCE)
    ]
    said: dict[str, list[Tensor]] = {}
    for parent in run.progress(parents, "asking the parents", len(parents)):
        told = torch.cat([parent.log_odds(batch, run.device).mean(0).cpu() for batch in batches])
        if not bool(told.isfinite().all()):
            raise ComposerError(f"taught: the log-odds of {parent.concept!r} are not finite; its training is broken")
        said.setdefault(parent.concept, []).append(told)
    mean = torch.stack([torch.stack(each).mean(0) for each in said.values()], 1)
    return prepared(pixels), mean.clamp(-CERTAIN, CERTAIN)


def _train(
    options: Taught,
    generator: Generator,
    members: Sequence[Tensor],
    form: Form,
    pixels: Tensor,
    said: Tensor,
    random: torch.Generator,
    run: Run,
) -> None:
    """Lowers the error of heads on what the generator makes of the members."""
    body = Body(run.parents[0].architecture)
    optimiser = torch.optim.Adam(generator.learned, options.learning_rate)
    errors = []
    count = min(options.pictures, len(pixels))
    for step in run.progress(range(options.steps), "teaching the generator", options.steps):
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * (1 + cos(pi * step / options.steps)) / 2
        chosen = torch.randperm(len(pixels), generator=random)[:count]
        shown, wanted = pixels[chosen], said[chosen]
        layers = form.layers(generator(_drawn(members, options.networks, random)))
        losses = [
            error(body.features(_weights(layers, index, body), shown), wanted, options.ridge)
            for index in range(options.networks)
        ]
        loss = torch.stack(losses).mean()
        errors.append(float(loss.detach()))
        if not isfinite(errors[-1]) or errors[-1] > DIVERGED:
            raise ComposerError(
                f"taught: training diverged in step {step + 1} of {options.steps}: the error is {errors[-1]:.4g}; "
                f"lower learning_rate ({options.learning_rate:g})"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    _report(errors, members, generator, run)


def _weights(layers: dict[str, Tensor], index: int, body: Body) -> dict[str, Tensor]:
    own = dict(body.network.named_parameters())
    return {
        f"{layer}.weight": kernels[index].reshape(own[f"{layer}.weight"].shape) for layer, kernels in layers.items()
    }


def _drawn(members: Sequence[Tensor], count: int, random: torch.Generator) -> Tensor:
    """[B, P, W]: members drawn of each parent; half of them lie on the way from one to another."""
    found = []
    for own in members:
        first, second = (own[torch.randint(len(own), (count,), generator=random)] for _ in range(2))
        way = torch.rand((count, 1), generator=random) * (torch.rand((count, 1), generator=random) < 0.5)
        found.append(torch.lerp(first, second, way.to(first.dtype)))
    return torch.stack(found, 1).float()


def _conditions(condition: str, parents: Sequence[KernelSet], lesson: Lesson, random: torch.Generator) -> Tensor:
    """What the generator is applied to, [B, P, W]."""
    if condition == "mean":
        centre = torch.stack([own.mean(0) for own in lesson.training])
        return centre.expand(len(lesson.places), *centre.shape).float()
    rows = [lesson.form.rows(parent) for parent in parents]
    found = [torch.stack([own[at] for own, at in zip(rows, each, strict=True)]) for each in lesson.places]
    members = torch.stack(found).float()
    if condition == "members":
        return members
    parts = torch.split(members, lesson.form.sizes, dim=2)
    orders = [torch.rand(part.shape, generator=random).argsort(2) for part in parts]
    return torch.cat([part.gather(2, order) for part, order in zip(parts, orders, strict=True)], 2)


def _report(errors: Sequence[float], members: Sequence[Tensor], generator: Generator, run: Run) -> None:
    gates = ", ".join(f"{gate:.2f}" for gate in generator.gate.detach().tolist())
    width = max(len(errors) // ANEW, 1)
    curve = [sum(part) / len(part) for at in range(0, len(errors), width) if (part := errors[at : at + width])]
    run.figure(
        "teaching",
        Lines(
            f"Taught on {' x '.join(str(len(own)) for own in members)} members; share of the members' mean that is "
            f"left in each layer: {gates}",
            {"training members": curve},
            f"each point {width} steps",
            "share of the parents' log-odds not told",
        ),
    )
