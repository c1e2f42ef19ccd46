"""Encoders of pictures and text from transformers, by folder or hub name: weights as safetensors, no code of theirs."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.raw.learned import Learned

Array = NDArray[np.float64]


def encode_picture(rgb: NDArray[np.uint8], source: str) -> Array:
    """(d,): what the model gives for the picture, or the mean of its last layer over places."""
    model, prepare = _load(source, "AutoImageProcessor")
    x = prepare(images=rgb, return_tensors="pt")
    with torch.inference_mode():
        if hasattr(model, "get_image_features"):
            return _vector(model.get_image_features(**x))
        hidden = model(**x).last_hidden_state[0]
    places = hidden.flatten(1).mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=0)
    return np.asarray(places.double().numpy())


def encode_text(text: str, source: str) -> Array:
    """(d,): what the model gives for the text, or the mean of its last layer over words; the end is cut if too long."""
    model, prepare = _load(source, "AutoTokenizer")
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", 512)
    x = prepare(text, return_tensors="pt", truncation=True, max_length=min(512, longest))
    with torch.inference_mode():
        if hasattr(model, "get_text_features"):
            return _vector(model.get_text_features(**x))
        hidden = model(**x).last_hidden_state[0]
    return np.asarray(hidden.mean(dim=0).double().numpy())


def learn_picture_encoder(rows: object, source: str) -> Learned:
    """Which weights it was. Nothing is learned from rows."""
    return Learned(facts={"sha256": fingerprint(source, "AutoImageProcessor")})


def learn_text_encoder(rows: object, source: str) -> Learned:
    """Which weights it was. Nothing is learned from rows."""
    return Learned(facts={"sha256": fingerprint(source, "AutoTokenizer")})


def same_picture_encoder(learned: Learned, rows: Array, source: str) -> Array:
    """The rows as they are. Raises UserError where the encoder has other weights than at the fit."""
    return _same(learned, rows, source, "AutoImageProcessor")


def same_text_encoder(learned: Learned, rows: Array, source: str) -> Array:
    """The rows as they are. Raises UserError where the encoder has other weights than at the fit."""
    return _same(learned, rows, source, "AutoTokenizer")


@cache
def fingerprint(source: str, kind: str) -> str:
    """sha256 of the weights."""
    model, _ = _load(source, kind)
    digest = sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.float().numpy().tobytes())
    return digest.hexdigest()


def _same(learned: Learned, rows: Array, source: str, kind: str) -> Array:
    if (now := fingerprint(source, kind)) != learned.facts["sha256"]:
        raise UserError(
            f"the encoder {source!r} has other weights now (sha256 {now[:12]}) than at the fit "
            f"({learned.facts['sha256'][:12]}); give it back its old ones, or fit again"
        )
    return rows


@cache
def _load(source: str, kind: str) -> tuple[Any, Any]:
    try:
        import transformers

        prepare = getattr(transformers, kind).from_pretrained(source, trust_remote_code=False)
        model = transformers.AutoModel.from_pretrained(source, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"no encoder {source!r}: {first}; give a folder, or a name of the Hugging Face hub") from error
    return model.eval().float(), prepare


def _vector(found: Any) -> Array:
    tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return np.asarray(tensor[0].double().numpy())
