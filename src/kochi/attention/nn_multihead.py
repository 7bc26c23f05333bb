"""A drop-in for ``torch.nn.MultiheadAttention``, and converters of weights."""

# pyright: standard, reportUnnecessaryComparison=false
# PyTorch says no types of the module's attributes, or too narrow ones.

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kochi.attention.building import Named, OneScope, build_multihead, make_parts
from kochi.attention.hooks import call_prepared
from kochi.attention.in_heads import Call, InHeads
from kochi.attention.multihead import MultiHeadAttention
from kochi.attention.output import START
from kochi.attention.positions import stand
from kochi.attention.projected_memory import ProjectedMemory, clean_memory
from kochi.attention.relative import Relative, Rotary
from kochi.attention.scopes import Global
from kochi.attention.scores import AnyScore, ScaledDot
from kochi.attention.selections import AnySelection, Soft


class MultiheadAttention(nn.MultiheadAttention):
    """``torch.nn.MultiheadAttention`` with any score, scope, selection and relative term.

    Same arguments, weights, state dict, initialisation and results, so that replacing it is one
    import: ``from kochi.attention import MultiheadAttention``. Vaswani et al. 2017, section 3.2.2;
    https://arxiv.org/abs/1706.03762.

    **Masks are those of PyTorch: True means hidden.** Everywhere else in `kochi.attention`, True
    means "may attend".

    What differs from PyTorch:

    - A query that may attend to nothing gets zeros (plus the output bias), not NaN; what stands in
      hidden positions, NaN or not, changes nothing.
    - Weights are returned before dropout.
    - ``is_causal=True`` needs no ``attn_mask``.
    - ``nn.TransformerEncoderLayer`` calls it in evaluation too, where PyTorch's own would be
      replaced by a fused kernel, without hooks.
    - A score, a selection or a relative term with parameters adds them to the state dict, below
      ``inside``.

    Args:
        embed_dim: Size of queries and of the output.
        num_heads: Number of heads; must divide ``embed_dim``.
        dropout: Fraction of the alignment dropped in training.
        bias: Whether the projections have biases.
        add_bias_kv: Append a learned key and value, to which every query may attend.
        add_zero_attn: Append a key and a value of zeros, to which every query may attend.
        kdim: Size of keys; by default ``embed_dim``.
        vdim: Size of values; by default ``embed_dim``.
        batch_first: Whether tensors are ``[batch, length, size]``, not ``[length, batch, size]``.
        device: Device of the weights.
        dtype: Type of the weights.
        score: As in `build`.
        scope: As in `build`.
        selection: As in `build`.
        relative: As in `build`.
        kernel: As in `build`.

    Raises:
        ValueError: Components cannot be combined, or appended keys have no position in the scope.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        score: Named | AnyScore = "scaled_dot",
        scope: OneScope | list[OneScope] = "global",
        selection: Named | AnySelection = "soft",
        relative: Named | Relative | Rotary | None = None,
        kernel: str = "auto",
    ) -> None:
        super().__init__(
            embed_dim,
            num_heads,
            dropout,
            bias,
            add_bias_kv,
            add_zero_attn,
            kdim,
            vdim,
            batch_first,
            device,
            dtype,
        )
        # nn.TransformerEncoderLayer then calls this module, and not a kernel of its own.
        self._qkv_same_embed_dim = False
        sizes = {"query_size": self.head_dim, "key_size": self.head_dim, "num_heads": num_heads}
        parts, self.rotary = make_parts(score, scope, selection, relative, sizes)
        placed = type(parts.scope) is not Global or parts.relative or self.rotary
        if placed and (add_bias_kv or add_zero_attn):
            name = "add_bias_kv" if add_bias_kv else "add_zero_attn"
            raise ValueError(
                f"{name}: an appended key has no position, which the scope or the relative term "
                "needs; use scope='global' with attn_mask, and no relative term"
            )
        self.inside = InHeads(parts, dropout, kernel).to(device, dtype)

    @property
    def is_plain(self) -> bool:
        """Whether the components are those of ``torch.nn.MultiheadAttention``."""
        return _is_plain(self.inside) and self.rotary is None

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        query: Float[Tensor, "..."],
        key: Float[Tensor, "..."],
        value: Float[Tensor, "..."],
        key_padding_mask: Bool[Tensor, "..."] | Float[Tensor, "..."] | None = None,
        need_weights: bool = True,
        attn_mask: Bool[Tensor, "..."] | Float[Tensor, "..."] | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."] | None]:
        """Attend; arguments and results as in ``torch.nn.MultiheadAttention``.

        Args:
            query: ``[target, batch, embed_dim]``, ``[batch, target, embed_dim]`` with
                ``batch_first``, or ``[target, embed_dim]``.
            key: ``[source, batch, kdim]``, ``[batch, source, kdim]`` or ``[source, kdim]``.
            value: ``[source, batch, vdim]``, ``[batch, source, vdim]`` or ``[source, vdim]``.
            key_padding_mask: ``[batch, source]`` or ``[source]``: True where a key is hidden, or
                numbers that are added to the scores.
            need_weights: Also return the alignment.
            attn_mask: ``[target, source]`` or ``[batch * num_heads, target, source]``: True where a
                key is hidden, or numbers that are added to the scores.
            average_attn_weights: Return the mean alignment of all heads.
            is_causal: Hide the keys after the query, both counted from 0.

        Returns:
            ``(output, weights)``: the output has the shape of the query; the weights are ``[batch,
            target, source]``, for each head ``[batch, num_heads, target, source]``, ``None``
            without ``need_weights``.

        Raises:
            ValueError: A shape does not fit.
        """
        batched, same = query.dim() == 3, (key is query, value is key)
        query, key, value = (self._arrange(part, batched) for part in (query, key, value))
        if key_padding_mask is not None and not batched:
            key_padding_mask = key_padding_mask.unsqueeze(0)
        self._check_shapes(query, key, value, key_padding_mask, attn_mask)
        if is_causal and key_padding_mask is None and not need_weights:
            attn_mask = None  # as in PyTorch, which takes the hint at its word
        shown: Tensor | None = None
        masks: list[Tensor] = []
        if key_padding_mask is not None:
            if key_padding_mask.dtype == torch.bool:
                shown = ~key_padding_mask
            else:
                masks.append(key_padding_mask[:, None, None])
        if attn_mask is not None:
            by_head = (-1, self.num_heads if attn_mask.dim() == 3 else 1)
            masks.append(attn_mask.view(*by_head, *attn_mask.shape[-2:]))
        key, finite = clean_memory(key, shown)
        if same[0]:
            query = key
        if same[1]:
            value = key
        else:
            value, also = clean_memory(value, shown)
            finite = also if finite is None or also is None else finite & also
        raw_query, *heads = map(self._by_head, self._project(query, key, value, same))
        keys, values = self._append(*heads)
        new = keys.shape[2] - key.shape[1]
        if new:
            shown, finite = _pad(shown, new, True), _pad(finite, new, True)
            masks = [F.pad(mask, (0, new)) for mask in masks]
        if self.inside.dropout != self.dropout:  # it was changed since
            self.inside.dropout = self.dropout
        score, causal = self.inside.score, is_causal and attn_mask is None
        keys = self._turn(call_prepared(score.project_keys, keys))
        turned = self._turn(call_prepared(score.project_query, raw_query))
        projected = ProjectedMemory(keys, values, shown, finite)
        call = self._call(masks, need_weights, causal, projected, query.shape[1])
        output, _ = self.inside.attend(raw_query, turned, projected, call)
        context = self.out_proj(output.context.transpose(1, 2).flatten(2))
        weights = output.alignment
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return context.squeeze(0), None if weights is None else weights.squeeze(0)
        return context if self.batch_first else context.transpose(0, 1), weights

    def reset_parameters(self) -> None:
        """Initialise all weights as the constructor does."""
        self.out_proj.reset_parameters()
        self._reset_parameters()
        for part in self.inside.modules():
            reset = getattr(part, "reset_parameters", None)
            if part is not self.inside and callable(reset):
                reset()

    def _reset_parameters(self) -> None:
        """Like PyTorch's, whatever ``_qkv_same_embed_dim`` says."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                nn.init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            nn.init.zeros_(self.in_proj_bias)
            nn.init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                nn.init.xavier_normal_(extra)

    def _arrange(self, part: Tensor, batched: bool) -> Tensor:
        """Return queries, keys or values as ``[batch, length, size]``."""
        if not batched:
            return part.unsqueeze(0)
        return part if self.batch_first else part.transpose(0, 1)

    def _check_shapes(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        attn_mask: Tensor | None,
    ) -> None:
        batch, source = key.shape[:2] if key.dim() == 3 else (0, 0)
        for name, part, size in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            length = [] if name == "query" else [source]
            expected = [batch, *length, size]
            if part.dim() != 3 or [*part.shape[: len(expected) - 1], part.shape[2]] != expected:
                raise ValueError(
                    f"{name}: got [batch, length, size] = {list(part.shape)}, expected the batch "
                    f"and length of the key and size {size}; batch_first is {self.batch_first}"
                )
        if key_padding_mask is not None and list(key_padding_mask.shape) != [batch, source]:
            raise ValueError(
                f"key_padding_mask: got shape {list(key_padding_mask.shape)}, expected "
                f"[batch, source] = {[batch, source]}, True = hidden"
            )
        full = [query.shape[1], source]
        shapes = (full, [batch * self.num_heads, *full])
        if attn_mask is not None and list(attn_mask.shape) not in shapes:
            raise ValueError(
                f"attn_mask: got shape {list(attn_mask.shape)}, expected [target, source] = {full} "
                f"or [batch * num_heads, target, source] = {shapes[1]}, True = hidden"
            )

    def _project(
        self, query: Tensor, key: Tensor, value: Tensor, same: tuple[bool, bool]
    ) -> tuple[Tensor, ...]:
        """Project with as few products as possible."""
        bias: tuple[Tensor | None, ...] = (None, None, None)
        if self.in_proj_weight is None:
            if self.in_proj_bias is not None:
                bias = self.in_proj_bias.chunk(3)
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
            parts = zip((query, key, value), weights, bias, strict=True)
            return tuple(F.linear(part, weight, one) for part, weight, one in parts)
        cuts = (3,) if all(same) else (1, 2) if same[1] else (1, 1, 1)
        sizes = [self.embed_dim * cut for cut in cuts]
        weights = self.in_proj_weight.split(sizes)
        if self.in_proj_bias is not None:
            bias = self.in_proj_bias.split(sizes)
        projected: list[Tensor] = []
        for part, weight, one, cut in zip((query, key, value), weights, bias, cuts, strict=False):
            projected += F.linear(part, weight, one).chunk(cut, -1)
        return tuple(projected)

    def _by_head(self, joined: Tensor) -> Tensor:
        return joined.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the learned key and value, and those of zeros."""
        if self.bias_k is not None and self.bias_v is not None:
            learned = (
                self._by_head(one.expand(len(keys), -1, -1)) for one in (self.bias_k, self.bias_v)
            )
            keys, values = (
                torch.cat(pair, 2) for pair in zip((keys, values), learned, strict=True)
            )
        if self.add_zero_attn:
            keys, values = F.pad(keys, (0, 0, 0, 1)), F.pad(values, (0, 0, 0, 1))
        return keys, values

    def _turn(self, vectors: Tensor) -> Tensor:
        if self.rotary is None:
            return vectors
        return self.rotary(vectors, stand(None, vectors.shape[2], vectors.device))

    def _call(
        self,
        masks: list[Tensor],
        need_weights: bool,
        causal: bool,
        projected: ProjectedMemory,
        target_length: int,
    ) -> Call:
        """Combine masks of PyTorch's kinds: True hides, and numbers are added to the scores."""
        mask, bias, visible = None, None, None
        for one in masks:
            if one.dtype == torch.bool:
                mask = ~one if mask is None else mask & ~one
            else:
                bias = one if bias is None else bias + one
        parts, source = self.inside.parts, projected.keys.shape[2]
        if causal and mask is None and type(parts.scope) is Global and not parts.needs_query:
            visible = replace(projected.visible, triangle=True, _hidden={})
        elif causal:
            ones = torch.ones(target_length, source, dtype=torch.bool, device=projected.keys.device)
            mask = ones.tril()[None, None] if mask is None else mask & ones.tril()
        return Call(mask, START, need_weights, visible=visible, bias=bias)


def _pad(mask: Tensor | None, new: int, value: bool) -> Tensor | None:
    return None if mask is None else F.pad(mask, (0, new), value=value)


def _is_plain(inside: InHeads) -> bool:
    parts = inside.parts
    soft = type(parts.selection) is Soft and parts.selection.temperature == 1.0
    same = type(parts.score) is ScaledDot and type(parts.scope) is Global and soft
    return same and parts.relative is None and inside.kernel == "auto"


def from_torch(module: nn.MultiheadAttention, kernel: str = "auto") -> MultiHeadAttention:
    """Convert ``torch.nn.MultiheadAttention`` to `MultiHeadAttention`, weights included.

    ``converted(query, converted.project(memory, mask)).context`` then equals ``module(query,
    memory, memory, key_padding_mask=~mask)[0]`` with ``batch_first``.

    Args:
        module: The module; its keys and values come from one memory.
        kernel: As in `build`.

    Raises:
        ValueError: Keys and values have different sizes, are appended, or the module has other
            components than PyTorch's.
    """
    if module.kdim != module.vdim:
        raise ValueError(
            f"module: got kdim={module.kdim} and vdim={module.vdim}, expected one size"
        )
    if module.bias_k is not None or module.add_zero_attn:
        raise ValueError("module: got add_bias_kv or add_zero_attn, which have no counterpart")
    if isinstance(module, MultiheadAttention) and not module.is_plain:
        raise ValueError("module: got other components than scaled_dot, global and soft")
    weights = module.in_proj_weight
    if weights is None:
        query, key, value = module.q_proj_weight, module.k_proj_weight, module.v_proj_weight
    else:
        query, key, value = weights.chunk(3)
    converted = build_multihead(
        query_size=module.embed_dim,
        memory_size=module.kdim,
        num_heads=module.num_heads,
        dropout=module.dropout,
        kernel=kernel,
    ).to(query.device, query.dtype)
    with torch.no_grad():
        converted.query_proj.weight.copy_(query)
        converted.memory_proj.weight.copy_(torch.cat((key, value)))
        converted.output_proj.weight.copy_(module.out_proj.weight)
        if module.in_proj_bias is not None:
            converted.query_proj.bias.copy_(module.in_proj_bias[: module.embed_dim])
            converted.memory_proj.bias.copy_(module.in_proj_bias[module.embed_dim :])
            converted.output_proj.bias.copy_(module.out_proj.bias)
    return converted.train(module.training)


def to_torch(module: MultiHeadAttention) -> nn.MultiheadAttention:
    """Convert `MultiHeadAttention` to ``torch.nn.MultiheadAttention``, weights included.

    Raises:
        ValueError: The module has other components than scaled_dot, global and soft.
    """
    parts = module.parts
    if not _is_plain(module) or module.rotary is not None:
        names = (parts.score, parts.scope, parts.selection, parts.relative, module.rotary)
        found = ", ".join(type(part).__name__ for part in names if part is not None)
        raise ValueError(
            f"module: got {found}, expected what PyTorch has: ScaledDot, Global, Soft and no "
            "relative term; a causal scope becomes an attn_mask there"
        )
    query = module.query_proj.weight
    converted = nn.MultiheadAttention(
        module.query_size,
        module.num_heads,
        module.dropout,
        kdim=module.memory_size,
        vdim=module.memory_size,
        batch_first=True,
        device=query.device,
        dtype=query.dtype,
    )
    joined = torch.cat((query, module.memory_proj.weight)) if converted.kdim == len(query) else None
    with torch.no_grad():
        if joined is not None:
            converted.in_proj_weight.copy_(joined)
        else:
            key, value = module.memory_proj.weight.chunk(2)
            converted.q_proj_weight.copy_(query)
            converted.k_proj_weight.copy_(key)
            converted.v_proj_weight.copy_(value)
        converted.in_proj_bias.copy_(torch.cat((module.query_proj.bias, module.memory_proj.bias)))
        converted.out_proj.weight.copy_(module.output_proj.weight)
        converted.out_proj.bias.copy_(module.output_proj.bias)
    return converted.train(module.training)
