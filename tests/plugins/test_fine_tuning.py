"""`train` with a start: whose body, free or frozen; schedules, stopping early, precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn

from composer import Architecture, ComposerError, Images, Population, Run
from composer.errors import RecipeError
from composer.recipes.recipe_reader import read_recipe
from composer_checkpoints import Checkpoints
from composer_cifar_resnet import CifarResNet
from composer_merging import TaskArithmetic
from composer_torchvision import PretrainedTorchvision
from composer_training import Train, starting
from composer_training.course import Best
from composer_training.training import minibatches, parted, rate_of, sample, schedule
from tiny import ARCHITECTURE, tiny_population, training_images

PICTURES = training_images("cat", count=80)
COUNT = len(PICTURES)
HEAD = f"{ARCHITECTURE.head}."


def train(run: Run | None = None, pictures: Images = PICTURES, **options: Any) -> Population:
    run = run or Run(seed=5)
    run.pictures = (pictures,)
    usual = {} if "start" in options else {"architecture": ARCHITECTURE, "members": 3}
    return Train.model_validate({"epochs": 2, "batch": 16, **usual, **options}).load("cat", run)


def saved(folder: Path, members: int = 1, architecture: Architecture = ARCHITECTURE) -> Checkpoints:
    """Files of networks that differ, as a model source."""
    population = tiny_population(members=members, seed=8, architecture=architecture)
    for member in range(members):
        torch.save(
            {name: tensor[member].clone() for name, tensor in population.weights.items()}, folder / f"{member}.pth"
        )
    return Checkpoints(pattern=folder / "*.pth", architecture=architecture)


def of_start(start: Checkpoints) -> Population:
    return start.load_body("cat", Run())


def test_fine_tuning_begins_with_the_start_s_body_and_a_fresh_head_for_each(tmp_path: Path) -> None:
    start = saved(tmp_path, members=2)
    population = train(start=start, members=3, learning_rate=1e-12, epochs=1)
    for name, tensor in of_start(start).body_weights.items():
        torch.testing.assert_close(population.weights[name], tensor[[0, 1, 0]], rtol=1e-5, atol=1e-7)
    heads = population.weights["fc1.weight"]
    assert heads.shape[1] == 2
    assert len({head.numpy().tobytes() for head in heads}) == 3
    assert not torch.allclose(heads[0], torch.load(tmp_path / "0.pth", weights_only=True)["fc1.weight"])


def test_what_is_left_out_is_as_usual_for_fine_tuning(tmp_path: Path) -> None:
    start = saved(tmp_path)
    free, frozen = Train(start=start), Train(start=start, body="frozen")
    assert (free.members, free.learning_rate) == (1, 0.0003)
    assert (frozen.members, frozen.learning_rate) == (1, 0.01)
    assert (Train().members, Train().learning_rate) == (32, 0.01)
    assert Train(start=start, members=4, learning_rate=0.1).learning_rate == 0.1
    assert free.network == ARCHITECTURE
    assert list(free.files()) == [tmp_path / "0.pth"]


@pytest.mark.parametrize("flip", [False, True])
def test_a_frozen_body_is_the_start_s_and_heads_are_trained_as_each_by_itself(tmp_path: Path, flip: bool) -> None:
    start = saved(tmp_path, members=2)
    run = Run(seed=5)
    population = train(run, start=start, body="frozen", members=3, flip=flip)
    body = of_start(start)
    for name, tensor in body.body_weights.items():
        assert torch.equal(population.weights[name], tensor[[0, 1, 0]])
    pixels = body.preprocessing(PICTURES.at(16))
    plain, mirrored = (ARCHITECTURE.stacked_features(body.weights, shown) for shown in (pixels, pixels.flip(-1)))
    classes = torch.from_numpy(~PICTURES.labels["cat"]).long()
    counts = sample(PICTURES.labels["cat"], 3, run.rng())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        heads = [nn.Linear(plain.shape[-1], 2) for _ in range(3)]
    for member, head in enumerate(heads):
        generator = run.generator()
        optimiser = torch.optim.Adam(head.parameters())
        for step, index in enumerate(minibatches(COUNT, 2, 4, generator)):
            coins = torch.rand(len(index), generator=generator) < 0.5 if flip else torch.zeros(len(index)).bool()
            features = torch.where(coins[:, None], mirrored[member % 2, index], plain[member % 2, index])
            optimiser.param_groups[0]["lr"] = 0.01 * schedule(step, 8)
            each = nn.functional.cross_entropy(head(features), classes[index], reduction="none")
            optimiser.zero_grad()
            torch.autograd.backward((each * counts[member, index]).mean())
            optimiser.step()
        torch.testing.assert_close(population.weights["fc1.weight"][member], head.weight.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(population.weights["fc1.bias"][member], head.bias.detach(), rtol=1e-4, atol=1e-5)


def test_running_statistics_move_with_a_free_body_and_stay_with_a_frozen_one(tmp_path: Path) -> None:
    start = saved(tmp_path, architecture=CifarResNet(filters=2, size=16))
    before = of_start(start).weights["bn1.running_mean"]
    assert torch.equal(train(start=start, body="frozen", epochs=1).weights["bn1.running_mean"], before)
    assert not torch.allclose(train(start=start, epochs=1).weights["bn1.running_mean"], before)


def test_a_network_of_torchvision_is_fine_tuned_with_its_own_preprocessing() -> None:
    start = PretrainedTorchvision(model="mobilenet_v3_small", weights=None, size=32)
    population = train(start=start, body="frozen", epochs=1)
    assert population.architecture == start.network
    assert population.preprocessing.mean == (0.485, 0.456, 0.406)


def test_parents_from_one_file_merge_by_task_arithmetic(tmp_path: Path) -> None:
    start = saved(tmp_path)
    parents = [train(Run(seed=seed), start=start) for seed in (1, 2)]
    run = Run()
    merged = TaskArithmetic(base=tmp_path / "0.pth", scale=1.0, head="fit", recalibrate=False)
    run.pictures = (PICTURES, PICTURES)
    (made,) = merged.assemble(None, parents, run).parts
    base = of_start(start).weights["conv1.weight"]
    changes = sum(parent.weights["conv1.weight"] - base for parent in parents)
    torch.testing.assert_close(made.weights["conv1.weight"], base + changes, rtol=1e-4, atol=1e-6)
    assert not [warning for warning in run.warnings if "resembles" in warning]


# -- schedules, precision --------------------------------------------------------------------------


def test_the_schedules_are_those_of_torch() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    usual = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=12)
    cosine = rate_of(Train(schedule="cosine"), 12)
    for step in range(12):
        assert cosine(step) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-6)
        optimiser.step()
        usual.step()
    assert [rate_of(Train(schedule="constant"), 12)(step) for step in range(12)] == [1.0] * 12
    assert rate_of(Train(), 12)(5) == schedule(5, 12)


def test_half_the_bits_train_nearly_the_same_weights_and_keep_them_whole() -> None:
    whole, half = train(), train(precision="bfloat16")
    for name, tensor in half.weights.items():
        assert tensor.dtype == torch.float32
        assert not torch.equal(tensor, whole.weights[name])
        torch.testing.assert_close(tensor, whole.weights[name], rtol=0, atol=0.05)


def test_a_frozen_body_looks_once_with_half_the_bits(tmp_path: Path) -> None:
    start = saved(tmp_path)
    whole, half = (train(start=start, body="frozen", precision=bits) for bits in ("float32", "bfloat16"))
    head = "fc1.weight"
    assert not torch.equal(half.weights[head], whole.weights[head])
    torch.testing.assert_close(half.weights[head], whole.weights[head], rtol=0, atol=0.05)


# -- stopping early --------------------------------------------------------------------------------


def test_each_member_keeps_its_best_epoch_and_stops_by_itself() -> None:
    losses = torch.tensor([[3.0, 3.0, 1.0], [2.0, 4.0, 2.0], [2.5, 5.0, 3.0], [1.0, 1.0, 0.5]]).unbind()
    best = Best.of(3, patience=2)
    ended = [best.look(epoch, loss, {"w": torch.full((3, 2), float(epoch))}) for epoch, loss in enumerate(losses)]
    # The second and the third have waited two epochs when the fourth comes: what is better there is no longer theirs.
    assert best.epoch.tolist() == [3, 0, 0]
    assert best.weights["w"][:, 0].tolist() == [3.0, 0.0, 0.0]
    assert best.loss.tolist() == [1.0, 3.0, 1.0]
    assert ended == [False, False, False, False]
    assert [best.look(epoch, torch.ones(3), {"w": torch.zeros(3, 2)}) for epoch in (4, 5)] == [False, True]


def test_a_network_that_stops_early_is_that_of_its_best_epoch() -> None:
    wrong = np.random.default_rng(1).random(COUNT) < 0.3  # what can only be learned by heart
    noisy = Images(PICTURES.names, {"cat": PICTURES.labels["cat"] ^ wrong}, PICTURES.at(16))
    options: dict[str, Any] = {"schedule": "constant", "learning_rate": 0.003, "members": 1, "pictures": noisy}
    stopped = train(run := Run(seed=5), epochs=30, patience=2, **options)
    (epoch,) = run.measured["best_epoch"]
    assert 1 <= epoch < 28
    figure = run.figures["training"]
    assert len(figure.series["median member"]) == epoch + 2  # type: ignore[union-attr]
    until = train(epochs=int(epoch), patience=30, **options)
    for name, tensor in until.weights.items():
        assert torch.equal(stopped.weights[name], tensor)


def test_members_in_several_groups_stop_and_keep_their_best_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"epochs": 12, "patience": 1, "held_out": 0.25, "learning_rate": 0.03}
    together = train(one := Run(seed=5), **options)
    monkeypatch.setattr(starting, "AT_ONCE", 2)
    parted_up = train(several := Run(seed=5), **options)
    assert len(set(one.measured["best_epoch"])) > 1
    assert one.measured["best_epoch"] == several.measured["best_epoch"]
    for name, tensor in together.weights.items():
        torch.testing.assert_close(parted_up.weights[name], tensor, rtol=1e-3, atol=1e-4)


def test_held_out_pictures_are_of_both_kinds_and_in_no_sample() -> None:
    shown = PICTURES.labels["cat"]
    own, apart = parted(Train(patience=1, held_out=0.25), shown, Run(seed=5))
    assert sorted([*own.tolist(), *apart.tolist()]) == list(range(COUNT))
    assert shown[apart.numpy()].sum() == round(0.25 * shown.sum())
    assert len(apart) == len(PICTURES) - len(own) >= 0.2 * COUNT
    other = Images(PICTURES.names, PICTURES.labels, torch.where(marked(apart), 255, PICTURES.at(16)).to(torch.uint8))
    options: dict[str, Any] = {"patience": 9, "held_out": 0.25, "epochs": 1}
    weights, others = train(**options).weights, train(pictures=other, **options).weights
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items()), "nobody learned from them"


def marked(apart: Tensor) -> Tensor:
    return torch.zeros(COUNT).bool().index_fill(0, apart, True)[:, None, None, None]


def test_too_few_pictures_to_stop_by_are_an_error_that_says_how_many() -> None:
    with pytest.raises(ComposerError, match=r"patience: \d with the concept|patience: \d pictures.*raise held_out"):
        train(pictures=training_images("cat", count=20), patience=2)


# -- what `check` says -----------------------------------------------------------------------------

RECIPE = """\
name: tuned
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 16}
models: {use: train, MODELS}
compositions: {product: {assembler: product}}
controls: []
evaluators: [recognition]
"""


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("START, architecture: {use: cnn, size: 16}", r"tuned.yaml:4:\d+: models.architecture: is not the start's"),
        (
            "start: {use: checkpoints, pattern: 0.pth, architecture: {use: cifar_resnet, size: 16}}",
            r"tuned.yaml:4:\d+: models.start: .*0.pth",
        ),
        ("start: {use: zoo, concept: unicorn, folder: zoo}", r"tuned.yaml:4:\d+: models.start.concept: .*unicorn"),
        ("body: frozen", r"tuned.yaml:4:\d+: models.body: frozen needs a `start`"),
        ("schedule: linear", r"tuned.yaml:4:\d+: models.schedule: .*onecycle.*linear"),
        ("patience: 3", r"tuned.yaml:4:\d+: models.patience: takes 50 training pictures at least, and there are 40"),
        ("architecture: {use: vit, patch: 5, size: 16}", r"tuned.yaml:4:\d+: models.architecture.patch: 5 does not"),
    ],
)
def test_check_names_the_line_and_the_option(tmp_path: Path, models: str, said: str) -> None:
    saved(tmp_path)
    written = tmp_path / "tuned.yaml"
    start = "start: {use: checkpoints, pattern: 0.pth, architecture: {use: cnn, filters: [2, 3], size: 16}}"
    written.write_text(RECIPE.replace("MODELS", models.replace("START", start)), encoding="utf-8")
    with pytest.raises(RecipeError, match=said) as caught:
        read_recipe(written)
    assert len(caught.value.problems) == 1, "said once of both concepts"
    written.write_text(RECIPE.replace("MODELS", f"{start}, patience: 3, held_out: 0.25"), encoding="utf-8")
    recipe = read_recipe(written)
    written.write_text(yaml.safe_dump(dict(recipe.document)), encoding="utf-8")
    assert read_recipe(written).concepts == recipe.concepts, "the filled-in recipe reads back as the same"
    fitted = start.replace("start: {", "start: {use: fit, backbone: {") + "}"
    written.write_text(RECIPE.replace("MODELS", fitted), encoding="utf-8")
    assert read_recipe(written).name == "tuned", "a start that is made of pictures is not made by check"
