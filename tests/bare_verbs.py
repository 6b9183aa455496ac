"""The verbs of components alone, to be named by steps in tests."""

from __future__ import annotations

from typing import Any


def images(step: Any, _: Any, run: Any) -> Any:
    return step.component.load(step.split, run)


def models(step: Any, _: Any, run: Any) -> Any:
    return step.component.load("black", run)


def extractor(step: Any, inputs: Any, run: Any) -> Any:
    return step.component.extract(*inputs, run)


def translator(step: Any, inputs: Any, run: Any) -> Any:
    return step.component.translate(inputs, run)


def assembler(step: Any, inputs: Any, run: Any) -> Any:
    return step.component.assemble(None, inputs, run)


def evaluator(step: Any, inputs: Any, run: Any) -> Any:
    return step.component.evaluate(*inputs, run)
