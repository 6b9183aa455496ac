from __future__ import annotations

import json
import re
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from composer import Architecture, ComposedModel, ComposerError, FileDecoder, Images, Population, Preprocessing
from composer.models.loading import LoadedModel, load
from composer.models.model_folder import ModelFolder
from composer.models.part import Part
from composer.models.pixels import resize
from composer.results.model_card import complete
from saved_run import PICKED, save_model, saved_run
from tiny import tiny_images, tiny_population


@pytest.fixture
def run(tmp_path: Path) -> Path:
    saved_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Three pictures larger than any network's input."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    files = [folder / f"{name}.png" for name in "abc"]
    for file in files:
        small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        small.resize((70, 50), Image.Resampling.BICUBIC).save(file)
    return files


# -- which model -------------------------------------------------------------------------------


def test_a_loaded_member_gives_the_log_odds_that_a_run_scores(tmp_path: Path) -> None:
    models = saved_run(tmp_path / "run")
    images = tiny_images()
    control = load(tmp_path / "run", "parents.black", member=1)
    assert torch.allclose(control(images.at(16)), models["parents.black"].log_odds(images)[1], atol=1e-5)


def test_without_a_member_it_is_the_one_picked_without_labels(run: Path) -> None:
    assert load(run, "product").member == f"black {PICKED} x cat {PICKED}"
    (run / "report.json").unlink()
    assert load(run, "product").member == "black 0 x cat 0", "no report: the first"


def test_a_member_can_be_named(run: Path) -> None:
    by_name, by_index = load(run, "product", "black 1 x cat 1"), load(run, "product", 1)
    for name, weight in by_name.state_dict().items():
        assert torch.equal(weight, by_index.state_dict()[name])
    with pytest.raises(ComposerError, match=r"has members 0 to 2, not 3"):
        load(run, "product", 3)
    with pytest.raises(ComposerError, match=r"no member is called 'black 1 x cat'; did you mean 'black 1 x cat 1'"):
        load(run, "product", "black 1 x cat")


def test_without_a_composition_it_is_the_only_one_with_log_odds_that_is_no_control(run: Path) -> None:
    loaded = load(run)
    assert loaded.composition == "product"
    assert loaded.home.why == "", "there was nothing to choose from"


def test_of_several_compositions_the_one_with_the_highest_auc_is_taken_and_it_says_so(run: Path) -> None:
    shutil.copytree(run / "models" / "product", run / "models" / "worse")
    report = json.loads((run / "report.json").read_text())
    worse = json.loads(json.dumps(report["compositions"]["product"]))
    worse["scores"]["recognition.auc"]["picked"] = 0.7
    report["compositions"]["worse"] = worse
    (run / "report.json").write_text(json.dumps(report))
    loaded = load(run)
    assert loaded.composition == "product"
    said = "product: of 2 compositions the one with the highest AUC on the test pictures, 0.900"
    assert loaded.home.why == f"{said}, chosen by their labels"
    (run / "report.json").unlink()
    with pytest.raises(ComposerError, match=r"several compositions .*product.*say which"):
        load(run)


def test_a_composition_that_is_not_there_is_named_with_the_nearest(run: Path) -> None:
    with pytest.raises(ComposerError, match=r"no composition is called 'produkt'; did you mean 'product'\?"):
        load(run, "produkt")
    with pytest.raises(ComposerError, match=r"is the folder of composition 'product', not 'features'"):
        load(run / "models" / "product", "features")


def test_a_run_of_an_older_composer_gives_the_member_that_its_auc_picked(run: Path) -> None:
    content = json.loads((run / "report.json").read_text(encoding="utf-8"))
    del content["declared"]
    for arm in content["compositions"].values():
        del arm["picked_member"], arm["picked_by"]
    (run / "report.json").write_text(json.dumps(content), encoding="utf-8")
    assert load(run, "product").member == f"black {PICKED} x cat {PICKED}"
    assert load(run).composition == "product"


def test_a_copied_folder_still_knows_its_name_and_its_picked_member(run: Path, tmp_path: Path) -> None:
    home = run / "models" / "product"
    complete(home, json.loads((run / "report.json").read_text()), "product")
    shutil.copytree(home, tmp_path / "elsewhere")
    loaded = load(tmp_path / "elsewhere")
    assert (loaded.composition, loaded.member) == ("product", f"black {PICKED} x cat {PICKED}")
    assert loaded.target == "black+cat"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda home: (home / "config.json").write_text("{"), "is no JSON"),
        (lambda home: (home / "config.json").write_text('{"type": "bert"}'), "describes no model that composer made"),
        (lambda home: (home / "config.json").write_text('{"type": "ComposedModel"}'), "damaged or of another version"),
        (lambda home: (home / "model.safetensors").write_bytes(b"12345678"), "model.safetensors: cannot be read"),
        (lambda home: (home / "model.safetensors").unlink(), "model.safetensors: cannot be read"),
        (lambda home: (home / "config.json").unlink(), "finish the run first"),
        (lambda home: shutil.rmtree(home), "there is no such folder"),
    ],
)
def test_a_spoilt_folder_is_refused_by_name(run: Path, spoil: object, message: str) -> None:
    home = run / "models" / "product"
    assert callable(spoil)
    spoil(home)
    with pytest.raises(ComposerError, match=message) as refused:
        load(home)
    assert "product" in str(refused.value)


def test_an_architecture_that_no_plugin_offers_is_named_with_what_offered_it(run: Path) -> None:
    home = run / "models" / "product"
    complete(home, json.loads((run / "report.json").read_text()), "product")
    config = json.loads((home / "config.json").read_text())
    config["parts"][0]["architecture"]["use"] = "gone"
    config["plugins"]["gone"] = "someone-else 2.0 (plugin gone)"
    (home / "config.json").write_text(json.dumps(config))
    with pytest.raises(ComposerError, match=r"no architecture is called 'gone'.* made with someone-else 2\.0"):
        load(home)


def test_an_option_that_the_installed_architecture_does_not_know_is_named(run: Path) -> None:
    config = json.loads((run / "models" / "product" / "config.json").read_text())
    config["parts"][0]["architecture"]["dilation"] = 2
    (run / "models" / "product" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ComposerError, match=r"'cnn' as installed does not know these options \(dilation"):
        load(run, "product")


def test_weights_that_do_not_fit_are_named(run: Path) -> None:
    config = json.loads((run / "models" / "product" / "config.json").read_text())
    config["parts"][0]["architecture"]["filters"] = [2, 4]
    (run / "models" / "product" / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        ComposerError, match=r"is installed \('conv2\.weight' is \[3, 2, 5, 5\] instead of \[4, 2, 5, 5\]; "
    ):
        load(run, "product")


def test_loading_leaves_the_global_random_state_alone(run: Path) -> None:
    before = torch.random.get_rng_state()
    load(run, "product")
    assert torch.equal(torch.random.get_rng_state(), before)


# -- as a module -------------------------------------------------------------------------------


def test_it_is_a_module_in_evaluation_mode_with_the_weights_as_parameters(run: Path) -> None:
    loaded = load(run, "product")
    assert isinstance(loaded, nn.Module)
    assert not loaded.training
    assert sum(weight.numel() for weight in loaded.parameters()) == 313 + 2 * 3 * 25 + 3 * 2 * 25 + 5 + 2 * 27 + 2


def test_pixels_of_any_size_and_type_are_taken(run: Path) -> None:
    loaded = load(run, "product")
    pixels = torch.randint(0, 256, (4, 3, 40, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert loaded(pixels).shape == (4,)
    assert torch.allclose(loaded(pixels), loaded(pixels.float() / 255), atol=0.05), "uint8 differs by rounding alone"
    with pytest.raises(ComposerError, match=r"must be \[N, 3, height, width\], not \[4, 40, 60\]"):
        loaded(pixels[:, 0])


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (torch.full((1, 3, 8, 8), 200.0), "not float from 200 to 200; divide them by 255"),
        (torch.full((1, 3, 8, 8), -1.5), "the model normalises them itself"),
        (torch.full((1, 3, 8, 8), float("nan")), "not float from nan"),
        (torch.ones(1, 3, 8, 8, dtype=torch.int64), "not int64"),
        (torch.ones(1, 3, 8, 8, dtype=torch.bool), "not bool"),
    ],
)
def test_pixels_of_another_convention_are_refused(run: Path, pixels: torch.Tensor, said: str) -> None:
    for use in (load(run, "product"), load(run, "product").features):
        with pytest.raises(ComposerError, match=re.escape("uint8 in 0..255 or float in 0..1")) as refused:
            use(pixels)
        assert said in str(refused.value)


def test_half_precision_pixels_and_no_pixels_at_all_are_taken(run: Path) -> None:
    loaded = load(run, "product")
    pixels = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(loaded(pixels.half()), loaded(pixels), atol=0.05)
    assert loaded.features(pixels.double()).shape[0] == 2


def test_gradients_reach_float_pixels(run: Path) -> None:
    pixels = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    load(run, "product")(pixels).sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().sum() > 0


@pytest.mark.parametrize("size", [8, 32, 100])
def test_resizing_is_pillows_within_one_level(size: int) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (61, 47, 3), dtype=np.uint8))
    wanted = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    found = resize(pixels, size)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - wanted).max() <= 1
    assert np.abs(found - wanted).mean() < 0.2


def test_without_a_head_there_are_features_and_a_clear_refusal(tmp_path: Path) -> None:
    models = saved_run(tmp_path / "run")
    images = tiny_images()
    loaded = load(tmp_path / "run", "features", member=1)
    assert torch.allclose(loaded.features(images.at(16)), models["features"].features(images)[1], atol=1e-5)
    for use in (lambda: loaded(images.at(16)), lambda: loaded.predict([])):
        with pytest.raises(ComposerError, match=r"'features' gives features and no log-odds.*: parents.black, product"):
            use()


class Normalised(Architecture):
    """A convolution with batch norm, whose step count composer's populations may lack."""

    name = "normalised"
    head = "last"

    def build(self, outputs: int) -> nn.Module:
        class Network(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.norm, self.last = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, outputs)

            def features(self, pixels: torch.Tensor) -> torch.Tensor:
                features: torch.Tensor = self.norm(self.first(pixels)).relu().mean((2, 3))
                return features

            def forward(self, pixels: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = self.last(self.features(pixels))
                return logits

        return Network()


def test_running_statistics_are_part_of_the_model_and_several_outputs_may_mean_the_concept() -> None:
    state = Normalised().build(5).state_dict()
    state["norm.running_mean"] += 3
    weights = {name: tensor[None] for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    population = Population("cat", Normalised(), weights, ("one",), Preprocessing(size=8), outputs=(1, 3))
    model = ComposedModel((population,), ("one",))
    images = tiny_images(size=8)
    home = ModelFolder(Path("nowhere"), {"members": ["one"], "parts": []})
    assert torch.allclose(LoadedModel(model, home)(images.at(8)), model.log_odds(images)[0], atol=1e-5)


# -- pictures ----------------------------------------------------------------------------------


def test_predictions_of_files_are_exactly_what_a_run_computes(tmp_path: Path, photos: list[Path]) -> None:
    models = saved_run(tmp_path / "run")
    images = Images([file.name for file in photos], {}, FileDecoder(tuple(map(str, photos))))
    predictions = load(tmp_path / "run", "product", member=1).predict(photos)
    wanted = models["product"].log_odds(images)[1].double().sigmoid()
    assert [prediction.name for prediction in predictions] == [str(file) for file in photos]
    found = np.array([prediction.probability for prediction in predictions], dtype=float)
    assert np.allclose(found, wanted, atol=1e-6)
    for index, concept in enumerate(("black", "cat")):
        own = models["product"].parts[index].log_odds(images)[1].double().sigmoid()
        assert np.allclose([prediction.concepts[concept] for prediction in predictions], own, atol=1e-6)


def test_a_picture_counts_as_the_target_where_every_concept_is_probable_or_above_the_threshold(
    run: Path, photos: list[Path]
) -> None:
    loaded = load(run, "product")
    black, cat = (part.network.get_parameter("fc1.bias") for part in loaded.parts if isinstance(part, Part))
    for lift, expected in ((-20, False), (20, True)):
        with torch.no_grad():
            black[0], cat[0] = 20, lift
        assert [prediction.shown for prediction in loaded.predict(photos)] == [expected] * 3
    loaded = load(run, "product")
    assert all(prediction.shown for prediction in loaded.predict(photos, threshold=0))
    assert not any(prediction.shown for prediction in loaded.predict(photos, threshold=1))
    with pytest.raises(ComposerError, match="a probability from 0 to 1, not 50"):
        loaded.predict(photos, threshold=50)


def test_one_picture_need_not_be_in_a_list(run: Path, photos: list[Path]) -> None:
    loaded = load(run, "product")
    picture = Image.open(photos[0])
    asked = [loaded.predict(photos[0]), loaded.predict(str(photos[0])), loaded.predict(picture)]
    assert len({prediction.probability for (prediction,) in asked}) == 1
    assert loaded.predict([]) == []


def test_a_picture_in_memory_is_treated_as_its_file(run: Path, tmp_path: Path, photos: list[Path]) -> None:
    loaded = load(run, "product")
    picture = Image.open(photos[0])
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("RGB").save(turned, exif=exif)
    palette, clear = picture.convert("P"), picture.convert("RGBA")
    clear.putalpha(100)
    palette.save(tmp_path / "palette.png")
    clear.save(tmp_path / "clear.png")
    files = [turned, tmp_path / "palette.png", tmp_path / "clear.png"]
    from_files = [prediction.probability for prediction in loaded.predict(files)]
    assert from_files == [prediction.probability for prediction in loaded.predict([Image.open(file) for file in files])]
    (unnamed,) = loaded.predict([clear])
    assert unnamed.name == "picture 1"
    assert unnamed.probability == from_files[2]
    wide = Image.new("L", (9_000, 9_000))
    refused, fine = loaded.predict([wide, clear])
    assert refused.error is not None
    assert "million pixels" in refused.error
    assert fine.probability == from_files[2]


def odd_pictures(folder: Path) -> dict[str, Path]:
    """Files of every kind that nobody expects, by what they are."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    plain = Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8))
    files = {
        name: folder / name for name in ("grey16.png", "cmyk.jpg", "animated.gif", "one.png", "cut.jpg", "huge.png")
    }
    Image.fromarray(rng.integers(0, 65536, (40, 30), dtype=np.uint16)).save(files["grey16.png"])
    plain.convert("CMYK").save(files["cmyk.jpg"])
    plain.convert("P").save(files["animated.gif"], save_all=True, append_images=[Image.new("P", plain.size)])
    Image.new("RGB", (1, 1), "red").save(files["one.png"])
    plain.save(files["cut.jpg"])
    files["cut.jpg"].write_bytes(files["cut.jpg"].read_bytes()[:-300])
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100_000))
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    ]
    files["huge.png"].write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return files


def test_odd_pictures_are_read_or_refused_by_name_and_the_others_unharmed(
    run: Path, tmp_path: Path, photos: list[Path]
) -> None:
    loaded = load(run, "product")
    odd = odd_pictures(tmp_path / "odd")
    alone = [prediction.probability for prediction in loaded.predict(photos)]
    mixed = [photos[0], *odd.values(), photos[1], tmp_path / "gone.png", tmp_path, photos[2]]
    predictions = loaded.predict(mixed, batch=2)
    assert [prediction.name for prediction in predictions] == [str(file) for file in mixed]
    errors = {Path(found.name).name: found.error for found in predictions if found.error is not None}
    assert errors.keys() == {"cut.jpg", "huge.png", "gone.png", tmp_path.name}
    assert "truncated" in errors["cut.jpg"]
    assert "more than 67 million pixels" in errors["huge.png"]
    assert errors["gone.png"] == "no such file"
    among = [found.probability for found in predictions if found.name in map(str, photos)]
    assert np.allclose(np.array(among, dtype=float), np.array(alone, dtype=float), atol=1e-6)
    for found in predictions:
        if found.error is None:
            assert found.probability is not None
            assert 0 < found.probability < 1, found.name
        else:
            assert (found.probability, found.shown, found.concepts) == (None, None, {})


def test_predicting_leaves_the_warning_filters_as_they_were(run: Path, photos: list[Path]) -> None:
    before = list(warnings.filters)
    load(run, "product").predict(photos * 20)
    assert list(warnings.filters) == before


def test_a_member_with_diverged_weights_is_refused(tmp_path: Path, photos: list[Path]) -> None:
    broken = tiny_population("black")
    broken.weights["fc1.bias"][1] = torch.nan
    save_model(tmp_path / "broken", ComposedModel((broken,), broken.members))
    with pytest.raises(ComposerError, match="log-odds of member 'black 1' are not finite"):
        load(tmp_path / "broken", member=1).predict(photos)
    assert load(tmp_path / "broken", member=0).predict(photos)[0].error is None
