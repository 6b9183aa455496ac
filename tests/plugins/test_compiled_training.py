"""Training under torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.exc import TorchDynamoException

from composer import ComposerError, Population, Run
from composer_training import Train
from tiny import ARCHITECTURE, training_images

PICTURES = training_images("cat", count=20)
real = torch.compile


def trained(**options: Any) -> Population:
    slot = {"architecture": ARCHITECTURE, "members": 2, "epochs": 2, "batch": 8, **options}
    return Train.model_validate(slot).load("cat", Run(5, pictures=(PICTURES,)))


def test_compiled_steps_teach_what_plain_ones_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, calls = [], 0

    def traced(forward: Callable[..., Any], mode: str, dynamic: bool) -> Callable[..., Any]:
        """Traced, guarded and run as torch.compile does, but by torch's own kernels: no C++ compiler is needed."""
        asked.append((mode, dynamic))
        step = real(forward, backend="eager", dynamic=dynamic)

        def counted(*given: Any) -> Any:
            nonlocal calls
            calls += 1
            return step(*given)

        return counted

    monkeypatch.setattr(torch, "compile", traced)
    compiled = trained(compile="reduce-overhead")
    assert asked == [("reduce-overhead", False)], "compiled once for all steps"
    assert calls == 2 * 3, "a step of each minibatch"
    plain = trained()
    assert len(asked) == 1
    for name, weights in plain.weights.items():
        torch.testing.assert_close(compiled.weights[name], weights)


def test_what_torch_cannot_compile_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(forward: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def step(*given: Any) -> Any:
            raise TorchDynamoException("no C++ compiler\nand a long trace")

        return step

    monkeypatch.setattr(torch, "compile", refusing)
    said = r"^train: compile: torch cannot compile this network here \(no C\+\+ compiler\); leave it out$"
    with pytest.raises(ComposerError, match=said):
        trained(compile="default")


def test_a_frozen_body_is_not_compiled() -> None:
    start = Train.model_validate({"architecture": ARCHITECTURE, "members": 1})
    frozen = Train.model_validate({"start": start, "body": "frozen", "compile": "default"})
    assert ("compile", "pays for a body that is trained, and this one is frozen; leave it out") in list(
        frozen.problems(["cat"])
    )
    assert "compile" not in dict(Train.model_validate({"start": start, "body": "frozen"}).problems(["cat"]))
