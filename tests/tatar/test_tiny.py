from pathlib import Path

import pytest
import torch
from PIL import Image

from beholder.tatar.answer import write
from beholder.tatar.config import TinyConfig
from beholder.tatar.folder import load
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.tiny import make_tiny

SMALL = TinyConfig(width=32, layers=1, vision_width=32, vision_layers=1, max_side=56, vocabulary=700)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny") / "model", SMALL, seed=3)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(folder: Path, tmp_path: Path):
    def weights(where: Path) -> bytes:
        return (where / "model.safetensors").read_bytes()

    same, other = make_tiny(tmp_path / "a", SMALL, seed=3), make_tiny(tmp_path / "b", SMALL, seed=4)
    assert weights(same) == weights(folder) != weights(other)
    assert (same / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_digits_and_tags_are_tokens_and_any_text_comes_back(folder: Path):
    tokenizer = load(folder).processor.tokenizer
    text = write(73.42, "Scharf, 12 Körner; 像素.")
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_ids_to_tokens(ids)[-7:] == ["<answer>", "7", "3", ".", "4", "2", "</answer>"]


def test_pieces_are_learned_from_the_texts(folder: Path, tmp_path: Path):
    def length(where: Path) -> int:
        return len(load(where).processor.tokenizer("a zyzzyva")["input_ids"])

    assert length(make_tiny(tmp_path / "t", SMALL, texts=["a zyzzyva"])) < length(folder)


def test_answers_depend_on_the_picture(folder: Path):
    loaded = load(folder)
    chat = loaded.processor.apply_chat_template(PROMPTS.messages("quality"), add_generation_prompt=True, tokenize=False)

    def logits(colour: str) -> torch.Tensor:
        inputs = loaded.processor(text=[chat], images=[Image.new("RGB", (80, 60), colour)], return_tensors="pt")
        with torch.inference_mode():
            return loaded.model(**inputs).logits[0, -1]

    assert not torch.allclose(logits("white"), logits("black"))
