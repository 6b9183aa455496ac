"""Calls a component and notes everything it does beside returning a value."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from composer.data.images import Images
from composer.data.run import Run
from composer.interfaces import Split
from composer.running.storage import pack

SIZE = 32
"""Height and width at which pictures are compared that have none of their own."""


@dataclass(frozen=True)
class Observation:
    """One call: what it returned or raised, and what else it did."""

    value: Any
    error: BaseException | None
    run: Run
    output: str
    """What reached the terminal."""
    random_states: tuple[str, ...]
    """The global random states that changed."""
    settings: tuple[str, ...]
    """The global settings that changed: `torch's thread count: 2 before, 1 after`."""
    inputs: tuple[str, ...]
    """The parts of the inputs that changed."""


def observe(call: Callable[..., Any], inputs: tuple[Any, ...], run: Run, global_seed: int) -> Observation:
    """Calls `call(*inputs, run)` with the global random states set from `global_seed`; all are put back afterwards.

    Two calls that differ in `global_seed` alone give the same bytes where the work takes its seed from `run`.
    """
    before = fingerprint((*inputs, *run.pictures, *run.kernels, *run.parents))
    value, error = None, None
    with _kept_settings() as settings, _kept_random_states(global_seed) as states, _captured() as output:
        started = {name: state() for name, (state, _) in _RANDOM.items()}
        try:
            value = call(*inputs, run)
        except (Exception, SystemExit) as raised:  # a component may raise anything, and that is what is looked at
            error = raised
        states += [name for name, (state, _) in _RANDOM.items() if not _equal(started[name], state())]
    after = fingerprint((*inputs, *run.pictures, *run.kernels, *run.parents))
    changed = tuple(part for part in sorted(before) if before[part] != after.get(part))
    return Observation(value, error, run, "".join(output), tuple(states), tuple(settings), changed)


# -- what must stay as it is -----------------------------------------------------------------

_RANDOM: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "python's random": (random.getstate, random.setstate),
    "numpy.random": (np.random.get_state, np.random.set_state),  # the global state is the point
    "torch's default generator": (torch.get_rng_state, torch.set_rng_state),
}
_SETTINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "torch's thread count": (torch.get_num_threads, torch.set_num_threads),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "the working directory": (os.getcwd, os.chdir),
}


@contextmanager
def _kept_settings() -> Iterator[list[str]]:
    changed: list[str] = []
    before = {name: get() for name, (get, _) in _SETTINGS.items()}
    try:
        yield changed
    finally:
        for name, (get, put) in _SETTINGS.items():
            if (after := get()) != before[name]:
                changed.append(f"{name}: {before[name]} before, {after} after")
                put(before[name])


@contextmanager
def _kept_random_states(seed: int) -> Iterator[list[str]]:
    before = {name: get() for name, (get, _) in _RANDOM.items()}
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the global state is the point
    torch.default_generator.manual_seed(seed)
    try:
        yield []
    finally:
        for name, (_, put) in _RANDOM.items():
            put(before[name])


def _equal(one: Any, other: Any) -> bool:
    """Equality of random states, which are tuples of tuples, arrays or tensors."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray | Tensor):
        return bool((one == other).all())
    return bool(one == other)


@contextmanager
def _captured() -> Iterator[list[str]]:
    """What is written to file descriptors 1 and 2, by C libraries too, and to `sys.stdout` and `sys.stderr`.

    Both are needed: pytest and others put streams in place of the two that lead past the descriptors.
    """
    written: list[str] = []
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace", buffering=1) as file:
        kept = [os.dup(1), os.dup(2)]
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        sys.stdout = sys.stderr = file
        try:
            yield written
        finally:
            _flush(file, *streams)
            sys.stdout, sys.stderr = streams
            for descriptor, own in zip((1, 2), kept, strict=True):
                os.dup2(own, descriptor)
                os.close(own)
            file.seek(0)
            written.append(file.read())


def _flush(*streams: IO[str]) -> None:
    """A stream that was held on to before the call is flushed into the file too."""
    for stream in streams:
        stream.flush()


# -- what two values have in common ----------------------------------------------------------


def fingerprint(value: Any) -> dict[str, str]:
    """Part of a value -> sha256 of its bytes; equal for equal data and nothing else."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        parts = {"length": str(len(value))}
        for key, item in value.items():
            parts |= {f"{key}.{name}" if name else str(key): part for name, part in fingerprint(item).items()}
        return parts
    if isinstance(value, Tensor):
        return {"": _tensor_digest(value)}
    if isinstance(value, Images):
        return _images_fingerprint(value)
    if value is None or isinstance(value, str | Split):
        return {"": repr(value)}
    facts, tensors = pack(value)
    return {
        **{name: repr(fact) for name, fact in facts.items()},
        **{name: _tensor_digest(tensor) for name, tensor in tensors.items()},
    }


def _images_fingerprint(images: Images) -> dict[str, str]:
    pixels = images.at(SIZE) if images.native is None else images.native
    return {
        "names": repr(images.names),
        **{f"labels of {concept}": _array_digest(values) for concept, values in images.labels.items()},
        "pixels": _tensor_digest(pixels),
    }


def _tensor_digest(tensor: Tensor) -> str:
    data = tensor.detach().cpu()
    row = data.new_empty(data.numel()).copy_(data.reshape(-1))  # any strides may be met, one is wanted
    content = row.view(torch.uint8).numpy().tobytes()
    return f"{data.dtype} {list(data.shape)} {hashlib.sha256(content).hexdigest()}"


def _array_digest(values: np.ndarray[Any, Any]) -> str:
    return f"{values.dtype} {values.shape} {hashlib.sha256(values.tobytes()).hexdigest()}"


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> Sequence[str]:
    """The parts that two fingerprints do not share."""
    return sorted(part for part in {**one, **other} if one.get(part) != other.get(part))
