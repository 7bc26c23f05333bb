"""What the rules that were measured on a processor must know of this one."""

import functools
import platform
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
    described = _described()
    maker = described.get("vendor_id", platform.processor())
    if "AuthenticAMD" in maker:  # elsewhere than on Linux it stands behind the family
        maker = "AuthenticAMD"
    family = described.get("cpu family", "")
    return Processor(maker, int(family) if family.isdigit() else 0, wide)


def _described() -> dict[str, str]:
    """Read what Linux says of the first processor."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return {}
    first = file.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
