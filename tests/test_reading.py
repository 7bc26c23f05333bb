"""Files that anybody may have written."""

import os
import re
import threading

import pytest

from kochi.contents import Contents
from kochi.errors import UserError
from kochi.reading import (
    DEEPEST,
    open_file,
    parse_json,
    parse_toml,
    parsing,
    read_file,
    shortened,
)


@pytest.mark.parametrize(
    "error",
    [ValueError("bad\nworse"), RecursionError(), OverflowError(), KeyError("a"), OSError(5, "x")],
)
def test_whatever_a_parser_raises_is_one_line_with_its_cause(error):
    with (
        pytest.raises(
            UserError, match=r"^a\.x: cannot be read as a thing \(.+\); copy the"
        ) as caught,
        parsing("a.x", "a thing"),
    ):
        raise error
    assert "\n" not in str(caught.value) and caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), UserError("mine")])
def test_what_is_no_fault_of_the_file_passes(error):
    with pytest.raises(type(error)) as caught, parsing("a.x", "a thing"):
        raise error
    assert caught.value is error


def test_a_pipe_or_a_device_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.symlink("/dev/zero", tmp_path / "link")
    for name, kind in (("pipe", "a pipe"), ("link", "a device")):
        with pytest.raises(UserError, match=f"{name}: is {kind}; expected a text"):
            open_file(tmp_path / name, "a text")
    with pytest.raises(UserError, match="is a device"):
        open_file(tmp_path / "link", "a text", pipes=True)


def test_a_pipe_that_the_user_names_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"abc",))
    writer.start()
    assert read_file(tmp_path / "pipe", "a text", 10, pipes=True) == b"abc"
    writer.join()


def test_a_size_is_checked_before_reading(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    with pytest.raises(UserError, match=r"a: has 1,099,511,627,776 bytes; expected at most 1,000"):
        read_file(tmp_path / "a", "a text", 1000)
    assert read_file(Contents(b"abc"), "a text", 3) == b"abc"


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 2 * DEEPEST + "]" * 2 * DEEPEST, "1" + "0" * 5000, "1" * 30, '{"a"', ""],
)
def test_json_beyond_the_limits_is_one_line(text):
    with pytest.raises(UserError, match=r"^a\.json: "):
        parse_json(text, "a.json")


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000,
        "x" + ".x" * 200_000 + " = 1",
        "x = 0x" + "f" * 5000,
        "x = 1" + "0" * 5000,
        "x",
    ],
)
def test_toml_beyond_the_limits_is_one_line(text):
    with pytest.raises(UserError, match=r"^a\.toml: cannot be read as TOML"):
        parse_toml(text, "a.toml")


def test_messages_are_short():
    assert len(shortened("a" * 10_000, 50)) == 50
    with pytest.raises(UserError) as caught, parsing("a", "b"):
        raise ValueError("x" * 10_000)
    assert len(str(caught.value)) < 400


def test_readers_list_no_exceptions_of_parsers():
    """Only `kochi.reading` names what a parser may raise."""
    from pathlib import Path

    import kochi

    root = Path(kochi.__file__).parent
    parsers = re.compile(
        r"except.*(zlib|zipfile|BadZipFile|SoundFileError|SyntaxError|csv\.Error|RecursionError|SafetensorError)"
    )
    found = {
        f"{path.name}:{number}"
        for folder in ("data", "sound", "picture", "starting", "view", "commands")
        for path in (root / folder).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if parsers.search(line)
    }
    assert not found
