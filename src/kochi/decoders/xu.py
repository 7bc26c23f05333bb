"""The decoder of Show, Attend and Tell: attend, gate, step, and a deep output.

Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel and Bengio 2015, "Show, attend and tell: neural
image caption generation with visual attention", sections 3.1.2 and 4.2.1,
https://arxiv.org/abs/1502.03044.
"""

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from kochi.attention import Attention, MultiHeadAttention
from kochi.decoders.attend_first import AttendFirstDecoder
from kochi.layers.embedding import Embedding
from kochi.products import Linear


class XuDecoder(AttendFirstDecoder):
    """Attend with the previous state, gate the context, then step.

    beta_t = sigmoid(f_beta(h_(t-1))), z_t = beta_t attention(h_(t-1)) (section 4.2.1),
    h_t = cell([E y_(t-1); z_t], h_(t-1)) (equations 1 to 3), and features
    tanh(E y_(t-1) + L_h h_t + L_z z_t) for the output layer L_o (equation 7; the tanh is from the
    authors' code). The first state is computed from the mean of the memory.

    Args:
        embedding: Embeds the target tokens; its width is that of the features.
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
        embedding_size, context_size = embedding.weight.shape[1], attention.context_size
        super().__init__(
            embedding,
            attention,
            feature_size=embedding_size,
            summary_size=summary_size,
            cell=cell,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            tie_embeddings=tie_embeddings,
        )
        self.gate_proj = Linear(hidden_size, 1)  # f_beta
        self.state_proj = Linear(hidden_size, embedding_size)  # L_h
        self.context_proj = Linear(context_size, embedding_size, bias=False)  # L_z

    @override
    def seen(
        self,
        context: Float[Tensor, "*batch context_size"],
        query: Float[Tensor, "*batch hidden_size"],
    ) -> Float[Tensor, "*batch context_size"]:
        return self.gate_proj(query).sigmoid() * context

    @override
    def features(
        self,
        output: Float[Tensor, "*batch hidden_size"],
        embedded: Float[Tensor, "*batch embedding_size"],
        context: Float[Tensor, "*batch context_size"],
    ) -> Float[Tensor, "*batch feature_size"]:
        return (embedded + self.state_proj(output) + self.context_proj(context)).tanh()
