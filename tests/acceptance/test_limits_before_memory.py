"""Limits are checked before memory is taken."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

MIB = 1 << 20
MEASURE = """
import sys
from pathlib import Path
from kochi.cli import main
code = main(sys.argv[1:])
# Not getrusage: its figure begins with that of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(code, int(status["VmHWM"].split()[0]) * 1024, file=sys.stderr)
"""


def measured(*arguments):
    """Run the command in a process of its own; return its code, largest size and messages."""
    if sys.platform != "linux":
        pytest.skip("the largest size of a process is read from /proc")
    command = [sys.executable, "-c", MEASURE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    *lines, last = done.stderr.splitlines()
    code, size = map(int, last.split())
    return code, size, "\n".join(lines)


@pytest.fixture
def copied(tiny, tmp_path):
    """A model folder that may be changed."""
    shutil.copytree(tiny, tmp_path / "copy")
    return tmp_path / "copy"


def seal(folder):
    """Write the manifest that belongs to the files, as whoever changes them can."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        sha = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha}
    path.write_text(json.dumps(manifest))


def change(path, old, new):
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


def complaint(result):
    assert result.code == 2, result
    [line] = result.err.splitlines()
    return line


# The matplotlib, torch and 49 megapixels that are decoded: a child process is the only measure.
def test_a_picture_of_49_megapixels_is_shown_in_less_than_a_gigabyte(seer, tmp_path):
    Image.new("RGB", (7000, 7000), "red").save(tmp_path / "a.png")
    code, size, said = measured("show", seer, tmp_path / "a.png", "--out", tmp_path / "x.png")
    assert code == 0, said
    assert size < 1000 * MIB and (tmp_path / "x.png").exists()


def test_an_archive_that_unpacks_to_gigabytes(kochi, heard, tmp_path):
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (400000000, 5), }"
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        file.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
        for _ in range(100):
            file.write(bytes(MIB))
    result = kochi("predict", heard, tmp_path / "a.npz")
    assert result.code == 1 and "400000000 frames are" in result.err


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (r"embedding_size = \d+", "embedding_size = 20000000", r"expects \(\d+, 20000000\)"),
        (r"embedding_size = \d+", f"embedding_size = {2**63 - 1}", "a size is too large"),
        (r"encoder_layers = \d+", "encoder_layers = 1000000000", "less than or equal to 1000"),
        (r"beam = \d+", "beam = 1000000000", "less than or equal to"),
    ],
)
def test_a_run_file_with_sizes_that_the_weights_have_not(kochi, copied, old, new, expected):
    change(copied / "run.toml", old, new)
    seal(copied)
    assert re.search(expected, complaint(kochi("predict", copied, stdin=b"a\n")))


@pytest.mark.parametrize("size", [200_000_000_000, 2**62])
def test_training_a_model_beyond_all_memory(kochi, task, size):
    line = complaint(kochi("train", task, "--set", f"model.embedding_size={size}"))
    assert "of memory, found" in line or "a size is too large" in line


def test_a_header_of_weights_that_lies(kochi, copied):
    path = copied / "model.safetensors"
    content = path.read_bytes()
    count = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + count])
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = [10**9, 10**9]
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + content[8 + count :])
    seal(copied)
    assert f"weight {name} has shape" in complaint(kochi("predict", copied, stdin=b"a\n"))
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{}")
    seal(copied)
    assert "cannot be read as a safetensors" in complaint(kochi("predict", copied, stdin=b"a\n"))


def test_a_size_in_the_manifest_is_compared_before_reading(kochi, copied):
    with (copied / "model.safetensors").open("r+b") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    assert "altered since it was written" in complaint(kochi("predict", copied, stdin=b"a\n"))


def test_a_line_without_end(kochi, tiny, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a" * (100 << 20) + b"\nab\n")
    result = kochi("predict", tiny, tmp_path / "a.txt")
    assert result.code == 1 and "a.txt:1: a line of more than 1,048,576 bytes" in result.err
    assert result.lines[0] == "" and result.lines[1]
    assert kochi("predict", tiny, stdin=b"a" * (2 << 20) + b"\nab\n").lines == result.lines


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38, -1e30, 1e16])
def test_numbers_of_which_a_model_makes_nan(kochi, heard, tmp_path, value):
    good = np.ones((8, 5), np.float32)
    bad = good.copy()
    bad[3, 2] = value
    np.save(tmp_path / "good.npy", good)
    np.save(tmp_path / "bad.npy", bad)
    result = kochi("predict", heard, tmp_path / "bad.npy", tmp_path / "good.npy")
    assert result.code == 1 and len(result.lines) == 2
    assert "bad.npy: frame 4 of 8 holds" in result.err and "Traceback" not in result.err


def test_a_model_that_computes_nan(kochi, copied):
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    spoilt = {name: tensor.fill_(float("nan")) for name, tensor in weights.items()}
    save_file(spoilt, copied / "model.safetensors", {"format": "pt"})
    seal(copied)
    result = kochi("predict", copied, stdin=b"a\n")
    assert (result.code, result.out) == (1, "\n")
    assert "scores are not finite" in result.err and "Traceback" not in result.err
