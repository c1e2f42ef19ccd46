"""The transformer: all codes of scale k from the LR picture and the scales before k, in one pass (sections 4 to 6).

A token sees every token of its own and of lower levels. In training all scales go through at once, attention level by
level; decoding goes scale by scale and keeps keys and values. Neither needs a mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar import rotary, sca
from beholder.alignvar.block import EPS, Block, Cache, init_linear
from beholder.alignvar.config import AlignVarConfig
from beholder.alignvar.lr_encoder import PixelEncoder, StridedEncoder
from beholder.alignvar.pyramid import area, image_of, tokens_of

_HEAD_SHRINK = 0.02


@dataclass
class State:
    """What decoding carries from scale to scale."""

    caches: list[Cache]
    prefix: Tensor
    """[B, S_K², W]."""
    condition: Tensor | None
    guidance: list[Tensor]


class AlignVar(nn.Module):
    """T tokens: S_K² of the prefix, the start token, those of scales 2 to K. L codes: those of scales 1 to K."""

    turns: Tensor

    def __init__(self, config: AlignVarConfig) -> None:
        super().__init__()
        self.config, t, scales = config, config.transformer, config.tokeniser.scales
        self.scales, self.n_prefix = scales, scales[-1] ** 2
        std = math.sqrt(1 / t.width / 3)
        self.lr_encoder = StridedEncoder(config) if t.lr_channels else PixelEncoder(config)
        self.positions = nn.Parameter(torch.randn(self.n_prefix + 1, t.width) * std) if t.lr_channels else None
        """Learned, of the prefix and the start token, beside the rotary ones."""
        self.label = nn.Embedding(t.labels, t.width) if t.labels else None
        self.start = None if t.labels else nn.Parameter(torch.randn(t.width) * std)
        self.word = nn.Linear(config.tokeniser.code_dim, t.width)
        self.level = nn.Embedding(len(scales), t.width)
        self.gate = None if config.sca.gate == "off" else sca.Gate(t.width, config.sca)
        self.blocks = nn.ModuleList(Block(t, t.drop_path * i / max(t.depth - 1, 1)) for i in range(t.depth))
        self.head_norm = nn.LayerNorm(t.width, eps=EPS, elementwise_affine=not t.adaln)
        self.head_modulation = nn.Linear(t.width, 2 * t.width) if t.adaln else None
        self.head = nn.Linear(t.width, config.tokeniser.codes)
        for layer in (self.label, self.word, self.level, self.head_modulation, self.head):
            if layer is not None:
                init_linear(layer, t.width)
        self.head.weight.data.mul_(_HEAD_SHRINK)
        if self.head_modulation is not None:
            self.head_modulation.weight.data.mul_(0.5)
        self.register_buffer("turns", rotary.table(scales, t.width // t.heads), persistent=False)

    def forward(self, lr: Tensor, inputs: Tensor, label: Tensor | None = None) -> Tensor:
        """Logits of every code, float32 [B, L, V], each from the scales before its own.

        `lr` is RGB [B, 3, h, w] in [0, 1], h = w = `config.tile`; `inputs` [B, L - 1, C] is `Tokeniser.inputs` of the
        true running sums. `label`, int64 [B], is the quality label of each picture where the model has labels; 0, a
        good photo, by default.
        """
        begin, prefix, condition = self._begin(lr, label)
        maps = sca.guidance(lr, self.scales[1:], self.config.sca) if self.gate is not None else []
        sides = [side * side for side in self.scales[1:]]
        later = [self._tokens(part, k + 1, prefix, maps) for k, part in enumerate(torch.split(inputs, sides, dim=1))]
        x = torch.cat([begin, *later], dim=1)
        level_sizes = [begin.shape[1], *sides]
        for block in self.blocks:
            x = block(x, condition, self.turns, level_sizes, None)
        return self._logits(x[:, self.n_prefix :], condition)

    def begin(self, lr: Tensor, label: Tensor | None = None) -> tuple[Tensor, State]:
        """Start decoding: the logits of scale 1, float32 [B, 1, V], and the state for `step`."""
        x, prefix, condition = self._begin(lr, label)
        maps = sca.guidance(lr, self.scales[1:], self.config.sca) if self.gate is not None else []
        state = State([Cache() for _ in self.blocks], prefix, condition, maps)
        return self._logits(self._through(x, state, 0)[:, -1:], condition), state

    def step(self, inputs: Tensor, k: int, state: State) -> Tensor:
        """The logits of scale `k`, from 0, float32 [B, S_k², V]; `inputs` [B, S_k², C] is f̂ so far at its size."""
        first = self.n_prefix + sum(side * side for side in self.scales[:k])
        x = self._through(self._tokens(inputs, k, state.prefix, state.guidance), state, first)
        return self._logits(x, state.condition)

    def _begin(self, lr: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """The tokens of level 0, the prefix among them by itself, and the condition."""
        tile = self.config.tile
        if lr.shape[1:] != (3, tile, tile):
            raise ValueError(f"the LR batch has the shape {list(lr.shape)}; this model takes [B, 3, {tile}, {tile}]")
        prefix = self.lr_encoder(lr.to(self.word.weight.dtype))
        condition = None
        if self.label is not None:
            condition = self.label(torch.zeros(len(lr), dtype=torch.long, device=lr.device) if label is None else label)
        start = condition if condition is not None else self.start.expand(len(lr), -1)  # type: ignore[union-attr]
        if self.config.transformer.lr_at_tokens:
            start = start + prefix.mean(dim=1)
        x = torch.cat([prefix, start[:, None]], dim=1) + self.level.weight[0]
        return x if self.positions is None else x + self.positions, prefix, condition

    def _tokens(self, inputs: Tensor, k: int, prefix: Tensor, maps: list[Tensor]) -> Tensor:
        """Scale `k`'s tokens before the first block; `maps` are of scales 2 on."""
        tokens = self.word(inputs.to(self.word.weight.dtype))
        if self.gate is not None:
            tokens = self.gate(tokens, maps[k - 1])
        if self.config.transformer.lr_at_tokens:
            tokens = tokens + tokens_of(area(image_of(prefix), self.scales[k]))
        return tokens + self.level.weight[k]  # type: ignore[no-any-return]

    def _through(self, x: Tensor, state: State, first: int) -> Tensor:
        turns = self.turns[:, first : first + x.shape[1]]
        for block, cache in zip(self.blocks, state.caches, strict=True):
            x = block(x, state.condition, turns, [x.shape[1]], cache)
        return x

    def _logits(self, x: Tensor, condition: Tensor | None) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = self.head_norm(x.to(self.head.weight.dtype))
            if self.head_modulation is not None and condition is not None:
                silu = F.silu(condition.to(self.head.weight.dtype))
                scale, shift = self.head_modulation(silu)[:, None].chunk(2, dim=-1)
                x = x * (1 + scale) + shift
            return F.linear(x.float(), self.head.weight.float(), self.head.bias.float())
