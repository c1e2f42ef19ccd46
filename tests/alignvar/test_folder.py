import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from beholder.alignvar import folder
from beholder.alignvar.config import SIZES
from beholder.alignvar.decode import upscale_tiles
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError


@pytest.fixture
def saved(model, tokeniser, tmp_path):
    tokeniser.latent_std.copy_(torch.arange(1.0, 9))
    folder.save(model, tokeniser, tmp_path / "model", facts={"training": "none"})
    return tmp_path / "model"


def test_a_saved_model_gives_the_same_pictures(saved, model, tokeniser, lr):
    loaded = folder.load(saved)
    assert torch.equal(upscale_tiles(model, tokeniser, lr), upscale_tiles(loaded.model, loaded.tokeniser, lr))
    assert loaded.config == SIZES["tiny"]
    assert (loaded.tile, loaded.decode, loaded.fidelity) == (4, "greedy", 0.0)
    assert loaded.facts == {"training": "none"}
    assert loaded.tokeniser.latent_std.tolist() == list(range(1, 9))
    assert not any(p.requires_grad for part in (loaded.model, loaded.tokeniser) for p in part.parameters())


def test_the_sha_names_the_weights(saved, model, tokeniser, tmp_path):
    folder.save(model, tokeniser, tmp_path / "again")
    model.head.bias.data[0] += 1
    folder.save(model, tokeniser, tmp_path / "other")
    shas = [folder.load(at).sha for at in (saved, tmp_path / "again", tmp_path / "other")]
    assert shas[0] == shas[1] != shas[2]
    assert len(shas[0]) == 64


def test_half_precision_takes_half_the_room_and_loads_as_float32(saved, model, tokeniser, tmp_path, lr):
    folder.save(model, tokeniser, tmp_path / "half", half=True)
    sizes = [(at / "model.safetensors").stat().st_size for at in (saved, tmp_path / "half")]
    assert sizes[1] < 0.7 * sizes[0]
    loaded = folder.load(tmp_path / "half")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    upscale_tiles(loaded.model, loaded.tokeniser, lr)


def test_a_tokeniser_alone_can_be_saved_and_used(tokeniser, pictures, saved, tmp_path):
    folder.save_tokeniser(tokeniser, tmp_path / "tokeniser")
    for at in (tmp_path / "tokeniser", saved):
        loaded = folder.load_tokeniser(at)
        assert loaded.config == tokeniser.config
        assert all(
            torch.equal(a, b) for a, b in zip(loaded.indices(pictures), tokeniser.indices(pictures), strict=True)
        )


def test_nano_is_small_enough_to_ship(tmp_path):
    with torch.device("meta"):
        parts = AlignVar(SIZES["nano"]), Tokeniser(SIZES["nano"].tokeniser)
    size = sum(tensor.numel() * 4 for part in parts for tensor in part.state_dict().values())
    assert size < 20e6


@pytest.mark.parametrize("name", [folder.CONFIG_FILE, folder.MODEL_FILE, folder.TOKENISER_FILE])
def test_an_incomplete_folder_is_refused(saved, name):
    (saved / name).unlink()
    with pytest.raises(UserError, match=name):
        folder.load(saved)


@pytest.mark.parametrize("name", [folder.MODEL_FILE, folder.TOKENISER_FILE])
def test_a_changed_or_truncated_file_is_refused(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-4] + b"abcd")
    with pytest.raises(UserError, match=f"{name}.*not the file"):
        folder.load(saved)
    (saved / name).write_bytes(content[:100])
    with pytest.raises(UserError, match=name):
        folder.load(saved)


def test_a_truncated_tokeniser_is_refused(saved):
    file = saved / folder.TOKENISER_FILE
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="truncated"):
        folder.load_tokeniser(saved)


def test_weights_of_another_program_are_refused(saved):
    file = saved / folder.TOKENISER_FILE
    save_file(load_file(file), file)
    with pytest.raises(UserError, match="beholder convert alignvar"):
        folder.load_tokeniser(saved)


def test_other_scales_than_the_transformers_are_refused(saved, tmp_path):
    """Even if somebody has made the checksums fit."""
    other = SIZES["tiny"].tokeniser.model_copy(update={"scales": (1, 2, 4)})
    folder.save_tokeniser(Tokeniser(other), tmp_path / "other")
    shutil.copy(tmp_path / "other" / folder.TOKENISER_FILE, saved)
    _stamp_anew(saved)
    with pytest.raises(UserError, match=r"scales \[1, 2, 4\].*\[1, 2, 3, 4\]"):
        folder.load(saved)


def test_a_transformer_of_another_size_than_the_config_is_refused(saved):
    config = json.loads((saved / folder.CONFIG_FILE).read_text())
    depth = config["model"]["transformer"]["depth"]
    config["model"]["transformer"]["depth"] = depth + 1
    (saved / folder.CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(UserError, match=rf"model\.safetensors.*transformer\.depth is {depth}, not {depth + 1}"):
        folder.load(saved)


@pytest.mark.parametrize("names", [[], [folder.MODEL_FILE], [folder.MODEL_FILE, folder.TOKENISER_FILE, "../other"]])
def test_a_folder_names_its_two_files(saved, names):
    config = json.loads((saved / folder.CONFIG_FILE).read_text())
    config["sha256"] = dict.fromkeys(names, "0" * 64)
    (saved / folder.CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"sha256: .*, not tokeniser\.safetensors and model\.safetensors"):
        folder.load(saved)


def test_an_unknown_field_is_refused_by_name(saved):
    config = json.loads((saved / folder.CONFIG_FILE).read_text())
    config["model"]["sca"]["colour"] = 1
    (saved / folder.CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"model\.sca\.colour"):
        folder.load(saved)


def test_a_model_for_another_tokeniser_is_not_saved(model, tmp_path):
    other = SIZES["tiny"].tokeniser.model_copy(update={"codes": 64})
    with pytest.raises(ValueError, match="another tokeniser"):
        folder.save(model, Tokeniser(other), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def _stamp_anew(saved):
    config = json.loads((saved / folder.CONFIG_FILE).read_text())
    config["sha256"] = {name: folder._sha256(saved / name) for name in config["sha256"]}
    (saved / folder.CONFIG_FILE).write_text(json.dumps(config))
