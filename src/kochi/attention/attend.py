"""Attention over one memory: the base class and the single-head attention."""

import abc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.attention.alignment_request import AlignmentOf, NeedAlignment, check_need
from kochi.attention.arguments import check_projected, check_vectors, warn_of_polarity
from kochi.attention.components import (
    SLOTS,
    Components,
    check_combination,
    check_component,
)
from kochi.attention.history import then
from kochi.attention.hooks import call_prepared, hooked
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.dispatch import KERNELS, Case, choose, refusal
from kochi.attention.kernels.partial_alignment import WHOLE, Some
from kochi.attention.masking import (
    add_bias,
    check_bias,
    describe,
    is_mask,
    propagate_nan,
    see,
    see_with_query,
    spoil_alignment,
)
from kochi.attention.options import is_number
from kochi.attention.output import START, AttentionOutput, AttentionState, Draws
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import ProjectedMemory, clean_memory
from kochi.attention.relative import Rotary
from kochi.attention.scopes.base import RecurrentScope, Scope
from kochi.attention.selections.base import Choice, SampledSelection, Walk

QueryPositions = int | Int[Tensor, " target"] | Int[Tensor, "batch target"] | None
KeyPositions = int | Int[Tensor, " source"] | Int[Tensor, "batch source"] | None


class AttentionBase(nn.Module, abc.ABC):
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
        super().__init__()
        self._check_parts(parts, dropout, kernel)
        self.score, self.scope = parts.score, parts.scope
        self.selection, self.relative = parts.selection, parts.relative
        self.parts = parts
        self.query_size, self.memory_size = query_size, memory_size
        self.dropout, self.kernel = dropout, kernel

    def __setattr__(self, name: str, value: Any) -> None:
        built = "kernel" in self.__dict__  # set last
        if built and (name in SLOTS or name in ("dropout", "kernel")):
            self._exchange(name, value)
        super().__setattr__(name, value)

    def _exchange(self, name: str, value: Any) -> None:
        """Check what replaces a component or an option as if the module was built with it."""
        parts, options = self.parts, {"dropout": self.dropout, "kernel": self.kernel}
        if name in options:
            options[name] = value
        else:
            if isinstance(value, Rotary):
                raise ValueError(
                    "relative: rotary positions are no term of the score; set `rotary` instead"
                )
            if name != "relative" or value is not None:
                check_component(name, value)
            parts = replace(parts, **{name: value})
        self._check_parts(parts, **options)
        super().__setattr__("parts", parts)

    def _check_parts(self, parts: Components, dropout: float, kernel: str) -> None:
        if not is_number(dropout) or not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: got {dropout!r}, expected a fraction from 0 to below 1")
        check_combination(parts)
        why = refusal(kernel, parts)
        if why is not None:
            raise ValueError(f"kernel: {kernel!r} cannot serve: {why}; use 'auto' or 'reference'")

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

    def explain(
        self,
        target_length: int = 128,
        source_length: int = 128,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        need_gradient: bool = True,
        batch: int = 1,
    ) -> str:
        """Return one line that names the kernel for such a call and the reason for it.

        Queries and keys are assumed to be at positions ``0, 1, ...``, with at most a mask of the
        memory.
        """
        name, why = self.choose(target_length, source_length, dtype, device, need_gradient, batch)
        return f"kernel {name!r}: {why}"

    def choose(
        self,
        target_length: int,
        source_length: int,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        need_gradient: bool = True,
        batch: int = 1,
    ) -> tuple[str, str]:
        """Return the name of the kernel for such a call and the reason; see `explain`."""
        band, triangle = None, False
        if isinstance(self.scope, Scope):
            positions = Positions(target_length, source_length, torch.device(device))
            band, triangle = self.scope.band(positions), self.scope.is_triangle(positions)
        reach = None if isinstance(self.scope, RecurrentScope) else self.scope.reach
        window = None if reach is None or band is not None else sum(reach) + 1
        case = Case(
            target_length,
            source_length,
            dtype,
            torch.device(device).type,
            need_gradient,
            batch,
            band,
            triangle=triangle,
            bias=self.relative is not None,
            dropout=self.dropout if self.training else 0.0,
            window=window,
        )
        chosen = choose(self.kernel, self.parts, case)
        return chosen.name, chosen.reason

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

    def _check_heads(
        self, query: Tensor, projected: ProjectedMemory, state: AttentionState
    ) -> None:
        ours = list(query.shape[:2])
        if list(projected.keys.shape[:2]) != ours:
            raise ValueError(
                f"projected: got [batch, heads] = {list(projected.keys.shape[:2])}, but the "
                f"query's is {ours}; project the memory with the same module"
            )
        past = state.past
        if past is not None and list(past.previous.shape[:2]) != ours:
            raise ValueError(
                f"state: got a past of [batch, heads] = {list(past.previous.shape[:2])}, but the "
                f"query's is {ours}; use `AttentionState.keep` to drop finished sentences"
            )

    def _attend(
        self,
        raw_query: Float[Tensor, "batch heads target raw_size"],
        query: Float[Tensor, "batch heads target size"],
        projected: ProjectedMemory,
        call: "Call",
    ) -> tuple[KernelOutput, AttentionState]:
        """Attend in every head with queries already projected by the score.

        Queries are processed together, or one after the other if a component is recurrent.
        """
        self._check_heads(query, projected, call.state)
        length = query.shape[2]
        if call.bias is not None:
            check_bias(call.bias, projected, length)
        if call.together or length < 2 or not self.parts.recurrent:
            return self._attend_once(raw_query, query, projected, call)
        wanted, rows, kept = call.need_alignment, None, range(length)
        if isinstance(wanted, AlignmentOf):
            rows = wanted.rows(length)
            # Keep at least one row, so that an empty selection has a tensor to index.
            kept = range(length) if rows is None else sorted({*(rows or [0])})
        outputs: list[tuple[KernelOutput, Draws | None]] = []
        state = call.state
        for index in range(length):
            one = slice(index, index + 1)
            one_call = call.of_query(one, state, index in kept)
            output, state = self._attend_once(
                raw_query[:, :, one], query[:, :, one], projected, one_call
            )
            outputs.append((output, state.draws))
        output, state = _join(outputs, state)
        if rows is not None and output.alignment is not None:
            order = Some([kept.index(row) for row in rows], None)
            output = output._replace(alignment=order.pick(output.alignment))
        return output, state

    def _attend_once(
        self, raw_query: Tensor, query: Tensor, projected: ProjectedMemory, call: "Call"
    ) -> tuple[KernelOutput, AttentionState]:
        parts, state, keys = self.parts, call.state, projected.keys
        length, expected = query.shape[2], None
        if isinstance(parts.selection, SampledSelection):
            settled, expected = parts.selection.settle(state.expected, query.shape[0], query.device)
            parts = replace(parts, selection=settled)
        past = None if state.past is None else state.past.over(keys.shape[2])
        visible = call.visible
        if visible is None:
            positions = call.positions(length, keys)
            visible = see_with_query(parts, raw_query, query, positions, projected, call.mask, past)
        if call.bias is not None:
            visible = add_bias(visible, call.bias)
        dropout = self.dropout if self.training else 0.0
        case = Case.of(query, keys, projected.values, visible, dropout)
        name = choose(self.kernel, parts, case).name
        wanted = call.need_alignment
        some = Some.of(wanted, query) if isinstance(wanted, AlignmentOf) else None
        apart = some is not None and name not in WHOLE
        output = KERNELS[name](
            parts,
            query,
            keys,
            projected.values,
            visible,
            past,
            dropout,
            parts.recurrent or (bool(wanted) and not apart),
        )
        if parts.recurrent and length:
            assert output.alignment is not None
            standing = output.choice.standing if isinstance(output.choice, Walk) else None
            past = then(past, output.alignment, standing)
        draws = None
        if isinstance(output.choice, Choice):
            draws = Draws(output.choice.log_probability, output.choice.entropy)
        if projected.finite is not None:
            output = propagate_nan(output, visible, projected.finite, length)
        if some is not None:
            alignment = output.alignment
            if alignment is None:
                alignment, seen = some.alignment(parts, query, keys, visible, past)
                if projected.finite is not None:
                    alignment = spoil_alignment(alignment, seen.mask, projected.finite)
            else:
                alignment = some.pick(alignment)
            output = output._replace(alignment=alignment)
        elif not wanted:  # it was computed for the past only
            output = output._replace(alignment=None)
        position = state.position + (1 if call.together else length)
        return output, AttentionState(position, past, draws, expected)

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


@dataclass(frozen=True)
class Call:
    """The arguments of a call; see `AttentionBase.forward`.

    Args:
        mask: The mask of the call.
        state: The state from the previous call.
        need_alignment: Whether the alignment is requested, or which part of it.
        query_positions: Positions of the queries.
        key_positions: Positions of the keys.
        together: Whether all queries are at ``state.position``.
        visible: A precomputed attention mask that replaces the mask and the positions.
        bias: A bias of the scores.
    """

    mask: Tensor | None
    state: AttentionState
    need_alignment: NeedAlignment
    query_positions: QueryPositions = None
    key_positions: KeyPositions = None
    together: bool = False
    visible: AttentionMask | None = None
    bias: Tensor | None = None

    def __post_init__(self) -> None:
        check_need(self.need_alignment)

    def positions(self, length: int, keys: Tensor) -> Positions:
        """Return the positions of queries and keys."""
        here = self.state.position if self.together else self.query_positions
        return Positions(
            length, keys.shape[2], keys.device, self.state.position, here, self.key_positions
        )

    def of_query(self, one: slice, state: AttentionState, show: bool) -> "Call":
        """Return the call for one of the queries; ``show`` keeps the request for its alignment."""
        mask, positions, bias = self.mask, self.query_positions, self.bias
        if mask is not None and mask.dim() > 2:
            mask = mask[..., one, :]
        if bias is not None and bias.shape[2] > 1:
            bias = bias[:, :, one]
        if isinstance(positions, Tensor):
            positions = positions[..., one]
        need: NeedAlignment = self.need_alignment if show else False
        if isinstance(need, AlignmentOf):
            need = replace(need, queries=None)
        return replace(
            self,
            mask=mask,
            query_positions=positions,
            state=state,
            need_alignment=need,
            bias=bias,
        )


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
        output, state = self._attend(
            raw_query, call_prepared(self.score.project_query, raw_query), projected, call
        )
        alignment = output.alignment
        alignment = None if alignment is None else alignment.squeeze(1)
        return AttentionOutput(output.context.squeeze(1), alignment, state)


def _join(
    outputs: list[tuple[KernelOutput, Draws | None]], state: AttentionState
) -> tuple[KernelOutput, AttentionState]:
    """Concatenate the outputs of queries that were processed one after the other."""
    contexts = torch.cat([output.context for output, _ in outputs], dim=2)
    alignments = [output.alignment for output, _ in outputs if output.alignment is not None]
    alignment = torch.cat(alignments, dim=2) if alignments else None
    drawn = [draws for _, draws in outputs if draws is not None]
    draws = Draws(*(torch.cat(part, dim=2) for part in zip(*drawn, strict=True))) if drawn else None
    return KernelOutput(contexts, alignment), replace(state, draws=draws)
