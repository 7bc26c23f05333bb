"""Alignments of selected rows and heads, for kernels that do not hold the whole alignment."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kochi.attention.alignment_request import AlignmentOf
from kochi.attention.components import Components
from kochi.attention.history import Past
from kochi.attention.kernels.base import AttentionMask
from kochi.attention.kernels.reference import reference_choice, reference_scores

WHOLE = ("reference", "dense", "blocked")
"""Kernels that always hold the whole alignment. The others support no sampled selection, and
their alignment needs an extra pass, which `Some.alignment` makes for the requested rows."""


@dataclass(frozen=True)
class Some:
    """The requested rows and heads of one call.

    Args:
        rows: Indices of queries, from 0; ``None`` means all.
        heads: Indices of heads, from 0; ``None`` means all.
    """

    rows: list[int] | None
    heads: list[int] | None

    @classmethod
    def of(cls, wanted: AlignmentOf, query: Float[Tensor, "batch heads target size"]) -> "Some":
        """Resolve a request for a call.

        Raises:
            ValueError: There is no such query or head.
        """
        return cls(wanted.rows(query.shape[2]), wanted.of_heads(query.shape[1]))

    def pick(self, tensor: Tensor, broadcast: bool = False) -> Tensor:
        """Select the requested heads and rows, axes 1 and 2.

        Args:
            tensor: A tensor whose first axes are batch, heads and queries.
            broadcast: Keep an axis of length 1, which stands for all heads or rows.
        """
        for dim, indices in ((1, self.heads), (2, self.rows)):
            if indices is not None and not (broadcast and tensor.shape[dim] == 1):
                index = torch.tensor(indices, dtype=torch.long, device=tensor.device)
                tensor = tensor.index_select(dim, index)
        return tensor

    def alignment(
        self,
        parts: Components,
        query: Float[Tensor, "batch heads target size"],
        keys: Float[Tensor, "batch heads source key_size"],
        visible: AttentionMask,
        past: Past | None,
    ) -> tuple[Float[Tensor, "batch some_heads some_target source"], AttentionMask]:
        """Compute the reference alignment of the requested rows and heads, and its mask.

        No tensor as large as the whole alignment is created. Heads are skipped only for dot
        products; for other scores all heads are computed.
        """
        seen = self.visible(visible, query.shape[2], keys.shape[2], query.device)
        heads = Some(None, self.heads)
        if parts.score.dot_scale is None:
            rows = Some(self.rows, None).pick(query)
            scores = heads.pick(reference_scores(parts, rows, keys, past))
        else:
            scores = reference_scores(parts, self.pick(query), heads.pick(keys), past)
        return reference_choice(parts, scores, seen, past)[0], seen

    def visible(
        self, visible: AttentionMask, target_length: int, source_length: int, device: torch.device
    ) -> AttentionMask:
        """Return what the wanted queries may see in the wanted heads, as one mask."""
        mask = None if visible.mask is None else self.pick(visible.mask, broadcast=True)
        shape = self._shape(visible, target_length, source_length, device)
        if shape is not None:
            mask = shape if mask is None else mask & shape
        windows = visible.windows
        if windows is not None:
            windows = windows._replace(centre=self.pick(windows.centre, broadcast=True))
        seen = AttentionMask(
            mask,
            windows=windows,
            bias=None if visible.bias is None else self.pick(visible.bias, broadcast=True),
            prior=None if visible.prior is None else self.pick(visible.prior, broadcast=True),
        )
        return seen.spelled_out(source_length, device)

    def _shape(
        self, visible: AttentionMask, target_length: int, source_length: int, device: torch.device
    ) -> Bool[Tensor, "1 1 some_target source"] | None:
        """Return the triangle and the band for the wanted rows alone."""
        if not visible.triangle and visible.band is None:
            return None
        rows = range(target_length) if self.rows is None else self.rows
        here = torch.tensor(list(rows), dtype=torch.long, device=device).unsqueeze(-1)
        ahead = torch.arange(source_length, device=device) - here
        seen = torch.ones_like(ahead, dtype=torch.bool)
        if visible.triangle:
            seen = seen & (ahead <= 0)
        if visible.band is not None:
            seen = seen & (ahead <= visible.band.right) & (ahead >= -visible.band.left)
        return seen[None, None]
