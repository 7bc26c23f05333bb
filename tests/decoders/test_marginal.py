"""The marginal decoder: the sum over positions is the sum over all choices, and much beside."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from kochi import config
from kochi.decoders.luong import LuongDecoder
from kochi.decoders.marginal import MarginalDecoder
from kochi.decoding import beam_search, greedy, sample
from kochi.decoding.forced import score_targets
from kochi.inputs import TokenInput
from kochi.models.build import build_model
from kochi.models.seq2seq import Seq2Seq
from kochi.special_tokens import EOS
from kochi.training.output_loss import output_loss

VOCABULARY, SOURCE, TARGET = 7, 3, 4


def build(selection: str = "marginal", dropout: float = 0.0, **options: Any) -> Seq2Seq:
    table = {
        "kind": "rnn",
        "order": "luong",
        "input_feeding": False,
        "embedding_size": 6,
        "hidden_size": 6,
        "dropout": dropout,
        "attention": {"score": "general", "selection": selection, **options},
    }
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    torch.manual_seed(4)
    model = build_model(run.model, TokenInput(VOCABULARY), VOCABULARY).double().eval()
    for parameter in model.parameters():  # large weights, so that mistakes show
        parameter.data.mul_(2.0)
    return model


def example() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(5)
    source = torch.randint(4, VOCABULARY, (2, SOURCE))
    mask = torch.tensor([[True, True, True], [True, True, False]])
    outputs = torch.randint(3, VOCABULARY, (2, TARGET))
    inputs = torch.cat([torch.full((2, 1), 2), outputs[:, :-1]], dim=1)
    return source, mask, inputs, outputs


def test_it_is_the_sum_over_all_paths() -> None:
    """Every path of positions through a whole target, each read by Luong's own formula."""
    model = build()
    decoder = model.decoder
    assert isinstance(decoder, MarginalDecoder)
    source, mask, inputs, outputs = example()
    memory = model.encode(source, mask)
    states = decoder.stack.sequence(decoder.embedding(inputs), decoder.bridge(memory.summary))
    projected = decoder.attention.project(memory.values, memory.mask)
    alignment = decoder.attention(states, projected, need_alignment=True).alignment
    assert alignment is not None
    likelihood = torch.zeros(2, dtype=torch.double)
    for path in itertools.product(range(SOURCE), repeat=TARGET):
        joint = torch.ones(2, dtype=torch.double)
        for t, position in enumerate(path):
            read = torch.cat([memory.values[:, position], states[:, t]], dim=-1)
            log_probs = decoder.logits(decoder.attentional_proj(read).tanh()).log_softmax(-1)
            right = log_probs.gather(1, outputs[:, t : t + 1]).squeeze(1).exp()
            joint = joint * alignment[:, t, position] * right
        likelihood = likelihood + joint
    output = decoder.write(memory, inputs)
    loss, nll = output_loss(decoder, output.features, outputs, torch.ones_like(outputs).bool())
    torch.testing.assert_close(nll.sum(1), -likelihood.log().detach())
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(loss, parameters, retain_graph=True),
        torch.autograd.grad(-likelihood.log().sum(), parameters),
    )


def test_all_searches_agree_with_the_loss() -> None:
    model = build()
    source, mask, _, _ = example()
    memory = model.encode(source, mask)
    with torch.no_grad():
        found = {
            "greedy": greedy(model.decoder, memory, max_length=TARGET),
            "beam": beam_search(model.decoder, memory, beam=3, max_length=TARGET),
            "sample": sample(
                model.decoder, memory, max_length=TARGET, generator=torch.Generator().manual_seed(1)
            ),
        }
        for hypotheses in found.values():
            for row, (best, *_) in enumerate(hypotheses):
                end = [3] if best.finished else []
                one = memory.rows(torch.tensor([row]))
                outputs = torch.tensor([[*best.tokens, *end]])
                inputs = torch.tensor([[2, *best.tokens, *end][:-1]])
                features = model.decoder(one, inputs)
                counts = torch.ones_like(outputs, dtype=torch.bool)
                _, nll = output_loss(model.decoder, features, outputs, counts)
                assert best.log_probability == pytest.approx(-nll.sum().item())
                forced = score_targets(model.decoder, one, [best.tokens], end=best.finished)
                assert forced.item() == pytest.approx(-nll.sum().item())


def test_a_wide_beam_finds_all_answers() -> None:
    model = build()
    source, mask, _, _ = example()
    tokens = [token for token in range(VOCABULARY) if token > EOS]
    answers = [answer for n in range(3) for answer in itertools.product(tokens, repeat=n)]
    with torch.no_grad():
        memory = model.encode(source, mask).rows(torch.tensor([0]))
        expected = {
            answer: score_targets(model.decoder, memory, [answer]).item() for answer in answers
        }
        (found,) = beam_search(
            model.decoder, memory, beam=99, n_best=99, max_length=3, length_penalty=0.0
        )
    ended = {tuple(one.tokens): one.log_probability for one in found if one.finished}
    assert ended == pytest.approx(expected)


def test_it_has_the_parameters_of_soft_attention_at_the_same_start() -> None:
    """One line of the run file compares the two: all else is equal."""
    marginal, soft = build("marginal"), build("soft")
    assert isinstance(soft.decoder, LuongDecoder)
    theirs = soft.state_dict()
    assert marginal.state_dict().keys() == theirs.keys()
    assert all(torch.equal(one, theirs[name]) for name, one in marginal.state_dict().items())


def test_at_one_position_it_is_soft_attention() -> None:
    marginal, soft = build("marginal"), build("soft")
    _, _, inputs, _ = example()
    source, mask = torch.tensor([[4], [5]]), torch.ones(2, 1, dtype=torch.bool)
    found, expected = (
        model.decoder.logits(model(source, mask, inputs)) for model in (marginal, soft)
    )
    torch.testing.assert_close(found, expected.log_softmax(-1))


def test_where_nothing_is_seen_the_value_is_zero() -> None:
    """The third target position stands past the end of a window of one position."""
    model = build(scope={"kind": "sliding_window", "left": 0, "right": 0})
    decoder = model.decoder
    assert isinstance(decoder, MarginalDecoder)
    source, mask, inputs, _ = example()
    memory = model.encode(source, mask)
    output = decoder.write(memory, inputs, need_alignment=True)
    assert output.alignment is not None
    assert output.alignment[1].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]]
    states = decoder.stack.sequence(decoder.embedding(inputs), decoder.bridge(memory.summary))
    values = torch.zeros(2, TARGET, memory.values.shape[2], dtype=torch.double)
    values[:, :2] = memory.values[:, :2]
    values[0, 2] = memory.values[0, 2]
    features = decoder.attentional_proj(torch.cat([values, states], dim=-1)).tanh()
    expected = decoder.logits(features).log_softmax(-1)
    found = decoder.logits(output.features)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()


def test_a_prior_is_made_a_probability() -> None:
    model = build(scope={"kind": "local_p", "width": 1})
    source, mask, inputs, _ = example()
    memory = model.encode(source, mask)
    output = model.decoder.write(memory, inputs, need_alignment=True)
    assert output.alignment is not None
    sums = output.alignment.sum(-1)
    torch.testing.assert_close(sums, (sums > 0.5).double())
    likelihood = model.decoder.logits(output.features).exp().sum(-1)
    torch.testing.assert_close(likelihood, torch.ones_like(likelihood))


def test_dropout_drops_the_same_features_at_all_positions() -> None:
    model = build(dropout=0.5).train()
    source, mask, inputs, _ = example()
    features = model.decoder(model.encode(source, mask), inputs)
    assert features.kept is not None
    assert features.kept.shape == features.of_target.shape
    assert set(features.kept.unique().tolist()) == {0.0, 2.0}
    assert model.eval().decoder(model.encode(source, mask), inputs).kept is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_feeding": True}, "next state depends on the context.*exponentially many"),
        ({"input_feeding": None}, "set order = 'luong' and input_feeding = false"),
        ({"order": "bahdanau", "input_feeding": None}, "next state depends on the context"),
        ({"attention": {"num_heads": 2}}, "source length to the power of 2; set num_heads = 1"),
    ],
)
def test_what_it_cannot_sum_is_refused(change: dict[str, Any], message: str) -> None:
    table: dict[str, Any] = {"kind": "rnn", "order": "luong", "input_feeding": False} | change
    table["attention"] = {"selection": "marginal"} | table.get("attention", {})
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    with pytest.raises(ValueError, match=message):
        build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)


@pytest.mark.parametrize("where", ["attention", "self_attention"])
def test_a_transformer_refuses_it(where: str) -> None:
    table = {"kind": "transformer", where: {"num_heads": 4, "selection": "marginal"}}
    run = config.check_run({"data": {"kind": "tsv", "train": "x"}, "model": table}, "test")
    with pytest.raises(ValueError, match="the layers above depend on the positions"):
        build_model(run.model, TokenInput(VOCABULARY), VOCABULARY)
