"""The published weights' layout: random weights in it must give the numbers that the published code gives."""

import numpy as np
import plain_clip as plain
import pytest
import torch

from beholder.errors import UserError
from beholder.uniqa.head import level_logits
from beholder.uniqa.model import Uniqa
from beholder.uniqa.names import check_names, sizes_of, to_openai, to_transformers
from beholder.uniqa.official import convert, rounded

IMAGE = [-0.380021, -0.130166, 0.153864, -0.329922]
IMAGE_NORM = 4.454273
TEXT = [-0.825614, 0.599523, 0.181471, -0.392146]
ZERO_SHOT_LOGITS = [-4.1193, -6.1852, -5.3034, -18.4044, -12.1651]
ZERO_SHOT = 0.303279
CHANGE = [0, 0.073349, 0, 0.041829, 0, 0.042776]
ADAPTER_LOGITS = [-2.5043, -3.4986, -3.5955, -15.7366, -9.5589]
ADAPTED = 0.322466
WITHOUT_POSITIONS = (0.274984, 0.285169)
"""Zero-shot and adapted, of the published ensemble's fault; the spec's expected values, of the official classes."""


def tensors(state: plain.State) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value.copy()) for name, value in state.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    extras = {"input_resolution": 32, "context_length": 77, "vocab_size": 100}
    torch.save(tensors(plain.fixture_state()) | extras, folder / "backbone.pt")
    torch.save({"params": tensors(plain.fixture_adapter())}, folder / "adapter.pth")
    return folder


@pytest.fixture(scope="module")
def zero_shot(files, tokenizer_folder, tmp_path_factory) -> Uniqa:
    out = tmp_path_factory.mktemp("zero-shot")
    convert(files / "backbone.pt", out, tokenizer=str(tokenizer_folder))
    return Uniqa.load(out)


@pytest.fixture(scope="module")
def adapted(files, tokenizer_folder, tmp_path_factory) -> Uniqa:
    out = tmp_path_factory.mktemp("adapted")
    convert(files / "backbone.pt", out, adapter=files / "adapter.pth", tokenizer=str(tokenizer_folder))
    return Uniqa.load(out)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.from_numpy(plain.fixture_pixels()).float()[None]


def test_the_fixture_has_the_62_tensors_of_the_spec():
    assert len(plain.fixture_state()) == 62


def test_plain_formulas_give_the_numbers_of_the_official_classes():
    """Our reading of the formulas, checked before anything is checked against it."""
    state, adapter = plain.fixture_state(), plain.fixture_adapter()
    image = plain.image_feature(state, plain.fixture_pixels())
    texts = np.stack([plain.text_feature(state, tokens) for tokens in plain.fixture_tokens()])
    change = plain.adapter_change(adapter, image)
    assert image[:4] == pytest.approx(IMAGE, abs=1e-4)
    assert np.linalg.norm(image) == pytest.approx(IMAGE_NORM, abs=1e-4)
    assert texts[0, :4] == pytest.approx(TEXT, abs=1e-4)
    assert change[:6] == pytest.approx(CHANGE, abs=1e-4)
    assert (change > 0).sum() == 33
    levels = adapter["score_level"]
    assert plain.score(plain.logits(state, image, texts), levels) == pytest.approx(ZERO_SHOT, abs=1e-4)
    assert plain.score(plain.logits(state, image + change, texts), levels) == pytest.approx(ADAPTED, abs=1e-4)
    blind = plain.image_feature(state, plain.fixture_pixels(), positions=False)
    wrong = [plain.logits(state, feature, texts) for feature in (blind, blind + plain.adapter_change(adapter, blind))]
    assert [plain.score(each, levels) for each in wrong] == pytest.approx(WITHOUT_POSITIONS, abs=1e-4)


@torch.inference_mode()
def test_a_converted_model_gives_the_same_features(zero_shot, pixels):
    state = plain.fixture_state()
    image = zero_shot.encode_image(pixels)[0].numpy()
    text = zero_shot.encode_tokens(torch.from_numpy(plain.fixture_tokens())).numpy()
    assert image[:4] == pytest.approx(IMAGE, abs=1e-4)
    assert np.linalg.norm(image) == pytest.approx(IMAGE_NORM, abs=1e-4)
    assert text[0, :4] == pytest.approx(TEXT, abs=1e-4)
    assert image == pytest.approx(plain.image_feature(state, plain.fixture_pixels()), abs=1e-4)
    for found, tokens in zip(text, plain.fixture_tokens(), strict=True):
        assert found == pytest.approx(plain.text_feature(state, tokens), abs=1e-4)


@torch.inference_mode()
def test_a_converted_backbone_scores_zero_shot_as_published(zero_shot, pixels):
    text, scale = zero_shot.text("quality"), zero_shot.encoder.logit_scale
    found = level_logits(zero_shot.encode_image(pixels), text, scale)
    assert found.flatten().tolist() == pytest.approx(ZERO_SHOT_LOGITS, abs=1e-4)
    for task in ("quality", "aesthetics"):
        assert zero_shot.score(pixels, task).item() == pytest.approx(ZERO_SHOT, abs=1e-4)
        assert zero_shot.score(pixels, task).item() != pytest.approx(WITHOUT_POSITIONS[0], abs=1e-2)


@torch.inference_mode()
def test_a_converted_adapter_scores_as_published(adapted, pixels):
    feature = adapted.encode_image(pixels)
    change = (adapted.adapted(feature, "quality") - feature)[0]
    assert change[:6].tolist() == pytest.approx(CHANGE, abs=1e-4)
    assert (change > 0).sum() == 33
    text, scale = adapted.text("quality"), adapted.encoder.logit_scale
    found = level_logits(adapted.adapted(feature, "quality"), text, scale)
    assert found.flatten().tolist() == pytest.approx(ADAPTER_LOGITS, abs=1e-4)
    assert adapted.score(pixels, "quality").item() == pytest.approx(ADAPTED, abs=1e-4)
    assert adapted.score(pixels, "quality").item() != pytest.approx(WITHOUT_POSITIONS[1], abs=1e-2)
    assert list(adapted.config.tasks) == ["quality"]


def test_names_go_there_and_back_and_lose_nothing(zero_shot):
    """open_clip has OpenAI's names too, so this is its round trip as well."""
    state = tensors(plain.fixture_state())
    theirs = to_transformers(state)
    assert theirs.keys() == zero_shot.encoder.state_dict().keys()
    back = to_openai(theirs)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=1e-5)
    for name, tensor in zero_shot.encoder.state_dict().items():
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=1e-5)


def test_a_vit_b_16_has_the_published_number_of_weights():
    shapes = plain.fixture_shapes(width=768, layers=12, side=224) | {
        "token_embedding.weight": (49408, 512), "positional_embedding": (77, 512),
        "text_projection": (512, 512), "visual.proj": (768, 512), "ln_final.weight": (512,),
    }  # fmt: skip
    sizes = sizes_of({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    assert (sizes.width, sizes.side, sizes.patch, sizes.vocabulary) == (768, 224, 16, 49408)
    assert len(sizes.shapes()) == 302
    assert sum(int(np.prod(shape)) for shape in sizes.shapes().values()) == 149_620_737


def test_half_precision_rounds_what_the_official_loader_rounds():
    state = tensors(plain.fixture_state())
    changed = {name for name, tensor in rounded(state).items() if not torch.equal(tensor, state[name])}
    kept = {name for name in state if ".ln_" in name or "embedding" in name or name.startswith("ln_final")}
    assert changed == state.keys() - kept - {"logit_scale"}


def test_the_files_it_was_made_from_are_in_its_config(adapted):
    assert set(adapted.config.source_sha256) == {"backbone.pt", "adapter.pth"}
    assert all(len(digest) == 64 for digest in adapted.config.source_sha256.values())


def test_all_missing_and_extra_tensors_are_listed_in_one_error():
    state = tensors(plain.fixture_state())
    del state["visual.ln_pre.bias"], state["transformer.resblocks.1.mlp.c_fc.weight"]
    state["optimizer"] = torch.zeros(1)
    state["visual.proj"] = torch.zeros(64, 65)
    with pytest.raises(UserError) as error:
        check_names(state, sizes_of(state))
    for part in ("4 tensors", "missing transformer.resblocks.1.mlp.c_fc.weight", "missing visual.ln_pre.bias",
                 "extra optimizer", "visual.proj is (64, 65), must be (64, 64)"):  # fmt: skip
        assert part in str(error.value)


def spoil(folder, files, how: str):
    """A backbone or adapter with a fault; the arguments of `convert` for it."""
    backbone, adapter = folder / "backbone.pt", folder / "adapter.pth"
    content = (files / "backbone.pt").read_bytes()
    backbone.write_bytes(content)
    adapter.write_bytes((files / "adapter.pth").read_bytes())
    params = tensors(plain.fixture_adapter())
    match how:
        case "truncated":
            backbone.write_bytes(content[: len(content) // 2])
        case "empty":
            backbone.write_bytes(b"")
        case "text":
            backbone.write_text("<!DOCTYPE html>\n<title>404</title>\n")
        case "code":
            torch.save({"model": print}, backbone)
        case "wrapped":
            torch.save({"state_dict": tensors(plain.fixture_state())}, backbone)
        case "resnet":
            torch.save({"visual.layer1.0.conv1.weight": torch.zeros(1)}, backbone)
        case "absent":
            backbone.unlink()
        case "wide adapter":
            params["adapter.fc.0.weight"] = torch.zeros(256, 1024)
            torch.save({"params": params}, adapter)
        case "bare adapter":
            torch.save(params, adapter)
        case "backbone as adapter":
            adapter.write_bytes(content)
    return {"backbone": backbone, "adapter": adapter, "out": folder / "out"}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", r"backbone.pt' can't be read \(\d+ bytes\): it is truncated or not a PyTorch file"),
        ("empty", r"backbone.pt' can't be read \(0 bytes\).*truncated"),
        ("text", r"backbone.pt' \(\d+ bytes\) is not a PyTorch file of tensors alone"),
        ("code", "is not a PyTorch file of tensors alone, so it is not opened"),
        ("wrapped", "not a flat table of tensors: state_dict is something else"),
        ("resnet", "the picture side is a ResNet"),
        ("absent", "backbone.pt' is not a file"),
        ("wide adapter", r"features are 64 wide.*\(256, 1024\)"),
        ("bare adapter", "is not an adapter of UniQA.*it holds no params"),
        ("backbone as adapter", "is not an adapter of UniQA"),
    ],
)
def test_files_that_do_not_do_end_in_one_clear_line(files, tmp_path, tokenizer_folder, how, message):
    arguments = spoil(tmp_path, files, how)
    with pytest.raises(UserError, match=message) as error:
        convert(**arguments, tokenizer=str(tokenizer_folder))
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value), "no advice to let a file run code"
    assert not (tmp_path / "out").exists(), "nothing is written that is not whole"


def test_a_tokenizer_of_another_encoder_is_refused(files, tmp_path, tokenizer_folder):
    shapes = {name: (50, 64) if name == "token_embedding.weight" else s for name, s in plain.fixture_shapes().items()}
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, tmp_path / "small.pt")
    with pytest.raises(UserError, match="token 99, but the text encoder knows 50; it belongs to another encoder"):
        convert(tmp_path / "small.pt", tmp_path / "out", tokenizer=str(tokenizer_folder))
