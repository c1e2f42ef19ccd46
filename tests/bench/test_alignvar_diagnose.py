"""Numbers per row and scale of finished runs, and two plots from what was stored."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("matplotlib")

import alignvar_diagnose  # noqa: E402

from beholder.alignvar.ablation import AblationRecipe, finish, run_of  # noqa: E402
from beholder.alignvar.config import SIZES  # noqa: E402
from beholder.alignvar.folder import save_tokeniser  # noqa: E402
from beholder.alignvar.tokeniser import Tokeniser  # noqa: E402
from beholder.errors import UserError  # noqa: E402


@pytest.fixture(scope="module")
def finished(tmp_path_factory, render_picture):
    """Two rows with two seeds of the tiny size, after a step each."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "photos").mkdir()
    for seed in range(5):
        render_picture(seed, (64, 48)).save(folder / "photos" / f"{seed}.png")
    (folder / "held-out.txt").write_text("1.png\n3.png\n4.png\n")
    torch.manual_seed(0)
    save_tokeniser(Tokeniser(SIZES["tiny"].tokeniser), folder / "tokeniser")
    base = {
        "name": "toy", "size": "tiny", "tokeniser": str(folder / "tokeniser"), "batch": 2, "steps": 1, "threads": 1,
        "photos": {"folders": [str(folder / "photos")], "held_out": str(folder / "held-out.txt")},
        "optimiser": {"learning_rate": 1e-3}, "crops_per_photo": 1,
    }  # fmt: skip
    rows = {"full": {}, "no HCC": {"hcc": {"weight": 0}}}
    fields = {"name": "toy", "seeds": [0, 1], "base": base, "rows": rows}
    (folder / "recipe.yaml").write_text(json.dumps(fields))  # JSON is YAML
    recipe = AblationRecipe.model_validate(fields)
    for row in rows:
        for seed in (0, 1):
            finish(run_of(recipe, row, seed, folder / "out", folder / "results"))
    return folder


def test_one_command_measures_stores_and_draws(finished, tmp_path, capsys):
    line = [str(finished / "recipe.yaml"), "--rows", "full", "no HCC", "--results", str(finished / "results")]
    alignvar_diagnose.main([*line, "--plots", str(tmp_path)])
    stored = json.loads((finished / "results/alignvar-diagnose.json").read_bytes())
    assert stored["table"]["columns"] == ["", "1x1", "2x2", "3x3", "4x4"]
    assert len(stored["table"]["rows"]) == 1 + 2 * 3
    full = stored["measured"]["rows"]["full"]
    assert full["carried"][3]["mean"] == pytest.approx(1, abs=1e-5)  # nothing comes after the last scale
    assert all(0 < one["mean"] < 4 * 2**0.5 for one in full["attention"])
    assert stored["measured"]["differences"].keys() == {"no HCC"}
    first = {file.name: file.read_bytes() for file in tmp_path.glob("*.svg")}
    assert set(first) == set(alignvar_diagnose.PLOTS.values())
    assert all(text in first["alignvar-drift.svg"].decode() for text in ("no HCC", "4x4", "of 255"))
    alignvar_diagnose.main(["--draw", "--results", str(finished / "results"), "--plots", str(tmp_path)])
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.svg")} == first
    assert str(finished) not in (finished / "results/alignvar-diagnose.json").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [([], "which ablation"), (["--draw", "--results", "nowhere"], "measure first")],
)
def test_what_is_missing_is_said(line, message):
    with pytest.raises(UserError, match=message):
        alignvar_diagnose.main(line)


def test_a_row_that_is_not_finished_is_said(finished, tmp_path):
    with pytest.raises(UserError, match="'full' with seed 0 is not finished"):
        alignvar_diagnose.main([str(finished / "recipe.yaml"), "--results", str(tmp_path), "--rows", "full"])


def test_a_difference_whose_interval_leaves_out_0_has_a_star():
    assert [alignvar_diagnose._star(gap) for gap in (
        None, {"mean": 1.0, "half": None}, {"mean": -1.0, "half": 0.5}, {"mean": 0.4, "half": 0.5},
    )] == ["", "", "*", ""]  # fmt: skip
