"""The translator `cyclegan`: its networks, its steps, and who goes through which generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer import ComposerError, KernelSet, Lines, Run, Tiles
from composer_cyclegan import CycleGAN
from composer_cyclegan.networks import Discriminator, Generator, fresh
from composer_cyclegan.training import Training
from composer_cyclegan.translation import Pair, exchange, through_all_generators, translate_with
from tiny import tiny_kernels

BLACK, CAT = tiny_kernels("black", members=3, seed=0), tiny_kernels("cat", members=5, seed=1)
QUICK = CycleGAN(epochs=2, hidden=4, batch=2)


def some_kernels(members: int = 6, seed: int = 0, shift: float = 0.0) -> Tensor:
    """[M, 3, 2, 5, 5], as a network sees them."""
    return torch.randn((members, 3, 2, 5, 5), generator=torch.Generator().manual_seed(seed)) * 0.2 + shift


def plain_generator(channels: int = 3) -> Generator:
    return fresh(Generator, channels, 4, torch.Generator().manual_seed(0))


def test_the_generator_is_the_studys() -> None:
    generator = Generator(6)
    assert {name: tuple(tensor.shape) for name, tensor in generator.state_dict().items()} == {
        "main.0.weight": (64, 6, 3, 3, 3),
        "main.0.bias": (64,),
        "main.2.weight": (6, 64, 3, 3, 3),
        "main.2.bias": (6,),
    }
    assert isinstance(generator.main[1], nn.ReLU)
    assert isinstance(generator.main[3], nn.Tanh)


def test_fresh_networks_spread_as_pytorchs_do_and_leave_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    network = fresh(Generator, 3, 64, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        usual = Generator(3)
    for (name, parameter), other in zip(network.named_parameters(), usual.parameters(), strict=True):
        if name.endswith("weight"):
            assert float(parameter.detach().std()) == pytest.approx(float(other.detach().std()), rel=0.05), name


def test_a_generator_sees_a_kernels_inputs_as_channels_and_its_outputs_as_depth() -> None:
    kernels = exchange(some_kernels())  # [M, O=2, I=3, 5, 5]
    generator = plain_generator(channels=3)
    with torch.no_grad():
        expected = generator(kernels.permute(0, 2, 1, 3, 4)).permute(0, 2, 1, 3, 4)
    translated = translate_with(generator, kernels)
    assert translated.shape == kernels.shape
    torch.testing.assert_close(translated, expected)


def test_members_translated_in_parts_come_out_as_they_do_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, generator = exchange(some_kernels()), plain_generator()
    whole = translate_with(generator, kernels)
    monkeypatch.setattr("composer_cyclegan.translation.AT_ONCE", 4)
    torch.testing.assert_close(translate_with(generator, kernels), whole)


@pytest.mark.parametrize("identity_weight", [0.0, 2.0])
def test_a_step_is_the_usual_pair_of_steps_that_judges_everything_twice(identity_weight: float) -> None:
    """The textbook loop: generators first, then discriminators on detached translations made before."""
    options = CycleGAN(hidden=4, batch=6, identity_weight=identity_weight, learning_rate=0.01)
    a, b = some_kernels(), some_kernels(seed=1, shift=0.1)
    ours, plain = Training(a, b, options, 7, "cpu"), Training(a, b, options, 7, "cpu")
    to_a, to_b, judge_a, judge_b = plain.to_a, plain.to_b, plain.judge_a, plain.judge_b

    fake_a, fake_b = to_a(b), to_b(a)
    score_a, score_b = judge_a(fake_a), judge_b(fake_b)
    loss = F.mse_loss(score_a, torch.ones_like(score_a)) + F.mse_loss(score_b, torch.ones_like(score_b))
    loss = loss + 10 * (F.l1_loss(to_a(fake_b), a) + F.l1_loss(to_b(fake_a), b))
    loss = loss + identity_weight * (F.l1_loss(to_a(a), a) + F.l1_loss(to_b(b), b))
    plain.generators.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
    plain.generators.step()
    plain.discriminators.zero_grad()
    for judge, real, fake in ((judge_a, a, fake_a), (judge_b, b, fake_b)):
        real_score, fake_score = judge(real), judge(fake.detach())
        half = F.mse_loss(real_score, torch.ones_like(real_score)) + fake_score.square().mean()
        (half / 2).backward()
    plain.discriminators.step()

    ours.epoch()
    for network in ("to_a", "to_b", "judge_a", "judge_b"):
        for mine, other in zip(getattr(ours, network).parameters(), getattr(plain, network).parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


def test_training_moves_kernels_to_the_other_domain_and_learns_the_way_back() -> None:
    a, b = some_kernels(seed=1, shift=0.4), some_kernels(shift=-0.4)
    training = Training(a, b, CycleGAN(hidden=16, learning_rate=0.005), 0, "cpu")
    losses = [training.epoch() for _ in range(25)]
    assert float(translate_with(training.to_a, exchange(b)).mean()) > 0.2
    assert float(translate_with(training.to_b, exchange(a)).mean()) < -0.2
    assert losses[-1]["cycle"] < losses[0]["cycle"] / 2


def test_adam_has_the_studys_betas_and_the_step_size_asked_for() -> None:
    training = Training(some_kernels(), some_kernels(seed=1), CycleGAN(hidden=4, learning_rate=0.003), 0, "cpu")
    for optimizer in (training.generators, training.discriminators):
        assert optimizer.defaults["betas"] == (0.5, 0.999)
        assert optimizer.defaults["lr"] == 0.003


def test_an_epoch_is_one_pass_over_the_larger_domain_in_even_batches() -> None:
    training = Training(some_kernels(members=3), some_kernels(members=11), CycleGAN(hidden=4, batch=4), 0, "cpu")
    batches = list(training._batches())
    assert [len(of_b) for _, of_b in batches] == [4, 4, 3]
    assert all(len(of_a) == len(of_b) for of_a, of_b in batches)
    seen_a, seen_b = (torch.cat(list(indices)).tolist() for indices in zip(*batches, strict=True))
    assert sorted(seen_b) == list(range(11))
    assert sorted(seen_a) == sorted([*range(3)] * 3 + seen_a[9:]), "the smaller domain comes round evenly"


def test_the_objects_members_come_first_as_a_then_the_attributes_as_b() -> None:
    result = QUICK.translate([BLACK, CAT], Run())
    assert result.members[:2] == ("cat 0 A", "cat 1 A")
    assert result.members[5:] == ("black 0 B", "black 1 B", "black 2 B")
    assert {layer: tuple(k.shape) for layer, k in result.layers.items()} == {
        "conv1": (8, 2, 3, 5, 5),
        "conv2": (8, 3, 2, 5, 5),
    }
    assert result.concept == "black+cat"
    assert all(k.isfinite().all() and k.dtype == torch.float32 for k in result.layers.values())


def test_the_first_members_are_the_objects_kernels_and_depend_on_them_alone_given_the_generators() -> None:
    """A member's translation is a function of its own kernels: equal members come out equal, others do not."""
    layers = {layer: kernels[[0, 0, 1, 2, 3]] for layer, kernels in CAT.layers.items()}
    result = QUICK.translate([BLACK, replace(CAT, layers=layers)], Run()).layers["conv1"]
    assert torch.equal(result[0], result[1])
    assert not torch.equal(result[1], result[2])


def test_of_three_concepts_the_object_passes_through_the_generators_of_every_attribute() -> None:
    small = tiny_kernels("small", members=2, seed=2)
    run = Run()
    result = QUICK.translate([small, BLACK, CAT], run)
    assert result.members == (
        *(f"cat {member} A" for member in range(5)),
        *(f"small {member} B small" for member in range(2)),
        *(f"black {member} B black" for member in range(3)),
    )
    assert set(run.figures) == {
        f"{what} {layer} {concept}"
        for what in ("losses", "kernels")
        for layer in ("conv1", "conv2")
        for concept in ("small", "black")
    }
    alone = QUICK.translate([small, CAT], Run()).layers["conv1"][:5]
    assert not torch.allclose(result.layers["conv1"][:5], alone)


def test_the_chain_of_generators_starts_from_the_objects_kernels_and_ends_with_the_last_attribute() -> None:
    attributes = [tiny_kernels("small", members=2, seed=2), BLACK]
    pairs = [
        Pair(attribute, CAT, "conv1", Training(_conv1(attribute), _conv1(CAT), QUICK, seed, "cpu"), "conv1")
        for seed, attribute in enumerate(attributes)
    ]
    first, second = (pair.training for pair in pairs)
    expected = [
        translate_with(second.to_a, translate_with(first.to_a, CAT.layers["conv1"])),
        translate_with(first.to_b, attributes[0].layers["conv1"]),
        translate_with(second.to_b, BLACK.layers["conv1"]),
    ]
    assert torch.equal(through_all_generators(pairs), torch.cat(expected))


def _conv1(kernels: KernelSet) -> Tensor:
    return exchange(kernels.layers["conv1"])


def test_losses_and_kernels_before_and_after_are_kept_as_figures() -> None:
    run = Run()
    QUICK.translate([BLACK, CAT], run)
    losses, kernels = run.figures["losses conv2"], run.figures["kernels conv2"]
    assert isinstance(losses, Lines)
    assert losses.logarithmic
    assert set(losses.series) == {"generators, adversarial", "discriminators", "cycle"}
    assert all(len(values) == 2 for values in losses.series.values())
    assert isinstance(kernels, Tiles)
    assert kernels.rows[:2] == ["cat 0", "-> black"]
    assert kernels.rows[-2:] == ["black 2", "-> cat"]
    assert kernels.values[0][1] == CAT.layers["conv2"][0, 1, 0].tolist()


def test_kernels_on_three_inputs_are_drawn_in_colour() -> None:
    run = Run()
    QUICK.translate([BLACK, CAT], run)
    first = run.figures["kernels conv1"]
    assert isinstance(first, Tiles)
    assert torch.equal(torch.tensor(first.values[0][1]), CAT.layers["conv1"][0, 1].permute(1, 2, 0))


def test_the_identity_loss_is_shown_where_it_is_used() -> None:
    run = Run()
    CycleGAN(epochs=1, hidden=4, identity_weight=5).translate([BLACK, CAT], run)
    figure = run.figures["losses conv1"]
    assert isinstance(figure, Lines)
    assert "identity" in figure.series


def test_progress_covers_the_epochs_of_all_layers() -> None:
    told: list[tuple[int, int]] = []
    QUICK.translate([BLACK, CAT], Run(report_progress=lambda what, done, total: told.append((done, total))))
    assert told == [(done, 4) for done in range(5)]


def enlarged(kernels: KernelSet, factor: float) -> KernelSet:
    return replace(kernels, layers={layer: k * factor for layer, k in kernels.layers.items()})


def test_weights_that_tanh_cannot_reach_are_counted_in_a_warning() -> None:
    run = Run()
    large = replace(CAT, layers={**CAT.layers, "conv2": torch.full_like(CAT.layers["conv2"], 3.0)})
    QUICK.translate([BLACK, large], run)
    (warning,) = run.warnings
    assert "62 % in layer 'conv2'" in warning, "5 of 8 members"
    assert "conv1" not in warning


def test_unit_scale_reaches_weights_beyond_one_and_does_not_warn() -> None:
    run = Run()
    options = CycleGAN(epochs=20, hidden=16, learning_rate=0.01, scale="unit")
    result = options.translate([enlarged(BLACK, 10), enlarged(CAT, 10)], run)
    assert not run.warnings
    assert float(result.layers["conv1"].abs().max()) > 1


def test_unit_scale_makes_the_result_proportional_to_the_kernels() -> None:
    options = CycleGAN(epochs=1, hidden=4, scale="unit")
    small = options.translate([BLACK, CAT], Run()).layers["conv1"]
    large = options.translate([enlarged(BLACK, 8), enlarged(CAT, 8)], Run()).layers["conv1"]
    torch.testing.assert_close(large, small * 8)


def test_a_diverging_training_stops_and_names_layer_epoch_and_what_to_lower() -> None:
    with pytest.raises(ComposerError, match=r"diverged in layer 'conv1', epoch \d+ of 50: .*lower learning_rate \(1;"):
        CycleGAN(epochs=50, learning_rate=1.0).translate([BLACK, CAT], Run())


def test_kernels_that_are_not_finite_are_refused_with_the_members_name() -> None:
    broken = CAT.layers["conv2"].clone()
    broken[3, 0, 0, 0, 0] = float("nan")
    with pytest.raises(ComposerError, match=r"1 of 5 members of 'cat' .*'conv2', 'cat 3' first"):
        QUICK.translate([BLACK, replace(CAT, layers={**CAT.layers, "conv2": broken})], Run())


def test_parents_with_other_layers_or_shapes_are_refused() -> None:
    other = replace(CAT, layers={"conv1": CAT.layers["conv1"][..., :3, :3]})
    with pytest.raises(ComposerError, match="'black' and 'cat' must have the same layers and shapes"):
        QUICK.translate([BLACK, other], Run())


def test_a_linear_layers_kernels_are_translated_and_shown_as_a_matrix() -> None:
    matrices = torch.randn((3, 4, 6, 1, 1), generator=torch.Generator().manual_seed(0)) * 0.2
    black, cat = (KernelSet(name, {"fc": matrices}, ("0", "1", "2")) for name in ("black", "cat"))
    run = Run()
    assert QUICK.translate([black, cat], run).layers["fc"].shape == (6, 4, 6, 1, 1)
    tiles = run.figures["kernels fc"]
    assert isinstance(tiles, Tiles)
    assert tiles.rows[0] == "cat 0"
    assert torch.tensor(tiles.values[0]).shape == (1, 4, 6)


def test_the_same_seed_gives_the_same_kernels_another_does_not_and_inputs_stay() -> None:
    before = [k.clone() for parent in (BLACK, CAT) for k in parent.layers.values()]
    state = torch.random.get_rng_state()
    first, second, other = (QUICK.translate([BLACK, CAT], Run(seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first.layers[layer], second.layers[layer]) for layer in first.layers)
    assert not torch.equal(first.layers["conv1"], other.layers["conv1"])
    assert torch.equal(state, torch.random.get_rng_state())
    after = [k for parent in (BLACK, CAT) for k in parent.layers.values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(("layer", "prefix", "channels"), [("conv1", "", 3), ("conv2", "2_", 6)])
def test_the_studys_published_generators_translate_a_published_networks_kernels_there_and_back(
    shared: Path, layer: str, prefix: str, channels: int
) -> None:
    folder = shared / "mlusingml"
    if not folder.is_dir():
        pytest.skip(f"no published networks: {folder} is absent")

    def published(name: str) -> dict[str, Tensor]:
        state: dict[str, Tensor] = torch.load(folder / name, map_location="cpu", weights_only=True)
        return state

    to_cat, to_black = Generator(channels), Generator(channels)
    to_cat.load_state_dict(published(f"{prefix}generator_A2B.pth"), strict=True)
    to_black.load_state_dict(published(f"{prefix}generator_B2A.pth"), strict=True)
    kernels = published("black_models/black_model_0229.pth")[f"{layer}.weight"][None]
    translated = translate_with(to_cat, kernels)
    assert translated.shape == kernels.shape
    assert translated.isfinite().all()
    returned = translate_with(to_black, translated)
    correlation = torch.corrcoef(torch.stack([kernels.flatten(), returned.flatten()]))[0, 1]
    assert correlation > 0.9, "with the axes in another order they would not come back"


def test_a_discriminator_scores_every_place() -> None:
    judge = fresh(Discriminator, 3, 4, torch.Generator().manual_seed(0))
    assert judge(some_kernels(members=2)).shape == (2, 1, 2, 5, 5)
