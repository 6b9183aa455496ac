"""Tensors as a file describes them, made out of its bytes once their sizes are known to be honest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROOM = 64
"""How many times a file's own size its sparse and repeated tensors may take together, once they are written out."""


class DamagedError(Exception):
    """A file's descriptions and its bytes do not agree."""


class UnreadableError(Exception):
    """A tensor of a kind that is not read; the message names it."""


def unchanging(self: object, state: object) -> None:
    """Stands for `__setstate__` in what a pickle must not change."""
    raise TypeError(f"a {type(self).__name__} is given a state")


@dataclass(frozen=True, slots=True)
class Storage:
    """Numbers that lie one after another in a file."""

    key: str
    dtype: torch.dtype
    count: int
    first: int = 0
    """Which of the numbers under `key` is the first one."""
    __setstate__ = unchanging


@dataclass(frozen=True, slots=True)
class Promise:
    """A tensor as its file describes it."""

    storage: Storage | None
    dtype: torch.dtype
    offset: int = 0
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    layout: str = "strided"
    parts: tuple[Any, ...] = ()
    """Indices and values of a sparse tensor."""
    kind: str = ""
    """What it is instead of an ordinary tensor, where it cannot be read."""

    __setstate__ = unchanging

    @property
    def bytes(self) -> int:
        """What it takes when it is written out."""
        return math.prod(self.size) * self.dtype.itemsize


def numbers(content: bytearray, dtype: torch.dtype, start: int, length: int) -> Tensor:
    """So many bytes of a file as a row of numbers, which are not copied."""
    if length % dtype.itemsize:
        raise DamagedError(f"{length:,} bytes are no whole numbers of {dtype.itemsize} bytes")
    row = torch.frombuffer(content, dtype=dtype, count=length // dtype.itemsize, offset=start)
    if row.data_ptr() % dtype.itemsize:  # no processor has to read numbers from between two places
        return torch.frombuffer(content, dtype=torch.uint8, count=length, offset=start).clone().view(dtype)
    return row


class StoredTensors:
    """The tensors of one file, of which `places` says where each storage begins and how many bytes it has."""

    def __init__(self, content: bytearray, places: Mapping[str, tuple[int, int]]) -> None:
        self.content = content
        self.places = places
        self.room = ROOM * len(content)

    def fill(self, data: Any) -> Any:
        """The data with tensors in place of promises, in mappings at whatever depth."""
        if isinstance(data, Promise):
            return self.tensor(data, "the tensor")
        seen, open_ = set[int](), [data]
        while open_:
            mapping = open_.pop()
            if not isinstance(mapping, dict) or id(mapping) in seen:
                continue
            seen.add(id(mapping))
            for name, value in mapping.items():
                if isinstance(value, Promise):
                    mapping[name] = self.tensor(value, str(name))
                elif isinstance(value, dict):
                    open_.append(value)
        return data

    def tensor(self, promise: Promise, name: str) -> Tensor:
        """One tensor, dense and on the CPU, or on the meta device where the file has no numbers for it."""
        if promise.kind:
            raise UnreadableError(f"{name} is {promise.kind}")
        if not all(type(n) is int and n >= 0 for n in (promise.offset, *promise.size)):
            raise DamagedError(f"{name} has the shape {list(promise.size)}")
        if promise.layout == "meta":
            return torch.empty(promise.size, dtype=promise.dtype, device="meta")
        if promise.layout != "strided":
            return self._dense(promise, name)
        return self._strided(promise, name)

    def _strided(self, promise: Promise, name: str) -> Tensor:
        storage, size, stride = promise.storage, promise.size, promise.stride
        assert storage is not None, "a strided tensor has numbers"
        there = self._numbers(storage, promise.dtype, name)
        if not size or all(size):
            last = promise.offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
            if last >= len(there) or any(step < 0 for step in stride):
                raise DamagedError(f"{name}: {list(size)} numbers are promised, and fewer are there")
        else:
            return torch.empty(size, dtype=promise.dtype)
        self._spend(promise.bytes - len(there) * promise.dtype.itemsize, promise, name)
        return there.as_strided(size, stride, promise.offset)

    def _numbers(self, storage: Storage, dtype: torch.dtype, name: str) -> Tensor:
        if storage.key not in self.places:
            raise DamagedError(f"the numbers of {name} are missing")
        start, length = self.places[storage.key]
        begin, count = storage.first * storage.dtype.itemsize, storage.count * storage.dtype.itemsize
        if begin < 0 or count < 0 or begin + count > length:
            raise DamagedError(f"{name}: {count:,} bytes are promised, and {max(length - begin, 0):,} are there")
        if not count:
            return torch.empty(0, dtype=dtype)
        return numbers(self.content, dtype, start + begin, count)

    def _dense(self, promise: Promise, name: str) -> Tensor:
        """A sparse tensor written out."""
        self._spend(promise.bytes, promise, name)
        parts = [self._strided(part, name) for part in promise.parts]
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)  # that they are in beta
                if promise.layout == "sparse_coo":
                    indices, values = parts
                    return torch.sparse_coo_tensor(indices, values, promise.size, check_invariants=True).to_dense()
                compressed, plain, values = parts
                layout = getattr(torch, promise.layout)
                return torch.sparse_compressed_tensor(
                    compressed, plain, values, promise.size, layout=layout, check_invariants=True
                ).to_dense()
        except (RuntimeError, AttributeError, TypeError) as error:
            raise DamagedError(f"{name} is no sparse tensor that torch reads") from error

    def _spend(self, more: int, promise: Promise, name: str) -> None:
        self.room -= max(more, 0)
        if self.room < 0:
            raise UnreadableError(
                f"{name} would take {promise.bytes:,} bytes as {list(promise.size)} numbers, and the whole file has "
                f"{len(self.content):,}"
            )
