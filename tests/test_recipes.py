"""Every recipe is accepted and gives a model."""

from pathlib import Path

import pytest

from kochi.config import read_run
from kochi.models.build import build_model
from kochi.models.inputs import FrameInput, TokenInput

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_recipe_gives_a_model(recipe):
    run = read_run(recipe)
    heard = run.data.kind in ("sound", "features")
    source = FrameInput(39, hop_seconds=0.01) if heard else TokenInput(50)
    model = build_model(run.model, source, 50, ctc=run.training.ctc_weight > 0)
    assert sum(weight.numel() for weight in model.parameters()) > 0
