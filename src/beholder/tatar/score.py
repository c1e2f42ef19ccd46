"""Scoring with a TATAR checkpoint: the expected number at once, or reasons first and then the number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers.utils import logging

from beholder.imaging.fit import Fit
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.scorer import Verdict, Verdicts, View
from beholder.task import Task
from beholder.tatar.answer import prefix, read
from beholder.tatar.backend import Backend, Prompt, TransformersBackend, Written
from beholder.tatar.card import MAX_TOKENS, read_card
from beholder.tatar.folder import load, load_processor
from beholder.tatar.number import LEAST_MASS, NumberTokens
from beholder.tatar.picture import fit_of
from beholder.tatar.prompts import PROMPTS

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
    numbers: NumberTokens | None
    """How numbers are read without writing; None where the model reasons first."""

    @property
    def device(self) -> str:
        """As `Scorer.device`."""
        return self.backend.device

    def infer(self, views: Sequence[View], tasks: Sequence[Task]) -> list[Verdicts]:
        """As `Scorer.infer`: all views at once, task by task."""
        images = [Image.fromarray(view) for view in views]
        found: list[Verdicts] = [{} for _ in images]
        for task in tasks if images else ():
            for verdicts, verdict in zip(found, self._judge(images, self.chat(task)), strict=True):
                verdicts[task] = verdict
        return found

    def chat(self, task: Task) -> str:
        """What the model is asked, as text up to its own turn, with one place for the picture."""
        chat: str = self.processor.apply_chat_template(
            PROMPTS.messages(task), tokenize=False, add_generation_prompt=True
        )
        return chat

    def _judge(self, images: Sequence[Image.Image], chat: str) -> list[Verdict]:
        numbers = self.numbers
        if numbers is None:
            prompts = [Prompt(image, chat) for image in images]
            return [_verdict_of_text(written) for written in self.backend.write(prompts, MAX_TOKENS)]
        prompts = [Prompt(image, chat + prefix(None)) for image in images]
        found = self.backend.probabilities(prompts, numbers.beginnings, numbers.ids)
        return [_verdict_of_number(*numbers.expected(each)) for each in found]


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
    numbers = None if asked.explain else NumberTokens.of(processor.tokenizer)
    return TatarScorer(card, fit_of(processor), backend, processor, numbers)


def _verdict_of_number(score: float, mass: float) -> Verdict:
    if not mass >= LEAST_MASS:
        said = f"after the opened answer tag a number follows with probability {mass:.3f}; needed is {LEAST_MASS:g}"
        return Verdict(None, failure=said)
    return Verdict(score)


def _verdict_of_text(written: Written) -> Verdict:
    reading = read(written.text, cut=written.cut)
    reason = reading.think or None
    if reading.failure is None:
        return Verdict(reading.score, reason=reason)
    text = written.text if len(written.text) <= _QUOTED else f"... {written.text[-_QUOTED:]}"
    return Verdict(None, reason=reason, failure=f"{reading.failure}: the model wrote {text!r}")
