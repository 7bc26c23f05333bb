"""Every mechanism as a line of the model table: in all decoders, with beams, and it learns."""

from typing import Any

import pytest
import torch
from torch import Tensor

from kochi import config
from kochi.attention import RELATIVES, SCOPES, SCORES, SELECTIONS, Positions, Scope
from kochi.decoders.transformer import TransformerDecoder
from kochi.inputs import TokenInput
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.training.output_loss import output_loss
from kochi.training.reinforce import next_baseline, reinforce

VOCABULARY, BATCH, LENGTH = 9, 3, 5
# Windows so narrow that some queries see nothing.
NARROW = [("sliding_window", {"left": 0, "right": 0}), ("local_m", {"width": 0, "ratio": 3.0})]
MECHANISMS = [
    *({"score": score} for score in SCORES),
    *({"scope": scope} for scope in SCOPES),
    *({"selection": selection} for selection in SELECTIONS),
    *({"score": "scaled_dot", "relative": relative} for relative in RELATIVES),
    {"score": "location_aware", "scope": "local_m", "selection": "sparsemax", "num_heads": 2},
    *({"score": score, "selection": "marginal"} for score in SCORES if score != "additive"),
    *({"scope": scope, "selection": "marginal"} for scope in SCOPES if scope != "global"),
    *({"scope": {"kind": kind, **narrow}, "selection": "marginal"} for kind, narrow in NARROW),
    *({"score": "dot", "relative": term, "selection": "marginal"} for term in RELATIVES),
]
DECODERS = {
    "bahdanau": {"kind": "rnn", "order": "bahdanau"},
    "luong": {"kind": "rnn", "order": "luong"},
    "luong without feeding": {"kind": "rnn", "order": "luong", "input_feeding": False},
    "transformer": {"kind": "transformer"},
}


def build(decoder: str, mechanism: dict[str, Any]) -> Seq2Seq | None:
    """Build a small model, or None where the mechanism is refused with its reason."""
    table = dict(DECODERS[decoder])
    table["dropout"] = 0.0
    if table["kind"] == "rnn":
        sizes = {"embedding_size": 16, "hidden_size": 16, "bidirectional": True}
        memory_is_wider = mechanism.get("score") in ("dot", "scaled_dot", "cosine")
        table |= sizes | ({"bidirectional": False} if memory_is_wider else {})
    else:
        sizes = {"size": 16, "feedforward_size": 32, "encoder_layers": 1, "decoder_layers": 2}
        table |= sizes | {"self_attention": {"score": "scaled_dot", "num_heads": 2}}
        mechanism = {"num_heads": 2} | mechanism
    run = config.check_run(
        {"data": {"kind": "tsv", "train": "x"}, "model": table | {"attention": mechanism}}, "test"
    )
    torch.manual_seed(1)
    if table["kind"] == "rnn" and mechanism.get("relative") == "rotary":
        with pytest.raises(ValueError, match="`build` with one head has no projections"):
            build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)
        return None
    if mechanism.get("selection") == "marginal" and decoder != "luong without feeding":
        with pytest.raises(ValueError, match=r"'marginal' sums over positions.* exponentially"):
            build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)
        return None
    return build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)


def named(mechanism: dict[str, Any]) -> str:
    return "-".join(map(str, mechanism.values()))


def in_turn(decoders: tuple[str, ...]) -> list[Any]:
    """Each mechanism in all decoders; in `make test` in one of them, in turn."""
    found = []
    for number, mechanism in enumerate(MECHANISMS):
        chosen = decoders[number % len(decoders)]
        if mechanism.get("selection") == "marginal":
            chosen = "luong without feeding"
        elif mechanism.get("relative") == "rotary":
            chosen = "transformer"
        for decoder in decoders:
            marks = () if decoder == chosen else pytest.mark.slow
            name = f"{named(mechanism)}-{decoder}"
            found.append(pytest.param(mechanism, decoder, marks=marks, id=name))
    return found


@pytest.mark.parametrize(
    "part",
    [
        {"score": "location_aware"},
        {"selection": "hard"},
        {"scope": "coverage"},
        {"scope": ["causal", "coverage"]},
    ],
    ids=str,
)
def test_a_sequence_that_looks_at_itself_neither_looks_back_nor_draws(part: dict[str, Any]) -> None:
    table = {"kind": "transformer", "size": 16, "self_attention": {"num_heads": 2} | part}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    with pytest.raises(ValueError, match=r"self_attention: .* depends on earlier alignments"):
        build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)


@pytest.mark.parametrize("relative", RELATIVES)
def test_relative_terms_in_a_sequence_that_looks_at_itself(relative: str) -> None:
    own = {"score": "scaled_dot", "num_heads": 2, "relative": relative}
    check_steps(looks_at_itself(own))


WINDOW = {"kind": "sliding_window", "left": 1, "right": 2}


@pytest.mark.parametrize("relative", [None, "t5"])
@pytest.mark.parametrize(
    "scope",
    [
        WINDOW,
        "causal",
        ["causal", {"kind": "sliding_window", "left": 0, "right": 0}],
        {"kind": "local_m", "width": 1},
        {"kind": "local_m", "width": 0, "ratio": 3.0},  # nothing is seen but at the start
        [WINDOW, {"kind": "local_m", "width": 2, "ratio": 0.5}],
    ],
    ids=str,
)
def test_scopes_in_a_sequence_that_looks_at_itself(scope: Any, relative: str | None) -> None:
    own = {"score": "scaled_dot", "num_heads": 2, "scope": scope, "relative": relative}
    model = looks_at_itself(own)
    check_steps(model)
    assert isinstance(model.decoder, TransformerDecoder)
    attention = model.decoder.blocks[0].self_attention
    assert isinstance(attention.scope, Scope)
    seen = attention.scope(Positions(5, 5, torch.device("cpu")))
    assert seen is not None
    assert not seen.triu(1).any()


def looks_at_itself(own: dict[str, Any]) -> Seq2Seq:
    """Build a small Transformer with such self-attention."""
    table = {"kind": "transformer", "size": 16, "feedforward_size": 16, "self_attention": own}
    table |= {"encoder_layers": 1, "decoder_layers": 2, "dropout": 0.0}
    table |= {"attention": {"num_heads": 2}}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    torch.manual_seed(1)
    return build_model(run.model, TokenInput(VOCABULARY), VOCABULARY).double().eval()


@pytest.mark.parametrize(("mechanism", "decoder"), in_turn(tuple(DECODERS)))
def test_step_by_step_with_beams_equals_all_at_once(
    mechanism: dict[str, Any], decoder: str
) -> None:
    model = build(decoder, mechanism)
    if model is None:
        return
    check_steps(model.double().eval())


def check_steps(model: Seq2Seq) -> None:
    """Two beams that branch and merge give at each step what their histories give at once."""
    source = torch.randint(4, VOCABULARY, (BATCH, LENGTH))
    mask = torch.arange(LENGTH) < torch.tensor([[5], [2], [4]])
    histories = torch.zeros(BATCH, 2, 0, dtype=torch.long)
    state = model.decoder.start(model.encode(source, mask), width=2, max_length=LENGTH)
    for _ in range(4):
        tokens = torch.randint(4, VOCABULARY, (BATCH, 2))
        logits, state = model.decoder.step(state, tokens)
        histories = torch.cat([histories, tokens.unsqueeze(-1)], dim=-1)
        for beam in range(2):
            output = model.decoder.write(model.encode(source, mask), histories[:, beam], True)
            expected = model.decoder.logits(output.features)[:, -1]
            torch.testing.assert_close(logits[:, beam], expected)
            assert output.alignment is not None
            assert (output.alignment[1, :, 2:] == 0.0).all()
        parents = torch.randint(2, (BATCH, 2))
        state = model.decoder.reorder(state, parents)
        histories = histories.gather(1, parents.unsqueeze(-1).expand(-1, -1, histories.shape[-1]))
    kept = torch.tensor([2, 0])
    state = model.decoder.keep(state, kept)
    logits, _ = model.decoder.step(state, histories[kept, :, -1])
    assert logits.isfinite().all()


def losses_of(model: Seq2Seq, steps: int) -> Tensor:
    """Train on copying and return the loss of each step, in nats a token."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    baseline = torch.tensor(torch.nan)
    found = []
    for _ in range(steps):
        source = torch.randint(4, VOCABULARY, (32, 4))
        mask = torch.ones_like(source, dtype=torch.bool)
        inputs = torch.cat([torch.full((32, 1), 2), source[:, :-1]], 1)
        output = model.decoder.write(model.encode(source, mask), inputs)
        loss, nll = output_loss(model.decoder, output.features, source, mask)
        if output.samples is not None:
            options = config.Reinforce()
            baseline = next_baseline(baseline, nll, mask, options.baseline_decay)
            loss = loss + reinforce(output.samples, nll, mask, baseline, options)
        optimizer.zero_grad()
        (loss / mask.sum()).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        found.append(nll.mean())
    return torch.stack(found)


def to_learn() -> list[Any]:
    """What `test_every_combination` does not train is trained in `make test`, the rest is slow."""
    found = in_turn(("luong", "transformer", "luong without feeding"))
    return [
        param
        if len(param.values[0]) > 1 or param.marks
        else pytest.param(*param.values, marks=pytest.mark.slow, id=param.id)
        for param in found
    ]


@pytest.mark.usefixtures("shapes_unchecked")  # the test above checks them
@pytest.mark.parametrize(("mechanism", "decoder"), to_learn())
def test_it_learns_to_copy(mechanism: dict[str, Any], decoder: str) -> None:
    model = build(decoder, mechanism)
    if model is None:
        return
    losses = losses_of(model.train(), 60)
    assert losses[-5:].mean() < 0.75 * losses[:5].mean(), losses[::10].tolist()
