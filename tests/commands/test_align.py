import json

import pytest

from kochi.metrics.alignment import read_links
from tests.commands.test_bad_input import complaint


@pytest.fixture
def files(translator):
    return translator.parent / "test.source", translator.parent / "test.target"


@pytest.mark.slow
def test_links_of_a_made_up_language_are_found(kochi, translator, files, tmp_path):
    gold, out = translator.parent / "test.links", tmp_path / "found.links"
    arguments = [translator, *files, "--gold", gold, "--out", out]
    result = kochi("align", *arguments)
    assert result.code == 0, result.err
    assert result.lines[0] == "60 pairs, links between words"
    assert result.err == ""
    assert [line.split()[0] for line in result.lines[1:]] == ["AER", "PRECISION", "RECALL"]
    record = json.loads(kochi("align", *arguments, "--json").out)
    assert record["unit"] == "words"
    scores = record["scores"]
    assert scores["aer"]["low"] <= scores["aer"]["value"] <= scores["aer"]["high"]
    assert scores["aer"]["value"] < 25.0
    assert scores["recall"]["value"] > 75.0
    assert len(out.read_text().splitlines()) == 60


def test_writes_a_line_of_links_for_each_pair(kochi, translator, files):
    result = kochi("align", translator, *files)
    assert result.code == 0, result.err
    texts = [file.read_text().splitlines() for file in files]
    assert len(result.lines) == 60
    for line, source, target in zip(result.lines, *texts, strict=True):
        links = [tuple(map(int, link.split("-"))) for link in line.split()]
        assert links == sorted(read_links(line).sure)
        targets = [target for _, target in links]
        assert len(targets) == len(set(targets))  # at most one link a target word
        for one, other in links:
            assert one < len(source.split()) and other < len(target.split())


def test_batches_change_nothing(kochi, translator, files):
    first = kochi("align", translator, *files, "--batch-size", 1)
    assert first.out == kochi("align", translator, *files, "--batch-size", 60).out


def test_the_target_is_forced(kochi, translator, tmp_path):
    """Also what the model would never say gets its links, a row of words for each target word."""
    for name, text in (("s", "one two\n"), ("t", "neither of these\n")):
        (tmp_path / name).write_text(text)
    result = kochi("align", translator, tmp_path / "s", tmp_path / "t", "--threshold", "0.01")
    assert result.code == 0, result.err
    assert {int(link.split("-")[1]) for link in result.out.split()} == {0, 1, 2}


# ------------------------------------------------------------------------------ words and tokens


@pytest.fixture
def spelled(tmp_path):
    """Words and their phones: one word to several phones, for the tiny model."""
    (tmp_path / "words").write_text("bead\nfade\ncab\n")
    (tmp_path / "phones").write_text("B E A D\nF A D E\nC A B\n")
    return tmp_path / "words", tmp_path / "phones"


@pytest.mark.slow
def test_spelling_to_sound_is_linked_between_tokens(kochi, tiny, spelled):
    result = kochi("align", tiny, *spelled)
    assert result.code == 0, result.err
    assert result.lines == ["0-0 1-1 2-2 3-3", "0-0 1-1 2-2 3-3", "0-0 1-1 2-2"]
    assert result.err == (
        "kochi: links are between tokens: one side is one word in 3 of 3 pairs; "
        "--unit words links words\n"
    )


def test_the_unit_can_be_chosen(kochi, tiny, spelled):
    words = kochi("align", tiny, *spelled, "--unit", "words")
    assert (words.lines[0], words.err) == ("0-0 0-1 0-2 0-3", "")
    tokens = kochi("align", tiny, *spelled, "--unit", "tokens")
    assert (tokens.lines[0], tokens.err) == ("0-0 1-1 2-2 3-3", "")


def test_a_single_word_among_sentences_does_not_change_the_unit(kochi, translator, tmp_path):
    (tmp_path / "s").write_text("one two\none\ntwo one two\n")
    (tmp_path / "t").write_text("neither of these\nthese\nof these\n")
    result = kochi("align", translator, tmp_path / "s", tmp_path / "t", "--threshold", "0.01")
    assert (result.code, result.err) == (0, "")


def test_gold_is_scored_in_the_unit_of_the_links(kochi, tiny, spelled, tmp_path):
    (tmp_path / "gold").write_text("0-0 1-1 2-2 3-3\n0-0 1-1 2-2 3-3\n0-0 1-1 2-2\n")
    arguments = [tiny, *spelled, "--gold", tmp_path / "gold"]
    result = kochi("align", *arguments)
    assert result.lines[0] == "3 pairs, links between tokens"
    assert result.lines[1].startswith("AER 0.0 %") and "unit:tokens" in result.lines[1]
    line = complaint(kochi("align", *arguments, "--unit", "words"))
    assert "gold:1: link 1-1, but the pair has 1 source and 4 target words" in line
    assert "--unit tokens" in line


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("0-0\n", "gold: 1 lines of links, but there are 60 pairs; expected one line per pair"),
        ("0-0\n" * 59 + "90-0\n", "gold:60: link 90-0, but the pair has "),
        ("0-0\n" * 59 + "a-b\n", "gold:60: 'a-b' is not a link; expected links such as 0-0 (sure)"),
    ],
)
def test_gold_that_does_not_fit(kochi, translator, files, tmp_path, gold, expected):
    (tmp_path / "gold").write_text(gold)
    line = complaint(kochi("align", translator, *files, "--gold", tmp_path / "gold"))
    assert expected in line


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a b\n", "c d\ne\n", "source: ends after line 1, but the other file goes on"),
        ("a b\nc\n", "c d\n", "target: ends after line 1, but the other file goes on"),
        ("a b\n\n", "c d\ne\n", "source:2: empty line; expected text on both sides"),
        ("a b\nc\n", "c d\n \n", "target:2: empty line; expected text on both sides"),
        ("", "", "source: is empty; expected one source a line"),
    ],
)
def test_files_that_do_not_fit(kochi, translator, tmp_path, source, target, expected):
    (tmp_path / "source").write_text(source)
    (tmp_path / "target").write_text(target)
    line = complaint(kochi("align", translator, tmp_path / "source", tmp_path / "target"))
    assert expected in line


def test_a_model_that_has_no_attention(kochi, task, files):
    changes = ("model={kind='plain'}", "training.max_steps=1", "training.metric=loss")
    assert kochi("train", task, *(part for c in changes for part in ("--set", c))).code == 0
    line = complaint(kochi("align", task.parent / "model", *files))
    assert line.endswith("a plain model has no attention, so there is nothing to align by")


def test_a_model_that_reads_no_text(kochi, heard, files):
    assert "reads features, which have no words to link" in complaint(kochi("align", heard, *files))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--threshold", "0"], "--threshold 0: expected a share above 0 and at most 1"),
        (["--json"], "--json prints scores, and there are none without --gold"),
        (["--layer", "2"], "has 1 that looks"),
    ],
)
def test_options(kochi, translator, files, options, expected):
    assert expected in complaint(kochi("align", translator, *files, *options))
