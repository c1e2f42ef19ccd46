from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from mmsa_pickles import mmsa_content, write_mmsa

from beholder.cli import main
from beholder.errors import UserError
from beholder.tical.mmsa import PUBLISHED, convert_mmsa
from beholder.tical.protocol import run_recipe, summarise
from beholder.tical.published import main as write_tables
from beholder.tical.recipe import TicalRecipe, read_table, tables_of
from beholder.training.recipe import read_recipe

RECIPES = Path(__file__).parents[2] / "recipes" / "tical"
NANO = sorted(file.name for file in RECIPES.glob("*-nano.yaml"))

FAST = {"hidden": 16, "embed_dim": 8, "batch_size": 8, "epochs": 2, "warmup_epochs": 1}


def recipe_of(name: str) -> TicalRecipe:
    return read_recipe(RECIPES / name, TicalRecipe, "recipes/tical/mosi_aligned.yaml")


@pytest.mark.parametrize("name", NANO)
def test_every_recipe_runs_on_random_data_of_its_shape(name: str, tmp_path: Path) -> None:
    summary = run_recipe(recipe_of(name), tmp_path, on_done=lambda line: None)
    assert summary.n == 1
    result = json.loads((tmp_path / "all" / "seed-1111" / "result.json").read_text())
    assert result["test"]["scored"] == 12
    assert set(result["mean_consistency"]) == {"train", "valid", "test"}
    assert ("against_people" in result["test"]) == (name == "simsv1-nano.yaml")
    assert (tmp_path / "all" / "seed-1111" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("name", NANO)
def test_a_twin_has_the_shape_and_task_of_its_recipe(name: str) -> None:
    nano, full = recipe_of(name), recipe_of(name.replace("-nano", ""))
    assert (nano.task, nano.measures) == (full.task, full.measures)
    assert nano.settings.get("label_edges") == full.settings.get("label_edges")
    assert full.source is not None
    assert full.task == "classification" or full.source.sha256 in PUBLISHED
    assert read_table(nano, None).part("train").label is not None


def test_missing_data_are_one_line_with_file_digest_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["emotion", "run", str(RECIPES / "mosi_unaligned.yaml"), "-o", "run"]) == 1
    said = capsys.readouterr().err
    assert "no runs/data/mosi_unaligned/features.npz. It is made from MOSI/Processed/unaligned_50.pkl" in said
    assert "sha256 78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524" in said
    assert "beholder emotion convert mmsa unaligned_50.pkl runs/data/mosi_unaligned" in said
    assert not (tmp_path / "run").exists()
    assert main(["emotion", "run", str(RECIPES / "dfew.yaml"), "-o", "run"]) == 1
    assert "no runs/data/dfew/fold-1.csv" in capsys.readouterr().err


def test_a_converted_pickle_is_run_fold_by_fold_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    tables = []
    for i in (1, 2):
        convert_mmsa(write_mmsa(tmp_path / f"{i}.pkl", mmsa_content()), tmp_path / str(i))
        tables.append(tmp_path / str(i) / "features.npz")
    recipe = TicalRecipe(task="regression", data=tuple(tables), settings={**FAST, "epochs": 6}, seeds=(1, 2))
    done: list[str] = []
    summary = run_recipe(recipe, tmp_path / "run", on_done=done.append)
    assert (summary.n, len(done)) == (4, 4)
    mae = summary.measures["mae"]
    assert mae.mean is not None
    assert mae.mean < 1.6
    assert mae.sd is not None
    (tmp_path / "run" / "fold-2" / "seed-1" / "result.json").unlink()
    assert run_recipe(recipe, tmp_path / "run", on_done=done.append) == summary
    assert len(done) == 5
    other = recipe.model_copy(update={"settings": FAST})
    with pytest.raises(UserError, match="is of another recipe"):
        run_recipe(other, tmp_path / "run", on_done=done.append)


def test_means_and_deviations_are_over_all_results() -> None:
    results = [{"test": {"scored": 3, "wa": {"value": v}, "ua": {"value": u}}} for v, u in ((0.5, None), (0.7, 0.1))]
    summary = summarise(results)
    assert summary.measures["wa"].mean == pytest.approx(0.6)
    assert summary.measures["wa"].sd == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert summary.measures["ua"].mean is None


def test_tables_hold_what_runs_left_and_a_dash_elsewhere(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mosi_aligned"
    run.mkdir(parents=True)
    (run / "summary.json").write_text('{"n": 5, "measures": {"acc2_non0": {"mean": 0.8123, "sd": 0.011}}}')
    assert write_tables([str(tmp_path / "runs"), "-o", str(tmp_path / "results")]) == 0
    table = json.loads((tmp_path / "results" / "tical-paper-mosi.json").read_text())["table"]
    assert table["rows"][0][-2:] == ["81.2 (1.1)", "–"]
    assert table["rows"][0][1] == "79.1"
    assert {cell for row in table["rows"][4:] for cell in row[1:]} == {"–"}


def test_random_data_have_the_lengths_that_are_asked_for() -> None:
    x = read_table(recipe_of("mosi_unaligned-nano.yaml"), None).x
    assert {m: values.shape[1:] for m, values in x.items()} == {
        "text": (50, 768),
        "audio": (500, 5),
        "vision": (375, 20),
    }
    gaps = {m: bool(np.isnan(values).any()) for m, values in x.items()}
    assert gaps == {"text": False, "audio": True, "vision": True}
    assert tables_of(recipe_of("mosi_unaligned-nano.yaml")) == {"all": None}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 1}, "seed: Extra inputs"),
        ({"variant": "x"}, "variant 'x' is unknown; it can be published"),
        ({"settings": {"epoch": 1}}, "epoch"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_a_wrong_recipe_is_named(changes: dict[str, object], says: str, tmp_path: Path) -> None:
    content = {"task": "regression", "data": ["x.npz"], "seeds": [1], **changes}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=says):
        read_recipe(tmp_path / "r.yaml", TicalRecipe, "recipes/tical/mosi_aligned.yaml")
