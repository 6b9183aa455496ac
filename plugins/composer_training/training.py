"""The training of a whole population: one shared minibatch a step, the weights of all members stacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    Preprocessing,
    Run,
    auc,
    require_both_classes,
    stack,
)
from composer_training import AT_ONCE, Train

WARM_UP = 0.25
"""Share of the steps in which the learning rate rises."""
DIVERGED = 10 * log(2)
"""Cross-entropy in nats that only a diverging member has on average: ten times that of a coin toss."""
PICTURES_AT_ONCE = 256
"""Pictures per forward pass when the trained members are judged."""

Weights = Mapping[str, Tensor]


def train(options: Train, concept: str, run: Run) -> Population:
    """A population of `options.members` networks whose output 0 means `concept` and output 1 its absence."""
    images = run.pictures[0]
    require_both_classes(images, concept, f"training pictures of {concept!r}")
    shown = images.labels[concept]
    architecture = options.architecture
    preprocessing = Preprocessing(architecture.input_size)
    pixels = images.at(preprocessing.size).to(run.device)
    classes = torch.from_numpy(~shown).long().to(run.device)  # [N]: 0 shows the concept, 1 does not
    counts = sample(shown, options.members, run.rng()) if options.resample else None
    groups = learners(architecture, options.members, run)
    # Adam works element by element: one over the stacked weights is the same as one per member.
    optimiser = torch.optim.Adam([tensor for group in groups for tensor in group.values() if tensor.requires_grad])

    steps = ceil(len(images) / options.batch)  # per epoch
    epochs = options.passes(len(images))
    total = epochs * steps
    losses = torch.zeros(epochs, options.members)
    generator = run.generator()
    batches = minibatches(len(images), epochs, steps, generator)
    with own_randomness(run):
        for step, index in enumerate(run.progress(batches, f"training {options.members} networks", total)):
            epoch = step // steps
            optimiser.param_groups[0]["lr"] = options.learning_rate * schedule(step, total)
            batch = preprocessing(pixels[index])
            if options.flip:
                batch = mirror_half(batch, generator)
            first = 0
            for group in groups:
                logits = stacked_logits(architecture, group, batch, training=True)  # [M, B, 2]
                members = slice(first, first + len(logits))
                loss = F.cross_entropy(logits.mT, classes[index].expand(len(logits), -1), reduction="none")  # [M, B]
                if counts is not None:
                    loss = loss * counts[members, index].to(loss)
                torch.autograd.backward(loss.mean(1).sum())
                losses[epoch, members] += loss.detach().sum(1).cpu() / len(images)
                first = members.stop
            stop_if_diverged(losses[epoch], f"epoch {epoch + 1} of {epochs}", options)
            optimiser.step()
            optimiser.zero_grad()

    run.figure("training", loss_curves(concept, losses))
    log_odds = torch.cat([training_log_odds(architecture, group, preprocessing, pixels) for group in groups])
    warn_of_members_that_know_nothing(((log_odds >= 0) == torch.from_numpy(shown)).float().mean(1), shown, concept, run)
    if counts is not None:
        run.measure("held_out_auc", held_out_auc(log_odds, shown, counts))
    weights = learned(architecture, groups)
    names = tuple(f"{concept} {member}" for member in range(options.members))
    unseen = None if counts is None else left_out(log_odds, shown, counts)
    return Population(concept, architecture, weights, names, preprocessing, held_out=unseen)


def learners(architecture: Architecture, members: int, run: Run, outputs: int = 2) -> list[dict[str, Tensor]]:
    """Fresh members in groups of at most AT_ONCE: their parameters require gradients, their buffers do not."""
    parameters = {name for name, _ in architecture.blueprint(outputs).named_parameters()}
    return [
        {name: tensor.to(run.device).requires_grad_(name in parameters) for name, tensor in group.items()}
        for group in split_members(initial_weights(architecture, members, run.seed, outputs))
    ]


def learned(architecture: Architecture, groups: Sequence[Weights]) -> dict[str, Tensor]:
    """All weights as they are now, [M, ...] on the CPU; without counts of steps."""
    return {name: torch.cat([group[name].detach().cpu() for group in groups]) for name in architecture.shapes()}


@contextmanager
def own_randomness(run: Run) -> Iterator[None]:
    """Layers that draw at random, such as dropout, start from the stage's seed; the global state is as before after."""
    device = torch.device(run.device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(run.seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(run.seed)
        yield


def initial_weights(architecture: Architecture, members: int, seed: int, outputs: int = 2) -> dict[str, Tensor]:
    """parameter or buffer -> [M, ...], each member as its layers initialise themselves; the random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the GPU's state too
        networks = [architecture.build(outputs) for _ in range(members)]
    own = {name for named in (networks[0].named_parameters(), networks[0].named_buffers()) for name, _ in named}
    if shared := [name for name in networks[0].state_dict() if name not in own]:
        listed = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
        raise ComposerError(
            f"train: {architecture.name!r} keeps {listed}: weights shared between layers cannot be trained "
            "here; take a network without them, or train it elsewhere and read it with models: {use: checkpoints}"
        )
    return stack([{name: tensor.detach() for name, tensor in network.state_dict().items()} for network in networks])


def split_members(weights: Weights) -> Iterator[dict[str, Tensor]]:
    """Groups of at most AT_ONCE members, each with memory of its own."""
    members = len(next(iter(weights.values())))
    for start in range(0, members, AT_ONCE):
        yield {name: tensor[start : start + AT_ONCE].clone() for name, tensor in weights.items()}


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


def mirror_half(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """The pictures [N, 3, S, S], each mirrored left to right or not, as a coin says."""
    mirrored = torch.rand(len(pixels), generator=generator) < 0.5
    return torch.where(mirrored.to(pixels.device)[:, None, None, None], pixels.flip(-1), pixels)


def schedule(step: int, total: int) -> float:
    """Share of the highest learning rate: up along a line, down along a cosine (Smith and Topin 2019)."""
    rising = WARM_UP * total
    if step < rising:
        return (step + 1) / (rising + 1)
    return (1 + cos(pi * (step - rising) / (total - rising))) / 2


def stacked_logits(architecture: Architecture, weights: Weights, pixels: Tensor, *, training: bool = False) -> Tensor:
    """float32 [M, N, 2]."""
    features = architecture.stacked_features(weights, pixels, training=training)  # [M, N, D]
    head = architecture.head
    return torch.baddbmm(weights[f"{head}.bias"][:, None], features, weights[f"{head}.weight"].mT)


def stop_if_diverged(losses: Tensor, when: str, options: Train) -> None:
    """losses: [M], the epoch's so far."""
    diverged = ~(losses < DIVERGED)  # NaN too
    if diverged.any():
        raise ComposerError(
            f"train: the loss of {int(diverged.sum())} of {len(losses)} networks has grown out of bounds in {when}; "
            f"set a learning_rate below {options.learning_rate:g} (0.01 suits most)"
        )


@torch.no_grad()
def training_log_odds(
    architecture: Architecture, weights: Weights, preprocessing: Preprocessing, pixels: Tensor
) -> Tensor:
    """Log-odds of the concept on all the pictures, [M, N]."""
    logits = [
        stacked_logits(architecture, weights, preprocessing(batch)) for batch in torch.split(pixels, PICTURES_AT_ONCE)
    ]
    return torch.cat([each[..., 0] - each[..., 1] for each in logits], dim=1).cpu()


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
