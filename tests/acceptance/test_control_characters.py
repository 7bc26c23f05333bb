"""What a file, a name or a model holds is shown in a terminal, never obeyed by it."""

import ast
import io
import json
import os
import pty
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kochi
from kochi.cli import main
from kochi.printing import Guarded, put, put_json, say
from kochi.training.progress import Progress
from kochi.visible import visible_text
from tests.conftest import LETTERS, RUN, Made, run_command

# What terminals obey, what forges lines, and what turns the writing direction.
BAD = [
    *map(chr, [*range(0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    "\U000e0041",
]
NAME = "a\x1b[8mb\x9b2Jc\nd\u202ee\x7f"  # of files
SAID = "a␛[8mb<009B>2Jc␊d<202E>e<007F>"
OURS = re.compile(r"\x1b\[(?!8m)(\?25[hl]|[0-9;]*m|[0-9]*[AK])|\r")  # of rich's bars and colours
ANSWERS = dict(
    zip(LETTERS, ["\x1b]0;owned\x07", "\x9b31m", "\u202e", "\x7f", "\x08", "f"], strict=True)
)


def obeyed(text: str) -> set[str]:
    """Return what a terminal would obey in a text; line ends and rich's colours are ours."""
    return set(OURS.sub("", text).replace("\n", "")) & set(BAD)


Terminal = Callable[..., tuple[int, str, str]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Run the command with stdout and stderr on terminals; return the code and what they got."""
    opened: list[int] = []

    def run(*arguments: object, stdin: str = "") -> tuple[int, str, str]:
        ends = [pty.openpty() for _ in range(2)]
        opened.extend(end for pair in ends for end in pair)
        out, err = (os.fdopen(os.dup(end), "w", encoding="utf-8") for _, end in ends)
        with out, err, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main([str(argument) for argument in arguments])
        texts = []
        for reading, _ in ends:
            os.set_blocking(reading, False)
            got = b""
            while True:
                try:
                    got += os.read(reading, 1 << 16)
                except BlockingIOError:
                    break
            texts.append(got.decode())
        return code, texts[0], texts[1]

    yield run
    for end in opened:
        os.close(end)


@pytest.fixture(scope="session")
def hostile(made_once: Made) -> Path:
    """A model folder: it has learned to say control characters."""

    def make(folder: Path) -> None:
        words = [first + second for first in LETTERS for second in LETTERS] * 4
        rows = [f"{word}\t{''.join(ANSWERS[letter] for letter in word)}" for word in words]
        for name in ("train.tsv", "dev.tsv"):
            text = "\n".join(["source\ttarget", *rows]) + "\n"
            (folder / name).write_text(text, encoding="utf-8")
        run = RUN.replace('target.tokens = "whitespace"', 'target.tokens = "characters"')
        (folder / "run.toml").write_text(run.replace('"per"', '"cer"'), encoding="utf-8")
        result = run_command("train", folder / "run.toml")
        assert result.code == 0, result.err
        assert not obeyed(result.err)  # the examples at each evaluation
        assert not obeyed(result.out)

    return made_once("hostile", make) / "model"


def test_everything_that_terminals_obey_is_spelt_out() -> None:
    shown = visible_text("".join(BAD))
    assert not obeyed(shown)
    assert "\n" not in shown
    assert visible_text("naïve 日本\u3000語 \u05e9 e\u0301 \U0001f469\u200d\U0001f52c") == (
        "naïve 日本\u3000語 \u05e9 e\u0301 \U0001f469\u200d\U0001f52c"
    )


@pytest.mark.parametrize("options", [[], ["--n-best", "2"], ["--json"]])
def test_predictions_are_shown_in_a_terminal(
    hostile: Path, terminal: Terminal, options: list[str]
) -> None:
    code, out, err = terminal("predict", hostile, *options, stdin="ab\ncd\n")
    assert code == 0
    assert not obeyed(out.replace("\t", "")), out
    assert not obeyed(err)
    if options == ["--json"]:
        text = json.loads(out.splitlines()[0])["text"]
        assert text == ANSWERS["a"] + ANSWERS["b"]  # still the same JSON value
    else:
        assert "␛]0;owned␇<009B>31m" in out


def test_predictions_are_as_they_are_in_a_pipe(hostile: Path) -> None:
    assert run_command("predict", hostile, stdin=b"ab\n").out == ANSWERS["a"] + ANSWERS["b"] + "\n"
    record = run_command("predict", hostile, "--json", stdin=b"cd\n").out
    assert ANSWERS["c"] + ANSWERS["d"] in record


def test_show_and_compare_and_evaluate_are_safe(
    hostile: Path, terminal: Terminal, tmp_path: Path
) -> None:
    other = tmp_path / NAME
    shutil.copytree(hostile, other)
    for words in (
        ("show", hostile, "ab"),
        ("show", hostile, "a\x1b[8m\u202eb"),
        ("compare", hostile, other, "--data", "dev"),
        ("compare", hostile, other, hostile.parent / "dev.tsv", "--show", "2"),
        ("evaluate", other, "dev"),
        ("align", hostile, tmp_path / f"{NAME}.src", tmp_path / "no.tgt"),
    ):
        _, out, err = terminal(*words)
        assert out + err
        assert not obeyed(out), (words, out)
        assert not obeyed(err), (words, err)


@pytest.mark.parametrize(
    "words",
    [
        ["train", NAME],
        ["predict", NAME],
        ["show", NAME, "x"],
        ["init", NAME],
        [NAME],
        ["predict", f"--{NAME}"],
        ["predict", "m", "--beam", NAME],
        ["predict", "m", "--device", NAME],
        ["mechanisms", "--heads", NAME],
        ["study", NAME],
        ["evaluate", NAME, NAME],
        ["compare", NAME, NAME, NAME],
        ["align", NAME, NAME, NAME],
    ],
    ids=lambda words: words[0][:8],
)
def test_names_and_words_of_the_user(terminal: Terminal, words: list[str]) -> None:
    code, out, err = terminal(*words)
    assert code == 2
    assert not obeyed(out + err), out + err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "line",
    ['"k\\u001b[8m\\u009b\\u202e" = 1', 'seed = "\\u001b]0;x\\u0007"', 'a = "\x1b[8m"', "\x9b"],
)
def test_keys_and_values_of_a_run_file(task: Path, terminal: Terminal, line: str) -> None:
    task.write_text(f"{line}\n{task.read_text()}", encoding="utf-8")
    code, out, err = terminal("train", task)
    assert code == 2
    assert not obeyed(out + err), out + err


def test_init_shows_rows_and_names(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{word}\x1b[8m{number}\tx\x9b31m\u202e{number}" for number in range(40) for word in "ab"
    ]
    Path(f"{NAME}.tsv").write_text("\n".join(["source\ttarget", *rows]) + "\n", encoding="utf-8")
    code, out, err = terminal("init", f"{NAME}.tsv", "--no-estimate")
    assert code == 0, err
    assert SAID in out
    assert not obeyed(out + err), out + err


def test_the_progress_of_a_training_in_a_terminal() -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    for screen in (Screen(), io.StringIO()):
        progress = Progress(Guarded(screen))
        progress.start(0, 10, 1)
        progress.message(f"{NAME}: cannot be read")
        progress.stop()
        text = screen.getvalue()
        assert f"{SAID}: cannot" in text.replace("\n", "")
        assert "\x1b[8m" not in text
        assert not {"\x9b", "\u202e", "\x7f"} & set(text)


def test_what_others_write_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's warning may name a file; so may the traceback of a fault of ours."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", Guarded(stream))
    sys.stderr.write(warnings.formatwarning(f"{NAME} is odd", UserWarning, "x.py", 1))
    sys.excepthook(ValueError, ValueError(NAME), None)
    assert not obeyed(stream.getvalue())
    assert "is odd" in stream.getvalue()


def test_a_stream_that_lacks_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    say("a\x1b")
    stream.flush()
    assert stream.buffer.getvalue() == b"a\\u241b\n"


def test_what_is_for_a_closed_stream_goes_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    open_stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", open_stream)
    say("a")
    put("a")
    put_json("a")
    assert open_stream.getvalue() == ""
    monkeypatch.setattr(sys, "stdout", open_stream)
    monkeypatch.setattr(sys, "stderr", None)
    say("a", error=True)
    assert open_stream.getvalue() == ""


def test_all_that_is_printed_passes_one_place() -> None:
    source = Path(kochi.__file__).parent
    for file in source.rglob("*.py"):
        if file.relative_to(source).as_posix() in ("printing.py", "training/progress.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("print", "typer.echo", "typer.secho"), f"{file}: {called}"
                assert not re.fullmatch(r"sys\.std(out|err)\.write", called), f"{file}: {called}"
                assert not re.search(r"console\.(print|log)$", called), f"{file}: {called}"
