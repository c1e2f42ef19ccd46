import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import alignvar_cnn
import alignvar_quality
import torch
from alignvar_quality import BICUBIC, CEILING, COLUMNS, LANCZOS, OURS, PROJECTED, TRUE
from conftest import render

from beholder.alignvar import folder as model_folder
from beholder.alignvar.config import SIZES
from beholder.alignvar.recipe import AlignVarRecipe
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError

N, SIDE = 12, 64


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos and a list of most of them."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(N + 2):
        render(i, (96, 80)).save(folder / f"{i}.png")
    (folder / "held-out.txt").write_text("# some\n" + "".join(f"{i}.png\n" for i in range(N)))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    config = SIZES["tiny"]
    folder = tmp_path_factory.mktemp("tiny") / "model"
    model_folder.save(AlignVar(config).eval(), Tokeniser(config.tokeniser).eval(), folder)
    return folder


def recipe(photos, **changes):
    fields = {
        "name": "tiny",
        "size": "tiny",
        "tokeniser": photos,
        "photos": {"folders": [photos], "held_out": photos / "held-out.txt"},
        "degradation": {"bicubic": 1.0},
        "batch": 8,
        "steps": 120,
        "optimiser": {"learning_rate": 3e-3, "warmup_steps": 5},
        "ema": 0.9,
        "crops_per_photo": 1,
        "threads": 1,
    }
    return AlignVarRecipe.model_validate(fields | changes)


def test_a_plain_network_learns_and_is_read_again(photos, tmp_path, capsys):
    trained = alignvar_cnn.train(recipe(photos), tmp_path / "cnn", max_minutes=None, blocks=1, width=16)
    lines = capsys.readouterr().err.splitlines()
    [ours], [bicubic] = (
        [line for line in lines if line.startswith(f"bicubic: {name}")] for name in ("ours", "bicubic")
    )
    assert float(ours.split()[2]) > float(bicubic.split()[2]) + 0.02  # dB; it starts as bicubic, to the last digit
    upscaler = alignvar_cnn.load_upscaler(tmp_path / "cnn")
    tiles = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = trained(torch.from_numpy(tiles.transpose(0, 3, 1, 2).copy())).clamp(0, 1)
    assert np.allclose(upscaler.run(tiles, "greedy", 0), expected.numpy().transpose(0, 2, 3, 1), atol=1e-5)
    facts = alignvar_cnn.train(recipe(photos), tmp_path / "short", max_minutes=0.0001, blocks=1, width=8)
    assert isinstance(facts, alignvar_cnn.Cnn)  # stopped by the time, and saved all the same
    stored = json.loads(alignvar_cnn.record(tmp_path / "cnn", recipe(photos), tmp_path / "results").read_bytes())
    assert stored["parameters"] == sum(p.numel() for p in trained.parameters())
    assert (stored["steps"], stored["width"], stored["minutes"]) == (recipe(photos).steps, 16, None)


def test_the_default_network_is_as_large_as_ours():
    n = sum(p.numel() for p in alignvar_cnn.Cnn().parameters())
    config = SIZES["nano"]
    with torch.device("meta"):
        ours = [AlignVar(config), Tokeniser(config.tokeniser).decoder]
    n_ours = sum(p.numel() for network in ours for p in network.parameters())
    assert n == pytest.approx(n_ours, rel=0.1)


def test_every_row_is_measured_and_the_gate_is_stored(photos, model, tmp_path, capsys):
    alignvar_cnn.save(alignvar_cnn.Cnn(1, 8), tmp_path / "cnn", {"blocks": 1, "width": 8})
    options = ["--folder", photos, "--held-out", photos / "held-out.txt", "--side", SIDE, "--results", tmp_path]
    alignvar_quality.main([str(word) for word in (model, "--model", f"cnn={tmp_path / 'cnn'}", *options)])
    stored = json.loads((tmp_path / "alignvar-quality.json").read_text(encoding="utf-8"))
    names = [row[0] for row in stored["table"]["rows"]]
    rows = [BICUBIC, LANCZOS, PROJECTED, OURS, "cnn", CEILING, TRUE]
    less = [f"{OURS} - {name}" for name in (BICUBIC, LANCZOS, PROJECTED, "cnn")]
    assert names == [f"{kind}: {name}" for kind in ("clean", "degraded") for name in (*rows, *less)]
    per_photo = stored["measured"]["per_photo"]["clean"]
    values = {name: {metric: np.array(numbers) for metric, numbers in per_photo[name].items()} for name in rows}
    assert values["cnn"]["psnr"].shape == (N,)
    # Untrained it is bicubic in tiles, with less back-projection than that row has.
    assert values[BICUBIC]["psnr"].mean() < values["cnn"]["psnr"].mean() < values[PROJECTED]["psnr"].mean()
    assert values[PROJECTED]["lr_consistency"].mean() > values[BICUBIC]["lr_consistency"].mean() + 1
    gate = stored["measured"]["gate"]
    assert gate["ours"]["psnr"] == pytest.approx(values[OURS]["psnr"].mean())
    assert gate["bicubic"]["high_frequency"] == pytest.approx(
        np.sqrt(values[BICUBIC]["energy"].sum() / values[BICUBIC]["true_energy"].sum())
    )
    assert gate["passed"] == all(limit["met"] for limit in stored["limits"])
    value, low, high, _ = stored["measured"]["differences"]["clean"][LANCZOS]["psnr"]
    assert value == pytest.approx((values[OURS]["psnr"] - values[LANCZOS]["psnr"]).mean())
    assert low < value < high
    assert str(tmp_path) not in json.dumps(stored["table"])


def test_the_ceiling_decodes_the_true_codes_tile_by_tile(photos, model):
    """With a decoder that tells the mean of the picture, every tile must get the mean of its own true one."""
    found = alignvar_quality.read_photos([photos], photos / "held-out.txt", 1, SIDE)

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def indices(self, x, lr):
            return x

        def fhat(self, x):
            return [x]

        def decode(self, x, lr):
            assert x.shape[-1] == 4 * lr.shape[-1]
            return x

    ours = alignvar_quality.load_upscaler(str(model))
    true, small = found.true[0], found.inputs["clean"][0]
    codes = alignvar_quality._TrueCodes(Mean(), true, ours.tile, small.shape)
    made = replace(ours, run=codes)(small, fidelity=0, colour_fix="none")
    assert np.abs(made.astype(int) - true).max() <= 1  # each tile came back to where it was cut


def test_interval_of_a_ratio_of_energies():
    rng = np.random.default_rng(0)
    energy = rng.uniform(1, 2, 40)
    first, second = ({"energy": factor * energy, "true_energy": 2 * energy} for factor in (1.0, 0.5))
    value, low, high, p = alignvar_quality.difference(first, second, "high_frequency", 200)
    assert value == pytest.approx(np.sqrt(0.5) - 0.5)
    assert low == pytest.approx(value) == high
    assert p < 0.02
    assert np.isnan(alignvar_quality.statistic(first, "psnr", np.ones(40, np.int64)))
    assert list(COLUMNS)[:5] == ["psnr", "ssim", "gmsd", "high_frequency", "lr_consistency"]


def test_photos_that_are_not_there_are_named(photos, tmp_path):
    (tmp_path / "list.txt").write_text("gone.png\n")
    with pytest.raises(UserError, match=r"list.txt names gone.png"):
        alignvar_quality.read_photos([photos], tmp_path / "list.txt", None, SIDE)
    with pytest.raises(UserError, match="name the folders"):
        alignvar_quality.read_photos([tmp_path / "nowhere"], photos / "held-out.txt", None, SIDE)
    with pytest.raises(UserError, match=r"0.png has 96 x 80 pixels; 88 are needed"):
        alignvar_quality.read_photos([photos], photos / "held-out.txt", None, 88)
