"""Recurrent layers that run over a whole sequence or one step at a time with the same weights.

LSTM: Hochreiter and Schmidhuber 1997, with forget gate (Gers et al. 2000).
GRU: Cho et al. 2014, https://arxiv.org/abs/1406.1078, in the form of ``nn.GRU``.
A state is a tuple with one tensor [vectors, rows, hidden_size] a layer: the hidden vectors and, for
the LSTM, the cell vectors.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kochi.layers.dropout import Dropout
from kochi.products import linear, linear_onto

State = tuple[Float[Tensor, "vectors rows hidden_size"], ...]


class RecurrentStack(nn.Module):
    """Layers of unidirectional LSTM or GRU with dropout between them.

    Args:
        cell: "lstm" or "gru".
        input_size: Width of the inputs.
        hidden_size: Width of the outputs.
        num_layers: Number of layers.
        dropout: Rate of the dropout between layers.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(kind(size, hidden_size, batch_first=True) for size in sizes)
        self.num_layers, self.hidden_size = num_layers, hidden_size
        self.num_vectors = 2 if cell == "lstm" else 1
        self.dropout = Dropout(dropout)
        for layer in self.cells:
            _initialise(layer, hidden_size)

    @property
    def cells(self) -> list[nn.LSTM | nn.GRU]:
        """The layers, first to last."""
        return cast(list[nn.LSTM | nn.GRU], list(self.layers))

    @property
    def input_weight(self) -> Float[Tensor, "gates input_size"]:
        """The first layer's input weights."""
        return self.cells[0].all_weights[0][0]

    @property
    def input_bias(self) -> Float[Tensor, " gates"]:
        """The first layer's input bias."""
        return self.cells[0].all_weights[0][2]

    def start(self, rows: int, like: Tensor) -> State:
        """Return the zero state."""
        zero = like.new_zeros(self.num_vectors, rows, self.hidden_size)
        return (zero,) * self.num_layers

    def sequence(
        self,
        inputs: Float[Tensor, "rows length input_size"],
        state: State,
    ) -> Float[Tensor, "rows length hidden_size"]:
        """Run over whole sequences from ``state`` and return the top layer's outputs."""
        return self.read(inputs, state)[0]

    def read(
        self,
        inputs: Float[Tensor, "rows length input_size"],
        state: State,
    ) -> tuple[Float[Tensor, "rows length hidden_size"], State]:
        """Like `sequence`, but also return the state after the last position, to continue from."""
        outputs, states = inputs, []
        for index, layer in enumerate(self.cells):
            if index:
                outputs = self.dropout(outputs)
            outputs, after = _run(layer, outputs, state[index])
            states.append(torch.cat(after) if isinstance(after, tuple) else after)
        return outputs, tuple(states)

    def step(
        self,
        inputs: Float[Tensor, "rows input_size"],
        state: State,
    ) -> tuple[Float[Tensor, "rows hidden_size"], State]:
        """Run one step and return the top layer's output and the next state."""
        return self.step_from_gates(linear(inputs, self.input_weight, self.input_bias), state)

    def step_from_gates(
        self,
        gates: Float[Tensor, "rows gates"],
        state: State,
    ) -> tuple[Float[Tensor, "rows hidden_size"], State]:
        """Run one step whose input is already multiplied by the first layer's input weights.

        In training, the part of the input that is known in advance (the target's embeddings) is
        multiplied for all steps at once.
        """
        states: list[Tensor] = []
        for index, layer in enumerate(self.cells):
            if index:
                weight, _, bias, _ = layer.all_weights[0]
                gates = linear(self.dropout(states[-1][0]), weight, bias)
            states.append(_cell(layer, gates, state[index]))
        return states[-1][0], tuple(states)


def _run(
    layer: nn.LSTM | nn.GRU, inputs: Tensor, state: Float[Tensor, "vectors rows hidden_size"]
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
    """Run a layer; an LSTM runs in float32 if the processor does not support bfloat16."""
    autocast = inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    if autocast and isinstance(layer, nn.LSTM) and not _has_bf16():
        with torch.autocast("cpu", enabled=False):
            return layer(inputs.float(), _library_state(state.float()))
    return layer(inputs, _library_state(state))


def _has_bf16() -> bool:
    """Return whether oneDNN supports bfloat16 here: it needs at least AVX-512."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _library_state(state: Tensor) -> Tensor | tuple[Tensor, Tensor]:
    """Return the state in the form of ``nn.LSTM`` or ``nn.GRU`` of one layer."""
    if state.shape[0] == 1:
        return state.contiguous()
    return state[:1].contiguous(), state[1:].contiguous()


def _cell(layer: nn.LSTM | nn.GRU, gates: Tensor, state: Tensor) -> Tensor:
    _, weight, _, bias = layer.all_weights[0]
    if isinstance(layer, nn.GRU):
        return _gru_cell(gates, linear(state[0], weight, bias), state[0]).unsqueeze(0)
    gates = linear_onto(gates, state[0], weight, bias)
    return _LstmCell.apply(gates, state[1])  # pyright: ignore[reportReturnType]


def _gru_cell(gates: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    reset_in, update_in, new_in = gates.chunk(3, 1)
    reset_re, update_re, new_re = recurrent.chunk(3, 1)
    update = (update_in + update_re).sigmoid()
    new = (new_in + (reset_in + reset_re).sigmoid() * new_re).tanh()
    return new + update * (hidden - new)


class _LstmCell(torch.autograd.Function):
    """The element-wise part of the LSTM with an explicit backward pass.

    Gates are in the order of ``nn.LSTM``: input, forget, candidate, output. Returns [2, rows,
    hidden]: the next hidden and cell vectors.
    """

    @staticmethod
    def forward(ctx, gates: Tensor, cell: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        size = cell.shape[1]
        active = gates.sigmoid()
        torch.tanh(gates[:, 2 * size : 3 * size], out=active[:, 2 * size : 3 * size])
        enter, forget, candidate, leave = active.chunk(4, 1)
        state = torch.empty(2, *cell.shape, dtype=cell.dtype, device=cell.device)
        torch.addcmul(forget * cell, enter, candidate, out=state[1])
        tanh_cell = state[1].tanh()
        torch.mul(leave, tanh_cell, out=state[0])
        ctx.save_for_backward(active, cell, tanh_cell)
        return state

    @staticmethod
    def backward(ctx, grad: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        active, cell, tanh_cell = ctx.saved_tensors
        enter, forget, candidate, leave = active.chunk(4, 1)
        through = grad[1] + grad[0] * leave * (1 - tanh_cell * tanh_cell)
        size = cell.shape[1]
        slopes = active * (1 - active)
        slopes[:, 2 * size : 3 * size] = 1 - candidate * candidate
        outer = torch.cat(
            [through * candidate, through * cell, through * enter, grad[0] * tanh_cell], 1
        )
        return slopes.mul_(outer), through * forget


def _initialise(layer: nn.LSTM | nn.GRU, hidden_size: int) -> None:
    """Initialise with Glorot, orthogonal recurrence, open forget gate (Jozefowicz et al. 2015)."""
    for name, weight in layer.named_parameters():
        if "weight_ih" in name:
            nn.init.xavier_uniform_(weight)
        elif "weight_hh" in name:
            for gate in weight.data.chunk(weight.shape[0] // hidden_size):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(weight)
            if isinstance(layer, nn.LSTM) and "bias_ih" in name:
                weight.data[hidden_size : 2 * hidden_size] = 1.0
