"""The course of a training: all that changes on the way, so that it can be kept and go on, and when it stops."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from composer import Run

KEEP_EVERY = 30.0
"""Seconds after which, at the end of an epoch, a training keeps what it needs to go on."""


def of_better(better: Tensor, now: Tensor, before: Tensor) -> Tensor:
    """[M, ...]: what is now of the members that are `better`, bool [M], and what was before of the others."""
    return torch.where(better.view(-1, *[1] * (now.ndim - 1)), now, before)


@dataclass
class Best:
    """The weights with which each member's loss on held-out pictures was least, and the epoch of it."""

    patience: int
    loss: Tensor  # float32 [M]
    epoch: Tensor  # int64 [M], -1 before the first
    weights: dict[str, Tensor] = field(default_factory=dict)  # [M, ...] on the CPU

    @classmethod
    def of(cls, members: int, patience: int) -> Best:
        """Before the first epoch."""
        return cls(patience, torch.full((members,), torch.inf), torch.full((members,), -1))

    def look(self, epoch: int, loss: Tensor, weights: Mapping[str, Tensor]) -> bool:
        """Takes over what is better now, of members that have not stopped; whether all have stopped."""
        better = (epoch - self.epoch <= self.patience) & (loss < self.loss)
        self.loss = torch.where(better, loss, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        for name, tensor in weights.items():
            self.weights[name] = of_better(better, tensor, self.weights.get(name, tensor))
        return bool((epoch - self.epoch >= self.patience).all())


@dataclass
class Course:
    """Weights that are trained, in groups of members, and all else that the next step depends on."""

    groups: Sequence[dict[str, Tensor]]
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    losses: Tensor  # [epochs, M]
    best: Best | None = None
    done: int = 0
    """Epochs that are over."""
    stopped: bool = False

    def keep(self, run: Run) -> None:
        """Keeps it in the run's store, where there is one."""
        if run.keeper is not None:
            run.keeper.keep(_name(run), self._state(run))

    def go_on(self, run: Run) -> None:
        """Takes over what a killed training has kept, on the same kind of device; else all stays."""
        state = None if run.keeper is None else run.keeper.kept(_name(run))
        if state is None:
            return
        self.done, self.stopped = int(state["done"]), bool(state["stopped"])
        self.losses.copy_(state["losses"])
        self.generator.set_state(state["generator"])
        _set_random_state(state, run)
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(state[name])
        self.optimiser.load_state_dict(
            {
                "state": {
                    index: {what: state[f"optimiser.{index}.{what}"] for what in ("step", "exp_avg", "exp_avg_sq")}
                    for index in range(len(self.optimiser.param_groups[0]["params"]))
                },
                "param_groups": self.optimiser.state_dict()["param_groups"],
            }
        )
        if self.best is not None:
            self.best.loss, self.best.epoch = state["best loss"], state["best epoch"]
            self.best.weights = {
                name.removeprefix("best."): tensor for name, tensor in state.items() if name.startswith("best.")
            }

    def _tensors(self) -> dict[str, Tensor]:
        return {f"{index}.{name}": tensor for index, group in enumerate(self.groups) for name, tensor in group.items()}

    def _state(self, run: Run) -> dict[str, Tensor]:
        steps = self.optimiser.state_dict()["state"]
        state = {
            "done": torch.tensor(self.done),
            "stopped": torch.tensor(self.stopped),
            "losses": self.losses,
            "generator": self.generator.get_state(),
            **_random_state(run),
            **self._tensors(),
            **{f"optimiser.{index}.{what}": value for index, own in steps.items() for what, value in own.items()},
        }
        if self.best is None:
            return state
        best = {f"best.{name}": tensor for name, tensor in self.best.weights.items()}
        return {**state, "best loss": self.best.loss, "best epoch": self.best.epoch, **best}


class Watch:
    """Says when it is time to keep a training."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether KEEP_EVERY seconds have passed since it last said so."""
        if time.monotonic() - self._last < KEEP_EVERY:
            return False
        self._last = time.monotonic()
        return True


def _name(run: Run) -> str:
    return f"training-{torch.device(run.device).type}"


def _random_state(run: Run) -> dict[str, Tensor]:
    states = {"random": torch.default_generator.get_state()}
    if torch.device(run.device).type == "cuda":
        states["random on the device"] = torch.cuda.get_rng_state(run.device)
    return states


def _set_random_state(state: Mapping[str, Tensor], run: Run) -> None:
    torch.default_generator.set_state(state["random"])
    if torch.device(run.device).type == "cuda":
        torch.cuda.set_rng_state(state["random on the device"], run.device)
