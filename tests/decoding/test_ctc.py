"""CTC prefix scores: against all paths, and joined with a decoder against all answers."""

import itertools
import math

import pytest
import torch

from kochi.decoding import CtcPrefixScore, beam_search, search
from kochi.decoding.ctc import BLANK, CtcPrefixes
from kochi.special_tokens import BOS, EOS, PAD

VOCABULARY, FRAMES = 6, 5  # padding (blank), unknown, begin, end, and two more
A, B = 4, 5
LABELS = [1, A, B]


def frames_of(batch: int, length: int = FRAMES, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, length, VOCABULARY, generator=generator, dtype=torch.float64)
    return (3 * logits).log_softmax(-1)


def spell(path: tuple[int, ...]) -> tuple[int, ...]:
    """Join repeated tokens, then drop the blanks."""
    return tuple(token for token, _ in itertools.groupby(path) if token != BLANK)


def every_path(log_probs) -> list[tuple[tuple[int, ...], float]]:
    """List what every path through the frames spells, and its probability."""
    rows = log_probs.exp().tolist()
    return [
        (spell(path), math.prod(row[token] for row, token in zip(rows, path, strict=True)))
        for path in itertools.product(range(VOCABULARY), repeat=len(rows))
    ]


def probability_of_prefix(paths, prefix: list[int]) -> float:
    return sum(p for spelt, p in paths if spelt[: len(prefix)] == tuple(prefix))


def probability_of_whole(paths, tokens: list[int]) -> float:
    return sum(p for spelt, p in paths if spelt == tuple(tokens))


def after(log_probs, prefix: list[int], mask=None) -> CtcPrefixes:
    mask = torch.ones(log_probs.shape[:2], dtype=torch.bool) if mask is None else mask
    state = CtcPrefixes.empty(log_probs, mask, 0.5)
    parents = torch.zeros(len(log_probs), 1, dtype=torch.long)
    for token in prefix:
        state = state.follow(parents, torch.full_like(parents, token))
    return state


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prefix", [[], [A], [B, B], [A, B, A], [A, A, A], [A, B, A, B, A]])
def test_scores_are_sums_over_all_paths(seed, prefix):
    log_probs = frames_of(1, seed=seed)
    paths = every_path(log_probs[0])
    state = after(log_probs, prefix)
    psi = state.continued()[0, 0].exp()
    assert float(state.prefix.exp()) == pytest.approx(probability_of_prefix(paths, prefix))
    assert float(psi[EOS]) == pytest.approx(probability_of_whole(paths, prefix))
    assert psi[PAD] == 0.0
    for token in (1, BOS, A, B):
        expected = probability_of_prefix(paths, [*prefix, token])
        assert float(psi[token]) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_more_tokens_than_frames_have_no_probability():
    state = after(frames_of(1, length=3), [A, A])  # A, blank, A: no frame is left
    psi = state.continued()[0, 0]
    assert psi[EOS] > -torch.inf
    assert (psi[[1, A, B]] == -torch.inf).all()
    nothing = after(frames_of(1, length=2), [A, A])
    assert float(nothing.prefix) == -torch.inf
    assert (nothing.join(torch.zeros(1, 1, VOCABULARY)) == -torch.inf).all()


def test_what_follows_has_the_probability_of_the_beginning():
    """Every answer that starts so ends here or goes on with some token (the end mark's own label,
    which CTC could spell, has next to no probability)."""
    log_probs = frames_of(1)
    log_probs[..., EOS] = -1e6
    state = after(log_probs.log_softmax(-1), [A, B])
    assert float(state.continued().logsumexp(-1)) == pytest.approx(float(state.prefix))


def test_rows_and_beams_do_not_mix_and_padding_changes_nothing():
    log_probs = frames_of(3)
    lengths = torch.tensor([5, 3, 0])
    mask = torch.arange(FRAMES) < lengths.unsqueeze(1)
    log_probs[~mask] = torch.nan
    state = CtcPrefixes.empty(log_probs, mask, 0.5)
    state = state.follow(torch.zeros(3, 2, dtype=torch.long), torch.tensor([[A, B]] * 3))
    state = state.follow(torch.tensor([[1, 0]] * 3), torch.tensor([[A, A]] * 3))
    for row, length in enumerate(lengths.tolist()):
        for beam, prefix in enumerate([[B, A], [A, A]]):
            kept = slice(max(length, 1))
            alone = after(log_probs[row : row + 1, kept], prefix, mask[row : row + 1, kept])
            torch.testing.assert_close(state.prefix[row, beam], alone.prefix[0, 0])
            torch.testing.assert_close(state.continued()[row, beam], alone.continued()[0, 0])
    kept = state.keep(torch.tensor([1]))
    torch.testing.assert_close(kept.continued(), state.continued()[1:2])


def test_many_frames_of_sure_blanks_lose_no_precision():
    """A token spoken once in 2000 frames, against the product by hand."""
    sure, rare = math.log(0.9), math.log(1e-30)
    log_probs = torch.full((1, 2000, VOCABULARY), rare, dtype=torch.float64)
    log_probs[..., BLANK] = sure
    log_probs[0, 1234, A] = sure
    log_probs[0, 1234, BLANK] = rare
    state = after(log_probs, [A])
    assert float(state.continued()[0, 0, EOS]) == pytest.approx(2000 * sure, rel=1e-12)


def joint_answers(toys, decoder, memory, layer, weight, max_length, length_penalty):
    """List (score, tokens) of all answers by the joint score, best first."""
    values = memory.values[memory.mask].float()
    paths = every_path(layer(values).double().log_softmax(-1))
    answers = []
    for length in range(max_length):
        for tokens in itertools.product([A, B], repeat=length):
            ctc = probability_of_whole(paths, list(tokens))
            if ctc == 0.0:
                continue
            attention = toys.log_probability(decoder, memory, [*tokens, EOS])
            total = (1 - weight) * attention + weight * math.log(ctc)
            answers.append((total / (length + 1) ** length_penalty, list(tokens)))
    return sorted(answers, reverse=True)


def a_layer(seed: int) -> torch.nn.Linear:
    torch.manual_seed(seed)
    layer = torch.nn.Linear(3, VOCABULARY)
    torch.nn.init.normal_(layer.weight, std=2.0)
    return layer.requires_grad_(False)


def in_float(memory, toys):
    return toys.memory_of(memory.values.float(), memory.mask)


class FloatDecoder:
    """A toy decoder for memories in float32."""

    def __init__(self, decoder, toys) -> None:
        self.decoder, self.toys = decoder, toys

    def start(self, memory, width=1, max_length=256):
        memory = self.toys.memory_of(memory.values.double(), memory.mask)
        return self.decoder.start(memory, width, max_length)

    def step(self, state, tokens, out=None):
        return self.decoder.step(state, tokens)

    def reorder(self, state, beams):
        return self.decoder.reorder(state, beams)

    def keep(self, state, rows):
        return self.decoder.keep(state, rows)


@pytest.mark.parametrize("weight", [0.3, 0.8, 1.0])
@pytest.mark.parametrize(("seed", "length_penalty"), [(0, 0.0), (1, 1.0), (2, 0.6)])
def test_a_wide_enough_beam_is_exhaustive_search(toys, seed, weight, length_penalty):
    decoder = FloatDecoder(toys.Decoder(VOCABULARY, seed=seed), toys)
    memory = in_float(toys.some_memory(5, seed=seed), toys)
    layer, n_best = a_layer(seed), 4
    found = beam_search(
        decoder,
        memory,
        max_length=4,
        beam=108,
        n_best=n_best,
        length_penalty=length_penalty,
        joint=CtcPrefixScore(layer, weight),
    )
    for row in range(5):
        alone = memory.rows(torch.tensor([row]))
        best = joint_answers(toys, decoder, alone, layer, weight, 4, length_penalty)[:n_best]
        finished = [answer for answer in found[row] if answer.finished]
        assert [answer.tokens for answer in finished] == [tokens for _, tokens in best]
        assert [answer.score for answer in finished] == pytest.approx(
            [score for score, _ in best], abs=1e-4
        )


def test_weight_0_is_plain_beam_search(toys):
    decoder = FloatDecoder(toys.Decoder(VOCABULARY, seed=3), toys)
    memory = in_float(toys.some_memory(5, seed=3), toys)
    plain = beam_search(decoder, memory, max_length=6, beam=3, n_best=2)
    joint = CtcPrefixScore(a_layer(3), 0.0)
    assert beam_search(decoder, memory, max_length=6, beam=3, n_best=2, joint=joint) == plain


def test_an_answer_does_not_depend_on_its_batch(toys):
    decoder = FloatDecoder(toys.Decoder(VOCABULARY, seed=4), toys)
    memory = in_float(toys.some_memory(16, seed=4), toys)
    limits = torch.arange(16) % 5 + 2  # sentences leave the batch one after the other
    joint = CtcPrefixScore(a_layer(4), 0.4)
    found = beam_search(decoder, memory, max_length=limits, beam=3, joint=joint)
    for row in range(16):
        alone = memory.rows(torch.tensor([row]))
        (expected,) = beam_search(
            decoder, alone, max_length=limits[row : row + 1], beam=3, joint=joint
        )
        assert [answer.tokens for answer in found[row]] == [answer.tokens for answer in expected]


def test_a_beam_of_one_asks_ctc_too(toys):
    """The decoder says A for ever, CTC says B once."""
    decoder = toys.Table(VOCABULARY, [{BOS: {A: 0.9, B: 0.1}}, {A: {A: 1.0}, B: {EOS: 1.0}}])
    layer = torch.nn.Linear(1, VOCABULARY).requires_grad_(False)
    torch.nn.init.zeros_(layer.weight)
    layer.bias.zero_()[B] = 9.0
    memory = toys.memory_of(torch.zeros(1, 2, 1))
    (plain,) = search(decoder, memory, max_length=3, beam=1)
    (joint,) = search(decoder, memory, max_length=3, beam=1, joint=CtcPrefixScore(layer, 0.6))
    assert plain[0].tokens == [A, A, A]
    assert joint[0].tokens == [B] and joint[0].finished


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_weight_out_of_range(weight):
    with pytest.raises(ValueError, match="weight of CTC: got"):
        CtcPrefixScore(a_layer(0), weight)
