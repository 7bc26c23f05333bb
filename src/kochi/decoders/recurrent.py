"""Helpers of the recurrent decoders: their state, its first value, and the output features."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from kochi.attention import START, AttentionState, ProjectedMemory
from kochi.layers.recurrent import RecurrentStack, State
from kochi.memory import Memory
from kochi.products import Linear, linear


@dataclass(frozen=True)
class RecurrentState:
    """State of a recurrent decoder between two steps, for ``width`` beams per sentence.

    Attributes:
        layers: One tensor [vectors, batch, width, hidden_size] per layer.
        feed: The input of the next step besides the token: the attentional vector (Luong), or an
            empty vector (width 0).
        memory: The memory to attend to, shared by the beams.
        projected: The memory as projected by the attention; None for the plain decoder.
        attention_state: The state of the attention.
    """

    layers: tuple[Float[Tensor, "vectors batch width hidden_size"], ...]
    feed: Float[Tensor, "batch width feed_size"]
    memory: Memory
    projected: ProjectedMemory | None
    attention_state: AttentionState = START

    def reorder(self, beams: Int[Tensor, "batch new_width"]) -> "RecurrentState":
        """Make each new beam continue an old beam of its sentence."""
        return replace(
            self,
            layers=tuple(
                _take(layer, beams[None].expand(len(layer), -1, -1)) for layer in self.layers
            ),
            feed=_take(self.feed, beams),
            attention_state=self.attention_state.reorder(beams),
        )

    def keep(self, rows: Int[Tensor, " kept"]) -> "RecurrentState":
        """Keep only the given sentences."""
        return RecurrentState(
            tuple(layer.index_select(1, rows) for layer in self.layers),
            self.feed.index_select(0, rows),
            self.memory.rows(rows),
            None if self.projected is None else self.projected.rows(rows),
            self.attention_state.keep(rows),
        )


def _take(values: Tensor, beams: Tensor) -> Tensor:
    index = beams.unsqueeze(-1).expand(*beams.shape, values.shape[-1])
    return values.gather(-2, index)


class Bridge(nn.Module):
    """Compute a decoder's first state from the encoder's summary: tanh(W summary + b).

    Bahdanau et al. 2015, appendix A.2.2, here for every layer and also for the LSTM's cells.

    Args:
        summary_size: Width of the summary; None for tanh(b) without a summary, for a decoder that
            starts before the encoder has finished.
        stack: The decoder's layers.
    """

    def __init__(self, summary_size: int | None, stack: RecurrentStack) -> None:
        super().__init__()
        self.shape = (stack.num_layers, stack.num_vectors, stack.hidden_size)
        size = stack.num_layers * stack.num_vectors * stack.hidden_size
        self.linear = None if summary_size is None else Linear(summary_size, size)
        self.first = nn.Parameter(torch.zeros(size)) if summary_size is None else None

    @override
    def forward(self, summary: Float[Tensor, "batch summary_size"]) -> State:
        if self.linear is not None:
            first = self.linear(summary)
        else:
            assert self.first is not None
            first = self.first.expand(len(summary), -1)
        first = first.tanh().view(len(summary), *self.shape)
        return tuple(first.permute(1, 2, 0, 3).unbind(0))


def widen(layers: State, width: int) -> tuple[Tensor, ...]:
    """Give each sentence ``width`` equal beams: [vectors, batch, hidden] to four axes."""
    return tuple(layer.unsqueeze(2).expand(-1, -1, width, -1) for layer in layers)


def flat(layers: tuple[Tensor, ...]) -> State:
    """Turn [vectors, batch, width, hidden] into [vectors, batch * width, hidden]."""
    return tuple(layer.flatten(1, 2) for layer in layers)


def unflat(layers: State, batch: int, width: int) -> tuple[Tensor, ...]:
    """Undo `flat`."""
    return tuple(layer.unflatten(1, (batch, width)) for layer in layers)


def input_columns(
    stack: RecurrentStack, size: int
) -> tuple[Float[Tensor, "gates size"], Float[Tensor, "gates rest"]]:
    """Split the first layer's input weights into those of the token and those of the rest."""
    weight = stack.input_weight
    return weight[:, :size], weight[:, size:]


def token_gates(
    stack: RecurrentStack, embedded: Float[Tensor, "batch target size"]
) -> Float[Tensor, "batch target gates"]:
    """Multiply the token embeddings by their part of the input weights, for all steps at once."""
    token_weight, _ = input_columns(stack, embedded.shape[-1])
    return linear(embedded, token_weight, stack.input_bias)


def stack_steps(
    alignments: list[Tensor | None],
) -> tuple[Float[Tensor, "batch heads target source"], ...]:
    """Stack the alignments of single steps to that of the only layer, if there are any."""
    steps = [alignment for alignment in alignments if alignment is not None]
    return (torch.cat(steps, 2),) if steps else ()
