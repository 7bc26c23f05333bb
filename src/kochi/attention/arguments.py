"""Messages for the likeliest mistakes in a call."""

import warnings

from torch import Tensor, nn

from kochi.attention.projected_memory import ProjectedMemory
from kochi.transforms import is_readable


def check_vectors(name: str, vectors: object) -> None:
    """Check that queries or memory values are a tensor of real numbers.

    Raises:
        ValueError: They are not.
    """
    if not isinstance(vectors, Tensor):
        kind = f"{type(vectors).__module__}.{type(vectors).__qualname__}"
        raise ValueError(f"{name}: got a {kind}, expected a tensor; use torch.as_tensor")
    if not vectors.dtype.is_floating_point:
        raise ValueError(
            f"{name}: got {vectors.dtype}, expected real numbers such as torch.float32; token "
            "numbers are embedded first"
        )


def check_projected(projected: object, projection: nn.Module) -> None:
    """Check that a memory was projected, by the module that reads it.

    Args:
        projected: What was passed.
        projection: What holds the weights of the module's projection of keys.

    Raises:
        ValueError: It was not.
    """
    if isinstance(projected, ProjectedMemory):
        if projected.was_projected_by(projection):
            return
        raise ValueError(
            "projected: this memory was projected with the weights of another module; each module "
            "reads the memory that its own `project` returned"
        )
    raise ValueError(
        f"projected: got a {type(projected).__name__}, expected what `project` returns: "
        "attend(query, attend.project(memory)); it computes keys and values itself"
    )


def warn_of_polarity(mask: Tensor) -> None:
    """Warn of a mask of the memory that seems to be True where there is padding.

    The longest sentence of a batch has no padding, wherever the others have theirs. A mask in which
    every row begins with hidden positions and ends with visible ones is most likely the opposite.
    """
    if mask.device.type != "cpu" or not is_readable(mask):
        return
    if mask.shape[0] < 2 or not mask.shape[1]:
        return
    if mask[:, 0].any() or not mask.any():
        return
    if (mask[:, 1:] >= mask[:, :-1]).all():
        warnings.warn(
            "mask: all rows hide their first positions and show their last ones; True means "
            '"may attend" here, where nn.MultiheadAttention\'s key_padding_mask means the '
            "opposite: pass ~mask",
            stacklevel=5,  # behind the method, its hooks and the check
        )
