"""Completions of a group share their prefix: picture and prompt are encoded once, not once per completion.

`generate` itself is untouched, with all its options and models. Hooks on its first forward pass let the first row of
each group through and give what it found back to all rows; from the second token on every completion has its own row.
Sampling sees the same numbers in the same order as without sharing, so the same seed gives the same samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig


def generate_shared(model: Any, inputs: Mapping[str, Tensor], group: int, config: GenerationConfig) -> Tensor:
    """`group` completions for each of n prompts with one picture each, those of a prompt in a row.

    `inputs`: what the processor makes of the prompts, padded on the left: (n, L) `input_ids`, `attention_mask` and so
    on, and the pixels. Returns (n * group, T) int64 token ids without the prompt; after an end token comes padding.
    """
    grouped = copy(config)
    grouped.num_return_sequences = group
    inner: nn.Module = model.get_base_model() if hasattr(model, "get_base_model") else model  # below a LoRA wrapper
    with torch.no_grad(), _first_forward_per_group(inner, len(inputs["input_ids"]) * group, group):
        tokens: Tensor = model.generate(**inputs, generation_config=grouped)
    return tokens[:, inputs["input_ids"].shape[1] :]


def up_to_end(tokens: Tensor, ends: Collection[int]) -> list[int]:
    """A row of token ids up to and with its first end token; all of them where it has none."""
    ids: list[int] = tokens.tolist()
    return ids[: next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))]


def encode(processor: Any, chats: Sequence[Any]) -> Any:
    """Chats that hold their pictures as the model takes them, padded on the left, up to the model's turn."""
    return processor.apply_chat_template(
        list(chats),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


@contextmanager
def _first_forward_per_group(model: nn.Module, n_rows: int, group: int) -> Iterator[None]:
    def narrow(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        before.remove()
        return args, narrowed(kwargs, n_rows, group)

    def widen(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        after.remove()
        output.logits = output.logits.repeat_interleave(group, dim=0)
        output.past_key_values.batch_repeat_interleave(group)
        return output

    before = model.register_forward_pre_hook(narrow, with_kwargs=True)
    after = model.register_forward_hook(widen)
    try:
        yield
    finally:
        before.remove()
        after.remove()


def narrowed(kwargs: Mapping[str, Any], n_rows: int, group: int) -> dict[str, Any]:
    """Arguments of a forward pass over `n_rows` rows, cut to the first row of each group."""
    found = {name: _narrowed(value, n_rows, group) for name, value in kwargs.items()}
    if (positions := kwargs.get("position_ids")) is not None and positions.ndim == 3:
        found["position_ids"] = positions[:, ::group]  # (axes, rows, L): time, height and width
    if (pixels := kwargs.get("pixel_values")) is not None and (grid := kwargs.get("image_grid_thw")) is not None:
        found["pixel_values"] = torch.cat(pixels.split(grid.prod(-1).tolist())[::group])  # patches of all pictures
    return found


def _narrowed(value: Any, n_rows: int, group: int) -> Any:
    """Rows of tensors and lists of tensors, also inside what a vision tower found, whose parts may be per layer."""
    if isinstance(value, Tensor):
        return value[::group] if value.ndim > 1 and len(value) == n_rows else value
    if isinstance(value, list | tuple):
        if value and all(isinstance(part, Tensor) for part in value):
            return value[::group] if len(value) == n_rows else value
        return type(value)(_narrowed(part, n_rows, group) for part in value)
    if type(value) is dict:
        return {name: _narrowed(part, n_rows, group) for name, part in value.items()}
    if hasattr(value, "pooler_output"):  # what a vision tower found, one entry per picture
        return type(value)(**{name: _narrowed(part, n_rows, group) for name, part in value.items()})
    return value
