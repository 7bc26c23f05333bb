import pytest

from kochi.metrics import METRICS, Judge, evaluate, higher_is_better, wer_unit
from kochi.modalities.audio.tables import SoundData
from kochi.modalities.text.tables import TsvData

WORDS = ["cat", "dog", "new york"]
SENTENCES = ["It cost $5.", "Call at 9.", "Hello"]


def tsv(**changes) -> TsvData:
    table = {"kind": "tsv", "train": "a.tsv", "source": {"tokens": "characters"}}
    return TsvData.model_validate(
        table | {"target": {"tokens": "whitespace", **changes.pop("target", {})}} | changes
    )


@pytest.mark.parametrize(
    ("changes", "sources", "expected"),
    [
        ({}, WORDS, "rows"),
        ({}, SENTENCES, "words"),
        ({"row": "word"}, SENTENCES, "rows"),
        ({"row": "text"}, WORDS, "words"),
        ({"source": {"tokens": "whitespace"}}, WORDS, "words"),
        ({"target": {"tokens": "characters"}}, WORDS, "words"),
    ],
)
def test_what_wer_counts(changes, sources, expected):
    assert wer_unit(tsv(**changes), sources) == expected


def test_tags_are_no_words_of_a_source():
    tagged = tsv(tags_column="tags")
    assert wer_unit(tagged, ["walk\tV; PST", "go\tV; PST"]) == "rows"
    assert wer_unit(tagged, ["walk on\tV; PST"]) == "words"


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("form", ["nfc", "nfd", "nfkc", "nfkd"])
def test_normal_forms_of_one_text_are_the_same(name: str, form: str):
    composed, decomposed = (
        "caf\u00e9 s\u00ed o\u00fa a\u00e1 \u00e9",
        "cafe\u0301 si\u0301 ou\u0301 aa\u0301 e\u0301",
    )
    data = tsv(target={"normalization": form})
    for one, other in ((composed, decomposed), (decomposed, composed)):
        best = Judge(data, ["a"], [[other]]).value(name, [one])
        assert best == pytest.approx(100.0 if higher_is_better(name) else 0.0)
    as_they_are = tsv(target={"normalization": "none"})
    assert Judge(as_they_are, ["a"], [[composed]]).value("exact", [decomposed]) == 0.0


def test_recordings_are_text_unless_the_run_file_says_word():
    data = SoundData.model_validate(
        {"kind": "sound", "train": "a.tsv", "target": {"tokens": "whitespace"}}
    )
    assert wer_unit(data, [object()]) == "words"
    assert wer_unit(data.model_copy(update={"row": "word"}), [object()]) == "rows"


def test_all_figures_of_a_judge_are_of_one_kind():
    references = [["K AE T"], ["D AO G", "D AA G"], ["N Y"]]
    answers, worse = ["K AE T", "D AA", "N Y"], ["K AE", "D AA", "N Y"]
    judge = Judge(tsv(), WORDS, references)
    score = judge.scores(["wer", "per"], answers)
    assert score["wer"].value == judge.value("wer", answers) == pytest.approx(100 / 3)
    assert score["per"] == evaluate(["per"], answers, references)["per"]
    assert score["wer"].signature == judge.signature("wer")
    assert judge.row_values("wer", answers).tolist() == [0.0, 100.0, 0.0]
    found = judge.compare("wer", answers, worse)
    assert (found.first, found.second) == (score["wer"].value, pytest.approx(200 / 3))


def test_case_and_tokens_are_those_of_the_run_file():
    data = tsv(target={"lowercase": True}, tokenized=True)
    judge = Judge(data, ["a"], [["A B."]])
    assert judge.value("exact", ["a b."]) == 100.0
    assert "case:lc" in judge.signature("bleu")
    assert "tok:none" in judge.signature("bleu")
    assert "tok:intl" in Judge(data, ["a"], [["A"]], tokenize="intl").signature("bleu")
    assert Judge(tsv(), ["a"], [["A"]], lowercase=True).value("exact", ["a"]) == 100.0
