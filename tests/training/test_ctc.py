"""The CTC loss: against all paths, and where no path is left."""

import io
import itertools
import math

import pytest
import torch

from kochi.training.ctc import BLANK, ctc_loss, positions_needed

SIZE, VOCABULARY, PLACES = 3, 5, 5


def a_layer() -> torch.nn.Linear:
    torch.manual_seed(1)
    return torch.nn.Linear(SIZE, VOCABULARY).double()


def memory(*lengths: int):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    numbers = torch.arange(mask.numel() * SIZE, dtype=torch.double)
    return (3 * (numbers * 0.7).sin()).view(*mask.shape, SIZE), mask


def rows_of(*targets: list[int]):
    longest = max(map(len, targets))
    tokens = torch.tensor([target + [0] * (longest - len(target)) for target in targets])
    lengths = torch.tensor([len(target) for target in targets])
    return tokens.view(len(targets), longest), torch.arange(longest) < lengths.unsqueeze(1)


def by_all_paths(layer, values, target: list[int]) -> float:
    rows = layer(values).softmax(-1).tolist()
    total = 0.0
    for path in itertools.product(range(VOCABULARY), repeat=len(rows)):
        if [token for token, _ in itertools.groupby(path) if token != BLANK] == target:
            total += math.prod(row[token] for row, token in zip(rows, path, strict=True))
    return -math.log(total)


def test_the_loss_is_that_of_all_paths():
    layer, targets = a_layer(), [[3, 1, 3], [2, 2], [4], []]
    values, mask = memory(PLACES, 3, 1, 2)
    loss, skipped = ctc_loss(layer, values, mask, *rows_of(*targets))
    expected = [
        by_all_paths(layer, values[row][mask[row]], target) for row, target in enumerate(targets)
    ]
    assert loss.item() == pytest.approx(sum(expected))
    assert skipped == 0


def test_the_gradient_is_that_of_finite_differences_and_padding_has_none():
    layer = a_layer()
    values, mask = memory(PLACES, 3)
    tokens = rows_of([3, 1, 3], [2])

    def loss(values):
        return ctc_loss(layer, values, mask, *tokens).loss

    values.requires_grad_()
    assert torch.autograd.gradcheck(loss, values)
    (grad,) = torch.autograd.grad(loss(values), values)
    assert (grad[~mask] == 0.0).all() and (grad[mask].abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("length", "target"), [(2, [1, 2, 3]), (2, [4, 4]), (0, [1]), (0, [])], ids=str
)
def test_a_sentence_without_a_path_is_skipped_and_poisons_nothing(length, target):
    layer = a_layer()
    values, mask = memory(4, length, 5)
    values.requires_grad_()
    loss, skipped = ctc_loss(layer, values, mask, *rows_of([1, 1, 2], target, [3]))
    others, none = ctc_loss(layer, values[[0, 2]], mask[[0, 2]], *rows_of([1, 1, 2], [3]))
    assert (skipped, none) == (1, 0)
    torch.testing.assert_close(loss, others)
    loss.backward()
    for gradient in (values.grad, layer.weight.grad, layer.bias.grad):
        assert gradient is not None and gradient.isfinite().all()
    assert values.grad is not None and (values.grad[1] == 0.0).all()


def test_a_batch_of_nothing_but_such_sentences_has_no_loss():
    values, mask = memory(1, 2)
    loss, skipped = ctc_loss(a_layer(), values, mask, *rows_of([1, 2], [3, 3]))
    assert (loss.item(), skipped) == (0.0, 2)


def test_a_blank_stands_between_equal_tokens():
    tokens, mask = rows_of([1, 1, 1], [1, 2, 1], [4, 4], [])
    assert positions_needed(tokens, mask).tolist() == [5, 3, 3, 0]


def test_a_run_with_ctc_trains_its_layer_and_answers_with_it(make_run):
    """Some targets need more positions than there are letters: the run goes on and counts them."""
    from kochi.inference.loading import load
    from kochi.training.progress import Progress
    from kochi.training.run import train

    run = make_run(
        model={"kind": "rnn", "attention": {"score": "general"}}, ctc_weight=0.5, epochs=1
    )
    run = run.model_copy(update={"search": run.search.model_copy(update={"ctc_weight": 0.4})})
    told = io.StringIO()
    folder = train(run, progress=Progress(told))
    assert "a source had fewer positions than its target needs" in told.getvalue()
    predictor = load(folder)
    assert predictor.model.ctc is not None
    assert predictor.model.ctc.bias.abs().sum() > 0  # it started at zero
    (joint,) = predictor.predict(["a b c"])
    without = run.model_copy(update={"search": run.search.model_copy(update={"ctc_weight": 0.0})})
    predictor.run = without
    (plain,) = predictor.predict(["a b c"])
    assert joint.score != plain.score
