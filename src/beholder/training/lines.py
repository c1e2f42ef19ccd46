"""How far a training is: plain lines with the step, a few numbers and the time left, instead of all numbers."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

EVERY_S = 5.0
"""Seconds between two lines at least: a short run says little, hundreds of them say no more than one."""


def show_lines(trainer: Trainer, names: Sequence[str] = ("loss",)) -> None:
    """Have `trainer` say on stderr where it is whenever it logs, with those of its numbers that `names` names."""
    silence(trainer)
    trainer.add_callback(Lines(names))


def silence(trainer: Trainer) -> None:
    """Take away what the Trainer prints by itself."""
    trainer.remove_callback(PrinterCallback)


class Lines(TrainerCallback):  # type: ignore[misc]
    """Writes a line per log of the main process, at most one in `EVERY_S` seconds, and one at the end."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._began = (0.0, 0)
        self._said_s = float("-inf")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Steps of an earlier start don't count in the pace."""
        self._began = (time.monotonic(), state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say it, unless something was said a moment ago."""
        numbers = [f"{name} {float(logs[name]):.3g}" for name in self.names if logs and logs.get(name) is not None]
        now_s, is_last = time.monotonic(), state.global_step >= state.max_steps
        if not (numbers and state.is_world_process_zero) or (now_s - self._said_s < EVERY_S and not is_last):
            return
        self._said_s = now_s
        print(
            f"step {state.global_step:,} of {state.max_steps:,}: {', '.join(numbers)}{self._left(state)}",
            file=sys.stderr,
        )

    def _left(self, state: TrainerState) -> str:
        began_s, first = self._began
        if state.global_step <= first or state.global_step >= state.max_steps:
            return ""
        seconds = (time.monotonic() - began_s) / (state.global_step - first) * (state.max_steps - state.global_step)
        minutes, rest = divmod(round(seconds), 60)
        return f", {minutes // 60}:{minutes % 60:02d}:{rest:02d} left"
