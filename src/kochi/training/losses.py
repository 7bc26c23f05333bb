"""Cross-entropy of a linear output layer over a vocabulary, without holding all logits.

Label smoothing after Szegedy et al. 2016, "Rethinking the Inception architecture", section 7,
https://arxiv.org/abs/1512.00567: the target distribution is (1 - e) on the target token plus e / V
on every token. The loss and all gradients are computed over chunks of rows in one buffer that stays
in the cache, whereas separate operations write several tensors of rows x vocabulary.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.products import add_weight_gradient, linear

CHUNK_BYTES = 8 * 2**20


def cross_entropy(
    features: Float[Tensor, "*rows feature_size"],
    weight: Float[Tensor, "vocabulary feature_size"],
    bias: Float[Tensor, " vocabulary"] | None,
    targets: Int[Tensor, "*rows"],
    mask: Bool[Tensor, "*rows"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, "*rows"]]:
    """Compute the sum of the label-smoothed cross-entropy, and each row's without smoothing.

    Args:
        features: Inputs of the output layer.
        weight: Output layer: logits = features @ weight.T + bias.
        bias: Its bias, or None.
        targets: Target tokens.
        mask: True where a row counts; other rows have no loss and no gradient.
        label_smoothing: e above, in [0, 1).

    Returns:
        ``(loss, negative log-likelihood)`` in nats: the loss summed over the rows that count; the
        negative log-likelihood of each row, 0 where it does not count. Only the loss has a
        gradient.
    """
    rows = mask.flatten().nonzero().squeeze(1)
    chosen = features.flatten(0, -2).index_select(0, rows)
    wanted = targets.flatten().index_select(0, rows)
    if bias is None:
        bias = weight.new_zeros(weight.shape[0])
    if not torch.is_grad_enabled():  # otherwise the forward pass would compute the gradients
        chosen, weight, bias = chosen.detach(), weight.detach(), bias.detach()
    loss, nll = _LinearCrossEntropy.apply(chosen, weight, bias, wanted, label_smoothing)  # pyright: ignore[reportGeneralTypeIssues]
    nll = nll.detach()
    return loss, nll.new_zeros(mask.numel()).index_copy(0, rows, nll).view(mask.shape)


class _LinearCrossEntropy(torch.autograd.Function):
    """Compute loss and gradients together; the backward pass only scales them.

    With p the softmax and y the one-hot target, the gradient by the logits is
    p - (1 - e) y - e / V. The constant e / V is applied to whole sums afterwards, and the division
    of exp(logits) by its sum is moved to the narrow side of the products.
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        dtype = product_dtype(features)
        x, w = features.to(dtype), weight.to(dtype)
        total, vocabulary = x.shape[0], w.shape[0]
        needs = any(ctx.needs_input_grad)
        grads: tuple[Tensor, ...] = ()
        if needs:
            grads = (torch.empty_like(x), x.new_zeros(w.shape[::-1]).t(), torch.zeros_like(bias))
        step = max(1, CHUNK_BYTES // (4 * vocabulary))
        loss = features.new_zeros((), dtype=sum_dtype(features))
        every_nll = [loss.new_zeros(0)]
        mean_weight, mean_bias = weight.mean(0), bias.mean()
        for start in range(0, total, step):
            part = slice(start, min(start + step, total))
            logits = linear(x[part], w, bias.to(dtype)).to(sum_dtype(features))
            mean = features[part] @ mean_weight + mean_bias
            nll, gap, norm = _normalise(logits, targets[part], mean)
            loss = loss + (nll + smoothing * gap).sum()
            every_nll.append(nll)
            if needs:
                _accumulate(grads, part, logits, norm, x, w, targets, 1.0 - smoothing)
        if needs and smoothing:
            _uniform_part(grads, features, weight, smoothing / vocabulary)
        ctx.save_for_backward(*(g.to(features.dtype) for g in grads))
        return loss, torch.cat(every_nll)

    @staticmethod
    def backward(ctx, grad: Tensor, _):  # pyright: ignore[reportIncompatibleMethodOverride]
        features, weight, bias = ctx.saved_tensors
        return features * grad, weight * grad, bias * grad, None, None


def product_dtype(features: Tensor) -> torch.dtype:
    """Return the precision of matrix products."""
    device = features.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return features.dtype


def sum_dtype(features: Tensor) -> torch.dtype:
    """Return the precision of sums."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _normalise(logits: Tensor, targets: Tensor, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Turn logits into exponentials in place.

    Returns the negative log-likelihood, what full smoothing would add to it, and the sums.
    """
    right = logits.gather(1, targets[:, None]).squeeze(1)
    top = logits.amax(1)
    logits.sub_(top[:, None]).exp_()
    norm = logits.sum(1)
    log_norm = norm.log() + top
    return log_norm - right, right - mean, norm


def _accumulate(
    grads: tuple[Tensor, ...],
    part: slice,
    exponentials: Tensor,
    norm: Tensor,
    x: Tensor,
    w: Tensor,
    targets: Tensor,
    right_share: float,
) -> None:
    scaled = exponentials.scatter_add_(
        1, targets[part][:, None], (norm * -right_share)[:, None]
    ).to(x.dtype)
    inverse = norm.reciprocal()[:, None]
    grads[0][part] = linear(scaled, w.t()).mul_(inverse)
    add_weight_gradient(grads[1], scaled, (x[part] * inverse).to(x.dtype))
    grads[2].add_((scaled.t() @ inverse.to(x.dtype)).squeeze(1))


def _uniform_part(
    grads: tuple[Tensor, ...], features: Tensor, weight: Tensor, share: float
) -> None:
    grads[0].sub_(weight.sum(0) * share)
    grads[1].sub_(features.sum(0) * share)
    grads[2].sub_(features.shape[0] * share)
