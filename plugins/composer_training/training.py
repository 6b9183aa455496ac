"""The training of a whole population: one shared minibatch a step, the weights of all members stacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from math import ceil, cos, isnan, log, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from composer import (
    Architecture,
    ComposerError,
    HeldOut,
    Lines,
    Population,
    Run,
    auc,
    require_both_classes,
)
from composer_training import FEWEST_HELD_OUT, Train
from composer_training.course import Best, Course, Watch
from composer_training.seeing import PICTURES_AT_ONCE, Free, Frozen, mirrored, seen
from composer_training.starting import Start, bodies, grouped, initial_heads, learners, start_of

WARM_UP = 0.25
"""Share of the steps in which the learning rate rises."""
DIVERGED = 10 * log(2)
"""Cross-entropy in nats that only a diverging member has on average: ten times that of a coin toss."""

Weights = Mapping[str, Tensor]


def train(options: Train, concept: str, members: range, run: Run) -> Population:
    """Some of `options.members` networks, whose output 0 means `concept` and output 1 its absence."""
    images = run.pictures[0]
    require_both_classes(images, concept, f"training pictures of {concept!r}")
    shown = images.labels[concept]
    start = start_of(options, concept, run)
    pixels = images.at(start.preprocessing.size).to(run.device)
    lessons = lessons_of(options, members, seen(options, start, pixels, run), shown, run)
    course = course_of(options, members, start, lessons, run)
    with own_randomness(run):
        course.go_on(run)
        learn(options, lessons, course, run)
    if course.best is not None:
        use_best(course.groups, course.best)
        run.measure("best_epoch", (course.best.epoch + 1).tolist())
    run.figure("training", loss_curves(concept, course.losses[: course.done]))
    log_odds = training_log_odds(lessons, course.groups, len(images))
    warn_of_members_that_know_nothing(((log_odds >= 0) == torch.from_numpy(shown)).float().mean(1), shown, concept, run)
    if lessons.counts is not None:
        run.measure("held_out_auc", held_out_auc(log_odds, shown, lessons.counts))
    weights = learned(start.architecture, course.groups)
    if options.body == "frozen" and start.body is not None:
        weights |= bodies(start.body, members)
    names = tuple(f"{concept} {member}" for member in members)
    unseen = None if lessons.counts is None else left_out(log_odds, shown, lessons.counts)
    return Population(concept, start.architecture, weights, names, start.preprocessing, held_out=unseen)


@dataclass(frozen=True)
class Lessons:
    """What all members see, and what each learns from.

    classes: int64 [N] on the device, 0 shows the concept, 1 does not. counts: how often each member's sample holds each
    picture, uint8 [M, N]. own, apart: indices of the pictures that are trained on and of those held out.
    """

    seen: Free | Frozen
    classes: Tensor
    counts: Tensor | None
    own: Tensor
    apart: Tensor


def lessons_of(options: Train, members: range, seen: Free | Frozen, shown: NDArray[np.bool_], run: Run) -> Lessons:
    """The pictures parted as the options say."""
    own, apart = parted(options, shown, run)
    counts = None
    if options.resample:
        counts = torch.zeros(len(members), len(shown), dtype=torch.uint8)
        counts[:, own] = sample(shown[own.numpy()], options.members, run.rng())[members.start : members.stop]
    return Lessons(seen, torch.from_numpy(~shown).long().to(run.device), counts, own, apart)


def parted(options: Train, shown: NDArray[np.bool_], run: Run) -> tuple[Tensor, Tensor]:
    """Indices of the pictures to train on, and of those to stop by: of both classes the same share."""
    if options.patience is None:
        return torch.arange(len(shown)), torch.arange(0)
    order = torch.randperm(len(shown), generator=run.generator())
    flags = torch.from_numpy(shown)[order]
    each = [order[flags], order[~flags]]
    cuts = [round(options.held_out * len(places)) for places in each]
    if sum(cuts) < FEWEST_HELD_OUT or min(cuts) < 1:
        raise ComposerError(
            f"train: patience: {cuts[0]} pictures with the concept and {cuts[1]} without are held out of {len(shown)}, "
            f"and {FEWEST_HELD_OUT} of both kinds together are the fewest to stop by; give more pictures, raise "
            "held_out, or leave patience out"
        )
    own = torch.cat([places[cut:] for places, cut in zip(each, cuts, strict=True)])
    apart = torch.cat([places[:cut] for places, cut in zip(each, cuts, strict=True)])
    return own.sort().values, apart.sort().values


def course_of(options: Train, members: range, start: Start, lessons: Lessons, run: Run) -> Course:
    """Before the first epoch."""
    architecture = start.architecture
    if isinstance(lessons.seen, Frozen):
        heads = initial_heads(architecture, members, run.seed)
        groups = grouped(heads, heads, run, options.group)
    else:
        groups = learners(architecture, members, run, body=start.body, together=options.group)
    # Adam works element by element: one over the stacked weights is the same as one per member.
    optimiser = torch.optim.Adam(
        [tensor for group in groups for tensor in group.values() if tensor.requires_grad], lr=options.learning_rate
    )
    losses = torch.zeros(options.passes(len(lessons.classes)), len(members))
    best = None if options.patience is None else Best.of(len(members), options.patience)
    return Course(groups, optimiser, run.generator(), losses, best)


def learn(options: Train, lessons: Lessons, course: Course, run: Run) -> None:
    """Trains from where the course is to its last epoch, or until all members have stopped."""
    epochs, count = len(course.losses), len(lessons.own)
    steps = ceil(count / options.batch)  # per epoch
    rate, before = rate_of(options, epochs * steps), course.done * steps
    rates = torch.optim.lr_scheduler.LambdaLR(course.optimiser, lambda step: rate(before + step))
    left = minibatches(count, epochs - course.done, steps, course.generator)
    batches = chain(repeat(None, before), left)
    watch = Watch()
    for step, place in enumerate(run.progress(batches, f"training {course.losses.shape[1]} networks", epochs * steps)):
        if course.stopped:
            return
        if place is None:  # done before it was killed
            continue
        train_step(options, lessons, course, lessons.own[place], step // steps)
        rates.step()
        if (step + 1) % steps == 0:
            course.done = step // steps + 1
            if course.best is not None:
                loss = held_out_loss(lessons, course.groups)
                course.stopped = course.best.look(step // steps, loss, trained(course.groups))
            if watch.due():
                course.keep(run)


def train_step(options: Train, lessons: Lessons, course: Course, index: Tensor, epoch: int) -> None:
    """One step of all members on the pictures at `index`."""
    coins = torch.rand(len(index), generator=course.generator) < 0.5 if options.flip else None
    batch = lessons.seen.batch(index, None if coins is None else coins.to(lessons.classes.device))
    first = 0
    for group in course.groups:
        logits = lessons.seen.logits(group, first, batch, training=True)  # [M, B, 2]
        members = slice(first, first + len(logits))
        wanted = lessons.classes[index].expand(len(logits), -1)
        loss = F.cross_entropy(logits.mT, wanted, reduction="none")  # [M, B]
        if lessons.counts is not None:
            loss = loss * lessons.counts[members, index].to(loss)
        torch.autograd.backward(loss.mean(1).sum())
        course.losses[epoch, members] += loss.detach().sum(1).cpu() / len(lessons.own)
        first = members.stop
    stop_if_diverged(course.losses[epoch], f"epoch {epoch + 1} of {len(course.losses)}", options)
    course.optimiser.step()
    course.optimiser.zero_grad()


def held_out_loss(lessons: Lessons, groups: Sequence[Weights]) -> Tensor:
    """Each member's mean loss on the pictures that are held out, [M] on the CPU."""
    logits = judged(lessons, groups, lessons.apart)
    wanted = lessons.classes[lessons.apart].cpu().expand(len(logits), -1)
    return F.cross_entropy(logits.mT, wanted, reduction="none").mean(1)


@torch.no_grad()
def judged(lessons: Lessons, groups: Sequence[Weights], index: Tensor) -> Tensor:
    """Logits [M, N, 2] of all members on the CPU, in evaluation."""
    parts = []
    for part in torch.split(index, PICTURES_AT_ONCE):
        batch, first, each = lessons.seen.batch(part), 0, []
        for group in groups:
            each.append(lessons.seen.logits(group, first, batch, training=False).cpu())
            first += len(each[-1])
        parts.append(torch.cat(each))
    return torch.cat(parts, dim=1)


def trained(groups: Sequence[Weights]) -> dict[str, Tensor]:
    """All weights as they are now, [M, ...] on the CPU."""
    return {name: torch.cat([group[name].detach().cpu() for group in groups]) for name in groups[0]}


def learned(architecture: Architecture, groups: Sequence[Weights]) -> dict[str, Tensor]:
    """The same without counts of steps."""
    wanted = architecture.shapes()
    return {name: tensor for name, tensor in trained(groups).items() if name in wanted}


@torch.no_grad()
def use_best(groups: Sequence[Weights], best: Best) -> None:
    """Puts the best weights into the members."""
    first = 0
    for group in groups:
        count = len(next(iter(group.values())))
        for name, tensor in group.items():
            tensor.copy_(best.weights[name][first : first + count])
        first += count


@contextmanager
def own_randomness(run: Run) -> Iterator[None]:
    """Layers that draw at random, such as dropout, start from the stage's seed; the global state is as before after."""
    device = torch.device(run.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(run.seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(run.seed)
        yield


def sample(shown: NDArray[np.bool_], members: int, rng: np.random.Generator) -> Tensor:
    """How often each member's sample holds each picture: uint8 [M, N], drawn from Poisson(1).

    That is a bootstrap sample for any number of pictures (Oza and Russell 2001). Both classes are in every sample.
    """
    counts = rng.poisson(1.0, (members, len(shown)))
    while len(one_class := np.flatnonzero((counts @ shown == 0) | (counts @ ~shown == 0))):
        counts[one_class] = rng.poisson(1.0, (len(one_class), len(shown)))
    return torch.from_numpy(counts.astype(np.uint8))


def minibatches(pictures: int, epochs: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of pictures for each step: every epoch another order, cut into `steps` parts of about one size."""
    for _ in range(epochs):
        yield from torch.randperm(pictures, generator=generator).tensor_split(steps)


def rate_of(options: Train, total: int) -> Callable[[int], float]:
    """The share of the highest learning rate in each step of `total`."""
    match options.schedule:
        case "onecycle":
            return lambda step: schedule(step, total)
        case "cosine":
            return lambda step: (1 + cos(pi * step / total)) / 2
        case "constant":
            return lambda step: 1.0


def mirror_half(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The pictures [N, 3, S, S], each mirrored left to right or not, as a coin says."""
    return mirrored(pixels, (torch.rand(len(pixels), generator=generator) < 0.5).to(pixels.device))


def schedule(step: int, total: int) -> float:
    """Share of the highest learning rate: up along a line, down along a cosine (Smith and Topin 2019)."""
    rising = WARM_UP * total
    if step < rising:
        return (step + 1) / (rising + 1)
    return (1 + cos(pi * (step - rising) / (total - rising))) / 2


def stop_if_diverged(losses: Tensor, when: str, options: Train) -> None:
    """losses: [M], the epoch's so far."""
    diverged = ~(losses < DIVERGED)  # NaN too
    if diverged.any():
        raise ComposerError(
            f"train: the loss of {int(diverged.sum())} of {len(losses)} networks has grown out of bounds in {when}; "
            f"set a learning_rate below {options.learning_rate:g} (0.01 suits most)"
        )


def training_log_odds(lessons: Lessons, groups: Sequence[Weights], pictures: int) -> Tensor:
    """Log-odds of the concept on all the pictures, [M, N]."""
    logits = judged(lessons, groups, torch.arange(pictures))
    return logits[..., 0] - logits[..., 1]


def left_out(log_odds: Tensor, shown: NDArray[np.bool_], counts: Tensor) -> HeldOut:
    """What members say of the pictures that their own samples left out: a share of 1/e, of each member another."""
    said = torch.where(counts == 0, log_odds, torch.nan)
    return HeldOut(said, torch.from_numpy(shown.copy()), "the pictures that a member's own sample left out")


def held_out_auc(log_odds: Tensor, shown: NDArray[np.bool_], counts: Tensor) -> list[float]:
    """AUC of every member on the pictures that its own sample left out (out-of-bag, Breiman 2001).

    Members whose sample left out pictures of one class only have none, as happens with a handful of pictures.
    """
    each = [
        float(auc(own[None, left_out], shown[left_out])[0])
        for own, left_out in zip(log_odds.double().numpy(), (counts == 0).numpy(), strict=True)
    ]
    return [value for value in each if not isnan(value)]


def warn_of_members_that_know_nothing(accuracy: Tensor, shown: NDArray[np.bool_], concept: str, run: Run) -> None:
    majority = max(shown.mean(), 1 - shown.mean())
    count = int((accuracy <= majority + 1e-6).sum())
    if count:
        run.warn(
            f"{count} of {len(accuracy)} networks trained for {concept!r} know their training pictures no better than "
            f"the majority class ({majority:.3f}); train longer (epochs), or with another learning_rate"
        )


def loss_curves(concept: str, losses: Tensor) -> Lines:
    """losses: [E, M]."""
    return Lines(
        title=f"training of {concept}",
        series={"median member": losses.quantile(0.5, dim=1).tolist(), "worst member": losses.amax(1).tolist()},
        x_label="epoch",
        y_label="cross-entropy (nats)",
        logarithmic=True,
    )
