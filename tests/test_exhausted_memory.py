"""Where memory runs out, it is said which option to lower."""

from __future__ import annotations

import pytest
import torch

from composer.running.memory import exhausted, is_exhaustion
from composer_cnn import CNN
from composer_cyclegan import CycleGAN
from composer_training import Train


def test_the_allocators_of_torch_are_understood() -> None:
    with pytest.raises(RuntimeError) as on_the_cpu:
        torch.empty(2**60)
    assert is_exhaustion(on_the_cpu.value)
    assert is_exhaustion(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_exhaustion(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_options_are_those_that_a_component_counts_by_or_has() -> None:
    on_device = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total of ...")
    assert exhausted(on_device, Train(), "cuda") == (
        "the device has no memory left for 2.50 GiB more: lower `members` or `batch` of train, "
        "or compute on the CPU (--device cpu); what was finished is kept"
    )
    assert exhausted(MemoryError(), CycleGAN(), "cpu") == (
        "this machine has no memory left: lower `batch` of cyclegan; what was finished is kept"
    )
    assert exhausted(MemoryError(), CNN(), "cuda") == (
        "this machine has no memory left: lower `size` of cnn; what was finished is kept"
    )
