import errno
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from kochi.data import corpus as corpus_module
from kochi.data.corpus import Corpus
from kochi.data.pair import Pair
from kochi.data.tokenizer import Tokenizer, train_tokenizer
from kochi.errors import UserError
from kochi.modalities.audio.reader import SoundReader
from kochi.modalities.audio.tables import MelFrames
from kochi.modalities.features.reader import FeatureReader
from kochi.modalities.tables import Tokens

TEXTS = ["ab", "ba ab", "b", "aabb"]
TOKENIZER = train_tokenizer(Tokens(tokens="characters"), TEXTS)
PAIRS = [Pair(text, (text[::-1], "b")) for text in TEXTS]


def build(folder: Path, pairs=PAIRS, max_length: int = 5) -> Corpus:
    return Corpus.build(pairs, TOKENIZER, TOKENIZER, folder, max_length)


@pytest.mark.parametrize("chunk", [1, 3, 10_000])
def test_rows_are_the_encoded_texts(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(Tokenizer, "chunk_rows", chunk)
    corpus = build(tmp_path / "c", iter(PAIRS))
    assert len(corpus) == 4
    for row, pair in enumerate(PAIRS):
        assert corpus.source(row).tolist() == TOKENIZER.encode(pair.source)
        assert corpus.target(row).tolist() == TOKENIZER.encode(pair.references[0])
    assert corpus.source_lengths.tolist() == corpus.target_lengths.tolist() == [2, 5, 1, 4]
    assert corpus.gather(0, np.array([2, 0])).tolist() == [*corpus.source(2), *corpus.source(0)]


def test_long_pairs_are_skipped_and_counted(tmp_path):
    pairs = [*PAIRS, Pair("a", ("a" * 6,)), Pair("b" * 6, ("b",))]
    corpus = build(tmp_path / "c", pairs)
    assert (len(corpus), corpus.skipped) == (4, 2)
    assert Corpus(tmp_path / "c").skipped == 2
    with pytest.raises(UserError, match=r"0 of 6 pairs are left: .* data\.max_length = 0 tokens"):
        build(tmp_path / "d", pairs, max_length=0)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_large_vocabularies_keep_their_ids(tmp_path):
    words = [f"w{number}" for number in range(70_000)]
    tokenizer = train_tokenizer(Tokens(tokens="whitespace"), words)
    corpus = Corpus.build(
        [Pair(" ".join(words[-9:]), ("a",))], tokenizer, TOKENIZER, tmp_path / "c", 99
    )
    assert corpus.source(0).tolist() == tokenizer.encode(" ".join(words[-9:]))
    assert corpus.source(0).max() > 1 << 16
    assert (tmp_path / "c" / "source.tokens").stat().st_size == 9 * 4
    assert (tmp_path / "c" / "target.tokens").stat().st_size == 2


def test_building_keeps_only_a_chunk_of_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(Tokenizer, "chunk_rows", 5)
    most, read, encoded = 0, itertools.count(1), 0

    def pairs():
        nonlocal most
        for _ in range(50):
            most = max(most, next(read) - encoded)
            yield Pair("ab", ("b",))

    def encode_batch(self, texts):
        nonlocal encoded
        encoded += len(texts) / 2  # once for each side
        return [[4]] * len(texts)

    monkeypatch.setattr(Tokenizer, "encode_batch", encode_batch)
    assert len(build(tmp_path / "c", pairs())) == 50
    assert most == 5


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("part", ["tokens", "offsets"])
@pytest.mark.parametrize("change", ["cut", "gone"])
def test_damaged_corpus(tmp_path, side, part, change):
    build(tmp_path / "c")
    path = tmp_path / "c" / f"{side}.{part}"
    if change == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(UserError, match=r"not a complete corpus .*; remove the folder"):
        Corpus(tmp_path / "c")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 0, "rows": 4, "skipped": 0}', '{"format": 1, "rows": 4}'],
)
def test_damaged_description(tmp_path, content):
    build(tmp_path / "c")
    (tmp_path / "c" / "corpus.json").write_text(content)
    with pytest.raises(UserError, match="not a complete corpus"):
        Corpus(tmp_path / "c")


def test_full_disk_leaves_nothing_behind_and_keeps_the_old_corpus(tmp_path, monkeypatch):
    build(tmp_path / "c")

    def full(self, sequences):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus_module._Writer, "write", full)
    with pytest.raises(UserError, match=r"No space left on device \(free some space"):
        build(tmp_path / "c", PAIRS[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert len(Corpus(tmp_path / "c")) == 4


def test_bad_input_leaves_nothing_behind(tmp_path):
    def pairs():
        yield PAIRS[0]
        raise UserError("a.tsv:2: empty line")

    with pytest.raises(UserError, match=r"a\.tsv:2: empty line"):
        build(tmp_path / "c", pairs())
    assert not list(tmp_path.iterdir())


def test_reading_does_not_map_the_files(tmp_path):
    """What was read does not stay in memory, however large the corpus."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("memory of a process is read from /proc")
    megabytes = 64
    corpus = build(tmp_path / "c", [Pair("a", ("b",))])
    rows = np.arange(megabytes + 1) << 19
    rows.astype(np.int64).tofile(corpus.folder / "source.offsets")
    np.zeros(megabytes << 19, np.uint16).tofile(corpus.folder / "source.tokens")
    rows.clip(max=0).tofile(corpus.folder / "target.offsets")
    (corpus.folder / "target.tokens").write_bytes(b"")
    about = (corpus.folder / "corpus.json").read_text()
    (corpus.folder / "corpus.json").write_text(about.replace('"rows": 1', f'"rows": {megabytes}'))
    large = Corpus(corpus.folder)
    before = _resident_kilobytes(status)
    for row in range(len(large)):
        assert large.source(row).size == 1 << 19
    assert _resident_kilobytes(status) - before < 16 << 10


def _resident_kilobytes(status: Path) -> int:
    return int(status.read_text().split("VmRSS:")[1].split()[0])


# ------------------------------------------------------------------------------ frames and samples

FRAMES = FeatureReader(size=3, hop=0.01, first=0.0, normalisation="none", max_seconds=0.05)
VALUES = [
    np.array([[0.1, -0.0, 1e-40], [3e14, np.pi, 7]], np.float32),
    np.array([[1 / 3, 2, 3]] * 5, np.float32),
]


def test_frames_come_back_to_the_bit(tmp_path):
    pairs = [Pair(value, ("a",)) for value in VALUES]
    built = Corpus.build(pairs, FRAMES, TOKENIZER, tmp_path / "c", 9)
    for corpus in (built, Corpus(tmp_path / "c")):
        assert corpus.source_lengths.tolist() == [2, 5]
        for row, value in enumerate(VALUES):
            assert corpus.source(row).dtype == np.float32
            assert corpus.source(row).tobytes() == value.tobytes()
        both = np.concatenate(VALUES[::-1])
        assert corpus.gather(0, np.array([1, 0])).tobytes() == both.tobytes()


def test_samples_come_back_to_the_bit(tmp_path):
    reader = SoundReader(front_end=MelFrames(sample_rate_hz=8000, mel_bins=8))
    samples = np.arange(-32768, 32768, 91).astype(np.int16)
    corpus = Corpus.build([Pair(samples, ("a",))], reader, TOKENIZER, tmp_path / "c", 9)
    assert corpus.source(0).dtype == np.int16
    assert np.array_equal(corpus.source(0), samples)
    assert (tmp_path / "c" / "source.samples").stat().st_size == 2 * len(samples)


def test_long_rows_of_frames_are_skipped_and_counted(tmp_path):
    pairs = [Pair(value, ("a",)) for value in (*VALUES, np.ones((6, 3)))]
    corpus = Corpus.build(pairs, FRAMES, TOKENIZER, tmp_path / "c", 9)
    assert (len(corpus), corpus.skipped) == (2, 1)
    with pytest.raises(UserError, match="0 of 1 pairs are left: each has more than 5 frames or"):
        Corpus.build(pairs[2:], FRAMES, TOKENIZER, tmp_path / "d", 9)


def test_more_text_than_frames_is_refused(tmp_path):
    pair = Pair(VALUES[0], ("aba",), "train.tsv:7")
    expected = r"train\.tsv:7: array of shape \(2, 3\) has 2 frames, but its text has 3 tokens"
    with pytest.raises(UserError, match=expected):
        Corpus.build([pair], FRAMES, TOKENIZER, tmp_path / "c", 9)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"frames"', '"words"'),
        ("float32", "int16"),
        ('"source_width": 3', '"source_width": 0'),
        ('"source_width": 3', '"source_width": "3"'),
        ('"source_width": 3', '"source_width": 4'),
    ],
)
def test_damaged_description_of_frames(tmp_path, old, new):
    Corpus.build([Pair(VALUES[0], ("a",))], FRAMES, TOKENIZER, tmp_path / "c", 9)
    about = (tmp_path / "c" / "corpus.json").read_text()
    assert old in about
    (tmp_path / "c" / "corpus.json").write_text(about.replace(old, new))
    with pytest.raises(UserError, match="not a complete corpus"):
        Corpus(tmp_path / "c")
