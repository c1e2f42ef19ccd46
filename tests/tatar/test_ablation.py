"""One recipe of rows, one table from what they left."""

from __future__ import annotations

from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.tatar.ablation import AblationRecipe, main, table
from beholder.tatar.layout import Layout, Pool, check
from beholder.tatar.variants import REWARDS
from beholder.training.recipe import read_recipe

RECIPE = Path(__file__).parents[2] / "recipes/tatar/ablation-tiny.yaml"


def test_the_recipe_has_the_rows_of_the_grid_and_each_can_be_laid_out() -> None:
    recipe = read_recipe(RECIPE, AblationRecipe, "")
    assert {"sft_only", "task_conditioned", "paper", "released_code", "score_only", "rank_only"} <= set(recipe.rows)
    layout = Layout(recipe.grpo.pictures, recipe.grpo.group, recipe.grpo.device_batch)
    targets = tuple(float(i) for i in range(20))
    pools = [Pool("q", "quality", targets), Pool("a", "aesthetics", targets)]
    for row in recipe.rows.values():
        if row.rewards is not None:
            check(layout, pools, REWARDS[row.rewards])


def test_the_recipe_keeps_the_rewards_that_its_stored_table_was_measured_with() -> None:
    recipe = read_recipe(RECIPE, AblationRecipe, "")
    rows = {row.rewards for row in recipe.rows.values() if row.rewards}
    assert not any(recipe.grpo.model_copy(update={"rewards": name}).preset.require_reasons for name in rows)


def test_a_row_with_unknown_rewards_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.read_text().replace("rewards: paper", "rewards: best"))
    with pytest.raises(UserError, match=r"rows\.paper.*known are paper, released_code"):
        read_recipe(file, AblationRecipe, "")


def test_a_row_without_sft_and_rewards_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.read_text().replace("rewards: beholder, sft: false", "rewards: null, sft: false"))
    with pytest.raises(UserError, match=r"rows\.rl_only.*without both nothing is learned"):
        read_recipe(file, AblationRecipe, "")


def test_the_table_has_mean_and_interval_over_seeds_and_a_dash_where_a_seed_has_no_value() -> None:
    seeds = [{"quality/srcc": 0.5, "quality/parsed": 1.0}, {"quality/srcc": 0.7, "quality/parsed": float("nan")}]
    found = table({"sft_only": seeds, "paper": [{"quality/srcc": 0.25}]})["table"]
    cells, of_one_seed = (dict(zip(found["columns"], row, strict=True)) for row in found["rows"])
    assert (cells["row"], cells["seeds"], of_one_seed["seeds"]) == ("sft_only", "2", "1")
    assert cells["quality SRCC"] == "0.60 ± 1.27"  # 12.706, for two seeds, times 0.1
    assert cells["quality readable"] == "–"
    assert of_one_seed["quality SRCC"] == "0.25"


def test_a_seed_that_the_recipe_has_not_is_refused() -> None:
    with pytest.raises(UserError, match=r"--seeds 7: the recipe has 0, 1, 2"):
        main([str(RECIPE), "-o", "nowhere", "--seeds", "0", "7"])
