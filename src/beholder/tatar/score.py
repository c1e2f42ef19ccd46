"""Scoring with a TATAR checkpoint: the expected number or level at once, or reasons first and then the number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers.utils import logging

from beholder.imaging.fit import Fit
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.scorer import Verdict, Verdicts, View
from beholder.task import TASKS, Task
from beholder.tatar.answer import THINK, read
from beholder.tatar.backend import Backend, Prompt, TransformersBackend, Written
from beholder.tatar.card import MAX_TOKENS, read_card
from beholder.tatar.folder import load, load_processor
from beholder.tatar.level import VALUES, LevelTokens
from beholder.tatar.number import LEAST_MASS, NumberTokens
from beholder.tatar.picture import fit_of
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.question import Question, question

_QUOTED = 200
"""Characters of an unparsed answer that its row quotes."""


@dataclass(frozen=True)
class TatarScorer:
    """A `scoring.scorer.Scorer`. Nothing is sampled, so the same view gets the same verdict.

    In float32 a score is the same to 0.05 points in any batch; 16-bit weights round more coarsely.
    """

    card: Card
    fit: Fit
    backend: Backend
    processor: Any
    tokens: Mapping[Task, NumberTokens] | Mapping[Task, LevelTokens]
    """What is weighed for each task without writing; empty where the model reasons first."""

    @property
    def device(self) -> str:
        """As `Scorer.device`."""
        return self.backend.device

    def infer(self, views: Sequence[View], tasks: Sequence[Task]) -> list[Verdicts]:
        """As `Scorer.infer`: all views at once; what is written is written task by task."""
        images = [Image.fromarray(view) for view in views]
        if not images or not tasks:
            return [{} for _ in images]
        of_task = self._weighed(images, tasks) if self.tokens else self._written(images, tasks)
        return [dict(zip(tasks, verdicts, strict=True)) for verdicts in zip(*of_task, strict=True)]

    def chat(self, task: Task) -> str:
        """What is asked where reasons are written, with one place for the picture, and the think block opened.

        A model that has learned to answer at once, too, would do so.
        """
        chat: str = self.processor.apply_chat_template(
            PROMPTS.messages(task), tokenize=False, add_generation_prompt=True
        )
        return chat + THINK

    def questions(self, tasks: Sequence[Task]) -> list[Question]:
        """What is asked where nothing is written; none where reasons are."""
        return [
            question(self.processor, task, tokens.beginnings, tokens.ids, level=isinstance(tokens, LevelTokens))
            for task in tasks
            if (tokens := self.tokens.get(task))
        ]

    def _weighed(self, images: Sequence[Image.Image], tasks: Sequence[Task]) -> list[list[Verdict]]:
        found = self.backend.probabilities(images, self.questions(tasks))
        return [
            [_verdict(self.tokens[task], each) for each in answers] for task, answers in zip(tasks, found, strict=True)
        ]

    def _written(self, images: Sequence[Image.Image], tasks: Sequence[Task]) -> list[list[Verdict]]:
        prompts = {task: [Prompt(image, self.chat(task)) for image in images] for task in tasks}
        return [[_verdict_of_text(each) for each in self.backend.write(prompts[task], MAX_TOKENS)] for task in tasks]


def open_scorer(folder: Path, asked: Asked, threads: int | None) -> TatarScorer:
    """The scorer of a checkpoint folder: on vLLM where it is installed and there is a GPU, else on `transformers`.

    `threads` are torch's on the CPU; None leaves their number to it. Raises `UserError` as `read_card` and `load` do,
    and where scores without reasons are asked of a model whose tokenizer does not allow them.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a run has a progress bar of its own
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    card = read_card(folder, asked)
    if threads is not None:
        torch.set_num_threads(threads)
    has_gpu = torch.cuda.is_available()
    backend: Backend
    if has_gpu and find_spec("vllm") is not None:
        from beholder.tatar.vllm_backend import VllmBackend

        processor = load_processor(str(folder))
        backend = VllmBackend.of(folder)
    else:
        loaded = load(folder, device="cuda" if has_gpu else "cpu", allow_prompt_mismatch=asked.allow_prompt_mismatch)
        processor, backend = loaded.processor, TransformersBackend(loaded)
    return TatarScorer(card, fit_of(processor), backend, processor, _tokens(processor.tokenizer, asked))


def _tokens(tokenizer: Any, asked: Asked) -> Mapping[Task, NumberTokens] | Mapping[Task, LevelTokens]:
    if asked.explain:
        return {}
    if asked.levels:
        return {task: LevelTokens.of(tokenizer, task) for task in TASKS}
    return dict.fromkeys(TASKS, NumberTokens.of(tokenizer))


def _verdict(tokens: NumberTokens | LevelTokens, probabilities: NDArray[np.float64]) -> Verdict:
    """A verdict from (beginnings, ids) probabilities."""
    if isinstance(tokens, LevelTokens):
        levels, mass = tokens.weighed(probabilities)
        if mass >= LEAST_MASS:
            return Verdict(float(levels @ VALUES), levels=tuple(levels.tolist()))
        return _doubt("where a level word is due, one of the five", mass)
    score, mass = tokens.expected(probabilities)
    return Verdict(score) if mass >= LEAST_MASS else _doubt("after the opened answer tag a number", mass)


def _doubt(what: str, mass: float) -> Verdict:
    return Verdict(None, failure=f"{what} follows with probability {mass:.3f}; needed is {LEAST_MASS:g}")


def _verdict_of_text(written: Written) -> Verdict:
    """Of what was written after the opened think block."""
    reading = read(THINK + written.text, cut=written.cut)
    reason = reading.think or None
    if reading.failure is None:
        return Verdict(reading.score, reason=reason)
    text = written.text if len(written.text) <= _QUOTED else f"... {written.text[-_QUOTED:]}"
    return Verdict(None, reason=reason, failure=f"{reading.failure}: the model wrote {text!r}")
