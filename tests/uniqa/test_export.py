from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

import beholder
from beholder.errors import UserError
from beholder.scoring.card import Card
from beholder.uniqa.export import export
from beholder.uniqa.graph import PLACES, Scorer, view
from beholder.uniqa.model import Uniqa
from beholder.uniqa.prompts import ENSEMBLE
from beholder.uniqa.views import grid_of_tensor

SIZES = [(100, 80), (500, 333), (32, 64), (64, 64)]
"""Width and height."""

LEARNT = [0.1, 0.5, 0.4, 0.8, 1.2]


def loud_model(tokenizer) -> Uniqa:
    """A tiny model of random weights, with its weights enlarged until its answers differ from picture to picture."""
    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**tower, "vocab_size": 100, "bos_token_id": 1, "eos_token_id": 99, "pad_token_id": 0}
    vision = {**tower, "patch_size": 16, "image_size": 64}
    encoder = CLIPModel(CLIPConfig(projection_dim=24, vision_config=vision, text_config=text))
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
        encoder.logit_scale.fill_(np.log(20))
    model = Uniqa.start(encoder, tokenizer, {"quality": ENSEMBLE, "aesthetics": ("aesthetics",)}).eval()
    model.adapt("quality")
    with torch.no_grad():
        model.levels["quality"].copy_(torch.tensor(LEARNT))
    aesthetics = model.config.tasks["aesthetics"].model_copy(update={"short": 70})
    tasks = {**model.config.tasks, "aesthetics": aesthetics}
    model.config = model.config.model_copy(update={"tasks": tasks})
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory, word_tokenizer):
    """One export for all tests of this file: it takes some ten seconds."""
    folder = tmp_path_factory.mktemp("export")
    model = loud_model(word_tokenizer)
    card = export(model, folder, name="toy", views=2)
    session = onnxruntime.InferenceSession(folder / "toy.onnx", providers=["CPUExecutionProvider"])
    return SimpleNamespace(model=model, card=card, folder=folder, session=session)


def pictures(render, size, n):
    return np.stack([np.asarray(render(seed, size)) for seed in range(n)])


@pytest.mark.parametrize("batch", [1, 8])
def test_the_graph_says_what_torch_says_at_any_size_and_in_any_batch(exported, render_picture, batch):
    answers = []
    for size in SIZES:
        rgb = pictures(render_picture, size, batch)
        with torch.inference_mode():
            expected = Scorer(exported.model, 2)(torch.from_numpy(rgb))
        found = exported.session.run(["quality", "aesthetics"], {"rgb": rgb})
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.shape == (batch, 5)
            np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)
        answers.append(found[0])
    assert np.std(np.concatenate(answers), axis=0).max() > 1e-2, "the answers must differ to prove it"


def test_a_picture_gets_the_same_probabilities_alone_and_among_others(exported, render_picture):
    rgb = pictures(render_picture, (90, 75), 8)
    together = exported.session.run(["quality"], {"rgb": rgb})[0]
    alone = np.concatenate([exported.session.run(["quality"], {"rgb": each[None]})[0] for each in rgb])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(100, 80), (900, 600)])
def test_a_score_is_the_models_own_on_its_own_scale(exported, render_picture, size):
    """Through the card and `beholder.load`: learnt level values for the adapter, 0 to 100 zero-shot."""
    picture = render_picture(3, size)
    score = beholder.load(exported.folder).score(picture)
    rgb = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        raw = {}
        for task, short in (("quality", None), ("aesthetics", 70)):
            views = torch.cat([view(rgb, place, 64, short) for place in PLACES[2]])
            raw[task] = exported.model.score(exported.model.normalise(views), task).mean().item()
    assert score.quality == pytest.approx(100 * raw["quality"], abs=1e-2)
    assert score.aesthetics == pytest.approx(100 * (raw["aesthetics"] - 0.2) / 0.8, abs=1e-2)
    assert exported.card.tasks["quality"].level_values == pytest.approx([100 * value for value in LEARNT], abs=1e-3)


def test_the_card_tells_what_the_model_sees_and_what_is_not_trained(exported):
    card = Card.read(exported.folder / "card.json")
    assert card == exported.card
    assert "2 views of 64 x 64 px" in card.preprocess
    assert "for aesthetics the shorter side at most 70 px" in card.preprocess
    assert any("aesthetics is not adapted" in limit for limit in card.limits)
    assert not any("quality is not adapted" in limit for limit in card.limits)


def test_the_text_encoder_stays_behind(exported):
    graph = onnx.load(exported.folder / "toy.onnx").graph
    shapes = [tuple(tensor.dims) for tensor in graph.initializer]
    assert (100, 32) not in shapes, "token embeddings"
    assert (4, 5, 24) in shapes, "the features of four groups of five prompts"


@pytest.mark.parametrize("size", SIZES)
def test_views_by_matrices_are_the_crops_of_the_grid(render_picture, size):
    rgb = torch.from_numpy(pictures(render_picture, size, 2)).permute(0, 3, 1, 2).float() / 255
    grid = grid_of_tensor(rgb, 64)
    torch.testing.assert_close(view(rgb, (0, 0), 64), grid[:, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(view(rgb, (1, 1), 64), grid[:, -1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("views", PLACES)
def test_a_picture_lying_on_its_side_is_seen_at_the_same_places(render_picture, views):
    rgb = torch.from_numpy(pictures(render_picture, (300, 200), 1)).permute(0, 3, 1, 2).float()
    assert len(PLACES[views]) == views
    for place in PLACES[views]:
        upright = view(rgb.transpose(2, 3), place, 64).transpose(2, 3)
        torch.testing.assert_close(view(rgb, place, 64), upright, rtol=0, atol=1e-3)


@pytest.mark.parametrize("views", [n for n in PLACES if n >= 4])
def test_views_lie_evenly_around_the_middle(views):
    short, long = np.array(PLACES[views]).T
    for along in (short, long):
        assert along.mean() == pytest.approx(1 / 2)
        assert along.var() == pytest.approx(1 / 12, abs=0.025), "as far out as a random place is"
    assert np.mean((short - 1 / 2) * (long - 1 / 2)) == pytest.approx(0)


def test_a_large_picture_is_brought_down_to_the_shorter_side_of_its_task(render_picture):
    rgb = torch.from_numpy(pictures(render_picture, (300, 200), 1)).permute(0, 3, 1, 2).float() / 255
    small = torch.nn.functional.interpolate(rgb, size=(100, 150), mode="bicubic", antialias=True)
    torch.testing.assert_close(view(rgb, (0.5, 0.5), 64, short=100), small[..., 18:82, 43:107], rtol=0, atol=1e-5)


def test_eight_bits_are_smaller_and_near(exported, tmp_path, render_picture):
    card = export(exported.model, tmp_path, name="toy", views=2, int8=True, tasks=["quality"])
    assert list(card.tasks) == ["quality"]
    assert (tmp_path / "toy.onnx").stat().st_size < 0.75 * (exported.folder / "toy.onnx").stat().st_size
    small, whole = beholder.load(tmp_path), beholder.load(exported.folder)
    shots = [render_picture(seed, (120, 90)) for seed in range(6)]
    difference = [a.quality - b.quality for a, b in zip(small.score(shots), whole.score(shots), strict=True)]
    assert np.abs(difference).max() < 5
    assert list(exported.model.config.tasks) == ["quality", "aesthetics"], "exporting leaves the model as it was"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "no spaces"}, "name 'no spaces': allowed are small letters"),
        ({"name": "toy", "views": 3}, "views = 3; allowed: 1, 2, 4, 5, 6, 9"),
        ({"name": "toy", "tasks": ["beauty"]}, "has no task 'beauty'; it scores quality, aesthetics"),
    ],
)
def test_wrong_arguments_end_in_one_clear_line(exported, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        export(exported.model, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()
