import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kochi.data.tokenizer import (
    BOS,
    EOS,
    PAD,
    UNK,
    Kind,
    Tokenizer,
    train_tokenizer,
)
from kochi.errors import UserError
from kochi.modalities.tables import Tokens
from kochi.modalities.text.tables import TsvData
from kochi.modalities.text.tokenizers import prepare_tokenizers

TEXTS = ["a man in a blue shirt .", "a man in a red hat , smiling .", "<pad> </s> < pad > <bos>"]
KINDS: list[Kind] = ["characters", "whitespace", "bpe"]
ALPHABET = sorted(set("".join(TEXTS)))


def trained(kind: Kind, texts=TEXTS, **options) -> Tokenizer:
    return train_tokenizer(Tokens(tokens=kind, **options), texts)


def knowledge(tokenizer: Tokenizer) -> list[str]:
    return tokenizer.tokens(range(tokenizer.size))


TRAINED = {kind: trained(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_known_text_comes_back_and_holds_no_special_tokens(kind, text):
    ids = TRAINED[kind].encode(text)
    assert min(ids) > EOS
    assert TRAINED[kind].decode(ids) == text


@pytest.mark.parametrize("kind", ["characters", "bpe"])
@settings(deadline=None)
@given(text=st.text(ALPHABET))
def test_any_text_of_known_characters_comes_back(kind, text):
    ids = TRAINED[kind].encode(text)
    assert all(i > EOS for i in ids)
    assert TRAINED[kind].decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=st.text(st.characters()))
def test_nothing_crashes_and_only_unknown_is_special(kind, text):
    ids = TRAINED[kind].encode(text)
    assert all(i == UNK or i > EOS for i in ids)
    assert max(ids, default=0) < TRAINED[kind].size
    TRAINED[kind].decode(ids)
    if kind == "characters":
        assert len(ids) == len(text)


def test_characters_by_hand():
    tokenizer = trained("characters", ["b a", "ab b"])
    assert tokenizer.size == 7
    assert tokenizer.encode("b \nax") == [4, 5, UNK, 6, UNK]  # by frequency, then code point
    assert tokenizer.tokens(tokenizer.encode("ab x")) == ["a", "b", " ", "<unk>"]


def test_whitespace_by_hand():
    tokenizer = trained("whitespace", ["AH B AH", "B  AH\tK"])
    assert tokenizer.tokens(range(tokenizer.size)) == [
        *("<pad>", "<unk>", "<bos>", "<eos>"),
        *("AH", "B", "K"),
    ]
    assert tokenizer.encode(" K \t AH Z") == [6, 4, UNK]
    assert tokenizer.decode([6, 4]) == "K AH"


def test_bpe_merges_the_most_frequent_pair_inside_words():
    tokenizer = trained("bpe", ["abab abab ab", "ab ab"], vocabulary_size=9)
    # characters a, b and the word mark; merges ab and then mark-ab
    assert tokenizer.tokens(range(4, 9)) == ["a", "b", "▁", "ab", "▁ab"]
    assert tokenizer.tokens(tokenizer.encode("abab a")) == ["▁ab", "ab", "▁", "a"]


@pytest.mark.parametrize("text", ["", " ", "  a  man ", " a", "a "])
def test_bpe_keeps_the_spacing(text):
    assert TRAINED["bpe"].decode(TRAINED["bpe"].encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_empty_text_unknown_text_and_special_ids(kind):
    tokenizer = TRAINED[kind]
    assert tokenizer.encode("") == []
    assert UNK in tokenizer.encode("日")
    assert tokenizer.encode("\ud800") == tokenizer.encode("\ufffd")
    ids = tokenizer.encode("man")
    assert tokenizer.decode([BOS, *ids, UNK, EOS, PAD, PAD]) == "man"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_texts_one_by_one(kind):
    texts = [*TEXTS, "", "日 a"]
    assert TRAINED[kind].encode_batch(texts) == [TRAINED[kind].encode(text) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic_and_reads_an_iterator(kind):
    texts = [f"word{n % 7} {chr(97 + n % 23)}{chr(97 + n % 19)} x{n % 5}" for n in range(500)]
    first = trained(kind, iter(texts), vocabulary_size=60)
    assert knowledge(first) == knowledge(trained(kind, texts, vocabulary_size=60))
    assert knowledge(first) != knowledge(trained(kind, texts[:250], vocabulary_size=30))


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_size_is_kept(kind):
    tokenizer = trained(kind, vocabulary_size=9)
    assert tokenizer.size == 9
    with pytest.raises(UserError, match="vocabulary_size = 4: expected more than the 4"):
        trained(kind, vocabulary_size=4)


@pytest.mark.parametrize("kind", KINDS)
def test_lowercase(kind):
    tokenizer = trained(kind, lowercase=True)
    assert tokenizer.decode(tokenizer.encode("A MAN")) == "a man"
    assert UNK in TRAINED[kind].encode("MAN")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lowercase", [False, True])
def test_saved_and_loaded_is_the_same(tmp_path, kind, lowercase):
    tokenizer = trained(kind, lowercase=lowercase)
    tokenizer.save(tmp_path / "t.json")
    loaded = Tokenizer.load(tmp_path / "t.json")
    assert (loaded.kind, loaded.lowercase, loaded.size) == (kind, lowercase, tokenizer.size)
    assert knowledge(loaded) == knowledge(tokenizer)
    assert loaded.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_unknown_id_has_no_name():
    for wrong in (-1, TRAINED["bpe"].size):
        with pytest.raises(ValueError, match=f"ids: {wrong} is not in the vocabulary"):
            TRAINED["bpe"].tokens([wrong])


def alter(path, change):
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def special(tree):
    special = {"content": "a", "id": 4, "special": True, "single_word": False}
    tree["added_tokens"] = [special | {"lstrip": False, "rstrip": False, "normalized": False}]


ALTERED = {
    "model gone": (lambda tree: tree.pop("model"), "Model missing"),
    "gap in ids": (lambda tree: tree["model"]["vocab"].update(zzz=999), "ids are not 0, 1, 2"),
    "special gone": (lambda tree: tree["model"]["vocab"].pop("< pad >"), "ids are not 0, 1, 2"),
    "specials swapped": (
        lambda tree: tree["model"]["vocab"].update({"< pad >": 2, "< bos >": 0}),
        "special tokens are not at 0 to 3",
    ),
    "other cutter": (lambda tree: tree.update(pre_tokenizer=None), "unknown settings"),
    "added token": (special, "unknown settings"),
    "truncation": (
        lambda tree: tree.update(
            truncation={
                "max_length": 1,
                "stride": 0,
                "strategy": "LongestFirst",
                "direction": "Left",
            }
        ),
        "unknown settings",
    ),
    "merge of nothing": (lambda tree: tree["model"]["merges"].append(["q", "zq"]), "vocabulary"),
}


@pytest.mark.parametrize("case", ALTERED)
def test_altered_file(tmp_path, case):
    change, message = ALTERED[case]
    TRAINED["bpe"].save(tmp_path / "t.json")
    alter(tmp_path / "t.json", change)
    with pytest.raises(UserError, match=rf"t\.json: not a tokenizer saved by kochi.*{message}"):
        Tokenizer.load(tmp_path / "t.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"model": 3}', b"\xff\xfe"])
def test_file_that_is_no_tokenizer(tmp_path, content):
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(UserError, match=r"t\.json: (not|cannot be read as) a tokenizer") as caught:
        Tokenizer.load(tmp_path / "t.json")
    assert "\n" not in str(caught.value)


def test_missing_file_and_unwritable_place(tmp_path):
    with pytest.raises(UserError, match=r"t\.json: no such tokenizer file"):
        Tokenizer.load(tmp_path / "t.json")
    with pytest.raises(UserError, match="cannot be written"):
        TRAINED["bpe"].save(tmp_path / "none" / "t.json")


# --------------------------------------------------------------------------------- in a run


def table(folder, **options) -> TsvData:
    path = folder / "a.tsv"
    if not path.exists():
        path.write_text("source\ttarget\nab\tX Y\nba\tY Z\n")
    settings = {"source": {"tokens": "characters"}, "target": {"tokens": "whitespace"}}
    return TsvData.model_validate(
        {"kind": "tsv", "folder": folder, "train": "a.tsv", **settings, **options}
    )


def test_tokenizers_are_trained_once_and_kept(tmp_path):
    source, target = prepare_tokenizers(table(tmp_path), tmp_path / "model")
    assert (source.encode("ab"), target.encode("X Q")) == ([4, 5], [5, UNK])
    (tmp_path / "a.tsv").unlink()
    again = prepare_tokenizers(table(tmp_path), tmp_path / "model")
    assert [knowledge(t) for t in again] == [knowledge(source), knowledge(target)]


def test_one_vocabulary_of_both_sides(tmp_path):
    tokens = {"source": {"tokens": "characters"}, "target": {"tokens": "characters"}}
    source, target = prepare_tokenizers(table(tmp_path, shared_vocabulary=True, **tokens), tmp_path)
    assert knowledge(source) == knowledge(target)
    assert UNK not in source.encode("abXYZ ")
    with pytest.raises(UserError, match="shared_vocabulary = true needs the same"):
        prepare_tokenizers(table(tmp_path, shared_vocabulary=True), tmp_path)


@pytest.mark.parametrize(
    "changed", [{"tokens": "bpe"}, {"lowercase": True}, {"vocabulary_size": 5}]
)
def test_kept_tokenizers_must_fit_the_run_file(tmp_path, changed):
    prepare_tokenizers(table(tmp_path), tmp_path)
    with pytest.raises(UserError, match=r"source\.json: found a tokenizer with characters tokens"):
        prepare_tokenizers(table(tmp_path, source={"tokens": "characters"} | changed), tmp_path)


def test_errors_in_the_data_come_through_training(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"source\ttarget\nab\tX\ncd\t\n")
    with pytest.raises(UserError, match=r"a\.tsv:3: the target"):
        prepare_tokenizers(table(tmp_path, bad_rows="refuse"), tmp_path / "model")
    assert not (tmp_path / "model").exists()
