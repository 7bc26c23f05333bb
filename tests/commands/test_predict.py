import json
import subprocess
import sys

import pytest


def test_answers_each_line_of_standard_input(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"abc\nfed\n")
    assert (result.code, result.err) == (0, "")
    assert result.out == "A B C\nF E D\n"


def test_file_gives_the_same_as_standard_input(kochi, tiny, tmp_path):
    words = ["fade", "a", "bead", "cab", "dad", "ebb", "face", "b", "cafe"]
    file = tmp_path / "words.txt"
    file.write_text("\n".join(words))  # no end at the last line
    result = kochi("predict", tiny, file)
    assert result.lines == [" ".join(word.upper()) for word in words]
    assert kochi("predict", tiny, "-", stdin=file.read_bytes()).lines == result.lines


def test_batch_size_and_beam_are_obeyed(kochi, tiny):
    one = kochi("predict", tiny, "--batch-size", 1, "--json", stdin=b"fade\na\nbead\n")
    many = kochi("predict", tiny, "--batch-size", 64, "--json", stdin=b"fade\na\nbead\n")
    for first, second in zip(one.lines, many.lines, strict=True):
        first, second = json.loads(first), json.loads(second)
        assert first["text"] == second["text"]
        assert first["score"] == pytest.approx(second["score"], abs=1e-5)
    assert kochi("predict", tiny, "--beam", 1, stdin=b"fade\n").out == "F A D E\n"


def test_json_has_everything(kochi, tiny):
    result = kochi("predict", tiny, "--json", "--n-best", 2, stdin=b"bead\n")
    record = json.loads(result.out)
    assert record["source"] == "bead"
    assert record["text"] == "B E A D"
    assert record["tokens"] == ["B", "E", "A", "D"]
    assert record["source_tokens"] == ["b", "e", "a", "d", "<eos>"]
    assert record["n_best"][0]["text"] == record["text"]
    assert len(record["n_best"]) == 2
    assert record["n_best"][0]["score"] == record["score"] >= record["n_best"][1]["score"]
    assert [len(row) for row in record["alignment"]] == [5] * 4
    assert [sum(row) for row in record["alignment"]] == pytest.approx([1.0] * 4, abs=1e-4)
    assert record["unknown"] == []


def test_output_is_utf_8_whatever_the_locale(kochi, tiny):
    result = kochi("predict", tiny, "--json", stdin="aß\n".encode(), encoding="ascii")
    assert result.code == 0
    assert json.loads(result.out)["source"] == "aß"


def test_n_best_says_line_score_and_text(kochi, tiny):
    result = kochi("predict", tiny, "--n-best", 3, "--beam", 3, stdin=b"ab\ncd\n")
    rows = [line.split("\t") for line in result.lines]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] * 3
    assert rows[0][2] == "A B"
    scores = [float(row[1]) for row in rows[:3]]
    assert scores == sorted(scores, reverse=True)


def test_samples_follow_the_seed_and_not_the_batch(kochi, tiny):
    def draw(*options: object) -> str:
        stdin = b"abc\nf\nfade\ncab\nbead\n"
        return kochi("predict", tiny, "--sample", "--temperature", 3, *options, stdin=stdin).out

    assert draw("--seed", 5) == draw("--seed", 5, "--batch-size", 1)
    assert draw("--seed", 5) != draw("--seed", 6)


def test_characters_never_seen_are_summed_up(kochi, tiny):
    result = kochi("predict", tiny, stdin="cab\naß\nß€a\n".encode())
    assert result.code == 0
    assert len(result.lines) == 3
    assert result.err == (
        "kochi: warning: characters never seen in training, in 2 of 3 sources (first in standard "
        "input:2): 'ß' (2), '€' (1)\n"
    )
    result = kochi("predict", tiny, stdin="aß\n".encode())
    assert result.err == (
        "kochi: warning: standard input:1: characters never seen in training: 'ß'\n"
    )


def test_strict_stops_at_a_bad_line_after_those_before(kochi, tiny):
    result = kochi("predict", tiny, "--strict", stdin=b"abc\nfed\n\nabc\n")
    assert result.code == 2
    assert result.out == "A B C\nF E D\n"
    assert result.err == ("kochi: standard input:3: empty line; nothing to read there: remove it\n")


def test_a_line_that_arrives_is_answered_at_once(tiny):
    """Through a real pipe: the second line is not sent before the first answer is there."""
    command = [sys.executable, "-m", "kochi", "predict", str(tiny)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for word in (b"abc", b"fed"):
            process.stdin.write(word + b"\n")
            process.stdin.flush()
            assert (
                process.stdout.readline()
                == b" ".join(letter.to_bytes() for letter in word.upper()) + b"\n"
            )
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_reader_that_goes_away_is_no_error(tiny, tmp_path):
    (tmp_path / "words.txt").write_text("abc\n" * 3000)
    command = [sys.executable, "-m", "kochi", "predict", str(tiny), str(tmp_path / "words.txt")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


@pytest.mark.slow
def test_processes_change_nothing_but_the_time(kochi, tiny):
    lines = b"fade\na\nbead\ncafe\n" * 10
    plain = kochi("predict", tiny, "--json", stdin=lines)
    beside = kochi("predict", tiny, "--json", "--processes", 2, "--device", "cpu", stdin=lines)
    assert beside.out == plain.out
    assert beside.out.count("\n") == 40


def test_a_text_in_place_of_a_file(kochi, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = kochi("predict", tiny, "abc fed")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "kochi: abc fed: no such file; expected a file with one source per line; for a text "
        "itself, use: echo 'abc fed' | kochi predict MODEL\n"
    )
    assert "echo 'abc fed' |" in kochi("predict", tiny, "abc", "fed").err


def test_a_mistyped_file_name(kochi, tiny, tmp_path):
    (tmp_path / "words.txt").write_text("abc\n")
    result = kochi("predict", tiny, tmp_path / "wrods.txt")
    assert result.code == 2
    assert f"did you mean '{tmp_path / 'words.txt'}'?" in result.err
