"""Running a checkpoint: what scoring needs of a runtime, and `transformers` as one; `vllm_backend` is the other."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig

from beholder.errors import UserError
from beholder.tatar.folder import Loaded
from beholder.tatar.question import Question

T = TypeVar("T")


@dataclass(frozen=True)
class Prompt:
    """A picture, and the chat up to where the model goes on, as text with one place for the picture."""

    image: Image.Image
    text: str


@dataclass(frozen=True)
class Written:
    """What a model wrote, greedily."""

    text: str
    cut: bool
    """Whether it hit the token limit."""


class Backend(Protocol):
    """A model at work. The same prompt gets the same answer in any batch, to its number format's precision."""

    @property
    def device(self) -> str:
        """Where it runs, e.g. `cuda`."""
        ...

    def probabilities(self, images: Sequence[Image.Image], questions: Sequence[Question]) -> list[NDArray[np.float64]]:
        """Per question (images, beginnings, ids): probability of each token after its text and each beginning."""
        ...

    def write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        """The most likely completion of each prompt, token by token."""
        ...


@dataclass(frozen=True)
class TransformersBackend:
    """A `Backend` in this process. A batch that does not fit into the GPU's memory is halved until it does."""

    loaded: Loaded

    @property
    def device(self) -> str:
        """As `Backend.device`."""
        return str(self.loaded.model.device)

    def probabilities(self, images: Sequence[Image.Image], questions: Sequence[Question]) -> list[NDArray[np.float64]]:
        """As `Backend.probabilities`: a picture goes through the model once for all questions with the same head."""
        try:
            return self._probabilities(images, questions)
        except torch.OutOfMemoryError:
            halves = _halves(images)
        both = [self.probabilities(half, questions) for half in halves]
        return [np.concatenate(parts) for parts in zip(*both, strict=True)]

    def write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        """As `Backend.write`."""
        try:
            return self._write(prompts, max_tokens)
        except torch.OutOfMemoryError:
            halves = _halves(prompts)
        return [written for half in halves for written in self.write(half, max_tokens)]

    @torch.inference_mode()
    def _probabilities(self, images: Sequence[Image.Image], questions: Sequence[Question]) -> list[NDArray[np.float64]]:
        found: dict[int, NDArray[np.float64]] = {}
        for head in dict.fromkeys(question.head for question in questions):
            inputs = self._inputs([Prompt(image, head) for image in images])
            mask: Tensor = inputs["attention_mask"]
            seen = self.loaded.model(**inputs, **self._positions(mask, None), use_cache=True, logits_to_keep=1)
            places = [place for place, question in enumerate(questions) if question.head == head]
            for place in places:
                cache = seen.past_key_values if place == places[-1] else deepcopy(seen.past_key_values)
                found[place] = self._answers(questions[place], mask, cache, seen.logits[:, -1])
        return [found[place] for place in range(len(questions))]

    def _answers(self, question: Question, mask: Tensor, cache: Any, logits: Tensor) -> NDArray[np.float64]:
        """(B, beginnings, ids) from what the head left: its (B, L) mask, its cache, and (B, V) logits of its end."""
        n_rows, ids = len(mask), question.ids
        if question.tail:
            tail = self.loaded.processor.tokenizer(question.tail, add_special_tokens=False)["input_ids"]
            mask = torch.cat([mask, mask.new_ones(n_rows, len(tail))], dim=1)
            logits = self._go_on(mask.new_tensor([tail] * n_rows), mask, cache, logits_to_keep=1)[:, -1]
        columns = [_of(logits, ids)[:, None]]
        if written := question.beginnings[1:]:
            n, width = len(written), max(map(len, written))
            # Padded on the right: what comes later can't be seen from where an answer is read.
            tokens = mask.new_tensor([[*each, *[each[-1]] * (width - len(each))] for each in written])
            cache.batch_repeat_interleave(n)
            mask = torch.cat([mask, mask.new_ones(n_rows, width)], dim=1).repeat_interleave(n, dim=0)
            last = mask.new_tensor([len(each) - 1 for each in written]).repeat(n_rows)
            logits = self._go_on(tokens.repeat(n_rows, 1), mask, cache)[torch.arange(len(last)), last]
            columns.append(_of(logits, ids).view(n_rows, n, len(ids)))
        return torch.cat(columns, dim=1).cpu().numpy()

    def _go_on(self, tokens: Tensor, mask: Tensor, cache: Any, **more: int) -> Tensor:
        """Logits after more (B, W) tokens; `mask` covers them and all before."""
        positions = self._positions(mask, tokens.shape[1])
        logits: Tensor = self.loaded.model(
            input_ids=tokens, attention_mask=mask, past_key_values=cache, **positions, **more
        ).logits
        return logits

    @torch.inference_mode()
    def _write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        inputs = self._inputs(prompts)
        model, tokenizer = self.loaded.model, self.loaded.processor.tokenizer
        ends = self.loaded.end_tokens
        greedy = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            repetition_penalty=1.0,  # a checkpoint's own would be taken otherwise
            max_new_tokens=max_tokens,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id,
        )
        tokens = model.generate(**inputs, generation_config=greedy)[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [Written(text, set(ends).isdisjoint(row)) for text, row in zip(texts, tokens.tolist(), strict=True)]

    def _inputs(self, prompts: Sequence[Prompt]) -> Any:
        return self.loaded.processor(
            text=[prompt.text for prompt in prompts],
            images=[prompt.image for prompt in prompts],
            padding=True,
            return_tensors="pt",
        ).to(self.loaded.model.device)

    def _positions(self, mask: Tensor, width: int | None) -> dict[str, Tensor]:
        """Positions of the last `width` tokens, None for all, with the padding on the left not counted.

        A model whose positions have several axes (time, height, width) works out those of a picture itself, and keeps
        by how much they fall behind the count of tokens.
        """
        inner = self.loaded.model.base_model
        has_axes = hasattr(inner, "rope_deltas")
        if width is None:
            return {} if has_axes else {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
        positions = (mask.cumsum(-1) - 1)[:, -width:]
        if has_axes and (deltas := inner.rope_deltas) is not None:
            behind = deltas.to(mask.device).repeat_interleave(len(mask) // len(deltas), dim=0)
            positions = (positions + behind)[None].expand(3, -1, -1)
        return {"position_ids": positions}


def _of(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """(B, ids) float64 probabilities of some tokens from (B, V) logits of any precision."""
    return logits.double().softmax(-1)[:, list(ids)]


def _halves(prompts: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Halves of what is about one picture each."""
    if len(prompts) == 1:
        raise UserError(
            "the model and one picture do not fit into the GPU's memory. Try a smaller model, a GPU with more memory, "
            "or the CPU: CUDA_VISIBLE_DEVICES="
        )
    torch.cuda.empty_cache()
    return prompts[: len(prompts) // 2], prompts[len(prompts) // 2 :]
