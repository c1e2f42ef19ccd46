"""All engines that can score, on one screen. A new engine is one new row.

A row names functions as text, because an engine stands above this room and may need libraries that scoring does
without; each is loaded when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from beholder.errors import UserError
from beholder.scoring.asked import SCORES_ONLY, Asked
from beholder.scoring.card import CARD_FILE, Card
from beholder.scoring.scorer import Scorer


@dataclass(frozen=True)
class Engine:
    """A kind of model, and how its folders are read."""

    marker: str
    """A file that each of its folders has."""
    card: str
    """`module:function` of `(folder, asked) -> Card`, which reads no weights into memory and needs the core only."""
    scorer: str
    """`module:function` of `(folder, asked, threads) -> Scorer`; `threads` None leaves their number to the engine."""
    extra: str | None = None
    """What to install beyond the core, as in `pip install 'beholder[extra]'`."""
    one_process: bool = False
    """Whether one process holds the model, being too large to have one per CPU core."""
    timeout_s: float = 30.0
    """Time limit of one picture where none is given."""
    runtimes: tuple[str, ...] = ()
    """Packages whose version can change a score's last digits."""


ENGINES = {
    "onnx": Engine(
        marker=CARD_FILE,
        card="beholder.scoring.card:read_card",
        scorer="beholder.scoring.onnx:open_scorer",
        runtimes=("onnxruntime",),
    ),
    "tatar": Engine(
        marker="tatar.json",
        card="beholder.tatar.card:read_card",
        scorer="beholder.tatar.score:open_scorer",
        extra="tatar",
        one_process=True,
        timeout_s=600.0,
        runtimes=("torch", "transformers"),
    ),
}
"""By the name that is written before a folder, as in `tatar:runs/grpo`. A folder without one is `onnx`."""


@dataclass(frozen=True)
class Checkpoint:
    """A model's folder and the engine that reads it. Small, and the same in every process."""

    folder: Path
    engine_name: str = "onnx"
    asked: Asked = SCORES_ONLY

    @property
    def engine(self) -> Engine:
        """The row of `ENGINES`."""
        return ENGINES[self.engine_name]

    def card(self) -> Card:
        """Its card. Raises `UserError` where there is none, it is damaged, or the engine lacks what is asked."""
        card: Card = self._call(self.engine.card)(self.folder, self.asked)
        return card

    def open(self, threads: int | None = None) -> Scorer:
        """The model, ready to score. Raises `UserError` where it can't be loaded or its engine is not installed."""
        scorer: Scorer = self._call(self.engine.scorer)(self.folder, self.asked, threads)
        return scorer

    def _call(self, text: str) -> Callable[..., Any]:
        module, _, function = text.partition(":")
        try:
            found: Callable[..., Any] = getattr(import_module(module), function)
        except ModuleNotFoundError as error:
            if self.engine.extra is None or error.name is None or error.name.startswith("beholder"):
                raise
            raise UserError(
                f"{self.engine_name}:{self.folder} needs {error.name}, which is not installed. "
                f"Try: pip install 'beholder[{self.engine.extra}]'"
            ) from None
        return found
