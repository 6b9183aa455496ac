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
    from composer.data.decoding import FileDecoder, UnreadablePictureError, read_picture
    from composer.data.dependence import Dependence
    from composer.data.images import Images, require_both_classes
    from composer.data.kernels import KernelSet
    from composer.data.population import Population, Preprocessing
    from composer.data.ranking import auc
    from composer.data.scores import Report, Score, agreement, replicate, resamples, tells_apart
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
    "Classifier": "composer.models.classifiers",
    "Composed": "composer.api",
    "ComposedModel": "composer.data.composed",
    "Concept": "composer.zoo.entry",
    "CouplingGroup": "composer.networks.couplings",
    "Couplings": "composer.networks.couplings",
    "Curve": "composer.data.curve",
    "Dependence": "composer.data.dependence",
    "Ended": "composer.running.elsewhere",
    "Executor": "composer.running.executors",
    "FileDecoder": "composer.data.decoding",
    "FoundNetwork": "composer.models.network_weights",
    "HeldOut": "composer.data.curve",
    "Images": "composer.data.images",
    "KernelSet": "composer.data.kernels",
    "KnownNetwork": "composer.models.known_networks",
    "LoadedModel": "composer.models.loading",
    "NetworkLibrary": "composer.models.known_networks",
    "Parent": "composer.models.in_memory",
    "PhraseError": "composer.zoo.phrases",
    "Place": "composer.running.elsewhere",
    "Population": "composer.data.population",
    "Prediction": "composer.models.loading",
    "Preprocessing": "composer.data.population",
    "Report": "composer.data.scores",
    "Score": "composer.data.scores",
    "StateFile": "composer.networks.state_file",
    "Step": "composer.running.step",
    "Understanding": "composer.zoo.phrases",
    "Understood": "composer.zoo.phrases",
    "UnitedModel": "composer.models.classifiers",
    "UnreadablePictureError": "composer.data.decoding",
    "WeightsReader": "composer.models.network_weights",
    "Zoo": "composer.zoo.zoo",
    "agreement": "composer.data.scores",
    "aligned": "composer.bodies.alignment",
    "auc": "composer.data.ranking",
    "compose": "composer.api",
    "distil": "composer.models.in_memory",
    "expected_best": "composer.judging.comparison",
    "headed": "composer.bodies.heads",
    "load": "composer.models.loading",
    "load_registry": "composer.registry",
    "match_weights": "composer.networks.matching",
    "open_model": "composer.models.model_folder",
    "product": "composer.models.in_memory",
    "published_card": "composer.models.cards",
    "read_picture": "composer.data.decoding",
    "read_state_file": "composer.networks.state_file",
    "read_weights": "composer.models.network_weights",
    "recalibrated": "composer.bodies.recalibration",
    "replicate": "composer.data.scores",
    "require_both_classes": "composer.data.images",
    "resamples": "composer.data.scores",
    "stack": "composer.networks.stacking",
    "tells_apart": "composer.data.scores",
    "umap_embedding": "composer.judging.embedding",
    "unite": "composer.models.classifiers",
    "work_elsewhere": "composer.running.elsewhere",
}

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
    "read_picture",
    "read_state_file",
    "read_weights",
    "recalibrated",
    "replicate",
    "require_both_classes",
    "resamples",
    "stack",
    "tells_apart",
    "umap_embedding",
    "unite",
    "work_elsewhere",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'composer' has no attribute {name!r}")
