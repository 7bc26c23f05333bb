"""What holds for every test: one thread, NaN in fresh memory, shapes checked.

Nothing of kochi is imported here at the top: the shape checks are woven in when pytest starts, and
must be there before the first import.
"""

from collections.abc import Iterator

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)


def pytest_runtest_setup() -> None:
    """Fill what `torch.empty` returns with NaN, so that reading before writing shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture
def shapes_unchecked() -> Iterator[None]:
    """Switch the shape checks off: under `torch.compile` they fail falsely."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
