"""What a component is given beside its inputs: a seed, a device, pictures, and places to report to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from composer.data.figures import Figure

if TYPE_CHECKING:
    import numpy as np
    import torch

    from composer.data.expressions import Expression
    from composer.data.images import Images, Keeper
    from composer.data.kernels import KernelSet
    from composer.data.population import Population

Item = TypeVar("Item")


def nowhere(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass
class Run:
    """The surroundings of one stage. Two runs with the same seed give the same bytes.

    pictures: the parents' own training pictures, one set per parent, where the contract asks for them.
    kernels: for an evaluator whose contract asks for them, the kernels of each parent; none where the composition
    was made without any.
    parents: for a translator or an evaluator whose contract asks for them, the parents themselves.
    target: for an assembler, what its model is to tell; none where all concepts at once are asked for.
    keeper: where a stage that takes long keeps what it needs to go on after it was killed; gone once it has finished.
    learned: for an assembler that learns from other concepts, what it has learned.
    picked: for an evaluator, the member that was picked without labels: replicates and figures are of this one.
    """

    seed: int = 0
    device: str = "cpu"
    pictures: tuple[Images, ...] = ()
    kernels: tuple[KernelSet, ...] = ()
    report_progress: Callable[[str, int, int], None] = nowhere
    figures: dict[str, Figure] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    measured: dict[str, list[float]] = field(default_factory=dict)
    picked: int = 0
    target: Expression | None = None
    keeper: Keeper | None = None
    parents: tuple[Population, ...] = ()
    learned: Mapping[str, Any] = field(default_factory=dict)

    def generator(self) -> torch.Generator:
        """A fresh CPU generator that starts from the stage's seed."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def rng(self) -> np.random.Generator:
        """A fresh numpy generator that starts from the stage's seed."""
        import numpy as np

        return np.random.default_rng(self.seed)

    def progress(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """`items`, telling the watchers how far the work has come."""
        self.report_progress(what, 0, total)
        for done, item in enumerate(items, start=1):
            yield item
            self.report_progress(what, done, total)

    def figure(self, name: str, figure: Figure) -> None:
        """Keeps a figure for the run's `figures/` folder and the report."""
        self.figures[name] = figure

    def warn(self, message: str) -> None:
        """Says in the report something that the user should know and that is no error."""
        self.warnings.append(message)

    def measure(self, name: str, values: Sequence[float]) -> None:
        """Keeps for the report what was measured on the way, a value per member that has one.

        Model sources call the AUC on training pictures that a member was not trained on `held_out_auc`.
        """
        self.measured[name] = [float(value) for value in values]
