"""A Trainer that goes on with the weights of its checkpoint, whatever names they have in the file."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel
from transformers import Trainer

from beholder.tatar.folder import load_weights


class Resumed(Trainer):
    """To be named before a trainer of TRL among the bases of a class.

    Why: `save_pretrained` writes the weights of many vision-language models under the names that they were published
    with, and `from_pretrained` renames them. The Trainer reads the file as it is, finds none of its names there, and
    goes on with the weights of the first step and a warning.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.model if model is None else model
        if self.is_fsdp_enabled or isinstance(model, PeftModel):  # files of their own, names unchanged
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        model.load_state_dict(load_weights(resume_from_checkpoint, torch.float32).state_dict())
