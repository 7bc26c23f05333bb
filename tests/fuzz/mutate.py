"""Hostile values and damaged bytes, drawn by a seeded generator."""

import os
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

Item = TypeVar("Item")

INTEGERS = (
    0,
    -1,
    1,
    2,
    3,
    7,
    255,
    65_536,
    20_000_000,
    2**31,
    2**32,
    2**63,
    2**64,
    10**30,
    -(2**63),
)
FLOATS = (0.0, -0.0, 1e-320, 1e308, -1e308, 0.5, float("nan"), float("inf"), float("-inf"))
# As little-endian words in the header of a binary file.
WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TEXTS = (
    "",
    " ",
    "\t",
    "\n",
    "\r",
    "a\rb",
    "a\u2028b\x85c",
    "\0",
    "\ufeff",
    "\x1b]0;title\x07\x1b[2J",
    "\x9b31m",
    "a\u202eb\u2066c",
    "e\u0301" * 40,
    "👩‍👩‍👧‍👦🇯🇵",
    "\U000e0041\ufdd0\uffff",
    "ﷺ",
    "'\"`\\",
    '"unclosed',
    "<script>alert(1)</script>",
    "<pad>< unk ></s>▁▁",
    "{0.__class__}%s%n",
    "nan",
    "1e999",
    "-0",
    "null",
    "../../../etc/passwd",
    "x" * 10_000,
    "é" * 5_000,
)
PATHS = (
    "",
    ".",
    "..",
    "/",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/stdin",
    "/dev/tty",
    "/proc/self/mem",
    "/proc/self/environ",
    "/nowhere/x",
    "fifo",
    "loop",
    "dangling",
    "folder",
    "empty",
    "run.toml",
    "run.toml/x",
    "~",
    "http://127.0.0.1:9/x",
    "x" * 300,
    "a\0b",
    "a\nb",
    "\x1b[31m.tsv",
)


def place_traps(folder: Path) -> None:
    """Make what `PATHS` names: a pipe that nobody writes to, links that lead nowhere, a folder."""
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "folder").mkdir()
    (folder / "empty").touch()


def pick(draw: Random, items: Sequence[Item]) -> Item:
    """Draw one item."""
    return items[draw.randrange(len(items))]


def odd_text(draw: Random) -> str:
    """Draw a text that few expect."""
    if draw.random() < 0.7:
        return pick(draw, TEXTS)
    alphabet = (range(128), range(0x80, 0x3000), range(0xE000, 0x10FFFF))
    return "".join(chr(draw.choice(pick(draw, alphabet))) for _ in range(draw.randint(1, 20)))


def odd_value(draw: Random, depth: int = 2) -> Any:
    """Draw a value of any type that TOML and JSON have in common."""
    match draw.randrange(8 if depth else 6):
        case 0 | 1:
            return pick(draw, INTEGERS)
        case 2:
            return pick(draw, FLOATS)
        case 3:
            return odd_text(draw)
        case 4:
            return pick(draw, PATHS)
        case 5:
            return draw.random() < 0.5
        case 6:
            return [odd_value(draw, depth - 1) for _ in range(draw.randint(0, 3))]
        case _:
            return {odd_text(draw): odd_value(draw, depth - 1) for _ in range(draw.randint(0, 2))}


def change_tree(draw: Random, tree: Any, value: Callable[[], Any]) -> None:
    """Change one entry of nested dicts and lists: another value, none, another name, one more."""
    inner = tree
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            if isinstance(inner, dict):
                inner[odd_text(draw)] = value()
            return
        key = pick(draw, keys)
        if isinstance(inner[key], dict | list) and draw.random() < 0.85:
            inner = inner[key]
            continue
        break
    action = draw.randrange(10)
    if action < 6:
        inner[key] = value()
    elif action < 7:
        del inner[key]
    elif isinstance(inner, list):
        inner.append(value())
    elif action < 8:
        inner[odd_text(draw)] = inner.pop(key)
    else:
        inner[pick(draw, ("", "kind", "dev", "size", odd_text(draw)))] = value()


def nest(depth: int, start: str = "[", end: str = "]") -> str:
    """Return brackets within brackets."""
    return start * depth + end * depth


def damage(draw: Random, content: bytes, header: int = 0) -> bytes:
    """Damage bytes once.

    Args:
        draw: Draws how and where.
        content: The bytes.
        header: Bytes at the start in which half of the damage is done.
    """
    if not content:
        return draw.randbytes(draw.randint(1, 40))
    most = header if header and draw.random() < 0.5 else len(content)
    place = draw.randrange(min(most, len(content)))
    piece = draw.randint(1, 1 << draw.randint(0, 10))
    before, after = content[:place], content[place:]
    match draw.randrange(12):
        case 0 | 1 | 2:
            return before + bytes([after[0] ^ 1 << draw.randrange(8)]) + after[1:]
        case 3:
            return before
        case 4:
            return content + draw.randbytes(piece)
        case 5:
            return before + after[piece:]
        case 6:
            return before + draw.randbytes(piece) + after
        case 7:
            return before + after[:piece] + after
        case 8:
            return before + bytes(piece) + after[piece:]
        case 9:
            size = pick(draw, (1, 2, 4, 8))
            word = (pick(draw, WORDS) & (1 << 8 * size) - 1).to_bytes(
                size, pick(draw, ("little", "big"))
            )
            return before + word + after[size:]
        case 10:
            return after + before
        case _:
            return pick(
                draw, (b"", bytes(len(content)), draw.randbytes(len(content)), b"\n", b"{}")
            )


def damage_lines(draw: Random, text: str, separators: str = "\t") -> bytes:
    """Damage a text of lines in the ways in which tables go wrong."""
    lines = text.split("\n")
    number = draw.randrange(len(lines))
    line = lines[number]
    place = draw.randint(0, len(line))
    match draw.randrange(10):
        case 0 | 1 | 2:
            lines[number] = line[:place] + odd_text(draw) + line[place:]
        case 3:
            lines[number] = line + pick(draw, separators) * draw.randint(1, 9)
        case 4:
            lines[number] = line.replace(pick(draw, separators), odd_text(draw), 1)
        case 5:
            lines.insert(number, odd_text(draw))
        case 6:
            del lines[number]
        case 7:
            cells = line.split(separators[0])
            cells[draw.randrange(len(cells))] = odd_text(draw)
            lines[number] = separators[0].join(cells)
        case 8:
            lines = [one + odd_text(draw) for one in lines]
        case _:
            lines = lines[:1] if draw.random() < 0.5 else lines[1:]
    joined = pick(draw, ("\n", "\n", "\n", "\r\n", "\r", "\n\n", "\0")).join(lines)
    encoding = pick(draw, (*["utf-8"] * 6, "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"))
    content = joined.encode(encoding, pick(draw, ("replace", "xmlcharrefreplace")))
    return damage(draw, content) if draw.random() < 0.3 else content


def replace_file(draw: Random, path: Path) -> None:
    """Put something that is no regular file with content in the place of a file."""
    path.unlink()
    match draw.randrange(9):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(pick(draw, ("/dev/zero", "/dev/null", "/dev/full", "/dev/stdin")))
        case 2:
            path.symlink_to(path.name)
        case 3:
            path.symlink_to("nowhere")
        case 4:
            path.mkdir()
        case 5:
            path.touch()
        case 6:
            with path.open("wb") as file:
                file.truncate(pick(draw, (1 << 20, 5 << 30)))  # takes no room on the disk
        case 7:
            with socket.socket(socket.AF_UNIX) as server:
                here = Path.cwd()
                os.chdir(path.parent)  # a socket's name is short
                server.bind(path.name)
                os.chdir(here)
        case _:
            path.symlink_to(pick(draw, ("/proc/self/environ", "/etc/passwd", "..")))


def copy_folder(source: Path, folder: Path) -> Path:
    """Copy a folder, links to files as links."""
    return Path(shutil.copytree(source, folder, symlinks=True))
