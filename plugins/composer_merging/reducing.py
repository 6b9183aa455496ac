"""One network out of two, unit by unit: what is common to all ways that say which units become which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from composer import Architecture, ComposedModel, ComposerError, Population, Run
from composer_merging import ChannelChoice, LearnedChoice, OptimalTransport, Pleas, Zipit
from composer_merging.aligned import sample
from composer_merging.choice import chosen, of_kept
from composer_merging.merging import (
    Weights,
    member_count,
    merge,
    one_member,
    other_meaning,
    recalibrates,
    require_alike,
    require_pictures,
)
from composer_merging.mixtures import Mixer, Mixture
from composer_merging.moments import Moments, called, moments, views
from composer_merging.pleas import partly_matched
from composer_merging.refitting import refit
from composer_merging.scorer import Scorer, best, described
from composer_merging.transport import carried
from composer_merging.zipit import zipped

Options = Zipit | Pleas | ChannelChoice | LearnedChoice | OptimalTransport


def reduce(options: Options, parents: Sequence[Population], run: Run) -> ComposedModel:
    """Members i of all parents become one network; a parent of one member serves all."""
    require_alike(options.name, parents)
    require_pictures(options.name, "units are watched", run)
    own = parents[0].architecture
    wider = own
    if not isinstance(options, OptimalTransport):
        try:
            wider = own.scaled(options.width)
        except ComposerError as error:
            raise ComposerError(f"{options.name}: {error}") from None
    try:
        mixer = Mixer(own, wider)
    except ComposerError as error:
        raise ComposerError(f"{options.name}: {error}") from error
    return merge(
        options,
        parents,
        lambda with_head: reduced(options, parents, mixer, wider, with_head, run),
        run,
        unfit_head=other_meaning(parents),
        head=options.head,
        recalibrate=options.recalibrate,
        architecture=wider,
    )


def reduced(
    options: Options, parents: Sequence[Population], mixer: Mixer, wider: Architecture, with_head: bool, run: Run
) -> Weights:
    """The weights of the merged networks, [M, ...]."""
    first, count = parents[0], member_count(parents)
    pixels = sample(options.pictures, first, run)
    anew = recalibrates(options.name, options.recalibrate, first, run)
    reached = called(built(first.architecture, one_member(first, 0, with_head=True), run.device), pixels[:1])
    seen = views(mixer, "inputs" if isinstance(options, (ChannelChoice, LearnedChoice)) else "outputs", reached)
    scorer = scorer_of(options, parents, run)
    random = run.generator()
    merged = []
    for member in run.progress(range(count), "merging networks", count):
        whole = [one_member(parent, member, with_head=True) for parent in parents]
        networks = [built(first.architecture, weights, run.device) for weights in whole]
        answers = moments(seen, networks, pixels)
        mixtures = {name: mixture(options, mixer, name, answers[name], whole, scorer, random) for name in seen}
        weights = mixer.weights([one_member(parent, member, with_head) for parent in parents], mixtures)
        if isinstance(options, (Pleas, ChannelChoice, LearnedChoice)):
            network = built(wider, weights, run.device)
            refit(network, networks, mixer, mixtures, pixels, options.ridge, anew, run.generator(), weights)
            state = network.state_dict()
            weights = {name: state[name].cpu() for name in weights}
        merged.append(weights)
    return {name: torch.stack([each[name] for each in merged]) for name in merged[0]}


def mixture(
    options: Options,
    mixer: Mixer,
    name: str,
    answers: Sequence[Moments],
    networks: Sequence[Weights],
    scorer: Scorer | None,
    random: torch.Generator,
) -> Mixture:
    """How the units of one group become those of the merged network."""
    count = len(mixer.wider.groups[name])
    if isinstance(options, OptimalTransport):
        return carried([each.second() for each in answers], len(networks))
    if isinstance(options, ChannelChoice):
        covariance = torch.stack([each.covariance() for each in answers]).sum(0)
        return chosen(covariance, mixer.demand(name, networks), count)
    if isinstance(options, LearnedChoice):
        covariance = torch.stack([each.covariance() for each in answers]).sum(0)
        if scorer is None:
            return of_kept(torch.randperm(len(covariance), generator=random)[:count].tolist(), covariance)
        return of_kept(best(scorer(described(covariance, mixer.demand(name, networks))), count), covariance)
    correlation = torch.stack([each.correlation() for each in answers]).mean(0)
    if isinstance(options, Pleas):
        return partly_matched(correlation, count)
    return zipped(correlation, count, options.within, options.repeat)


def scorer_of(options: Options, parents: Sequence[Population], run: Run) -> Scorer | None:
    """The scorer that chooses, or None where none does; of concepts that it learned from the run is warned."""
    if not isinstance(options, LearnedChoice) or options.choice == "random":
        return None
    if options.scorer is None and not run.learned:
        raise ComposerError("learned_choice: a `zoo` is learned from in a recipe; here, say the file of a `scorer`")
    scorer = Scorer.of(run.learned) if options.scorer is None else Scorer.load(options.scorer)
    known = [parent.concept for parent in parents if parent.concept in scorer.concepts]
    if known:
        run.warn(
            f"learned_choice: the scorer has learned from {', '.join(map(repr, known))}, so that it says nothing of "
            "what it is worth for concepts that it never saw"
        )
    return scorer


def built(architecture: Architecture, weights: Mapping[str, torch.Tensor], device: str) -> nn.Module:
    """A network in evaluation; a head that it has not got is one that nobody uses."""
    rows = weights.get(f"{architecture.head}.weight")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network = architecture.build(outputs=1 if rows is None else len(rows)).eval()
    network.load_state_dict(dict(weights), strict=False)
    return network.to(device)
