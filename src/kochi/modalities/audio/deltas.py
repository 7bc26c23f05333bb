"""Deltas: derivatives of frames over time, appended to each frame."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

HIGHEST_ORDER = 2


def append_deltas(
    frames: Float[Tensor, "*batch frames size"],
    order: int = 2,
    reach: int = 2,
    lengths: Int[Tensor, "*batch"] | None = None,
) -> Float[Tensor, "*batch frames all_sizes"]:
    """Append the first (and second) derivative over time to the frames.

        delta[t] = sum_{n=1..reach} n (frame[t+n] - frame[t-n]) / (2 sum_{n=1..reach} n^2)

    Young et al., The HTK Book, section "Delta and Acceleration Coefficients", equation 5.16 of
    version 2.1, http://www.ee.columbia.edu/~dpwe/LabROSA/doc/HTKBook21/node56.html. Beyond an end,
    the frame at that end is repeated. The second derivative is the same filter applied twice; as in
    Kaldi, the repeated frames are those of the input, not their deltas.

    Args:
        frames: Frames, or a padded batch.
        order: 0 (nothing is added), 1 or 2.
        reach: Number of frames used on each side.
        lengths: Number of frames of each row, without padding; None if there is none. The values
            of padding in the result are undefined.

    Returns:
        ``(1 + order) * size`` numbers per frame: the frame, its first, its second derivative.

    Raises:
        ValueError: The order is not 0, 1 or 2, or the reach is below 1.

    >>> append_deltas(torch.tensor([[0.0], [1.0], [2.0]]), order=1, reach=1)
    tensor([[0.0000, 0.5000],
            [1.0000, 1.0000],
            [2.0000, 0.5000]])
    """
    if not 0 <= order <= HIGHEST_ORDER or reach < 1:
        raise ValueError(
            f"order must be from 0 to {HIGHEST_ORDER} and reach at least 1, got {order} and {reach}"
        )
    *batch, length, _ = frames.shape
    last = torch.full(batch, length, device=frames.device) if lengths is None else lengths
    positions = torch.arange(length, device=frames.device)
    parts = [frames]
    for taps in delta_filters(order, reach):
        delta = torch.zeros_like(frames)
        for offset, weight in zip(range(-(len(taps) // 2), len(taps) // 2 + 1), taps, strict=True):
            near = (positions + offset).minimum(last[..., None] - 1).clamp_min(0)
            delta = delta + weight * frames.take_along_dim(near[..., None], dim=-2)
        parts.append(delta)
    return torch.cat(parts, dim=-1)


def delta_filters(order: int, reach: int) -> list[list[float]]:
    """Return the filter over neighbouring frames, for each derivative up to ``order``.

    >>> delta_filters(2, 1)
    [[-0.5, 0.0, 0.5], [0.25, 0.0, -0.5, 0.0, 0.25]]
    """
    norm = sum(n * n for n in range(-reach, reach + 1))
    first = [n / norm for n in range(-reach, reach + 1)]
    filters, present = [], [1.0]
    for _ in range(order):
        wide = [0.0] * (len(present) + 2 * reach)
        for i, left in enumerate(present):
            for j, right in enumerate(first):
                wide[i + j] += left * right
        present = wide
        filters.append(present)
    return filters
