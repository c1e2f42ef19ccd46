"""One graph from pixels to level probabilities, written as an ONNX checkpoint that needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from beholder.mini.heads import Head
from beholder.mini.model import Probes
from beholder.mini.statistics import Statistics
from beholder.task import TASKS, Task


class Mini(nn.Module):
    """beholder-mini, whole: uint8 RGB (B, H, W, 3) -> level probabilities of quality and aesthetics, (B, 5) each.

    The level logits of a task are the mean over its statistics heads plus what the trunk's probe adds to them.
    """

    def __init__(self, trunk: Probes, heads: dict[Task, Sequence[Head]]) -> None:
        super().__init__()
        self.trunk, self.statistics = trunk, Statistics()
        self.heads = nn.ModuleDict({task: nn.ModuleList(heads[task]) for task in TASKS})

    def logits(self, rgb: Tensor) -> dict[Task, Tensor]:
        """Level logits per task, (B, 5)."""
        learned = self.trunk.features(rgb)
        measured = self.statistics(rgb.permute(0, 3, 1, 2).float() * (1.0 / 255.0))
        return {task: self._measured(task, measured) + self.trunk.levels[task](learned) for task in TASKS}

    def _measured(self, task: Task, statistics: Tensor) -> Tensor:
        heads = self.heads[task]
        assert isinstance(heads, nn.ModuleList)
        every = [head.logits(statistics).mean(dim=0) for head in heads if isinstance(head, Head)]
        return torch.stack(every).mean(dim=0)

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Level probabilities, one output per task in the order of `TASKS`."""
        return tuple(logits.softmax(dim=-1) for logits in self.logits(rgb).values())


def export_onnx(model: Mini, file: Path) -> None:
    """Write `model` as ONNX with free batch, height and width, under a temporary name first."""
    side = torch.export.Dim("height", min=64, max=8192), torch.export.Dim("width", min=64, max=8192)
    example = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    program = torch.onnx.export(
        model.eval(),
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
