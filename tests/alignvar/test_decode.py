import pytest
import torch

from beholder.alignvar.decode import _allowed, _disturbed, decoded_latent, upscale_tiles

DECODINGS = ["greedy", "sample", "soft", "mixed"]


@pytest.mark.parametrize("decode", DECODINGS)
def test_a_tile_becomes_four_times_as_large(model, tokeniser, lr, decode):
    large = upscale_tiles(model, tokeniser, lr, decode)
    assert large.shape == (2, 3, 16, 16)
    assert large.dtype == torch.float32
    assert 0 <= large.min() < large.max() <= 1


@pytest.mark.parametrize("decode", DECODINGS)
def test_decoding_twice_gives_the_same_bits(model, tokeniser, lr, decode):
    assert torch.equal(upscale_tiles(model, tokeniser, lr, decode), upscale_tiles(model, tokeniser, lr, decode))


@pytest.mark.parametrize("decode", DECODINGS)
def test_a_tile_does_not_depend_on_its_batch(model, tokeniser, lr, decode):
    both = upscale_tiles(model, tokeniser, lr, decode)
    alone = torch.cat([upscale_tiles(model, tokeniser, tile[None], decode) for tile in lr])
    torch.testing.assert_close(both, alone, atol=1 / 255 / 10, rtol=0)


def test_greedy_decoding_takes_the_likeliest_code_of_the_uncached_model(model, tokeniser, lr):
    """Scale by scale with the whole model: no cache, later inputs left at zero."""
    inputs, indices = torch.zeros(2, 29, 8), []
    for k, side in enumerate((1, 2, 3, 4)):
        begin = sum(s * s for s in (1, 2, 3, 4)[:k])
        with torch.no_grad():
            indices.append(model(lr, inputs)[:, begin : begin + side * side].argmax(-1))
        known = tokeniser.inputs(tokeniser.fhat(indices))
        inputs[:, : known.shape[1]] = known
    torch.testing.assert_close(decoded_latent(model, tokeniser, lr, "greedy"), tokeniser.fhat(indices)[-1])


def test_sampling_follows_its_seed(model, tokeniser, lr):
    draws = [decoded_latent(model, tokeniser, lr, "sample", seed, temperature=2.0) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_one_allowed_code_is_greedy(model, tokeniser, lr):
    greedy = decoded_latent(model, tokeniser, lr, "greedy")
    assert torch.equal(decoded_latent(model, tokeniser, lr, "sample", top_k=1), greedy)
    assert torch.equal(decoded_latent(model, tokeniser, lr, "sample", top_p=1e-6), greedy)


def test_top_k_and_top_p_keep_the_fewest_likeliest():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert _allowed(logits, 2, 1.0).isfinite().tolist() == [True, True, False, False]
    assert _allowed(logits, 4, 0.7).isfinite().tolist() == [True, True, False, False]
    assert _allowed(logits, 4, 0.4).isfinite().tolist() == [True, False, False, False]


def test_disturbed_logits_are_draws_from_the_softmax():
    logits = torch.tensor([0.7, 0.2, 0.1]).log().expand(1, 20_000, 3)
    drawn = _disturbed(logits, torch.Generator().manual_seed(0)).argmax(-1).flatten()
    torch.testing.assert_close(
        drawn.bincount(minlength=3) / len(drawn), torch.tensor([0.7, 0.2, 0.1]), atol=0.01, rtol=0
    )


def test_mixed_is_soft_but_for_the_last_scale(model, tokeniser, lr, monkeypatch):
    steps = {how: [] for how in ("soft", "mixed")}
    original = type(tokeniser.pyramid).contribution
    for how, seen in steps.items():
        monkeypatch.setattr(
            type(tokeniser.pyramid),
            "contribution",
            lambda self, codes, k, to=seen: to.append(codes) or original(self, codes, k),
        )
        decoded_latent(model, tokeniser, lr, how)
    assert all(torch.equal(a, b) for a, b in zip(steps["soft"][:3], steps["mixed"][:3], strict=True))
    nearest = tokeniser.pyramid.codebook[tokeniser.pyramid.nearest(steps["mixed"][3])]
    assert torch.equal(steps["mixed"][3], nearest)
    assert not torch.equal(steps["soft"][3], steps["mixed"][3])


def test_guidance_between_labels_needs_labels(model, labelled, tokeniser, lr):
    with pytest.raises(ValueError, match="no quality labels"):
        upscale_tiles(model, tokeniser, lr, cfg=6.0)
    plain, guided = (decoded_latent(labelled, tokeniser, lr, "soft", cfg=cfg) for cfg in (0.0, 6.0))
    assert not torch.equal(plain, guided)
