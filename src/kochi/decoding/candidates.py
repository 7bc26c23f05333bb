"""From logits to the best continuations, exactly and with deterministic ties."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kochi.special_tokens import BOS, EOS, PAD, UNK

CHUNK = 96  # near the square root of common vocabulary sizes, where both stages cost the same
_LOW = (1 << 32) - 1


class NotFiniteError(ValueError):
    """Say that a decoder computed NaN or infinity."""


def log_probabilities_(
    logits: Float[Tensor, "batch width vocabulary"],
) -> Float[Tensor, "batch width vocabulary"]:
    """Return the log-softmax in float32; may write it over ``logits``.

    A row that is -inf everywhere stays so: nothing can follow. The fused log-softmax is the
    cheapest exact normaliser on a CPU (two thirds of logsumexp); written over logits, which at
    beam 5 are ten megabytes a step, it stays in the cache.

    Raises:
        NotFiniteError: NaN or +inf among the logits.
    """
    empty = logits[..., 0] == -torch.inf  # cheaper than checking all tokens
    if empty.any():
        empty = empty & (logits == -torch.inf).all(-1)
    wide = logits.float()
    over = wide.device.type == "cpu" and not wide.requires_grad
    log_probs = torch.log_softmax(wide, -1, out=wide if over else None)
    if log_probs[..., 0].sum().isnan():  # cheaper than to ask every row
        spoilt = log_probs[..., 0].isnan()
        if not empty[spoilt].all():
            raise NotFiniteError("the decoder's step gave logits that are NaN or +inf")
        log_probs[spoilt] = -torch.inf
    return log_probs


def forbid_marks(
    log_probs: Float[Tensor, "batch width vocabulary"], end: bool, unknown: bool = False
) -> None:
    """Set the special tokens that must not be written to -inf, in place.

    The others are not renormalised, so that a hypothesis keeps the model's probability.

    Args:
        log_probs: Log-probabilities of the next token, modified in place.
        end: Whether the end mark is also forbidden.
        unknown: Whether the unknown token may be written.
    """
    log_probs[..., PAD] = -torch.inf
    if not unknown:
        log_probs[..., UNK] = -torch.inf
    log_probs[..., BOS : EOS + 1 if end else EOS] = -torch.inf


def best_candidates(
    log_probs: Float[Tensor, "batch width vocabulary"],
    live: Float[Tensor, "batch width"],
    count: int,
) -> tuple[Float[Tensor, "batch count"], Int[Tensor, "batch count"], Int[Tensor, "batch count"]]:
    """Return the ``count`` largest sums live + log_probs of each sentence: sums, beams and tokens.

    Best first; equal sums are in order of beam, then token. There are two stages: the vocabulary is
    split into chunks, and only the ``count`` chunks with the largest maxima are searched. This is
    exact: if one of the best elements were in another chunk, each searched chunk would contain an
    element before it, ``count`` in all.

    Args:
        log_probs: Log-probabilities of the next token, for each beam.
        live: Log-probability so far, for each beam.
        count: Number of sums. If there are fewer, the rest are -inf.
    """
    vocabulary = log_probs.shape[-1]
    maxima = live.unsqueeze(-1) + _chunk_maxima(log_probs)
    chunks = maxima.shape[-1]
    _, chosen = top(maxima.flatten(1), min(count, maxima[0].numel()))
    chosen = chosen.sort(-1).values  # back in order of beam and token, on which ties rest
    beams = chosen // chunks
    offsets = torch.arange(CHUNK, device=chosen.device)
    tokens = (chosen % chunks * CHUNK).unsqueeze(-1) + offsets
    outside = tokens >= vocabulary
    tokens = tokens.clamp(max=vocabulary - 1)
    indices = (beams.unsqueeze(-1) * vocabulary + tokens).flatten(1)
    sums = log_probs.flatten(1).gather(1, indices) + live.gather(1, beams).repeat_interleave(
        CHUNK, 1
    )
    sums = sums.masked_fill(outside.flatten(1), -torch.inf)
    best, index = top(sums, min(count, sums.shape[-1]))
    indices = indices.gather(1, index)
    missing = (0, count - best.shape[-1])
    best = F.pad(best, missing, value=-torch.inf)
    indices = F.pad(indices, missing)
    return best, indices // vocabulary, indices % vocabulary


def top(
    values: Float[Tensor, "batch size"], count: int
) -> tuple[Float[Tensor, "batch count"], Int[Tensor, "batch count"]]:
    """Return the ``count`` largest values of each row and their indices; ties go to the left.

    ``torch.topk`` does not define the order of ties, so value and index are packed into one
    integer: the bits of the float, made monotone, above the index counted from the right.

    >>> values, indices = top(torch.tensor([[1.0, -2.0, 1.0, 0.5]]), 3)
    >>> values.tolist(), indices.tolist()
    ([[1.0, 1.0, 0.5]], [[0, 2, 3]])
    """
    size = values.shape[-1]
    bits = (values + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    from_right = torch.arange(size - 1, -1, -1, device=values.device)
    packed = (ordered.long() << 32) | from_right
    indices = size - 1 - (packed.topk(count, -1).values & _LOW)
    return values.gather(-1, indices), indices


def _chunk_maxima(
    log_probs: Float[Tensor, "batch width vocabulary"],
) -> Float[Tensor, "batch width chunks"]:
    whole = log_probs.shape[-1] // CHUNK * CHUNK
    maxima = cast(Tensor, log_probs[..., :whole].unflatten(-1, (-1, CHUNK))).amax(-1)
    if whole == log_probs.shape[-1]:
        return maxima
    rest = log_probs[..., whole:].amax(-1, keepdim=True)
    return torch.cat([maxima, rest], -1)
