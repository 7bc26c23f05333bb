"""Initialise a run with the weights of a trained model."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from kochi import folder
from kochi.errors import UserError

if TYPE_CHECKING:
    from kochi.models.seq2seq import Seq2Seq
    from kochi.training.prepare import Prepared


def start_from(
    model: "Seq2Seq", before: Path, prepared: "Prepared", trust: Collection[str] = ()
) -> list[str]:
    """Copy each weight that has the same name and shape in the model of a folder.

    Args:
        model: The new model; weights that are not copied keep their initial values.
        before: The model folder.
        prepared: Readers of the new model.
        trust: Packages whose code the model in the folder may run.

    Returns:
        The names of the weights that were not copied.

    Raises:
        UserError: The folder is not a complete model folder, its vocabularies differ (equal shapes
            would then mean different tokens), or no matrix matches.
    """
    trained = folder.load_folder(before, trust)
    for side, old, new in (
        ("source", trained.source, prepared.source),
        ("target", trained.target, prepared.target),
    ):
        if old.vocabulary != new.vocabulary:
            raise UserError(
                f"training.start_from = {before}: the {side} vocabulary of that model differs from "
                "that of this run; use a model that was trained with the same tokenization"
            )
    wanted = folder.weights_of(model)
    fitting = {
        name: weight
        for name, weight in trained.weights.items()
        if name in wanted and wanted[name].shape == weight.shape
    }
    if not any(weight.ndim > 1 for weight in fitting.values()):
        raise UserError(
            f"training.start_from = {before}: no matrix has the name and "
            "shape of one in this model; use a model of the same kind and sizes"
        )
    model.load_state_dict(fitting, strict=False)
    return sorted(wanted.keys() - fitting.keys())
