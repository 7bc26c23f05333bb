from kochi.modalities.audio.decoding import _Held


def test_a_seek_to_before_the_start_goes_nowhere():
    """libsndfile tries it on damaged files; an error in its callback would be printed."""
    held = _Held(b"abc")
    held.read(2)
    assert held.seek(-1) == 2
    assert held.seek(1) == 1
