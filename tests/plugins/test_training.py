"""The model source `train`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from composer import Architecture, ComposerError, Images, Lines, Population, Run, Split
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_training import Train, starting
from composer_training.training import minibatches, mirror_half, sample, schedule
from tiny import ARCHITECTURE, product_of_experts, training_images

PICTURES = training_images("cat", count=48)


def train(run: Run | None = None, pictures: Images = PICTURES, **options: Any) -> Population:
    run = run or Run(seed=5)
    run.pictures = (pictures,)
    return Train.model_validate({"architecture": ARCHITECTURE, "members": 3, "epochs": 2, "batch": 16, **options}).load(
        "cat", run
    )


def same(one: Population, other: Population) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in other.weights)


def initial(members: int, seed: int, architecture: Architecture = ARCHITECTURE) -> list[nn.Module]:
    """Networks as torch initialises them, one after the other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [architecture.build(outputs=2) for _ in range(members)]


def test_a_population_learns_its_concept() -> None:
    population = train(members=4, epochs=30)
    assert population.members == ("cat 0", "cat 1", "cat 2", "cat 3")
    assert population.outputs == (0,)
    test = training_images("cat", count=60, seed=9)
    accuracy = ((population.log_odds(test).numpy() > 0) == test.labels["cat"]).mean(1)
    assert np.median(accuracy) > 0.9, f"held-out accuracy of the members: {accuracy}"


def test_each_member_is_measured_on_the_pictures_that_its_sample_left_out() -> None:
    run = Run(seed=5)
    population = train(run)
    shown = PICTURES.labels["cat"]
    counts = sample(shown, 3, run.rng()).numpy()
    expected = [
        roc_auc_score(shown[count == 0], log_odds[count == 0])
        for count, log_odds in zip(counts, population.log_odds(PICTURES).numpy(), strict=True)
    ]
    assert run.measured["held_out_auc"] == pytest.approx(expected)
    train(other := Run(seed=5), resample=False)
    assert other.measured == {}, "all pictures were trained on"


@pytest.mark.parametrize(("resample", "at_once"), [(True, 32), (False, 32), (True, 2)])
def test_stacked_training_is_training_each_member_by_itself(
    resample: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain loop of the textbook, with the same pictures, samples and steps."""
    monkeypatch.setattr(starting, "AT_ONCE", at_once)
    run, options = Run(seed=5), Train(architecture=ARCHITECTURE, members=3, epochs=2, batch=20, flip=False)
    population = train(run, epochs=2, batch=20, flip=False, resample=resample)
    shown = PICTURES.labels["cat"]
    counts = sample(shown, 3, run.rng()) if resample else torch.ones(3, len(PICTURES))
    inputs, classes = population.preprocessing(PICTURES.at(16)), torch.from_numpy(~shown).long()
    order = list(minibatches(len(PICTURES), 2, len(PICTURES) // 20 + 1, run.generator()))
    for member, network in enumerate(initial(3, seed=5)):
        optimiser = torch.optim.Adam(network.parameters())
        for step, index in enumerate(order):
            optimiser.param_groups[0]["lr"] = options.learning_rate * schedule(step, len(order))
            each = nn.functional.cross_entropy(network(inputs[index]), classes[index], reduction="none")
            optimiser.zero_grad()
            torch.autograd.backward((each * counts[member, index]).mean())
            optimiser.step()
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(population.weights[name][member], parameter.detach(), rtol=1e-3, atol=1e-4)


def test_the_same_seed_trains_the_same_networks_and_another_seed_others() -> None:
    assert same(train(Run(seed=5)), train(Run(seed=5)))
    assert not same(train(Run(seed=5)), train(Run(seed=6)))


def test_the_global_random_state_is_neither_used_nor_changed() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    population = train()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(train(), population)


def test_members_start_as_torch_initialises_them_and_each_elsewhere() -> None:
    population = train(learning_rate=1e-12, epochs=1)
    for member, network in enumerate(initial(3, seed=5)):
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(population.weights[name][member], tensor, rtol=1e-5, atol=1e-7)
    assert not torch.equal(population.weights["conv1.weight"][0], population.weights["conv1.weight"][1])


def test_every_member_has_its_own_sample_with_both_classes_in_it() -> None:
    shown = np.arange(400) < 2
    counts = sample(shown, 200, np.random.default_rng(0)).numpy()
    assert counts.shape == (200, 400)
    assert abs(counts.mean() - 1) < 0.02, "a Poisson draw of mean 1"
    assert abs((counts == 0).mean() - np.exp(-1)) < 0.02, "37 % of the pictures are not in a sample"
    assert (counts[:, :2].sum(1) > 0).all(), "no sample lacks the rare class"
    assert len({row.tobytes() for row in counts}) == 200


def test_every_epoch_shows_every_picture_once_in_another_order() -> None:
    parts = list(minibatches(10, epochs=2, steps=3, generator=torch.Generator().manual_seed(0)))
    assert [len(part) for part in parts] == [4, 3, 3] * 2
    first, second = torch.cat(parts[:3]), torch.cat(parts[3:])
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(10))
    assert not torch.equal(first, second)


def test_about_half_the_pictures_of_a_step_are_mirrored() -> None:
    pixels = torch.arange(4.0).expand(100, 3, 4, 4)
    mirrored = mirror_half(pixels, torch.Generator().manual_seed(0))
    count = int((mirrored[:, 0, 0, 0] == 3).sum())
    assert 30 < count < 70
    assert torch.equal(mirrored[mirrored[:, 0, 0, 0] == 3], pixels[:count].flip(-1))


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    shares = [schedule(step, 100) for step in range(100)]
    assert 0 < shares[0] < 0.1
    assert max(shares) == pytest.approx(1, abs=0.05)
    assert shares[99] < 0.01
    assert schedule(0, 1) > 0.4, "a single step is one"


@pytest.mark.parametrize(("pictures", "epochs"), [(480, 20), (1500, 16), (3000, 8), (50_000, 8)])
def test_small_sets_are_passed_over_more_often(pictures: int, epochs: int) -> None:
    assert Train().passes(pictures) == epochs
    assert Train(epochs=3).passes(pictures) == 3


def test_progress_and_the_loss_of_every_epoch_are_told() -> None:
    seen: list[tuple[str, int, int]] = []
    run = Run(seed=5, report_progress=lambda *told: seen.append(told))
    train(run, epochs=4)
    assert seen[-1] == ("training 3 networks", 12, 12)
    figure = run.figures["training"]
    assert isinstance(figure, Lines)
    assert {name: len(values) for name, values in figure.series.items()} == {"median member": 4, "worst member": 4}
    assert all(worst >= median for median, worst in zip(*figure.series.values(), strict=True))
    assert figure.series["median member"][0] == pytest.approx(np.log(2), abs=0.2), "it starts at a coin toss"


def test_networks_that_have_not_learnt_are_counted_in_a_warning() -> None:
    run = Run(seed=5)
    train(run, learning_rate=1e-9, epochs=1)
    assert len(run.warnings) == 1
    assert "3 of 3 networks trained for 'cat'" in run.warnings[0]


def test_pictures_of_one_kind_only_are_an_error() -> None:
    cats = PICTURES.select(np.flatnonzero(PICTURES.labels["cat"]))
    with pytest.raises(ComposerError, match="only pictures of 'cat'"):
        train(pictures=cats)


class Linear(nn.Module):
    """Features are the pixels, many times too loud where it is asked for."""

    def __init__(self, outputs: int, gain: float, normalised: bool) -> None:
        super().__init__()
        self.gain = gain
        self.hidden = nn.Linear(3 * 8 * 8, 4, bias=not normalised)  # batch norm would take it away again
        self.norm = nn.BatchNorm1d(4) if normalised else nn.Identity()
        self.head = nn.Linear(4, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        hidden: Tensor = self.norm(self.hidden(pixels.flatten(1))).relu() * self.gain
        return hidden

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


class Plain(Architecture):
    """An architecture without a forward pass of its own for stacked weights."""

    name = "plain"
    head = "head"
    size: int = 8
    gain: float = 1
    normalised: bool = False

    def build(self, outputs: int) -> nn.Module:
        return Linear(outputs, self.gain, self.normalised)


def test_any_architecture_is_trained() -> None:
    population = train(architecture=Plain(), epochs=30)
    test = training_images("cat", count=60, seed=9)
    accuracy = ((population.log_odds(test).numpy() > 0) == test.labels["cat"]).mean(1)
    assert np.median(accuracy) > 0.9, f"held-out accuracy of the members: {accuracy}"
    assert set(population.weights) == {"hidden.weight", "hidden.bias", "head.weight", "head.bias"}


@pytest.mark.parametrize("gain", [1e4, 1e30])
def test_a_diverging_loss_stops_with_what_to_change(gain: float) -> None:
    with pytest.raises(
        ComposerError, match=r"loss of [123] of 3 networks .* epoch 1 of 2; set a learning_rate below 0\.5"
    ):
        train(architecture=Plain(gain=gain), learning_rate=0.5)


def test_batch_norm_is_trained_as_each_member_by_itself_would_be() -> None:
    """The plain loop of the textbook, running statistics and all."""
    architecture = Plain(normalised=True)
    run = Run(seed=5)
    population = train(run, architecture=architecture, batch=20, flip=False, resample=False)
    inputs = population.preprocessing(PICTURES.at(8))
    classes = torch.from_numpy(~PICTURES.labels["cat"]).long()
    order = list(minibatches(len(PICTURES), 2, len(PICTURES) // 20 + 1, run.generator()))
    for member, network in enumerate(initial(3, run.seed, architecture)):
        optimiser = torch.optim.Adam(network.train().parameters())
        for step, index in enumerate(order):
            optimiser.param_groups[0]["lr"] = 0.01 * schedule(step, len(order))
            loss = nn.functional.cross_entropy(network(inputs[index]), classes[index])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        expected = network.state_dict()
        assert not torch.equal(expected["norm.running_mean"], torch.zeros(4))
        for name, tensor in population.weights.items():
            torch.testing.assert_close(tensor[member], expected[name], rtol=1e-5, atol=1e-5)
        assert set(expected) - set(population.weights) == {"norm.num_batches_tracked"}


def test_a_population_with_batch_norm_learns_its_concept() -> None:
    population = train(architecture=Plain(normalised=True), epochs=30)
    test = training_images("cat", count=60, seed=9)
    accuracy = ((population.log_odds(test).numpy() > 0) == test.labels["cat"]).mean(1)
    assert np.median(accuracy) > 0.9, f"held-out accuracy of the members: {accuracy}"


def test_a_small_residual_network_is_trained() -> None:
    architecture = CifarResNet(depth=20, filters=2, size=16)
    population = train(architecture=architecture, members=2, epochs=20)
    assert not architecture.misfit(population.weights)
    test = training_images("cat", count=60, seed=9)
    accuracy = ((population.log_odds(test).numpy() > 0) == test.labels["cat"]).mean(1)
    assert accuracy.min() > 0.9, f"held-out accuracy of the members: {accuracy}"


class Shared(Plain):
    """One layer under two names."""

    name = "shared"

    def build(self, outputs: int) -> nn.Module:
        network = Linear(outputs, self.gain, normalised=False)
        network.again = network.hidden
        return network


def test_weights_shared_between_layers_are_refused() -> None:
    with pytest.raises(ComposerError, match=r"'shared' keeps again\.weight, .*use: checkpoints"):
        train(architecture=Shared())


class Forgetful(Plain):
    """Half of what it sees is dropped while it is trained."""

    name = "forgetful"

    def build(self, outputs: int) -> nn.Module:
        network = Linear(outputs, self.gain, normalised=False)
        network.set_submodule("norm", nn.Dropout(0.5))
        return network


def test_dropout_draws_from_the_stage_s_seed_and_leaves_the_global_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, plain = train(architecture=Forgetful()), train(architecture=Plain())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert same(train(architecture=Forgetful()), first)
    assert not same(plain, first), "nothing was dropped"


@pytest.mark.slow
def test_products_of_trained_populations_know_black_cats() -> None:
    from sklearn.metrics import roc_auc_score

    from composer_drawings import Drawings

    concepts = ("black", "cat")
    test = Drawings().load(Split(concepts), Run(seed=99))
    log_odds = []
    for seed, concept in enumerate(concepts):
        pictures = Drawings().load(Split(concepts, concept), Run(seed=seed))
        population = Train(architecture=CNN(), members=4).load(concept, Run(seed=seed, pictures=(pictures,)))
        log_odds.append(population.log_odds(test))
    auc = [roc_auc_score(test.target, member) for member in product_of_experts(torch.stack(log_odds)).numpy()]
    assert np.median(auc) >= 0.97, f"AUC of the members: {np.round(auc, 3)}"
