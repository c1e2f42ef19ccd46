import re

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from beholder.training import lines
from beholder.training.lines import show_lines, silence


class Line(nn.Module):
    """y = w x."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.w * x - y).square().mean()}


@pytest.fixture
def trainer(tmp_path) -> Trainer:
    data = [{"x": torch.tensor([1.0]), "y": torch.tensor([2.0])} for _ in range(24)]
    arguments = TrainingArguments(
        str(tmp_path), max_steps=12, logging_steps=1, per_device_train_batch_size=2, use_cpu=True, disable_tqdm=True,
        save_strategy="no", report_to=[],
    )  # fmt: skip
    return Trainer(Line(), arguments, train_dataset=data)


def test_lines_have_step_number_and_time_left_and_the_last_one_always_comes(trainer, capfd, monkeypatch):
    monkeypatch.setattr(lines, "EVERY_S", 0.0)
    show_lines(trainer, ("loss", "eval_srcc"))
    trainer.train()
    out, err = capfd.readouterr()
    said = err.splitlines()
    assert out == ""
    assert len(said) == 12
    assert said[1].startswith("step 2 of 12: loss ")
    assert re.search(r", \d:\d\d:\d\d left$", said[1])
    assert said[-1].startswith("step 12 of 12: loss ")
    assert "left" not in said[-1]


def test_a_short_run_says_its_first_and_its_last_line(trainer, capfd, monkeypatch):
    monkeypatch.setattr(lines, "EVERY_S", 3600.0)
    show_lines(trainer)
    trainer.train()
    assert [line.split(":")[0] for line in capfd.readouterr().err.splitlines()] == ["step 1 of 12", "step 12 of 12"]


def test_a_silent_trainer_says_nothing(trainer, capfd):
    silence(trainer)
    trainer.train()
    assert capfd.readouterr() == ("", "")
