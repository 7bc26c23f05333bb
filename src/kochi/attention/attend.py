"""Attention over one memory: the base class and the single-head attention."""

import abc
from typing import TYPE_CHECKING

from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.alignment_request import AlignmentOf, NeedAlignment
from kochi.attention.arguments import check_projected, check_vectors, warn_of_polarity
from kochi.attention.components import Components
from kochi.attention.hooks import call_prepared, hooked
from kochi.attention.in_heads import Call, InHeads, KeyPositions, QueryPositions
from kochi.attention.kernels.base import AttentionMask
from kochi.attention.masking import describe, is_mask, see
from kochi.attention.output import START, AttentionOutput, AttentionState
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import ProjectedMemory, clean_memory
from kochi.attention.scopes.base import Scope
from kochi.attention.tuning import time_kernels


class AttentionBase(InHeads, abc.ABC):
    """Base class of all attentions: components, masks, positions and the choice of kernel.

    Args:
        parts: Score, scope, selection and relative term, built for the sizes inside a head.
        query_size: Size of a query.
        memory_size: Size of a memory value.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or the name of the kernel to use.

    Attributes:
        parts: The components; each is also a submodule.

    Raises:
        ValueError: The kernel does not support these components, or an argument is out of range.
    """

    context_size: int

    def __init__(
        self,
        parts: Components,
        query_size: int,
        memory_size: int,
        dropout: float,
        kernel: str,
    ) -> None:
        super().__init__(parts, dropout, kernel)
        self.query_size, self.memory_size = query_size, memory_size

    @property
    @abc.abstractmethod
    def _projection(self) -> nn.Module:
        """What holds the weights of the projection of keys."""

    @abc.abstractmethod
    def project(
        self,
        memory_values: Float[Tensor, "batch source memory_size"],
        mask: Bool[Tensor, "batch source"] | None = None,
    ) -> ProjectedMemory:
        """Compute once per memory everything that does not depend on the query.

        Args:
            memory_values: The vectors to attend to.
            mask: True where any query may attend. It applies to every call and need not be passed
                again.

        Raises:
            ValueError: The memory or the mask has the wrong shape or type.
        """

    @abc.abstractmethod
    def forward(
        self,
        query: Float[Tensor, "batch target query_size"],
        projected: ProjectedMemory,
        mask: Bool[Tensor, "..."] | None = None,
        state: AttentionState | None = None,
        need_alignment: NeedAlignment = False,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
    ) -> AttentionOutput:
        """Attend to the memory.

        All queries of a call are processed at once, or one after the other if a component is
        recurrent.

        Args:
            query: The queries.
            projected: The memory, from `project`.
            mask: True where a query may attend, ``[batch, source]``, ``[batch, target, source]`` or
                ``[batch, heads, target, source]``; combined with the mask given to `project`.
            state: The state from the previous call when decoding step by step; ``None`` at the
                start.
            need_alignment: Also return the alignment, in full (True) or for a subset of queries and
                heads (`AlignmentOf`). The context is the same bit for bit either way.
            query_positions: Positions of the queries; by default ``state.position``,
                ``state.position + 1``, ...
            key_positions: Positions of the keys; by default ``0, 1, ...``.
            bias: Added to the scores before the selection; minus infinity hides a position.

        Raises:
            ValueError: The query, the mask, the bias or the requested alignment has the wrong shape
                or type.
        """

    @abc.abstractmethod
    def step(
        self,
        query: Float[Tensor, "batch width query_size"],
        projected: ProjectedMemory,
        state: AttentionState,
        mask: Bool[Tensor, "..."] | None = None,
        need_alignment: NeedAlignment = False,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
    ) -> AttentionOutput:
        """Attend with queries that are all at ``state.position``: the beams of each sentence.

        Args:
            query: The queries, one per beam.
            projected: The memory, from `project`.
            state: The state from the previous step; ``AttentionState()`` at the start.
            mask: As in `forward`.
            need_alignment: As in `forward`.
            bias: As in `forward`.
        """

    def visible(
        self,
        target_length: int,
        projected: ProjectedMemory,
        mask: Bool[Tensor, "..."] | None = None,
        position: int = 0,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
    ) -> AttentionMask:
        """Compute the attention mask of a call; modules with the same scope can share it.

        Args:
            target_length: Number of queries.
            projected: The memory; only its length and its mask are used.
            mask: As in `forward`.
            position: Position of the first query.
            query_positions: As in `forward`.
            key_positions: As in `forward`.

        Raises:
            ValueError: The scope or the relative term depends on the query.
        """
        if self.parts.needs_query:
            raise ValueError(
                "visible: the mask of this scope or relative term depends on the query; use forward"
            )
        assert isinstance(self.scope, Scope)
        length, device = projected.keys.shape[2], projected.keys.device
        positions = Positions(
            target_length, length, device, position, query_positions, key_positions
        )
        return see(self.scope, positions, projected, mask)

    def tune(
        self,
        query: Float[Tensor, "batch target query_size"],
        projected: ProjectedMemory,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
        seconds: float = 0.5,
    ) -> dict[str, float]:
        """Time all kernels for a call, and use the fastest from now on (`kernel`).

        The gradient is timed too where gradients are enabled and an input needs one. FlexAttention
        compiles for every new size, which this counts only once.

        Args:
            query: As in `forward`; like those that will follow.
            projected: As in `forward`.
            mask: As in `forward`.
            bias: As in `forward`.
            seconds: How long to time, in all.

        Returns:
            The median seconds of each kernel that can compute the call, the fastest first.
        """
        before = self.kernel

        def run(kernel: str) -> Tensor:
            self.kernel = kernel
            return self(query, projected, mask, bias=bias).context

        try:
            inputs = (query, projected.keys, projected.values)
            times = time_kernels(self.parts, run, inputs, seconds)
        finally:
            self.kernel = before
        self.kernel = next(iter(times))
        return times

    def _check_memory(self, memory_values: Tensor, mask: Tensor | None) -> None:
        check_vectors("memory_values", memory_values)
        if memory_values.dim() != 3 or memory_values.shape[2] != self.memory_size:
            raise ValueError(
                f"memory_values: got shape {list(memory_values.shape)}, expected "
                f"[batch, source, memory_size={self.memory_size}]"
            )
        if mask is None:
            return
        if not is_mask(mask) or mask.shape != memory_values.shape[:2]:
            raise ValueError(
                f"mask: got {describe(mask)}, expected torch.bool "
                f"[batch, source] = {list(memory_values.shape[:2])}, True = may attend"
            )
        warn_of_polarity(mask)

    def _check_query(self, query: Tensor, projected: ProjectedMemory) -> None:
        check_vectors("query", query)
        check_projected(projected, self._projection)
        if query.dim() != 3 or query.shape[2] != self.query_size:
            raise ValueError(
                f"query: got shape {list(query.shape)}, expected "
                f"[batch, target, query_size={self.query_size}]"
            )
        if query.shape[0] != projected.keys.shape[0]:
            turned = query.shape[1] == projected.keys.shape[0]
            raise ValueError(
                f"query: got a batch of {query.shape[0]}, but the memory's is "
                f"{projected.keys.shape[0]}"
                + ("; for [target, batch, size] pass query.transpose(0, 1)" if turned else "")
            )

    if TYPE_CHECKING:

        def __call__(
            self,
            query: Tensor,
            projected: ProjectedMemory,
            mask: Tensor | None = None,
            state: AttentionState | None = None,
            need_alignment: NeedAlignment = False,
            query_positions: QueryPositions = None,
            key_positions: KeyPositions = None,
            bias: Tensor | None = None,
        ) -> AttentionOutput:
            """Type a call as `forward`."""
            ...


class Attention(AttentionBase):
    """Single-head attention without projections: the context is a weighted sum of memory values.

    Bahdanau, Cho and Bengio 2015, section 3.1, equations 5 and 6, or Luong, Pham and Manning 2015,
    section 3.1, depending on the score; https://arxiv.org/abs/1409.0473,
    https://arxiv.org/abs/1508.04025. Arguments and errors: see `AttentionBase`.
    """

    def __init__(
        self,
        parts: Components,
        query_size: int,
        memory_size: int,
        dropout: float = 0.0,
        kernel: str = "auto",
    ) -> None:
        super().__init__(parts, query_size, memory_size, dropout, kernel)
        self.context_size = memory_size

    @property
    def _projection(self) -> nn.Module:
        return self.score

    @hooked
    def project(
        self,
        memory_values: Float[Tensor, "batch source memory_size"],
        mask: Bool[Tensor, "batch source"] | None = None,
    ) -> ProjectedMemory:
        """See `AttentionBase.project`."""
        self._check_memory(memory_values, mask)
        memory_values, finite = clean_memory(memory_values, mask)
        values = memory_values.unsqueeze(1)
        keys = call_prepared(self.score.project_keys, values)
        projected = ProjectedMemory(keys, values, mask, finite)
        return projected if keys is values else projected.projected_by(self.score, counted=False)

    def forward(
        self,
        query: Float[Tensor, "batch target query_size"],
        projected: ProjectedMemory,
        mask: Bool[Tensor, "..."] | None = None,
        state: AttentionState | None = None,
        need_alignment: NeedAlignment = False,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
    ) -> AttentionOutput:
        """See `AttentionBase.forward`; the alignment is ``[batch, target, source]``."""
        call = Call(mask, state or START, need_alignment, query_positions, key_positions, bias=bias)
        return self._read(query, projected, call)

    @hooked
    def step(
        self,
        query: Float[Tensor, "batch width query_size"],
        projected: ProjectedMemory,
        state: AttentionState,
        mask: Bool[Tensor, "..."] | None = None,
        need_alignment: NeedAlignment = False,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
    ) -> AttentionOutput:
        """See `AttentionBase.step`."""
        return self._read(
            query, projected, Call(mask, state, need_alignment, together=True, bias=bias)
        )

    def _read(self, query: Tensor, projected: ProjectedMemory, call: Call) -> AttentionOutput:
        self._check_query(query, projected)
        wanted = call.need_alignment
        if isinstance(wanted, AlignmentOf) and wanted.of_heads(1) not in (None, [0]):
            raise ValueError(
                f"need_alignment: got heads={wanted.heads}, expected None or [0]: there is one head"
            )
        raw_query = query.unsqueeze(1)
        output, state = self.attend(
            raw_query, call_prepared(self.score.project_query, raw_query), projected, call
        )
        alignment = output.alignment
        alignment = None if alignment is None else alignment.squeeze(1)
        return AttentionOutput(output.context.squeeze(1), alignment, state)
