"""Pictures are read while others are answered, in their order, and no further ahead than needed."""

import numpy as np
import pytest

import kochi
from kochi.prediction import SourceError
from tests.seeing import ROWS, picture_of


def test_a_stream_of_pictures_is_that_of_a_list(seer):
    model = kochi.load(seer, device="cpu")
    pictures = [picture_of(names) for names in ROWS]
    listed = [answer.text for answer in model.predict(pictures)]
    assert [answer.text for answer in model.predict_stream(pictures, batch_size=1)] == listed
    assert list(model.predict_stream([])) == []


def test_it_reads_one_chunk_ahead(seer):
    model, taken = kochi.load(seer, device="cpu"), []

    def pictures():
        for names in ROWS * 2:
            taken.append(names)
            yield picture_of(names)

    stream = model.predict_stream(pictures(), batch_size=1)
    next(stream)
    assert len(taken) == 32  # 16 batches that are answered, 16 that are read meanwhile


def test_the_place_of_a_bad_picture_is_named(seer):
    model = kochi.load(seer, device="cpu")
    pictures = [*(picture_of(names) for names in ROWS[:20]), np.zeros((2, 2), np.uint8)]
    stream = model.predict_stream(pictures, batch_size=1)
    assert len([next(stream) for _ in range(16)]) == 16
    with pytest.raises(SourceError, match=r"sources\[20\]: array of shape \(2, 2\): found 2 x 2"):
        list(stream)
