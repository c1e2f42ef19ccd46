"""Sharing the prefix of a group changes what is computed, not what is sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import GenerationConfig

from beholder.tatar.config import TinyConfig
from beholder.tatar.folder import load
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.rollout import generate_shared
from beholder.tatar.tiny import make_tiny

GROUP, LENGTH = 4, 12


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = make_tiny(tmp_path_factory.mktemp("tiny"), TinyConfig(width=64, layers=2, vision_layers=1))
    loaded = load(folder)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.dim() > 1:
                weight.mul_(3)  # as it starts, every token is nearly as likely as any other, whatever the picture
    return loaded


def prepared(processor: Any, sides: tuple[tuple[int, int], ...]) -> Any:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (*side, 3), np.uint8)) for side in sides]
    chats = [PROMPTS.messages("quality" if i % 2 else "aesthetics") for i in range(len(pictures))]
    texts = processor.apply_chat_template(chats, add_generation_prompt=True)
    return processor(text=texts, images=[[picture] for picture in pictures], padding=True, return_tensors="pt")


def sampling(processor: Any, **more: Any) -> GenerationConfig:
    ends = {"eos_token_id": processor.tokenizer.eos_token_id, "pad_token_id": processor.tokenizer.pad_token_id}
    return GenerationConfig(max_new_tokens=LENGTH, do_sample=True, top_k=0, **ends, **more)


def stock(loaded: Any, inputs: Any, config: GenerationConfig) -> torch.Tensor:
    """What the stock rollout does: everything once per completion, pixels too."""
    rows = {name: value.repeat_interleave(GROUP, dim=0) for name, value in inputs.items() if name != "pixel_values"}
    patches = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(-1).tolist())
    rows["pixel_values"] = torch.cat([part for part in patches for _ in range(GROUP)])
    tokens: torch.Tensor = loaded.model.generate(**rows, generation_config=config)
    return tokens[:, inputs["input_ids"].shape[1] :]


@pytest.mark.parametrize("sides", [((60, 60), (112, 80), (56, 112)), ((60, 60),)])
@pytest.mark.parametrize("more", [{}, {"temperature": 0.7, "top_p": 0.9}])
def test_samples_of_a_seed_are_those_without_sharing(
    tiny: Any, sides: tuple[tuple[int, int], ...], more: dict[str, float]
) -> None:
    inputs, config = prepared(tiny.processor, sides), sampling(tiny.processor, **more)
    torch.manual_seed(7)
    shared = generate_shared(tiny.model, inputs, GROUP, config)
    torch.manual_seed(7)
    assert torch.equal(shared, stock(tiny, inputs, config))
    assert len({tuple(row) for row in shared.tolist()}) == len(sides) * GROUP


def test_a_picture_is_encoded_once_per_group(tiny: Any) -> None:
    inputs = prepared(tiny.processor, ((60, 60), (112, 80)))
    patches, rows = [], []
    seen = [
        tiny.model.model.visual.register_forward_pre_hook(lambda _, args: patches.append(len(args[0]))),
        tiny.model.model.language_model.layers[0].register_forward_pre_hook(lambda _, args: rows.append(len(args[0]))),
    ]
    try:
        generate_shared(tiny.model, inputs, GROUP, sampling(tiny.processor))
    finally:
        for hook in seen:
            hook.remove()
    assert patches == [len(inputs["pixel_values"])]
    assert rows[0] == 2
    assert set(rows[1:]) == {2 * GROUP}


def test_the_model_is_left_as_it_was_even_after_an_error(tiny: Any) -> None:
    inputs = prepared(tiny.processor, ((60, 60),))
    with torch.no_grad():
        before = tiny.model(**inputs).logits
        generate_shared(tiny.model, inputs, GROUP, sampling(tiny.processor))
        with pytest.raises(ValueError, match="no_such_input"):
            generate_shared(tiny.model, {**inputs, "no_such_input": inputs["input_ids"]}, 2, sampling(tiny.processor))
        assert torch.equal(tiny.model(**inputs).logits, before)
