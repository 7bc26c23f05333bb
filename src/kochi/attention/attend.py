"""Attention over one memory: what all attentions share, and the single-head one."""

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.attention.kernels.base import Answer, Visible
from kochi.attention.kernels.rule import KERNELS, Case, choose, refusal
from kochi.attention.projected import Projected, clean_memory
from kochi.attention.scopes.base import Positions, Scope
from kochi.attention.scores.base import Score
from kochi.attention.selections.base import Selection

QueryPositions = int | Int[Tensor, " target"] | Int[Tensor, "batch target"] | None
KeyPositions = int | Int[Tensor, " source"] | Int[Tensor, "batch source"] | None


@dataclass(frozen=True)
class AttentionState:
    """What one call leaves for the next.

    Args:
        position: Number of queries asked so far: the position of the next one.
    """

    position: int = 0


class Readout(NamedTuple):
    """What was read: ``context, alignment, state = module(query, projected)``.

    Args:
        context: ``[batch, target, context_size]``.
        alignment: ``[batch, target, source]`` for one head without projections, else
            ``[batch, heads, target, source]``; before dropout; ``None`` unless asked for.
        state: What to give to the next call when asking step by step.
    """

    context: Tensor
    alignment: Tensor | None
    state: AttentionState


START = AttentionState()


class AttentionBase(nn.Module, abc.ABC):
    """What all attentions share: the parts, the mask, the positions and the choice of kernel.

    Args:
        score: Built for the sizes inside a head.
        scope: Which positions may be seen.
        selection: How scores become an alignment.
        query_size: Size of a query.
        memory_size: Size of a memory value.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or the name of the kernel that must serve.

    Raises:
        ValueError: The named kernel cannot serve these parts, or an argument is out of range.
    """

    context_size: int

    def __init__(
        self,
        score: Score,
        scope: Scope,
        selection: Selection,
        query_size: int,
        memory_size: int,
        dropout: float,
        kernel: str,
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: got {dropout}, expected a fraction from 0 to below 1")
        why = refusal(kernel, score, selection)
        if why is not None:
            raise ValueError(f"kernel: {kernel!r} cannot serve: {why}; use 'auto' or 'reference'")
        self.score, self.scope, self.selection = score, scope, selection
        self.query_size, self.memory_size = query_size, memory_size
        self.dropout, self.kernel = dropout, kernel

    @abc.abstractmethod
    def project(
        self,
        memory_values: Float[Tensor, "batch source memory_size"],
        mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Projected:
        """Compute once per memory what does not depend on the query.

        Args:
            memory_values: What will be looked at.
            mask: True where any query may attend. Given here it holds for every call, and need not
                be given again.

        Raises:
            ValueError: The memory or the mask does not fit.
        """

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch target query_size"],
        projected: Projected,
        mask: Bool[Tensor, "..."] | None = None,
        state: AttentionState | None = None,
        need_alignment: bool = False,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
    ) -> Readout:
        """Ask the memory.

        Several queries of one sentence, such as the width of a beam, stand on the target axis and
        share the memory.

        Args:
            query: What asks.
            projected: The memory, from `project`.
            mask: True where a query may attend, ``[batch, source]`` or ``[batch, target, source]``,
                on top of the mask given to `project`.
            state: From the previous call when asking step by step; ``None`` at the start.
            need_alignment: Also return the alignment. The context stays the same, bit for bit.
            query_positions: Where the queries stand, if not at ``state.position, + 1, ...``.
            key_positions: Where the keys stand, if not at ``0, 1, ...``.

        Raises:
            ValueError: The query or the mask does not fit.
        """

    def visible(
        self,
        target_length: int,
        projected: Projected,
        mask: Bool[Tensor, "..."] | None = None,
        position: int = 0,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
    ) -> Visible:
        """Work out what a call may see; modules of the same scope may share it.

        Args:
            target_length: Number of queries.
            projected: The memory; only its length and its mask are looked at.
            mask: As in `forward`.
            position: Where the first query stands.
            query_positions: As in `forward`.
            key_positions: As in `forward`.
        """
        batch, _, length, _ = projected.keys.shape
        positions = Positions(
            target_length, length, projected.keys.device, position, query_positions, key_positions
        )
        return _visible(self.scope, positions, projected, mask, batch)

    def explain(
        self,
        target_length: int = 128,
        source_length: int = 128,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        need_gradient: bool = True,
    ) -> str:
        """Say in one line which kernel serves such a call, and why."""
        case = Case(target_length, source_length, dtype, device, need_gradient)
        name, why = choose(self.kernel, self.score, self.selection, case)
        return f"kernel {name!r}: {why}"

    def _check_memory(self, memory_values: Tensor, mask: Tensor | None) -> None:
        if memory_values.dim() != 3 or memory_values.shape[2] != self.memory_size:
            raise ValueError(
                f"memory_values: got shape {list(memory_values.shape)}, expected "
                f"[batch, source, memory_size={self.memory_size}]"
            )
        if mask is not None and (mask.dtype != torch.bool or mask.shape != memory_values.shape[:2]):
            raise ValueError(
                f"mask: got {mask.dtype} of shape {list(mask.shape)}, expected torch.bool "
                f"[batch, source] = {list(memory_values.shape[:2])}, True = may attend"
            )

    def _check_query(self, query: Tensor, projected: Projected) -> None:
        if query.dim() != 3 or query.shape[2] != self.query_size:
            raise ValueError(
                f"query: got shape {list(query.shape)}, expected "
                f"[batch, target, query_size={self.query_size}]"
            )
        if query.shape[0] != projected.keys.shape[0]:
            raise ValueError(
                f"query: got a batch of {query.shape[0]}, but the memory's is "
                f"{projected.keys.shape[0]}"
            )

    def _attend(
        self,
        query: Float[Tensor, "batch heads target size"],
        projected: Projected,
        mask: Tensor | None,
        position: int,
        need_alignment: bool,
        query_positions: QueryPositions,
        key_positions: KeyPositions,
        visible: Visible | None = None,
    ) -> Answer:
        """Attend in every head with queries already projected by the score."""
        keys, values = projected.keys, projected.values
        if visible is None:
            visible = self.visible(
                query.shape[2], projected, mask, position, query_positions, key_positions
            )
        need_gradient = torch.is_grad_enabled() and (query.requires_grad or keys.requires_grad)
        case = Case(query.shape[2], keys.shape[2], query.dtype, query.device.type, need_gradient)
        kernel = KERNELS[choose(self.kernel, self.score, self.selection, case)[0]]
        dropout = self.dropout if self.training else 0.0
        answer = kernel(
            self.score, self.selection, query, keys, values, visible, dropout, need_alignment
        )
        if projected.finite is None:
            return answer
        return _spoil(answer, visible, projected.finite, query.shape[2])

    if TYPE_CHECKING:

        def __call__(
            self,
            query: Tensor,
            projected: Projected,
            mask: Tensor | None = None,
            state: AttentionState | None = None,
            need_alignment: bool = False,
            query_positions: QueryPositions = None,
            key_positions: KeyPositions = None,
        ) -> Readout:
            """Type a call as `forward`."""
            ...


class Attention(AttentionBase):
    """Attention of one head without projections: the context is a sum of the memory values.

    Bahdanau, Cho and Bengio 2015, section 3.1, equations 5 and 6, and Luong, Pham and Manning 2015,
    section 3.1, by the choice of the score; https://arxiv.org/abs/1409.0473,
    https://arxiv.org/abs/1508.04025. Arguments and errors: see `AttentionBase`.
    """

    def __init__(
        self,
        score: Score,
        scope: Scope,
        selection: Selection,
        query_size: int,
        memory_size: int,
        dropout: float = 0.0,
        kernel: str = "auto",
    ) -> None:
        super().__init__(score, scope, selection, query_size, memory_size, dropout, kernel)
        self.context_size = memory_size

    def project(
        self,
        memory_values: Float[Tensor, "batch source memory_size"],
        mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Projected:
        """See `AttentionBase.project`."""
        self._check_memory(memory_values, mask)
        memory_values, finite = clean_memory(memory_values, mask)
        values = memory_values.unsqueeze(1)
        return Projected(self.score.project_keys(values), values, mask, finite)

    def forward(
        self,
        query: Float[Tensor, "batch target query_size"],
        projected: Projected,
        mask: Bool[Tensor, "..."] | None = None,
        state: AttentionState | None = None,
        need_alignment: bool = False,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
    ) -> Readout:
        """See `AttentionBase.forward`; the alignment is ``[batch, target, source]``."""
        self._check_query(query, projected)
        position = 0 if state is None else state.position
        context, alignment = self._attend(
            self.score.project_query(query.unsqueeze(1)),
            projected,
            mask,
            position,
            need_alignment,
            query_positions,
            key_positions,
        )
        alignment = None if alignment is None else alignment.squeeze(1)
        return Readout(context.squeeze(1), alignment, AttentionState(position + query.shape[1]))


def _visible(
    scope: Scope,
    positions: Positions,
    projected: Projected,
    mask: Tensor | None,
    batch: int,
) -> Visible:
    """Join the masks of memory, call and scope to one, ``[batch or 1, 1, target or 1, source]``."""
    whole = None if projected.mask is None else projected.mask.unsqueeze(1)
    own = whole
    if mask is not None and mask is not projected.mask:
        _check_mask(mask, batch, positions)
        mask = mask.unsqueeze(1) if mask.dim() == 2 else mask
        whole = mask if whole is None else whole & mask
    triangle = scope.is_triangle(positions)
    if not triangle:
        seen = scope(positions)
        if seen is not None:
            seen = seen if seen.dim() == 3 else seen.unsqueeze(0)
            whole = seen if whole is None else whole & seen
    if whole is own and not triangle:
        return projected.visible
    if whole is None:
        return TRIANGLE
    return Visible(whole.unsqueeze(1), triangle)


TRIANGLE = Visible(triangle=True)


def _check_mask(mask: Tensor, batch: int, positions: Positions) -> None:
    flat = (batch, positions.key_length)
    full = (batch, positions.query_length, positions.key_length)
    if mask.dtype != torch.bool or tuple(mask.shape) not in (flat, full):
        raise ValueError(
            f"mask: got {mask.dtype} of shape {list(mask.shape)}, expected torch.bool "
            f"[batch, source] = {list(flat)} or [batch, target, source] = {list(full)}, "
            "True = may attend"
        )


def _spoil(answer: Answer, visible: Visible, finite: Tensor, target_length: int) -> Answer:
    """Give NaN to the queries that may see a NaN or infinite place, and to nobody else."""
    broken = ~finite[:, None, None, :]
    mask = visible.whole(target_length, finite.shape[1], finite.device)
    broken = broken if mask is None else broken & mask
    reader = broken.any(-1, keepdim=True)
    context = answer.context.masked_fill(reader, torch.nan)
    if answer.alignment is None:
        return Answer(context, None)
    hidden = reader if mask is None else reader & mask
    return Answer(context, answer.alignment.masked_fill(hidden, torch.nan))
