"""Running a checkpoint: what scoring needs of a runtime, and `transformers` as one; `vllm_backend` is the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig

from beholder.errors import UserError
from beholder.tatar.folder import Loaded


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

    def probabilities(
        self, prompts: Sequence[Prompt], beginnings: Sequence[tuple[int, ...]], ids: Sequence[int]
    ) -> NDArray[np.float64]:
        """(prompts, beginnings, ids): probability of each token of `ids` after a prompt and each beginning.

        `beginnings` are tokens, the first one none at all.
        """
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

    def probabilities(
        self, prompts: Sequence[Prompt], beginnings: Sequence[tuple[int, ...]], ids: Sequence[int]
    ) -> NDArray[np.float64]:
        """As `Backend.probabilities`: picture and prompt go through the model once, beginnings all at once after it."""
        try:
            return self._probabilities(prompts, beginnings, ids)
        except torch.OutOfMemoryError:
            halves = _halves(prompts)
        return np.concatenate([self.probabilities(half, beginnings, ids) for half in halves])

    def write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        """As `Backend.write`."""
        try:
            return self._write(prompts, max_tokens)
        except torch.OutOfMemoryError:
            halves = _halves(prompts)
        return [written for half in halves for written in self.write(half, max_tokens)]

    @torch.inference_mode()
    def _probabilities(
        self, prompts: Sequence[Prompt], beginnings: Sequence[tuple[int, ...]], ids: Sequence[int]
    ) -> NDArray[np.float64]:
        assert not beginnings[0], "the first beginning is none"
        inputs = self._inputs(prompts)
        mask: Tensor = inputs["attention_mask"]
        found = self.loaded.model(**inputs, **self._positions(mask, None), use_cache=True, logits_to_keep=1)
        columns = [_of(found.logits[:, -1], ids)[:, None]]
        if written := beginnings[1:]:
            width, n = max(map(len, written)), len(written)
            # Padded on the right: what comes later can't be seen from where an answer is read.
            tokens = torch.tensor([[*each, *[each[-1]] * (width - len(each))] for each in written], device=mask.device)
            cache = found.past_key_values
            cache.batch_repeat_interleave(n)
            mask = torch.cat([mask, mask.new_ones(len(mask), width)], dim=1).repeat_interleave(n, dim=0)
            later = self.loaded.model(
                input_ids=tokens.repeat(len(prompts), 1),
                attention_mask=mask,
                past_key_values=cache,
                **self._positions(mask, width),
            )
            last = torch.tensor([len(each) - 1 for each in written], device=mask.device).repeat(len(prompts))
            logits = later.logits[torch.arange(len(last), device=mask.device), last]
            columns.append(_of(logits, ids).view(len(prompts), n, len(ids)))
        return torch.cat(columns, dim=1).cpu().numpy()

    @torch.inference_mode()
    def _write(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Written]:
        inputs = self._inputs(prompts)
        model, tokenizer = self.loaded.model, self.loaded.processor.tokenizer
        ends = model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends]) | {tokenizer.eos_token_id}
        greedy = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            repetition_penalty=1.0,  # a checkpoint's own would be taken otherwise
            max_new_tokens=max_tokens,
            eos_token_id=sorted(ends - {None}),
            pad_token_id=tokenizer.pad_token_id,
        )
        tokens = model.generate(**inputs, generation_config=greedy)[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [Written(text, not ends & set(row)) for text, row in zip(texts, tokens.tolist(), strict=True)]

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


def _halves(prompts: Sequence[Prompt]) -> tuple[Sequence[Prompt], Sequence[Prompt]]:
    if len(prompts) == 1:
        raise UserError(
            "the model and one picture do not fit into the GPU's memory. Try a smaller model, a GPU with more memory, "
            "or the CPU: CUDA_VISIBLE_DEVICES="
        )
    torch.cuda.empty_cache()
    return prompts[: len(prompts) // 2], prompts[len(prompts) // 2 :]
