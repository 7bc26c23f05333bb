"""Unknown words and characters: copied or marked, by alignments written by hand."""

import pytest
import torch

from kochi.data.tags import Tags
from kochi.data.tokenizer import Tokenizer, train_tokenizer
from kochi.inference.unknown_words import MARK, Copier
from kochi.modalities.tables import Tokens
from kochi.special_tokens import UNK


def tokenizer(kind, texts, **options):
    return train_tokenizer(Tokens(tokens=kind, **options), texts)


LETTERS = tokenizer("characters", ["abc de"])
WORDS = tokenizer("whitespace", ["the dog runs"])
OTHERS = tokenizer("whitespace", ["der hund läuft"])
PIECES = tokenizer("bpe", ["low lower lowest low lower"], vocabulary_size=20)


def looked(*positions, size):
    """An alignment that is clear: each token looked at one position of the source."""
    rows = torch.full((len(positions), size), 0.1 / (size - 1))
    rows[torch.arange(len(positions)), torch.tensor(positions)] = 0.9
    return rows


def answer(unknown, source, target, text, ids, alignment):
    copier = Copier(unknown, target, source, text, source.encode(text))
    return target.join(ids, copier.replace(ids, alignment))


def test_an_unknown_character_is_copied():
    ids = LETTERS.encode("abc")
    alignment = looked(0, 1, 2, size=4)
    assert answer("copy", LETTERS, LETTERS, "aßc", ids, alignment) == "aßc"
    assert answer("mark", LETTERS, LETTERS, "aßc", ids, alignment) == f"a{MARK}c"
    assert answer("copy", LETTERS, LETTERS, "abc", ids, alignment) == "abc"


def test_an_unknown_word_is_copied():
    ids = [*OTHERS.encode("der"), UNK, *OTHERS.encode("läuft")]
    alignment = looked(0, 1, 2, size=4)
    assert answer("copy", WORDS, OTHERS, "the Rex runs", ids, alignment) == "der Rex läuft"
    guessed = OTHERS.encode("der hund läuft")
    assert answer("copy", WORDS, OTHERS, "the Rex runs", guessed, alignment) == "der Rex läuft"
    # The source's own vocabulary knows the word, the target's does not.
    assert answer("copy", WORDS, OTHERS, "the dog runs", ids, alignment) == "der dog läuft"


def test_what_was_written_for_one_word_is_replaced_once():
    ids = [UNK, UNK, *OTHERS.encode("läuft")]
    assert answer("copy", WORDS, OTHERS, "Rex runs", ids, looked(0, 0, 1, size=3)) == "Rex läuft"
    assert answer("mark", WORDS, OTHERS, "Rex runs", ids, looked(0, 0, 1, size=3)) == "⟨unk⟩ läuft"
    twice = answer("copy", WORDS, OTHERS, "Rex Rex runs", ids, looked(0, 1, 2, size=4))
    assert twice == "Rex Rex läuft"


def test_where_the_alignment_is_not_clear_nothing_is_copied():
    ids = [*OTHERS.encode("der"), UNK]
    even = torch.full((2, 4), 0.25)
    for unknown in ("copy", "mark"):
        assert answer(unknown, WORDS, OTHERS, "the Rex runs", ids, even) == f"der {MARK}"
        assert answer(unknown, WORDS, OTHERS, "the Rex runs", ids, None) == f"der {MARK}"
    end = looked(0, 3, size=4)  # the end mark is nothing to copy
    assert answer("copy", WORDS, OTHERS, "the Rex runs", ids, end) == f"der {MARK}"


def test_a_word_is_copied_whole_from_characters():
    ids = [*OTHERS.encode("der"), UNK]
    spread = torch.tensor([[0.8, 0.2, 0.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.2, 0.3, 0.3, 0.1]])
    assert answer("copy", LETTERS, OTHERS, "a bed", ids, spread) == "der bed"


def test_an_unknown_character_of_pieces_is_copied_with_its_space():
    source = tokenizer("bpe", ["low lower lowest low lower"], vocabulary_size=20)
    text = "low ßlow"
    row = source.encode(text)
    assert UNK in row
    ids = PIECES.encode("low ßlow")
    alignment = looked(*range(len(row)), size=len(row) + 1)
    assert answer("copy", source, PIECES, text, ids, alignment) == text
    assert answer("mark", source, PIECES, text, ids, alignment) == f"low {MARK}low"


def test_without_a_text_unknown_tokens_are_marked():
    ids = [*OTHERS.encode("der"), UNK]
    copier = Copier("copy", OTHERS)
    assert OTHERS.join(ids, copier.replace(ids, looked(0, 1, size=3))) == f"der {MARK}"


@pytest.mark.parametrize(
    ("kind", "text"), [("characters", " a b"), ("whitespace", "the dog"), ("bpe", "low lowest")]
)
def test_joined_without_replacements_is_decoded(kind, text):
    one = tokenizer(kind, [text] * 3)
    ids = one.encode(text)
    assert one.join(ids, {}) == one.decode(ids) == text
    same = dict(enumerate(piece.removeprefix(" ") for piece in one.pieces(ids)))
    if kind != "characters":
        assert one.join(ids, same) == text


def test_tags_are_never_copied():
    letters = LETTERS
    source = Tokenizer(letters._library, "characters", False, tags=Tags(("N", "PL"), ";"))
    text = "aßc\tN;DAT"  # "DAT" is no known tag
    assert source.parts_of(text) == [None, None, "a", "ß", "c"]
    ids = letters.encode("abc")
    assert source.encode(text)[1] == UNK
    assert answer("copy", source, letters, text, ids, looked(2, 3, 4, size=6)) == "aßc"
    assert answer("copy", source, letters, text, ids, looked(1, 3, 4, size=6)) == "aßc"
    words = Tokenizer(WORDS._library, "whitespace", False, tags=Tags(("N", "PL"), ";"))
    ids = [UNK, *OTHERS.encode("läuft")]
    assert answer("copy", words, OTHERS, "Rex runs\tN", ids, looked(1, 2, size=4)) == "Rex läuft"
    assert (
        answer("copy", words, OTHERS, "Rex runs\tN", ids, looked(0, 2, size=4)) == f"{MARK} läuft"
    )
