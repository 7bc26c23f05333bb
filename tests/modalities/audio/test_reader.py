import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from kochi import config
from kochi.errors import UserError
from kochi.modalities.audio.files import Recording
from kochi.modalities.audio.mel import MelOptions, log_mel
from kochi.modalities.audio.reader import SoundReader
from kochi.modalities.audio.tables import MelFrames, SoundData
from tests.hearing import RATE_HZ, samples_of

FRONT_END = MelFrames(sample_rate_hz=RATE_HZ, mel_bins=12)
READER = SoundReader(front_end=FRONT_END, normalisation="none")


def training(**options):
    return config.Training(augmentation=config.Augmentation(**options))


def test_a_corpus_keeps_samples_and_a_batch_has_log_mel_frames(tmp_path):
    soundfile.write(tmp_path / "a.wav", samples_of("ab"), RATE_HZ)
    samples = READER.encode(tmp_path / "a.wav")
    assert np.array_equal(samples, samples_of("ab"))
    rows = [samples, samples_of("cab")]
    frames, mask = READER.batch(rows)
    options = MelOptions(sample_rate_hz=RATE_HZ, mel_bins=12)
    for number, row in enumerate(rows):
        expected = log_mel(torch.from_numpy(row), options)
        assert torch.equal(frames[number][mask[number]], expected)
        assert mask[number].sum() == READER.positions(len(row)) == len(expected)
        assert READER.inputs.size == expected.shape[1]
    assert frames[~mask].abs().sum() == 0
    lengths = np.array([len(row) for row in rows], np.int32)
    assert READER.positions(lengths).tolist() == mask.sum(1).tolist()


def test_sources_of_all_kinds_are_the_same(tmp_path):
    path, samples = tmp_path / "a.wav", samples_of("ab")
    soundfile.write(path, samples, RATE_HZ)
    as_floats = samples.astype(np.float32) / 32768
    sources = [str(path), path, Recording((path,)), samples, torch.from_numpy(samples), as_floats]
    for source in sources:
        assert np.array_equal(READER.encode(source), samples)


def test_speeds_and_masks_are_drawn_from_what_is_given():
    reader = READER.for_training(training(speeds=(0.8, 1.25), time_masks=0, bin_masks=0))
    numbers = np.concatenate([samples_of("abc")] * 8)
    lengths = np.full(8, len(numbers) // 8)
    plain = READER.collate(numbers, lengths)[1].sum(1).tolist()
    counts = reader.collate(numbers, lengths, np.random.default_rng(5))[1].sum(1).tolist()
    assert set(plain) == {22}
    assert set(counts) == {17, 28}
    again = reader.collate(numbers, lengths, np.random.default_rng(5))[1].sum(1).tolist()
    assert counts == again


def test_a_saved_reader_comes_back(tmp_path):
    reader = replace(READER, normalisation="global").fitted([samples_of("abc")])
    reader.save(tmp_path / "source.json")
    back = SoundReader.load(tmp_path / "source.json")
    assert replace(back, moments=None) == replace(reader, moments=None)
    expected, _ = reader.batch([samples_of("ba")])
    found, _ = back.batch([samples_of("ba")])
    assert torch.equal(found, expected)
    path = tmp_path / "source.json"
    path.write_text(path.read_text().replace("mel_bins", "bins"))
    with pytest.raises(UserError, match=r"source\.json: not what kochi saved"):
        SoundReader.load(path)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros(100, np.int16), "100 samples are shorter than a window of 200"),
        (np.zeros((2, 900), np.int16), "array of shape (2, 900): expected samples"),
        (np.zeros(900, np.int32), "array of int32: expected samples as int16, or as floats"),
        (np.full(900, np.nan), "holds NaN or infinity"),
        (np.zeros(RATE_HZ * 3600, np.int16), "lasts 3600.0 s; expected at most 120 s"),
    ],
)
def test_samples_that_cannot_be_meant(samples, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        READER.encode(samples)


def test_remarks_are_kept_for_the_one_who_asks():
    reader = SoundReader(front_end=FRONT_END, normalisation="none")
    assert reader.remarks == []


def test_remark_on_silence(tmp_path):
    reader = SoundReader(front_end=FRONT_END, normalisation="none")
    soundfile.write(tmp_path / "a.wav", np.zeros(900, np.int16), RATE_HZ)
    reader.encode(tmp_path / "a.wav")
    assert len(reader.remarks) == 1
    assert "a.wav: is silent" in reader.remarks[0]


def test_a_front_end_that_cannot_be_meant():
    data = {"kind": "sound", "train": "a", "front_end": {"mel_bins": 4000}}
    with pytest.raises(UserError, match=r"data\.front_end: mel_bins=4000 is too many"):
        SoundReader.like(SoundData.model_validate(data))
