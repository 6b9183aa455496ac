"""Features of picture files that several sets of pictures share: computed once for all of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from composer.data.decoding import FileDecoder
from composer.data.images import Images


class FeaturePool:
    """What bodies of networks see in picture files, kept in memory file by file.

    Where a network sees a picture beside others than before, its features may differ in their last bits.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Tensor] = {}

    def features(self, body: str, images: Images, compute: Callable[[Images], Tensor]) -> Tensor:
        """float32 [M, N, D] of the pictures; `compute` is asked for those files alone that it was never asked for.

        Pictures that are not decoded from files are computed each time.
        """
        decoder = images.decode
        if not isinstance(decoder, FileDecoder):
            return compute(images)
        keys = [(body, decoder.alpha, file) for file in decoder.files]
        missing = tuple(
            dict.fromkeys(file for key, file in zip(keys, decoder.files, strict=True) if key not in self._known)
        )
        if missing:
            found = compute(Images(missing, {}, FileDecoder(missing, decoder.alpha)))
            for file, row in zip(missing, found.unbind(1), strict=True):
                self._known[body, decoder.alpha, file] = row.clone()
        return torch.stack([self._known[key] for key in keys], dim=1)
