"""The benchmark on one's own pictures: a tiny one, and what its document says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from composer.command_line.cli import main
from composer.data.decoding import FileDecoder
from composer.data.images import Images
from composer.data.pooling import FeaturePool
from composer.errors import ComposerError
from composer.judging.gain import Sampled
from composer.registry import load_registry
from composer.sweeps.benchmark import Benchmark, Entrants, Judgement, World, benchmark, pair_recipe, world_of
from composer.sweeps.leaderboard import by_pair
from composer.sweeps.photographs_text import Album, document, summary
from photos import CELLS, HEADER, rows_of, write
from tiny import tiny_population

NETWORK = "{use: cnn, filters: [2, 3], size: 16}"
TINY = (
    "images.size=16",
    f"models={{use: train, architecture: {NETWORK}, members: 2, epochs: 1}}",
    "compositions.distil.assembler.steps=2",
)


def draw(root: Path) -> Path:
    """Six pictures of each of four combinations, and of a fifth that has no other of its kind."""
    for place, cell in enumerate(["dark+left", "dark+right", "light+left", "light+right", "dark+both"]):
        (root / cell).mkdir(parents=True)
        for index in range(6):
            pixels = np.random.default_rng(10 * place + index).integers(0, 120, (16, 16, 3), dtype=np.uint8)
            pixels += np.uint8(100 if cell.startswith("light") else 0)
            Image.fromarray(pixels).save(root / cell / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World, Benchmark]:
    """All four pairs with one seed."""
    root = draw(tmp_path_factory.mktemp("album") / "things")
    world = world_of("cells", root, TINY, load_registry())
    store = root.parent / "stages"
    return root, world, benchmark(root.parent / "out", 4, 1, TINY, load_registry(), lambda _: None, store, world)


def test_each_complete_combination_is_held_out_in_turn(tiny: tuple[Path, World, Benchmark]) -> None:
    _, world, found = tiny
    assert [one.pair for one in found.judgements] == list(world.pairs)
    assert set(world.pairs) == {("dark", "left"), ("dark", "right"), ("light", "left"), ("light", "right")}
    for one in found.judgements:
        assert {"product", "parents.attribute", "parents.object", "oracle", "better parent"} <= set(one.auc)
        assert one.pictures == (2, 10)
        parents = [one.auc[f"parents.{role}"].value for role in ("attribute", "object")]
        assert one.auc["better parent"].value == max(parents)
    notes = {note: set(cells) for note, cells in found.notes.items()}
    assert any("all training pictures of 'light' show 'right'" in note for note in notes)
    (alone,) = [cells for note, cells in notes.items() if note.startswith("nothing says which pictures belong")]
    assert len(alone) == 4


def test_every_seed_parts_the_pictures_anew(tmp_path: Path) -> None:
    world = world_of("cells", draw(tmp_path / "things"), TINY, load_registry())
    entrants = Entrants(world.compositions or {}, (), frozenset(), {})
    recipes = [pair_recipe(world.pairs[0], seed, entrants, TINY, load_registry(), world) for seed in (1, 2)]
    assert [recipe.document["images"]["seed"] for recipe in recipes] == [1, 2]
    fixed = pair_recipe(world.pairs[0], 2, entrants, [*TINY, "images.seed=5"], load_registry(), world)
    assert fixed.document["images"]["seed"] == 5


def test_the_pairs_are_those_of_the_pictures_as_set(tmp_path: Path) -> None:
    write(tmp_path, [f"{row},somewhere" for row in rows_of()], f"{HEADER},place")
    with pytest.raises(ComposerError, match="offer no pair to hold out"):
        world_of("cells", tmp_path, (), load_registry())
    world = world_of("cells", tmp_path, ("images.factors=[attribute, object]",), load_registry())
    assert set(world.pairs) == set(CELLS)


def test_the_document_has_a_row_for_each_pair_their_mean_and_what_was_said_before(
    tiny: tuple[Path, World, Benchmark],
) -> None:
    _, world, found = tiny
    text = document([Album("things", world, found)], "composer bench --images cells", TINY)
    assert "Written by `composer bench --images cells`; do not edit it." in text
    rows = [line for line in text.splitlines() if line.startswith(("| dark+", "| light+", "| mean of 4"))]
    assert len(rows) == 5
    mean = float(np.mean([one.auc["product"].value for one in found.judgements]))
    assert f"| {mean:.3f} (" in rows[-1]
    assert "its cells vary in nothing else, so what is learned as 'light' may be 'right'" in text
    lines = text.splitlines()
    (of_one,) = [line for line in lines if "so what is learned as 'light' may be 'right'" in line]
    (of_all,) = [line for line in lines if "nothing says which pictures" in line]
    assert of_one.endswith("(light+left)")
    assert of_all.endswith("the scores flatter")
    assert summary(Album("things", world, found)) in text


def test_a_composition_is_above_both_parents_only_where_the_whole_interval_is() -> None:
    def judgement(pair: tuple[str, str], low: float) -> Judgement:
        parent = Sampled(0.5, np.full(200, 0.5))
        ours = Sampled(0.7, np.linspace(low, 0.9, 200))
        auc = {"product": ours, "better parent": parent, "oracle": Sampled(1.0, np.full(200, 1.0))}
        return Judgement(pair, 1, auc, {"product": ours}, parent, auc["oracle"], {}, (3, 12))

    found = Benchmark(Entrants({}, (), frozenset(), {}), [judgement(("a", "x"), 0.55), judgement(("b", "x"), 0.4)])
    assert len(by_pair(found.judgements)) == 2
    text = summary(Album("things", World((), {}, {}), found))
    first, second = [line for line in text.splitlines() if line.startswith(("| a+x", "| b+x"))]
    assert "| 3 of 12 | 0.700 (0.559 to 0.891) |" in first
    assert "| yes: +0.200 (+0.059 to +0.391) |" in first
    assert "| no: +0.200 (-0.087 to +0.388) |" in second


def test_one_network_stands_beside_the_product_with_how_far_it_is_from_it() -> None:
    def judgement(pair: tuple[str, str], less: float) -> Judgement:
        product, parent = Sampled(0.9, np.linspace(0.8, 1.0, 200)), Sampled(0.5, np.full(200, 0.5))
        auc = {
            "distil": Sampled(0.9 - less, product.replicates - less),
            "product": product,
            "better parent": parent,
            "oracle": Sampled(1.0, np.full(200, 1.0)),
        }
        return Judgement(pair, 1, auc, {"distil": auc["distil"], "product": product}, parent, parent, {}, (3, 12))

    found = Benchmark(Entrants({}, (), frozenset(), {}), [judgement(("a", "x"), -0.004), judgement(("b", "x"), 0.02)])
    world = World((), {}, {"backbone": "net"}, {"product": {}, "distil": {"assembler": {"body": "net"}}})
    text = summary(Album("things", world, found))
    assert "| product | product, hardest cell | above both | distil | distil less product | better parent |" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| b+x")]
    assert "| 0.880 (0.785 to 0.975) | -0.020 (-0.020 to -0.020) |" in row
    assert "`distil` less `product`: -0.008 (-0.020 to +0.004) on the mean, within 0.01 of it for 1 of 2 pairs" in text
    assert "; the farthest is -0.020." in text
    assert "The product is one network here already" in document([Album("things", world, found)], "", ())
    apart = World((), {}, {"backbone": "other"}, world.compositions)
    assert "one network here already" not in document([Album("things", apart, found)], "", ())


def test_the_one_network_stands_on_the_body_that_the_parents_have(tmp_path: Path) -> None:
    root = draw(tmp_path / "things")

    def student(*overrides: str) -> object:
        made = world_of("cells", root, overrides, load_registry()).compositions
        assert made is not None
        return made["distil"]["assembler"].get("body")

    assert student() == "efficientnet_lite"
    other = "models.backbone={use: efficientnet_lite, size: 96}"
    assert student(other) == {"use": "efficientnet_lite", "size": 96}
    assert student(*TINY) is None


def test_parents_are_fitted_with_one_scale_and_learned_whole_on_their_own_body(tmp_path: Path) -> None:
    root = draw(tmp_path / "things")

    def clip(*overrides: str) -> object:
        world = world_of("cells", root, overrides, load_registry())
        entrants = Entrants(world.compositions or {}, (), frozenset(), {})
        recipe = pair_recipe(world.pairs[0], 1, entrants, overrides, load_registry(), world)
        scalings = {concept.models.options().get("scaling") for concept in recipe.concepts}
        assert scalings == ({None} if overrides == TINY else {"common"})
        (student,) = [one.assembler for one in recipe.compositions if one.name == "distil"]
        return student.options()["clip"]

    assert clip() == 100
    assert clip("compositions.distil.assembler.clip=3") == 3
    assert clip(*TINY) == 5, "what students learn by steps is cut off, as everywhere"


def test_each_seeds_mean_is_said_alone() -> None:
    def judgement(seed: int, pair: tuple[str, str], value: float) -> Judgement:
        ours, hardest, low, high = (Sampled(each, np.full(200, each)) for each in (value, 0.4, 0.3, 1.0))
        auc = {"product": ours, "better parent": low, "oracle": high}
        return Judgement(pair, seed, auc, {"product": hardest}, low, high, {}, (3, 12))

    values = {(1, "a"): 0.6, (1, "b"): 0.8, (2, "a"): 0.5, (2, "b"): 0.7}
    found = Benchmark(
        Entrants({}, (), frozenset(), {}), [judgement(seed, (name, "x"), own) for (seed, name), own in values.items()]
    )
    said = summary(Album("things", World((), {}, {}), found))
    assert "Mean AUC of each of the seeds 1 to 2 alone: `product` 0.700, 0.600." in said
    (mean,) = [line for line in said.splitlines() if line.startswith("| mean of 2 | 3 of 12 | 0.650 (")]
    assert "| 0.400 (0.400 to 0.400) |" in mean, "in the hardest cell"


def test_the_command_writes_one_document_of_several_folders(
    tiny: tuple[Path, World, Benchmark], tmp_path: Path
) -> None:
    root, _, _ = tiny
    file = tmp_path / "docs" / "photographs.md"
    arguments = ["bench", "--images", "cells", "--root", str(root), "--pairs", "1", "--seeds", "1"]
    arguments += ["--output", str(root.parent / "out"), "--store", str(root.parent / "stages"), "--document", str(file)]
    done = CliRunner().invoke(main, [*arguments, *(word for change in TINY for word in ("--set", change))])
    assert done.exit_code == 0, done.output
    text = file.read_text(encoding="utf-8")
    assert f"`composer bench --images cells --root {root} --pairs 1 --seeds 1 --set images.size=16" in text
    assert "## things" in text
    assert "| mean of 1 |" in done.output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--images", "cells"], "--images and --root: the one says how to read the photographs"),
        (["--root", "."], "--images and --root: the one says how to read the photographs"),
        (["--images", "cels", "--root", "."], "did you mean 'cells'"),
        (["--images", "folder", "--root", "."], "root: unknown option"),
        (["--images", "cells", "--root", "{root}/dark+left"], "has neither a table labels.csv nor folders"),
        (["--images", "cells", "--root", "{root}", "--set", "images.tset=1"], "did you mean 'test'"),
        (["--images", "cells", "--root", "{root}/none"], "no folder {root}/none"),
        (["--images", "cells", "--root", "{one}"], "offer no pair to hold out"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_any_work(
    tiny: tuple[Path, World, Benchmark], tmp_path: Path, arguments: list[str], part: str
) -> None:
    one = tmp_path / "one"
    (one / "dark+left").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(one / "dark+left" / "0.png")
    options = [word.format(root=tiny[0], one=one) for word in arguments]
    done = CliRunner().invoke(main, ["bench", "--output", str(tmp_path / "none"), *options])
    assert done.exit_code == 2
    assert part.format(root=tiny[0]) in " ".join(done.output.split())
    assert not (tmp_path / "none").exists()


def test_a_source_without_labelled_targets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposerError):
        world_of("study_pictures", tmp_path, (), load_registry())


def test_pictures_that_several_sets_share_are_looked_at_once(tmp_path: Path) -> None:
    files = [str(path) for path in sorted(draw(tmp_path / "things").rglob("*.png"))]
    network, pool, asked = tiny_population(), FeaturePool(), list[str]()

    def images(some: list[str], pooled: bool = True) -> Images:
        made = Images(some, {}, FileDecoder(tuple(some)))
        made.pool = pool if pooled else None
        return made

    before = network._of_pixels

    def counted(pictures: Images, device: torch.device | str) -> torch.Tensor:
        asked.extend(pictures.names)
        return before(pictures, device)

    object.__setattr__(network, "_of_pixels", counted)
    first, second = network.features(images(files[:6])), network.features(images(files[3:9][::-1]))
    assert asked == [*files[:6], *files[6:9][::-1]]
    alone = tiny_population()
    assert torch.allclose(first, alone.features(images(files[:6], pooled=False)), atol=1e-6)
    assert torch.allclose(second, alone.features(images(files[3:9][::-1], pooled=False)), atol=1e-6)
    Image.new("RGBA", (16, 16), (200, 30, 90, 40)).save(tmp_path / "clear.png")
    clear = [Images(["clear"], {}, FileDecoder((str(tmp_path / "clear.png"),), alpha)) for alpha in ("white", "drop")]
    for one in clear:
        one.pool = pool
    assert not torch.allclose(network.features(clear[0]), network.features(clear[1])), "not the same pixels"
    asked.clear()
    drawn = Images(["drawn"], {}, torch.zeros(1, 3, 16, 16, dtype=torch.uint8))
    drawn.pool = pool
    network.features(drawn)
    network.forget_features()
    network.features(drawn)
    assert asked == ["drawn", "drawn"], "what lies in no file is computed each time"
