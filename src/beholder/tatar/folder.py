"""A TATAR checkpoint: the folder that `save_pretrained` writes, and in it `tatar.json`, which says what was learned.

Any image-text-to-text model of `transformers` can be loaded; only a folder with `tatar.json` is one that we trained.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.image_utils import SizeDict

from beholder.errors import UserError
from beholder.tatar.record import RECORD_FILE as RECORD_FILE
from beholder.tatar.record import LearnedFrom as LearnedFrom
from beholder.tatar.record import Record as Record

ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True)
class Loaded:
    """A model ready for training or scoring."""

    model: Any
    """An image-text-to-text model of `transformers`, in evaluation mode."""
    processor: Any
    """Its processor; the tokenizer has a padding token and pads on the left, as generation needs it."""
    record: Record | None
    """None for a model that we did not train."""

    @property
    def end_tokens(self) -> list[int]:
        """Tokens that end a completion: the tokenizer's, and those that the model declares."""
        declared = self.model.generation_config.eos_token_id
        declared = declared if isinstance(declared, list) else [declared]
        return sorted({self.processor.tokenizer.eos_token_id, *declared} - {None})


def load(
    model: str | Path,
    *,
    dtype: torch.dtype | Literal["auto"] = "auto",
    device: str | torch.device = "cpu",
    pixels: tuple[int, int] | None = None,
    allow_prompt_mismatch: bool = False,
) -> Loaded:
    """Load a checkpoint of ours, or any image-text-to-text model by folder or hub name; LoRA adapters are merged.

    `pixels`: smallest and largest area of a picture as the model sees it; None keeps what its processor says. Weights
    come from safetensors only, no code of a repository is run. Raises UserError where there is no such model, it takes
    no pictures, lacks weights or a chat template, or learned with other prompts.
    """
    name, folder = str(model), Path(model)
    record = Record.read(folder) if (folder / RECORD_FILE).is_file() else None
    if record is not None:
        record.check_prompts(allow_mismatch=allow_prompt_mismatch)
    adapter = folder / ADAPTER_FILE
    base = str(json.loads(adapter.read_bytes())["base_model_name_or_path"]) if adapter.is_file() else name
    _check_kind(base)
    processor = load_processor(name, pixels)
    weights = load_weights(base, dtype)
    if adapter.is_file():
        from peft import PeftModel

        weights = PeftModel.from_pretrained(weights, name).merge_and_unload()  # type: ignore[operator]
    return Loaded(weights.to(device).eval(), processor, record)


def load_processor(model: str, pixels: tuple[int, int] | None = None) -> Any:
    """Tokenizer and image processor of a model, checked, as `Loaded.processor` says. Raises UserError as `load`."""
    try:
        processor: Any = AutoProcessor.from_pretrained(model)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise _not_loaded(model, error) from error
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise UserError(f"{model!r} is not a vision-language model: it has no processor for pictures. {_ALLOWED}")
    if not (getattr(processor, "chat_template", None) or tokenizer.chat_template):
        raise UserError(f"{model!r} has no chat template, so it can't be asked. Try its instruction-tuned version")
    if tokenizer.eos_token is None:
        raise UserError(f"the tokenizer of {model!r} has no end-of-turn token, so its answers would never end")
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    if pixels is not None:
        limit_pixels(processor, pixels)
    return processor


def load_weights(model: str, dtype: torch.dtype | Literal["auto"]) -> Any:
    """A model with all its weights, by folder or hub name. Raises UserError as `load`."""
    try:
        found: Any = AutoModelForImageTextToText.from_pretrained(
            model, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _not_loaded(model, error) from error
    loaded, info = found
    if missing := sorted(info["missing_keys"]):  # transformers would go on with random numbers in their place
        raise UserError(f"{model!r} lacks {len(missing)} of its weights: {_first(missing)}; get or make it again")
    return loaded


def limit_pixels(processor: Any, pixels: tuple[int, int]) -> None:
    """Set the smallest and largest area of a picture as the model sees it.

    Raises UserError where its processor has no such limits.
    """
    images = processor.image_processor
    size = dict(getattr(images, "size", None) or {})
    if not hasattr(images, "merge_size") or not {"shortest_edge", "longest_edge"} <= set(size):
        raise UserError(
            f"{type(images).__name__} sees pictures of fixed size, so pixels = {list(pixels)} can't be honoured; "
            "set pixels: null"
        )
    images.size = SizeDict(shortest_edge=pixels[0], longest_edge=pixels[1])  # areas, in spite of their names


def save(folder: Path, loaded: Loaded, state: Mapping[str, Tensor] | None = None) -> Path:
    """Write a checkpoint, which appears whole or not at all and replaces an earlier one; returns its folder.

    Adapters are merged, so the folder needs no other. `state` are the weights of a model that is spread over devices.
    Raises `ValueError` without a record.
    """
    if loaded.record is None:
        raise ValueError("a checkpoint of ours has a record")
    model = loaded.model.merge_and_unload() if hasattr(loaded.model, "merge_and_unload") else loaded.model
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary, state_dict=None if state is None else dict(state))
    loaded.processor.save_pretrained(temporary)
    (temporary / RECORD_FILE).write_text(loaded.record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    temporary.rename(folder)
    return folder


_ALLOWED = "Allowed: a folder or hub name of an image-text-to-text model, e.g. Qwen/Qwen2.5-VL-3B-Instruct"


def _check_kind(model: str) -> None:
    try:
        config = AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise _not_loaded(model, error) from error
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        raise UserError(f"{model!r} is a {config.model_type}, not a vision-language model. {_ALLOWED}")


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _not_loaded(model: str, error: Exception) -> UserError:
    return UserError(f"{model!r} can't be loaded: {str(error).strip().splitlines()[0]} {_ALLOWED}")
