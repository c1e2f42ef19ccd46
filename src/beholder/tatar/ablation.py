"""The ablation grid: rows of one recipe, each an SFT and a GRPO per seed; one table of what they left (section 10).

    python -m beholder.tatar.ablation recipes/tatar/ablation-tiny.yaml -o runs/tatar/ablation

A row that is done has its result stored and is not done again; SFT runs are shared by rows that learn from the same.
Seeds share nothing: `--seeds 0` and `--seeds 1` may run side by side; a last call without it makes the table of all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.stats import t as student

from beholder.data.columns import Split
from beholder.data.manifest import read_manifest
from beholder.errors import UserError
from beholder.language.rows import write_whole
from beholder.task import TASKS, Task
from beholder.tatar.config import DataConfig, SftRecipe, Share, Strict
from beholder.tatar.examples import Example, rated
from beholder.tatar.folder import load
from beholder.tatar.grpo import train_grpo
from beholder.tatar.grpo_config import GrpoRecipe
from beholder.tatar.sft import TINY, read_material, start, train_sft
from beholder.tatar.trial import trial
from beholder.tatar.variants import REWARDS
from beholder.training.recipe import read_recipe

JUDGED_BY = "beholder"
"""Rewards that every row is measured with, whatever it was trained with; `require_reasons` is that of the recipe."""


class Row(Strict):
    """One line of the table."""

    rewards: str | None
    """Of GRPO; null measures the model after SFT."""
    data: tuple[DataConfig, ...] | None = None
    """Instead of the data of both recipes: other rationales, such as swapped ones."""
    think_dropout: Mapping[Task, Share] = Field(default={})
    sft: bool = True
    """False rewards the model that SFT would have started from."""

    @model_validator(mode="after")
    def _known_rewards(self) -> Self:
        if self.rewards is not None and self.rewards not in REWARDS:
            raise ValueError(f"rewards = {self.rewards!r}; known are {', '.join(REWARDS)}")
        return self

    @model_validator(mode="after")
    def _learns_something(self) -> Self:
        if not self.sft and self.rewards is None:
            raise ValueError("sft: false needs rewards; without both nothing is learned")
        return self


class AblationRecipe(Strict):
    """What all rows have in common, and the rows."""

    name: str
    seeds: tuple[int, ...] = Field(min_length=1)
    sft: SftRecipe
    """Its `seed` is replaced by each of `seeds`."""
    grpo: GrpoRecipe
    """Its `seed`, `model` and `rewards` are those of the row."""
    rows: dict[str, Row] = Field(min_length=1)
    split: Split = "val"
    """Part of each manifest that rows are measured on."""
    pictures: int | None = Field(default=None, ge=2)
    """Of that part, drawn by chance and the same for all rows; null: all."""
    answers: int = Field(default=8, ge=2)
    """Per picture."""


def run_ablation(recipe: AblationRecipe, out: Path) -> Path:
    """Do what is not done yet, in the order of seeds and rows; returns the file of the table, `out/table.json`.

    The table is written after each row, of what is done until then.
    """
    held_back = measured_on(recipe)
    judge = recipe.grpo.model_copy(update={"rewards": JUDGED_BY}).preset
    results: dict[str, list[dict[str, float]]] = {name: [] for name in recipe.rows}
    for seed in recipe.seeds:
        for name, row in recipe.rows.items():
            file = out / "results" / f"{name}-{seed}.json"
            if not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                model = load(train_row(recipe, row, seed, out, name))
                found = trial(
                    model, held_back, rewards=judge, sampling=recipe.grpo.sampling, group=recipe.answers, seed=seed
                )
                write_whole(file, json.dumps(found, indent=1) + "\n")
            results[name].append(json.loads(file.read_bytes()))
            done = {name: seeds for name, seeds in results.items() if seeds}
            stored = table(done) | {"recipe": recipe.model_dump(mode="json"), "measured": done}
            write_whole(out / "table.json", json.dumps(stored, indent=1, ensure_ascii=False) + "\n")
    return out / "table.json"


def train_row(recipe: AblationRecipe, row: Row, seed: int, out: Path, name: str) -> Path:
    """The model of a row, trained; its SFT is found again by everything that it depends on."""
    sft = recipe.sft.model_copy(
        update={"seed": seed, "data": row.data or recipe.sft.data, "think_dropout": dict(row.think_dropout)}
    )
    digest = hashlib.sha256(sft.model_dump_json().encode()).hexdigest()[:12]
    model = str(train_sft(sft, out / "sft" / digest)) if row.sft else _untrained(sft, out / "untrained" / digest)
    if row.rewards is None:
        return Path(model)
    changes = {"seed": seed, "model": model, "rewards": row.rewards, "data": row.data or recipe.grpo.data}
    return train_grpo(recipe.grpo.model_copy(update=changes), out / "grpo" / f"{name}-{seed}")


def _untrained(recipe: SftRecipe, out: Path) -> str:
    if isinstance(recipe.model, str):
        return recipe.model
    start(recipe, read_material(recipe), out)
    return str(out / TINY)


def measured_on(recipe: AblationRecipe) -> list[Example]:
    """The pictures that rows are measured on. Raises `ManifestError` for a manifest without such a part."""
    found: list[Example] = []
    for data in recipe.sft.data:
        examples = rated(read_manifest(data.manifest).select(recipe.split))
        order = np.random.default_rng(0).permutation(len(examples))[: recipe.pictures]
        found += [examples[i] for i in sorted(order)]
    return found


def table(results: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Title, columns and rows as documents show them: means over seeds and how far these may be off."""
    columns = [(f"{task} {what}", f"{task}/{key}") for task in TASKS for what, key in _SHOWN]
    rows = [
        [name, str(len(seeds)), *(_cell([seed.get(key) for seed in seeds]) for _, key in columns)]
        for name, seeds in results.items()
    ]
    caption = (
        f"Answers about pictures not learned from, the same for all rows, rewarded with {JUDGED_BY}; mean over seeds ± "
        "half of its 95 % interval by Student's t, one seed has none."
    )
    return {"caption": caption, "table": {"columns": ["row", "seeds", *(title for title, _ in columns)], "rows": rows}}


_SHOWN = (("SRCC", "srcc"), ("readable", "parsed"), ("reward", "total/mean"), ("words", "words"))


def _cell(values: Sequence[float | None]) -> str:
    found = np.array([value for value in values if value is not None and np.isfinite(value)])
    if len(found) < len(values):
        return "–"  # not defined for every seed, as of a model that says the same of all
    if len(found) == 1:
        return f"{found[0]:.2f}"
    half = student.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5
    return f"{found.mean():.2f} ± {half:.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: the recipe, and the folder of its runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="only these seeds of the recipe")
    options = parser.parse_args(arguments)
    recipe = read_recipe(options.recipe, AblationRecipe, "recipes/tatar/ablation-tiny.yaml")
    if unknown := sorted(set(options.seeds or ()) - set(recipe.seeds)):
        raise UserError(f"--seeds {unknown[0]}: the recipe has {', '.join(map(str, recipe.seeds))}")
    seeds = tuple(options.seeds or recipe.seeds)
    print(run_ablation(recipe.model_copy(update={"seeds": seeds}), options.out))


if __name__ == "__main__":
    main()
