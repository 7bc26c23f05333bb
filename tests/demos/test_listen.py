"""The speech demo, on a handful of sentences and with a model that learns nothing."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

import kochi
from kochi.timestamps import Timed

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def demo(load_demo):
    """The demo's module."""
    return load_demo("listen")


def spoken(*jobs):
    done = subprocess.run(
        [sys.executable, ROOT / "demos" / "speak.py"],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def job(path, text="turn on the light", voice="en-us+f2"):
    return {"text": text, "voice": voice, "rate": 160, "pitch": 50, "wav": str(path)}


def test_the_same_sentence_gives_the_same_samples_at_any_time(tmp_path):
    between = job(tmp_path / "b.wav", "wake me in nine hours", "en+m7")
    code, found, _ = spoken(job(tmp_path / "a.wav"), between)
    time.sleep(1.1)  # eSpeak reads a clock of seconds
    again, (later,), _ = spoken(job(tmp_path / "c.wav"))
    assert code == again == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "c.wav").read_bytes()
    assert found[0]["spans"] == later["spans"]


def test_times_of_words_follow_each_other_within_the_sound(tmp_path):
    _, [found], _ = spoken(job(tmp_path / "a.wav"))
    assert [text for text, _, _ in found["spans"]] == ["turn", "on the", "light"]
    before = 0.0
    for _, start, end in found["spans"]:
        assert start == before < end
        before = end
    assert before <= soundfile.info(str(tmp_path / "a.wav")).duration + 0.01


def test_a_voice_that_is_not_there(tmp_path):
    code, _, err = spoken(job(tmp_path / "a.wav", voice="nobody"))
    assert code != 0 and "no voice nobody" in err


def test_sentences_are_unseen(demo):
    splits = demo.split_sentences()
    assert {name: len(found) for name, found in splits.items()} == demo.NUMBER
    assert len(set().union(*splits.values())) == sum(demo.NUMBER.values())
    assert splits == demo.split_sentences()
    known = {word for text in splits["train"] for word in text.split()}
    assert {word for text in splits["test"] for word in text.split()} <= known


def test_the_new_voice_says_the_test_sentences_and_no_other(demo, tmp_path):
    jobs = {split: demo.jobs_of(split, tmp_path) for split in demo.SPLITS}
    assert [one["text"] for one in jobs["new-voice"]] == [one["text"] for one in jobs["test"]]
    assert {one["voice"] for one in jobs["new-voice"]} == {demo.NEW_VOICE}
    for split in demo.NUMBER:
        assert {one["voice"] for one in jobs[split]} <= set(demo.VOICES)
    assert demo.NEW_VOICE not in demo.VOICES


def test_errors_of_times_are_counted_in_spans(demo, capsys):
    words = (Timed("turn", 0.0, 0.2), Timed("on", 0.2, 0.3), Timed("the", 0.3, 0.5))
    answer = kochi.AudioPrediction("a.wav", "turn on the", 0.0, (), (), words=words)
    times = {"a.wav": [("turn", 0.0, 0.3), ("on the", 0.3, 0.7)]}
    demo.say_times([(Path("a.wav"), answer)], times)
    out = capsys.readouterr().out
    assert "Times of 2 words in 1 sentences" in out
    assert "50 ms of the start, 150 ms of the end; 100 % of the middles" in out
    assert "spread evenly: 33 ms" in out


@pytest.mark.slow
def test_runs_from_voices_to_pictures(demo, tmp_path, monkeypatch, capsys):
    (tmp_path / "recipes").mkdir()
    shutil.copy(demo.RECIPE, tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "RECIPE", tmp_path / "recipes" / demo.RECIPE.name)
    monkeypatch.setattr(demo, "FOLDER", tmp_path / "demo-speech")
    monkeypatch.setattr(demo, "NUMBER", {"train": 12, "dev": 2, "test": 3})
    small = ("training.max_steps=2", "model.hidden_size=8", "model.encoder.hidden_size=8")
    changes = [part for change in small for part in ("--set", change)]
    assert demo.main(changes) == 0
    out = capsys.readouterr().out
    assert "$ kochi train recipes/listen.toml --overwrite" in out
    assert out.count("WER ") == 2 and "95 % intervals" in out
    assert "predict demo-speech/model" in out
    assert demo.main(["--no-training"]) == 0


def test_without_a_model_it_says_so(demo, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "FOLDER", tmp_path)
    assert demo.main(["--no-training"]) == 2
    assert "no such model folder" in capsys.readouterr().err
