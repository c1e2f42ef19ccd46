"""One recipe of rows; runs by the hash of what they depend on; tables from what they left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from beholder.alignvar.ablation import AblationRecipe, finish, run_ablation, run_of, stored
from beholder.alignvar.ablation_table import NULL, compare, tables
from beholder.alignvar.config import SIZES
from beholder.alignvar.folder import save_tokeniser
from beholder.alignvar.tokeniser import Tokeniser
from beholder.errors import UserError
from beholder.training.recipe import read_recipe

RECIPE = Path(__file__).parents[2] / "recipes/alignvar/ablation-nano.yaml"


@pytest.fixture(scope="module")
def base(tmp_path_factory, render_picture) -> dict:
    """A recipe that is done in a second, beside its tokeniser and photos."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "photos").mkdir()
    for seed in range(6):
        render_picture(seed, (80, 64)).save(folder / "photos" / f"{seed}.png")
    (folder / "held-out.txt").write_text("1.png\n3.png\n4.png\n")
    torch.manual_seed(0)
    save_tokeniser(Tokeniser(SIZES["tiny"].tokeniser), folder / "tokeniser")
    return {
        "name": "toy", "size": "tiny", "tokeniser": folder / "tokeniser", "batch": 2, "steps": 2, "eval_steps": 2,
        "photos": {"folders": [folder / "photos"], "held_out": folder / "held-out.txt"}, "crops_per_photo": 2,
        "optimiser": {"learning_rate": 1e-3, "warmup_steps": 0}, "threads": 1,
    }  # fmt: skip


def recipe_of(base: dict, rows: dict, seeds: list[int], **changes: object) -> AblationRecipe:
    return AblationRecipe.model_validate({"name": "toy", "seeds": seeds, "base": base | changes, "rows": rows})


def test_the_recipe_has_every_row_of_the_grid_and_no_two_are_the_same_run(base) -> None:
    recipe = read_recipe(RECIPE, AblationRecipe, "")
    recipe = recipe.model_copy(update={"base": recipe.base.model_copy(update={"tokeniser": base["tokeniser"]})})
    assert len(recipe.seeds) >= 3
    runs = {row: run_of(recipe, row, 0, Path("x"), Path("y")) for row in recipe.rows}
    assert len({run.digest for run in runs.values()}) == len(runs) == 7
    assert runs["no SCA"].recipe.model.sca.gate == "off"
    assert runs["no HCC"].recipe.loss.hcc.weight == 0
    assert runs["pixel HCC"].recipe.loss.hcc.space == "pixel"
    assert runs["full"].recipe.loss.hcc.weight == 1
    assert runs["pixel HCC"].recipe.loss.hcc.reduction == runs["full"].recipe.loss.hcc.reduction  # of the recipe


def test_a_run_is_found_by_what_its_weights_depend_on_alone(base, tmp_path: Path, monkeypatch) -> None:
    rows = {"full": {}, "lambda 1": {"hcc": {"weight": 1.0}}, "none": {"hcc": {"weight": 0}}}
    recipe = recipe_of(base, rows, [0, 1])
    full = run_of(recipe, "full", 0, tmp_path, tmp_path).digest
    assert run_of(recipe, "lambda 1", 0, tmp_path, tmp_path).digest == full
    assert run_of(recipe_of(base, rows, [0], name="b"), "full", 0, tmp_path, tmp_path).digest == full
    others = {
        run_of(recipe, "full", 1, tmp_path, tmp_path).digest,
        run_of(recipe, "none", 0, tmp_path, tmp_path).digest,
        run_of(recipe_of(base, rows, [0], steps=3), "full", 0, tmp_path, tmp_path).digest,
    }
    save_tokeniser(Tokeniser(SIZES["tiny"].tokeniser), tmp_path / "other")
    others.add(run_of(recipe_of(base, rows, [0], tokeniser=tmp_path / "other"), "full", 0, tmp_path, tmp_path).digest)
    monkeypatch.setitem(SIZES, "tiny", SIZES["tiny"].model_copy(update={"fidelity": 0.5}))  # what the size is made of
    others.add(run_of(recipe, "full", 0, tmp_path, tmp_path).digest)
    assert len(others | {full}) == 6


def test_runs_leave_numbers_and_tables_and_are_not_done_again(base, tmp_path: Path) -> None:
    recipe = recipe_of(base, {"full": {}, "no SCA": {"sca": {"gate": "off"}}}, [0, 1])
    out, results = tmp_path / "runs", tmp_path / "results"
    with pytest.raises(UserError, match="not finished"):
        stored(recipe, "full", 0, results)
    finish(run_of(recipe, "full", 0, out, results))
    one_seed = recipe.model_copy(update={"seeds": (0,)})
    run_ablation(one_seed, out, results)  # the other, in a process of its own
    first = stored(recipe, "full", 0, results)
    names = ("ce", "hcc", "greedy/psnr", "greedy/gmsd", "greedy/high_frequency")
    assert set(first["ours"]) == {f"{preset}/{name}" for preset in ("bicubic", "realesrgan-mild") for name in names}
    assert {len(values) for values in first["ours"].values()} == {3}  # one per held-out photo
    shapes = {what: (len(rows), len(rows[0])) for what, rows in first["diagnosed"].items()}
    assert shapes == dict.fromkeys(("attention", "carried", "picture"), (3, 4))  # photos, scales
    assert (run_of(recipe, "no SCA", 0, out, results).folder / "model/config.json").is_file()
    assert not list(out.glob("*/checkpoints"))

    before = {file: file.stat().st_mtime_ns for file in results.glob("*/*")}
    assert len(before) == 2
    (file,) = run_ablation(one_seed, tmp_path / "elsewhere", results)  # the weights are not needed again
    assert {file: file.stat().st_mtime_ns for file in results.glob("*/*")} == before
    table = json.loads(file.read_bytes())
    assert [line[0] for line in table["table"]["rows"]] == ["bicubic", "true codes", "full", "no SCA"]
    assert table["measured"]["full"][0]["bicubic/ce"] == pytest.approx(sum(first["ours"]["bicubic/ce"]) / 3, abs=1e-5)


def test_a_missing_tokeniser_and_unknown_rows_are_said(base, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train the tokeniser first"):
        run_of(recipe_of(base, {"full": {}}, [0], tokeniser=tmp_path), "full", 0, tmp_path, tmp_path)
    with pytest.raises(UserError, match="rows are full, seeds 0"):
        stored(recipe_of(base, {"full": {}}, [0]), "half", 0, tmp_path)
    with pytest.raises(ValueError, match="one must be 'full'"):
        recipe_of(base, {"no SCA": {"sca": {"gate": "off"}}}, [0])
    with pytest.raises(ValueError, match="there twice"):
        recipe_of(base, {"full": {}}, [0, 0])


def result(psnr: list[float], ce: list[float]) -> dict:
    """A finished run with one preset, greedy."""
    ours = {"bicubic/ce": ce, "bicubic/hcc": ce}
    ours |= {f"bicubic/greedy/{name}": psnr for name in ("psnr", "gmsd", "high_frequency")}
    beside = {what: {f"bicubic/{name}": psnr for name in ("psnr", "gmsd", "high_frequency")}
              for what in ("tokeniser", "bicubic")}  # fmt: skip
    recipe = {"size": "tiny", "steps": 1000, "batch": 2}
    return {"ours": ours, "beside": beside, "recipe": recipe, "minutes": 1.0, "device": "cpu", "torch": "2"}


FULL = [result([25.0, 27.0, 30.0], [4.0, 5.0, 6.0]), result([25.2, 27.1, 30.3], [4.1, 5.0, 6.1]), None]


def test_differences_are_paired_by_seed_and_photo_and_a_null_is_said() -> None:
    better = [result([26.0, 28.01, 31.0], [4.0, 5.1, 5.9]), result([26.21, 28.1, 31.3], [4.1, 4.9, 6.2]), FULL[0]]
    (found,) = tables({"full": FULL, "more": better}, [0, 1, 2], ["bicubic"], "greedy", reference="full").values()
    columns, lines = found["table"]["columns"], {line[0]: line for line in found["table"]["rows"]}
    full, more = (dict(zip(columns, lines[row], strict=True)) for row in ("full", "more"))
    assert full["PSNR, clean"] == "27.43"
    assert more["PSNR, clean"].startswith("+1.00 ± 0.0")
    assert more["CE, clean"].startswith("+0.000 ± ")
    assert more["differs from full in"] == "PSNR, clean, GMSD, clean, high frequencies, clean"
    assert (full["seeds"], more["seeds"]) == ("2", "3")
    assert found["compared"]["more"]["bicubic/ce"]["null"] is True
    assert [one["seed"] for one in found["measured"]["full"]] == [0, 1]
    assert "Of these 4 comparisons, about 0 would" in found["caption"]
    (same,) = tables({"full": FULL, "same": FULL[::1]}, [0, 1, 2], ["bicubic"], "greedy", reference="full").values()
    assert same["table"]["rows"][-1][-1] == NULL


def test_nothing_is_compared_without_a_common_seed_and_nothing_shown_before_the_first_run() -> None:
    assert compare(FULL, [None, None, FULL[0]], ["bicubic/ce"]) == {}
    assert tables({"full": [None]}, [0], ["bicubic"], "greedy", reference="full") == {}
    found = compare(FULL[:1], FULL[1:2], ["bicubic/ce"])["bicubic/ce"]
    assert (found["half"], found["null"]) == (None, None)
