"""What a GPU is asked for while a step computes; nothing here needs one."""

from __future__ import annotations

import warnings

import pytest
import torch

from composer.running.devices import UNSTEADY, exact


@pytest.mark.filterwarnings("default")
def test_on_a_gpu_kernels_repeat_themselves_and_what_cannot_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "put back by the next line, and gone in the end")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    tf32 = torch.backends.cudnn.allow_tf32
    said: list[str] = []
    with warnings.catch_warnings(record=True) as others, exact("cuda", said.append):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.allow_tf32
        for _ in range(2):
            warnings.warn(f"adaptive_avg_pool2d_backward_cuda {UNSTEADY}, but you set ...", UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert [str(other.message) for other in others] == ["something else"]
    assert said == [
        "on this GPU adaptive_avg_pool2d_backward_cuda adds up in another order each time: "
        "the last digits of another run may differ"
    ]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.allow_tf32 == tf32


def test_nothing_changes_on_the_cpu() -> None:
    with exact("cpu", pytest.fail):
        assert not torch.are_deterministic_algorithms_enabled()


def test_all_is_as_before_where_a_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "put back by the next line, and gone in the end")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with pytest.raises(ValueError, match="odd"), exact("cuda", pytest.fail):
        raise ValueError("odd")
    assert not torch.are_deterministic_algorithms_enabled()
