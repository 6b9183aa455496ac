"""Composer makes machine-learning models out of machine-learning models.

All that a plugin may use is here. Names that need torch are imported on first use, so that
`composer --help` and `composer check` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from composer.component import Component, Contract, RecipePath
from composer.data.expressions import Expression, cell_concepts, cell_name, cell_names
from composer.data.score_info import ScoreInfo
from composer.errors import ComposerError
from composer.figures import Heatmap, Histogram, Lines, Scatter, Strip, Tiles
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
from composer.run import Run
from composer.version import __version__ as __version__

if TYPE_CHECKING:
    from composer.api import compose
    from composer.composed import ComposedModel
    from composer.decoding import FileDecoder, UnreadablePictureError, read_picture
    from composer.images import Images, require_both_classes
    from composer.kernels import KernelSet
    from composer.models.loading import LoadedModel, Prediction, load
    from composer.models.network_weights import FoundNetwork, WeightsReader, read_weights
    from composer.models.state_file import StateFile, read_state_file
    from composer.networks.heads import headed
    from composer.networks.recalibration import recalibrated
    from composer.population import Population, Preprocessing
    from composer.ranking import auc
    from composer.scores import Report, Score, agreement, replicate, resamples, tells_apart
    from composer.stacking import stack

_LATER = {
    "ComposedModel": "composer.composed",
    "FileDecoder": "composer.decoding",
    "LoadedModel": "composer.models.loading",
    "Prediction": "composer.models.loading",
    "FoundNetwork": "composer.models.network_weights",
    "Images": "composer.images",
    "KernelSet": "composer.kernels",
    "Population": "composer.population",
    "Preprocessing": "composer.population",
    "Report": "composer.scores",
    "Score": "composer.scores",
    "StateFile": "composer.models.state_file",
    "UnreadablePictureError": "composer.decoding",
    "WeightsReader": "composer.models.network_weights",
    "compose": "composer.api",
    "headed": "composer.networks.heads",
    "expected_best": "composer.judging.comparison",
    "load": "composer.models.loading",
    "auc": "composer.ranking",
    "agreement": "composer.scores",
    "tells_apart": "composer.scores",
    "read_picture": "composer.decoding",
    "read_state_file": "composer.models.state_file",
    "recalibrated": "composer.networks.recalibration",
    "read_weights": "composer.models.network_weights",
    "replicate": "composer.scores",
    "require_both_classes": "composer.images",
    "resamples": "composer.scores",
    "stack": "composer.stacking",
}

__all__ = [
    "Architecture",
    "Assembler",
    "Component",
    "ComposedModel",
    "ComposerError",
    "Contract",
    "Criterion",
    "Evaluator",
    "Expression",
    "FileDecoder",
    "Footprint",
    "FoundNetwork",
    "Heatmap",
    "Histogram",
    "ImageSource",
    "Images",
    "KernelExtractor",
    "KernelSet",
    "Lines",
    "LoadedModel",
    "ModelSource",
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
    "Strip",
    "Tiles",
    "Translator",
    "UnreadablePictureError",
    "WeightsReader",
    "agreement",
    "auc",
    "cell_concepts",
    "cell_name",
    "cell_names",
    "compose",
    "expected_best",
    "headed",
    "hook",
    "load",
    "read_picture",
    "read_state_file",
    "read_weights",
    "recalibrated",
    "replicate",
    "require_both_classes",
    "resamples",
    "stack",
    "tells_apart",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'composer' has no attribute {name!r}")
