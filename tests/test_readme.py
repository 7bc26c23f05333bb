"""What the README shows runs, in its order, on a small file of pairs."""

import re
import shlex
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
INSTALLING = (
    "make demo",
    ".venv/bin/kochi show demo/model photograph",
    "python -m pip install torch",
    "python -m pip install '.[all]'",
    "kochi study all --minutes 30",
)


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)


def test_only_what_is_long_or_installs_is_not_run_here():
    assert {kind for kind, _ in blocks()} == {"sh", "console", "python"}
    shown = [line for kind, text in blocks() if kind == "sh" for line in text.splitlines()]
    assert set(shown) == set(INSTALLING)


@pytest.mark.slow
def test_commands_and_code_run(kochi, tmp_path, monkeypatch):
    words = ["look", "book", "cook", "shook", "looks", "books", "kook", "hook", "lobo", "solo"]
    rows = [f"{word}{end}\t{' '.join(word + end).upper()}" for word in words for end in ("", "s")]
    (tmp_path / "words.tsv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    for kind, text in blocks():
        if kind == "python":
            exec(compile(text, str(README), "exec"), {})
        elif kind == "console":
            for line in text.splitlines():
                run_line(kochi, line.removeprefix("$ "))
    assert (tmp_path / "look.png").stat().st_size > 0
    assert (tmp_path / "again" / "model.safetensors").exists()


def run_line(kochi, line: str) -> None:
    """Run `kochi ...` or `echo TEXT | kochi ...`."""
    said, _, command = line.rpartition(" | ")
    stdin = (" ".join(shlex.split(said)[1:]) + "\n").encode()
    program, *arguments = shlex.split(command)
    assert program == "kochi"
    result = kochi(*arguments, stdin=stdin)
    assert result.code == 0, (line, result.err)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README.read_text("utf-8")):
        assert (README.parent / target).exists(), target
