"""What the test set-up promises."""

import torch


def test_fresh_memory_is_nan():
    assert torch.empty(7).isnan().all()
