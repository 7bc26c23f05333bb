import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kochi.data.tokenizer import train_tokenizer
from kochi.modalities.tables import Tokens
from kochi.word_alignment import choose_unit, find_links, merge_words, pharaoh, words_of_pieces


def test_pieces_are_merged_into_words():
    """Source: two pieces of word 0, one of word 1, the end mark; target: two pieces, one word."""
    alignment = torch.tensor([[0.5, 0.1, 0.3, 0.1], [0.1, 0.5, 0.2, 0.2], [0.0, 0.0, 0.9, 0.1]])
    words = merge_words(alignment, [0, 0, 1, None], [0, 0, 1])
    assert np.allclose(words, [[0.6, 0.25, 0.15], [0.0, 0.9, 0.1]])
    assert find_links(words) == [(0, 0), (1, 1)]


def test_the_end_mark_makes_no_link():
    words = merge_words(np.array([[0.3, 0.7], [0.0, 0.0]]), [0, None], [0, 1])
    assert find_links(words) == []
    assert find_links(words, threshold=0.3) == [(0, 0)]


def test_a_threshold_links_several():
    assert find_links(np.array([[0.5, 0.4, 0.1]]), threshold=0.4) == [(0, 0), (1, 0)]


def test_pharaoh_is_sorted_by_source():
    assert pharaoh(find_links(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))) == "0-1 1-0"


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.integers(0, 1000),
)
def test_nothing_is_lost(source, target, seed):
    """Each row still sums to 1, however many pieces the words have."""
    source_words = [word for word, count in enumerate(source) for _ in range(count)]
    target_words = [word for word, count in enumerate(target) for _ in range(count)]
    weights = np.random.default_rng(seed).random((len(target_words), len(source_words) + 1))
    weights /= weights.sum(1, keepdims=True)
    words = merge_words(weights, [*source_words, None], target_words)
    assert words.shape == (len(target), len(source) + 1)
    assert np.allclose(words.sum(1), 1.0)


@pytest.mark.parametrize("kind", ["characters", "whitespace", "bpe"])
@pytest.mark.parametrize("text", ["the cat", "the  thé cat ", "catthe", "日本 the"])
def test_words_of_tokens(kind, text):
    """Each token's word holds its letters, also where they were never seen; all words have one."""
    size = 30 if kind == "bpe" else None
    texts = ["the cat", "the hat that"] * 3
    tokenizer = train_tokenizer(Tokens(tokens=kind, vocabulary_size=size), texts)
    words = tokenizer.words(text)
    assert len(words) == len(tokenizer.encode(text))
    assert {word for word in words if word is not None} == set(range(len(text.split())))
    for piece, word in zip(tokenizer.pieces(tokenizer.encode(text)), words, strict=True):
        if piece.strip() and word is not None:
            assert piece.strip() in text.split()[word]


def test_a_word_mark_by_itself_belongs_to_the_word_it_begins():
    """BPE writes "▁" alone before a letter that it never saw at the start of a word."""
    texts = ["the cat", "the hat that"] * 3
    tokenizer = train_tokenizer(Tokens(tokens="bpe", vocabulary_size=30), texts)
    ids = tokenizer.encode("the qat  xat")
    tokens = tokenizer.tokens(ids)
    assert tokens == ["▁the", "▁", "<unk>", "at", "▁", "▁", "<unk>", "at"]
    words = [0, 1, 1, 1, None, 2, 2, 2]  # the first of two marks is a space
    assert tokenizer.words("the qat  xat") == words
    weights = np.eye(8)[[1, 2, 5]]
    assert merge_words(weights, words, [0, 1, 2]).argmax(1).tolist() == [1, 1, 2]
    pieces = [" the", " ", "q", "at", " ", " ", "x", "at"]
    assert words_of_pieces(pieces, tokens) == words


def test_a_space_that_is_a_character_belongs_to_no_word():
    letters = list("a b")
    assert words_of_pieces(letters, letters) == [0, None, 1]


@pytest.mark.parametrize(
    ("pairs", "unit"),
    [
        ([(1, 5)], "tokens"),
        ([(5, 1)], "tokens"),
        ([(2, 5)], "words"),
        ([(1, 5)] * 9 + [(2, 6)], "tokens"),
        ([(7, 6)] * 9 + [(1, 1)], "words"),
    ],
)
def test_the_unit_is_the_one_in_which_links_differ(pairs, unit):
    assert choose_unit(pairs) == unit


@given(st.lists(st.sampled_from(["", " ", "a", " a", "b c", " d ", "é"]), max_size=8))
def test_words_of_pieces_are_those_of_the_text(pieces):
    words = words_of_pieces(pieces)
    assert len(words) == len(pieces)
    found = {word for word in words if word is not None}
    texts = "".join(pieces).split()
    assert found <= set(range(len(texts)))
    for piece, word in zip(pieces, words, strict=True):
        assert (word is None) == (not piece.strip())
        if word is not None:
            assert piece.split()[-1] in texts[word]
