"""Every line and every file has its answer, whatever stands beside it."""

import json
import subprocess
import sys

import numpy as np
import soundfile

from tests.hearing import RATE_HZ, frames_of, samples_of
from tests.seeing import picture_of, save


def test_a_blank_line_is_answered_by_a_blank_line(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"abc\n\n \t\nfed\n")
    assert (result.code, result.out, result.err) == (0, "A B C\n\n\nF E D\n", "")
    records = [json.loads(line) for line in kochi("predict", tiny, "--json", stdin=b"\na\n").lines]
    assert [record["text"] for record in records] == ["", "A"]
    assert "error" not in records[0]
    lines = kochi("predict", tiny, "--n-best", 2, stdin=b"\na\n").lines
    assert [line.split("\t")[0] for line in lines] == ["1", "2", "2"]
    assert lines[0] == "1\t0.0000\t"
    assert kochi("predict", tiny, "--sample", stdin=b"\na\n").lines[0] == ""


def test_a_line_that_is_not_text_costs_only_itself(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"abc\na\xe4\na\0\nfed\n")
    assert (result.code, result.out) == (1, "A B C\n\n\nF E D\n")
    first, second = result.err.splitlines()
    assert first.startswith("kochi: warning: standard input:2: not UTF-8: byte 0xe4")
    assert second.startswith("kochi: warning: standard input:3: a NUL byte at byte 2")
    lines = kochi("predict", tiny, "--json", stdin=b"a\xe4\nb\n").lines
    assert json.loads(lines[0])["error"].startswith("not UTF-8")
    assert json.loads(lines[1])["text"] == "B"


def test_a_line_beyond_the_limit_has_an_empty_answer(kochi, tiny, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text(f"abc\n{'fade' * 2500}\nfed\n")
    result = kochi("predict", tiny, file)
    assert (result.code, result.out) == (1, "A B C\n\nF E D\n")
    assert result.err == (
        f"kochi: warning: {file}:2: 10,000 tokens; the model reads at most 256 (the longest one in "
        "training had 6; max_source_length raises it) (no prediction)\n"
    )
    limit = kochi("predict", tiny, "--max-source-length", 2, stdin=b"ab\nabc\n")
    assert (limit.code, limit.out) == (1, "A B\n\n")
    assert "3 tokens; the model reads at most 2 (max_source_length)" in limit.err


def test_a_line_of_megabytes_is_not_even_cut(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"abc\n" + b"fade" * 250_000 + b"\nfed\n")
    assert (result.code, result.out) == (1, "A B C\n\nF E D\n")
    assert "standard input:2: at least 250,000 tokens; the model reads at most 256" in result.err


def test_what_came_before_a_long_line_is_answered_first(tiny):
    """Through a real pipe: the long line has not ended when the first answer is there."""
    command = [sys.executable, "-m", "kochi", "predict", str(tiny)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"abc\n" + b"fade" * 2500)
        process.stdin.flush()
        assert process.stdout.readline() == b"A B C\n"
        process.stdin.write(b"\nfed\n")
        process.stdin.close()
        assert process.stdout.read() == b"\nF E D\n"
        assert process.wait(timeout=60) == 1


def test_strict_stops_at_the_first(kochi, tiny):
    for line in (b"\n", b"\xe4\n", b"a" * 300 + b"\n"):
        result = kochi("predict", tiny, "--strict", stdin=b"abc\n" + line + b"fed\n")
        assert (result.code, result.out) == (2, "A B C\n")
        assert result.err.startswith("kochi: standard input:2: ")


def test_many_lines_without_an_answer_are_summed_up(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"a\n" + b"\xe4\n" * 40 + b"b\n" + b"\xe4\n")
    assert len(result.err.splitlines()) == 21
    assert result.err.splitlines()[-1] == (
        "kochi: warning: 41 of 43 sources without a prediction: 2-41, 43"
    )


def test_a_recording_that_cannot_be_read_costs_only_itself(kochi, listener, tmp_path):
    for name, letters in (("a", "abc"), ("b", "ba")):
        soundfile.write(tmp_path / f"{name}.wav", samples_of(letters), RATE_HZ)
    soundfile.write(tmp_path / "short.wav", samples_of("a")[:150], RATE_HZ)
    files = [tmp_path / f"{name}.wav" for name in ("a", "short", "missing", "b")]
    alone = [kochi("predict", listener, files[place]).out for place in (0, 3)]
    result = kochi("predict", listener, *files)
    assert result.code == 1
    assert result.out == f"{alone[0]}\n\n{alone[1]}"
    assert result.err.count("short.wav: 150 samples are shorter than a window") == 1
    assert result.err.count("missing.wav: no such file") == 1
    names = "".join(f"{file}\n" for file in files).encode()
    assert kochi("predict", listener, stdin=names).out == result.out
    result = kochi("predict", listener, "--json", *files)
    records = [json.loads(line) for line in result.lines]
    assert [("error" in record) for record in records] == [False, True, True, False]
    assert records[1]["source"] == str(files[1]) and "150 samples" in records[1]["error"]


def test_an_array_or_picture_that_cannot_be_read_costs_only_itself(kochi, heard, seer, tmp_path):
    np.save(tmp_path / "a.npy", frames_of("ab"))
    np.savez(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04")
    arrays = [tmp_path / name for name in ("none.npz", "bad.npz", "a.npy")]
    result = kochi("predict", heard, *arrays)
    assert (result.code, result.out) == (1, "\n\nab\n")
    assert "none.npz: contains no arrays" in result.err and "bad.npz: " in result.err
    save(picture_of(("red", "blue")), tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG")
    result = kochi("predict", seer, tmp_path / "bad.png", tmp_path / "a.png", "--n-best", 1)
    assert (result.code, result.out) == (1, "\nred blue\n")
    lines = kochi(
        "predict", seer, tmp_path / "bad.png", tmp_path / "a.png", "--n-best", 2, "--beam", 2
    ).lines
    assert lines[0] == "1\t-inf\t" and lines[1].startswith("2\t")


def test_evaluate_and_compare_count_what_has_no_answer_as_wrong(kochi, tiny, tmp_path):
    file = tmp_path / "data.tsv"
    file.write_text(f"source\ttarget\nab\tA B\n{'ab' * 200}\tA B\n")
    result = kochi("evaluate", tiny, file, "--metric", "exact", "--json")
    record = json.loads(result.out)
    assert result.code == 1
    assert (record["scores"]["exact"]["value"], record["unanswered"]) == (50.0, 1)
    assert "source 2 of the data: 400 tokens" in result.err
    result = kochi("evaluate", tiny, file, "--strict")
    assert result.code == 2 and "source 2 of the data: 400 tokens" in result.err
    result = kochi("evaluate", tiny, file, "--max-source-length", 400, "--metric", "exact")
    assert result.code == 0


def test_sources_longer_than_any_in_training_are_told_once(kochi, tiny):
    result = kochi("predict", tiny, stdin=b"abc\nabcdefa\nabcdefabc\n")
    assert result.err == (
        "kochi: warning: 2 of 3 sources longer than any in training (up to 6 tokens): up to 9 "
        "tokens (standard input:3)\n"
    )
    result = kochi("predict", tiny, stdin=b"abcdefa\n")
    assert result.err == (
        "kochi: warning: standard input:1: 7 tokens, longer than any in training (up to 6 tokens)\n"
    )
