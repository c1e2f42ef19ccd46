from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from beholder.mini.config import Recipe

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "mini" / "cpu.yaml"


@pytest.fixture
def fields():
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


def test_the_recipe_of_the_package_is_valid(fields):
    assert Recipe.model_validate(fields).name == "beholder-mini"


def test_a_stage_without_pictures_is_refused(fields):
    fields["stages"]["pretrain"] |= {"synthetic_pairs": 0, "quality": 0, "aesthetics": 0}
    with pytest.raises(ValidationError, match="holds no picture"):
        Recipe.model_validate(fields)


@pytest.mark.parametrize("heads", ["heads", "wide_heads"])
def test_heads_for_one_task_only_are_refused(fields, heads):
    del fields[heads]["aesthetics"]
    with pytest.raises(ValidationError, match=f"{heads} says nothing about aesthetics"):
        Recipe.model_validate(fields)
