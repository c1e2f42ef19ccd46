from copy import deepcopy
from pathlib import Path

import pytest
import torch
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from beholder.errors import UserError
from beholder.uniqa.head import level_score
from beholder.uniqa.model import Uniqa
from beholder.uniqa.prompts import ENSEMBLE, GROUPS

TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = {**TOWER, "patch_size": 16, "image_size": 32}
TEXT = {**TOWER, "vocab_size": 100, "bos_token_id": 1, "eos_token_id": 99, "pad_token_id": 0}


def tiny_clip(feature: int = 24, seed: int = 0) -> CLIPModel:
    torch.manual_seed(seed)
    text = {**TEXT, "max_position_embeddings": 16}
    return CLIPModel(CLIPConfig(projection_dim=feature, vision_config=VISION, text_config=text))


def tiny_siglip() -> SiglipModel:
    torch.manual_seed(0)
    return SiglipModel(SiglipConfig(vision_config=VISION, text_config={**TEXT, "max_position_embeddings": 12}))


@pytest.fixture
def model(word_tokenizer) -> Uniqa:
    return Uniqa.start(tiny_clip(), word_tokenizer).eval()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, 32, 32)


def test_at_the_published_width_262149_numbers_learn(word_tokenizer):
    model = Uniqa.start(tiny_clip(feature=512), word_tokenizer)
    model.adapt("quality")
    assert sum(parameter.numel() for parameter in model.trainable("quality")) == 262_149
    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == 262_149


def test_a_zero_shot_task_has_nothing_to_learn(model):
    assert not any(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(UserError, match=r"'aesthetics' is zero-shot"):
        model.trainable("aesthetics")


def test_training_moves_the_adapter_and_leaves_the_encoder_without_gradients(model, pixels):
    model.adapt("quality")
    model.score(pixels, "quality").sum().backward()
    assert all(parameter.grad is not None for parameter in model.trainable("quality"))
    assert all(parameter.grad is None for parameter in model.encoder.parameters())


def test_everything_is_in_the_state(model):
    model.adapt("quality")
    names = model.state_dict().keys()
    assert {
        "adapters.quality.first.weight",
        "adapters.quality.second.weight",
        "levels.quality",
        "text_quality",
    } <= names
    assert any(name.startswith("encoder.vision_model.") for name in names)


def test_the_score_is_the_expected_level(model, pixels):
    text = model.encode_text(list(GROUPS["quality"]))[None]
    expected = level_score(
        model.encode_image(pixels), text, model.encoder.logit_scale, torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0])
    )
    torch.testing.assert_close(model.score(pixels, "quality"), expected)


def test_a_score_does_not_depend_on_the_batch(model, pixels):
    model.adapt("quality")
    alone = torch.cat([model.score(each[None], "quality") for each in pixels])
    torch.testing.assert_close(model.score(pixels, "quality"), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [tiny_clip, tiny_siglip])
def test_a_saved_model_gives_the_same_scores(make, word_tokenizer, pixels, tmp_path):
    model = Uniqa.start(make(), word_tokenizer, {"quality": ENSEMBLE, "aesthetics": ("aesthetics",)}).eval()
    model.adapt("quality", hidden=7)
    with torch.no_grad():
        model.levels["quality"].copy_(torch.tensor([0.1, 0.5, 0.4, 0.8, 1.2]))
    model.save(tmp_path)
    loaded = Uniqa.load(tmp_path)
    assert loaded.config == model.config
    for task in ("quality", "aesthetics"):
        assert torch.equal(loaded.score(pixels, task), model.score(pixels, task))
    assert torch.equal(loaded.encode_text(["sharp image"]), model.encode_text(["sharp image"]))
    assert loaded.display_levels("quality") == pytest.approx((10, 50, 40, 80, 120))
    assert loaded.display_levels("aesthetics") == pytest.approx((0, 25, 50, 75, 100))


def test_a_folder_of_transformers_and_one_of_ours_both_give_their_encoder(word_tokenizer, pixels, tmp_path):
    encoder = tiny_clip()
    encoder.save_pretrained(tmp_path / "theirs")
    word_tokenizer.save_pretrained(tmp_path / "theirs")
    first = Uniqa.from_encoder(tmp_path / "theirs")
    first.save(tmp_path / "ours")
    second = Uniqa.from_encoder(tmp_path / "ours", {"quality": ("noise",)})
    assert torch.equal(first.encode_image(pixels), encoder.get_image_features(pixels).pooler_output)
    assert torch.equal(first.encode_image(pixels), second.encode_image(pixels))
    assert second.config.tasks["quality"].groups == ("noise",)


def test_text_is_encoded_once_and_not_at_every_score(model, pixels):
    calls = []
    model.encoder.text_model.register_forward_hook(lambda *_: calls.append(1))
    model.score(pixels, "quality")
    model.score(pixels, "quality")
    assert calls == []


def test_loading_other_weights_renews_the_text_features(model, word_tokenizer, pixels):
    other = Uniqa.start(tiny_clip(seed=5), word_tokenizer).eval()
    model.encoder.load_state_dict(other.encoder.state_dict())
    assert torch.equal(model.score(pixels, "quality"), other.score(pixels, "quality"))


def test_a_whole_state_brings_its_text_features_and_part_of_one_gets_them_computed(word_tokenizer, pixels):
    other = Uniqa.start(tiny_clip(seed=5), word_tokenizer).eval()
    state = other.state_dict()
    bare = Uniqa(tiny_clip(), other.config).eval()
    with pytest.raises(UserError, match="not of these encoder weights"):
        bare.score(pixels, "quality")
    bare.load_state_dict(state)
    assert torch.equal(bare.score(pixels, "quality"), other.score(pixels, "quality"))
    without_text = {name: tensor for name, tensor in state.items() if not name.startswith("text_")}
    with pytest.raises(RuntimeError, match="text_quality"):
        bare.load_state_dict(without_text)
    told = Uniqa.start(tiny_clip(), word_tokenizer).eval()
    told.load_state_dict(without_text)
    assert torch.equal(told.score(pixels, "quality"), other.score(pixels, "quality"))


def test_while_the_text_encoder_learns_nothing_is_read_from_the_cache(model, pixels):
    model.encoder.requires_grad_(True)
    before = model.score(pixels, "quality")
    with torch.no_grad():
        for parameter in model.encoder.text_model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    assert not torch.equal(model.score(pixels, "quality"), before)


def test_other_prompts_give_other_scores(model, word_tokenizer, pixels):
    before = model.score(pixels, "quality")
    model.set_prompts(word_tokenizer, {"quality": ("quality", "noise")})
    assert model.text("quality").shape == (2, 5, 24)
    assert not torch.equal(model.score(pixels, "quality"), before)
    torch.testing.assert_close(model.probabilities(pixels, "quality").sum(dim=1), torch.ones(3))


def test_pictures_of_another_size_are_seen_with_interpolated_positions(model):
    assert model.encode_image(torch.randn(1, 3, 48, 64)).shape == (1, 24)


def test_a_long_text_is_cut_to_the_context_and_keeps_its_end(model):
    model.tokenizer = deepcopy(model.tokenizer)
    model.tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    tokens = model.tokenize(["good " * 40, "good"])
    assert tokens.shape == (2, 16)
    assert tokens[0, -1] == 99


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\x10\0\0"), "is truncated or not a safetensors"),
        (lambda folder: cut(folder / "model.safetensors"), "is truncated or not a safetensors"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not the config of a UniQA model"),
        (lambda folder: edit(folder, '"hidden": 7', '"hidden": 8'), "do not fit its config.*adapters.quality"),
        (lambda folder: edit(folder, '"quality"\n', '"beauty"\n'), "no prompt group 'beauty'"),
        (
            lambda folder: edit(folder, '"model_type": "clip"', '"model_type": "bert"'),
            "is of type 'bert'; allowed: clip",
        ),
    ],
)
def test_a_damaged_folder_ends_in_one_clear_line(model, tmp_path, break_it, message):
    model.adapt("quality", hidden=7)
    model.save(tmp_path)
    break_it(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        Uniqa.load(tmp_path)
    assert "\n" not in str(error.value)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "config.json"
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new))


def test_what_is_no_folder_and_what_is_no_encoder_is_said(tmp_path):
    with pytest.raises(UserError, match=r"is not a folder; a UniQA model is a folder with a config\.json"):
        Uniqa.load(tmp_path / "nothing")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(UserError, match="is of type 'vit'; allowed: clip, siglip"):
        Uniqa.from_encoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(UserError, match="no CLIP or SigLIP encoder with a tokenizer could be loaded"):
        Uniqa.from_encoder(tmp_path)


def test_an_empty_text_an_unknown_group_and_an_unknown_task_are_said(model, word_tokenizer, pixels):
    with pytest.raises(UserError, match="text 1 of 2 is empty"):
        model.encode_text(["good image", "  "])
    with pytest.raises(UserError, match="no prompt group 'sharp'; allowed: quality, sharpness"):
        model.set_prompts(word_tokenizer, {"quality": ("sharp",)})
    with pytest.raises(UserError, match="no prompt group 'sharp'; allowed: quality, sharpness"):
        Uniqa.start(tiny_clip(), word_tokenizer, {"quality": ("sharp",)})
    only_quality = Uniqa.start(tiny_clip(), word_tokenizer, {"quality": ("quality",)})
    with pytest.raises(UserError, match="has no task 'aesthetics'; it scores quality"):
        only_quality.score(pixels, "aesthetics")


def test_sides_of_different_widths_are_refused(word_tokenizer):
    text = {**TEXT, "hidden_size": 48, "projection_size": 48, "max_position_embeddings": 12}
    encoder = SiglipModel(SiglipConfig(vision_config=VISION, text_config=text))
    with pytest.raises(UserError, match="gives pictures 32 features and texts 48"):
        Uniqa.start(encoder, word_tokenizer)
