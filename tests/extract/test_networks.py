from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra emotion")
pytest.importorskip("transformers", reason="needs the extra emotion")
pytest.importorskip("torchvision", reason="needs the extra emotion-raw")

import torch
import transformers
from PIL import Image
from rendered_clips import draw_face

from beholder.errors import UserError
from beholder.extract.networks import _loaded
from beholder.extract.table import extractor

WORDS = ("i", "am", "so", "happy", "sad", "today")


def write_text_network(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    config = transformers.BertConfig(
        vocab_size=5 + len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def write_picture_network(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16
    )
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    _loaded.cache_clear()


def test_a_text_is_the_mean_of_its_tokens_however_long(tmp_path: Path) -> None:
    folder = write_text_network(tmp_path / "bert")
    one = extractor("text_network", {"model": str(folder)})
    measured = [one.measure("I am so happy today"), one.measure("sad " * 200)]
    fitted = one.fit(measured)
    assert fitted.width == 16
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)("I am so happy today", return_tensors="pt")
    with torch.inference_mode():
        expected = model(**tokens).last_hidden_state[0].mean(dim=0).numpy()
    np.testing.assert_allclose(fitted.features(measured)[0], expected, atol=1e-6)


def test_a_picture_is_the_mean_of_its_patches(tmp_path: Path) -> None:
    one = extractor("picture_network", {"model": str(write_picture_network(tmp_path / "vit"))})
    rng = np.random.default_rng(0)
    happy, sad = (one.measure(draw_face(e, rng).convert("RGB")) for e in ("happy", "sad"))
    assert happy.shape == (16,)  # type: ignore[union-attr]
    assert not np.allclose(happy, sad)  # type: ignore[arg-type]
    white = Image.new("RGB", (64, 64), "white")
    assert np.array_equal(one.measure(white), one.measure(white))  # type: ignore[arg-type]


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    folder = write_text_network(tmp_path / "bert")
    one = extractor("text_network", {"model": str(folder)})
    fitted = one.fit([one.measure("happy")])
    write_text_network(folder, seed=1)
    _loaded.cache_clear()
    with pytest.raises(UserError, match="other weights than in fit"):
        fitted.features([fitted.measure("happy")])


def test_a_folder_without_safetensors_or_network_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be loaded as a text network"):
        extractor("text_network", {"model": str(tmp_path)}).measure("happy")
    folder = write_text_network(tmp_path / "bert")
    weights = transformers.AutoModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")  # a pickle is not read
    with pytest.raises(UserError, match="can't be loaded"):
        extractor("text_network", {"model": str(folder)}).measure("happy")
