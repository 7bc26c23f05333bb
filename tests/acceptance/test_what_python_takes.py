"""Python takes what people hold: paths, bytes, files, arrays, tensors, pictures; one or several."""

import io
import os
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

import kochi
from tests.hearing import RATE_HZ, frames_of, samples_of
from tests.seeing import picture_of, save


@dataclass
class Held:
    """A path of another library."""

    path: os.PathLike

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def check_alike(predictor, sources):
    """Each source, alone and in a list, has the same answer."""
    together = [(one.text, one.score) for one in predictor.predict(sources)]
    assert [text for text, _ in together] == [together[0][0]] * len(together)
    for source in sources:
        if hasattr(source, "seek"):
            source.seek(0)
        [alone] = predictor.predict(source)
        assert (alone.text, alone.score) == (together[0][0], pytest.approx(together[0][1], 1e-4))


def test_pictures(seer, tmp_path):
    pixels = picture_of(("red", "blue"))
    save(pixels, tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    check_alike(
        kochi.load(seer),
        [
            pixels,
            Image.fromarray(pixels),
            Image.open(tmp_path / "a.png"),
            torch.from_numpy(pixels),
            torch.from_numpy(pixels).permute(2, 0, 1),
            tmp_path / "a.png",
            str(tmp_path / "a.png"),
            Held(tmp_path / "a.png"),
            content,
            io.BytesIO(content),
        ],
    )
    assert len(kochi.load(seer).predict(np.stack([pixels, pixels, pixels, pixels]))) == 4


def test_recordings(listener, tmp_path):
    samples = samples_of("abc")
    soundfile.write(tmp_path / "a.wav", samples, RATE_HZ)
    content = (tmp_path / "a.wav").read_bytes()
    model = kochi.load(listener)
    check_alike(
        model,
        [
            samples,
            torch.from_numpy(samples),
            (samples / 32768).astype(np.float32),
            torch.from_numpy(samples / 32768),
            tmp_path / "a.wav",
            str(tmp_path / "a.wav"),
            Held(tmp_path / "a.wav"),
            content,
            io.BytesIO(content),
        ],
    )
    assert len(model.predict(np.stack([samples, samples]))) == 2


def test_features(heard, tmp_path):
    frames = frames_of("ab").astype(np.float32)
    np.save(tmp_path / "a.npy", frames)
    content = (tmp_path / "a.npy").read_bytes()
    model = kochi.load(heard)
    sources = [
        frames,
        frames.astype(np.float64),
        torch.from_numpy(frames),
        torch.from_numpy(frames).requires_grad_(),
        tmp_path / "a.npy",
        str(tmp_path / "a.npy"),
        Held(tmp_path / "a.npy"),
        content,
        io.BytesIO(content),
    ]
    check_alike(model, sources)
    assert [one.text for one in model.predict(np.stack([frames, frames]))] == ["ab", "ab"]


def test_texts(tiny):
    model = kochi.load(tiny)
    for sources in ("ab", np.str_("ab"), ["ab"], ("ab",), np.array(["ab"]), iter(["ab"])):
        assert [one.text for one in model.predict(sources)] == ["A B"]
    assert [one.text for one in model.predict_stream("ab")] == ["A B"]
    assert [one.text for one in model.sample("ab", temperature=0.1)] == ["A B"]


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (7, "sources: found int; expected"),
        (None, "sources: found NoneType; expected"),
        ({"a": 1}, "sources: found dict; expected"),
        (["a", None], r"sources\[1\]: found NoneType; expected"),
        (["a", 2.5], r"sources\[1\]: found float; expected"),
        ([["a"]], r"sources\[0\]: found list; expected"),
        ([np.array(["a"])], r"sources\[0\]: found ndarray of shape \(1,\) and type <U1; expected"),
    ],
)
@pytest.mark.parametrize("name", ["tiny", "seer", "heard", "listener"])
def test_anything_else_is_one_type_error(request, name, sources, found):
    model = kochi.load(request.getfixturevalue(name))
    if name != "tiny" and isinstance(sources, list) and isinstance(sources[0], str):
        sources = [np.zeros((8, 8), np.uint8), sources[1]]
    for errors in ("raise", "skip"):
        with pytest.raises(TypeError, match=found) as caught:
            model.predict(sources, errors=errors)
        assert model.source.takes in str(caught.value)


def test_a_model_of_text_takes_no_files(tiny, tmp_path):
    model = kochi.load(tiny)
    for source in (tmp_path / "a.txt", b"ab", np.zeros(3)):
        for sources in (source, [source]):
            with pytest.raises(TypeError, match=r"expected text \(str\)"):
                model.predict(sources)


def test_errors_are_raised_or_skipped(tiny, seer):
    model = kochi.load(tiny)
    sources = ["ab", "", "a" * 300, "b"]
    with pytest.raises(kochi.prediction.SourceError, match=r"sources\[1\]: empty"):
        model.predict(sources)
    for found in (model.predict(sources, errors="skip"), model.sample(sources, errors="skip")):
        assert [one.error is None for one in found] == [True, True, False, True]
        assert (found[1].text, found[1].n_best[0].text, found[2].n_best) == ("", "", ())
        assert str(found[2].error).startswith("300 tokens; the model reads at most 256")
    streamed = list(model.predict_stream(sources * 20, errors="skip", batch_size=1))
    assert [one.text for one in streamed] == ["A B", "", "", "B"] * 20
    pictures = [picture_of(("red",)), np.zeros((2, 2), np.uint8), picture_of(("blue",))]
    found = list(kochi.load(seer).predict_stream(pictures, errors="skip", batch_size=1))
    assert [one.text for one in found] == ["red", "", "blue"]
    assert "found 2 x 2 pixels" in str(found[1].error)
