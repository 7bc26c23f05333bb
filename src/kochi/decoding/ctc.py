"""CTC prefix scores.

Watanabe, Hori, Kim, Hershey and Hayashi 2017, "Hybrid CTC/attention architecture for end-to-end
speech recognition", algorithm 2, https://ieeexplore.ieee.org/document/8068205, after Graves 2008;
Hori, Watanabe and Hershey 2017, https://aclanthology.org/P17-1048.

The paper goes through the frames one by one for every token. Here psi is one matrix product for all
tokens, and the forward variables of the chosen ones are a sum that runs over the frames, since
gamma(t) = (gamma(t - 1) + phi(t)) p(t) has the solution P(t) sum over s <= t of phi(s) / P(s - 1)
with P the running product of p. In float64: logarithms of P reach thousands.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kochi.memory import Memory
from kochi.special_tokens import BOS, EOS, PAD

BLANK = PAD


@dataclass(frozen=True)
class CtcPrefixScore:
    """Score a prefix by (1 - weight) log p_attention + weight log p_CTC.

    p_CTC of a prefix is the probability of all outputs that start with it; of a finished output, it
    is the output's own probability.

    Attributes:
        layer: Computes token logits for each position of the memory; padding is the blank.
        weight: Weight of CTC, from 0 (only the decoder) to 1 (only CTC).

    Raises:
        ValueError: ``weight`` is outside its range.
    """

    layer: nn.Linear
    weight: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1.0:
            raise ValueError(f"weight of CTC: got {self.weight}, expected a number from 0 to 1")

    def start(self, memory: Memory) -> "CtcPrefixes":
        """See `ExternalScorer.start`."""
        logits = self.layer(memory.values)
        return CtcPrefixes.empty(logits.double().log_softmax(-1), memory.mask, self.weight)


@dataclass(frozen=True)
class CtcPrefixes:
    """The live prefixes of a batch. Frames are counted from 1; column 0 is before all frames.

    Attributes:
        log_probs: Of each token at each frame; 0 in the padding.
        probs: The same divided by the largest of the token, and 0 in the padding.
        mask: True where there is a frame.
        nonblank: Of all paths through the first frames that spell the beginning and end with its
            last token: gamma^(n) of the paper.
        blank: The same for those that end with a blank: gamma^(b).
        prefix: psi of the beginnings.
        last: Their last tokens.
        weight: See `CtcPrefixScore`.
    """

    log_probs: Float[Tensor, "batch vocabulary frames"]
    probs: Float[Tensor, "batch vocabulary frames"]
    mask: Bool[Tensor, "batch frames"]
    nonblank: Float[Tensor, "batch width frames_and_one"]
    blank: Float[Tensor, "batch width frames_and_one"]
    prefix: Float[Tensor, "batch width"]
    last: Int[Tensor, "batch width"]
    weight: float

    @classmethod
    def empty(
        cls,
        log_probs: Float[Tensor, "batch frames vocabulary"],
        mask: Bool[Tensor, "batch frames"],
        weight: float,
    ) -> "CtcPrefixes":
        """Return one empty prefix per sentence."""
        hidden = ~mask.unsqueeze(1)
        log_probs = log_probs.transpose(1, 2).masked_fill(hidden, 0.0).contiguous()
        probs = (log_probs - _largest(log_probs, mask)).exp().masked_fill(hidden, 0.0)
        blank = log_probs[:, BLANK : BLANK + 1].cumsum(-1)
        blank = torch.cat([torch.zeros_like(blank[..., :1]), blank], -1)
        prefix = torch.zeros_like(blank[..., 0])
        last = torch.full_like(prefix, BOS, dtype=torch.long)
        nothing = torch.full_like(blank, -torch.inf)
        return cls(log_probs, probs, mask, nothing, blank, prefix, last, weight)

    def join(
        self, log_probs: Float[Tensor, "batch width vocabulary"]
    ) -> Float[Tensor, "batch width vocabulary"]:
        """See `JointState.join`."""
        if self.weight == 0.0:
            return log_probs
        gains = self.continued() - self.prefix.unsqueeze(-1)
        gains = gains.masked_fill(self.prefix.unsqueeze(-1) == -torch.inf, -torch.inf)
        gains = (self.weight * gains).to(log_probs.dtype)
        # 0 times the logarithm of 0 is not a number.
        return gains if self.weight == 1.0 else log_probs.mul_(1.0 - self.weight).add_(gains)

    def continued(self) -> Float[Tensor, "batch width vocabulary"]:
        """Return psi of every prefix extended by every token, and of its end."""
        spelt = torch.logaddexp(self.nonblank, self.blank)
        other = self._before(spelt)  # phi for a token that is not the last one
        top = other.amax(-1, keepdim=True).clamp(min=torch.finfo(other.dtype).min)
        psi = ((other - top).exp() @ self.probs.transpose(1, 2)).log() + top
        psi = psi + _largest(self.log_probs, self.mask).squeeze(-1).unsqueeze(1)
        # Twice the same token needs a blank between them.
        same = torch.logsumexp(self._before(self.blank) + self._rows(self.last), -1)
        psi = psi.scatter(-1, self.last.unsqueeze(-1), same.unsqueeze(-1))
        lengths = self.mask.sum(1)[:, None, None].expand(-1, spelt.shape[1], 1)
        psi[..., EOS] = spelt.gather(-1, lengths).squeeze(-1)
        psi[..., BLANK] = -torch.inf
        return psi

    def follow(
        self, parents: Int[Tensor, "batch new_width"], tokens: Int[Tensor, "batch new_width"]
    ) -> "CtcPrefixes":
        """See `JointState.follow`."""
        index = parents.unsqueeze(-1).expand(-1, -1, self.blank.shape[-1])
        nonblank, blank = self.nonblank.gather(1, index), self.blank.gather(1, index)
        repeats = (tokens == self.last.gather(1, parents)).unsqueeze(-1)
        ready = torch.where(repeats, blank, torch.logaddexp(nonblank, blank))
        chosen, pauses = self._rows(tokens), self.log_probs[:, BLANK].unsqueeze(1)
        spoken = _run(ready[..., :-1], chosen)
        return replace(
            self,
            nonblank=spoken,
            blank=_run(spoken[..., :-1], pauses.expand_as(chosen)),
            prefix=torch.logsumexp(self._before(ready) + chosen, -1),
            last=tokens,
        )

    def keep(self, rows: Int[Tensor, " kept"]) -> "CtcPrefixes":
        """See `JointState.keep`."""
        return CtcPrefixes(
            self.log_probs[rows],
            self.probs[rows],
            self.mask[rows],
            self.nonblank[rows],
            self.blank[rows],
            self.prefix[rows],
            self.last[rows],
            self.weight,
        )

    def _before(
        self, forward: Float[Tensor, "batch width frames_and_one"]
    ) -> Float[Tensor, "batch width frames"]:
        """Return what stands before each frame: -inf before padding."""
        return forward[..., :-1].masked_fill(~self.mask.unsqueeze(1), -torch.inf)

    def _rows(self, tokens: Int[Tensor, "batch width"]) -> Float[Tensor, "batch width frames"]:
        index = tokens.unsqueeze(-1).expand(-1, -1, self.log_probs.shape[-1])
        return self.log_probs.gather(1, index)


def _largest(
    log_probs: Float[Tensor, "batch vocabulary frames"], mask: Bool[Tensor, "batch frames"]
) -> Float[Tensor, "batch vocabulary 1"]:
    """Return each token's largest log-probability; the smallest number where there is no frame."""
    lowest = torch.finfo(log_probs.dtype).min
    return log_probs.masked_fill(~mask.unsqueeze(1), lowest).amax(-1, keepdim=True)


def _run(
    enter: Float[Tensor, "batch width frames"], log_probs: Float[Tensor, "batch width frames"]
) -> Float[Tensor, "batch width frames_and_one"]:
    """Solve gamma(t) = (gamma(t - 1) + enter(t)) p(t) with gamma(0) = 0, in logarithms."""
    product = log_probs.cumsum(-1)
    run = torch.logcumsumexp(enter - (product - log_probs), -1) + product
    return torch.cat([torch.full_like(run[..., :1], -torch.inf), run], -1)
