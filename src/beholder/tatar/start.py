"""What SFT and GRPO start from: the model in its number format, adapters, one process per GPU."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig as PeftConfig
from torch import nn
from transformers import TrainingArguments

from beholder.errors import UserError
from beholder.tatar.config import LoraConfig, RunConfig
from beholder.tatar.folder import Loaded, load


def load_base(recipe: RunConfig, model: str) -> Loaded:
    """The model that training starts from: float32, but bfloat16 where its weights stay as they are."""
    frozen_in_half = recipe.lora is not None and recipe.bf16
    return load(model, dtype=torch.bfloat16 if frozen_in_half else torch.float32, pixels=recipe.pixels)


def one_process_per_gpu(arguments: TrainingArguments) -> None:
    """Raises UserError for GPUs that no process is there for, which the Trainer would use in a way of its own."""
    if arguments.n_gpu > 1:
        raise UserError(
            f"{arguments.n_gpu} GPUs are visible to one process; start it with `accelerate launch -m beholder ...` to "
            "use them all, or with CUDA_VISIBLE_DEVICES=0 to use one"
        )


def adapters(model: Any, config: LoraConfig) -> PeftConfig:
    """LoRA on all linear layers of the language model. Raises UserError where it has none."""
    language = model.get_decoder()
    inside = {id(module) for module in language.modules()}
    names = [name for name, module in model.named_modules() if id(module) in inside and isinstance(module, nn.Linear)]
    if not names:
        raise UserError(f"{type(model).__name__} has no linear layers in its language model; set lora: null")
    return PeftConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout, target_modules=names, task_type="CAUSAL_LM"
    )
