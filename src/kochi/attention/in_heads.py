"""Attention between queries and keys that are already projected and split into heads."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kochi.attention.alignment_request import AlignmentOf, NeedAlignment, check_need
from kochi.attention.components import (
    SLOTS,
    Components,
    check_combination,
    check_component,
)
from kochi.attention.history import then
from kochi.attention.kernels.base import AttentionMask, KernelOutput
from kochi.attention.kernels.dispatch import KERNELS, Able, Case, choose, refusal
from kochi.attention.kernels.partial_alignment import WHOLE, Some
from kochi.attention.masking import (
    add_bias,
    check_bias,
    propagate_nan,
    see_with_query,
    spoil_alignment,
)
from kochi.attention.options import is_number
from kochi.attention.output import AttentionState, Draws
from kochi.attention.positions import Positions
from kochi.attention.projected_memory import ProjectedMemory
from kochi.attention.relative import Rotary
from kochi.attention.scopes.base import RecurrentScope, Scope
from kochi.attention.selections.base import Choice, SampledSelection, Walk

QueryPositions = int | Int[Tensor, " target"] | Int[Tensor, "batch target"] | None
KeyPositions = int | Int[Tensor, " source"] | Int[Tensor, "batch source"] | None


class Call(NamedTuple):
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
        return self._replace(
            mask=mask,
            query_positions=positions,
            state=state,
            need_alignment=need,
            bias=bias,
        )


class InHeads(nn.Module):
    """Components, dropout and kernel; attends with queries and keys inside heads.

    Args:
        parts: Score, scope, selection and relative term, built for the sizes inside a head.
        dropout: Fraction of the alignment dropped in training.
        kernel: "auto", or the name of the kernel to use.

    Attributes:
        parts: The components; each is also a submodule.
        able: The kernels that can compute them.

    Raises:
        ValueError: The kernel does not support these components, or an argument is out of range.
    """

    def __init__(self, parts: Components, dropout: float, kernel: str) -> None:
        super().__init__()
        self._check_parts(parts, dropout, kernel)
        self.score, self.scope = parts.score, parts.scope
        self.selection, self.relative = parts.selection, parts.relative
        self.parts, self.able = parts, Able.of(parts)
        self.dropout, self.kernel = dropout, kernel

    def __setattr__(self, name: str, value: Any) -> None:
        built = "kernel" in self.__dict__  # set last
        if built and (name in SLOTS or name in ("dropout", "kernel")):
            self._exchange(name, value)
        super().__setattr__(name, value)

    def _exchange(self, name: str, value: Any) -> None:
        """Check what replaces a component or an option as if the module was built with it."""
        parts, dropout, kernel = self.parts, self.dropout, self.kernel
        if name == "dropout":
            dropout = value
        elif name == "kernel":
            kernel = value
        else:
            if isinstance(value, Rotary):
                raise ValueError(
                    "relative: rotary positions are no term of the score; set `rotary` instead"
                )
            if name != "relative" or value is not None:
                check_component(name, value)
            parts = replace(parts, **{name: value})
        self._check_parts(parts, dropout, kernel)
        self.parts, self.able = parts, Able.of(parts)

    def _check_parts(self, parts: Components, dropout: float, kernel: str) -> None:
        if not is_number(dropout) or not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: got {dropout!r}, expected a fraction from 0 to below 1")
        check_combination(parts)
        why = refusal(kernel, parts)
        if why is not None:
            raise ValueError(f"kernel: {kernel!r} cannot serve: {why}; use 'auto' or 'reference'")

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
        chosen = choose(self.kernel, self.parts, self.able, case)
        return chosen.name, chosen.reason

    def _check_heads(
        self, query: Tensor, projected: ProjectedMemory, state: AttentionState
    ) -> None:
        ours = query.shape[:2]
        if projected.keys.shape[:2] != ours:
            raise ValueError(
                f"projected: got [batch, heads] = {list(projected.keys.shape[:2])}, but the "
                f"query's is {list(ours)}; project the memory with the same module"
            )
        past = state.past
        if past is not None and past.previous.shape[:2] != ours:
            raise ValueError(
                f"state: got a past of [batch, heads] = {list(past.previous.shape[:2])}, but the "
                f"query's is {list(ours)}; use `AttentionState.keep` to drop finished sentences"
            )

    def attend(
        self,
        raw_query: Float[Tensor, "batch heads target raw_size"],
        query: Float[Tensor, "batch heads target size"],
        projected: ProjectedMemory,
        call: "Call",
    ) -> tuple[KernelOutput, AttentionState]:
        """Attend in every head with queries already projected by the score.

        Queries are processed together, or one after the other if a component is recurrent.
        """
        if call.need_alignment is not False:
            check_need(call.need_alignment)
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
            if call.mask is None and not parts.hides and not parts.needs_query:
                visible = projected.visible
            else:
                positions = call.positions(length, keys)
                visible = see_with_query(
                    parts, raw_query, query, positions, projected, call.mask, past
                )
        if call.bias is not None:
            visible = add_bias(visible, call.bias)
        dropout = self.dropout if self.training else 0.0
        case = Case.of(query, keys, projected.values, visible, dropout)
        name = choose(self.kernel, parts, self.able, case).name
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
        elif not wanted and output.alignment is not None:  # it was computed for the past only
            output = output._replace(alignment=None)
        position = state.position + (1 if call.together else length)
        return output, AttentionState(position, past, draws, expected)


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
