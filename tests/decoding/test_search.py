"""The door."""

import pytest

from kochi.decoding import beam_search, greedy, search


def test_a_beam_of_one_is_greedy(toys):
    decoder, memory = toys.Decoder(11, seed=6), toys.some_memory(5)
    found = search(decoder, memory, max_length=9, beam=1, length_penalty=0.5, min_length=1)
    assert found == greedy(decoder, memory, max_length=9, length_penalty=0.5, min_length=1)
    assert decoder.calls["reorder"] == 0


def test_a_wider_beam_is_beam_search(toys):
    decoder, memory = toys.Decoder(11, seed=6), toys.some_memory(5)
    options = {"max_length": 9, "beam": 4, "n_best": 3, "length_penalty": 0.5, "min_length": 1}
    assert search(decoder, memory, **options) == beam_search(decoder, memory, **options)


def test_more_answers_than_beams(toys):
    with pytest.raises(ValueError, match="n_best must be from 1 to beam = 1, got 2"):
        search(toys.Decoder(11), toys.some_memory(1), max_length=9, beam=1, n_best=2)
