from types import SimpleNamespace

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch
from nano_uniqa import tiny_model

import beholder
from beholder.data.manifest import Manifest
from beholder.mini.checkpoint import write_checkpoint
from beholder.mini.config import CodebookConfig, DataConfig, HeadConfig, KernelConfig, Recipe
from beholder.mini.encoder import Encoder
from beholder.mini.export import Mini
from beholder.mini.features import Features, features_of
from beholder.mini.heads import fit_head
from beholder.task import TASKS, ScoreRange

TEXTURE = CodebookConfig(plane="luma", halvings=0, taps=5, stride=4, words=6, floor=1)
COLOUR = CodebookConfig(plane="rgb", halvings=2, taps=6, stride=2, words=7, floor=10)
SIZES = [((64, 64), 1), ((150, 97), 3), ((320, 213), 2)]
"""Width and height, and pictures in the batch."""


def fitted_mini(pictures: list[np.ndarray], measure: Features, config: HeadConfig) -> Mini:
    """A model fitted to random scores."""
    rows = features_of(pictures, measure)
    unit = np.random.default_rng(0).random((2, len(pictures)), dtype=np.float32)
    heads = {task: fit_head(rows, one, measure.places, None, config) for task, one in zip(TASKS, unit, strict=True)}
    return Mini(measure, heads).eval()


def manifest(task, root) -> Manifest:
    rows = {"path": ["a.png", "b.png"], "score": [1.5, 4.0], "split": ["train", "test"]}
    return Manifest(f"toy-{task}", task, ScoreRange(1, 5), "row", "own work", "rendered", root, pa.table(rows))


@pytest.fixture(scope="module")
def exported(tmp_path_factory, scenes, books, head_config):
    """One export, of every block of features, for all tests of this file: it takes most of a minute."""
    root = tmp_path_factory.mktemp("export")
    kernels = {**head_config.kernels, "uniqa": KernelConfig(weight=1.0, width=0.2)}
    head_config = head_config.model_copy(update={"kernels": kernels})
    model = fitted_mini(scenes, Features(books, Encoder(tiny_model())).eval(), head_config)
    data = DataConfig(quality=root, aesthetics=root, priors=root)
    heads = dict.fromkeys(TASKS, head_config)
    recipe = Recipe(name="toy", data=data, texture=[TEXTURE], colour=[COLOUR], heads=heads, encoder=root)
    manifests = {task: manifest(task, root) for task in TASKS}
    card = write_checkpoint(model, recipe, manifests, root / "model")
    return SimpleNamespace(model=model, card=card, manifests=manifests, folder=root / "model")


def test_the_exported_graph_says_what_the_torch_model_says_at_any_size(exported, render_picture):
    session = onnxruntime.InferenceSession(exported.folder / "toy.onnx", providers=["CPUExecutionProvider"])
    answers = []
    for size, n in SIZES:
        batch = np.stack([np.asarray(render_picture(20 + seed, size)) for seed in range(n)])
        with torch.inference_mode():
            expected = exported.model(torch.from_numpy(batch))
        found = session.run(list(TASKS), {"rgb": batch})
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)
        answers.append(np.stack(found)[:, 0])
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
