"""A CLIP of about a million parameters from scratch, with a tokenizer learned from its own texts.

For machines without a GPU and places without a network: everything that UniQA does can be tried on it in minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from beholder.errors import UserError

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<start>", "<end>"
"""Ids 0 to 3. The end must not have id 2: transformers reads that as the largest id of a text, as OpenAI's CLIP did."""

HEAD_WIDTH = 32
"""Channels per attention head; both widths are multiples of it."""


class NanoConfig(BaseModel):
    """Sizes of the nano encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: int = Field(default=112, ge=32, le=224)
    """Pixels of the square input."""
    patch: int = Field(default=16, ge=4)
    """Pixels of a patch; divides `side`."""
    width: int = Field(default=128, ge=HEAD_WIDTH, multiple_of=HEAD_WIDTH)
    layers: int = Field(default=4, ge=1)
    text_width: int = Field(default=96, ge=HEAD_WIDTH, multiple_of=HEAD_WIDTH)
    text_layers: int = Field(default=2, ge=1)
    feature: int = Field(default=128, ge=8)
    """Width of the space that pictures and texts share."""
    scale: float = Field(default=14.3, ge=1, le=100)
    """What cosines are multiplied with at the start; learned from there."""
    vocabulary: int = Field(default=1024, ge=300)
    """Tokens at most: 4 special ones, 256 bytes, and the commonest pieces of the texts."""
    context: int = Field(default=48, ge=8, le=77)
    """Tokens of a text at most; longer ones are cut."""

    @model_validator(mode="after")
    def _whole_patches(self) -> NanoConfig:
        if self.side % self.patch:
            raise ValueError(f"side {self.side} is no multiple of patch {self.patch}")
        return self


def train_tokenizer(texts: Iterable[str], vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of the texts, lower case, `<start>` and `<end>` around each; nothing is ever unknown.

    The same set of texts gives the same tokenizer, whatever their order. Raises UserError where there is no text.
    """
    known = sorted({text for text in texts if text.strip()})
    if not known:
        raise UserError("a tokenizer needs texts to learn from, and there is none")
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, UNKNOWN, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(known, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, 2), (END, 3)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        model_max_length=context,
    )


def nano_clip(config: NanoConfig, texts: Iterable[str], seed: int) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """A CLIP with random weights and a tokenizer for `texts`. The same arguments give the same weights."""
    tokenizer = train_tokenizer(texts, config.vocabulary, config.context)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(_clip_config(config, len(tokenizer)))
    return model, tokenizer


def _clip_config(config: NanoConfig, n_tokens: int) -> CLIPConfig:
    def tower(width: int, layers: int) -> dict[str, int]:
        return {
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // HEAD_WIDTH,
            "projection_dim": config.feature,
        }

    return CLIPConfig(
        projection_dim=config.feature,
        logit_scale_init_value=math.log(config.scale),
        vision_config={
            **tower(config.width, config.layers),
            "image_size": config.side,
            "patch_size": config.patch,
        },
        text_config={
            **tower(config.text_width, config.text_layers),
            "vocab_size": n_tokens,
            "max_position_embeddings": config.context,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
    )
