"""Every decoder: step by step equals all at once, beams and batches do not touch each other."""

import pytest
import torch

from kochi import config
from kochi.inputs import TokenInput
from kochi.models.build import build_model

SOURCE_VOCABULARY, TARGET_VOCABULARY = 11, 13
BATCH, SOURCE, TARGET = 3, 7, 5

MODELS = {
    "plain": {"kind": "plain"},
    "plain-gru-reversed": {
        "kind": "plain",
        "cell": "gru",
        "bidirectional": False,
        "reverse_source": True,
        "encoder_layers": 2,
        "decoder_layers": 2,
    },
    "bahdanau": {"kind": "rnn"},
    "bahdanau-gru-heads": {
        "kind": "rnn",
        "cell": "gru",
        "decoder_layers": 2,
        "attention": {"score": "scaled_dot", "num_heads": 2},
    },
    "luong-feeding": {"kind": "rnn", "order": "luong", "attention": {"score": "general"}},
    "luong-feeding-deep": {"kind": "rnn", "order": "luong", "decoder_layers": 2},
    "luong": {
        "kind": "rnn",
        "order": "luong",
        "input_feeding": False,
        "attention": {"score": "additive"},
    },
    "luong-dot": {
        "kind": "rnn",
        "order": "luong",
        "input_feeding": False,
        "bidirectional": False,
        "attention": {"score": "dot"},
    },
    "luong-marginal": {
        "kind": "rnn",
        "order": "luong",
        "input_feeding": False,
        "attention": {"score": "general", "selection": "marginal"},
    },
    "transformer-pre": {"kind": "transformer", "norm": "pre", "positions": "sinusoidal"},
    "transformer-post": {"kind": "transformer", "norm": "post", "positions": "learned"},
    "transformer-rotary": {"kind": "transformer", "positions": "rotary"},
    "transformer-additive": {
        "kind": "transformer",
        "attention": {"score": "additive", "num_heads": 2},
        "self_attention": {"score": "general", "num_heads": 2},
    },
}


def make(name: str):
    table = dict(MODELS[name])
    if table["kind"] == "transformer":
        table = {
            "size": 8,
            "feedforward_size": 12,
            "encoder_layers": 2,
            "decoder_layers": 2,
        } | table
        table = {"self_attention": {"score": "scaled_dot", "num_heads": 2}} | table
        table = {"attention": {"score": "scaled_dot", "num_heads": 2}} | table
    else:
        table = {"embedding_size": 6, "hidden_size": 8} | table
    run = config.check_run({"data": {"kind": "tsv", "train": "x.tsv"}, "model": table}, "test")
    torch.manual_seed(3)
    model = build_model(run.model, TokenInput(SOURCE_VOCABULARY), TARGET_VOCABULARY)
    for parameter in model.parameters():  # large weights, so that mistakes show
        parameter.data.mul_(2.0)
    return model.double().eval()


@pytest.fixture(params=MODELS)
def model(request):
    return make(request.param)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    source = torch.randint(4, SOURCE_VOCABULARY, (BATCH, SOURCE), generator=generator)
    mask = torch.arange(SOURCE) < torch.tensor([7, 3, 5])[:, None]
    inputs = torch.randint(4, TARGET_VOCABULARY, (BATCH, TARGET), generator=generator)
    return source * mask, mask, inputs


def all_logits(model, source, mask, inputs):
    return model.decoder.logits(model(source, mask, inputs))


def test_step_by_step_equals_all_at_once(model, batch):
    source, mask, inputs = batch
    expected = all_logits(model, source, mask, inputs)
    state = model.decoder.start(model.encode(source, mask), width=1, max_length=TARGET)
    for position in range(TARGET):
        logits, state = model.decoder.step(state, inputs[:, position : position + 1])
        torch.testing.assert_close(logits[:, 0], expected[:, position])


def test_a_row_does_not_depend_on_its_batch_or_on_padding(model, batch):
    source, mask, inputs = batch
    expected = all_logits(model, source, mask, inputs)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = all_logits(
            model,
            source[row : row + 1, :length],
            mask[row : row + 1, :length],
            inputs[row : row + 1],
        )
        torch.testing.assert_close(alone[0], expected[row])


def test_later_target_tokens_change_nothing(model, batch):
    source, mask, inputs = batch
    changed = inputs.clone()
    changed[:, 3:] = 4 + (changed[:, 3:] - 3) % (TARGET_VOCABULARY - 4)
    assert (changed[:, 3:] != inputs[:, 3:]).all()
    before = all_logits(model, source, mask, inputs)
    after = all_logits(model, source, mask, changed)
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert not torch.allclose(after[:, 3:], before[:, 3:])


def test_beams_follow_their_parents(model, batch):
    """Three beams that branch, swap and merge give what each history gives alone."""
    source, mask, _ = batch
    generator = torch.Generator().manual_seed(7)
    width = 3
    histories = torch.zeros(BATCH, width, 0, dtype=torch.long)
    state = model.decoder.start(model.encode(source, mask), width=width, max_length=TARGET)
    for _ in range(TARGET):
        tokens = torch.randint(4, TARGET_VOCABULARY, (BATCH, width), generator=generator)
        logits, state = model.decoder.step(state, tokens)
        histories = torch.cat([histories, tokens.unsqueeze(-1)], dim=-1)
        for beam in range(width):
            expected = all_logits(model, source, mask, histories[:, beam])[:, -1]
            torch.testing.assert_close(logits[:, beam], expected)
        parents = torch.randint(width, (BATCH, width), generator=generator)
        state = model.decoder.reorder(state, parents)
        histories = histories.gather(1, parents.unsqueeze(-1).expand(-1, -1, histories.shape[-1]))


def test_finished_sentences_leave(model, batch):
    source, mask, inputs = batch
    expected = all_logits(model, source, mask, inputs)
    state = model.decoder.start(model.encode(source, mask), width=1, max_length=TARGET)
    _, state = model.decoder.step(state, inputs[:, :1])
    rows = torch.tensor([2, 0])
    state = model.decoder.keep(state, rows)
    logits, _ = model.decoder.step(state, inputs[rows, 1:2])
    torch.testing.assert_close(logits[:, 0], expected[rows, 1])


def test_alignment_sums_to_one_and_misses_padding(model, batch):
    source, mask, inputs = batch
    alignment = model.decoder.alignment(model.encode(source, mask), inputs)
    if alignment is None:
        assert type(model.decoder).__name__ == "PlainDecoder"
        return
    assert alignment.shape == (BATCH, TARGET, SOURCE)
    torch.testing.assert_close(alignment.sum(-1), torch.ones(BATCH, TARGET, dtype=torch.double))
    assert (alignment.masked_select(~mask[:, None].expand_as(alignment)) == 0).all()


def test_each_layer_and_head_returns_its_alignment(model, batch):
    source, mask, inputs = batch
    memory = model.encode(source, mask)
    output = model.decoder.write(memory, inputs, need_alignment="every layer")
    if output.alignment is None:
        assert type(model.decoder).__name__ == "PlainDecoder"
        return
    assert len(output.layers) == len(getattr(model.decoder, "layers", [None]))
    for layer in output.layers:
        assert layer.shape[0] == BATCH and layer.shape[2:] == (TARGET, SOURCE)
        sums = torch.ones(layer.shape[:3], dtype=torch.double)
        torch.testing.assert_close(layer.sum(-1), sums)
    torch.testing.assert_close(output.alignment, output.layers[-1].mean(1))
    [last] = model.decoder.write(memory, inputs, need_alignment=True).layers  # no other is computed
    assert torch.equal(last, output.layers[-1])
    assert model.decoder.write(memory, inputs).layers == ()


def test_every_parameter_learns(model, batch):
    source, mask, inputs = batch
    all_logits(model.train(), source, mask, inputs).logsumexp(-1).sum().backward()
    still = [name for name, p in model.named_parameters() if p.grad is None]
    assert still == []


def test_tied_embeddings_of_another_width_are_refused():
    table = {"kind": "rnn", "embedding_size": 6, "hidden_size": 8, "tie_embeddings": "all"}
    run = config.check_run({"data": {"kind": "tsv", "train": "x.tsv"}, "model": table}, "test")
    with pytest.raises(ValueError, match="shared_vocabulary"):
        build_model(run.model, TokenInput(11), 13)
