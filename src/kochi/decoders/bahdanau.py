"""The recurrent decoder in Bahdanau's order: attend, then step.

Bahdanau, Cho and Bengio 2015, "Neural machine translation by jointly learning to align and
translate", section 3.1 and appendix A.2.2, https://arxiv.org/abs/1409.0473.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from kochi.attention import Attention, MultiHeadAttention
from kochi.decoders.attend_first import AttendFirstDecoder
from kochi.layers.embedding import Embedding
from kochi.products import Linear


class BahdanauDecoder(AttendFirstDecoder):
    """Attend with the previous state, then step with the context.

    c_i = attention(s_(i-1)), s_i = cell([E y_(i-1); c_i], s_(i-1)), and features
    t_i = tanh(W [s_i; E y_(i-1); c_i]). The paper's output layer uses s_(i-1) and a maxout; here it
    uses the new state and a tanh.

    Args:
        embedding: Embeds the target tokens.
        attention: A module made by ``kochi.attention.build`` with query_size = hidden_size.
        summary_size: Width of the encoder's summary; None for a learned first state.
        cell: "lstm" or "gru".
        hidden_size: Width of the state.
        num_layers: Number of layers; the output of the top one is the query.
        dropout: Dropout rate of embeddings, between layers, and of features.
        tie_embeddings: Share the embedding's weight with the output layer.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention | MultiHeadAttention,
        summary_size: int | None,
        cell: str,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        tie_embeddings: bool,
    ) -> None:
        embedding_size = embedding.weight.shape[1]
        super().__init__(
            embedding,
            attention,
            feature_size=embedding_size if tie_embeddings else hidden_size,
            summary_size=summary_size,
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            tie_embeddings=tie_embeddings,
        )
        self.feature_proj = Linear(
            hidden_size + embedding_size + attention.context_size, self.feature_size
        )  # W

    @override
    def seen(
        self,
        context: Float[Tensor, "*batch context_size"],
        query: Float[Tensor, "*batch hidden_size"],
    ) -> Float[Tensor, "*batch context_size"]:
        return context

    @override
    def features(
        self,
        output: Float[Tensor, "*batch hidden_size"],
        embedded: Float[Tensor, "*batch embedding_size"],
        context: Float[Tensor, "*batch context_size"],
    ) -> Float[Tensor, "*batch feature_size"]:
        return self.feature_proj(torch.cat([output, embedded, context], dim=-1)).tanh()
