"""Is the Monte-Carlo gradient of hard attention unbiased, and how much does it vary?

On a problem small enough to enumerate: the decoder of Xu et al. 2015 attends to four positions and
writes three tokens, which gives 64 sequences of positions. Their sum is the expected log-likelihood
and, by autograd, its exact gradient by every weight of the decoder. The estimators draw instead;
each is the program that trains (`Decoder.write`, `output_loss`, `reinforce`).
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from common import Page, read_options
from torch import Tensor

from kochi import attention, config
from kochi.attention.selections.base import Choice, SampledSelection
from kochi.attention.selections.hard import choice_of
from kochi.decoders.output import DecoderOutput, Samples
from kochi.decoders.xu import XuDecoder
from kochi.layers.embedding import Embedding
from kochi.memory import Memory
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import reinforce

PLACES, STEPS, VOCABULARY, SIZE = 4, 3, 6, 5
Selection = str | dict[str, Any] | SampledSelection
ROWS = 256  # draws whose gradients are added by one call
CALLS, QUICK_CALLS = 400, 40  # calls an estimator
SEED = 1
OPTIONS = config.Reinforce(weight=1.0, entropy_weight=0.0)
NOTES = """Weights are drawn (seed {seed}); the choices have entropies of {entropies} (at most
{most:.2f}) nats. Float64. Each estimator draws {draws:,} times. "Distance": of the mean from the
exact gradient, over the length of the exact one; "by chance": what is to be expected of it if the
estimator is unbiased, from the spread of the draws. "z beyond 1.96": share of the {count} weights
whose mean is further than 1.96 standard errors from the exact value; 5 % are to be expected.
"Variance": summed over the weights, of a single draw, over the squared length of the exact
gradient. The entropy's weight is 0: its term is another objective."""


class Path(SampledSelection):
    """Attend to given positions, one per step."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        super().__init__()
        self.positions, self.step = positions, 0

    def forward(self, scores: Tensor, visible: Tensor | None) -> Choice:
        position = torch.zeros_like(scores)
        position[..., self.positions[self.step]] = 1.0
        self.step += 1
        return Choice(position, *choice_of(position, scores, visible))


@dataclass
class Problem:
    """One picture of a few positions, one caption, and the weights of a decoder."""

    memory: Memory
    inputs: Tensor
    outputs: Tensor
    weights: dict[str, Tensor]

    @staticmethod
    def draw() -> "Problem":
        torch.manual_seed(SEED)
        values = torch.randn(1, PLACES, SIZE, dtype=torch.float64)
        memory = Memory(values, torch.ones(1, PLACES, dtype=torch.bool), values.mean(1))
        tokens = torch.randint(4, VOCABULARY, (1, STEPS + 1))
        weights = {name: w.detach().clone() for name, w in _decoder("hard").state_dict().items()}
        return Problem(memory, tokens[:, :-1], tokens[:, 1:], weights)

    def decoder(self, selection: Selection) -> XuDecoder:
        decoder = _decoder(selection)
        decoder.load_state_dict(self.weights)
        return decoder.train()

    def rows(self, count: int) -> tuple[Memory, Tensor, Tensor]:
        """Return the same picture and caption so many times."""
        old = self.memory
        values, summary = _repeat(old.values, count), _repeat(old.summary, count)
        memory = Memory(values, _repeat(old.mask, count), summary)
        return memory, self.inputs.expand(count, -1), self.outputs.expand(count, -1)


def _repeat(part: Tensor, count: int) -> Tensor:
    return part.expand(count, *part.shape[1:])


def _decoder(selection: Selection) -> XuDecoder:
    looking = attention.build(
        score="general", selection=selection, query_size=SIZE, memory_size=SIZE
    )
    decoder = XuDecoder(
        Embedding(VOCABULARY, SIZE),
        looking,
        summary_size=SIZE,
        cell="gru",
        hidden_size=SIZE,
        num_layers=1,
        dropout=0.0,
        tie_embeddings=False,
    )
    return decoder.double()


# -------------------------------------------------------------------------------------- the answer


@dataclass
class Exact:
    """Sums over all ways to look: mean log-likelihood of each token, its gradient, entropies."""

    of_token: Tensor
    gradient: Tensor
    entropies: Tensor


def enumerate_looks(problem: Problem) -> Exact:
    mask = torch.ones(1, STEPS, dtype=torch.bool)
    gradients, tokens, entropies, total = [], [], [], 0.0
    for positions in itertools.product(range(PLACES), repeat=STEPS):
        decoder = problem.decoder(Path(positions))
        output = decoder.write(problem.memory, problem.inputs)
        _, nll = output_loss(decoder, output.features, problem.outputs, mask)
        assert output.samples is not None
        probability = output.samples.log_probability.sum().exp()
        gradients.append(_gradient(decoder, probability * _each(decoder, output, problem)))
        tokens.append(-(probability * nll[0]).detach())
        entropies.append((probability * output.samples.entropy[0]).detach())
        total += probability.item()
    assert math.isclose(total, 1.0), total
    return Exact(*(torch.stack(part).sum(0) for part in (tokens, gradients, entropies)))


def _each(decoder: XuDecoder, output: DecoderOutput, problem: Problem) -> Tensor:
    """Return the log-likelihood of the caption with its gradient, which nll may not have."""
    logits = decoder.logits(output.features)
    return logits.log_softmax(-1).gather(-1, problem.outputs.unsqueeze(-1)).sum()


def _gradient(decoder: XuDecoder, value: Tensor) -> Tensor:
    parameters = list(decoder.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    whole = [
        torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
    ]
    return torch.cat([one.flatten() for one in whole])


# ---------------------------------------------------------------------------------- the estimators

Surrogate = Callable[[Samples, Tensor], Tensor]


def of_later_tokens(baseline: float) -> Surrogate:
    """Weigh a choice as kochi does: by the tokens from its own step on."""

    def surrogate(samples: Samples, nll: Tensor) -> Tensor:
        mask = torch.ones_like(nll, dtype=torch.bool)
        return reinforce(samples, nll, mask, nll.new_tensor(baseline), OPTIONS)

    return surrogate


def of_all_tokens(baseline: float) -> Surrogate:
    """Weigh a choice as the paper's equation 12: by the whole caption."""

    def surrogate(samples: Samples, nll: Tensor) -> Tensor:
        advantage = -nll.detach().sum(1, keepdim=True) - STEPS * baseline
        return -(advantage * samples.log_probability).sum()

    return surrogate


@dataclass
class Found:
    """What an estimator's draws say."""

    distance: float
    by_chance: float
    beyond: float
    largest: float
    variance: float


def ask(
    problem: Problem, exact: Tensor, selection: Selection, surrogate: Surrogate | None, calls: int
) -> Found:
    decoder = problem.decoder(selection)
    memory, inputs, outputs = problem.rows(ROWS)
    mask = torch.ones(ROWS, STEPS, dtype=torch.bool)
    torch.manual_seed(SEED)
    drawn = []
    for _ in range(calls):
        output = decoder.write(memory, inputs)
        loss, nll = output_loss(decoder, output.features, outputs, mask)
        if surrogate is not None:
            assert output.samples is not None
            loss = loss + surrogate(output.samples, nll)
        drawn.append(-_gradient(decoder, loss) / ROWS)
    means = torch.stack(drawn)
    mean, spread = means.mean(0), means.var(0)
    error = (spread / calls).sqrt()
    off, length = mean - exact, exact.norm()
    moves = error > 1e-12
    z = (off / error)[moves].abs()
    return Found(
        (off.norm() / length).item(),
        (error.norm() / length).item(),
        (z > 1.96).double().mean().item(),
        z.max().item(),
        (ROWS * spread.sum() / length.square()).item(),
    )


def main() -> None:
    options = read_options(__doc__ or "", rounds=1)
    torch.set_num_threads(options.threads)
    calls = QUICK_CALLS if options.quick else CALLS
    problem = Problem.draw()
    exact = enumerate_looks(problem)
    mean = exact.of_token.mean().item()
    estimators: dict[str, tuple[Selection, Surrogate | None]] = {
        "whole caption, no baseline": ("hard", of_all_tokens(0.0)),
        "whole caption, baseline": ("hard", of_all_tokens(mean)),
        "later tokens, no baseline": ("hard", of_later_tokens(0.0)),
        "**later tokens, baseline** (kochi)": ("hard", of_later_tokens(mean)),
        "the same, half of the captions soft": (
            {"kind": "hard", "expected_share": 0.5},
            of_later_tokens(mean),
        ),
        "straight-through": ("straight_through", None),
        "Gumbel-softmax": ("gumbel", None),
    }
    found = {
        name: ask(problem, exact.gradient, selection, surrogate, calls)
        for name, (selection, surrogate) in estimators.items()
    }
    page = Page("hard-gradient", "Is the gradient of hard attention unbiased?", options)
    notes = NOTES.format(
        seed=SEED,
        entropies=", ".join(f"{value:.2f}" for value in exact.entropies.tolist()),
        most=math.log(PLACES),
        draws=calls * ROWS,
        count=len(exact.gradient),
    )
    page.add(" ".join((__doc__ or "").split("\n\n", 1)[1].split()))
    page.add(" ".join(notes.split()))
    head = ["estimator", "distance", "by chance", "z beyond 1.96", "largest z", "variance"]
    rows = [
        [
            name,
            f"{one.distance:.4f}",
            f"{one.by_chance:.4f}",
            f"{one.beyond:.1%}",
            f"{one.largest:.1f}",
            f"{one.variance:.3g}",
        ]
        for name, one in found.items()
    ]
    page.add_table(head, rows)
    ours, bare = (found[name] for name in list(found)[3:1:-1])
    unbiased = ours.distance < 2 * ours.by_chance
    page.add(
        f"The Monte-Carlo gradient is unbiased within what {calls * ROWS:,} draws can tell: "
        f"{'holds' if unbiased else '**does not hold**'}. The baseline, the mean log-likelihood of "
        f"a token ({mean:.2f} nats), divides the variance by {bare.variance / ours.variance:.1f}. "
        "Mixing with soft attention, straight-through and Gumbel-softmax have gradients of other "
        "objectives."
    )
    page.write()


if __name__ == "__main__":
    main()
