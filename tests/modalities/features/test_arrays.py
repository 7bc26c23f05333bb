"""Headers of arrays are checked before memory is taken."""

import io
import random
import struct
import zipfile

import numpy as np
import pytest

from kochi.contents import Contents
from kochi.errors import UserError
from kochi.modalities.features.arrays import Archive, read_npy


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    raw = text.encode()
    count = len(raw) if length is None else length
    size = struct.pack("<H" if version == 1 else "<I", count)
    return b"\x93NUMPY" + bytes([version, 0]) + size + raw


def read(content: bytes) -> np.ndarray:
    return read_npy(Contents(content, "a.npy"), "a.npy", lambda _: None)


PLAIN = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
WRONG = {
    "unclosed": (header("{'descr': '<f4', 'shape': (2, ("), "its header is not one"),
    "called": (header(PLAIN.replace("2, 2", "__import__('os').getpid(), 2")), "its header is not"),
    "deep": (header("(" * 9000), "its header is not one"),
    "long": (header("", 2, 0xFFFFFFF0), r"a header of 4,294,967,280 bytes"),
    "objects": (header(PLAIN.replace("<f4", "|O")) + b"\x80\x04N.", r"type \|O, expected numbers"),
    "records": (header(PLAIN.replace("'<f4'", "[('a', '<f4')]")), "its header is not one"),
    "huge": (header(PLAIN.replace("2, 2", f"{10**17}, 2")), r"needs [\d,]+ bytes; expected at"),
    "many digits": (header(PLAIN.replace("2, 2", "9" * 5000)), "its header is not one"),
    "negative": (header(PLAIN.replace("2, 2", "-1, 2")), "its header is not one"),
    "cut off": (header(PLAIN) + bytes(15), "needs 16 bytes, found 15"),
    "too long": (header(PLAIN) + bytes(17), "needs 16 bytes, found 17"),
    "version": (header(PLAIN, 9), "version 9"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=list(WRONG))
def test_a_header_that_cannot_be_meant(content, message):
    with pytest.raises(UserError, match=rf"^a\.npy: .*{message}"):
        read(content)


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f8", "<i2", "|u1", ">i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read(kind, order):
    array = np.array([[1, 2, 3], [4, 5, 6]], kind, order=order)
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, version)
        assert read(file.getvalue()).tolist() == array.tolist()
    long = header(PLAIN.replace("2, 2", "2L, 1L")) + bytes(8)  # of Python 2
    assert read(long).shape == (2, 1)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    shape = (100_000_000, 5)
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as file,
    ):
        file.write(header(PLAIN.replace("2, 2", f"{shape[0]}, 5")))
        file.write(bytes(1000))
    with pytest.raises(UserError, match="needs 2,000,000,000 bytes; expected at most"):
        Archive(tmp_path / "a.npz").read("a", "a", lambda _: None)


def test_a_directory_that_lies_is_noticed(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((50, 5), np.float32))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24  # the size before compression
    for size in (1, 1128 + 4, 2**31):
        content[place : place + 4] = struct.pack("<I", size)
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"^b: "):
            Archive(tmp_path / "b.npz").read("a", "b", lambda _: None)


def test_damaged_archives_are_one_line(tmp_path):
    """What a byte more, less or other makes of a file is an array or a line."""
    np.savez_compressed(tmp_path / "a.npz", a=np.eye(5, dtype=np.float32), b=np.ones((2, 5)))
    whole, draws, refused = (tmp_path / "a.npz").read_bytes(), random.Random(1), 0
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(draws.randint(1, 4)):
            content[draws.randrange(len(content))] = draws.randrange(256)
        line = _complaint(_write(tmp_path, content))
        refused += line is not None
        assert line is None or "\n" not in line
    assert refused > 100


def _complaint(path):
    """Read all arrays; return what is wrong."""
    try:
        archive = Archive(path)
        for key in archive.keys:
            archive.read(key, "a", lambda _: None)
    except UserError as error:
        return str(error)
    return None


def _write(folder, content):
    (folder / "b.npz").write_bytes(content)
    return folder / "b.npz"
