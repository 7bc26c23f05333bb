"""What the rules that were measured on a processor must know of this one."""

import functools
from pathlib import Path
from typing import NamedTuple

import torch

ZEN_5 = 26
"""AMD's family of processors with vectors of 512 bits at full width."""


class Processor(NamedTuple):
    """The processor of this machine.

    Args:
        maker: "AuthenticAMD", "GenuineIntel", ...; "" where the system does not say.
        family: The maker's number of the generation, 0 where the system does not say.
        wide: Whether torch uses its vectors of 512 bits.
    """

    maker: str
    family: int
    wide: bool

    @property
    def is_zen_5(self) -> bool:
        """Whether this is AMD's fifth generation or a later one."""
        return self.maker == "AuthenticAMD" and self.family >= ZEN_5 and self.wide


@functools.cache
def this_processor() -> Processor:
    """Look at this machine, once."""
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    file = Path("/proc/cpuinfo")  # Linux alone has it
    return read_processor(file.read_text() if file.exists() else "", wide)


def read_processor(description: str, wide: bool) -> Processor:
    r"""Read maker and family of the first processor from what Linux says of all.

    >>> read_processor("processor: 0\nvendor_id: AuthenticAMD\ncpu family: 26\n", wide=True)
    Processor(maker='AuthenticAMD', family=26, wide=True)
    """
    pairs = (line.partition(":") for line in description.split("\n\n")[0].splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    family = found.get("cpu family", "")
    return Processor(found.get("vendor_id", ""), int(family) if family.isdigit() else 0, wide)
