"""Cross-entropy of a mixture over positions, without storing the outputs of all positions.

Deng et al. 2018, section 2, https://arxiv.org/abs/1807.03756: the logarithm of the marginal
likelihood, with the position summed out. Label smoothing is that of `kochi.training.losses`,
applied to the mixture: the loss is the cross-entropy between the smoothed target and the predicted
distribution.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kochi.decoders.mixture import Mixture, Rows, log_shares
from kochi.products import linear, weight_gradient
from kochi.training.losses import product_dtype, sum_dtype


def mixture_cross_entropy(
    mixture: Mixture,
    weight: Float[Tensor, "vocabulary feature_size"],
    bias: Float[Tensor, " vocabulary"],
    targets: Int[Tensor, "batch target"],
    mask: Bool[Tensor, "batch target"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, "batch target"]]:
    """Compute `kochi.training.losses.cross_entropy` for a mixture in place of features.

    The output layer is computed once per position, with memory for a few positions at a time.
    """
    rows = mask.flatten().nonzero().squeeze(1)
    of_target, of_positions, alignment, sentences, kept = mixture.rows(rows)
    wanted = targets.flatten().index_select(0, rows)
    if not torch.is_grad_enabled():  # otherwise the gradients would be computed anyway
        of_target, of_positions, alignment = (
            of_target.detach(),
            of_positions.detach(),
            alignment.detach(),
        )
        weight, bias = weight.detach(), bias.detach()
    loss, nll = _MixtureCrossEntropy.apply(  # pyright: ignore[reportGeneralTypeIssues]
        of_target, of_positions, alignment, weight, bias, sentences, kept, wanted, label_smoothing
    )
    nll = nll.detach()
    return loss, nll.new_zeros(mask.numel()).index_copy(0, rows, nll).view(mask.shape)


class _MixtureCrossEntropy(torch.autograd.Function):
    """Compute loss and gradients together; the backward pass only scales them.

    With q the smoothed target, p[s] the softmax of position s, m the mixture and
    r[s, v] = alignment[s] p[s, v] / m[v] the responsibility of position s for token v, the gradient
    with respect to the logits of position s is p[s] R[s] - q r[s] with
    R[s] = sum over v of q[v] r[s, v], and with respect to the alignment -R[s] / alignment[s].
    """

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx,
        of_target: Tensor,
        of_positions: Tensor,
        alignment: Tensor,
        weight: Tensor,
        bias: Tensor,
        sentences: Tensor,
        kept: Tensor | None,
        targets: Tensor,
        smoothing: float,
    ) -> tuple[Tensor, Tensor]:
        rows = Rows(of_target, of_positions, alignment, sentences, kept)
        product, wide = product_dtype(of_target), sum_dtype(of_target)
        inputs = (of_target, of_positions, alignment, weight, bias)
        needs = any(ctx.needs_input_grad)
        grads = _Gradients(*(torch.zeros_like(x, dtype=wide) for x in inputs)) if needs else None
        w, b = weight.to(product), bias.to(product)
        loss = of_target.new_zeros((), dtype=wide)
        every_nll = [loss.new_zeros(0)]
        with torch.autocast(of_target.device.type, enabled=False):
            for part in rows.parts(len(weight)):
                vectors = rows.vectors(part)
                features = vectors if kept is None else vectors * kept[part].unsqueeze(1)
                flat = features.flatten(0, 1).to(product)
                logits = linear(flat, w, b).to(wide).unflatten(0, vectors.shape[:2])
                nll, gap, shares, slope = _mix(
                    logits, log_shares(alignment[part]), targets[part], smoothing, needs
                )
                loss = loss + (nll + smoothing * gap).sum()
                every_nll.append(nll)
                if grads is not None:
                    grads.add(rows, part, vectors, flat, shares, slope.flatten(0, 1).to(product), w)
        if grads is not None:
            ctx.save_for_backward(*(g.to(x.dtype) for g, x in zip(grads.all, inputs, strict=True)))
        return loss, torch.cat(every_nll)

    @staticmethod
    def backward(ctx, grad: Tensor, _):  # pyright: ignore[reportIncompatibleMethodOverride]
        return *(saved * grad for saved in ctx.saved_tensors), None, None, None, None


def _mix(
    logits: Float[Tensor, "rows source vocabulary"],
    log_alignment: Float[Tensor, "rows source"],
    targets: Int[Tensor, " rows"],
    smoothing: float,
    needs_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Overwrite the logits; return the nll, its increase under full smoothing, R, the gradient."""
    log_probs = logits.sub_(logits.logsumexp(-1, keepdim=True))
    index = targets[:, None, None].expand(-1, log_alignment.shape[1], 1)
    right = log_probs.gather(2, index).squeeze(2) + log_alignment
    nll = -right.logsumexp(1)
    right_shares = (right + nll[:, None]).exp_() * (1.0 - smoothing)
    if not smoothing:
        shares, gap, slope = right_shares, torch.zeros_like(nll), log_probs
        if needs_gradient:
            slope = log_probs.exp_().mul_(shares.unsqueeze(-1))
    else:
        joint = log_probs + log_alignment.unsqueeze(-1)
        log_mixture = joint.logsumexp(1, keepdim=True)
        gap = -log_mixture.mean(2).squeeze(1) - nll
        shares, slope = right_shares, log_probs
        if needs_gradient:
            others = joint.sub_(log_mixture).exp_().mul_(smoothing / logits.shape[2])
            shares = right_shares + others.sum(2)
            slope = log_probs.exp_().mul_(shares.unsqueeze(-1)).sub_(others)
    if needs_gradient:
        slope.scatter_add_(2, index, -right_shares.unsqueeze(-1))
    return nll, gap, shares, slope


class _Gradients:
    """Sums over the parts, in at least float32."""

    def __init__(
        self,
        of_target: Tensor,
        of_positions: Tensor,
        alignment: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> None:
        self.all = of_target, of_positions, alignment, weight, bias

    def add(
        self,
        rows: Rows,
        part: slice,
        vectors: Float[Tensor, "rows source feature_size"],
        features: Float[Tensor, "pairs feature_size"],
        shares: Float[Tensor, "rows source"],
        slope: Float[Tensor, "pairs vocabulary"],
        weight: Float[Tensor, "vocabulary feature_size"],
    ) -> None:
        """Add a part; ``slope`` is the gradient of the logits, ``shares`` is R as above."""
        of_target, of_positions, alignment, of_weight, of_bias = self.all
        inside = linear(slope, weight.t()).to(of_target.dtype).view(vectors.shape)
        if rows.kept is not None:
            inside.mul_(rows.kept[part].unsqueeze(1))
        inside.mul_(1.0 - vectors.to(inside.dtype).square())
        of_target[part] = inside.sum(1)
        of_positions.index_add_(0, rows.sentences[part], inside)
        seen = rows.alignment[part]
        alignment[part] = torch.where(seen > 0, -shares / torch.where(seen > 0, seen, 1.0), 0.0)
        of_weight.add_(weight_gradient(slope, features))
        of_bias.add_(slope.sum(0, dtype=of_bias.dtype))
