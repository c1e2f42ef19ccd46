from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from beholder.mini.config import Recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "mini"
RECIPE = RECIPES / "cpu.yaml"


@pytest.fixture
def fields():
    return yaml.safe_load(RECIPE.read_text(encoding="utf-8"))


def test_the_recipe_of_the_package_is_valid(fields):
    assert Recipe.model_validate(fields).name == "beholder-mini"


def test_the_recipe_with_an_encoder_differs_in_nothing_else(fields):
    other = yaml.safe_load((RECIPES / "uniqa.yaml").read_text(encoding="utf-8"))
    assert Recipe.model_validate(other).encoder is not None
    del other["encoder"]
    for head in other["heads"].values():
        del head["kernels"]["uniqa"]
    assert {**other, "name": fields["name"]} == fields


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
    with pytest.raises(ValidationError, match="kernels of quality say nothing about colour"):
        Recipe.model_validate(fields)


def test_an_encoder_and_its_kernels_come_together(fields):
    fields["encoder"] = "runs/uniqa/pretrain-nano/model"
    with pytest.raises(ValidationError, match="kernels of quality say nothing about uniqa"):
        Recipe.model_validate(fields)
    for head in fields["heads"].values():
        head["kernels"]["uniqa"] = {"weight": 0.3, "width": 0.2}
    Recipe.model_validate(fields)
    del fields["encoder"]
    with pytest.raises(ValidationError, match="name uniqa, but the recipe has no encoder"):
        Recipe.model_validate(fields)
