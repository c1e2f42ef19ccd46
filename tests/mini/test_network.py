import numpy as np
import pytest
import torch

from beholder.data.distortions import FAMILIES
from beholder.mini.config import StageConfig
from beholder.mini.data import FAMILY_NAMES, Bundles, collate, crop
from beholder.mini.model import Probes, expected
from beholder.mini.network import Trunk, TrunkConfig

SMALL = TrunkConfig(stem=(4, 8), widths=(8, 12), depths=(1, 1))
STAGE = StageConfig(
    steps=2, batch=3, crop=96, synthetic_pairs=2, quality=2, aesthetics=1, learning_rate=1e-3, eval_steps=1
)
PRIORS = dict.fromkeys(FAMILIES, (1.0, 0.8, 0.6, 0.5, 0.3, 0.1))


@pytest.fixture
def lessons(rate):
    quality = rate("quality", 0)
    return Bundles(STAGE, quality, rate("aesthetics", 20), quality.pixels, PRIORS, seed=7)


def test_a_picture_has_the_same_features_alone_and_in_a_batch(render_picture):
    torch.manual_seed(0)
    trunk = Trunk(SMALL).eval()
    pictures = [np.asarray(render_picture(i, (97, 65))) for i in range(3)]
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        together = trunk(batch)
        alone = torch.cat([trunk(one[None]) for one in batch])
    assert together.shape == (3, trunk.width)
    assert together.std(dim=0).max() > 1e-3, "the pictures must differ to prove it"
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_bundle_i_holds_the_same_pixels_whenever_it_is_asked_for(lessons):
    first = lessons[4]
    lessons[0]
    again = lessons[4]
    for key, tensor in first.items():
        assert torch.equal(tensor, again[key]), key
    assert not torch.equal(first["pair_rgb"], lessons[5]["pair_rgb"])


def test_a_batch_holds_what_the_stage_asks_for(lessons):
    batch = collate([lessons[i] for i in range(STAGE.batch)])
    assert batch["quality_rgb"].shape == (6, 96, 96, 3)
    assert batch["aesthetics_rgb"].shape == (3, 96, 96, 3)
    assert batch["quality_offset"].shape == (6, 5)
    assert batch["pair_rgb"].shape == (6, 2, 96, 96, 3)
    assert batch["pair_rgb"].dtype == torch.uint8
    assert len(lessons) == STAGE.steps * STAGE.batch


def test_the_second_of_a_pair_is_the_more_damaged_one(lessons):
    for i in range(6):
        bundle = lessons[i]
        assert (bundle["pair_prior"][:, 0] > bundle["pair_prior"][:, 1]).all()
        for low, high in bundle["pair_family"].tolist():
            assert high > 0
            assert low in (0, high)
            assert FAMILY_NAMES[high] in FAMILIES


def test_a_crop_is_a_window_of_the_picture_or_of_its_mirror():
    rgb = np.arange(80 * 90 * 3, dtype=np.uint32).reshape(80, 90, 3).astype(np.uint8)
    rgb[..., 0], rgb[..., 1] = np.indices((80, 90))
    mirrored = set()
    for seed in range(8):
        window = crop(rgb, 64, np.random.default_rng(seed))
        assert window.shape == (64, 64, 3)
        top, left, right = window[0, 0, 0], window[0, 0, 1], window[0, -1, 1]
        mirrored.add(bool(left > right))
        whole = rgb[top : top + 64, min(left, right) : min(left, right) + 64]
        np.testing.assert_array_equal(window, whole[:, ::-1] if left > right else whole)
    assert mirrored == {False, True}
    assert crop(rgb, 128, np.random.default_rng(0)).shape == (128, 128, 3)


def test_silenced_probes_repeat_the_offset(lessons):
    torch.manual_seed(0)
    model = Probes(SMALL).eval()
    batch = collate([lessons[0], lessons[1]])
    with torch.inference_mode():
        before = model(**batch)["quality_pred"]
        model.start_residual()
        after = model(**batch)["quality_pred"]
    offered = expected(batch["quality_offset"])
    assert not torch.allclose(before, offered)
    torch.testing.assert_close(after, offered)


def test_a_few_steps_on_one_batch_lower_its_loss(lessons):
    torch.manual_seed(0)
    model = Probes(SMALL)
    batch = collate([lessons[i] for i in range(3)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = model(**batch)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:3])
