"""One graph from pixels to level probabilities, written as an ONNX checkpoint that needs no torch."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.mini.heads import Head
from beholder.mini.lessons import CrossFit
from beholder.mini.model import Probes
from beholder.mini.network import GAIN, GREY
from beholder.mini.statistics import Statistics
from beholder.task import TASKS, Task


class Mini(nn.Module):
    """beholder-mini, whole: uint8 RGB (B, H, W, 3) -> level probabilities of quality and aesthetics, (B, 5) each.

    The level logits of a task are the mean of two answers: the statistics heads with what the trunk's probe adds to
    them, and the wide heads, which read statistics and learned features together.
    """

    def __init__(self, trunk: Probes, heads: dict[Task, CrossFit], wide: dict[Task, CrossFit]) -> None:
        super().__init__()
        self.trunk, self.statistics = trunk, Statistics()
        self.heads, self.wide = (
            nn.ModuleDict({task: nn.Sequential(fits[task].normaliser, fits[task].head) for task in TASKS})
            for fits in (heads, wide)
        )
        self.entry = _entry(trunk)

    def logits(self, rgb: Tensor) -> dict[Task, Tensor]:
        """Level logits per task, (B, 5)."""
        pixels = rgb.permute(0, 3, 1, 2).float()
        measured = self.statistics(pixels)
        entered = self.entry(F.pad(pixels, (1, 1, 1, 1), value=255 * GREY))
        learned = self.trunk.norm(self.trunk.trunk.pool(self.trunk.trunk.stem[1:](entered)))
        both = torch.cat([measured, learned], dim=1)
        return {
            task: (self.heads[task](measured) + self.trunk.levels[task](learned) + self.wide[task](both)) / 2
            for task in TASKS
        }

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Level probabilities, one output per task in the order of `TASKS`."""
        return tuple(logits.softmax(dim=-1) for logits in self.logits(rgb).values())


def _entry(probes: Probes) -> nn.Conv2d:
    """The first convolution with the scaling of pixels folded into it: 0-255 in, no padding, the same out."""
    first = probes.trunk.stem[0]
    assert isinstance(first, nn.Conv2d)
    folded = nn.Conv2d(first.in_channels, first.out_channels, 3, stride=2)
    with torch.no_grad():
        folded.weight.copy_(first.weight * (GAIN / 255))
        assert folded.bias is not None
        folded.bias.copy_(-GREY * GAIN * first.weight.sum(dim=(1, 2, 3)))
    return folded


def export_onnx(model: Mini, file: Path) -> None:
    """Write `model` as ONNX with free batch, height and width, under a temporary name first.

    First layers of the heads are most of the bytes; they are stored in half precision and computed with in float32.
    """
    model = deepcopy(model).eval()
    for head in model.modules():
        if isinstance(head, Head):
            head.first.data = head.first.data.half()
    side = torch.export.Dim("height", min=64, max=8192), torch.export.Dim("width", min=64, max=8192)
    example = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    program = torch.onnx.export(
        model,
        (example,),
        input_names=["rgb"],
        output_names=list(TASKS),
        dynamic_shapes={"rgb": {0: torch.export.Dim("batch", min=1, max=1024), 1: side[0], 2: side[1]}},
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    temporary = file.with_suffix(".tmp.onnx")
    program.save(str(temporary), external_data=False)
    temporary.replace(file)
