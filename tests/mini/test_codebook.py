import numpy as np
import pytest
import torch
import torch.nn.functional as F

from beholder.mini.codebook import Codebook, learn_codebook, plane_of
from beholder.mini.config import CodebookConfig
from beholder.mini.features import as_planes


def test_answers_are_those_of_whitened_patches_taken_one_by_one(books, scenes):
    """The convolution against its definition: normalise, compare with each prototype, keep what stands out."""
    for book in (books["texture"][0], books["colour"][0]):
        config = book.config
        plane = plane_of(as_planes(scenes[0])[None], config)
        patches = F.unfold(plane, config.taps, stride=config.stride)[0].T
        centred = patches - patches.mean(dim=1, keepdim=True)
        normal = centred / (centred.square().mean(dim=1, keepdim=True) + (config.floor / 255) ** 2).sqrt()
        raw = normal @ book.prototypes.flatten(1).T + book.bias
        torch.testing.assert_close(raw.mean(dim=1), torch.zeros(len(raw)), rtol=0, atol=1e-3)
        expected = raw.clamp(min=0).T
        torch.testing.assert_close(book.answers(plane)[0].flatten(1), expected, rtol=1e-3, atol=1e-3)
        assert (expected > 0).any(dim=1).all(), "a prototype that nothing answers to proves nothing"


def test_every_kind_of_patch_that_there_is_gets_a_prototype():
    """Stripes of period 4 across and down have eight kinds of 4 x 4 patch: each is answered well, by one of its own."""
    stripes = (torch.arange(64) % 4 < 2).float() * 200 + 20
    across, down = stripes[None, None].expand(3, 64, 64), stripes[None, :, None].expand(3, 64, 64)
    config = CodebookConfig(plane="luma", halvings=0, taps=4, stride=3, words=48, floor=1, patches=200)
    book = learn_codebook([across, down], config, seed=0)
    answers = torch.cat([book.answers(plane_of(one[None], config))[0].flatten(1) for one in (across, down)], dim=1)
    best, which = answers.max(dim=0)
    assert best.min() > 0.65 * best.max()
    assert len(set(which.tolist())) == 8


def test_contrast_and_brightness_do_not_change_the_answers(books, scenes):
    book = books["texture"][0]
    rgb = as_planes(scenes[3])[None]
    torch.testing.assert_close(book(rgb * 0.5 + 40), book(rgb), rtol=0.05, atol=0.05)


def test_pooling_tells_where_and_how_unevenly(books):
    """Texture in the upper half only: the first pool leans up; an even picture does not lean."""
    book = books["texture"][0]
    noise = torch.from_numpy(np.random.default_rng(0).normal(128, 40, (3, 128, 128)).astype(np.float32)).clamp(0, 255)
    noise = noise.mean(dim=0, keepdim=True).expand(3, -1, -1)
    half = noise.clone()
    half[:, 64:] = 128
    words = book.config.words
    even, leaning = book(noise[None])[0].view(4, words), book(half[None])[0].view(4, words)
    active = even[0] > 0.1
    assert active.any()
    assert (leaning[2][active] > 3 * even[2][active].abs()).all()
    torch.testing.assert_close(leaning[0][active], leaning[1][active], rtol=0.2, atol=0.0)  # half of the middle too
    assert (even[3] >= even[0] - 1e-5).all()
    assert (leaning[3] / leaning[0] > even[3] / even[0])[active].all()


def test_the_seed_and_the_pictures_decide_a_codebook_entirely(scenes):
    config = CodebookConfig(plane="rgb", halvings=1, taps=4, stride=2, words=5, floor=10, patches=30)
    seen = [as_planes(rgb) for rgb in scenes[:4]]
    first, again, other = (learn_codebook(seen, config, seed) for seed in (1, 1, 2))
    assert torch.equal(first.prototypes, again.prototypes)
    assert not torch.equal(first.prototypes, other.prototypes)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (64, 300)])
def test_the_smallest_pictures_have_finite_features(books, size):
    flat = torch.full((1, 3, *size), 200.0)
    for book in (
        books["texture"][0],
        books["colour"][0],
        Codebook(CodebookConfig(plane="rgb", halvings=3, taps=8, stride=8, words=2, floor=1)),
    ):
        found = book(flat)
        assert found.shape == (1, book.width)
        assert found.isfinite().all()


def test_a_picture_has_the_same_features_alone_and_in_a_batch(measure, scenes):
    batch = torch.stack([as_planes(rgb) for rgb in scenes[:3]])
    with torch.inference_mode():
        together = measure(batch)
        alone = torch.cat([measure(one[None]) for one in batch])
    places = measure.places
    assert [place.stop - place.start for place in places.values()] == [measure.statistics.width, 4 * 6, 4 * 7]
    assert together.shape == (3, places["colour"].stop)
    assert together.std(dim=0).max() > 1e-3, "the pictures must differ to prove it"
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
