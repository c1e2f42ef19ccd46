"""The dual encoders that UniQA can stand on, as `transformers` has them: CLIP and SigLIP, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, CLIPConfig, CLIPModel, SiglipConfig, SiglipModel
from transformers.image_processing_utils import BaseImageProcessor

from beholder.errors import UserError
from beholder.uniqa.folder import CLIP_MEAN, CLIP_STD, Channels
from beholder.uniqa.hub import not_loaded, why_unreachable

Encoder = CLIPModel | SiglipModel

ENCODERS: dict[str, tuple[Any, Any]] = {"clip": (CLIPConfig, CLIPModel), "siglip": (SiglipConfig, SiglipModel)}
"""Kinds of dual encoders by the `model_type` of their configuration."""

CHANNELS: dict[str, tuple[Channels, Channels]] = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Mean and deviation of RGB where an encoder comes without a preprocessor config."""


def read_encoder(name_or_folder: str | Path) -> tuple[Encoder, Any, tuple[Channels, Channels]]:
    """Encoder, tokenizer, and mean and deviation of RGB, from a name on the hub or a folder of `transformers`.

    Raises UserError if there is no such encoder, or if it is of another kind.
    """
    unreachable = why_unreachable(name_or_folder)
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": name_or_folder,
        "local_files_only": unreachable is not None,
    }
    try:
        kind = AutoConfig.from_pretrained(**where).model_type
        _check_kind(kind, str(name_or_folder))
        encoder: Encoder = ENCODERS[kind][1].from_pretrained(**where, dtype=torch.float32)
        return encoder, AutoTokenizer.from_pretrained(**where), _channels(where, kind)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # how transformers says: no such name, a file is missing
        raise not_loaded("CLIP or SigLIP encoder with a tokenizer", name_or_folder, unreachable, error) from error


def make_encoder(config: Mapping[str, Any], where: str) -> Encoder:
    """An encoder of random weights from its configuration. Raises UserError, naming `where`, for another kind."""
    kind = str(config.get("model_type"))
    _check_kind(kind, where)
    read, make = ENCODERS[kind]
    encoder: Encoder = make(read.from_dict(dict(config)))
    return encoder


def width_of(encoder: Encoder) -> int:
    """Width of the features that pictures and texts share. Raises UserError where the two sides differ."""
    config: Any = encoder.config
    if config.model_type == "clip":
        return int(config.projection_dim)
    picture, text = int(config.vision_config.hidden_size), int(config.text_config.projection_size)
    if picture != text:
        raise UserError(f"the encoder gives pictures {picture} features and texts {text}; both need the same width")
    return picture


def tokens_of(texts: Sequence[str], tokenizer: Any, encoder: Encoder) -> Tensor:
    """Token ids (n, L), cut to the context length. Raises UserError for an empty text or a wrong tokenizer."""
    if empty := [i for i, text in enumerate(texts) if not text.strip()]:
        raise UserError(f"text {empty[0]} of {len(texts)} is empty")
    config: Any = encoder.config.text_config
    # SigLIP was trained on, and reads its feature from, the end of the padding; CLIP never looks beyond its end.
    padding = "max_length" if encoder.config.model_type == "siglip" else "longest"
    length = config.max_position_embeddings
    found = tokenizer(list(texts), padding=padding, truncation=True, max_length=length, return_tensors="pt")
    tokens: Tensor = found["input_ids"]
    if tokens.max() >= config.vocab_size:
        raise UserError(
            f"the tokenizer gives token {int(tokens.max())}, but the text encoder knows {config.vocab_size}; "
            "it belongs to another encoder"
        )
    return tokens


def _check_kind(kind: str, where: str) -> None:
    if kind not in ENCODERS:
        raise UserError(f"the encoder in {where!r} is of type {kind!r}; allowed: {', '.join(ENCODERS)}")


def _channels(where: Mapping[str, Any], kind: str) -> tuple[Channels, Channels]:
    try:
        found, _ = BaseImageProcessor.get_image_processor_dict(**where)
    except OSError:  # a folder without a preprocessor config
        return CHANNELS[kind]
    mean, std = CHANNELS[kind]
    return tuple(found.get("image_mean", mean)), tuple(found.get("image_std", std))
