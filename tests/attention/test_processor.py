"""What is known of the processor."""

import torch

from kochi.attention.processor import Processor, this_processor


def test_this_machine():
    found = this_processor()
    assert found.wide == torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    assert found is this_processor()


def test_what_counts_as_zen_5():
    assert Processor("AuthenticAMD", 26, wide=True).is_zen_5
    assert not Processor("AuthenticAMD", 26, wide=False).is_zen_5
    assert not Processor("AuthenticAMD", 25, wide=True).is_zen_5
    assert not Processor("GenuineIntel", 26, wide=True).is_zen_5
