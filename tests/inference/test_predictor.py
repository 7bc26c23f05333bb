"""The library's door: load a model folder, ask it, draw from it."""

import pytest
import torch

import kochi
from kochi.config import check_run
from kochi.errors import UserError
from kochi.inputs import TokenInput
from kochi.models.build import build_model
from kochi.prediction import SourceError, TargetError


@pytest.fixture(scope="session")
def predictor(tiny):
    return kochi.load(tiny)


WORDS = ["fade", "a", "bead", "cab", "dad", "ebb", "facade", "b"]


def test_answers_in_the_order_of_the_sources(predictor):
    answers = [prediction.text for prediction in predictor.predict(WORDS)]
    assert answers == [" ".join(word.upper()) for word in WORDS]
    assert predictor.predict([]) == []


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_answers_do_not_depend_on_the_batch(predictor, batch_size):
    alone = [predictor.predict([word], n_best=2, need_alignment=True)[0] for word in WORDS]
    together = predictor.predict(WORDS, n_best=2, need_alignment=True, batch_size=batch_size)
    for one, other in zip(alone, together, strict=True):
        assert [a.text for a in one.n_best] == [a.text for a in other.n_best]
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert torch.allclose(one.alignment, other.alignment, atol=1e-5)


def test_answers_do_not_depend_on_the_number_of_threads(predictor):
    threads = torch.get_num_threads()
    words = WORDS * 8
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        found.append(predictor.predict(words, n_best=2, need_alignment=True))
    torch.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        assert one.n_best == other.n_best
        assert torch.equal(one.alignment, other.alignment)


@pytest.fixture(scope="module")
def in_processes(tiny):
    with kochi.load(tiny, device="cpu", processes=2) as predictor:
        yield predictor


def test_answers_do_not_depend_on_the_number_of_processes(predictor, in_processes):
    words = WORDS * 8
    pair = predictor, in_processes
    for one, other in zip(
        *(p.predict(words, n_best=2, need_heads=True) for p in pair), strict=True
    ):
        assert one.n_best == other.n_best
        assert torch.equal(one.alignment, other.alignment)
        assert torch.equal(one.heads, other.heads)
    drawn = [p.sample(words, 2, generator=torch.Generator().manual_seed(3)) for p in pair]
    given = [p.align(words, [" ".join(word.upper()) for word in words]) for p in pair]
    for found in drawn, given:
        assert [one.n_best for one in found[0]] == [one.n_best for one in found[1]]


def test_processes_are_for_the_cpu(tiny):
    with pytest.raises(UserError, match="processes = 2: the model computes on meta; use 1 there"):
        kochi.load(tiny, device="meta", processes=2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        kochi.load(tiny, device="cpu", processes=0)


def test_alignment_has_a_row_for_each_token_written(predictor):
    [prediction] = predictor.predict(["bead"], need_alignment=True)
    assert prediction.tokens == ("B", "E", "A", "D")
    assert prediction.source_tokens == ("b", "e", "a", "d", "<eos>")
    assert prediction.alignment.shape == (4, 5)
    assert torch.allclose(prediction.alignment.sum(1), torch.ones(4))
    assert predictor.predict(["bead"])[0].alignment is None


def test_alignment_does_not_change_the_answer(predictor):
    plain, aligned = predictor.predict(WORDS), predictor.predict(WORDS, need_alignment=True)
    assert [one.n_best for one in plain] == [one.n_best for one in aligned]


def test_n_best_are_sorted_and_different(predictor):
    [prediction] = predictor.predict(["cafe"], beam=4, n_best=4)
    scores = [answer.score for answer in prediction.n_best]
    assert scores == sorted(scores, reverse=True)
    assert len({answer.tokens for answer in prediction.n_best}) == 4
    assert len(predictor.predict(["cafe"], n_best=3)[0].n_best) == 3  # the beam grows with it


def test_score_is_the_log_probability_over_the_length(predictor):
    [prediction] = predictor.predict(["cafe"], length_penalty=0.5)
    answer = prediction.n_best[0]
    assert answer.score == pytest.approx(answer.log_probability / (4 + 1) ** 0.5)
    assert answer.finished


def test_stream_takes_no_more_than_it_needs(predictor):
    taken = []

    def words():
        for word in WORDS * 10:
            taken.append(word)
            yield word

    stream = predictor.predict_stream(words(), beam=1, batch_size=2)
    assert next(stream).text == "F A D E"
    assert len(taken) == 32  # 16 batches of 2
    assert [prediction.text for prediction in stream][:2] == ["A", "B E A D"]
    assert len(taken) == 80


def test_samples_follow_the_generator_alone(predictor):
    def draw(sources, **options):
        generator = torch.Generator().manual_seed(3)
        options = {"num_samples": 3, "temperature": 3.0, "generator": generator, **options}
        return [[a.tokens for a in one.n_best] for one in predictor.sample(sources, **options)]

    assert draw(WORDS) == draw(WORDS, batch_size=1)
    generator = torch.Generator().manual_seed(3)
    pieces = [draw(piece, generator=generator) for piece in (WORDS[:3], WORDS[3:])]
    assert pieces[0] + pieces[1] == draw(WORDS)
    assert draw(WORDS) != draw(WORDS, generator=torch.Generator().manual_seed(4))
    greedy = [[one.tokens] for one in predictor.predict(WORDS, beam=1)]
    assert draw(WORDS, num_samples=1, top_k=1) == greedy


def test_unknown_characters_are_named(predictor):
    [prediction] = predictor.predict(["aßb€ß"])
    assert prediction.unknown == ("ß", "€")
    assert prediction.source_tokens == ("a", "<unk>", "b", "<unk>", "<unk>", "<eos>")
    assert predictor.predict(["ab"])[0].unknown == ()


def test_a_single_text_is_a_list_of_one(predictor):
    assert predictor.predict("abc") == predictor.predict(["abc"])
    assert [one.text for one in predictor.predict_stream("abc")] == ["A B C"]
    [aligned] = predictor.align("abc", "A B C")
    assert aligned.tokens == ("A", "B", "C")


def test_stream_names_the_place_of_a_bad_source(predictor):
    stream = predictor.predict_stream(["a"] * 20 + [" "], beam=1, batch_size=1)
    with pytest.raises(SourceError, match=r"sources\[20\]: empty"):
        list(stream)


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_empty_source_is_refused(predictor, empty):
    with pytest.raises(SourceError, match=r"sources\[1\]: empty"):
        predictor.predict(["a", empty])


def test_too_long_source_is_refused_where_positions_are_learned(predictor):
    model = {"kind": "transformer", "positions": "learned", "max_positions": 8, "size": 8}
    tree = predictor.run.model_dump(mode="json", exclude_none=True) | {"model": model}
    run = check_run(tree, "test")
    made = build_model(run.model, TokenInput(predictor.source.size), predictor.target.size)
    learned = kochi.Predictor(
        made, predictor.source, predictor.target, run, {}, torch.device("cpu")
    )
    [found] = learned.predict(["abcdefa"])
    assert isinstance(found, kochi.TextPrediction) and len(found.source_tokens) == 8
    with pytest.raises(SourceError, match="8 tokens; the model reads at most 7"):
        learned.predict(["abcdefab"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 0}, "n_best = 0; expected from 1 to the beam"),
        ({"n_best": 3, "beam": 2}, "n_best = 3; expected from 1 to the beam, 2"),
        ({"batch_size": 0}, "batch_size = 0; expected at least 1"),
    ],
)
def test_options_out_of_range(predictor, options, message):
    with pytest.raises(ValueError, match=message):
        predictor.predict(["a"], **options)


def test_a_source_with_scores_that_are_not_finite_spoils_no_other(tiny):
    damaged = kochi.load(tiny)
    [letter] = damaged.source.encode("a")
    with torch.no_grad():
        damaged.model.get_parameter("encoder.embedding.weight")[letter] = torch.nan
    with pytest.raises(SourceError, match=r"sources\[1\]: the model's scores are not finite"):
        damaged.predict(["bed", "abe"])
    found = damaged.predict(["bed", "abe", "cede"], need_alignment=True, errors="skip")
    assert [one.text for one in found] == ["B E D", "", "C E D E"]
    assert found[1].error is not None


def test_bf16_gives_nearly_the_same(tiny, predictor):
    coarse = kochi.load(tiny, precision="bf16").predict(["bead"], need_alignment=True)[0]
    fine = predictor.predict(["bead"], need_alignment=True)[0]
    assert coarse.text == fine.text
    assert coarse.alignment is not None and fine.alignment is not None
    assert coarse.score == pytest.approx(fine.score, abs=0.05)
    assert torch.allclose(coarse.alignment, fine.alignment, atol=0.05)


def test_unknown_device(tiny):
    with pytest.raises(UserError, match="device nonsense: cannot be used here"):
        kochi.load(tiny, device="nonsense")


def test_forced_targets_are_scored_as_search_scores_them(predictor):
    """What the model itself says, given back to it, has the same score and the same alignment."""
    said = predictor.predict(["bead", "fa"], need_alignment=True)
    forced = predictor.align(["bead", "fa"], [one.text for one in said])
    for one, other in zip(said, forced, strict=True):
        assert (one.text, one.tokens) == (other.text, other.tokens)
        assert other.score == pytest.approx(one.score, abs=1e-5)
        assert torch.allclose(one.alignment, other.alignment, atol=1e-5)
    [other] = predictor.align(["bead"], ["F F F"])
    assert other.score < said[0].score and other.alignment.shape == (3, 5)


def test_every_head_is_given_where_asked_for(predictor):
    assert predictor.predict(["bead"], need_alignment=True)[0].heads is None
    [prediction] = predictor.predict(["bead"], need_heads=True)
    assert prediction.heads.shape == (1, 1, 4, 5)
    assert torch.equal(prediction.heads[0, 0], prediction.alignment)


def test_targets_that_cannot_be_written(predictor):
    with pytest.raises(TargetError, match=r"targets\[1\]: empty") as caught:
        predictor.align(["a", "b"], ["A", " "])
    assert caught.value.place == 1
    with pytest.raises(ValueError, match="targets: 1, but there are 2 sources"):
        predictor.align(["a", "b"], ["A"])
