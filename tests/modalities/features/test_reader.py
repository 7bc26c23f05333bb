import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from kochi import config
from kochi.errors import UserError
from kochi.modalities.audio.normalisation import Normalisation
from kochi.modalities.features.reader import FeatureReader, keys_of
from kochi.modalities.features.row import FeatureRow

READER = FeatureReader(size=2, hop=0.01, first=0.0125, normalisation="none")
A = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
B = np.array([[7, 8]], np.float32)


def training(**options):
    return config.Training(augmentation=config.Augmentation(**options))


def test_frames_are_padded_by_zeros():
    frames, mask = READER.batch([A, B])
    assert frames.tolist() == [[[1, 2], [3, 4], [5, 6]], [[7, 8], [0, 0], [0, 0]]]
    assert mask.tolist() == [[True] * 3, [True, False, False]]
    assert READER.positions(3) == 3


def test_frames_are_normalised_over_the_training_data():
    reader = replace(READER, normalisation="global").fitted([A, B])
    frames, mask = reader.batch([A, B])
    assert torch.allclose(frames[mask].mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(frames[mask].std(0, unbiased=False), torch.ones(2))
    assert frames[1, 1:].abs().sum() == 0
    assert READER.fitted([A]) is READER


def test_frames_are_normalised_by_row():
    frames, _ = replace(READER, normalisation="utterance").batch([A, B])
    assert torch.allclose(frames[0].mean(0), torch.zeros(2), atol=1e-6)
    assert frames[1].tolist() == [[0, 0]] * 3


def test_deltas_stand_beside_the_numbers():
    frames, _ = replace(READER, deltas=2).batch([A, B])
    assert frames.shape == (2, 3, 6)
    assert replace(READER, deltas=2).inputs.size == 6
    alone, _ = replace(READER, deltas=2).batch([B])
    assert torch.equal(frames[1, :1], alone[0])


def test_masks_are_drawn_from_what_is_given_and_only_then():
    reader = READER.for_training(training(time_masks=3, time_share=1.0, bin_width=1))
    assert reader.draws and not READER.draws
    numbers, lengths = np.ones((40, 2), np.float32), np.array([25, 15])
    plain, _ = reader.collate(numbers, lengths)
    first, _ = reader.collate(numbers, lengths, np.random.default_rng(5))
    again, _ = reader.collate(numbers, lengths, np.random.default_rng(5))
    other, _ = reader.collate(numbers, lengths, np.random.default_rng(6))
    assert plain.sum() == 80
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.sum() < 80


def test_a_saved_reader_comes_back(tmp_path):
    moments = Normalisation(torch.tensor([0.1, 1 / 3]), torch.tensor([1.7, 2e-5]))
    reader = replace(READER, normalisation="global", moments=moments, deltas=1)
    reader.save(tmp_path / "source.json")
    back = FeatureReader.load(tmp_path / "source.json")
    assert replace(back, moments=None) == replace(reader, moments=None)
    assert back.moments is not None
    assert torch.equal(back.moments.mean, moments.mean)
    assert torch.equal(back.moments.std, moments.std)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"features"', '"sound"'),
        ('"size"', '"sizes"'),
        ('"moments"', '"moment"'),
        ("{", ""),
        ('"none"', '"global"'),
    ],
)
def test_a_damaged_reader_is_refused(tmp_path, old, new):
    path = tmp_path / "source.json"
    READER.save(path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=r"source\.json: not what kochi saved"):
        FeatureReader.load(path)


def test_files_and_arrays_are_the_same(tmp_path):
    np.save(tmp_path / "a.npy", A)
    np.savez(tmp_path / "all.npz", a=A, b=B)
    sources = [
        A,
        torch.tensor(A),
        A.astype(np.int16),
        tmp_path / "a.npy",
        str(tmp_path / "a.npy"),
        FeatureRow(tmp_path / "all.npz", "a"),
    ]
    for source in sources:
        frames = READER.encode(source)
        assert frames.dtype == np.float32
        assert frames.tolist() == A.tolist()
    assert keys_of(tmp_path / "all.npz") == ("a", "b")


def test_an_archive_that_was_replaced_is_read_again(tmp_path):
    np.savez(tmp_path / "all.npz", a=A)
    assert READER.encode(FeatureRow(tmp_path / "all.npz", "a")).tolist() == A.tolist()
    (tmp_path / "all.npz").unlink()
    np.savez(tmp_path / "all.npz", a=B)
    assert READER.encode(FeatureRow(tmp_path / "all.npz", "a")).tolist() == B.tolist()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.ones((3, 5)), "frames have 5 numbers, expected 2, as in training"),
        (np.ones(3), "found an array of shape (3,) and type float64, expected numbers"),
        (np.array([["a", "b"]]), "expected numbers [frames, size]"),
        (np.ones((0, 2)), "holds no frames (shape (0, 2))"),
        (np.array([[1, 2], [3, np.nan]]), "frame 2 of 2 holds NaN or infinity"),
        (np.array([[1, 1e300]]), "frame 1 of 1 holds NaN or infinity"),
        (np.ones((360_000, 2)), "360000 frames are 3600.0 s; expected at most 120 s"),
    ],
)
def test_frames_that_cannot_be_meant(tmp_path, array, expected):
    np.savez(tmp_path / "all.npz", a=array)
    row = FeatureRow(tmp_path / "all.npz", "a", "train.tsv:7")
    with pytest.raises(UserError, match=rf"^train\.tsv:7: .*all\.npz: 'a'.*{re.escape(expected)}"):
        READER.encode(row)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("1 2 3")
    np.savez(tmp_path / "all.npz", a=A, b=np.array([{}], object))
    np.save(tmp_path / "a.npy", A)
    content = (tmp_path / "all.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    for source, expected in [
        (tmp_path / "no.npy", r"no\.npy: no such file"),
        (tmp_path / "empty.npy", r"empty\.npy: cannot be read"),
        (tmp_path / "text.npy", r"text\.npy: cannot be read"),
        (tmp_path / "all.npz", r"all\.npz: found \.npz; name one of its arrays"),
        (FeatureRow(tmp_path / "a.npy", "a"), r"a\.npy: found \.npy; expected an \.npz file"),
        (FeatureRow(tmp_path / "no.npz", "a"), r"no\.npz: no such file"),
        (FeatureRow(tmp_path / "cut.npz", "a"), r"cut\.npz: cannot be read"),
        (
            FeatureRow(tmp_path / "all.npz", "c"),
            r"'c': no such array; the file has 2 arrays \(a, b",
        ),
        (
            FeatureRow(tmp_path / "all.npz", "b"),
            r"'b': found an array of shape .* type .O, expected numbers",
        ),
    ]:
        with pytest.raises(UserError, match=expected):
            READER.encode(source)
