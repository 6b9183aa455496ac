"""The bytes of a file of weights, whatever it is called: read by what it begins with, and refused by what it is.

No code in a file is run, and no more memory is taken than the file has bytes (`stored_tensors.ROOM` times as many where
tensors are sparse or repeated).
"""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
from torch import Tensor

from composer.errors import ComposerError
from composer.networks.pickled_weights import ForbiddenError
from composer.networks.safetensors_file import read_safetensors
from composer.networks.stored_tensors import DamagedError, UnreadableError
from composer.networks.torch_file import MAGIC, RefusedError, read_torch_stream, read_torch_zip

INSTEAD = "Save model.state_dict() alone, best as safetensors"
DAMAGED = (
    DamagedError,
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What is met in files that are cut short, changed, or no checkpoints at all."""

PAGE = "a web page, saved in place of the weights; download them again, from the link to the file itself"
PACKED = "a packed file; unpack it first"
KINDS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
    (rb"\s*(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", PAGE),
    (rb"\x1f\x8b|BZh\d|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", PACKED),
    (rb"\x89HDF\r\n", f"an HDF5 file, as Keras writes them; load it there and save the weights by PyTorch. {INSTEAD}"),
    (rb"\x93NUMPY", f"an array of NumPy, whose numbers have no names. {INSTEAD}"),
    (rb"GGUF|ggml|lmgg", f"a GGUF file, whose weights are quantised. {INSTEAD}"),
    (rb"....TFL3", f"a network of TensorFlow Lite. {INSTEAD}"),
    (rb"\x08[\x01-\x20][\x12\x1a\x22\x3a]", f"an ONNX file: a graph, not weights under a network's names. {INSTEAD}"),
)
"""How files that are no checkpoints begin, and what to say of them."""


def read_data(file: Path) -> Any:
    """What a checkpoint holds, its mappings as they are nested and its tensors on the CPU.

    It may be of torch.save (zipped, or as before torch 1.6), a safetensors file, or the index of several: content
    decides, not the ending. What is no mapping beside the tensors comes as something that says nothing (`Beside`), if
    it is harmless. ComposerError that says what the file is, where it is anything else or damaged.
    """
    try:
        content = _content(file)
        return _reader(content, file)(content)
    except OSError as error:
        raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise ComposerError(f"{file}: cannot be read: there is not enough memory for it") from error
    except ForbiddenError as error:
        raise ComposerError(
            f"{file}: refused, because it is no checkpoint or holds more than tensors ({error}); reading such a pickle "
            f"could run code. {INSTEAD}"
        ) from error
    except UnreadableError as error:
        raise ComposerError(f"{file}: {error}") from error
    except RefusedError as error:
        raise ComposerError(f"{file}: refused, because it is {error}") from error
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        kind = "safetensors file" if file.suffix.lower() == ".safetensors" else "checkpoint"
        raise ComposerError(f"{file}: is damaged or no {kind} ({reason}); copy or save it again") from error


def _content(file: Path) -> bytearray:
    with file.open("rb") as stream:
        size = file.stat().st_size
        content = bytearray(size)
        del content[stream.readinto(content) :]
    return content


def _reader(content: bytearray, file: Path) -> Callable[[bytearray], Any]:
    """Who reads a file that begins so."""
    head = bytes(content[:512])
    if not head:
        raise DamagedError("it is empty")
    if head.startswith(b"PK"):
        return read_torch_zip
    if head[8:9] == b"{" and head[:1] != b"{":
        return read_safetensors
    if head.startswith(b"\x80"):
        _require_torch_pickle(head)
        return read_torch_stream
    for pattern, kind in KINDS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            raise RefusedError(kind)
    if head[257:262] == b"ustar":
        raise RefusedError(PACKED)
    if head.lstrip().startswith(b"{"):
        return lambda content: _read_shards(content, file)
    raise DamagedError(f"it begins with {head[:12]!r}")


def _require_torch_pickle(head: bytes) -> None:
    if MAGIC in head[:64]:
        if head[1] > 3:
            raise RefusedError(f"of pickle protocol {head[1]}; save it again by torch.save without pickle_protocol")
        return
    raise RefusedError(f"a pickle that torch.save did not write; reading such a pickle could run code. {INSTEAD}")


def _read_shards(content: bytearray, file: Path) -> Mapping[str, Any]:
    """All files that an index (`model.safetensors.index.json`) names, as one mapping."""
    index = json.loads(content.decode("utf-8"))
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(place, str) for place in places.values()):
        raise RefusedError("JSON and no index of weights: there is no 'weight_map' in it; give the file of the weights")
    tensors: dict[str, Any] = {}
    for shard, count in Counter(places.values()).items():
        path = file.parent / _inside(shard)
        if not path.is_file():
            raise ComposerError(f"{file}: {shard!r}, which holds {count} of the tensors, is missing beside it; copy it")
        if path.suffix.lower() == ".json":
            raise RefusedError(f"an index that names {shard!r}, which is no file of weights")
        held = read_data(path)
        if not isinstance(held, Mapping):
            raise ComposerError(f"{path}: holds no tensors under names")
        own = {name for name, place in places.items() if place == shard}
        if lost := sorted(own - held.keys()):
            raise ComposerError(f"{path}: there is no {lost[0]!r} in it, as {file.name} says; copy both again")
        if more := sorted(map(str, held.keys() - places.keys())):
            raise ComposerError(f"{path}: {more[0]!r} is in it and not in {file.name}; copy both again")
        tensors.update((name, held[name]) for name in own)
    return {name: tensors[name] for name in places}


def _inside(shard: str) -> str:
    """A shard's name, if it is in the folder of its index."""
    for path in (PurePosixPath(shard), PureWindowsPath(shard)):
        if path.is_absolute() or path.drive or ".." in path.parts or not path.parts:
            raise RefusedError(f"an index that names {shard!r}, which is outside its folder")
    return shard


def require_float_weights(weights: Iterable[tuple[str, Tensor, torch.dtype]], file: Path) -> None:
    """Raises ComposerError where a number that the network computes with is no floating-point one in the file.

    weights: each with its name for people and the type that the network's own tensor has, which is of whole numbers
    for some (`relative_position_index`).
    """
    for name, tensor, own in weights:
        if why := unreadable(tensor, own.is_floating_point):
            raise ComposerError(f"{file}: {name} is {why}")


def unreadable(tensor: Tensor, must_be_float: bool) -> str:
    """Why a tensor cannot be a network's weight, beginning with what it is; empty where it can."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_meta:
        return "on the meta device: the file has its shape and no numbers; save it after loading the weights"
    if tensor.is_complex():
        return f"{kind}: complex weights are not read; save them as floats"
    if not must_be_float or tensor.is_floating_point():
        return ""
    if tensor.dtype == torch.bool:
        return "bool: masks and binarised weights are not read; save the weights themselves as floats"
    return f"{kind}: quantised weights are not read; save them as floats"
