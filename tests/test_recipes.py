"""Every recipe is accepted and gives a model."""

from pathlib import Path

import pytest

from kochi.config import read_run
from kochi.training.run import check_model

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_recipe_gives_a_model(recipe):
    check_model(read_run(recipe))
