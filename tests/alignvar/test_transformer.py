import math

import pytest
import torch
import torch.nn.functional as F

from beholder.alignvar import rotary
from beholder.alignvar.config import SIZES, AlignVarConfig
from beholder.alignvar.pyramid import image_of, tokens_of
from beholder.alignvar.transformer import AlignVar

STARTS = (0, 1, 5, 14)  # of the codes of scales 1 to 4 among 30


def inputs_of(tokeniser, pictures):
    return tokeniser.inputs(tokeniser.quantise(tokeniser.encode(pictures)).fhats)


@pytest.mark.parametrize("kind", ["model", "labelled", "placed"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_scale_knows_nothing_of_later_ones(kind, k, request, tokeniser, pictures, lr):
    """The input of scale k holds what scales up to k - 1 decided; changing it must leave scales before k alone."""
    model = request.getfixturevalue(kind)
    inputs = inputs_of(tokeniser, pictures)
    changed = inputs.clone()
    changed[:, STARTS[k] - 1 :] += 1.0
    before, after = model(lr, inputs), model(lr, changed)
    assert torch.equal(before[:, : STARTS[k]], after[:, : STARTS[k]])
    assert (before[:, STARTS[k] :] - after[:, STARTS[k] :]).abs().amax(-1).min() > 1e-4


def test_a_scale_depends_on_the_one_before_and_on_the_lr_picture(model, tokeniser, pictures, lr):
    indices = tokeniser.indices(pictures)
    changed = [*indices[:2], (indices[2] + 1) % 32, indices[3]]
    before = model(lr, tokeniser.inputs(tokeniser.fhat(indices)))
    after = model(lr, tokeniser.inputs(tokeniser.fhat(changed)))
    assert torch.equal(before[:, :14], after[:, :14])
    assert (before[:, 14:] - after[:, 14:]).abs().amax() > 1e-3
    other = model(lr.flip(3), tokeniser.inputs(tokeniser.fhat(indices)))
    assert (before - other).abs().amax(dim=(0, 2)).min() > 1e-4


@pytest.mark.parametrize("kind", ["model", "labelled", "placed"])
def test_scale_by_scale_with_a_cache_is_the_same_as_all_at_once(kind, request, tokeniser, pictures, lr):
    model = request.getfixturevalue(kind)
    inputs = inputs_of(tokeniser, pictures)
    with torch.no_grad():
        whole = model(lr, inputs)
        first, state = model.begin(lr)
        steps = [model.step(part, k + 1, state) for k, part in enumerate(inputs.split([4, 9, 16], dim=1))]
    torch.testing.assert_close(torch.cat([first, *steps], dim=1), whole, atol=1e-4, rtol=0)


def test_a_label_changes_the_prediction(labelled, tokeniser, pictures, lr):
    inputs = inputs_of(tokeniser, pictures)
    good, poor = labelled(lr, inputs), labelled(lr, inputs, torch.tensor([1, 1]))
    assert torch.equal(good, labelled(lr, inputs, torch.tensor([0, 0])))
    assert (good - poor).abs().max() > 1e-3


def test_attention_gets_no_bias_and_is_what_a_mask_over_levels_gives(model, tokeniser, pictures, lr, monkeypatch):
    """Section 3: SCA must not touch attention. Level by level is the same as all at once under a mask."""
    seen, whole = [], []
    original = F.scaled_dot_product_attention

    def watched(*args, **kwargs):
        seen.append(kwargs)
        return original(*args, **kwargs)

    attention = model.blocks[1].attention
    attention.register_forward_hook(lambda _, arguments, output: whole.append((arguments, output)))
    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    model(lr, inputs_of(tokeniser, pictures))
    assert len(seen) == 2 * 4  # blocks, levels
    assert all(call == {"scale": 1.0} for call in seen)
    (x, turns, *_), output = whole[0]
    levels = rotary.levels((1, 2, 3, 4))
    masked = original(*attention.projected(x, turns), attn_mask=levels[:, None] >= levels, scale=1.0)
    torch.testing.assert_close(attention.proj(masked.transpose(1, 2).flatten(2)), output)


def test_levels_put_prefix_and_start_token_together():
    assert rotary.levels((1, 2, 4)).tolist() == [0] * 17 + [1] * 4 + [2] * 16


def test_all_scales_share_one_grid_aligned_at_the_top_left():
    at = rotary.coordinates((1, 2, 4))
    assert at[:17].tolist() == [[i // 4, i % 4] for i in range(16)] + [[0, 0]]
    assert at[17:21].tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    assert torch.equal(at[21:], at[:16])


def test_rotation_turns_pairs_first_by_rows_then_by_columns():
    turned = rotary.rotate(torch.tensor([1.0, 0, 1, 0]).expand(1, 1, 21 + 16, 4), rotary.table((1, 2, 4), 4))
    at = rotary.coordinates((1, 2, 4))
    expected = torch.stack([at[:, 0].cos(), at[:, 0].sin(), at[:, 1].cos(), at[:, 1].sin()], dim=1)
    torch.testing.assert_close(turned[0, 0], expected)


def test_rotary_frequencies_are_the_published_ones():
    cosine, _ = rotary.table((1, 2, 3), 16)
    row_of_last = 2.0
    expected = [math.cos(row_of_last * 10_000 ** (-4 * i / 16)) for i in range(4)]
    torch.testing.assert_close(cosine[8, :4], torch.tensor(expected))


@pytest.mark.parametrize(
    ("size", "millions", "within"), [("nano", 3.56, 0.01), ("small", 17.4, 0.05), ("d24", 1056.5, 0.5)]
)
def test_transformers_have_the_size_of_the_specification(size, millions, within):
    with torch.device("meta"):
        model = AlignVar(SIZES[size])
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=within)


def test_d24_spends_its_parameters_as_in_the_specification():
    with torch.device("meta"):
        model = AlignVar(SIZES["d24"])

    def millions(*modules):
        return round(sum(p.numel() for module in modules for p in module.parameters()) / 1e6, 2)

    assert millions(model.blocks) == 1019.73
    assert (millions(model.head), millions(model.head_modulation)) == (6.30, 4.72)
    assert millions(model.word, model.level, model.label) == 0.07
    assert (millions(model.lr_encoder), millions(model.gate)) == (23.50, 0.59)
    assert model.positions.numel() == 1025 * 1536


def test_the_sequence_in_training_is_as_long_as_specified():
    for size, tokens in (("nano", 786), ("small", 3264), ("d24", 3264)):
        assert len(rotary.levels(SIZES[size].tokeniser.scales)) == tokens


def test_drop_path_leaves_branches_out_only_in_training(model, tokeniser, pictures, lr):
    inputs = inputs_of(tokeniser, pictures)
    assert torch.equal(model(lr, inputs), model(lr, inputs))
    model.train()
    model.blocks[1].drop_path = 0.5
    torch.manual_seed(0)
    assert len({model(lr, inputs).sum().item() for _ in range(8)}) > 1


def test_an_untrained_small_model_starts_from_the_input_alone(lr, tokeniser, pictures):
    torch.manual_seed(0)
    model = AlignVar(SIZES["tiny"])
    assert all(block.attention.proj.weight.abs().sum() == 0 for block in model.blocks)
    loss = F.cross_entropy(model(lr, inputs_of(tokeniser, pictures)).flatten(0, 1), torch.zeros(60, dtype=torch.long))
    assert loss.item() == pytest.approx(math.log(32), abs=0.05)


def test_a_tile_of_another_size_is_refused(model, tokeniser, pictures):
    with pytest.raises(ValueError, match=r"\[2, 3, 5, 5\].*\[B, 3, 4, 4\]"):
        model(torch.zeros(2, 3, 5, 5), inputs_of(tokeniser, pictures))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokeniser": {"scales": [1, 2, 2, 4]}}, "grow"),
        ({"tokeniser": {"channels": [8, 8, 12]}}, "12 is not a multiple of 8"),
        ({"tokeniser": {"colour": 1}}, "colour"),
        ({"transformer": {"heads": 5}}, "each head"),
        ({"transformer": {"adaln": True}}, "label"),
        ({"transformer": {"lr_channels": [8, 8]}}, "ends at a side of 8, the latent has 4"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(change, message):
    wrong = SIZES["tiny"].model_dump()
    for part, fields in change.items():
        wrong[part] |= fields
    with pytest.raises(ValueError, match=message):
        AlignVarConfig.model_validate(wrong)


def test_tokens_that_are_given_the_prefix_at_their_place_say_something_else(placed, tokeniser, pictures, lr):
    inputs = inputs_of(tokeniser, pictures)
    with_prefix = placed(lr, inputs)
    placed.config = SIZES["tiny"]
    assert (with_prefix - placed(lr, inputs)).abs().amax(dim=(0, 2)).min() > 1e-4


def test_the_image_of_tokens_is_the_inverse_of_the_tokens_of_an_image(lr):
    assert torch.equal(image_of(tokens_of(lr)), lr)
