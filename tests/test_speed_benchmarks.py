"""The benchmarks of speed: what they count, and what they make of it."""

from __future__ import annotations

import convolutions
import cyclegan_step
import executors
import population_steps
import pytest
import torch
import workers

from composer_cnn import CNN


def test_a_plan_s_overhead_is_what_it_takes_beyond_the_fewest_seconds() -> None:
    taken = executors.measured("here", 3, 0.2, workers=2)
    assert taken.fewest == pytest.approx(0.6), "this process works one step after the other"
    assert 0.6 <= taken.working < 1.2
    assert taken.overhead == pytest.approx(taken.working / 0.6 - 1)
    assert executors.row("ray", 2, executors.Taken(30, 9.04, 33)) == "| `ray` | 2 | 9.0 | 33.0 | 30.0 | 10.0% |"


def test_the_floor_counts_the_passes_that_training_makes() -> None:
    first, second, head = 6 * 3 * 25 * 28 * 28, 16 * 6 * 25 * 10 * 10, 400 * 2
    # No gradient goes to the pixels, so the first convolution is passed through twice, the others three times.
    assert population_steps.operations(CNN()) == 2 * (2 * first + 3 * second + 3 * head)


def test_a_row_tells_a_step_in_terms_of_its_floor() -> None:
    floor = population_steps.operations(CNN()) / (2 * population_steps.SIDE**3)  # at one product a second
    taken = {"stacked": 128 * floor * 3, "loop": 128 * floor * 6, "vmap": float("nan"), "product": 1.0}
    cells = [cell.strip() for cell in population_steps.row("cnn", 2, taken, 64).split("|")[1:-1]]
    assert cells[:2] == ["cnn", "2"]
    assert cells[4:] == ["3.00", "2.00", "refused"]


def test_the_study_s_loop_and_ours_train_the_same_kernels() -> None:
    real = [torch.randn(4, *cyclegan_step.LAYERS["conv1"], generator=torch.Generator().manual_seed(1)) for _ in "ab"]
    taken = cyclegan_step.seconds({"ours": cyclegan_step.ours(*real), "study's": cyclegan_step.studys(*real)}, 1)
    assert all(0 < each < 5 for each in taken.values())


def test_all_ways_of_a_convolution_give_the_same() -> None:
    layer = convolutions.Layer(members=3, inputs=2, outputs=4, side=6, kernel=3)
    pixels = torch.randn(convolutions.PICTURES, 6, 6, 6)
    weights = torch.randn(12, 2, 3, 3)
    found = [way(layer, pixels, weights) for way, _ in convolutions.WAYS.values()]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])
    assert layer.operations == 3 * 2 * convolutions.PICTURES * found[0][0].numel() * 2 * 9


def test_stages_are_laid_on_workers_as_soon_as_what_they_need_is_there() -> None:
    first, other = (executors.step("sleep", number, ()) for number in (0, 1))
    last = executors.step("sleep", 2, (first,))
    steps = [first, other, last]
    seconds = {first.key: 2.0, other.key: 3.0, last.key: 4.0}
    assert [workers.elapsed(steps, seconds, count) for count in (1, 2, 3)] == [9.0, 6.0, 6.0]
    assert workers.serial(steps, seconds) == 6.0
