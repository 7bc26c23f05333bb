"""What is known of the processor."""

import pytest

from kochi.processor import Processor, read_processor, this_processor

TWO_CORES = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 26
model\t\t: 2
model name\t: AMD EPYC: 5

processor\t: 1
vendor_id\t: Another
cpu family\t: 1
"""


def test_the_first_processor_counts():
    assert read_processor(TWO_CORES, wide=False) == Processor("AuthenticAMD", 26, wide=False)


@pytest.mark.parametrize("text", ["", "processor: 0\nBogoMIPS: 50.0\nFeatures: fp asimd\n"])
def test_a_system_that_does_not_say(text):
    assert read_processor(text, wide=True) == Processor("", 0, wide=True)


def test_this_machine_is_looked_at_once():
    assert this_processor() is this_processor()


def test_what_counts_as_zen_5():
    assert Processor("AuthenticAMD", 26, wide=True).is_zen_5
    assert not Processor("AuthenticAMD", 26, wide=False).is_zen_5
    assert not Processor("AuthenticAMD", 25, wide=True).is_zen_5
    assert not Processor("GenuineIntel", 26, wide=True).is_zen_5
