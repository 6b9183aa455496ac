"""A safetensors file: a header in JSON, and the numbers that it describes."""

from __future__ import annotations

import json
import math
from typing import Any

import torch
from torch import Tensor

from composer.networks.stored_tensors import DamagedError, UnreadableError, numbers

LARGEST_HEADER = 100_000_000
"""What the format allows."""
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}


def read_safetensors(content: bytearray) -> dict[str, Tensor]:
    """The tensors by name, in the file's order; DamagedError where header and bytes do not agree."""
    begin = 8 + int.from_bytes(content[:8], "little")
    if begin > min(len(content), LARGEST_HEADER):
        raise DamagedError("its header is longer than the file")
    header = json.loads(content[8:begin].decode("utf-8"))
    header.pop("__metadata__", None)
    _require_gapless([found["data_offsets"] for found in header.values()], len(content) - begin)
    return {name: _tensor(content, begin, name, found) for name, found in header.items()}


def _require_gapless(offsets: list[list[int]], size: int) -> None:
    """Raises DamagedError where bytes are used twice or not at all, as where a name is there twice."""
    at = 0
    for first, last in sorted(offsets):
        if type(first) is not int or type(last) is not int or first != at or last < first:
            raise DamagedError("its tensors overlap or leave gaps")
        at = last
    if at != size:
        raise DamagedError(f"its header promises {at:,} bytes, and {size:,} are there")


def _tensor(content: bytearray, begin: int, name: str, found: dict[str, Any]) -> Tensor:
    if found["dtype"] not in DTYPES:
        raise UnreadableError(f"{name} is {found['dtype']}, and such numbers are not read; save them as floats")
    dtype, shape, (first, last) = DTYPES[found["dtype"]], found["shape"], found["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) * dtype.itemsize != last - first:
        raise DamagedError(f"{name}: the shape {shape} and {last - first:,} bytes do not agree")
    if first == last:
        return torch.empty(shape, dtype=dtype)
    return numbers(content, dtype, begin + first, last - first).view(shape)
