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


def test_a_codebook_too_large_for_the_smallest_picture_is_refused(fields):
    fields["colour"][1]["taps"] = 8
    fields["colour"][1]["halvings"] = 3
    Recipe.model_validate(fields)
    fields["texture"] = []
    with pytest.raises(ValidationError, match="texture"):
        Recipe.model_validate(fields)


def test_a_head_for_one_task_only_is_refused(fields):
    del fields["heads"]["aesthetics"]
    with pytest.raises(ValidationError, match="heads says nothing about aesthetics"):
        Recipe.model_validate(fields)


def test_a_head_that_is_deaf_to_a_block_is_refused(fields):
    del fields["heads"]["quality"]["kernels"]["colour"]
    with pytest.raises(ValidationError, match="kernels say nothing about colour"):
        Recipe.model_validate(fields)
