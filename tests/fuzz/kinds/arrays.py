"""Arrays of features: headers of .npy files, values, and archives that are more than they seem."""

import io
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from tests.fuzz.case import Case
from tests.fuzz.mutate import damage, odd_text, pick
from tests.hearing import SIZE, frames_of

SHAPES = (
    "()",
    "(0,)",
    "(0, 5)",
    "(8, 0)",
    "(40,)",
    "(2, 4, 5)",
    "(-1, 5)",
    "(8, 5.0)",
    "(8, True)",
    "(8, '5')",
    "8",
    "None",
    "[8, 5]",
    "(1000000000, 5)",
    "(9223372036854775807, 5)",
    "(99999999999999999999999, 5)",
    "(4611686018427387904, 4)",
    "(1,) * 99",
    "(" + "1, " * 80 + ")",
    "(" + "1, " * 3_000 + ")",
)
TYPES = (
    "<f2",
    "<f8",
    ">f4",
    "<f16",
    "<c8",
    "<i8",
    "|b1",
    "|u1",
    "|O",
    "|V4",
    "<U4",
    "|S4",
    "<M8[s]",
    "<f999999999",
    "",
    "x",
    "<f4,<f4",
    "0f4",
    "99999999999<f4",
)
VALUES = (np.nan, np.inf, -np.inf, 1e38, 3e38, -3e38, 1e-45, 1e10, 0.0)
HEADERS = (
    "",
    "{",
    "}",
    "{'descr': '<f4', 'fortran_order': False}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (8, 5), }",
    "{'descr': [('a', '<f4', (2**30,))], 'fortran_order': False, 'shape': (8, 5), }",
    "{'descr': '<f4', 'fortran_order': 1, 'shape': (8, 5), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 5), 'x': 1}",
    "{'descr': {}, 'fortran_order': False, 'shape': (8, 5), }",
    "{'descr': ('<f4', 3), 'fortran_order': False, 'shape': (8, 5), }",
    "__import__('os').system('true')",
    "(" * 3_000,
    "[" * 90 + "]" * 90,
    "{'descr': '<f4', 'shape': (8, 5), 'fortran_order': False, 'a': '",
    "'''",
    "8L",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (8L, 5L), }",
    "{'descr': '<f4\x1b[31m', 'fortran_order': False, 'shape': (8, 5), }",
    "\udc80é",
)


def _frames(draw: Random) -> np.ndarray:
    return frames_of(draw.choice(("ab", "c", "bca")))


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _with_header(header: str, body: bytes, version: int = 1, size: int | None = None) -> bytes:
    text = header.encode("utf-8", "surrogateescape")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    length = struct.pack(
        "<H" if version == 1 else "<I", (len(text) if size is None else size) % 65_536
    )
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + body


def array(draw: Random) -> bytes:
    """Return an .npy file that something may be wrong with."""
    frames = _frames(draw)
    body, shape, kind = frames.tobytes(), str(frames.shape), "<f4"
    match draw.randrange(10):
        case 0 | 1:
            return damage(draw, _npy(frames), 128)
        case 2 | 3:
            shape = pick(draw, SHAPES)
        case 4:
            kind = pick(draw, TYPES)
        case 5:
            return _with_header(pick(draw, HEADERS), body)
        case 6:
            frames[draw.randrange(len(frames)), draw.randrange(SIZE)] = pick(draw, VALUES)
            return _npy(frames)
        case 7:
            value = pick(draw, VALUES)
            return _npy(np.full(frames.shape, value, draw.choice((np.float32, np.float64))))
        case 8:
            header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}"
            version = draw.choice((0, 2, 3, 4, 255))
            return _with_header(header, body, version, pick(draw, (None, 0, 1, 9, 65_535)))
        case _:
            return _npy(_other(draw, frames))
    order = draw.choice((True, False))
    return _with_header(
        f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}", body
    )


def _other(draw: Random, frames: np.ndarray) -> np.ndarray:
    """Return a whole array of another shape, type or size."""
    match draw.randrange(8):
        case 0:
            return np.zeros((0, SIZE), np.float32)
        case 1:
            return np.zeros((SIZE,), np.float32)
        case 2:
            return frames.astype(
                pick(draw, (np.int8, np.int64, np.float16, np.longdouble, bool, complex))
            )
        case 3:
            return np.tile(frames, (draw.choice((50, 500)), 1))
        case 4:
            return frames[:1]
        case 5:
            return frames[:, : draw.randrange(SIZE)]
        case 6:
            return np.array(["a", "bc"])
        case _:
            return np.asfortranarray(frames)


def archive(draw: Random, keys: tuple[str, ...] = ("a", "b")) -> bytes:
    """Return an .npz file that something may be wrong with."""
    file = io.BytesIO()
    method = draw.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    )
    action = draw.randrange(8)
    with zipfile.ZipFile(file, "w", method) as packed:
        for key in keys if action else ():
            packed.writestr(
                f"{key}.npy", array(draw) if draw.random() < 0.5 else _npy(_frames(draw))
            )
        if action == 1:
            packed.writestr(odd_text(draw).replace("\0", "") + ".npy", array(draw))
        elif action == 2:
            packed.writestr(
                pick(draw, ("../x.npy", "a", "a/", "/x.npy", ".npy", "b.npy/c.npy")), array(draw)
            )
        elif action == 3:
            packed.writestr("z.npy", _bomb(draw), zipfile.ZIP_DEFLATED)
    content = file.getvalue()
    return damage(draw, content) if action >= 5 else content


def _bomb(draw: Random) -> bytes:
    """Return an array that packs well."""
    rows = draw.choice((1_000_000, 8_000_000))
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {SIZE}), }}"
    return _with_header(head, bytes(rows * SIZE))


def make(draw: Random, seeds: Path, folder: Path) -> Case:
    """Ask a model of features, or evaluate it."""
    model = str(seeds / "features" / "model")
    options = pick(draw, ([], [], [], ["--json"], ["--with-names"]))
    writers: tuple[tuple[str, Callable[[Random], bytes]], ...] = (
        ("x.npy", array),
        ("x.npy", array),
        ("x.npz", archive),
    )
    name, write = pick(draw, writers)
    content = write(draw)
    (folder / name).write_bytes(content)
    match draw.randrange(8):
        case 0:
            return Case(["predict", model, "-", *options], content)
        case 1 if name == "x.npz":
            (folder / "x.tsv").write_text("id\ttext\na\tab\nb\tc\n")
            return Case(["evaluate", model, "x.tsv", "x.npz"])
        case 1:
            (folder / "x.tsv").write_text("id\ttext\nx.npy\tab\nx.npy\tc\n")
            return Case(["evaluate", model, "x.tsv"])
        case 2:
            return Case(["show", model, name])
        case 3 if name == "x.npz":
            shutil.copy(folder / name, folder / "train.npz")
            (folder / "train.tsv").write_text("id\ttext\na\tab\nb\tc\n")
            return Case(["init", "train.tsv", "--no-estimate"])
        case _:
            return Case(["predict", model, name, *options])
