from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter

from beholder.errors import UserError
from beholder.training.recipe import read_recipe


class Toy(BaseModel, extra="forbid"):
    steps: int
    model: str | list[int] = "tiny"


def written(folder: Path, text: bytes) -> Path:
    file = folder / "toy.yaml"
    file.write_bytes(text)
    return file


def test_a_recipe_becomes_checked_fields(tmp_path):
    file = written(tmp_path, b"steps: 3\n")
    assert read_recipe(file, Toy, "recipes/toy.yaml") == Toy(steps=3)
    assert read_recipe(file, TypeAdapter(Toy), "recipes/toy.yaml") == Toy(steps=3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"steps: [3\n", "is not valid YAML"),
        (b"steps: \xff\n", "is not valid YAML"),
        (b"3", "toy.yaml: the recipe: "),
        (b"steps: many\n", "toy.yaml: steps: .*integer.*'many'"),
        (b"step: 3\nsteps: 3\n", "toy.yaml: step: Extra inputs"),
        (b"step: 3\n", "toy.yaml: step: Extra inputs"),  # and not that steps is missing
        (b"steps: 3\nmodel: [a]\n", r"toy.yaml: model.*0: .*integer.*'a'"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_field(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        read_recipe(written(tmp_path, text), Toy, "recipes/toy.yaml")
    assert "\n" not in str(caught.value)


def test_a_lost_recipe_is_answered_with_where_recipes_are(tmp_path):
    with pytest.raises(UserError, match=r"recipes are in recipes/toy/, e.g. recipes/toy/nano.yaml"):
        read_recipe(tmp_path / "none.yaml", Toy, "recipes/toy/nano.yaml")
