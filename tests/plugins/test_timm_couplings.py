"""Couplings of timm's networks, of several families: derived by tracing, and proved; skipped where timm is absent."""

from __future__ import annotations

import pytest

from composer import ComposerError
from composer_timm import Timm

pytest.importorskip("timm", reason="the extra [timm] is not installed")


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_byobnet"])
def test_families_of_timm_are_followed_and_proved(model: str) -> None:
    couplings = Timm(model=model, size=32).couplings()
    assert len(couplings.groups) > 10


def test_a_family_that_cannot_be_followed_is_refused_by_module() -> None:
    with pytest.raises(ComposerError, match=r"no known couplings: module 'body\.stem\.conv1'"):
        Timm(model="test_nfnet", size=32).couplings()
