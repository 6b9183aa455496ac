"""What torch.save wrote, as a zip archive or, before torch 1.6, as several pickles with the numbers behind them."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from typing import Any

import torch

from composer.networks.pickled_weights import WeightsUnpickler
from composer.networks.stored_tensors import DamagedError, Storage, StoredTensors

MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""The number that old files begin with, as a pickle has it."""
NAME_AND_EXTRA = struct.Struct("<HH")


class RefusedError(Exception):
    """The file is something else than weights; the message says what, and what to do."""


def read_torch_zip(content: bytearray) -> Any:
    """The object in a zip archive; sizes and checksums are looked at before it is unpickled."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DamagedError(f"its zip archive is cut short or changed: {error}") from error
    _refuse_other_archives([entry.filename for entry in entries])
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise RefusedError("a compressed zip archive, which torch.save never writes; unpack it, or save it again")
    if sum(entry.file_size for entry in entries) > len(content):
        raise DamagedError("its zip archive promises more bytes than the file has")
    places = {entry.filename.partition("/")[2]: _place(content, entry) for entry in entries}
    if len(places) < len(entries):
        raise DamagedError("a name is twice in its zip archive")
    start, length = places["data.pkl"]
    pickled = bytes(content[start : start + length])
    if pickled[:1] == b"\x80" and pickled[1] > 3:
        raise RefusedError(f"of pickle protocol {pickled[1]}; save it again by torch.save without pickle_protocol")
    if "byteorder" in places:
        start, length = places["byteorder"]
        if content[start : start + length].decode() != sys.byteorder:
            raise RefusedError("of a machine with another order of bytes; save it there as safetensors")
    data = WeightsUnpickler(io.BytesIO(pickled), lambda key, dtype, count: Storage(f"data/{key}", dtype, count)).load()
    return StoredTensors(content, places).fill(data)


def _refuse_other_archives(names: list[str]) -> None:
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        raise RefusedError("a TorchScript archive; load it with torch.jit.load and save its state_dict()")
    if {"archive_format", "models/model.json"} & inner or any(
        name.endswith("serialized_exported_program.json") for name in names
    ):
        raise RefusedError("an exported program (.pt2); load it with torch.export.load and save its state_dict")
    if "model.weights.h5" in names:
        raise RefusedError("a model of Keras; load it there and save its weights by PyTorch")
    if "data.pkl" not in inner:
        listed = ", ".join(names[:3]) or "nothing"
        raise RefusedError(f"a zip archive that torch.save did not write (with {listed}); unpack it first")


def _place(content: bytearray, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where an entry's bytes begin and how many there are; their checksum is compared."""
    at = entry.header_offset
    if content[at : at + 4] != b"PK\x03\x04":
        raise DamagedError(f"{entry.filename} is not where its zip archive says")
    start = at + 30 + sum(NAME_AND_EXTRA.unpack_from(content, at + 26))
    if start + entry.file_size > len(content):
        raise DamagedError(f"{entry.filename} ends too early")
    with memoryview(content) as view, view[start : start + entry.file_size] as own:
        # torch can be told to write no checksums, and writes 0 then.
        if entry.CRC and zlib.crc32(own) != entry.CRC:
            raise DamagedError(f"the checksum of {entry.filename} does not agree: bytes of it have changed")
    return start, entry.file_size


def read_torch_stream(content: bytearray) -> Any:
    """The object in a file of before torch 1.6."""
    stream = io.BytesIO(content)
    widths: dict[str, torch.dtype] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Storage:
        widths[key] = dtype
        return Storage(key, dtype, count)

    for what in ("magic number", "version", "system"):
        found = WeightsUnpickler(stream, storage).load()
        if what == "version" and found != 1001:
            raise DamagedError(f"of an unknown version, {found}")
        if what == "system" and isinstance(found, dict) and not found.get("little_endian", True):
            raise RefusedError("of a machine with another order of bytes; save it there as safetensors")
    data = WeightsUnpickler(stream, storage).load()
    places = {}
    for key in WeightsUnpickler(stream, storage).load():
        (count,) = struct.unpack("<q", stream.read(8))
        length = count * widths[str(key)].itemsize
        places[str(key)] = (stream.tell(), length)
        if length < 0 or stream.tell() + length > len(content):
            raise DamagedError("it ends too early")
        stream.seek(length, io.SEEK_CUR)
    return StoredTensors(content, places).fill(data)
