import json
import math
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image

import beholder
from beholder.cli import main
from beholder.cli.train import read_manifests
from beholder.data.columns import make_table
from beholder.data.distortions import FAMILIES, distort
from beholder.data.manifest import Manifest, write_manifest
from beholder.mini.config import Recipe
from beholder.mini.train import train_mini
from beholder.scoring.card import Card
from beholder.task import TASKS, ScoreRange
from beholder.training.recipe import read_recipe

SPLITS = ["train"] * 10 + ["val"] * 4 + ["test"] * 10
KERNEL = {"weight": 1.0, "width": 0.2}
HEADS = {"kernels": dict.fromkeys(("statistics", "texture", "colour"), KERNEL), "ridge": 1e-3, "folds": 2}
BOOK = {"taps": 5, "stride": 4, "words": 4, "floor": 1, "patches": 20}


def write_set(root: Path, task: str, render) -> Path:
    """24 pictures whose scores are what was done to them: noise for quality, darkness for aesthetics."""
    root.mkdir()
    family = {"quality": "noise", "aesthetics": "darken"}[task]
    levels = [i * 7 % 24 / 5 for i in range(24)]
    for i, level in enumerate(levels):
        clean = np.asarray(render(i, (136, 130)))
        Image.fromarray(distort(clean, family, level, seed=i)).save(root / f"{i}.png")
    columns = {"path": [f"{i}.png" for i in range(24)], "score": [5 - 0.8 * level for level in levels], "split": SPLITS}
    declared = ScoreRange(1, 5)
    table = make_table(columns, declared, lambda row: f"row {row + 1}")
    write_manifest(Manifest(f"toy-{task}", task, declared, "row", "own work", "rendered", root, table), root)
    return root


@pytest.fixture(scope="module")
def recipe(tmp_path_factory, render_picture) -> dict:
    """The smallest recipe that is whole, with the sets it names."""
    root = tmp_path_factory.mktemp("sets")
    priors = root / "priors.csv"
    rows = [f"KADID-10k,{name},{level},{5 - 0.7 * level}" for name in {f.prior for f in FAMILIES.values()}
            for level in range(1, 6)]  # fmt: skip
    priors.write_text("\n".join(["dataset,distortion_name,level,mean_score", *rows]) + "\n")
    sets = {task: str(write_set(root / task, task, render_picture)) for task in TASKS}
    return {
        "name": "toy",
        "data": {**sets, "priors": str(priors)},
        "texture": [{"plane": "luma", "halvings": 0, **BOOK}],
        "colour": [{"plane": "rgb", "halvings": 1, **BOOK}],
        "pairs": {"count": 32},
        "heads": {"quality": {**HEADS, "pair_weight": 1, "pair_landmarks": 8}, "aesthetics": HEADS},
        "threads": 1,
    }


def written(recipe: dict, folder: Path) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.dump(recipe))
    return file


def one_line(capsys, *arguments: object) -> str:
    """The one line on stderr that a refused command ends with."""
    assert main(["train", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


def test_a_recipe_becomes_a_measured_model_and_a_second_run_goes_on_from_it(recipe, tmp_path, capsys, render_picture):
    file, out = written(recipe, tmp_path), tmp_path / "run"
    assert main(["train", "mini", str(file), "-o", str(out)]) == 0

    shown = capsys.readouterr().err
    for task in TASKS:
        assert f"{task}: SRCC" in shown
        assert (out / "results" / task / "result.json").is_file()
    assert f"--model {out / 'model'}" in " ".join(shown.split())
    measured = Card.read(out / "model" / "card.json").measured
    assert {(one.task, one.metric, one.data, one.n) for one in measured} == {
        (task, metric, f"toy-{task}:test", 10) for task in TASKS for metric in ("srcc", "plcc_raw")
    }
    assert all(math.isfinite(one.value) and one.low <= one.value <= one.high for one in measured)

    kept = sorted(out.glob("*.npy"))
    assert [each.stem for each in kept] == ["features-aesthetics", "features-damaged", "features-quality"]
    for each in kept:
        os.utime(each, (1, 1))
    loaded = read_recipe(file, Recipe, "recipes/mini")
    model = train_mini(loaded, read_manifests(loaded), out)
    assert {each.stat().st_mtime for each in kept} == {1}, "a finished step was done again"
    for task in TASKS:
        judged = pq.read_table(out / f"cross-validation-{task}.parquet").to_pydict()
        assert judged["path"] == [f"{i}.png" for i in range(10)]
        assert all(0 <= value <= 100 for value in judged[task])

    rgb = np.asarray(render_picture(50, (120, 100)))
    with torch.inference_mode():
        again = model(torch.tensor(rgb)[None])
    first = [levels @ torch.linspace(0, 100, 5) for levels in again]
    score = beholder.load(out / "model").score(rgb)
    assert [float(one) for one in first] == pytest.approx([score.quality, score.aesthetics], abs=0.05)


def test_other_seeds_learn_their_own_codebooks_and_pairs(recipe, tmp_path):
    """What is kept belongs to the recipe that made it."""
    loaded = read_recipe(written(recipe, tmp_path), Recipe, "recipes/mini")
    manifests = read_manifests(loaded)
    models = [train_mini(loaded.model_copy(update={"seed": seed}), manifests, tmp_path) for seed in (0, 1)]
    first, other = (model.features.books["texture"][0].prototypes for model in models)
    assert not torch.equal(first, other)
    again = train_mini(loaded, manifests, tmp_path)
    assert torch.equal(again.features.books["texture"][0].prototypes, first)
    assert torch.equal(again.heads["quality"].weights, models[0].heads["quality"].weights)


def test_a_missing_recipe_is_named_with_where_recipes_are(tmp_path, capsys):
    error = one_line(capsys, "mini", tmp_path / "none.yaml")
    assert "none.yaml is not a file" in error
    assert "recipes/mini/cpu.yaml" in error


def test_broken_yaml_is_one_line(tmp_path, capsys):
    (tmp_path / "r.yaml").write_text("name: [toy\nseed: 0\n")
    assert "r.yaml is not valid YAML" in one_line(capsys, "mini", tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "sead", 3),
        (("pairs",), "margin", 0.9),
        (("heads", "quality"), "folds", 1),
        (("texture", 0), "taps", 9),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_place(where, key, value, recipe, tmp_path, capsys):
    changed = json.loads(json.dumps(recipe))
    place = changed
    for step in where:
        place = place[step]
    place[key] = value
    error = one_line(capsys, "mini", written(changed, tmp_path), "-o", tmp_path / "run")
    assert f"{'.'.join(map(str, [*where, key]))}: " in error
    assert f"(it is {value!r})" in error
    assert not (tmp_path / "run").exists()


def test_a_manifest_of_the_other_task_is_refused(recipe, tmp_path, capsys):
    swapped = recipe | {"data": recipe["data"] | {"quality": recipe["data"]["aesthetics"]}}
    error = one_line(capsys, "mini", written(swapped, tmp_path), "-o", tmp_path / "run")
    assert "data.quality of the recipe" in error
    assert "it must be 'quality'" in error


@pytest.mark.parametrize("split", ["train", "tset"])
def test_only_an_unseen_split_is_reported(split, recipe, tmp_path, capsys):
    arguments = ["mini", written(recipe, tmp_path), "-o", tmp_path / "run", "--report-split", split]
    error = one_line(capsys, *arguments)
    assert f"--report-split {split}" in error
    assert "learns on train" in error
    assert "'val', 'test'" in error
