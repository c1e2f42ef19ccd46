"""LR tiles to HR tiles: K steps of the transformer with kept keys and values, then the tokeniser's decoder."""

from __future__ import annotations

import torch
from torch import Tensor

from beholder.alignvar.config import Decoding
from beholder.alignvar.pyramid import area, tokens_of
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar

GOOD, POOR = 0, 1
"""Quality labels."""


@torch.inference_mode()
def upscale_tiles(
    model: AlignVar,
    tokeniser: Tokeniser,
    lr: Tensor,
    decode: Decoding = "mixed",
    seed: int = 0,
    *,
    temperature: float = 0.7,
    top_k: int = 20,
    top_p: float = 1.0,
    cfg: float = 0.0,
) -> Tensor:
    """RGB tiles [B, 3, h, w] in [0, 1], h = w = `model.config.tile` -> float32 [B, 3, 4h, 4w] in [0, 1].

    `sample` draws among the `top_k` likeliest codes that hold `top_p` of the probability. What it draws follows from
    `seed` and from the place in the tile alone, so it does not depend on which tiles share a batch. `cfg` is
    classifier-free guidance between good and poor photos, rising over scales, for models with quality labels; it
    doubles the work. Raises ValueError for tiles of another size and for `cfg` without labels.
    """
    fhat = decoded_latent(
        model, tokeniser, lr, decode, seed, temperature=temperature, top_k=top_k, top_p=top_p, cfg=cfg
    )
    picture = tokeniser.decode(fhat.to(next(tokeniser.decoder.parameters()).dtype), lr)
    return ((picture.float() + 1) / 2).clamp(0, 1)


@torch.inference_mode()
def decoded_latent(
    model: AlignVar,
    tokeniser: Tokeniser,
    lr: Tensor,
    decode: Decoding = "mixed",
    seed: int = 0,
    *,
    temperature: float = 0.7,
    top_k: int = 20,
    top_p: float = 1.0,
    cfg: float = 0.0,
) -> Tensor:
    """f̂_K, float32 [B, C, S, S], as `upscale_tiles` decodes it."""
    if cfg and model.label is None:
        raise ValueError(f"cfg = {cfg:g}, but {model.config.name} has no quality labels; leave it at 0")
    pyramid, n_scales = tokeniser.pyramid, len(model.scales)
    generator = torch.Generator().manual_seed(seed)
    poor_label = torch.full((len(lr),), POOR, device=lr.device)
    logits, state = model.begin(lr)
    poor_logits, poor_state = model.begin(lr, poor_label) if cfg else (None, None)
    fhat: Tensor | None = None
    for k, side in enumerate(model.scales):
        if fhat is not None:
            inputs = tokens_of(area(fhat, side))
            logits = model.step(inputs, k, state)
            poor_logits = model.step(inputs, k, poor_state) if poor_state is not None else None
        if poor_logits is not None:
            strength = cfg * k / (n_scales - 1)
            logits = (1 + strength) * logits - strength * poor_logits
        with torch.autocast(lr.device.type, enabled=False):
            if decode == "soft" or (decode == "mixed" and k < n_scales - 1):
                codes = logits.softmax(-1) @ pyramid.codebook.float()
            else:
                if decode == "sample":
                    logits = _disturbed(_allowed(logits / temperature, top_k, top_p), generator)
                codes = pyramid.codes_of(logits.argmax(-1))
            step = pyramid.contribution(codes.to(pyramid.codebook.dtype), k).float()
        fhat = step if fhat is None else fhat + step
    assert fhat is not None  # a pyramid has scales
    return fhat


def _allowed(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Logits with -inf outside the `top_k` likeliest, and outside the fewest of these that hold `top_p`."""
    ordered, place = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    probability = ordered.softmax(-1)
    outside = probability.cumsum(-1) - probability >= top_p
    outside[..., 0] = False
    return torch.full_like(logits, -torch.inf).scatter(-1, place, ordered.masked_fill(outside, -torch.inf))


def _disturbed(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Gumbel noise, the same for every tile of the batch: the largest is then a draw from the softmax."""
    uniform = torch.rand(logits.shape[1:], generator=generator).clamp_min(1e-20)
    return logits - (-uniform.log()).log().to(logits.device)
