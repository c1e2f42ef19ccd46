"""What learns from labels, as one module: views and a target in, a score and its loss out (spec, sections 5 and 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.task import Task
from beholder.uniqa.features import encode_rgb, mean_of_real
from beholder.uniqa.head import level_score
from beholder.uniqa.model import Uniqa


class Rater(nn.Module):
    """What learns: an adapter with its level values, and with `whole` the image tower too.

    Shares its parameters with the model it is made from. The frozen encoder is deliberately not a part of it: a
    checkpoint per epoch would hold hundreds of megabytes that are on disk already.
    """

    def __init__(self, model: Uniqa, task: Task, *, whole: bool) -> None:
        super().__init__()
        self.adapter, self.levels = model.adapters[task], model.levels[task]
        self.register_buffer("text", model.text(task).detach().clone())
        self.register_buffer("scale", model.encoder.logit_scale.detach().clone())
        self.tower = _ImageTower(model) if whole else None
        self._frozen = (model,)  # in a tuple, where nn.Module does not look

    def forward(self, views: Tensor, real: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`views` features (B, K, width) or pixels uint8 (B, K, S, S, 3), `real` bool (B, K), `target` (B,) in [0, 1].

        Gives `score` (B,), the mean over real views, and `loss`, the mean squared error to `target`.
        """
        some = views[real]
        if some.dtype == torch.uint8:
            some = self._encode(some)
        view_score = level_score(self.adapter(some), self.get_buffer("text"), self.get_buffer("scale"), self.levels)
        score = mean_of_real(torch.zeros_like(real, dtype=view_score.dtype).masked_scatter(real, view_score), real)
        return {"loss": F.mse_loss(score.float(), target), "score": score}

    def _encode(self, rgb: Tensor) -> Tensor:
        if self.tower is not None:
            features: Tensor = self.tower(rgb)
            return features
        with torch.no_grad():
            return encode_rgb(self._frozen[0], rgb)


class _ImageTower(nn.Module):
    """The part of an encoder that pictures go through, free to learn."""

    def __init__(self, model: Uniqa) -> None:
        super().__init__()
        self.vision = model.encoder.vision_model.requires_grad_(True)
        self.projection = getattr(model.encoder, "visual_projection", None)  # SigLIP has none
        if self.projection is not None:
            self.projection.requires_grad_(True)
        self._model = (model,)

    def forward(self, rgb: Tensor) -> Tensor:
        return encode_rgb(self._model[0], rgb)
