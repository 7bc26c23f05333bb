"""Packages of somebody else, installed for one test."""

import importlib
import sys
from pathlib import Path

import pytest

from kochi.components import installed

SCORES = '''
import numpy as np
from torch import cdist
from kochi.attention import Score, Scope
from kochi.metrics import Metric


class Distance(Score):
    """Score by the negative distance between query and key.

    Args:
        query_size: Size of a query.
        power: Exponent of the
            distance.
    """

    def __init__(self, query_size: int, *, power: float = 2.0) -> None:
        super().__init__()
        self.power = power

    def forward(self, query, keys):
        return -(cdist(query, keys) ** self.power)


class Unheard(Score):
    def __init__(self, temperature: float) -> None:
        super().__init__()


class Sure(Score):
    def __init__(self, *, power: float) -> None:
        super().__init__()


def distance():
    pass


class Length(Metric):
    """How long answers are, in percent of the references."""

    higher_is_better = True

    def __init__(self, lowercase=False):
        pass

    def count(self, hypotheses, references):
        rows = zip(hypotheses, references, strict=True)
        return np.array([(len(one), len(row[0])) for one, row in rows], np.float64)

    def value(self, totals):
        return 100.0 * totals[0] / totals[1]

    def signature(self, references):
        return "length"
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package: its name, its version, its code, and its entry points by group."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)

    def put(name: str, code: str = SCORES, version: str = "0.1", **points: dict[str, str]) -> None:
        module = name.replace("-", "_")
        (folder / f"{module}.py").write_text(code)
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text(f"{module}.py,,\n")
        groups = [
            f"[kochi.{slot}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items())
            for slot, found in points.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))
        importlib.invalidate_caches()
        installed.cache_clear()

    yield put
    for module in set(sys.modules) - before:
        file = getattr(sys.modules[module], "__file__", None)
        if file is not None and Path(file).is_relative_to(folder):
            del sys.modules[module]
