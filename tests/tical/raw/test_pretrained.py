from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from beholder.errors import UserError
from beholder.tical.raw import pretrained
from beholder.tical.raw.kept import Kept, load_extraction, save_extraction
from beholder.tical.raw.table import extractor_named

transformers = pytest.importorskip("transformers")


@pytest.fixture
def text_encoder(tmp_path: Path) -> str:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "happy", "sad", "day"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokeniser = transformers.BertTokenizer(str(tmp_path / "vocab.txt"))
    save_bert(tmp_path / "text", seed=0)
    tokeniser.save_pretrained(tmp_path / "text")
    return str(tmp_path / "text")


def save_bert(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)


@pytest.fixture
def image_encoder(tmp_path: Path) -> str:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    )
    transformers.ViTModel(config).save_pretrained(tmp_path / "image")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "image")
    return str(tmp_path / "image")


def clear() -> None:
    pretrained._load.cache_clear()
    pretrained.fingerprint.cache_clear()


def test_text_becomes_the_mean_of_the_last_layer(text_encoder: str) -> None:
    found = pretrained.encode_text("happy day", text_encoder)
    model = transformers.BertModel.from_pretrained(text_encoder).eval()
    with torch.no_grad():
        expected = model(torch.tensor([[2, 5, 7, 3]])).last_hidden_state[0].mean(dim=0)
    assert np.allclose(found, expected.numpy(), atol=1e-5)
    assert np.isfinite(pretrained.encode_text("happy " * 500, text_encoder)).all()


def test_a_picture_becomes_a_vector(image_encoder: str) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(2))
    found = pretrained.encode_picture(first, image_encoder)
    assert found.shape == (16,)
    assert np.allclose(found, pretrained.encode_picture(first, image_encoder))
    assert not np.allclose(found, pretrained.encode_picture(second, image_encoder))


def test_other_weights_at_predict_are_an_error(text_encoder: str, tmp_path: Path) -> None:
    clear()
    extractor, source = extractor_named(f"text_encoder:{text_encoder}")
    kept = {"text": Kept(extractor, source, extractor.learn(["happy"], source))}
    (tmp_path / "m").mkdir()
    save_extraction(kept, tmp_path / "m")
    loaded = load_extraction(tmp_path / "m")["text"]
    measured = extractor.measure_text("happy day", source)
    assert np.allclose(loaded.apply(measured), measured)
    save_bert(Path(text_encoder), seed=1)
    clear()
    with pytest.raises(UserError, match="other weights now"):
        loaded.apply(extractor.measure_text("happy day", source))
