"""Which checks and examples belong to which kind of component."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from composer.component import Component
from composer.testing import kernel_kinds, model_kinds, picture_kinds
from composer.testing.trial import Check, Trial

CHECKS: Mapping[str, tuple[Check, ...]] = {
    "architecture": model_kinds.ARCHITECTURE,
    "assembler": model_kinds.ASSEMBLER,
    "criterion": picture_kinds.CRITERION,
    "evaluator": picture_kinds.EVALUATOR,
    "extractor": kernel_kinds.EXTRACTOR,
    "images": picture_kinds.IMAGES,
    "models": model_kinds.MODELS,
    "translator": kernel_kinds.TRANSLATOR,
}
"""Kind -> its checks, in the order in which they are worth reading."""

_TRIALS: Mapping[str, Callable[..., Trial]] = {
    "architecture": model_kinds.architecture_trial,
    "assembler": model_kinds.assembler_trial,
    "criterion": picture_kinds.criterion_trial,
    "evaluator": picture_kinds.evaluator_trial,
    "extractor": kernel_kinds.extractor_trial,
    "images": picture_kinds.images_trial,
    "models": model_kinds.models_trial,
    "translator": kernel_kinds.translator_trial,
}


def make_trial(component: Component, **inputs: Any) -> Trial:
    """The trial of a component with examples, or with the inputs that its author gives."""
    return _TRIALS[component.kind](component, **inputs)
