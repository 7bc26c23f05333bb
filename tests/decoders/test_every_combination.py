"""Combinations of scores, scopes and selections in both decoders; pairwise in `make test`."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kochi import config
from kochi.attention import SCOPES, SCORES, SELECTIONS
from kochi.inputs import TokenInput
from kochi.memory import Memory
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import next_baseline, reinforce
from tests.covering import pairwise

BEGIN, FIRST, VOCABULARY = 2, 4, 9
LENGTH, BATCH, STEPS = 3, 24, 200
STARTS = (1, 2, 3)  # where one gets stuck depends on how the processor rounds
WITHOUT_LOOKING = math.log(VOCABULARY - FIRST)  # nats a token; the tokens are drawn evenly
DECODERS = {
    "rnn": {
        "kind": "rnn",
        "order": "luong",
        "input_feeding": False,
        "embedding_size": 16,
        "hidden_size": 16,
    },
    "transformer": {
        "kind": "transformer",
        "size": 16,
        "feedforward_size": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "self_attention": {"score": "scaled_dot", "num_heads": 2},
    },
}
SUMMED_OUT = r"'marginal' .* (exponentially many|set num_heads = 1)"
Row = tuple[str, str, str, int, str]


def is_refused(row: Row) -> bool:
    return row[2] == "marginal" and row[3:] != (1, "rnn")


ROWS = list(itertools.product(SCORES, SCOPES, SELECTIONS, (1, 2), DECODERS))
MADE = [row for row in ROWS if not is_refused(row)]
REFUSED = [row for row in ROWS if is_refused(row)]


@pytest.mark.usefixtures("shapes_unchecked")  # they take most of the time
@pytest.mark.parametrize(
    ("score", "scope", "selection", "heads", "decoder"), [*pairwise(MADE), *pairwise(REFUSED)]
)
def test_it_learns_and_writes_as_it_was_trained_or_is_refused(
    score: str, scope: str, selection: str, heads: int, decoder: str
) -> None:
    table = DECODERS[decoder] | {"dropout": 0.0}
    table["attention"] = {"score": score, "scope": scope, "selection": selection}
    table["attention"] |= {"num_heads": heads}
    if decoder == "rnn":  # a plain dot product wants a memory as wide as the query
        table["bidirectional"] = score not in ("dot", "scaled_dot", "cosine")
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    if is_refused((score, scope, selection, heads, decoder)):
        with pytest.raises(ValueError, match=SUMMED_OUT):
            build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)
        return
    for seed in STARTS:
        torch.manual_seed(seed)
        model = build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)
        if learns(model.train(), 0.9 * WITHOUT_LOOKING):
            break
    else:
        pytest.fail(f"it learned nothing from any of the seeds {STARTS}")
    check_steps(model.double().eval())


def remember(model: Seq2Seq, source: Tensor) -> Memory:
    """Encode; the summary is taken away, so that all information must come through attention."""
    memory = model.encode(source, torch.ones_like(source, dtype=torch.bool))
    return replace(memory, summary=torch.zeros_like(memory.summary))


def draw(batch: int) -> tuple[Tensor, Tensor]:
    """Return sources, and what a decoder reads that copies them."""
    source = torch.randint(FIRST, VOCABULARY, (batch, LENGTH))
    return source, torch.cat([torch.full((batch, 1), BEGIN), source[:, :-1]], 1)


def learns(model: Seq2Seq, enough: float) -> bool:
    """Train on copying until the loss of the last steps is low enough, in nats a token."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.03, fused=True)
    options, baseline, found = config.Reinforce(), torch.tensor(torch.nan), []
    for _ in range(STEPS):
        source, inputs = draw(BATCH)
        mask = torch.ones_like(source, dtype=torch.bool)
        output = model.decoder.write(remember(model, source), inputs)
        loss, nll = output_loss(model.decoder, output.features, source, mask)
        if output.samples is not None:
            baseline = next_baseline(baseline, nll, mask, options.baseline_decay)
            loss = loss + reinforce(output.samples, nll, mask, baseline, options)
        optimizer.zero_grad()
        (loss / source.numel()).backward()
        optimizer.step()
        found.append(nll.mean())
        if len(found) >= 8 and torch.stack(found[-8:]).mean() < enough:
            return True
    return False


@torch.no_grad()
def check_steps(model: Seq2Seq) -> None:
    """Step by step the logits are those of the whole target."""
    source, inputs = draw(2)
    memory = remember(model, source)
    whole = model.decoder.logits(model.decoder.write(memory, inputs).features)
    state = model.decoder.start(memory, width=1, max_length=LENGTH)
    for position in range(LENGTH):
        logits, state = model.decoder.step(state, inputs[:, position : position + 1])
        torch.testing.assert_close(logits.squeeze(1), whole[:, position])
