"""What the paper argues with: how far attention reaches, and what becomes of an error made at a coarse scale.

It says that attention stays too local without SCA, and that errors of coarse scales grow without HCC (section 11 of our
spec). Nobody published how either is measured, so the definitions here are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from beholder.alignvar import rotary
from beholder.alignvar.block import Attention
from beholder.alignvar.crops import Judged
from beholder.alignvar.pyramid import area, tokens_of
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar

SHARE = 0.2
"""Of a scale's codes that are replaced."""
BATCH = 8


@torch.inference_mode()
def attention_distance(model: AlignVar, lr: Tensor, inputs: Tensor) -> Tensor:
    """How far each scale looks, in cells of the last scale: float32 [B, depth, heads, K].

    Per query the distances to all keys that it may see, of its own scale, of earlier ones and of the prefix, weighted
    by attention; then the mean over the queries of a scale. Scale 1 is predicted at the start token, so that is its
    query. `lr` and `inputs` are those of `AlignVar.forward`.
    """
    scales = model.scales
    places = middles(scales).to(lr.device)
    distances, queries = torch.cdist(places, places), _queries(scales).to(lr.device)
    levels = rotary.levels(scales).to(lr.device)
    found: list[Tensor] = []

    def look(attention: nn.Module, seen: tuple[Any, ...]) -> None:
        assert isinstance(attention, Attention)
        x, turns, *_ = seen
        reach = (attention_weights(attention, x, turns, levels) * distances).sum(-1)
        found.append(reach @ queries)

    hooks = [block.attention.register_forward_pre_hook(look) for block in model.blocks]  # type: ignore[union-attr,operator]
    try:
        model(lr, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(found, dim=1)


def uniform_distance(scales: tuple[int, ...]) -> Tensor:
    """The same for attention that weighs all keys alike: float32 [K]."""
    levels, places = rotary.levels(scales), middles(scales)
    seen = (levels[:, None] >= levels).float()
    reach = (torch.cdist(places, places) * seen).sum(1) / seen.sum(1)
    return reach @ _queries(scales)


def attention_weights(attention: Attention, x: Tensor, turns: Tensor, levels: Tensor) -> Tensor:
    """What each query takes of each key, float32 [B, heads, T, T], for `x` and `turns` of `Attention.forward`.

    `levels`, int64 [T]: a query sees keys of its own level and of lower ones.
    """
    q, k, _ = attention.projected(x, turns)
    return (q.float() @ k.float().transpose(2, 3)).masked_fill(levels[:, None] < levels, -torch.inf).softmax(-1)


def middles(scales: tuple[int, ...]) -> Tensor:
    """float32 [T, 2]: row and column of the middle of what each token stands for, on the grid of the last scale.

    Rotary positions are those of the top left corners instead. The start token stands for the whole picture.
    """
    last = scales[-1]
    halves = torch.cat([torch.full((side * side,), last / side / 2) for side in (last, *scales)])
    return rotary.coordinates(scales) + halves[:, None]


@dataclass(frozen=True)
class Drift:
    """What became of an error, by the scale that it was made at: float32 [K, B] each, root mean squares."""

    injected: Tensor
    """The change of the latent where it was made, in standard deviations of the latent: what would be left at the end
    if no later code changed."""
    latent: Tensor
    """The change of the last latent, likewise; below `injected` where later scales correct, above where they add."""
    picture: Tensor
    """The change of the picture, RGB in [0, 1]."""


@torch.inference_mode()
def error_drift(model: AlignVar, tokeniser: Tokeniser, lr: Tensor, *, share: float = SHARE, seed: int = 0) -> Drift:
    """Decode greedily with some codes of one scale replaced by random ones, for each scale, against without.

    `share` of a scale's codes are replaced, at least one; the model predicts all later scales. Which codes are replaced
    by what follows from `seed`, from the shape of the batch and from the scale, not from the model. `lr`: RGB
    [B, 3, h, w] in [0, 1].
    """
    std = tokeniser.latent_std[:, None, None]
    calm = _greedy(model, tokeniser, lr)[0]
    picture = tokeniser.decode(calm, lr)
    injected, latent, pixels = [], [], []
    for k, side in enumerate(model.scales):
        generator = torch.Generator().manual_seed(seed * len(model.scales) + k)
        n = side * side
        hit = torch.rand(len(lr), n, generator=generator).argsort(1) < max(1, round(share * n))
        code = torch.randint(len(tokeniser.pyramid.codebook), (len(lr), n), generator=generator)
        drifted, change = _greedy(model, tokeniser, lr, (k, hit.to(lr.device), code.to(lr.device)))
        injected.append(_rms(change / std))
        latent.append(_rms((drifted - calm) / std))
        pixels.append(_rms((tokeniser.decode(drifted, lr) - picture) / 2))
    return Drift(torch.stack(injected), torch.stack(latent), torch.stack(pixels))


def diagnosed(model: AlignVar, tokeniser: Tokeniser, judged: Judged, per_photo: int) -> dict[str, list[list[float]]]:
    """Both of the first crop of each held-out photo, the presets by turns: per photo a number per scale.

    `attention` in cells; `carried`, the share of an error that is left in the last latent; `picture`, the error of the
    picture in steps of 255.
    """
    lr, hr = judged.by_turns()[::per_photo], judged.hr[::per_photo]
    found: dict[str, list[list[float]]] = {"attention": [], "carried": [], "picture": []}
    for large, small in zip(torch.split(hr, BATCH), torch.split(lr, BATCH), strict=True):
        with torch.no_grad():
            z = tokeniser.encode(2 * large.float() / 255 - 1, small)
            inputs = tokeniser.inputs(tokeniser.quantise(z).fhats)
        drift = error_drift(model, tokeniser, small, share=SHARE)
        for name, values in (
            ("attention", attention_distance(model, small, inputs).mean(dim=(1, 2))),
            ("carried", (drift.latent / drift.injected).T),
            ("picture", 255 * drift.picture.T),
        ):
            found[name] += [[round(value, 5) for value in row] for row in values.tolist()]
    return found


def _greedy(
    model: AlignVar, tokeniser: Tokeniser, lr: Tensor, error: tuple[int, Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The last latent [B, C, S, S] and how much of it `error` put in: at a scale, where, which codes instead."""
    pyramid = tokeniser.pyramid
    logits, state = model.begin(lr)
    fhat, change = torch.zeros(()), torch.zeros(())
    for k, side in enumerate(model.scales):
        if k:
            logits = model.step(tokens_of(area(fhat, side)), k, state)
        index = logits.argmax(-1)
        step = pyramid.contribution(pyramid.codes_of(index), k)
        if error is not None and error[0] == k:
            _, hit, code = error
            code = torch.where(code == index, (code + 1) % len(pyramid.codebook), code)  # never the right one
            spoiled = pyramid.contribution(pyramid.codes_of(torch.where(hit, code, index)), k)
            step, change = spoiled, spoiled - step
        fhat = fhat.to(step.device) + step
    return fhat, change


def _queries(scales: tuple[int, ...]) -> Tensor:
    """float32 [T, K]: what takes the mean over the queries of each scale; the prefix predicts nothing."""
    levels = rotary.levels(scales)
    own = levels[:, None] == torch.arange(len(scales))
    own[: scales[-1] ** 2] = False
    return own.float() / own.sum(0)


def _rms(change: Tensor) -> Tensor:
    return change.float().square().flatten(1).mean(1).sqrt().cpu()
