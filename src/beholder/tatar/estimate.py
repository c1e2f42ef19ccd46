"""Memory and time of a training, by counting: no weights, no GPU. A first idea, for choosing recipe and machine.

Counted are weights and what the optimiser keeps, activations, logits, the cache of generation, and multiplications.
Not counted are fragmentation, communication between GPUs, and reading pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText

GIB = 2**30

FULL_BYTES = 18
"""Per learned parameter: float32 weight, gradient and two moments, and the copy in half precision that multiplies."""
FROZEN_BYTES = 2
LOGIT_BYTES = 10
"""Per logit: half precision, float32 of the loss, float32 of its gradient."""

USED = 0.4
"""Share of its peak that a GPU reaches in training, about; with small batches it is less."""
OVERHEAD_S = 0.03
"""Of one step of generation at least: launching the kernels of all layers, one by one."""


@dataclass(frozen=True)
class Gpu:
    """What a data sheet says."""

    name: str
    gib: float
    flops: float
    """Dense bfloat16 multiplications and additions per second."""
    bandwidth: float
    """Bytes per second from its memory."""


GPUS = (
    Gpu("A100 80 GB", 80e9 / GIB, 312e12, 2.0e12),
    Gpu("H100 80 GB", 80e9 / GIB, 989e12, 3.35e12),
    Gpu("H200 141 GB", 141e9 / GIB, 989e12, 4.8e12),
)


@dataclass(frozen=True)
class Sizes:
    """Of an image-text-to-text model; parameters as numbers."""

    language: int
    """That multiply every token: all of the language model but its embedding, and the head."""
    vision: int
    total: int
    adapters: int | None
    """Low-rank ones; None where all weights are learned."""
    layers: int
    width: int
    inner: int
    """Widest channels of a layer."""
    cached: int
    """Channels of keys and values that a token leaves in each layer."""
    vocabulary: int
    merged: int
    """Patches that become one visual token."""

    @property
    def learned(self) -> int:
        """Parameters that training changes."""
        return self.total if self.adapters is None else self.adapters


@dataclass(frozen=True)
class Work:
    """What one device does in one optimiser step."""

    chats: int
    """That it learns from."""
    rows: int
    """Of them, whose graph is in memory at once."""
    prompt: float
    """Tokens, those of the picture included."""
    visual: float
    """Tokens of the picture."""
    answer: float
    """Tokens to learn."""
    all_logits: bool
    """Whether the prompt's tokens get logits too, as in SFT."""
    drawn: int = 0
    """Completions that it draws first, all at a time."""
    pictures: int = 0
    """That they are about."""
    reference: bool = False
    """Whether each chat also goes through the model as it was at the start; without adapters that is a second copy."""
    checkpointing: bool = True
    half: bool = False
    """Whether activations flow in half precision from the first layer on."""


def sizes_of(config: Any, lora_rank: int | None) -> Sizes:
    """Sizes of the model that a configuration describes; no memory is taken for its weights."""
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    decoder, text = model.get_decoder(), config.get_text_config()
    embedding = model.get_input_embeddings()
    inside = sum(parameter.numel() for parameter in decoder.parameters())
    linear = [module for module in decoder.modules() if isinstance(module, nn.Linear)]
    head = text.vocab_size * text.hidden_size
    tied = model.get_output_embeddings().weight is embedding.weight
    total = sum(parameter.numel() for parameter in model.parameters())
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    head_width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    merge = getattr(config.vision_config, "spatial_merge_size", 1)
    return Sizes(
        language=inside - embedding.weight.numel() + head,
        vision=total - inside - (0 if tied else head),
        total=total,
        adapters=None if lora_rank is None else sum(lora_rank * (m.in_features + m.out_features) for m in linear),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        inner=max(module.out_features for module in linear),
        cached=2 * heads * head_width,
        vocabulary=text.vocab_size,
        merged=merge**2,
    )


def memory_gib(sizes: Sizes, work: Work, devices: int) -> dict[str, float]:
    """GiB per device by what takes them; a full model is shared out among the devices, as ZeRO-3 does it.

    Learning and drawing follow each other, so only the larger of their needs counts.
    """
    if sizes.adapters is None:
        states = sizes.total * (FULL_BYTES + (FROZEN_BYTES if work.reference else 0)) / devices
    else:
        states = FROZEN_BYTES * sizes.total + FULL_BYTES * sizes.adapters
    tokens = work.rows * (work.prompt + work.answer)
    layer = tokens * (12 * sizes.width + 4 * sizes.inner) * 2
    kept = tokens * sizes.width * sizes.layers * (2 if work.half else 4)
    activations = kept + layer if work.checkpointing else layer * sizes.layers
    with_logits = tokens if work.all_logits else work.rows * work.answer
    logits = with_logits * sizes.vocabulary * LOGIT_BYTES
    cache = work.drawn * (work.prompt + work.answer) * sizes.layers * sizes.cached * 2
    gathered = 0.0 if sizes.adapters is not None or devices == 1 else 2 * sizes.total if work.drawn else 0.0
    learning, drawing = activations + logits, cache + gathered
    parts = {"weights and optimiser": states}
    if learning >= drawing:
        parts |= {"activations": activations, "logits": logits}
    else:
        parts |= {"cache of generation": cache} | ({"gathered weights": gathered} if gathered else {})
    return {name: value / GIB for name, value in parts.items()}


def step_seconds(sizes: Sizes, work: Work, gpu: Gpu) -> float:
    """Seconds of one optimiser step: drawing completions, if any, and learning."""
    return learning_flops(sizes, work) / (USED * gpu.flops) + _drawing_seconds(sizes, work, gpu)


def learning_flops(sizes: Sizes, work: Work) -> float:
    """Floating-point operations of learning from all chats of a device, once."""
    forward = 1 + work.reference
    language = forward + (1 if work.checkpointing else 0) + (2 if sizes.adapters is None else 1)
    vision = forward + (3 if sizes.adapters is None else 0)
    return work.chats * (
        language * _forward_flops(sizes, work.prompt + work.answer)
        + vision * 2 * sizes.vision * sizes.merged * work.visual
    )


def _forward_flops(sizes: Sizes, tokens: float) -> float:
    """Of one chat through the language model: weights, and causal attention."""
    return 2 * sizes.language * tokens + 2 * sizes.layers * sizes.width * tokens**2


def _drawing_seconds(sizes: Sizes, work: Work, gpu: Gpu) -> float:
    """The prompt once per picture, then token after token: bound by reading weights and cache, or by launching."""
    if not work.drawn:
        return 0.0
    prefill = work.pictures * (_forward_flops(sizes, work.prompt) + 2 * sizes.vision * sizes.merged * work.visual)
    read = 2 * sizes.language + work.drawn * (work.prompt + work.answer / 2) * sizes.layers * sizes.cached * 2
    return prefill / (USED * gpu.flops) + work.answer * max(OVERHEAD_S, read / gpu.bandwidth)
