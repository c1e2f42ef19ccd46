"""`text_network` and `picture_network`: the mean state of a transformer's last layer, from a folder or a hub's name.

Only safetensors are loaded and no code that comes with a model. The sha256 of the weights is kept: other weights under
the same name would give other features without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from beholder.errors import UserError
from beholder.extract.learnt import Learnt
from beholder.extract.picture import read_frames
from beholder.extract.words import read_text

_DIGEST = "weights_sha256"

Array = NDArray[np.float64]


class Config(BaseModel):
    """Settings of both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    """Folder, or name on a hub, of an encoder that `transformers` loads."""
    max_tokens: int = Field(default=256, ge=2)
    """Of a text; the rest is cut off."""
    frames: int = Field(default=8, ge=1, le=64)
    """Of a video, whose features are averaged."""


def measure_text(source: str | Path, config: Config) -> Array:
    """(d,) of a text."""
    import torch

    network, tokens_of, _ = _loaded(config.model, "text")
    limit = min(config.max_tokens, getattr(network.config, "max_position_embeddings", None) or config.max_tokens)
    tokens = tokens_of(read_text(source), return_tensors="pt", truncation=True, max_length=limit)
    with torch.inference_mode():
        return _mean_state(network(**tokens))


def measure_picture(source: Path | Image.Image, config: Config) -> Array:
    """(d,) of a picture, or the mean over frames of a video."""
    import torch

    network, pixels_of, _ = _loaded(config.model, "picture")
    frames = [Image.fromarray(frame) for frame in read_frames(source, config.frames)]
    pixels = pixels_of(images=frames, return_tensors="pt")
    with torch.inference_mode():
        return _mean_state(network(pixel_values=pixels["pixel_values"]))


def fit_text(measured: Sequence[Array], config: Config) -> Learnt:
    """Which weights these are."""
    return Learnt(facts={_DIGEST: _loaded(config.model, "text")[2]})


def fit_picture(measured: Sequence[Array], config: Config) -> Learnt:
    """Which weights these are."""
    return Learnt(facts={_DIGEST: _loaded(config.model, "picture")[2]})


def project_text(measured: Sequence[Array], config: Config, learnt: Learnt) -> Array:
    """(n, d). Raises UserError where the weights are not those of the fit."""
    return _checked(measured, config, learnt, "text")


def project_picture(measured: Sequence[Array], config: Config, learnt: Learnt) -> Array:
    """(n, d). Raises UserError where the weights are not those of the fit."""
    return _checked(measured, config, learnt, "picture")


def _checked(measured: Sequence[Array], config: Config, learnt: Learnt, kind: str) -> Array:
    if (now := _loaded(config.model, kind)[2]) != (then := learnt.facts[_DIGEST]):
        raise UserError(
            f"{config.model} has other weights than in fit: sha256 {now[:12]}…, then {then[:12]}…. "
            "Put the old ones back, or fit again"
        )
    return np.stack(measured)


def _mean_state(out: Any) -> Array:
    """(d,): the mean over batch and all but the last axis, or over the last two of a network of convolutions."""
    state = out.last_hidden_state
    mean = state.mean(dim=(0, 2, 3)) if state.ndim == 4 else state.mean(dim=(0, 1))
    values: Array = mean.double().numpy()
    return values


@lru_cache(maxsize=2)
def _loaded(model: str, kind: str) -> tuple[Any, Any, str]:
    """Network, what makes its input, digest of its weights."""
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    try:
        network = AutoModel.from_pretrained(model, use_safetensors=True, trust_remote_code=False).eval()
        enter = (AutoTokenizer if kind == "text" else AutoImageProcessor).from_pretrained(
            model, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{model!r} can't be loaded as a {kind} network of transformers: {reason}") from error
    # Of a model with two towers, such as CLIP, the one that reads this kind.
    tower = getattr(network, "text_model" if kind == "text" else "vision_model", network)
    digest = sha256()
    for name, values in sorted(tower.state_dict().items()):
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        digest.update(values.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return tower, enter, digest.hexdigest()
