from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from composer import ComposerError
from composer.models import exporting
from composer.models.exporting import Exported, example_pixels, export, onnx_difference
from composer.models.loading import LoadedModel, load
from composer.results.model_card import complete
from saved_run import PICKED, saved_run
from tiny import tiny_images

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra 'export' (onnx, onnxscript, onnxruntime) is not installed",
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    saved_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def product(run: Path) -> LoadedModel:
    """Two networks of different input sizes, so that the exported file resizes."""
    return load(run, "product")


@needs_onnx
def test_an_onnx_file_gives_what_pytorch_gives_for_any_number_of_pictures(product: LoadedModel, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    file = export(product, tmp_path / "deep" / "model.onnx", "onnx")
    assert list(file.parent.iterdir()) == [file]
    session = onnxruntime.InferenceSession(file)
    (given,), (said,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("pixels", ["batch", 3, 24, 24])
    assert (said.name, said.shape) == ("log_odds", ["batch"])
    for count in (1, 5):
        pixels = tiny_images(per_cell=count, size=24).at(24)[:count].float() / 255
        (found,) = session.run(None, {"pixels": pixels.numpy()})
        assert np.allclose(found, product(pixels).detach(), atol=1e-5)
    assert onnx_difference(product, file) < 1e-5
    assert onnx_difference(load(product.home.path, member=0), file) > 1e-3, "another member is another model"


@needs_onnx
def test_without_a_head_an_onnx_file_gives_features_and_large_weights_lie_beside_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LARGEST", 0)
    features = load(run, "features")
    file = export(features, tmp_path / "out" / "features.onnx", "onnx")
    assert sorted(path.name for path in file.parent.iterdir()) == ["features.onnx", "features.onnx.data"]
    assert onnx_difference(features, file) < 1e-5


def test_a_torch_export_file_gives_what_the_model_gives(product: LoadedModel, tmp_path: Path) -> None:
    file = export(product, tmp_path / "model.pt2", "torch_export")
    program = torch.export.load(file).module()
    for count in (1, 4):
        pixels = example_pixels(product, count)
        assert torch.allclose(program(pixels), Exported(product)(pixels), atol=1e-6)
    assert list(tmp_path.glob("*.pt2*")) == [file]


def test_a_file_says_which_pixels_it_takes_and_has_its_formats_ending(product: LoadedModel, tmp_path: Path) -> None:
    file = export(product, tmp_path / "black.cat", "torch_export")
    assert file == tmp_path / "black.cat.pt2"
    about = {exporting.ABOUT: ""}
    torch.export.load(file, extra_files=about)
    assert "RGB in 0..1" in about[exporting.ABOUT]
    assert export(product, tmp_path / "own.PT2", "torch_export").name == "own.PT2"


def test_a_folder_holds_one_member_and_can_be_loaded(run: Path, tmp_path: Path) -> None:
    complete(run / "models" / "product", json.loads((run / "report.json").read_text()), "product")
    product = load(run, "product", member=1)
    folder = export(product, tmp_path / "alone", "safetensors")
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    alone = load(folder)
    assert alone.home.members == (product.member,) == ("black 1 x cat 1",)
    assert (alone.composition, alone.target) == ("product", "black+cat")
    pixels = example_pixels(product)
    assert torch.equal(alone(pixels), product(pixels))
    assert "This folder holds one member alone, `black 1 x cat 1`" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["picked_member"] == 0


def test_weights_changed_after_loading_are_what_is_exported(product: LoadedModel, tmp_path: Path) -> None:
    with torch.no_grad():
        for weight in product.parameters():
            weight.mul_(2)
    folder = export(product, tmp_path / "tuned", "safetensors")
    pixels = example_pixels(product)
    assert torch.equal(load(folder)(pixels), product(pixels))
    assert not torch.allclose(load(product.home.path, member=PICKED)(pixels), product(pixels))


def test_what_cannot_be_written_leaves_nothing_half_written(product: LoadedModel, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(ComposerError, match=r"full: is a folder already"):
        export(product, tmp_path / "full", "safetensors")
    with pytest.raises(ComposerError, match=r"full: is a folder already"):
        export(product, tmp_path / "full", "torch_export")
    with pytest.raises(ComposerError, match=r"mine.model\.pt2: cannot be written"):
        export(product, tmp_path / "full" / "mine" / "model.pt2", "torch_export")
    assert sorted(path.name for path in tmp_path.rglob("*") if "run" not in path.parts) == ["full", "mine"]
    with pytest.raises(ComposerError, match=r"there are onnx, torch_export, safetensors, not 'keras'"):
        export(product, tmp_path / "model", "keras")  # type: ignore[arg-type]  # what untyped code may ask for


def test_a_missing_package_is_named_with_what_installs_it(
    product: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(ComposerError, match=r"packages onnx and onnxscript: pip install -e '\.\[export\]' in"):
        export(product, tmp_path / "model.onnx", "onnx")


def test_exporting_leaves_the_model_and_the_global_random_state_alone(product: LoadedModel, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    product.train()
    export(product, tmp_path / "model.pt2", "torch_export")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert product.training
