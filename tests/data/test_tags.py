import pytest

from kochi.data.tags import Tags
from kochi.data.tokenizer import Tokenizer, train_tokenizer
from kochi.errors import UserError
from kochi.modalities.tables import Tokens
from kochi.modalities.text.tables import TsvData
from kochi.modalities.text.tokenizers import prepare_tokenizers
from kochi.special_tokens import UNK

ROWS = "haz\thazak\tN;PL\nkar\tkarok\tN;PL\nkar\tkart\tN;ACC\n"


def tagged(folder, **options):
    (folder / "a.tsv").write_text(ROWS)
    fixed = {
        "kind": "tsv",
        "folder": folder,
        "train": "a.tsv",
        "source_column": 1,
        "target_column": 2,
        "tags_column": 3,
        "source": {"tokens": "characters"},
        "target": {"tokens": "characters"},
    }
    return TsvData.model_validate(fixed | options)


def test_tags_are_whole_symbols_in_front(tmp_path):
    source, target = prepare_tokenizers(tagged(tmp_path), tmp_path)
    assert source.tokens(source.encode("haz\tN;PL")) == ["N", "PL", "h", "a", "z"]
    assert source.encode_batch(["haz\tN;PL", "kar\tN"]) == [
        source.encode("haz\tN;PL"),
        source.encode("kar\tN"),
    ]
    assert source.tags == Tags(("N", "PL", "ACC"), ";")
    assert target.tags is None
    assert max(source.encode("kar\tN;PL;ACC")) == source.size - 1
    assert source.words("az út\tN;PL") == [2, 2, 0, 0, None, 1, 1]


def test_tags_are_kept(tmp_path):
    source, _ = prepare_tokenizers(tagged(tmp_path), tmp_path)
    again = Tokenizer.load(tmp_path / "source.json")
    assert again.encode("haz\tN;PL") == source.encode("haz\tN;PL")
    assert (again.size, again.tags, again.kind) == (source.size, source.tags, "characters")


def test_unknown_and_missing_tags(tmp_path):
    source, _ = prepare_tokenizers(tagged(tmp_path), tmp_path)
    row = source.encode("hazq\tN;DAT")
    assert row.count(UNK) == 2
    assert source.unknown("hazq\tN;DAT", row) == ("DAT", "q")
    assert source.tokens(source.encode("haz\t")) == ["h", "a", "z"]
    with pytest.raises(UserError, match="no tags in 'haz'; expected text, a tab, and tags"):
        source.encode("haz")


def test_a_kept_tokenizer_without_tags_does_not_fit(tmp_path):
    train_tokenizer(Tokens(tokens="characters"), ["haz"]).save(tmp_path / "source.json")
    train_tokenizer(Tokens(tokens="characters"), ["haz"]).save(tmp_path / "target.json")
    with pytest.raises(UserError, match=r"source\.json: found .* no tags; .* and tags; remove"):
        prepare_tokenizers(tagged(tmp_path), tmp_path)


def test_tags_exclude_a_shared_vocabulary(tmp_path):
    with pytest.raises(ValueError, match="exclude each other"):
        tagged(tmp_path, shared_vocabulary=True)


@pytest.mark.parametrize("form", ["nfc", "nfd", "nfkc", "nfkd"])
def test_a_normal_form_makes_equal_texts_equal(tmp_path, form):
    tokens = Tokens(tokens="characters", normalization=form)
    tokenizer = train_tokenizer(tokens, ["caf\u00e9 \u1100\u1161"])
    assert tokenizer.encode("cafe\u0301") == tokenizer.encode("caf\u00e9")
    assert tokenizer.encode("\uac00") == tokenizer.encode("\u1100\u1161")
    assert UNK not in tokenizer.encode("cafe\u0301")
    assert tokenizer.unknown("cafe\u0301x", tokenizer.encode("cafe\u0301x")) == ("x",)
    wide = tokenizer.encode("\uff43")  # full-width c
    assert (wide == tokenizer.encode("c")) == form.startswith("nfk")
    tokenizer.save(tmp_path / "t.json")
    assert Tokenizer.load(tmp_path / "t.json").normalization == form


def test_no_normal_form():
    tokens = Tokens(tokens="characters", normalization="none")
    tokenizer = train_tokenizer(tokens, ["caf\u00e9"])
    assert tokenizer.encode("e\u0301")[-1] == UNK
