"""The fitting of a head: choose the L2 strength, fit on all pictures, fold the scaling into the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits
from torch import Tensor

from composer import ComposerError, HeldOut, Lines, Population, Run, require_both_classes
from composer_fit import Fit

WEAK = 0.8
"""Cross-validated AUC below which a parent is said not to know its own concept."""
STEPS = 5000
"""Most steps of one fit (L-BFGS): tens are usual, and some hundreds at the weakest strengths."""

Row = NDArray[np.float64]
Matrix = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """What cross-validation says: quality on held-out pictures at the chosen strength, and the loss at each."""

    strength: float
    accuracy: float
    auc: float
    losses: tuple[float, ...]
    log_odds: Matrix
    """Of each picture [N], by a head that was fitted without it, at the chosen strength."""


def fit(options: Fit, concept: str, run: Run) -> Population:
    """The backbone with one new head per member, whose output 0 means `concept` and output 1 its absence."""
    images = run.pictures[0]
    require_both_classes(images, concept, f"training pictures of {concept!r}")
    shown = images.labels[concept]
    rarer = min(shown.sum(), (~shown).sum())
    if rarer < 2:
        raise ComposerError(f"fit: cross-validation needs two pictures with {concept!r} and two without; add some")
    backbone = options.backbone.load_body(concept, run)
    features = backbone.features(images, run.device).double().numpy()  # [M, N, D]
    splitter = StratifiedKFold(min(options.folds, int(rarer)), shuffle=True, random_state=run.seed % 2**32)
    splits = list(splitter.split(features[0], shown))
    # On matrices this small threads cost more than they bring: 30 times the time where the cores are busy.
    with threadpool_limits(1, user_api="blas"):
        choices = [choose_strength(own, shown, splits, options, concept, run) for own in features]
        heads = [
            fitted(own, shown, choice.strength, options).as_layer()
            for own, choice in zip(features, choices, strict=True)
        ]
    run.measure("held_out_auc", [choice.auc for choice in choices])
    report(choices, concept, options, backbone.members, run)
    name = backbone.architecture.head
    weights = {key: tensor for key, tensor in backbone.weights.items() if not key.startswith(f"{name}.")}
    weights[f"{name}.weight"] = torch.stack([weight for weight, _ in heads])  # [M, 2, D]
    weights[f"{name}.bias"] = torch.stack([bias for _, bias in heads])  # [M, 2]
    members = tuple(f"{concept} on {member}" for member in backbone.members)
    said = torch.from_numpy(np.stack([choice.log_odds for choice in choices])).float()
    how = f"each picture, judged by a head fitted without it ({len(splits)} parts)"
    unseen = HeldOut(said, torch.from_numpy(shown.copy()), how, options.balanced)
    whole = replace(backbone, concept=concept, weights=weights, members=members, outputs=(0,), _memo={})
    return replace(whole, calibration=None, held_out=unseen, _memo={})


@dataclass(frozen=True)
class Head:
    """A fitted head, and how the features are scaled that it looks at. centre, scale: [D]."""

    centre: Row
    scale: Row
    classifier: LogisticRegression

    def log_odds(self, features: Matrix) -> Row:
        """[N], from features [N, D] as they come."""
        found: Row = self.classifier.decision_function((features - self.centre) / self.scale)
        return found

    def as_layer(self) -> tuple[Tensor, Tensor]:
        """Weight [2, D] and bias [2] for features as they come, whose first output minus the second is the log-odds."""
        weight = self.classifier.coef_[0] / self.scale  # [D]
        bias = self.classifier.intercept_[0] - weight @ self.centre
        rows = np.stack([weight, -weight]) / 2
        return torch.from_numpy(rows).float(), torch.tensor([bias / 2, -bias / 2], dtype=torch.float32)


def fitted(features: Matrix, shown: Flags, strength: float, options: Fit) -> Head:
    """The head of logistic regression at one L2 strength, on features scaled as the options say."""
    scaler = StandardScaler().fit(features)
    centre, scale = scaler.mean_, scaler.scale_
    if options.scaling == "common":
        scale = np.full_like(centre, np.sqrt(scaler.var_.mean()) or 1.0)  # 1 where nothing varies at all
    weight = "balanced" if options.balanced else None
    classifier = LogisticRegression(C=1 / strength, class_weight=weight, max_iter=STEPS, tol=1e-6)
    return Head(centre, scale, classifier.fit((features - centre) / scale, shown))


def choose_strength(
    features: Matrix,
    shown: Flags,
    splits: Sequence[tuple[NDArray[np.int_], NDArray[np.int_]]],
    options: Fit,
    concept: str,
    run: Run,
) -> Choice:
    """The strength of lowest cross-entropy on held-out pictures; of equals the first."""
    log_odds = np.empty((len(options.strengths), len(shown)))
    tasks = list(product(range(len(options.strengths)), splits))
    for index, (train, test) in run.progress(tasks, f"cross-validating {concept}", len(tasks)):
        head = fitted(features[train], shown[train], options.strengths[index], options)
        log_odds[index, test] = head.log_odds(features[test])
    importance = compute_sample_weight("balanced", shown) if options.balanced else None
    losses = tuple(float(log_loss(shown, sigmoid(row), sample_weight=importance)) for row in log_odds)
    best = int(np.argmin(losses))
    return Choice(
        options.strengths[best],
        accuracy=float(((log_odds[best] > 0) == shown).mean()),
        auc=float(roc_auc_score(shown, log_odds[best])),
        losses=losses,
        log_odds=log_odds[best],
    )


def sigmoid(log_odds: Matrix) -> Matrix:
    probability: Matrix = np.exp(-np.logaddexp(0, -log_odds))
    return probability


def report(choices: Sequence[Choice], concept: str, options: Fit, members: Sequence[str], run: Run) -> None:
    """Records how the strengths compare, and warns of members that do not know their own concept."""
    middle = sorted(choices, key=lambda choice: choice.auc)[(len(choices) - 1) // 2]
    said = f"AUC {middle.auc:.3f}, accuracy {middle.accuracy:.3f}"
    run.figure(
        "fit",
        Lines(
            title=f"fit of {concept}, on held-out training pictures: {said}",
            series={member: choice.losses for member, choice in zip(members, choices, strict=True)},
            x_label=f"L2 strength: {', '.join(f'{strength:g}' for strength in options.strengths)}",
            y_label="cross-entropy (nats)",
        ),
    )
    weak = [choice for choice in choices if choice.auc < WEAK]
    if weak:
        count = f"{len(weak)} of {len(choices)} heads" if len(choices) > 1 else "the head"
        worst = min(weak, key=lambda choice: choice.auc)
        run.warn(
            f"{count} fitted for {concept!r} cannot tell it well on training pictures held out from the fit (AUC "
            f"{worst.auc:.3f}, accuracy {worst.accuracy:.3f}; below an AUC of {WEAK} nothing good can be composed "
            "from it); give it more or cleaner pictures, or another backbone"
        )
