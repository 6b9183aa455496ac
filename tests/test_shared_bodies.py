"""Parts of a composed model that have the same body: one network with several heads."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import composer
from composer import ComposedModel, Population
from composer.models.exporting import export, onnx_difference
from composer.running.storage import load, read_tensors, save
from saved_run import save_model
from tiny import tiny_images, tiny_population

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra 'export' (onnx, onnxscript, onnxruntime) is not installed",
)


def test_parts_with_one_body_are_one_network_with_several_heads(tmp_path: Path) -> None:
    black = tiny_population("black")
    heads = tiny_population("cat", seed=1).head_weights
    cat = replace(black, concept="cat", weights=copied(black.body_weights) | heads, _memo={})
    model = ComposedModel((black, cat), black.members)
    images = tiny_images()
    assert model.bodies == (0, 0)
    assert model.parts[1].weights["conv1.weight"] is model.parts[0].weights["conv1.weight"], "kept once"
    assert model.parameters == black.parameters + sum(tensor[0].numel() for tensor in heads.values())
    assert torch.equal(model.features(images), black.features(images))
    assert torch.equal(model.parts[1].log_odds(images), cat.log_odds(images))
    save(model, tmp_path)
    stored = read_tensors(tmp_path / "data.safetensors")
    assert sorted(name for name in stored if name.startswith("1.")) == ["1.fc1.bias", "1.fc1.weight"]
    again = load(tmp_path)
    assert isinstance(again, ComposedModel)
    assert (again.bodies, again.parameters) == (model.bodies, model.parameters)
    assert torch.equal(again.log_odds(images), model.log_odds(images))


def test_another_weight_or_another_preprocessing_is_another_body() -> None:
    black = tiny_population("black")
    changed = {**black.weights, "conv2.bias": black.weights["conv2.bias"] + 1e-6}
    assert ComposedModel((black, replace(black, weights=changed)), black.members).bodies == (0, 1)
    darker = replace(black, preprocessing=replace(black.preprocessing, mean=(0.4, 0.5, 0.5)))
    assert ComposedModel((black, darker), black.members).bodies == (0, 1)


def test_a_single_output_is_a_sigmoids() -> None:
    population, images = tiny_population(), tiny_images()
    head = {name: tensor[:, :1] for name, tensor in population.head_weights.items()}
    one = replace(population, weights={**population.body_weights, **head}, _memo={})
    assert torch.equal(one.log_odds(images), population.logits(images)[..., 0])


def test_a_loaded_model_runs_a_shared_body_once(tmp_path: Path) -> None:
    black = tiny_population("black")
    cat = replace(black, concept="cat", weights=black.body_weights | tiny_population("cat", seed=1).head_weights)
    model = ComposedModel((black, cat), black.members)
    save_model(tmp_path / "models" / "product", model)
    loaded = composer.load(tmp_path, "product", 1)
    parameters = sum(parameter.numel() for parameter in loaded.parameters())
    assert parameters == model.parameters
    calls = []
    loaded.parts[0].network.conv1.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    images = tiny_images()
    torch.testing.assert_close(loaded(images.at(16)), model.log_odds(images)[1], rtol=1e-5, atol=1e-5)
    assert len(calls) == 1
    for part, own in zip(model.parts, (part.population() for part in loaded.parts), strict=True):  # type: ignore[operator]
        assert isinstance(own, Population)
        assert torch.equal(own.weights["fc1.weight"][0], part.weights["fc1.weight"][1])


@needs_onnx
def test_a_shared_body_is_in_an_onnx_file_once(tmp_path: Path) -> None:
    black = tiny_population("black")
    cat = replace(black, concept="cat", weights=black.body_weights | tiny_population("cat", seed=1).head_weights)
    save_model(tmp_path / "models" / "product", ComposedModel((black, cat), black.members))
    loaded = composer.load(tmp_path, "product")
    file = export(loaded, tmp_path / "product.onnx", "onnx")
    assert onnx_difference(loaded, file) < 1e-5
    nodes = importlib.import_module("onnx").load(file).graph.node
    assert sum(node.op_type == "Conv" for node in nodes) == 2, "as one network has"


def copied(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in weights.items()}
