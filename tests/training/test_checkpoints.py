import errno
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from kochi import folder
from kochi.errors import UserError
from kochi.training.checkpoints import read_checkpoint, read_state, write_checkpoint
from kochi.training.sealed import Damaged, write_sealed

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time


class Trap:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint({"step": 3, "w": torch.arange(5.0)}, path)
    found = read_checkpoint(path)
    assert found["step"] == 3
    assert torch.equal(found["w"], torch.arange(5.0))
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_reading_runs_no_code(tmp_path: Path) -> None:
    path, sprung = tmp_path / "last.ckpt", tmp_path / "sprung"
    buffer = io.BytesIO()
    torch.save({"trap": Trap(sprung)}, buffer)
    for content in (buffer.getvalue(), pickle.dumps(Trap(sprung))):
        write_sealed(path, content)
        with pytest.raises(UserError, match=r"last\.ckpt: not a checkpoint of kochi"):
            read_checkpoint(path)
    assert not sprung.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_short_checkpoint_is_one_line(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint({"w": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"damaged or truncated \(\d+ bytes, no checksum"):
        read_checkpoint(path)


def test_a_flipped_bit_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint({"w": torch.ones(3)}, path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(Damaged, match=r"last\.ckpt: damaged"):
            read_checkpoint(path)


def test_the_checkpoint_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for step in (1, 2, 3):
        write_checkpoint({"step": step}, path)
    assert read_checkpoint(path) == {"step": 3}
    assert read_checkpoint(tmp_path / "previous.ckpt") == {"step": 2}


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    write_checkpoint({"step": 1}, path)

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(folder, "write_through", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({"step": 2}, path)
    assert read_checkpoint(path) == {"step": 1}
    assert os.listdir(tmp_path) == ["last.ckpt"]


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_refusal_of_the_system_names_the_file(tmp_path: Path) -> None:
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from kochi.folder import write_atomic\n"
        "path = Path(sys.argv[1])\n"
        "write_atomic(path, b'old')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    write_atomic(path, bytes(5000))\n"
        "except OSError as error:\n"
        "    print(error.filename, error.strerror)\n"
        "print(path.read_bytes(), sorted(p.name for p in path.parent.iterdir()))\n"
    )
    path = tmp_path / "file"
    source = str(Path(folder.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "file.partial File too large" in done.stdout
    assert "b'old' ['file']" in done.stdout


def test_a_checkpoint_of_another_version_is_named(tmp_path):
    path = tmp_path / "last.ckpt"
    write_checkpoint({"kochi": {}, "state_dict": {}, "optimizer_states": []}, path)
    with pytest.raises(Damaged, match=r"last\.ckpt: written by another version of kochi"):
        read_state(path)
