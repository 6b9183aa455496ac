"""Composer makes machine-learning models out of machine-learning models.

All that a plugin may use is here. Names that need torch are imported on first use, so that
`composer --help` and `composer check` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from composer.component import Component, Contract, RecipePath
from composer.data.expressions import Expression, cell_concepts, cell_name, cell_names
from composer.data.figures import Heatmap, Histogram, Lines, Scatter, Strip, Table, Tiles
from composer.data.files import is_picture, picture_files
from composer.data.run import Run
from composer.data.score_info import ScoreInfo
from composer.errors import ComposerError
from composer.hookspecs import Stage, hook
from composer.interfaces import (
    Assembler,
    Criterion,
    Evaluator,
    ImageSource,
    KernelExtractor,
    ModelSource,
    Split,
    Translator,
)
from composer.networks.architecture import Architecture, Footprint
from composer.version import __version__ as __version__

if TYPE_CHECKING:
    from composer.api import Composed, compose
    from composer.bodies.alignment import aligned
    from composer.bodies.heads import headed
    from composer.bodies.recalibration import recalibrated
    from composer.data.composed import ComposedModel
    from composer.data.curve import Curve, HeldOut
    from composer.data.decoding import FileDecoder, UnreadablePictureError
    from composer.data.dependence import Dependence
    from composer.data.images import Images, require_both_classes
    from composer.data.kernels import KernelSet
    from composer.data.population import Population, Preprocessing
    from composer.data.ranking import auc
    from composer.data.scores import Report, Score, agreement, replicate, resamples
    from composer.judging.comparison import expected_best
    from composer.judging.embedding import umap_embedding
    from composer.models.cards import published_card
    from composer.models.classifiers import Classifier, UnitedModel, unite
    from composer.models.in_memory import Parent, distil, product
    from composer.models.known_networks import KnownNetwork, NetworkLibrary
    from composer.models.loading import LoadedModel, Prediction, load
    from composer.models.model_folder import open_model
    from composer.models.network_weights import FoundNetwork, WeightsReader, read_weights
    from composer.networks.couplings import CouplingGroup, Couplings
    from composer.networks.matching import match_weights
    from composer.networks.stacking import stack
    from composer.networks.state_file import StateFile, read_state_file
    from composer.registry import load_registry
    from composer.running.elsewhere import Ended, Place, work_elsewhere
    from composer.running.executors import Executor
    from composer.running.step import Step
    from composer.zoo.entry import Concept
    from composer.zoo.phrases import PhraseError, Understanding, Understood
    from composer.zoo.zoo import Zoo

_LATER = {
    name: f"composer.{module}"
    for module, names in {
        "api": "Composed compose",
        "bodies.alignment": "aligned",
        "bodies.heads": "headed",
        "bodies.recalibration": "recalibrated",
        "data.composed": "ComposedModel",
        "data.curve": "Curve HeldOut",
        "data.decoding": "FileDecoder UnreadablePictureError",
        "data.dependence": "Dependence",
        "data.images": "Images require_both_classes",
        "data.kernels": "KernelSet",
        "data.population": "Population Preprocessing",
        "data.ranking": "auc",
        "data.scores": "Report Score agreement replicate resamples",
        "judging.comparison": "expected_best",
        "judging.embedding": "umap_embedding",
        "models.cards": "published_card",
        "models.classifiers": "Classifier UnitedModel unite",
        "models.in_memory": "Parent distil product",
        "models.known_networks": "KnownNetwork NetworkLibrary",
        "models.loading": "LoadedModel Prediction load",
        "models.model_folder": "open_model",
        "models.network_weights": "FoundNetwork WeightsReader read_weights",
        "networks.couplings": "CouplingGroup Couplings",
        "networks.matching": "match_weights",
        "networks.stacking": "stack",
        "networks.state_file": "StateFile read_state_file",
        "registry": "load_registry",
        "running.elsewhere": "Ended Place work_elsewhere",
        "running.executors": "Executor",
        "running.step": "Step",
        "zoo.entry": "Concept",
        "zoo.phrases": "PhraseError Understanding Understood",
        "zoo.zoo": "Zoo",
    }.items()
    for name in names.split()
}
"""Where each name stands that is imported on first use."""

__all__ = [
    "Architecture",
    "Assembler",
    "Classifier",
    "Component",
    "Composed",
    "ComposedModel",
    "ComposerError",
    "Concept",
    "Contract",
    "CouplingGroup",
    "Couplings",
    "Criterion",
    "Curve",
    "Dependence",
    "Ended",
    "Evaluator",
    "Executor",
    "Expression",
    "FileDecoder",
    "Footprint",
    "FoundNetwork",
    "Heatmap",
    "HeldOut",
    "Histogram",
    "ImageSource",
    "Images",
    "KernelExtractor",
    "KernelSet",
    "KnownNetwork",
    "Lines",
    "LoadedModel",
    "ModelSource",
    "NetworkLibrary",
    "Parent",
    "PhraseError",
    "Place",
    "Population",
    "Prediction",
    "Preprocessing",
    "RecipePath",
    "Report",
    "Run",
    "Scatter",
    "Score",
    "ScoreInfo",
    "Split",
    "Stage",
    "StateFile",
    "Step",
    "Strip",
    "Table",
    "Tiles",
    "Translator",
    "Understanding",
    "Understood",
    "UnitedModel",
    "UnreadablePictureError",
    "WeightsReader",
    "Zoo",
    "agreement",
    "aligned",
    "auc",
    "cell_concepts",
    "cell_name",
    "cell_names",
    "compose",
    "distil",
    "expected_best",
    "headed",
    "hook",
    "is_picture",
    "load",
    "load_registry",
    "match_weights",
    "open_model",
    "picture_files",
    "product",
    "published_card",
    "read_state_file",
    "read_weights",
    "recalibrated",
    "replicate",
    "require_both_classes",
    "resamples",
    "stack",
    "umap_embedding",
    "unite",
    "work_elsewhere",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'composer' has no attribute {name!r}")
