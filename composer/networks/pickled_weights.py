"""What torch.save wrote, as tensors and mappings; nothing that the pickle names is imported or run.

Every name in a pickle stands for one of the few things here that build nothing: tensors come out as `Promise`s, whose
sizes are looked at before one byte of them is read, and what lies beside them as `Beside`, which forgets what it is
given. Python's own unpickler in C takes gigabytes for a few bytes (indices of its memo), so the one in Python is used.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch

from composer.networks.stored_tensors import Promise, Storage, unchanging

BEFORE_FOUR = frozenset(ord(opcode.code) for opcode in pickletools.opcodes if opcode.proto <= 3)
"""What torch.save writes; a later protocol has instructions that take memory which the file has not."""

STORAGES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "QInt8": torch.qint8,
    "QUInt8": torch.quint8,
    "QInt32": torch.qint32,
}

HARMLESS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "argparse": "Namespace",
        "builtins": "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple",
        "collections": "deque",
        "copyreg": "_reconstructor",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal",
        "fractions": "Fraction",
        "numpy": "bool bool_ bytes_ dtype float16 float32 float64 int8 int16 int32 int64 ndarray str_ "
        "uint8 uint16 uint32 uint64",
        "numpy._core.multiarray": "_reconstruct scalar",
        "numpy.core.multiarray": "_reconstruct scalar",
        "numpy._core.numeric": "_frombuffer",
        "numpy.core.numeric": "_frombuffer",
        "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
        "numpy.random._mt19937": "MT19937",
        "numpy.random._pcg64": "PCG64 PCG64DXSM",
        "numpy.random._philox": "Philox",
        "numpy.random._sfc64": "SFC64",
        "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
        "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
        "pytorch_lightning.callbacks.early_stopping": "EarlyStopping",
        "pytorch_lightning.callbacks.model_checkpoint": "ModelCheckpoint",
        "torch": "device per_channel_affine per_channel_affine_float_qparams per_channel_symmetric "
        "per_tensor_affine per_tensor_symmetric",
        "torch.torch_version": "TorchVersion",
        "types": "SimpleNamespace",
        "uuid": "UUID",
    }.items()
    for name in names.split()
)
"""What training scripts save beside the weights and that is data, no code: options, paths, dates, numpy's numbers."""


class Beside:
    """Something harmless that lies beside the tensors: read over, not made."""

    __slots__ = ()

    def __new__(cls, *args: object, **options: object) -> Beside:
        return object.__new__(cls)

    def __init__(self, *args: object, **options: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        pass

    def extend(self, items: object) -> None:
        pass


class Named(dict[Any, Any]):
    """A mapping of whatever kind: ordered, with defaults, counting."""

    def __init__(self, *args: object) -> None:
        super().__init__()
        given = args[0] if args else None
        if isinstance(given, dict | list):
            self.update(given)
            given.clear()  # moved, not copied: a file of a megabyte could ask for a million copies

    def __setstate__(self, state: object) -> None:
        """Ignores what is no item of it, such as torch's `_metadata`."""


MAPPINGS = frozenset(
    {
        "collections.Counter",
        "collections.OrderedDict",
        "collections.defaultdict",
        "addict.addict.Dict",
        "easydict.EasyDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "yacs.config.CfgNode",
    }
)


class ForbiddenError(Exception):
    """A pickle names something that is neither a tensor nor harmless; the message is its name."""


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: torch.dtype | None
    __setstate__ = unchanging


@dataclass(frozen=True, slots=True)
class _Call:
    """A function of torch's that a pickle may name, with what is done in its place; it cannot be changed."""

    call: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)

    __setstate__ = unchanging


def _tensor(
    storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *rest: Any, dtype: Any = None
) -> Promise:
    metadata = rest[2] if len(rest) > 2 else None
    kind = "a lazy negation or conjugate, which is not read" if metadata else ""
    return Promise(storage, dtype or storage.dtype, offset, tuple(size), tuple(stride), kind=kind)


def _tensor_of_dtype(storage: Storage, offset: int, size: Any, stride: Any, *rest: Any) -> Promise:
    grad, hooks, dtype, *metadata = rest
    return _tensor(storage, offset, size, stride, grad, hooks, *metadata, dtype=dtype)


def _sparse(layout: object, data: tuple[Any, ...]) -> Promise:
    if layout == "sparse_coo":
        indices, values, size, *_ = data
        parts = (indices, values)
    else:
        *parts_, size = data[:4]
        parts = tuple(parts_)
    return Promise(None, parts[-1].dtype, size=tuple(size), layout=str(layout), parts=parts)


def _meta(dtype: torch.dtype, size: Any, *rest: object) -> Promise:
    return Promise(None, dtype, size=tuple(size), layout="meta")


def _of_kind(kind: str) -> Callable[..., Promise]:
    return lambda *args: Promise(None, torch.float32, kind=kind)


def _plain(function: Callable[..., Any], kind: object, args: Any, state: object) -> Any:
    """A tensor of a subclass, or with attributes of its own."""
    if not isinstance(function, _Call):
        raise pickle.UnpicklingError("a tensor is made by no function of torch")
    return function(*args)


def _first(data: Any, *rest: object) -> Any:
    return data


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Bytes, as protocol 2 writes them."""
    return text.encode("latin1")


CALLS: Mapping[str, object] = {
    "_codecs.encode": _Call(_encoded),
    "torch._tensor._rebuild_from_type_v2": _Call(_plain),
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _Call(_first),
    "torch._utils._rebuild_meta_tensor_no_storage": _Call(_meta),
    "torch._utils._rebuild_nested_tensor": _Call(_of_kind("nested, and nested tensors are not read")),
    "torch._utils._rebuild_parameter": _Call(_first),
    "torch._utils._rebuild_parameter_with_state": _Call(_first),
    "torch._utils._rebuild_qtensor": _Call(
        _of_kind("quantised, and quantised weights are not read; save them as floats (dequantize)")
    ),
    "torch._utils._rebuild_sparse_tensor": _Call(_sparse),
    "torch._utils._rebuild_tensor": _Call(_tensor),
    "torch._utils._rebuild_tensor_v2": _Call(_tensor),
    "torch._utils._rebuild_tensor_v3": _Call(_tensor_of_dtype),
    "torch.Size": _Call(lambda numbers=(): tuple(numbers)),
    "torch.Tensor": Beside,
    "torch.nn.parameter.Parameter": _Call(_first),
    "torch.serialization._get_layout": _Call(lambda name: str(name).removeprefix("torch.")),
    "torch.storage.TypedStorage": _StorageType(None),
    "torch.storage.UntypedStorage": _StorageType(None),
    "torch.storage._UntypedStorage": _StorageType(None),
}


def _meaning(module: str, name: str) -> object:
    """What stands in for something that a pickle names."""
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    called = f"{module}.{name}"
    if called in CALLS:
        return CALLS[called]
    if called in MAPPINGS:
        return Named
    if called in HARMLESS or (module == "numpy.dtypes" and name.endswith("DType")):
        return Beside
    if module in ("torch", "torch.cuda"):
        if name.removesuffix("Storage") in STORAGES and name.endswith("Storage"):
            return _StorageType(STORAGES[name.removesuffix("Storage")])
        dtype = getattr(torch, name, None) if module == "torch" else None
        if isinstance(dtype, torch.dtype):
            return dtype
    raise ForbiddenError(called)


class WeightsUnpickler(pickle._Unpickler):
    """Reads a pickle of torch.save: storages by `storage`, everything else by `_meaning`."""

    dispatch = {code: step for code, step in pickle._Unpickler.dispatch.items() if code in BEFORE_FOUR}  # noqa: RUF012

    def __init__(self, file: BinaryIO, storage: Callable[[str, torch.dtype, int], Storage]) -> None:
        super().__init__(file, encoding="latin1")  # Python 2 wrote names as bytes
        self.storage = storage
        self.known: dict[tuple[str, str], object] = {}

    def find_class(self, module: str, name: str) -> Any:
        asked = (module, name)
        if asked not in self.known:
            self.known[asked] = _meaning(module, name)
        return self.known[asked]

    def persistent_load(self, pid: Any) -> Storage:
        if pid[0] == "module":
            raise ForbiddenError(f"a whole network ({pid[2]})")
        _, kind, key, _, count, *view = pid
        dtype = kind.dtype or torch.uint8
        whole = self.storage(str(key), dtype, count)
        if not (view and view[0]):
            return whole
        _, offset, length = view[0]
        return Storage(whole.key, dtype, length, whole.first + offset)
