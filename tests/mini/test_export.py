from types import SimpleNamespace

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch

import beholder
from beholder.data.manifest import Manifest
from beholder.mini.checkpoint import write_checkpoint
from beholder.mini.config import DataConfig, HeadConfig, Recipe, StageConfig
from beholder.mini.export import Mini
from beholder.mini.heads import Head, Normaliser
from beholder.mini.lessons import CrossFit, statistics_of
from beholder.mini.model import Probes
from beholder.mini.network import TrunkConfig
from beholder.task import TASKS, ScoreRange

SIZES = [(64, 64), (150, 97), (320, 213)]


def random_mini(pictures: list[np.ndarray]) -> Mini:
    """A model of random weights whose normalisers know these pictures, so that nothing is clamped away."""
    torch.manual_seed(0)
    probes = Probes(TrunkConfig(stem=(4, 8), widths=(8, 12), depths=(1, 1))).eval()
    with torch.inference_mode():
        learned = torch.cat([probes.features(torch.tensor(rgb)[None]) for rgb in pictures])
    measured = torch.from_numpy(statistics_of(pictures))

    def fits(features: torch.Tensor) -> dict:
        return {
            task: CrossFit(Normaliser.of(features), Head(features.shape[1], 2, 8).eval(), np.zeros((0, 5), np.float32))
            for task in TASKS
        }

    return Mini(probes, fits(measured), fits(torch.cat([measured, learned], dim=1))).eval()


def manifest(task, root) -> Manifest:
    rows = {"path": ["a.png", "b.png"], "score": [1.5, 4.0], "split": ["train", "test"]}
    return Manifest(f"toy-{task}", task, ScoreRange(1, 5), "row", "own work", "rendered", root, pa.table(rows))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, render_picture):
    """One export for all tests of this file: it takes some ten seconds."""
    root = tmp_path_factory.mktemp("export")
    model = random_mini([np.asarray(render_picture(seed, (160, 120))) for seed in range(10)])
    heads = dict.fromkeys(TASKS, HeadConfig())
    stage = StageConfig(steps=3, batch=2, crop=64, synthetic_pairs=1, quality=1, aesthetics=1, learning_rate=1e-3)
    data = DataConfig(quality=root, aesthetics=root, priors=root)
    recipe = Recipe(name="toy", data=data, heads=heads, wide_heads=heads, stages={"pretrain": stage, "finetune": stage})
    manifests = {task: manifest(task, root) for task in TASKS}
    card = write_checkpoint(model, recipe, manifests, root / "model")
    return SimpleNamespace(model=model, card=card, manifests=manifests, folder=root / "model")


def test_the_exported_graph_says_what_the_torch_model_says_at_any_size(exported, render_picture):
    session = onnxruntime.InferenceSession(exported.folder / "toy.onnx", providers=["CPUExecutionProvider"])
    answers = []
    for size in SIZES:
        batch = np.stack([np.asarray(render_picture(seed, size)) for seed in (20, 21)])
        with torch.inference_mode():
            expected = exported.model(torch.from_numpy(batch))
        found = session.run(list(TASKS), {"rgb": batch})
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)
        answers.append(np.concatenate(found))
    assert np.std(answers, axis=0).max() > 1e-2, "the answers must differ to prove it"


def test_a_black_picture_gets_finite_probabilities(exported):
    session = onnxruntime.InferenceSession(exported.folder / "toy.onnx", providers=["CPUExecutionProvider"])
    for probabilities in session.run(list(TASKS), {"rgb": np.zeros((1, 80, 80, 3), np.uint8)}):
        assert np.isfinite(probabilities).all()
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_a_written_checkpoint_loads_and_scores(exported, render_picture):
    scores = beholder.load(exported.folder).score([render_picture(seed, (140, 100)) for seed in (1, 2)])
    for score in scores:
        assert 0 <= score.quality <= 100
        assert 0 <= score.aesthetics <= 100
    assert scores[0].quality != scores[1].quality


def test_the_card_says_what_the_model_learned_from(exported):
    card = exported.card
    assert card.tasks["quality"].native_range == (1, 5)
    assert card.tasks["quality"].trained_on == ("toy-quality:train",)
    assert card.manifest_sha256 == {m.name: m.sha256 for m in exported.manifests.values()}
    assert "1 pictures of toy-quality" in card.training
    assert "own work" in card.data_licence
    assert card.measured == ()


def test_the_first_convolution_takes_bytes_as_the_trunk_takes_unit_pixels(exported, render_picture):
    """The folded entry against the unfolded trunk: what training saw is what scoring sees, borders included."""
    rgb = torch.tensor(np.asarray(render_picture(5, (101, 77))))[None]
    with torch.inference_mode():
        model = exported.model
        learned = model.trunk.features(rgb)
        measured = model.statistics(rgb.permute(0, 3, 1, 2).float())
        for task, logits in model.logits(rgb).items():
            first = model.heads[task](measured) + model.trunk.levels[task](learned)
            second = model.wide[task](torch.cat([measured, learned], dim=1))
            torch.testing.assert_close(logits, (first + second) / 2, rtol=0, atol=1e-3)
