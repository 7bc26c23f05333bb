"""Freed memory that stays."""

import subprocess
import sys

import pytest

from kochi.allocator import keep_pages

BLOCKS = """
import resource
import torch
from kochi.allocator import keep_pages

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

keep_pages()
for turn in range(8):
    before = faults()
    blocks = [torch.ones(2**21) for _ in range(6)]  # 48 megabytes
    del blocks
print(faults() - before)
"""


@pytest.mark.skipif(not keep_pages(), reason="the allocator is not glibc's")
def test_freed_blocks_are_used_again_without_new_pages():
    shown = subprocess.run(
        [sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True
    )
    assert int(shown.stdout) < 200  # of 12,288 pages


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    keep_pages.cache_clear()
    try:
        assert keep_pages() is False
    finally:
        keep_pages.cache_clear()
