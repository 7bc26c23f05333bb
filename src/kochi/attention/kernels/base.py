"""The interface of kernels: the attention mask and the result of a call."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.scopes.base import Band, Windows
from kochi.attention.selections.base import Choice, Walk
from kochi.transforms import is_readable


class Hidden(NamedTuple):
    """A mask as an additive bias of the scores.

    Args:
        bias: 0 where a query may attend, else -inf; ``None`` if it may attend everywhere.
        empty: True for fully masked queries; ``None`` if there are certainly none.
    """

    bias: Float[Tensor, "#batch #heads #target source"] | None
    empty: Bool[Tensor, "#batch #heads #target 1"] | None


NOTHING_HIDDEN = Hidden(None, None)


@dataclass(frozen=True)
class AttentionMask:
    """The positions that queries may attend to, and the bias and prior of the alignment.

    Args:
        mask: True where a query may attend; ``None`` for no mask.
        triangle: Also mask the keys after the query, both counted from 0. It is separate from
            ``mask`` because some kernels have a fast path for it.
        band: Also mask the keys outside the band; separate like the triangle.
        windows: Also mask the keys outside the windows, and multiply by their Gaussian if they have
            one; separate like the triangle.
        bias: Bias that is added to the scores.
        prior: Factor of the alignment, applied after the selection.
    """

    mask: Bool[Tensor, "#batch #heads #target source"] | None = None
    triangle: bool = False
    band: Band | None = None
    windows: Windows | None = None
    bias: Float[Tensor, "#batch #heads #target source"] | None = None
    prior: Float[Tensor, "#batch #heads #target source"] | None = None
    _hidden: dict[torch.dtype, Hidden] = field(default_factory=dict, repr=False, compare=False)

    def whole(
        self, target_length: int, source_length: int, device: torch.device
    ) -> Bool[Tensor, "#batch #heads #target source"] | None:
        """Combine mask, triangle, band and windows to one mask; ``None`` if all is visible."""
        mask = self.mask
        if self.windows is not None:
            inside = self.windows.mask(torch.arange(source_length, device=device))
            mask = inside if mask is None else mask & inside
        if not self.triangle and self.band is None:
            return mask
        ones = torch.ones(1, 1, target_length, source_length, dtype=torch.bool, device=device)
        if self.triangle:
            ones = ones.tril()
        if self.band is not None:
            ones = ones.tril(self.band.right).triu(-self.band.left)
        return ones if mask is None else mask & ones

    def spelled_out(self, source_length: int, device: torch.device) -> "AttentionMask":
        """Return an equal mask with the windows expanded into ``mask`` and ``prior``."""
        if self.windows is None:
            return self
        positions = torch.arange(source_length, device=device)
        mask, prior = self.windows.mask(positions), self.prior
        if self.mask is not None:
            mask = mask & self.mask
        if self.windows.sigma is not None:
            gaussian = self.windows.prior(positions)
            prior = gaussian if prior is None else prior * gaussian
        return replace(self, mask=mask, windows=None, prior=prior, _hidden={})

    def weigh(
        self, alignment: Float[Tensor, "batch heads target source"]
    ) -> Float[Tensor, "batch heads target source"]:
        """Multiply by the prior and by the Gaussian of the windows, if there are any."""
        if self.prior is not None:
            alignment = alignment * self.prior
        if self.windows is not None and self.windows.sigma is not None:
            positions = torch.arange(alignment.shape[3], device=alignment.device)
            alignment = alignment * self.windows.prior(positions).to(alignment.dtype)
        return alignment

    def hidden(
        self, target_length: int, source_length: int, device: torch.device, dtype: torch.dtype
    ) -> Hidden:
        """Return the mask as a bias of the scores; cached if it is no larger than the mask."""
        keep = not self.triangle and self.band is None and self.windows is None
        if keep and dtype in self._hidden:
            return self._hidden[dtype]
        mask = self.whole(target_length, source_length, device)
        hidden = NOTHING_HIDDEN if mask is None else _hide(mask, dtype)
        if keep:
            self._hidden[dtype] = hidden
        return hidden


def _hide(mask: Tensor, dtype: torch.dtype) -> Hidden:
    bias = torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)
    empty = ~mask.any(-1, keepdim=True)
    if mask.device.type == "cpu" and is_readable(mask) and not empty.any():
        return Hidden(bias, None)
    return Hidden(bias, empty)


EVERYTHING = AttentionMask()


class KernelOutput(NamedTuple):
    """The result of a kernel.

    Args:
        context: The context of each query.
        alignment: The alignment before dropout, if requested.
        choice: The sample of a sampled selection, or the position of a monotonic walk.
    """

    context: Float[Tensor, "batch heads target value_size"]
    alignment: Float[Tensor, "batch heads target source"] | None
    choice: Choice | Walk | None = None


class Kernel(Protocol):
    """Compute the context from a query and keys that the score has projected."""

    def __call__(
        self,
        parts: Components,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source key_size"],
        values: Float[Tensor, "batch heads source value_size"],
        visible: AttentionMask,
        past: Past | None,
        dropout: float,
        need_alignment: bool,
    ) -> KernelOutput:
        """Compute one call; ``visible`` already includes the scope and the relative term."""
        ...
