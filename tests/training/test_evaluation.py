from collections.abc import Callable

import pytest
import torch

from kochi import config
from kochi.metrics import corpus_metric
from kochi.modalities.pairs import read_pairs
from kochi.models.build import build_model
from kochi.training.evaluation import Abandoned, Evaluator
from kochi.training.prepare import open_run, prepare_data

CPU = torch.device("cpu")


@pytest.fixture
def make(make_run: Callable[..., config.Run]):
    def made(**training):
        run = make_run(**training)
        open_run(run, resume=False, overwrite=True)
        prepared = prepare_data(run)
        torch.manual_seed(2)
        model = build_model(run.model, prepared.source.inputs, prepared.target.size)
        return run, prepared, model, Evaluator(run, prepared.source, prepared.target)

    return made


def test_the_loss_is_the_mean_log_probability_of_the_first_references(make) -> None:
    run, prepared, model, evaluator = make()
    found = evaluator(model, CPU)
    nll, tokens = 0.0, 0
    model.eval()
    for pair in read_pairs(run.data, "dev"):
        source = torch.tensor([[*prepared.source.encode(pair.source), 3]])
        target = prepared.target.encode(pair.references[0])
        features = model(source, torch.ones_like(source).bool(), torch.tensor([[2, *target]]))
        log_probs = model.decoder.logits(features)[0].double().log_softmax(-1)
        for place, token in enumerate([*target, 3]):
            nll -= log_probs[place, token].item()
            tokens += 1
    assert found.loss == pytest.approx(nll / tokens, rel=1e-5)
    assert found.metric is None


def test_the_metric_is_that_of_greedy_answers_sentence_by_sentence(make) -> None:
    from kochi.decoding import greedy, length_limits

    run, prepared, model, evaluator = make(metric="wer")
    found = evaluator(model, CPU)
    assert model.training
    answers, references = [], []
    model.eval()
    for pair in read_pairs(run.data, "dev"):
        source = torch.tensor([[*prepared.source.encode(pair.source), 3]])
        mask = torch.ones_like(source).bool()
        limits = length_limits(mask, run.search.max_length_ratio, run.search.max_length_extra)
        best = greedy(model.decoder, model.encode(source, mask), max_length=limits)[0][0]
        answers.append(prepared.target.decode(best.tokens))
        references.append(list(pair.references))
    assert found.metric == pytest.approx(corpus_metric("wer", answers, references))


def test_an_evaluation_draws_no_random_numbers(make) -> None:
    _, _, model, evaluator = make(metric="wer", examples=3)
    before = torch.random.get_rng_state()
    first, second = evaluator(model, CPU), evaluator(model, CPU)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (first.loss, first.metric) == (second.loss, second.metric)
    assert [one.texts() for one in first.examples] == [one.texts() for one in second.examples]
    assert len(first.examples) == 3


def test_an_evaluation_can_be_abandoned(make) -> None:
    _, _, model, evaluator = make()
    with pytest.raises(Abandoned):
        evaluator(model, CPU, abandon=lambda: True)
    assert model.training
