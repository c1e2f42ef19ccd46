"""A Qwen2.5-VL of about two million random weights with a tokenizer of its own, for machines without a GPU or network.

It is saved as a real one is, so the same code loads, trains and scores both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from beholder.language.findings import ASPECTS
from beholder.task import LEVELS, TASKS
from beholder.tatar.answer import TAGS, write_level
from beholder.tatar.config import HEAD_WIDTH, MERGE, PATCH, TinyConfig
from beholder.tatar.prompts import PROMPTS

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL = (PAD, START, END, VISION_START, VISION_END, IMAGE, VIDEO)

CHAT_TEMPLATE = (
    "{% for message in messages %}" + START + "{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + VISION_START + IMAGE + VISION_END + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}" + END + "\n{% endfor %}"
    "{% if add_generation_prompt %}" + START + "assistant\n{% endif %}"
)
"""ChatML with a picture's place, as the family has it."""


def make_tiny(folder: Path, config: TinyConfig | None = None, *, texts: Iterable[str] = (), seed: int = 0) -> Path:
    """Save model, tokenizer and image processor to `folder`, as `from_pretrained` reads them; returns it.

    The tokenizer learns from `texts`, the prompts, and what the teacher without a model says of pictures. The same
    arguments give the same files.
    """
    config = config or TinyConfig()
    tokenizer = _tokenizer(config, texts)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(_architecture(config, tokenizer))
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    cell = PATCH * MERGE
    pixels: dict[str, Any] = {
        "min_pixels": cell * cell,
        "max_pixels": config.max_side**2,
        "patch_size": PATCH,
        "merge_size": MERGE,
    }
    processor = Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**pixels),
        chat_template=CHAT_TEMPLATE,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer(config: TinyConfig, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE; a digit is always a token of its own, as Qwen has it, and so is a tag."""
    known = {text for text in texts if text.strip()} | {PROMPTS.system, *LEVELS}
    known |= {
        PROMPTS.messages(task, level=level)[-1]["content"][1]["text"] for task in TASKS for level in (False, True)
    }
    known |= {write_level(level, task) for level in LEVELS for task in TASKS}
    known |= {"system", "user", "assistant"}
    known |= {f" {phrase}" for aspect in ASPECTS for step in aspect.steps if step for phrase in step[1]}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary - len(TAGS),
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(known), trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[token for token in SPECIAL if token not in (PAD, END)],
        model_max_length=config.context,
    )


def _architecture(config: TinyConfig, tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    ids: Callable[[str], Any] = tokenizer.convert_tokens_to_ids
    ends: dict[str, Any] = {"bos_token_id": None, "eos_token_id": ids(END), "pad_token_id": ids(PAD)}
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": config.width,
            "intermediate_size": 3 * config.width,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.width // HEAD_WIDTH,
            "num_key_value_heads": config.width // HEAD_WIDTH,
            "max_position_embeddings": config.context,
            "initializer_range": config.width**-0.5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
            **ends,
        },
        vision_config={
            "depth": config.vision_layers,
            "hidden_size": config.vision_width,
            "intermediate_size": 3 * config.vision_width,
            "num_heads": config.vision_width // HEAD_WIDTH,
            "out_hidden_size": config.width,
            "initializer_range": config.vision_width**-0.5,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "window_size": 4 * PATCH * MERGE,
            "fullatt_block_indexes": [config.vision_layers - 1],
        },
        image_token_id=ids(IMAGE),
        video_token_id=ids(VIDEO),
        vision_start_token_id=ids(VISION_START),
        vision_end_token_id=ids(VISION_END),
        **ends,
    )
