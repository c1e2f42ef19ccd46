"""One graph from pixels to level probabilities, written as an ONNX checkpoint that needs no torch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from beholder.mini.features import Features
from beholder.mini.heads import Head
from beholder.task import TASKS, Task


class Mini(nn.Module):
    """beholder-mini, whole: uint8 RGB (B, H, W, 3) -> level probabilities of quality and aesthetics, (B, 5) each."""

    def __init__(self, features: Features, heads: dict[Task, Head]) -> None:
        super().__init__()
        self.features, self.heads = features, nn.ModuleDict({task: heads[task] for task in TASKS})

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Level probabilities, one output per task in the order of `TASKS`."""
        seen = self.features(rgb.permute(0, 3, 1, 2).float())
        return tuple(self.heads[task](seen).softmax(dim=-1) for task in TASKS)


def export_onnx(model: Mini, file: Path) -> None:
    """Write `model` as ONNX with free batch, height and width, under a temporary name first."""
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
