"""What works without which packages: in processes in which they cannot be imported."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from kochi.extras import EXTRAS

ROOT = Path(__file__).parent.parent
OLD = ROOT / "tests" / "fixtures" / "models-of-bc4d989" / "rnn"
BLOCK = """
import sys

sys.modules.update(dict.fromkeys({blocked!r}))  # None: importing it fails, as if it were missing
"""
ATTENTION = """
import torch
from kochi import attention
from kochi.attention import RELATIVES, SCOPES, SCORES, SELECTIONS

for slot, key in ((SCORES, "score"), (SCOPES, "scope"), (SELECTIONS, "selection")):
    for name in slot.builtin:
        attention.build(**{key: name}, query_size=8, memory_size=8, num_heads=2)
found = attention.build(score="additive", query_size=8, memory_size=8)
memory = found.project(torch.randn(2, 5, 8))
print(found(torch.randn(2, 3, 8), memory, need_alignment=True).context.shape)
"""


def without(packages, program, *arguments, stdin=""):
    """Run a program where these packages are missing, as in an environment without them."""
    code = BLOCK.format(blocked=set(packages)) + program
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, input=stdin)


COMMAND = "from kochi.cli import main\nsys.exit(main(sys.argv[1:]))"


def of_kochi_alone():
    """Name the modules of all that kochi depends on, but for what its attention may need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {line.partition(">")[0].lower() for line in project["dependencies"]}
    kept = {"torch", "numpy", "jaxtyping", "einops", "typing-extensions"}  # the last is torch's
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if {one.lower().replace("_", "-") for one in distributions} & (named - kept)
    }
    return modules | EXTRAS.keys()


def test_attention_needs_torch_numpy_jaxtyping_and_einops_alone():
    blocked = of_kochi_alone()
    assert {"pydantic", "tokenizers", "typer", "safetensors", "lightning_fabric"} <= blocked
    done = without(blocked, ATTENTION)
    assert done.returncode == 0, done.stderr
    assert "torch.Size([2, 3, 8])" in done.stdout


def test_text_is_answered_without_any_extra():
    done = without(EXTRAS, COMMAND, "predict", OLD, stdin="a b\n")
    assert done.returncode == 0, done.stderr
    whole = without((), COMMAND, "predict", OLD, stdin="a b\n")
    assert done.stdout == whole.stdout


@pytest.mark.parametrize(
    ("package", "words", "extra"),
    [
        ("lightning_fabric", ("train", "run.toml"), "train"),
        ("matplotlib", ("show", OLD, "a b", "--out", "a.png"), "viz"),
    ],
)
def test_a_missing_extra_is_one_line(package, words, extra, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("source\ttarget\na\tb\n")
    data = '[data]\nkind = "tsv"\ntrain = "pairs.tsv"\n'
    Path("run.toml").write_text(data + '[model]\nkind = "plain"\n')
    done = without([package], COMMAND, *words)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    name = package.replace("_", "-")
    assert f"the package {name}; install it with: pip install 'kochi[{extra}]'" in line


def test_init_writes_a_run_file_where_nothing_can_be_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("pairs.tsv").write_text("".join(f"a{n}\tb{n}\n" for n in range(60)))
    done = without(["lightning_fabric"], COMMAND, "init", "pairs.tsv")
    assert done.returncode == 0 and Path("run.toml").exists()
    assert (
        "cannot estimate the training time: training needs the package lightning-fabric"
        in done.stderr
    )


def test_every_extra_is_one_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = project["optional-dependencies"]
    assert {extra for extra, _ in EXTRAS.values()} <= known.keys()
    for package, (extra, _) in EXTRAS.items():
        name = {"PIL": "pillow"}.get(package, package).replace("_", "-")
        assert any(line.startswith(name) for line in known[extra]), package
