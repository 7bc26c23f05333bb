"""The README, the docs and the examples use what is public, and nothing else."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "docs" / "mechanisms").glob("*.md"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
STABLE = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
PUBLIC = set(re.findall(r"`(kochi(?:\.\w+)*)`", STABLE.partition("A test holds")[0]))


def code_of(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield text
    else:
        yield from re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def used_in(file: Path) -> Iterator[tuple[str, str]]:
    """Give module and name of each import from kochi."""
    for code in code_of(file):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if module.split(".")[0] == "kochi":
                    yield from ((module, name.name) for name in node.names)
            elif isinstance(node, ast.Import):
                names = (name.name for name in node.names)
                yield from ((name, "") for name in names if name.split(".")[0] == "kochi")


FILES = [file for file in (*PAGES, *EXAMPLES) if any(used_in(file))]


def test_there_is_something_to_check():
    assert len(FILES) >= 6 and len(PUBLIC) >= 12


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_only_public_names_are_imported(file):
    for module, name in used_in(file):
        assert module in PUBLIC, f"{file.name}: {module} is private"
        if name:
            assert name in import_module(module).__all__, f"{file.name}: {module}.{name} is private"


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_every_public_name_is_there(module):
    found = import_module(module)
    assert found.__all__ == sorted(found.__all__, key=lambda name: (not name.isupper(), name))
    for name in found.__all__:
        assert getattr(found, name) is not None
