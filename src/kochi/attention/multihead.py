"""Multi-head attention."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.alignment_request import NeedAlignment
from kochi.attention.attend import AttentionBase
from kochi.attention.components import Components, check_rotary
from kochi.attention.hooks import call_prepared, has_hooks, hooked
from kochi.attention.in_heads import Call, KeyPositions, QueryPositions
from kochi.attention.kernels.base import AttentionMask
from kochi.attention.options import check_count
from kochi.attention.output import START, AttentionOutput, AttentionState
from kochi.attention.positions import stand
from kochi.attention.projected_memory import ProjectedMemory, clean_memory
from kochi.attention.relative import Rotary
from kochi.attention.scopes.base import PredictedScope
from kochi.products import Linear, linear


class Joined(NamedTuple):
    """The query, key and value projections of self-attention as one matrix."""

    weight: Float[Tensor, "three_sizes size"]
    bias: Float[Tensor, " three_sizes"]


class MultiHeadAttention(AttentionBase):
    """Multi-head attention: attend in several heads with their own projections.

    Vaswani et al. 2017, section 3.2.2: ``context = W_O concat(head_1, ..., head_h)`` with
    ``head_i = attention(W_Q_i query, W_K_i memory, W_V_i memory)``, here with any score inside a
    head; https://arxiv.org/abs/1706.03762. With biases (the paper has none).

    Args:
        parts: Components built for ``query_size / num_heads`` on both sides and this number of
            heads.
        query_size: Size of a query, and of the context.
        memory_size: Size of a memory value.
        num_heads: Number of heads; must divide ``query_size``.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or the name of the kernel to use.
        rotary: Rotary positions, for dot-product scores.

    Raises:
        ValueError: ``num_heads`` does not divide ``query_size``, the score does not support rotary
            positions, the kernel does not support these components, or an argument is out of range.
    """

    def __init__(
        self,
        parts: Components,
        query_size: int,
        memory_size: int,
        num_heads: int,
        dropout: float = 0.0,
        kernel: str = "auto",
        rotary: Rotary | None = None,
    ) -> None:
        super().__init__(parts, query_size, memory_size, dropout, kernel)
        self.num_heads = num_heads
        self.head_size = head_size(query_size, num_heads)
        if rotary is not None:
            check_rotary(parts.score)
        self.rotary = rotary
        self.context_size = query_size
        self.query_proj = Linear(query_size, query_size)  # W_Q
        self.memory_proj = Linear(memory_size, 2 * query_size)  # W_K above W_V
        self.output_proj = Linear(query_size, query_size)  # W_O
        self.reset_parameters()

    def _check_parts(self, parts: Components, dropout: float, kernel: str) -> None:
        super()._check_parts(parts, dropout, kernel)
        if self._modules.get("rotary") is not None:  # None while the module is being built
            check_rotary(parts.score)

    def reset_parameters(self) -> None:
        """Initialise the four matrices after Glorot and Bengio (2010) and the biases with 0."""
        key_weight, value_weight = self.memory_proj.weight.chunk(2)
        for weight in (self.query_proj.weight, key_weight, value_weight, self.output_proj.weight):
            nn.init.xavier_uniform_(weight)
        for layer in (self.query_proj, self.memory_proj, self.output_proj):
            nn.init.zeros_(layer.bias)

    @hooked
    def project(
        self,
        memory_values: Float[Tensor, "batch source memory_size"],
        mask: Bool[Tensor, "batch source"] | None = None,
        positions: KeyPositions = None,
    ) -> ProjectedMemory:
        """See `AttentionBase.project`; keys and values come from one matrix product.

        Args:
            memory_values: The vectors to attend to.
            mask: True where any query may attend.
            positions: Positions of the memory, for rotary positions only; by default ``0, 1, ...``.
        """
        self._check_memory(memory_values, mask)
        memory_values, finite = clean_memory(memory_values, mask)
        keys, values = self._heads(self.memory_proj(memory_values), 2)
        keys = self._turn(call_prepared(self.score.project_keys, keys), positions)
        return self._sign(ProjectedMemory(keys, values, mask, finite), positions)

    @property
    def _projection(self) -> nn.Module:
        return self.memory_proj

    def _sign(self, projected: ProjectedMemory, positions: KeyPositions) -> ProjectedMemory:
        counted = self.rotary is not None and positions is None
        return projected.projected_by(self.memory_proj, counted=counted)

    @hooked
    def project_self(
        self,
        values: Float[Tensor, "batch length size"],
        mask: Bool[Tensor, "batch length"] | None = None,
        positions: KeyPositions = None,
        joined: Joined | None = None,
    ) -> tuple[Float[Tensor, "batch heads length projected_size"], ProjectedMemory]:
        """Project queries, keys and values for self-attention in one product.

        ``attend_heads(*project_self(values, mask))`` equals ``module(values, project(values,
        mask))`` and is faster.

        Args:
            values: The sequence.
            mask: True where any query may attend.
            positions: Positions of the sequence, for rotary positions only; by default ``0, 1,
                ...``.
            joined: The result of `join`, for repeated calls with the same weights.

        Raises:
            ValueError: ``memory_size`` is not ``query_size``, the scope predicts its windows, or an
                argument has the wrong shape or type.
        """
        if self.memory_size != self.query_size:
            raise ValueError(
                f"project_self: self-attention needs memory_size == query_size, "
                f"got {self.memory_size} and {self.query_size}; use project"
            )
        if isinstance(self.scope, PredictedScope):
            raise ValueError(
                f"project_self: the scope {type(self.scope).__name__} needs the queries before "
                "the score projects them; use project and forward"
            )
        self._check_memory(values, mask)
        values, finite = clean_memory(values, mask)
        joined = joined or self.join()
        if joined is None:
            (query,) = self._heads(self.query_proj(values), 1)
            keys, read = self._heads(self.memory_proj(values), 2)
        else:  # concatenating the weights is cheaper than a second product
            query, keys, read = self._heads(linear(values, *joined), 3)
        query = self._turn(call_prepared(self.score.project_query, query), positions)
        keys = self._turn(call_prepared(self.score.project_keys, keys), positions)
        return query, self._sign(ProjectedMemory(keys, read, mask, finite), positions)

    def join(self) -> Joined | None:
        """Concatenate the weights and biases of the query, key and value projections.

        Return ``None`` if one of them was replaced or has hooks and must be called.
        """
        if not (_is_plain(self.query_proj) and _is_plain(self.memory_proj)):
            return None
        return Joined(
            torch.cat((self.query_proj.weight, self.memory_proj.weight)),
            torch.cat((self.query_proj.bias, self.memory_proj.bias)),
        )

    @hooked
    def attend_heads(
        self,
        query: Float[Tensor, "batch heads target projected_size"],
        projected: ProjectedMemory,
        mask: Bool[Tensor, "..."] | None = None,
        state: AttentionState | None = None,
        need_alignment: NeedAlignment = False,
        query_positions: QueryPositions = None,
        key_positions: KeyPositions = None,
        visible: AttentionMask | None = None,
        bias: Float[Tensor, "#batch #heads #target source"] | None = None,
    ) -> AttentionOutput:
        """Attend with queries from `project_self`; arguments as in `AttentionBase.forward`.

        ``visible``, from `AttentionBase.visible`, replaces the mask and the positions.
        """
        call = Call(
            mask,
            state or START,
            need_alignment,
            query_positions,
            key_positions,
            visible=visible,
            bias=bias,
        )
        return self._read(query, query, projected, call)

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
        """See `AttentionBase.forward`; the alignment is ``[batch, heads, target, source]``."""
        call = Call(mask, state or START, need_alignment, query_positions, key_positions, bias=bias)
        return self._project_and_read(query, projected, call)

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
        call = Call(mask, state, need_alignment, together=True, bias=bias)
        return self._project_and_read(query, projected, call)

    def _project_and_read(
        self, query: Tensor, projected: ProjectedMemory, call: Call
    ) -> AttentionOutput:
        self._check_query(query, projected)
        (raw_query,) = self._heads(self.query_proj(query), 1)
        start = call.state.position
        positions = start if call.together else call.query_positions
        heads = self._turn(call_prepared(self.score.project_query, raw_query), positions, start)
        return self._read(raw_query, heads, projected, call)

    def _read(
        self, raw_query: Tensor, heads: Tensor, projected: ProjectedMemory, call: Call
    ) -> AttentionOutput:
        output, state = self.attend(raw_query, heads, projected, call)
        context = self.output_proj(output.context.transpose(1, 2).flatten(2))
        return AttentionOutput(context, output.alignment, state)

    def _heads(
        self, joined: Float[Tensor, "batch length parts_size"], parts: int
    ) -> tuple[Float[Tensor, "batch heads length head_size"], ...]:
        """Split a product into its parts and each part into heads (views, without copying)."""
        shape = (*joined.shape[:2], self.num_heads, self.head_size)
        if parts == 1:
            return (joined.view(shape).transpose(1, 2),)
        return tuple(part.view(shape).transpose(1, 2) for part in joined.chunk(parts, dim=-1))

    def _turn(
        self,
        vectors: Float[Tensor, "batch heads length size"],
        positions: QueryPositions,
        start: int = 0,
    ) -> Float[Tensor, "batch heads length size"]:
        """Apply rotary positions to queries or keys, if there are any."""
        if self.rotary is None:
            return vectors
        return self.rotary(vectors, stand(positions, vectors.shape[2], vectors.device, start))


def _is_plain(layer: nn.Module) -> bool:
    """Return whether calling the layer does nothing but multiply with its weight."""
    return type(layer) is Linear and not has_hooks(layer)


def head_size(query_size: int, num_heads: int) -> int:
    """Return the size of a head.

    Raises:
        ValueError: An argument is not a positive integer, or ``num_heads`` does not divide
            ``query_size``.
    """
    check_count("query_size", query_size)
    check_count("num_heads", num_heads)
    if query_size % num_heads:
        raise ValueError(
            f"num_heads: {num_heads} does not divide query_size={query_size}; "
            f"choose one of {[n for n in range(1, query_size + 1) if query_size % n == 0]}"
        )
    return query_size // num_heads
