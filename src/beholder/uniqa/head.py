"""From a picture's feature to a score: the adapter and the expected level (UniQA spec, section 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVEL_VALUES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Raw score of bad, poor, fair, good, perfect before anything is learnt."""

START = 0.1
"""Share of the usual spread at which the adapter's second layer starts.

Near enough to nothing that training starts at the zero-shot score; exactly nothing would never learn, because the
outer ReLU passes no gradient at 0.
"""


class Adapter(nn.Module):
    """v' = v + ReLU(W2 ReLU(W1 v)), no bias: (B, `width`) -> (B, `width`), on features that are not normalised."""

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = hidden or width // 2
        self.first = nn.Linear(width, hidden, bias=False)
        self.second = nn.Linear(hidden, width, bias=False)
        with torch.no_grad():
            self.second.weight.mul_(START)

    def forward(self, image_BD: Tensor) -> Tensor:
        """Same shape out."""
        return image_BD + F.relu(self.second(F.relu(self.first(image_BD))))


def level_logits(image_BD: Tensor, text_GLD: Tensor, logit_scale: Tensor) -> Tensor:
    """z = exp(logit_scale) cos(image, text): (B, G, L) for G groups of L level prompts.

    Neither side needs to be normalised. `logit_scale` is the natural logarithm that CLIP keeps, a scalar.
    """
    image_BD, text_GLD = F.normalize(image_BD, dim=-1), F.normalize(text_GLD, dim=-1)
    return logit_scale.exp() * torch.einsum("bd,gld->bgl", image_BD, text_GLD)


def level_probabilities(image_BD: Tensor, text_GLD: Tensor, logit_scale: Tensor) -> Tensor:
    """Probability of each level, (B, L): softmax inside each group, then the mean over groups."""
    return level_logits(image_BD, text_GLD, logit_scale).softmax(dim=-1).mean(dim=1)


def level_score(image_BD: Tensor, text_GLD: Tensor, logit_scale: Tensor, levels_L: Tensor) -> Tensor:
    """s = mean over groups of sum_c softmax(z)_c level_c: (B,), in the units of `levels_L`."""
    return level_probabilities(image_BD, text_GLD, logit_scale) @ levels_L
