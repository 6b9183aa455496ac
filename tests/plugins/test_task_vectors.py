"""The assemblers `task_arithmetic`, `ties` and `dare`: networks fine-tuned from one base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from composer import Architecture, Assembler, ComposerError, Population, Run
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_merging import Dare, TaskArithmetic, Ties
from tiny import tiny_images, tiny_population, training_images

IMAGES = tiny_images()
PICTURES = (training_images("black"), training_images("cat", seed=2))
PLAIN = CNN(filters=(4, 5), size=16)
RESIDUAL = CifarResNet(depth=20, filters=4, size=16)
METHODS = (TaskArithmetic, Ties, Dare)
ALL = {"head": "merge", "recalibrate": False}


def base_of(architecture: Architecture) -> Population:
    """A network with running statistics of its own."""
    return tuned(tiny_population("black", 1, 7, architecture), 8)


def tuned(base: Population, seed: int, concept: str = "black", members: int = 1) -> Population:
    """Networks near the base; counts of steps are other ones."""
    generator = torch.Generator().manual_seed(seed)

    def near(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.expand(members, *tensor.shape[1:]) + seed
        noise = torch.rand(members, *tensor.shape[1:], generator=generator)
        return tensor * (0.6 + 0.8 * noise) + (tensor.ndim == 2) * 0.1 * (noise - 0.5)

    weights = {name: near(tensor) for name, tensor in base.weights.items()}
    names = tuple(f"{concept} {seed}.{member}" for member in range(members))
    return replace(base, concept=concept, weights=weights, members=names, _memo={})


def kept(base: Population, folder: Path) -> Path:
    """The base in a file."""
    torch.save({name: tensor[0] for name, tensor in base.weights.items()}, folder / "base.pth")
    return folder / "base.pth"


def merged(method: Assembler, *parents: Population, run: Run | None = None) -> Population:
    (part,) = method.assemble(None, parents, run or Run(pictures=PICTURES)).parts
    return part


def changes(parent: Population, base: Population) -> dict[str, Tensor]:
    """Of the first member, without counts and running statistics."""
    return {
        name: (tensor - base.weights[name])[0]
        for name, tensor in parent.weights.items()
        if tensor.is_floating_point() and "running" not in name
    }


def floats(population: Population) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in population.weights.items() if tensor.is_floating_point()}


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL], ids=["cnn", "cifar_resnet"])
@pytest.mark.parametrize("method", METHODS)
def test_scale_0_gives_the_base(method: type[Any], architecture: Architecture, tmp_path: Path) -> None:
    base = base_of(architecture)
    found = merged(method(base=kept(base, tmp_path), scale=0, **ALL), tuned(base, 1), tuned(base, 2))
    torch.testing.assert_close(floats(found), floats(base), rtol=0, atol=0)


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL], ids=["cnn", "cifar_resnet"])
@pytest.mark.parametrize(("method", "more"), [(TaskArithmetic, {}), (Ties, {"keep": 1}), (Dare, {"keep": 1})])
def test_one_parent_with_scale_1_gives_the_parent(
    method: type[Any], more: dict[str, Any], architecture: Architecture, tmp_path: Path
) -> None:
    base = base_of(architecture)
    parent = tuned(base, 1, members=2)
    found = merged(method(base=kept(base, tmp_path), scale=1, **more, **ALL), parent)
    torch.testing.assert_close(dict(found.weights), dict(parent.weights), rtol=0, atol=1e-6)
    assert found.members == parent.members


def test_task_arithmetic_is_the_base_plus_the_weighted_sum(tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    parents = [tuned(base, seed) for seed in (1, 2, 3)]
    method = TaskArithmetic(base=kept(base, tmp_path), scale=0.3, weights=(1, 2, -0.5), **ALL)
    found = merged(method, *parents)
    first, second, third = (changes(parent, base) for parent in parents)
    for name, change in first.items():
        wanted = base.weights[name][0] + 0.3 * (change + 2 * second[name] - 0.5 * third[name])
        torch.testing.assert_close(found.weights[name][0], wanted, msg=name)


def ties_of_the_paper(vectors: Tensor, keep: float) -> Tensor:
    """Algorithm 1 of Yadav et al.: task vectors [T, D] -> their merged vector [D], number by number."""
    tasks, size = vectors.shape
    left = torch.zeros_like(vectors)
    for task in range(tasks):  # trim
        for index in sorted(range(size), key=lambda i: -abs(float(vectors[task, i])))[: round(keep * size)]:
            left[task, index] = vectors[task, index]
    found = torch.zeros(size)
    for index in range(size):
        elected = torch.sign(left[:, index].sum())
        agreeing = [float(value) for value in left[:, index] if torch.sign(value) == elected and value != 0]
        found[index] = sum(agreeing) / len(agreeing) if agreeing else 0.0
    return found


@pytest.mark.parametrize("trim", ["network", "tensor"])
def test_ties_is_what_the_papers_algorithm_gives(trim: str, tmp_path: Path) -> None:
    base = base_of(PLAIN)
    parents = [tuned(base, seed) for seed in (1, 2, 3)]
    found = merged(Ties(base=kept(base, tmp_path), keep=0.3, scale=0.7, trim=trim, **ALL), *parents)
    each = [changes(parent, base) for parent in parents]
    names = list(each[0])
    for group in [names] if trim == "network" else [[name] for name in names]:
        vectors = torch.stack([torch.cat([change[name].flatten() for name in group]) for change in each])
        wanted = torch.cat([base.weights[name].flatten() for name in group]) + 0.7 * ties_of_the_paper(vectors, 0.3)
        torch.testing.assert_close(torch.cat([found.weights[name].flatten() for name in group]), wanted)


def test_the_weights_of_ties_count_in_the_vote_and_in_the_mean(tmp_path: Path) -> None:
    base = base_of(PLAIN)
    parents = [tuned(base, seed) for seed in (1, 2)]
    found = merged(Ties(base=kept(base, tmp_path), keep=1, weights=(1, 3), **ALL), *parents)
    first, second = (change["conv2.weight"] for change in (changes(parent, base) for parent in parents))
    mean = torch.where(first.sign() == second.sign(), (first + 3 * second) / 4, 0.0)
    alone = torch.where(first.abs() > 3 * second.abs(), first, second)
    wanted = base.weights["conv2.weight"][0] + torch.where(first.sign() == second.sign(), mean, alone)
    torch.testing.assert_close(found.weights["conv2.weight"][0], wanted)


def test_dare_keeps_a_share_and_is_right_on_average(tmp_path: Path) -> None:
    """The mean over many draws is the sum of the changes, within five standard errors of each number."""
    base, draws = base_of(PLAIN), 400
    parent = tuned(base, 1)
    change = changes(parent, base)["conv2.weight"]
    many = {name: tensor.expand(draws, *tensor.shape[1:]) for name, tensor in parent.weights.items()}
    members = replace(parent, weights=many, members=tuple(map(str, range(draws))))
    found = merged(Dare(base=kept(base, tmp_path), scale=1, keep=0.25, **ALL), members)
    moved = found.weights["conv2.weight"] - base.weights["conv2.weight"]
    kept_share = (moved.abs() > change.abs() / 2).double().mean()
    assert abs(float(kept_share) - 0.25) < 0.01
    torch.testing.assert_close(moved.abs().amax(0), 4 * change.abs(), rtol=1e-4, atol=1e-5)
    error = (moved.mean(0) - change).abs() / (change.abs() * (0.75 / 0.25 / draws) ** 0.5)
    assert float(error.max()) < 5


def test_dare_draws_by_the_seed_alone(tmp_path: Path) -> None:
    base = base_of(PLAIN)
    parents = [tuned(base, seed, members=2) for seed in (1, 2)]
    method = Dare(base=kept(base, tmp_path), **ALL)
    first, again, other = (merged(method, *parents, run=Run(seed=seed)).weights for seed in (1, 1, 2))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    dropped = first["conv2.weight"] == base.weights["conv2.weight"]
    assert not torch.equal(dropped[0], dropped[1]), "each member and parent has its own draw"


@pytest.mark.parametrize("method", METHODS)
def test_counts_are_the_first_parents_and_variances_stay_positive(method: type[Any], tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    parents = [tuned(base, seed) for seed in (1, 2, 3)]
    for parent in parents:  # far below the base, so that the sum of the changes is below zero
        parent.weights["bn1.running_var"].copy_(0.1 * base.weights["bn1.running_var"])
    found = merged(method(base=kept(base, tmp_path), scale=1, **ALL), *parents)
    assert torch.equal(found.weights["bn1.num_batches_tracked"], parents[0].weights["bn1.num_batches_tracked"])
    torch.testing.assert_close(found.weights["bn1.running_var"], parents[0].weights["bn1.running_var"])


@pytest.mark.parametrize("method", METHODS)
def test_running_statistics_are_estimated_anew_where_there_are_pictures(method: type[Any], tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    parents = [tuned(base, seed) for seed in (1, 2)]
    options = {"base": kept(base, tmp_path), "head": "merge"}
    anew = merged(method(**options), *parents)
    left = merged(method(recalibrate=False, **options), *parents)
    assert torch.equal(anew.weights["conv1.weight"], left.weights["conv1.weight"])
    assert not torch.equal(anew.weights["bn1.running_mean"], left.weights["bn1.running_mean"])
    merged(method(**options), *parents, run=(run := Run()))
    assert "there are no pictures" in run.warnings[0]


def test_parents_of_two_concepts_get_a_head_that_knows_the_cells(tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    found = merged(TaskArithmetic(base=kept(base, tmp_path)), tuned(base, 1), tuned(base, 2, "cat"))
    assert found.cells == ("black", "cat")
    assert found.log_odds(IMAGES).shape == (1, len(IMAGES))


def test_a_base_with_other_outputs_gives_its_body_alone(tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    file = kept(base, tmp_path)
    state = torch.load(file, weights_only=True)
    torch.save({**state, "linear.weight": torch.zeros(9, 16), "linear.bias": torch.zeros(9)}, file)
    parents = [tuned(base, 1), tuned(base, 2)]
    found = merged(TaskArithmetic(base=file), *parents)
    assert found.cells == ("black",), "a head fitted to what the parents say"
    with pytest.raises(ComposerError, match=r"the base has 9 outputs, and the parents 2, and a merged head would mean"):
        merged(TaskArithmetic(base=file, **ALL), *parents)
    with pytest.raises(ComposerError, match=r"so that a head is fitted on the parents' pictures, and there are none"):
        merged(TaskArithmetic(base=file), *parents, run=Run())


@pytest.mark.parametrize("method", METHODS)
def test_a_base_that_is_none_is_refused_with_the_reason(method: type[Any], tmp_path: Path) -> None:
    base = base_of(PLAIN)
    parents = [tuned(base, 1), tuned(base, 2)]
    with pytest.raises(ComposerError, match=r"base: say the file .* fine-tuned from: .* merged by 'aligned_mean'"):
        merged(method(), *parents)
    with pytest.raises(ComposerError, match=r"base: there is no file .*nothing.pth"):
        merged(method(base=tmp_path / "nothing.pth"), *parents)
    other = kept(base_of(CNN(filters=(4, 6), size=16)), tmp_path)
    with pytest.raises(ComposerError, match=r"base.pth: is no checkpoint of architecture 'cnn' .*conv2"):
        merged(method(base=other), *parents)


def test_a_deeper_network_is_no_base(tmp_path: Path) -> None:
    """Though it holds all tensors of the parents' body."""
    base = base_of(RESIDUAL)
    file = kept(base_of(CifarResNet(depth=32, filters=4, size=16)), tmp_path)
    with pytest.raises(ComposerError, match=r"base.pth: .*layer1.3.conv1.weight"):
        merged(TaskArithmetic(base=file), tuned(base, 1), tuned(base, 2, "cat"))


def test_a_base_without_a_head_is_one_for_the_body(tmp_path: Path) -> None:
    base = base_of(RESIDUAL)
    file = kept(base, tmp_path)
    state = torch.load(file, weights_only=True)
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("linear.")}, file)
    found = merged(TaskArithmetic(base=file, scale=0, recalibrate=False), tuned(base, 1), tuned(base, 2))
    assert found.cells == ("black",)
    torch.testing.assert_close(found.weights["conv1.weight"], base.weights["conv1.weight"], rtol=0, atol=0)
    with pytest.raises(ComposerError, match=r"the base has no head, and a merged head would mean nothing"):
        merged(TaskArithmetic(base=file, **ALL), tuned(base, 1))


def test_a_number_of_weights_that_is_not_that_of_parents_is_refused(tmp_path: Path) -> None:
    base = base_of(PLAIN)
    with pytest.raises(ComposerError, match=r"weights: there are 3 of them for 2 parents"):
        merged(TaskArithmetic(base=kept(base, tmp_path), weights=(1, 1, 1), **ALL), tuned(base, 1), tuned(base, 2))


def test_a_parent_that_comes_from_elsewhere_is_warned_of(tmp_path: Path) -> None:
    base = base_of(PLAIN)
    stranger = tiny_population("black", 1, 99, PLAIN)
    merged(TaskArithmetic(base=kept(base, tmp_path), **ALL), tuned(base, 1), stranger, run=(run := Run()))
    assert len(run.warnings) == 1
    assert "'black 0' hardly resembles the base" in run.warnings[0]


def test_pictures_are_asked_for_only_where_they_are_used() -> None:
    assert Ties().terms.pictures == "unlabelled"
    assert Ties(head="merge", recalibrate=False).terms.pictures == "none"
