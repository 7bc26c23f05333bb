"""The source distribution and the wheel, built and installed in fresh environments."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from kochi import __version__

ROOT = Path(__file__).parent.parent
PARTS = ("src", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
BUILD = "import sys, setuptools.build_meta as b; getattr(b, sys.argv[1])(sys.argv[2])"
OLD = ROOT / "tests" / "fixtures" / "models-of-bc4d989" / "rnn"
ATTENTION = """
import json, sys, torch
from kochi import attention

attend = attention.build(score="additive", query_size=8, memory_size=8)
memory = attend.project(torch.randn(2, 5, 8))
assert attend(torch.randn(2, 3, 8), memory).context.shape == (2, 3, 8)
print(json.dumps(sorted(sys.modules)))
"""


def run(*words: object, cwd: Path, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = list(map(str, words))
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, input=stdin)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source distribution, and that from a copy of the sources."""
    copy, dist = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.egg-info"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    done = run(sys.executable, "-c", BUILD, "build_sdist", dist, cwd=copy)
    assert not done.returncode, done.stderr
    [sdist] = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(dist, filter="data")
    unpacked = sdist.with_name(sdist.name.removesuffix(".tar.gz"))
    done = run(sys.executable, "-c", BUILD, "build_wheel", dist, cwd=unpacked)
    assert not done.returncode, done.stderr
    return next(dist.glob("*.whl"))


def closure(names: set[str]) -> set[str]:
    """Name distributions and all that they need, extras left out."""
    found: set[str] = set()
    while names - found:
        name = min(names - found)
        found.add(name)
        for line in distribution(name).requires or ():
            needed, _, condition = line.partition(";")
            applies = "extra" not in condition and "win32" not in condition
            word = re.split(r"[^\w.-]", needed.strip())[0].lower().replace("_", "-")
            if applies and _installed(word):
                names.add(word)
    return found


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except ModuleNotFoundError:
        return False
    return True


def environment(folder: Path, wheel: Path, names: set[str]) -> Path:
    """Make an environment with the wheel and links to distributions of this one; its Python."""
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in closure(names):
        dist = distribution(name)
        tops = {Path(file).parts[0] for file in dist.files or () if file.parts[0] not in ("..",)}
        for top in tops - {"__pycache__"}:
            target = Path(str(dist.locate_file(top)))
            if target.exists() and not (packages / top).exists():
                (packages / top).symlink_to(target)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_attention_in_an_environment_with_nothing_else(wheel: Path, tmp_path: Path) -> None:
    names = {"torch", "numpy", "jaxtyping", "einops"}
    python = environment(tmp_path / "venv", wheel, set(names))
    done = run(python, "-c", ATTENTION, cwd=tmp_path)
    assert not done.returncode, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert "kochi" in loaded and not loaded & {
        "pydantic",
        "tokenizers",
        "typer",
        "lightning_fabric",
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_the_wheel_predicts_text_and_names_the_extra_of_the_rest(
    wheel: Path, tmp_path: Path, task: Path
) -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    base = {re.split(r"[^\w.-]", line)[0] for line in needed}
    python = environment(tmp_path / "venv", wheel, base)
    version = run(python, "-m", "kochi", "--version", cwd=tmp_path)
    assert version.stdout == f"kochi {__version__}\n", version.stderr
    done = run(python, "-m", "kochi", "predict", OLD, cwd=tmp_path, stdin="abc\n")
    assert not done.returncode, done.stderr
    assert len(done.stdout.splitlines()) == 1
    done = run(python, "-m", "kochi", "train", task, cwd=tmp_path)
    assert done.returncode == 2 and "kochi[train]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    sources = {
        str(file.relative_to(ROOT / "src"))
        for file in (ROOT / "src" / "kochi").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert sources <= set(names), sorted(sources - set(names))
    assert any(name.endswith("LICENSE") for name in names)
    assert not any(name.startswith(("tests", "docs", "demos")) for name in names)
