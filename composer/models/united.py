"""A union of classes ready for use: networks side by side, or one that has learned what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from composer.data.composed import ComposedModel
from composer.data.expressions import Expression
from composer.errors import ComposerError
from composer.models.loading import LoadedModel, Prediction
from composer.models.model_folder import ModelFolder
from composer.models.union import Knower, union_of, united
from composer.recipes.target import always, formula_problems, never

NAMED = 3
"""Classes that its title names."""


class LoadedUnion(LoadedModel):
    """Log-odds of each class, [N, U], and of pictures the likeliest class; asked for a formula log-odds of that, [N].

    Of one softmax over the classes, the sigmoids of the log-odds are its probabilities.
    """

    def __init__(self, model: ComposedModel, home: ModelFolder, target: str | Expression | None = None) -> None:
        super().__init__(model, home)
        about = home.union
        assert about is not None, "a folder without a union is loaded as any other model"
        try:
            self.knowers = tuple(Knower.of_facts(facts) for facts in about["networks"])
            self.outputs = about["outputs"]
        except (KeyError, TypeError) as error:
            raise ComposerError(f"{home.path}: its config.json is damaged or of another version ({error!r})") from error
        self.concepts = self.classes = union_of(self.knowers)
        if target is not None:
            self.expression = _formula(target, self.classes, home)
        if self.expression is not None and self.outputs == "softmax":
            self._true = torch.tensor([self.expression.true_of({name}) for name in self.classes])
            if not self._true.any() or self._true.all():
                said = always(self.target) if self._true.any() else never(self.target)
                raise ComposerError(f"{home.path}: target: {said}: each picture shows one class")

    @property
    def target(self) -> str:
        """`one of 10 classes: airplane, bird, cat, ...`, or the formula that it is asked for."""
        if self.expression is not None:
            return str(self.expression)
        more = ", ..." if len(self.classes) > NAMED else ""
        return f"one of {len(self.classes)} classes: {', '.join(self.classes[:NAMED])}{more}"

    @property
    def answers(self) -> tuple[str, ...]:
        return self.classes if self.expression is None else (self.target,)

    @property
    def asked_anew(self) -> bool:
        return self.expression is not None and self.expression != self.home.expression

    def _each_log_odds(self, pixels: Mapping[int, Tensor]) -> Tensor:
        """Log-odds of each class, [U, N]."""
        shared = self._shared_features(pixels)
        logits = [
            part.logits_of(shared[first]) if first in shared else part.logits(pixels[part.size])
            for part, first in zip(self._parts(), self.bodies, strict=True)
        ]
        return united(self.knowers, logits, self.outputs).T

    def _combined(self, each: Tensor) -> Tensor:
        if self.expression is None:
            return each.T
        if self.outputs == "softmax":  # a picture shows one class, so probabilities add up
            log_probability, true = logsigmoid(each), self._true
            return log_probability[true].logsumexp(0) - log_probability[~true].logsumexp(0)
        return self.expression.log_odds(dict(zip(self.classes, each, strict=True)))

    def _said(self, each: Tensor, threshold: float | None) -> list[Prediction]:
        if self.expression is not None:
            return [*super()._said(each, threshold)]
        if not bool(each.isfinite().all()):
            raise ComposerError(f"{self.home.path}: its log-odds are not finite: the weights have diverged")
        bound = 0.5 if threshold is None else threshold
        found = []
        for own in each.double().sigmoid().T.tolist():
            best = max(range(len(own)), key=own.__getitem__)
            named = dict(zip(self.classes, own, strict=True))
            found.append(Prediction("", own[best], own[best] > bound, named, label=self.classes[best]))
        return found

    def _bounds(self, each: Tensor) -> Sequence[tuple[float, float] | None]:
        """None of one softmax: how its classes hang together is known, they exclude each other."""
        return [None] * each.shape[1] if self.outputs == "softmax" else super()._bounds(each)

    def _decided(self, each: Tensor) -> Tensor:
        assert self.expression is not None
        if self.outputs == "softmax":
            return self._combined(each) > 0
        shown: Tensor = self.expression.holds(dict(zip(self.classes, each > 0, strict=True)))
        return shown


def _formula(target: str | Expression, classes: Sequence[str], home: ModelFolder) -> Expression:
    text = target if isinstance(target, str) else target.text
    if problems := list(formula_problems(text, classes, "the union")):
        raise ComposerError(f"{home.path}: target: {'; '.join(problems)}")
    return Expression.parse(text)
