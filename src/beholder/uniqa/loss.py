"""The contrastive loss of pre-training over the whole global batch, and its gradient in the memory of a small one.

Two tools make the batch large. `gather` puts the features of all processes into the loss with their gradients. The
two-pass gradient (Gao et al., arXiv 2101.06983) needs the graph of one chunk at a time: features of all chunks without
a graph, the loss and its gradient at the features, then each chunk again with a graph, driven by that gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LOG_SCALE = math.log(100.0)
"""exp(logit_scale) is kept at or below 100, as in CLIP; the spec's section 4."""


class Pair(NamedTuple):
    """Features of one batch, row i of both sides from the same picture; they need not be normalised."""

    image: Tensor
    """(B, width)."""
    text: Tensor
    """(B, width)."""
    log_scale: Tensor
    """Scalar: the logarithm of the scale s that multiplies cosines."""


def contrastive_loss(image: Tensor, text: Tensor, log_scale: Tensor) -> Tensor:
    """L = 1/2 [CE(s f t^T, diagonal) + CE(s t f^T, diagonal)] of normalised features f, t, with s = exp(log_scale).

    `image` and `text` (B, width), normalised here; the loss is a scalar, computed in float32 whatever the autocast.
    Raises ValueError where the two sides differ in shape.
    """
    if image.shape != text.shape:
        raise ValueError(
            f"image features {tuple(image.shape)} and text features {tuple(text.shape)} must be of one shape"
        )
    with torch.autocast(image.device.type, enabled=False):
        cosine = F.normalize(image.float(), dim=-1) @ F.normalize(text.float(), dim=-1).T
        return contrastive_loss_of(cosine, log_scale.float().exp())


def contrastive_loss_of(cosine: Tensor, scale: Tensor | float) -> Tensor:
    """The same loss from cosines (B, B) of every image (row) with every text (column)."""
    target = torch.arange(len(cosine), device=cosine.device)
    return (F.cross_entropy(scale * cosine, target) + F.cross_entropy(scale * cosine.T, target)) / 2


class _Gather(torch.autograd.Function):
    """All processes' rows in order of rank. Backward sums over processes what their losses say about my rows."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        ctx.rows = len(mine)
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, mine.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


def gather(features: Tensor) -> Tensor:
    """Features of all processes in order of rank, with gradients: (B, width) -> (processes * B, width).

    Of this process alone where there is no process group.
    Every process then holds the loss of the whole batch. Since DDP averages gradients over processes, and `_Gather`
    sums them, parameters get exactly the gradient that one process with the whole batch would give. All processes must
    hold equally many rows.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return features
    gathered: Tensor = _Gather.apply(features)  # type: ignore[no-untyped-call]
    return gathered


def global_loss(pair: Pair) -> Tensor:
    """The contrastive loss of a pair over the rows of all processes."""
    return contrastive_loss(gather(pair.image), gather(pair.text), pair.log_scale)


def chunked_backward(
    encode: Callable[[Mapping[str, Tensor]], Pair],
    inputs: Mapping[str, Tensor],
    chunk: int,
    *,
    backward: Callable[[Tensor], object] = torch.autograd.backward,
    no_sync: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Tensor:
    """Add the gradient of `global_loss(encode(inputs))` to the parameters, `chunk` rows of graph at a time.

    All `inputs` have the rows of this process first. `no_sync` wraps the backward passes of all chunks but the last, so
    that DDP talks once per step. Random numbers are replayed, so dropout draws the same in both passes. Returns the
    loss, detached. Raises ValueError for a chunk below 1.
    """
    if chunk < 1:
        raise ValueError(f"chunk = {chunk}; at least one row at a time")
    parts = _split(inputs, chunk)
    states, seen = [], []
    with torch.no_grad():
        for part in parts:
            states.append(_random_state())
            seen.append(encode(part))
    image = torch.cat([pair.image for pair in seen]).float().requires_grad_()
    text = torch.cat([pair.text for pair in seen]).float().requires_grad_()
    log_scale = seen[0].log_scale.detach().clone().requires_grad_()
    loss = global_loss(Pair(image, text, log_scale))
    d_image, d_text, d_scale = torch.autograd.grad(loss, (image, text, log_scale))
    start = 0
    for i, (part, state) in enumerate(zip(parts, states, strict=True)):
        last = i == len(parts) - 1
        with nullcontext() if last else no_sync(), _replayed(state):
            pair = encode(part)
            rows = slice(start, start + len(pair.image))
            surrogate = (pair.image.float() * d_image[rows]).sum() + (pair.text.float() * d_text[rows]).sum()
            # Once per step; DDP still wants to see the scale in every graph.
            surrogate = surrogate + pair.log_scale * (d_scale if last else torch.zeros_like(d_scale))
            backward(surrogate)
            start = rows.stop
    return loss.detach()


def clamp_log_scale(log_scale: nn.Parameter) -> None:
    """Bring the learned scale back to at most 100; after every step."""
    with torch.no_grad():
        log_scale.clamp_(max=MAX_LOG_SCALE)


def _split(inputs: Mapping[str, Tensor], chunk: int) -> Sequence[dict[str, Tensor]]:
    rows = len(next(iter(inputs.values())))
    return [{name: value[i : i + chunk] for name, value in inputs.items()} for i in range(0, rows, chunk)]


def _random_state() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []


@contextmanager
def _replayed(state: tuple[Tensor, list[Tensor]]) -> Iterator[None]:
    """Inside, random numbers start from `state`; afterwards they go on as if nothing had happened."""
    with torch.random.fork_rng():
        torch.set_rng_state(state[0])
        if state[1]:
            torch.cuda.set_rng_state_all(state[1])
        yield
