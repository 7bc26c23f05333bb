"""Connectionist temporal classification.

Graves, Fernández, Gomez and Schmidhuber 2006, https://doi.org/10.1145/1143844.1143891. Beside the
decoder's cross-entropy it keeps the alignment monotonic: Kim, Hori and Watanabe 2017,
https://arxiv.org/abs/1609.06773.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

BLANK = 0  # the id of padding, which occurs in no target


class CtcLoss(NamedTuple):
    """What `ctc_loss` returns.

    Args:
        loss: Negative log-likelihood in nats, summed over the sentences.
        num_skipped: Number of sentences left out because no path spells their target.
    """

    loss: Float[Tensor, ""]
    num_skipped: int


def ctc_loss(
    layer: nn.Linear,
    values: Float[Tensor, "batch source size"],
    mask: Bool[Tensor, "batch source"],
    targets: Int[Tensor, "batch target"],
    target_mask: Bool[Tensor, "batch target"],
) -> CtcLoss:
    """Compute ``-log`` of the probability of all paths through the memory that spell the target.

    A sentence with more tokens than positions has no such path: its loss would be infinite without
    a useful gradient. It is left out and counted. (It is not an error, since speed augmentation may
    shorten a sentence that fits otherwise; the reader refuses data that never fit.)

    Args:
        layer: Computes token logits; `BLANK` is the blank.
        values: The memory.
        mask: True at positions, False at padding.
        targets: Tokens, without begin and end marks.
        target_mask: True at tokens; padding is at the end of each row.
    """
    lengths, target_lengths = mask.sum(1), target_mask.sum(1)
    needed = positions_needed(targets, target_mask)
    # A memory without positions spells nothing, not even an empty target.
    rows = ((lengths >= needed) & (lengths > 0)).nonzero().squeeze(1)
    skipped = len(mask) - len(rows)
    if len(rows) == 0:
        # Keep the graph to the weights: other processes wait for the gradient of each.
        return CtcLoss((layer.weight.sum() + layer.bias.sum()) * 0.0, skipped)
    if skipped:
        values, lengths = values[rows], lengths[rows]
        targets, target_lengths = targets[rows], target_lengths[rows]
    logits = layer(values)
    wide = logits.dtype if logits.dtype == torch.float64 else torch.float32
    log_probs = logits.log_softmax(-1, dtype=wide).transpose(0, 1)
    loss = F.ctc_loss(log_probs, targets, lengths, target_lengths, blank=BLANK, reduction="sum")
    return CtcLoss(loss, skipped)


def positions_needed(
    targets: Int[Tensor, "batch target"], target_mask: Bool[Tensor, "batch target"]
) -> Int[Tensor, " batch"]:
    """Return the minimum number of positions for each target: its tokens, and blanks in repeats.

    >>> positions_needed(torch.tensor([[5, 5, 7]]), torch.tensor([[True, True, True]])).tolist()
    [4]
    """
    repeats = (targets[:, 1:] == targets[:, :-1]) & target_mask[:, 1:]
    return target_mask.sum(1) + repeats.sum(1)
