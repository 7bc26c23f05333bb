"""`kochi init` on tables as people have them: nothing is guessed in silence, no row is lost."""

import json

import pytest

from kochi.modalities.pairs import read_pairs

TAB = "\t"
SYLLABLES = ("ka", "mo", "ri", "ten", "sul", "vo", "par", "id")


def word(number):
    """Return one of many made-up words."""
    places = (number % 8, number // 8 % 8, number // 64 % 8)
    return "".join(SYLLABLES[place] for place in places)


PAIRS = [(word(n), " ".join(word(n).upper())) for n in range(60)]
PHRASES = [(f"the {word(n)} of {word(n * 3)}", f"{word(n * 3)} des {word(n)}") for n in range(60)]


def write(path, rows, separator="\t", encoding="utf-8"):
    text = "".join(separator.join(row) + "\n" for row in rows)
    path.write_bytes(text.encode(encoding))
    return path


def pairs_of(run, *splits):
    return [
        (pair.source, pair.references[0])
        for split in splits or ("train", "dev", "test")
        for pair in read_pairs(run.data, "train" if split == "train" else split)
    ]


# ------------------------------------------------------------------------------------------ header


@pytest.mark.parametrize(
    "header",
    [
        ("English", "German"),
        ("anglické slovo", "německé slovo"),
        ("単語", "訳"),
        ("слово", "перевод"),
        ("source", "target"),
        ("Ausgangstext", "Zieltext"),
    ],
)
def test_a_header_in_any_language_is_found(init, tmp_path, header):
    said, run = init(write(tmp_path / "a.tsv", [header, *PHRASES]))
    assert f"the first row is the header: {header[0]} | {header[1]}" in said
    assert sorted(pairs_of(run)) == sorted(PHRASES)


@pytest.mark.parametrize(
    "first",
    [
        ("text", "T EH K S T"),
        ("word", "W ER D"),
        ("label", "even"),
        ("input", "odd"),
        PAIRS[3],
        ("Source.", "Quelle."),
    ],
)
def test_a_first_row_of_data_is_kept(init, tmp_path, first):
    rest = [("aca", "odd"), ("dddba", "odd"), ("addad", "even"), ("baca", "even")] * 15
    rest = PAIRS if first == PAIRS[3] else rest
    said, run = init(write(tmp_path / "a.tsv", [first, *rest]))
    assert "no header, the first row is data" in said
    assert first in pairs_of(run)
    assert len(pairs_of(run, "train")) + 2 * len(pairs_of(run, "dev")) <= len(rest) + 1


def test_advice_on_the_header_can_be_followed(init, tmp_path):
    path = write(tmp_path / "a.tsv", [("English", "German"), *PHRASES])
    said, run = init(path, "--no-header")
    assert ("English", "German") in pairs_of(run)
    assert "if it is a header: --header" in said
    said, run = init(path, "--header")
    assert sorted(pairs_of(run)) == sorted(PHRASES)


# ----------------------------------------------------------------------------------------- columns


def test_indices_dates_and_notes_are_not_taken_and_named(init, tmp_path):
    rows = [
        (str(n), f"2024-03-{n % 28 + 1:02}", source, target, "ok")
        for n, (source, target) in enumerate(PHRASES)
    ]
    said, run = init(write(tmp_path / "a.tsv", [("nr", "day", "en", "de", "note"), *rows]))
    assert sorted(pairs_of(run)) == sorted(PHRASES)
    for name in ("'nr' (index", "'day' (date", "'note' (one value"):
        assert name in said
    assert "to use one: --source, --target or --tags" in said
    said, run = init(tmp_path / "a.tsv", "--source", "de", "--target", "3")
    assert sorted(pairs_of(run)) == sorted((b, a) for a, b in PHRASES)


def test_the_first_pairs_are_shown(init, tmp_path):
    said, run = init(write(tmp_path / "a.tsv", PHRASES))
    for source, target in pairs_of(run, "train")[:2]:
        assert f"  {source}  ->  {target}\n" in said


def test_a_column_that_is_not_there(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = kochi("init", write(tmp_path / "a.tsv", [("en", "de"), *PHRASES]), "--source", "fr")
    assert result.code == 2
    assert result.err == f"kochi: {tmp_path / 'a.tsv'}: no column 'fr'; found: en, de\n"
    assert not (tmp_path / "run.toml").exists()


# -------------------------------------------------------------------------------------------- tags


def inflections():
    """Return lemma, form and tags of a made-up language: three numbers, four cases."""
    endings = {"SG": "", "PL": "im", "DU": "an"}, {"NOM": "", "ACC": "t", "DAT": "nek", "LOC": "ba"}
    return [
        (word(n), word(n) + endings[0][number] + endings[1][case], f"N;{case};{number}")
        for n in range(20)
        for number in endings[0]
        for case in endings[1]
    ]


def test_tags_are_read_in_front_of_the_source(kochi, init, tmp_path):
    rows = inflections()
    said, run = init(write(tmp_path / "a.tsv", rows))
    assert "column of tags: 3, read as whole symbols in front of the source" in said
    assert f"{pairs_of(run, 'train')[0][0].replace(TAB, '  [')}]  ->" in said
    assert sorted(pairs_of(run)) == sorted((f"{a}\t{c}", b) for a, b, c in rows)
    small = ("embedding_size=8", "hidden_size=8")
    changes = [option for size in small for option in ("--set", f"model.{size}")]
    result = kochi("train", "run.toml", *changes, "--set", "training.max_steps=4")
    assert result.code == 0, result.err
    tokens = kochi("predict", "model", "--json", stdin=f"{rows[0][0]}\tN;ACC;PL\n".encode())
    assert json.loads(tokens.lines[0])["source_tokens"][:3] == ["N", "ACC", "PL"]
    result = kochi("evaluate", "model", "test", "--metric", "exact")
    count = len(list(read_pairs(run.data, "test")))
    assert result.lines[0].startswith(f"{count} ")  # other tags are another source


def test_rows_of_one_lemma_stay_in_one_split(init, tmp_path):
    _, run = init(write(tmp_path / "a.tsv", inflections()), "--split", "0.8/0.1/0.1")
    lemmas = {
        split: {source.split("\t")[0] for source, _ in pairs_of(run, split)}
        for split in ("train", "dev", "test")
    }
    assert not lemmas["train"] & lemmas["dev"]
    assert not lemmas["train"] & lemmas["test"]
    assert not lemmas["dev"] & lemmas["test"]


def test_tags_by_name_and_none(init, tmp_path):
    rows = [(a, "N", *c.split(";")[1:], b) for a, b, c in inflections()]
    path = write(tmp_path / "a.tsv", [("lemma", "pos", "case", "number", "form"), *rows])
    _, run = init(path, "--tags", "case", "--tags", "number", "--target", "form")
    assert pairs_of(run, "train")[0][0].split("\t")[1].split(";") == ["NOM", "SG"]
    said, run = init(write(tmp_path / "b.tsv", inflections()), "--no-tags")
    assert "\t" not in pairs_of(run, "train")[0][0]
    assert "columns not used: column 3 (tags, such as 'N;NOM;SG')" in said


# ------------------------------------------------------------------------------------------- split


def test_the_split_counts_rows(init, tmp_path):
    rows = [(word(n), f"{word(n)}{k}") for n in range(500) for k in "abcdefghi"]
    _, run = init(write(tmp_path / "a.tsv", rows))
    written = {
        split: len((tmp_path / "run-data" / f"{split}.tsv").read_text().splitlines()) - 1
        for split in ("train", "dev", "test")
    }
    assert written["dev"] <= 225 and written["test"] <= 225
    assert written["train"] >= 0.89 * len(rows)
    assert sum(written.values()) == len(rows)
    sources = [{source for source, _ in pairs_of(run, split)} for split in written]
    assert sum(map(len, sources)) == len(set().union(*sources))


def test_shares_that_are_asked_for(init, kochi, tmp_path):
    path = write(tmp_path / "a.tsv", PHRASES)
    _, run = init(path, "--split", "60/20/20")
    assert [len(pairs_of(run, split)) for split in ("train", "dev", "test")] == [36, 12, 12]
    _, run = init(path, "--split", "0.9/0.1/0")
    assert run.data.test is None and len(pairs_of(run, "dev")) == 6
    for wrong in ("0.9", "a/b/c", "1/0/0", "0/1/1"):
        result = kochi("init", path, "--overwrite", "--split", wrong)
        assert result.code == 2
        assert f"--split {wrong}: expected the shares of train, dev and test" in result.err


# ------------------------------------------------------------------------------------------- forms


def test_a_spreadsheet(init, tmp_path):
    rows = [
        [f'{n},"the ""{a}"", 3"" wide","der ""{b}"", breit",'] for n, (a, b) in enumerate(PHRASES)
    ]
    path = write(tmp_path / "a.csv", [["No.,English,German,note"], *rows], encoding="utf-8-sig")
    said, run = init(path)
    assert "read as a table with commas, cells may be quoted" in said
    expected = [(f'the "{a}", 3" wide', f'der "{b}", breit') for a, b in PHRASES]
    assert sorted(pairs_of(run)) == sorted(expected)
    assert "'No.' (index" in said and "'note' (empty)" in said


@pytest.mark.parametrize("separator", [",", ";", "|", " ||| ", "\t"])
def test_separators_are_found(init, tmp_path, separator):
    said, run = init(write(tmp_path / "a.txt", PHRASES, separator))
    assert sorted(pairs_of(run)) == sorted(PHRASES)
    assert "--separator" not in said


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp1251"])
def test_encodings_are_found_and_said(init, tmp_path, encoding):
    letters = {"cp1251": ("привет из деревни", "здравствуй мир")}.get(
        encoding, ("très élevé, à côté", "où êtes-vous né")
    )
    rows = [(f"{letters[0]} {a}", f"{letters[1]} {b}") for a, b in PHRASES]
    said, run = init(write(tmp_path / "a.tsv", rows, encoding=encoding))
    assert "read as" in said.replace("read as a table", "")
    assert sorted(pairs_of(run)) == sorted(rows)


def test_an_encoding_by_name(init, kochi, tmp_path):
    rows = [(f"ça {a}", f"là {b}") for a, b in PHRASES]
    path = write(tmp_path / "a.tsv", rows, encoding="cp850")
    _, run = init(path, "--encoding", "cp850")
    assert sorted(pairs_of(run)) == sorted(rows)
    result = kochi("init", path, "--overwrite", "--encoding", "utf-9")
    assert (result.code, result.err.startswith("kochi: --encoding utf-9: unknown")) == (2, True)


def test_blank_lines_at_the_end(kochi, init, tmp_path):
    path = write(tmp_path / "a.tsv", PHRASES)
    path.write_text(path.read_text() + "\n\n")
    _, run = init(path)
    assert sorted(pairs_of(run)) == sorted(PHRASES)


def test_nested_json_and_arrays(init, tmp_path):
    records = [{"id": n, "translation": {"en": a, "cs": b}} for n, (a, b) in enumerate(PHRASES)]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    (tmp_path / "array.json").write_text(json.dumps(records, indent=1))
    (tmp_path / "inside.json").write_text(json.dumps({"version": "1", "data": records}))
    for name in ("lines.jsonl", "array.json", "inside.json"):
        said, run = init(tmp_path / name)
        assert sorted(pairs_of(run)) == sorted(PHRASES)
        assert "fields not used: 'id' (number" in said


@pytest.mark.parametrize(
    ("train", "dev", "test"),
    [
        ("xyz.trn", "xyz.dev", "xyz.tst"),
        ("xyz-train-low", "xyz-dev", "xyz-uncovered-test"),
        ("xyz_train.tsv", "xyz_dev.tsv", "xyz_test.tsv"),
    ],
)
def test_names_of_shared_tasks(init, tmp_path, train, dev, test):
    rows = inflections()
    for name, part in ((train, rows[:200]), (dev, rows[200:220]), (test, rows[220:])):
        write(tmp_path / name, part)
    _, run = init(tmp_path)
    counts = [len(list(read_pairs(run.data, split))) for split in ("train", "dev", "test")]
    assert counts == [200, 20, 20]


def test_a_test_without_targets_is_left_out(init, tmp_path):
    rows = inflections()
    write(tmp_path / "xyz.trn", rows[:200])
    write(tmp_path / "xyz.dev", rows[200:220])
    write(tmp_path / "xyz.tst", [(a,) for a, _, _ in rows[220:]])
    said, run = init(tmp_path / "xyz.trn")
    assert run.data.test is None
    assert "xyz.tst has no column of targets: it is not used" in said


def test_one_normal_form_of_unicode(kochi, init, tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    rows = [(f"{composed}{a}", b) for a, b in PAIRS]
    init(write(tmp_path / "a.tsv", rows))
    sizes = ["--set", "model.embedding_size=8", "--set", "model.hidden_size=8"]
    assert kochi("train", "run.toml", *sizes, "--set", "training.max_steps=2").code == 0
    answers = [
        kochi("predict", "model", "--json", stdin=f"{text}{PAIRS[0][0]}\n".encode()).lines[0]
        for text in (composed, apart)
    ]
    records = [json.loads(answer) for answer in answers]
    assert records[0]["tokens"] == records[1]["tokens"]
    assert records[1]["unknown"] == []


def test_how_long_training_takes_is_said(kochi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = kochi("init", write(tmp_path / "a.tsv", PAIRS))
    assert result.code == 0, result.err
    [line] = [line for line in result.lines if line.startswith("training takes about")]
    assert "on this machine:" in line and "steps of" in line
    assert not (tmp_path / "model").exists()
