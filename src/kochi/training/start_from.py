"""Begin with the weights of another model."""

from pathlib import Path

from torch import nn

from kochi.data.tokenizer import Tokenizer
from kochi.errors import UserError
from kochi.folder import load_folder, load_weights
from kochi.training.prepare import Prepared


def start_from(model: nn.Module, other: Path, prepared: Prepared) -> None:
    """Give a model the weights of a model folder, which must read and write the same tokens.

    Raises:
        UserError: The folder is no whole model folder, its tokens are others, or its weights do not
            fit.
    """
    where = f"training.start_from = {other}"
    found = load_folder(other)
    sides = (
        ("source", found.source, prepared.source),
        ("target", found.target, prepared.target),
    )
    for side, theirs, ours in sides:
        if not isinstance(theirs, Tokenizer) or not isinstance(ours, Tokenizer):
            continue
        if _names(theirs) != _names(ours):
            raise UserError(
                f"{where}: its {side} tokens are not those of this run; expected a model trained "
                "on the same data with the same data.source and data.target"
            )
    try:
        load_weights(model, found.weights, "weights")
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _names(tokenizer: Tokenizer) -> list[str]:
    """Return the names of all tokens, in order."""
    return tokenizer.tokens(range(tokenizer.size))
