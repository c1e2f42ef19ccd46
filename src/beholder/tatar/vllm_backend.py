"""Running a checkpoint on vLLM: the `backend.Backend` for many pictures on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from vllm import LLM, SamplingParams  # type: ignore[import-not-found]

from beholder.tatar.backend import Prompt, Written
from beholder.tatar.question import Question

TOP = 20
"""Most likely tokens whose probabilities vLLM tells; a digit beyond them counts as impossible."""


@dataclass(frozen=True)
class VllmBackend:
    """A `Backend`. It keeps what pictures and prompts gave, so beginnings after the first cost a token each."""

    llm: Any
    device: str = "cuda (vllm)"

    @classmethod
    def of(cls, folder: Path) -> VllmBackend:
        """Load a checkpoint folder onto the GPU."""
        return cls(
            LLM(
                model=str(folder),
                limit_mm_per_prompt={"image": 1},
                enable_prefix_caching=True,
                generation_config="vllm",  # not the checkpoint's, whose penalties would change greedy answers
                max_logprobs=TOP,
                seed=0,
            )
        )

    def probabilities(self, images: Sequence[Image.Image], questions: Sequence[Question]) -> list[NDArray[np.float64]]:
        """As `Backend.probabilities`."""
        return [self._answers(images, question) for question in questions]

    def _answers(self, images: Sequence[Image.Image], question: Question) -> NDArray[np.float64]:
        tokenizer, ids = self.llm.get_tokenizer(), question.ids
        started = [
            Prompt(image, question.head + question.tail + tokenizer.decode(list(beginning)))
            for image in images
            for beginning in question.beginnings
        ]
        found = np.zeros((len(started), len(ids)))
        one = SamplingParams(temperature=0.0, max_tokens=1, logprobs=TOP)
        for row, output in enumerate(self._run(started, one)):
            [likely] = output.outputs[0].logprobs
            for column, token in enumerate(ids):
                if token in likely:
                    found[row, column] = np.exp(likely[token].logprob)
        return found.reshape(len(images), len(question.beginnings), len(ids))

    def write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        """As `Backend.write`."""
        outputs = self._run(prompts, SamplingParams(temperature=0.0, max_tokens=max_tokens))
        answers = [output.outputs[0] for output in outputs]
        return [Written(answer.text, answer.finish_reason == "length") for answer in answers]

    def _run(self, prompts: Sequence[Prompt], sampling: SamplingParams) -> list[Any]:
        inputs = [{"prompt": prompt.text, "multi_modal_data": {"image": prompt.image}} for prompt in prompts]
        outputs: list[Any] = self.llm.generate(inputs, sampling, use_tqdm=False)
        return outputs
