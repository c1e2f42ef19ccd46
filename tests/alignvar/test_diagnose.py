from itertools import pairwise

import pytest
import torch

from beholder.alignvar import rotary
from beholder.alignvar.decode import decoded_latent
from beholder.alignvar.diagnose import (
    attention_distance,
    attention_weights,
    error_drift,
    middles,
    uniform_distance,
)

SCALES = (1, 2, 3, 4)


@pytest.fixture
def inputs(tokeniser, pictures):
    return tokeniser.inputs(tokeniser.quantise(tokeniser.encode(pictures)).fhats)


def test_weights_of_attention_are_those_that_the_block_uses(model, lr, inputs):
    """Values weighed by them and projected are what the module itself gives."""
    attention, seen = model.blocks[1].attention, []
    attention.register_forward_hook(lambda _, arguments, output: seen.append((arguments, output)))
    with torch.no_grad():
        model(lr, inputs)
        (x, turns, *_), output = seen[0]
        levels = rotary.levels(SCALES)
        weights = attention_weights(attention, x, turns, levels)
        values = attention.projected(x, turns)[2]
        again = attention.proj((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(again, output, atol=1e-5, rtol=1e-5)
    assert (weights * (levels[:, None] < levels)).abs().max() == 0
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_distance_is_that_of_the_tokens_attended_to(model, lr, inputs):
    """By loops over queries and keys, for one layer, head and scale."""
    found = attention_distance(model, lr, inputs)
    assert found.shape == (2, 2, 2, 4)
    seen = []
    model.blocks[0].attention.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    with torch.no_grad():
        model(lr, inputs)
        x, turns, *_ = seen[0]
        at, levels = middles(SCALES), rotary.levels(SCALES)
        weights = attention_weights(model.blocks[0].attention, x, turns, levels)[1, 0]
    of_scale_3 = [
        sum(float(weights[query, key] * (at[query] - at[key]).norm()) for key in range(len(at)))
        for query in range(len(at))
        if levels[query] == 2
    ]
    assert len(of_scale_3) == 9
    assert found[1, 0, 0, 2] == pytest.approx(sum(of_scale_3) / 9, abs=1e-5)


def test_attention_without_a_preference_has_the_uniform_distance(model, lr, inputs):
    for block in model.blocks:
        block.attention.log_scale.data.fill_(-20)  # temperature of nothing: all keys alike
    found = attention_distance(model, lr, inputs)
    torch.testing.assert_close(found, uniform_distance(SCALES).expand_as(found), atol=1e-4, rtol=0)


def test_attention_to_itself_has_no_distance_where_nothing_else_is_alike(model, lr, inputs):
    """Sharp attention by place alone: a token of the last scale then sees the prefix token at its own place too."""
    for block in model.blocks:
        qkv = block.attention.qkv.weight.data
        qkv[:64] = 0
        block.attention.q_bias.data.fill_(1)
        block.attention.qkv.register_forward_hook(
            lambda _, arguments, output: torch.cat([output[..., :32], torch.ones(2, 46, 32), output[..., 64:]], dim=-1)
        )
        block.attention.log_scale.data.fill_(100)
    found = attention_distance(model, lr, inputs)
    assert found[..., 3].max() < 0.5 < uniform_distance(SCALES)[3]


def test_places_are_the_middles_of_cells():
    at = middles((1, 2, 4))
    assert at[0].tolist() == [0.5, 0.5]
    assert at[16].tolist() == [2, 2]
    assert at[17:21].tolist() == [[1, 1], [1, 3], [3, 1], [3, 3]]
    assert torch.equal(at[21:], at[:16])


def test_looking_leaves_no_hook_behind(model, lr, inputs):
    attention_distance(model, lr, inputs)
    with pytest.raises(ValueError, match="LR batch"):
        attention_distance(model, lr[:, :, :2], inputs)
    assert all(not block.attention._forward_pre_hooks for block in model.blocks)


def test_drift_is_the_gap_between_decoding_with_an_error_and_without(model, tokeniser, lr, monkeypatch):
    """An error of the last scale stays what it was; the latent without one is that of greedy decoding."""
    decoded = []
    original = tokeniser.decode
    monkeypatch.setattr(tokeniser, "decode", lambda fhat, lr: decoded.append(fhat) or original(fhat, lr))
    drift = error_drift(model, tokeniser, lr, share=0.5)
    torch.testing.assert_close(decoded[0], decoded_latent(model, tokeniser, lr, "greedy"))
    assert drift.latent.shape == drift.injected.shape == drift.picture.shape == (4, 2)
    torch.testing.assert_close(drift.latent[3], drift.injected[3])
    for k, fhat in enumerate(decoded[1:]):
        gap = (fhat - decoded[0]).square().mean(dim=(1, 2, 3)).sqrt()
        torch.testing.assert_close(drift.latent[k], gap)
    assert (drift.picture > 0).all()


def test_later_scales_answer_to_an_error(model, tokeniser, lr):
    drift = error_drift(model, tokeniser, lr, share=0.5)
    assert (drift.latent[:3] - drift.injected[:3]).abs().amax(1).min() > 1e-4


def test_a_model_that_reads_nothing_of_earlier_scales_carries_an_error_unchanged(model, tokeniser, lr):
    model.word.weight.data.zero_()
    drift = error_drift(model, tokeniser, lr, share=0.5)
    torch.testing.assert_close(drift.latent, drift.injected)


def test_more_wrong_codes_are_a_larger_error_and_a_seed_repeats_it(model, tokeniser, lr):
    injected = [error_drift(model, tokeniser, lr, share=share).injected for share in (0.0, 0.5, 1.0)]
    assert all((less[1:] < more[1:]).all() for less, more in pairwise(injected))
    assert (injected[0] > 0).all()  # one code at least
    again, other = (error_drift(model, tokeniser, lr, share=0.5, seed=seed) for seed in (0, 1))
    assert torch.equal(again.injected, injected[1])
    assert not torch.equal(other.injected, injected[1])


def test_latents_are_measured_in_their_standard_deviations(model, tokeniser, lr):
    before = error_drift(model, tokeniser, lr, share=0.5)
    tokeniser.latent_std.fill_(2.0)
    after = error_drift(model, tokeniser, lr, share=0.5)
    torch.testing.assert_close(after.latent, before.latent / 2)
    torch.testing.assert_close(after.picture, before.picture)
