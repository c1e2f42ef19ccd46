import pytest
import torch
from nano_uniqa import NANO, PROMPTS, SIZES
from pydantic import ValidationError

from beholder.errors import UserError
from beholder.uniqa.nano import NanoConfig, nano_clip, train_tokenizer

TEXTS = ["a good image with fine detail", "a bad image, blurred", "ein gutes Bild", "写真 🙂"]


def test_the_same_texts_give_the_same_tokenizer_whatever_their_order() -> None:
    first = train_tokenizer(TEXTS, 400, 24)
    second = train_tokenizer([*reversed(TEXTS), TEXTS[0]], 400, 24)
    assert first.get_vocab() == second.get_vocab()


def test_nothing_is_unknown_and_every_text_has_one_start_and_one_end() -> None:
    tokenizer = train_tokenizer(TEXTS, 400, 24)
    ids = tokenizer("words it NEVER saw: żółć ☂")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert ids.count(tokenizer.eos_token_id) == 1


def test_a_long_text_is_cut_and_keeps_its_end() -> None:
    tokenizer = train_tokenizer(TEXTS, 400, 24)
    ids = tokenizer("word " * 200, truncation=True)["input_ids"]
    assert len(ids) == 24
    assert ids[-1] == tokenizer.eos_token_id


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    first, _ = nano_clip(NANO, PROMPTS, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    second, _ = nano_clip(NANO, PROMPTS, seed=4)
    other, _ = nano_clip(NANO, PROMPTS, seed=5)
    name = "visual_projection.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


def test_padding_does_not_change_a_text() -> None:
    model, tokenizer = nano_clip(NANO, PROMPTS, seed=0)
    model.eval()
    one = model.get_text_features(input_ids=tokenizer(["good image"], return_tensors="pt")["input_ids"])
    two = tokenizer(["good image", "extremely low-quality image"], padding=True, return_tensors="pt")["input_ids"]
    assert torch.allclose(one.pooler_output[0], model.get_text_features(input_ids=two).pooler_output[0], atol=1e-5)


def test_the_default_is_about_a_million_parameters() -> None:
    model, _ = nano_clip(NanoConfig(), PROMPTS, seed=0)
    assert 0.7e6 < sum(parameter.numel() for parameter in model.parameters()) < 3e6
    assert model.logit_scale.exp().item() == pytest.approx(14.3, abs=0.01)


def test_no_texts_no_tokenizer() -> None:
    with pytest.raises(UserError, match="needs texts"):
        train_tokenizer(["", "  "], 400, 24)


def test_a_side_that_patches_do_not_fill_is_refused() -> None:
    with pytest.raises(ValidationError, match="32 is no multiple of patch 7"):
        NanoConfig(**{**SIZES, "patch": 7})
