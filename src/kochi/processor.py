"""Properties of the processor, for rules that were measured on specific processors."""

import functools
from pathlib import Path
from typing import NamedTuple

import torch

ZEN_5 = 26
"""AMD's first processor family with full-width 512-bit vectors."""


class Processor(NamedTuple):
    """The processor of this machine.

    Args:
        maker: "AuthenticAMD", "GenuineIntel", ...; "" if unknown.
        family: The maker's number of the processor family; 0 if unknown.
        wide: Whether torch uses 512-bit vectors.
    """

    maker: str
    family: int
    wide: bool

    @property
    def is_zen_5(self) -> bool:
        """Whether this is AMD's Zen 5 or later."""
        return self.maker == "AuthenticAMD" and self.family >= ZEN_5 and self.wide


@functools.cache
def this_processor() -> Processor:
    """Return the processor of this machine; the result is cached."""
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    file = Path("/proc/cpuinfo")  # Linux only
    return read_processor(file.read_text() if file.exists() else "", wide)


def read_processor(description: str, wide: bool) -> Processor:
    r"""Parse the maker and family of the first processor in /proc/cpuinfo.

    >>> read_processor("processor: 0\nvendor_id: AuthenticAMD\ncpu family: 26\n", wide=True)
    Processor(maker='AuthenticAMD', family=26, wide=True)
    """
    pairs = (line.partition(":") for line in description.split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    family = fields.get("cpu family", "")
    return Processor(fields.get("vendor_id", ""), int(family) if family.isdigit() else 0, wide)
