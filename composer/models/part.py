"""One network of a loaded model, as an `nn.Module`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from composer.data.population import Population, concept_log_odds
from composer.errors import ComposerError
from composer.models.pixels import resize


class Part(nn.Module):
    """One network of a composition with its own preprocessing."""

    def __init__(self, population: Population, body: Part | None = None) -> None:
        super().__init__()
        self.concept = population.concept
        self.member = population.members[0]
        self.architecture = population.architecture
        self.preprocessing = population.preprocessing
        self.outputs, self.cells, self.calibration = population.outputs, population.cells, population.calibration
        self.network: nn.Module = _network(population) if body is None else body.network
        self.own_head = None if body is None else _network(population).get_submodule(population.architecture.head)

    @property
    def size(self) -> int:
        """Height and width of the network's input."""
        return self.preprocessing.size

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from pixels 0..255 of any size."""
        features: Tensor = self.network.features(self._prepared(pixels))  # type: ignore[operator]  # untyped attribute
        return features

    def logits(self, pixels: Tensor) -> Tensor:
        """All outputs of the head, float32 [N, K], from pixels 0..255 of any size."""
        if self.own_head is not None:
            return self.logits_of(self.features(pixels))
        logits: Tensor = self.network(self._prepared(pixels))
        return logits

    def logits_of(self, features: Tensor) -> Tensor:
        """All outputs of the head, float32 [N, K], from the body's features [N, D]."""
        head = self.network.get_submodule(self.architecture.head) if self.own_head is None else self.own_head
        logits: Tensor = head(features)
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        """Log-odds of the concept, float32 [N], from pixels 0..255 of any size."""
        return self._calibrated(concept_log_odds(self.logits(pixels), self.outputs))

    def log_odds_of(self, features: Tensor) -> Tensor:
        """Log-odds of the concept, float32 [N], from the body's features [N, D]."""
        return self._calibrated(concept_log_odds(self.logits_of(features), self.outputs))

    def _calibrated(self, log_odds: Tensor) -> Tensor:
        return log_odds if self.calibration is None else self.calibration(log_odds[None])[0]

    def population(self) -> Population:
        """The network as a population of one member, with the weights that it has now."""
        weights = {name: tensor.detach().cpu()[None] for name, tensor in self.network.state_dict().items()}
        if self.own_head is not None:
            own = self.own_head.state_dict().items()
            weights |= {f"{self.architecture.head}.{name}": tensor.detach().cpu()[None] for name, tensor in own}
        about = self.preprocessing, self.outputs, self.cells, self.calibration
        return Population(self.concept, self.architecture, weights, (self.member,), *about)

    def _prepared(self, pixels: Tensor) -> Tensor:
        return self.preprocessing(resize(pixels, self.size))


def _network(population: Population) -> nn.Module:
    """The architecture's own network with the only member's weights; without a head its outputs are its features."""
    architecture, head = population.architecture, population.architecture.head
    if misfit := architecture.misfit(population.weights, head=population.has_head):
        raise ComposerError(f"the weights do not fit architecture {architecture.name!r} as it is installed ({misfit})")
    state = {name: tensor[0] for name, tensor in population.weights.items()}
    outputs = len(state[f"{head}.weight"]) if population.has_head else 1
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn before ours replace them
        network = architecture.build(outputs)
    if not population.has_head:
        network.set_submodule(head, nn.Identity())
        state = {name: tensor for name, tensor in state.items() if not name.startswith(f"{head}.")}
    network.load_state_dict(state, strict=False)  # counts of steps may be missing
    return network
