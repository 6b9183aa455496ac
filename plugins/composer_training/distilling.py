"""Students: networks that learn what the parents say of pictures, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from composer import (
    Architecture,
    ComposedModel,
    ComposerError,
    Images,
    Lines,
    Population,
    Preprocessing,
    Run,
)
from composer_training import Distil
from composer_training.course import of_better
from composer_training.kept import features_of, log_odds_of, may_be_kept
from composer_training.labelled import Labels, labels_of
from composer_training.seeing import stacked_logits
from composer_training.starting import learners
from composer_training.training import learned, mirror_half, own_randomness, schedule
from composer_training.unlabelled import dead_leaves, drawings, of_folder

HELD_OUT = 0.1
"""Share of the pictures that no student learns from: agreement with the teachers is measured on them."""
FEWEST = round(2 / HELD_OUT)
"""Pictures without which there is nothing to learn from, or to hold out."""
CHECKS = 10
"""How often agreement is measured on the way."""
POOR = 0.8
"""Correlation with the teachers' log-odds below which a student is said not to have learned them."""
PICTURES_AT_ONCE = 512
"""Pictures that are mixed, or that the teachers are asked about, at once: neither their float pixels nor their features
are held together, and no features are kept on disk."""


@dataclass(frozen=True)
class Lessons:
    """Pictures for the students, and what the teachers say of them.

    pixels: uint8 [N, 3, S, S]. taught: log-odds, float32 [T, N, concepts] of T sets of teachers, clipped. seen: what
    the body of an only student sees of them, [1, N, D], where that is known and stays.
    """

    pixels: Tensor
    taught: Tensor
    seen: Tensor | None = None

    def of(self, students: slice) -> Tensor:
        """What some students' own teachers say, [M, N, concepts]; [1, N, concepts] where all have the same."""
        return self.taught if len(self.taught) == 1 else self.taught[students]


@dataclass(frozen=True)
class Students:
    """Networks that learn at once: groups of members with stacked weights that require gradients."""

    architecture: Architecture
    preprocessing: Preprocessing
    groups: tuple[dict[str, Tensor], ...]
    names: tuple[str, ...]
    body: Population | None = None
    """What they begin with, where that is a pretrained network."""

    @classmethod
    def fresh(cls, options: Distil, parents: Sequence[Population], count: int, run: Run) -> Students:
        """Untrained ones: as the recipe says, or as the parents; where these differ as the smallest of them."""
        smallest = min(parents, key=lambda parent: parent.parameters)
        chosen = options.architecture or smallest.architecture
        architecture = scaled(chosen, options.width)
        own = Preprocessing(architecture.input_size, architecture.mean, architecture.std)
        return cls(
            architecture,
            smallest.preprocessing if chosen == smallest.architecture else own,
            tuple(learners(architecture, range(count), run, outputs=len(parents))),
            tuple(f"student {member}" for member in range(count)),
        )

    def __len__(self) -> int:
        return len(self.names)

    def logits(self, pixels: Tensor, *, training: bool = False) -> Iterator[Tensor]:
        """Log-odds of each concept from preprocessed pixels: [M, N, concepts] of each group of members."""
        return (stacked_logits(self.architecture, group, pixels, training=training) for group in self.groups)

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """All weights as they are now, [M, ...] on the CPU."""
        return learned(self.architecture, self.groups)

    @torch.no_grad()
    def agreement(self, held_out: Lessons, device: str) -> Tensor:
        """Correlation of each student's log-odds with its teachers' on pictures held out, [M, concepts]; 0 if flat."""
        if held_out.seen is None:
            batches = [self.preprocessing(batch.to(device)) for batch in torch.split(held_out.pixels, PICTURES_AT_ONCE)]
            said = torch.cat([torch.cat(list(self.logits(batch))).cpu() for batch in batches], dim=1)
        else:
            head = self.architecture.head
            (group,) = self.groups
            said = (held_out.seen.to(device) @ group[f"{head}.weight"].mT + group[f"{head}.bias"][:, None]).cpu()
        taught = held_out.of(slice(0, len(said))).expand_as(said)
        ours, theirs = said - said.mean(1, keepdim=True), taught - taught.mean(1, keepdim=True)
        norms = ours.norm(dim=1) * theirs.norm(dim=1)
        return torch.where(norms > 0, (ours * theirs).sum(1) / norms.clamp(min=1e-12), 0.0)


def scaled(architecture: Architecture, width: float) -> Architecture:
    """The architecture with its layers wider or narrower."""
    try:
        return architecture.scaled(width)
    except ComposerError as error:
        raise ComposerError(f"distil: {error}") from None


def distil(options: Distil, parents: Sequence[Population], run: Run) -> ComposedModel:
    """Students with one output for each parent's concept, side by side on one body."""
    from composer_training.pretrained import fit_heads, started  # which knows the students of this module

    for parent in parents:
        if not parent.has_head:
            raise ComposerError(f"distil: {parent.why_no_log_odds}")
    pairs = min((len(parent) for parent in parents if len(parent) > 1), default=1)
    alike = options.body is not None and options.teachers == "mean"
    count = options.members or (1 if alike else pairs)
    if options.teachers == "pairs" and count > pairs:
        raise ComposerError(
            f"distil: members: {count} students need as many pairs of teachers, and there are {pairs}; lower it, "
            "or take teachers: mean"
        )
    generator = run.generator()
    if options.body is None:
        students = Students.fresh(options, parents, count, run)
    else:
        students = started(options, parents, count, run)
    size = students.preprocessing.size
    learning, held_out = lessons(options, parents, pairs, size, generator, run, students.body)
    labels = labels_of(options, list(parents), size, len(learning.pixels), run)
    if options.body is not None:
        fit_heads(students, learning, held_out, run)
    if options.body is not None and options.train == "head":
        weights, agreement = students.weights(), students.agreement(held_out, run.device)
    else:
        with own_randomness(run):
            weights, agreement = teach(options, students, learning, held_out, labels, generator, run)
    run.measure("agreement_with_teachers", agreement.mean(1).tolist())
    warn_of_poor_students(options, agreement, [parent.concept for parent in parents], run)
    head = f"{students.architecture.head}."
    parts = []
    for index, parent in enumerate(parents):
        own = {name: tensor[:, index : index + 1] for name, tensor in weights.items() if name.startswith(head)}
        parts.append(
            Population(parent.concept, students.architecture, weights | own, students.names, students.preprocessing)
        )
    return ComposedModel(tuple(parts), students.names, labels=0 if labels is None else len(labels))


def lessons(
    options: Distil,
    parents: Sequence[Population],
    pairs: int,
    size: int,
    generator: torch.Generator,
    run: Run,
    body: Population | None = None,
) -> tuple[Lessons, Lessons]:
    """(what the students learn, what is held out): pictures, to learn from also some mixed two and two.

    size: of the students' pictures. body: what they begin with, where that is a pretrained network.
    """
    source = learned_from(options, parents, size, generator, run)
    if (there := sum(map(len, source))) < FEWEST:
        raise ComposerError(f"distil: {there} pictures to learn from; {FEWEST} are the fewest")
    owner = torch.cat([torch.full((len(images),), number) for number, images in enumerate(source)])
    place = torch.cat([torch.arange(len(images)) for images in source])
    order = torch.randperm(len(owner), generator=generator)
    kept_apart = max(1, round(HELD_OUT * len(owner)))
    apart, own = order[:kept_apart], order[kept_apart:]
    mixed = round(len(own) * options.mixed / (1 - options.mixed))
    first = own[torch.randint(len(own), (mixed,), generator=generator)]
    second = own[torch.randint(len(own), (mixed,), generator=generator)]
    share = torch.rand(mixed, generator=generator)
    plain = torch.cat([apart, own])

    def at(wanted: int) -> Tensor:
        every = [images.at(wanted) for images in source]

        def chosen(index: Tensor) -> Tensor:
            rows = zip(owner[index].tolist(), place[index].tolist(), strict=True)
            return torch.stack([every[number][row] for number, row in rows])

        pixels = [chosen(plain)]
        for begin in range(0, mixed, PICTURES_AT_ONCE):
            some = slice(begin, begin + PICTURES_AT_ONCE)
            part = share[some, None, None, None]
            blended = chosen(first[some]).float().lerp(chosen(second[some]).float(), 1 - part)
            pixels.append(blended.round().to(torch.uint8))
        return torch.cat(pixels)

    pool = Images([str(number) for number in range(len(plain) + mixed)], {}, at)
    kept = may_be_kept(options, parents)
    said = log_odds_of(with_shared_bodies(parents), source, plain, run) if kept else asked(parents, pool, run)
    taught = clipped(options, parents, pairs, said)
    pixels, seen = pool.at(size), None
    if kept and body is not None and options.train == "head":
        seen = features_of(body, source, plain, run)

    def part(some: slice) -> Lessons:
        return Lessons(pixels[some], taught[:, some], None if seen is None else seen[:, some])

    return part(slice(kept_apart, None)), part(slice(kept_apart))


def learned_from(
    options: Distil, parents: Sequence[Population], size: int, generator: torch.Generator, run: Run
) -> Sequence[Images]:
    """The pictures that the students learn from, of which nobody looks at a label. size: what students look at."""
    largest = max(size, *(parent.preprocessing.size for parent in parents))
    if options.folder is not None:
        return (of_folder(options.folder),)
    if options.pictures == "dead_leaves":
        return (dead_leaves(options.made, largest, generator),)
    if options.pictures == "drawings":
        return (drawings(options.made, largest, run),)
    if options.pictures == "inverted":
        from composer_training.inverting import inverted  # for this alone

        return inverted(options, parents, generator, run)
    return run.pictures


def asked(parents: Sequence[Population], pool: Images, run: Run) -> list[Tensor]:
    """What each teacher says, [M, N], once for all students and few pictures at a time."""
    batches = [
        pool.select(range(start, min(start + PICTURES_AT_ONCE, len(pool))))
        for start in range(0, len(pool), PICTURES_AT_ONCE)
    ]
    each: list[list[Tensor]] = [[] for _ in parents]
    bodies = with_shared_bodies(parents)
    for batch in run.progress(batches, "asking the teachers", len(batches)):
        for own, parent in zip(each, bodies, strict=True):
            own.append(parent.log_odds(batch, run.device))  # [M, batch]; a shared body is run once
        for parent in bodies:
            parent.forget_features()
    return [torch.cat(own, dim=1) for own in each]


def clipped(options: Distil, parents: Sequence[Population], pairs: int, said: Sequence[Tensor]) -> Tensor:
    """What the students are taught, float32 [T, N, concepts]; ComposerError where a teacher says no number."""
    said = [log_odds.clamp(-options.clip, options.clip) for log_odds in said]  # [M, N]; NaN stays NaN
    for parent, log_odds in zip(parents, said, strict=True):
        if not bool(log_odds.isfinite().all()):
            raise ComposerError(
                f"distil: the log-odds of {parent.concept!r} are not finite; its training or its file is broken"
            )
    if options.teachers == "mean":
        return torch.stack([each.mean(0, keepdim=True) for each in said], dim=-1)
    return torch.stack([each.expand(pairs, -1) if len(each) == 1 else each[:pairs] for each in said], dim=-1)


def with_shared_bodies(parents: Sequence[Population]) -> list[Population]:
    """The parents, of which those with equal bodies have one body, whose features are computed once."""
    found: list[Population] = []
    for parent in parents:
        first = next((other for other in found if parent.shares_body(other)), None)
        found.append(parent if first is None else parent.on_body_of(first))
    return found


def teach(
    options: Distil,
    students: Students,
    learning: Lessons,
    held_out: Lessons,
    labels: Labels | None,
    generator: torch.Generator,
    run: Run,
) -> tuple[dict[str, Tensor], Tensor]:
    """The weights with which each student agreed best with its teachers, and how well it did, [M, concepts]."""
    # Adam works element by element: one over the stacked weights is the same as one per student.
    optimiser = torch.optim.Adam(
        [tensor for group in students.groups for tensor in group.values() if tensor.requires_grad]
    )
    pixels = learning.pixels.to(run.device)
    every = max(1, options.steps // CHECKS)
    best = students.weights()
    agreement = torch.full((len(students), learning.taught.shape[-1]), -torch.inf)
    if options.body is not None:
        agreement = students.agreement(held_out, run.device)  # of the heads that were fitted
    losses, agreements = torch.zeros(options.steps), []
    for step in run.progress(range(options.steps), f"teaching {len(students)} students", options.steps):
        optimiser.param_groups[0]["lr"] = options.learning_rate * schedule(step, options.steps)
        index = torch.randint(len(pixels), (min(options.batch, len(pixels)),), generator=generator)
        shown = pixels[index] if labels is None else torch.cat([pixels[index], labels.pixels.to(run.device)])
        batch = students.preprocessing(shown)
        if options.flip:
            batch = mirror_half(batch, generator)
        first = 0
        for said in students.logits(batch, training=True):  # [M, B, concepts]
            taught = learning.of(slice(first, first + len(said)))[:, index].to(said)
            loss = (said[:, : len(index)] - taught).square().mean((1, 2))  # [M]
            if labels is not None:
                loss = loss + labels.loss(said[:, len(index) :])
            torch.autograd.backward(loss.sum())
            losses[step] += loss.detach().sum().cpu() / len(students)
            first += len(said)
        optimiser.step()
        optimiser.zero_grad()
        if not bool(losses[step].isfinite()):
            raise ComposerError(
                f"distil: the students' loss has grown out of bounds in step {step + 1} of {options.steps}; "
                f"set a learning_rate below {options.learning_rate:g} (0.01 suits most)"
            )
        if (step + 1) % every == 0 or step + 1 == options.steps:
            now = students.agreement(held_out, run.device)
            better = now.mean(1) > agreement.mean(1)
            for name, tensor in students.weights().items():
                best[name] = of_better(better, tensor, best[name])
            agreement = torch.where(better[:, None], now, agreement)
            agreements.append(float(now.mean(1).median()))
    run.figure("students", curves(losses, agreements, every))
    return best, agreement


def warn_of_poor_students(options: Distil, agreement: Tensor, concepts: Sequence[str], run: Run) -> None:
    """Warns of concepts that students have not learned from their teachers."""
    fitted = options.body is not None and options.train == "head"
    advice = "`train: all`, another body" if fitted else "more steps, a larger architecture"
    for concept, own in zip(concepts, agreement.T, strict=True):
        if poor := int((own < POOR).sum()):
            run.warn(
                f"{poor} of {len(own)} students agree badly with their teachers on {concept!r} (correlation below "
                f"{POOR} on pictures held out): take {advice}, or more pictures"
            )


def curves(losses: Tensor, agreements: Sequence[float], every: int) -> Lines:
    """The mean loss between two checks, and the median student's agreement at each."""
    return Lines(
        title="students",
        series={
            "loss (squared log-odds)": [float(part.mean()) for part in torch.split(losses, every)][: len(agreements)],
            "agreement on pictures held out": list(agreements),
        },
        x_label=f"{every} steps",
        y_label="",
        logarithmic=True,
    )
