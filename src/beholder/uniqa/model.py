"""UniQA, whole: a dual encoder, and per task an adapter, level values and cached text features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoTokenizer

from beholder.errors import UserError
from beholder.task import LEVELS, Task
from beholder.uniqa.encoders import CHANNELS, Encoder, make_encoder, read_encoder, tokens_of, width_of
from beholder.uniqa.folder import (
    TOKENIZER_FOLDER,
    WEIGHTS_FILE,
    Channels,
    ModelConfig,
    TaskConfig,
    is_model_folder,
    read_weights,
)
from beholder.uniqa.head import LEVEL_VALUES, Adapter, level_probabilities
from beholder.uniqa.prompts import DEFAULT_GROUPS, prompts_of


class Uniqa(nn.Module):
    """Scores pictures as UniQA does (spec, section 5). Starts frozen and zero-shot; `adapt` gives a task its adapter.

    Everything is in `state_dict`: the encoder, the adapters, the level values, and the text features of each task,
    which are computed once per set of prompts and again whenever encoder weights are loaded.
    """

    encoder: Any  # the two kinds share methods, not a type
    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder, config: ModelConfig, tokenizer: Any = None) -> None:
        """`tokenizer` is one of `transformers`; without it only loaded text features can be used."""
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.config = config
        self.tokenizer = tokenizer
        self.width = width_of(encoder)
        self.adapters = nn.ModuleDict()
        self.levels = nn.ParameterDict()
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)
        for task, head in config.tasks.items():
            self.levels[task] = nn.Parameter(torch.tensor(LEVEL_VALUES), requires_grad=head.hidden is not None)
            if head.hidden is not None:
                self.adapters[task] = Adapter(self.width, head.hidden)
            self.register_buffer(_text_name(task), torch.zeros(len(head.groups), len(LEVELS), self.width))
        self._text_is_stale = True
        self.encoder.register_load_state_dict_post_hook(self._after_encoder_load)
        self.register_load_state_dict_post_hook(self._after_load)  # type: ignore[no-untyped-call]
        if tokenizer is not None:
            self.refresh_text()

    @classmethod
    def start(
        cls,
        encoder: Encoder,
        tokenizer: Any,
        prompts: Mapping[Task, Sequence[str]] | None = None,
        channels: tuple[Channels, Channels] | None = None,
    ) -> Self:
        """A zero-shot model on an encoder at hand.

        `prompts`: task to names of prompt groups; both tasks with their default groups where not given. `channels`:
        mean and deviation of RGB; those that this kind of encoder was published with where not given.
        """
        tasks = {}
        for task, groups in (prompts or DEFAULT_GROUPS).items():
            prompts_of(groups)
            tasks[task] = TaskConfig(groups=tuple(groups))
        mean, std = channels or CHANNELS[encoder.config.model_type]
        vision: Any = encoder.config.vision_config
        config = ModelConfig(encoder=encoder.config.to_dict(), side=vision.image_size, mean=mean, std=std, tasks=tasks)
        return cls(encoder, config, tokenizer)

    @classmethod
    def from_encoder(cls, name_or_folder: str | Path, prompts: Mapping[Task, Sequence[str]] | None = None) -> Self:
        """A zero-shot model on any CLIP or SigLIP: a name on the hub, a folder of `transformers`, or one of ours.

        `prompts` as in `start`. Raises UserError if there is no such encoder, or if it is of another kind.
        """
        if is_model_folder(Path(name_or_folder)):
            found = cls.load(Path(name_or_folder))
            return cls.start(found.encoder, found.tokenizer, prompts, (found.config.mean, found.config.std))
        encoder, tokenizer, channels = read_encoder(name_or_folder)
        return cls.start(encoder, tokenizer, prompts, channels)

    def adapt(self, task: Task, hidden: int | None = None) -> None:
        """Give `task` a fresh adapter (inner width `hidden`, half the feature width if None) and free its levels."""
        hidden = hidden or self.width // 2
        device = self.levels[self._known(task)].device
        self.adapters[task] = Adapter(self.width, hidden).to(device)
        self.levels[task] = nn.Parameter(torch.tensor(LEVEL_VALUES, device=device))
        self._configure(task, hidden=hidden)

    def trainable(self, task: Task) -> list[nn.Parameter]:
        """What the adapter of `task` learns: W1, W2 and the five level values; 262,149 numbers at width 512."""
        if task not in self.adapters:
            raise UserError(f"task {task!r} is zero-shot: nothing in it can learn before adapt({task!r})")
        return [*self.adapters[task].parameters(), self.levels[task]]

    def normalise(self, rgb_B3HW: Tensor) -> Tensor:
        """RGB in [0, 1] -> what `encode_image` takes."""
        return (rgb_B3HW - self.mean) / self.std

    def encode_image(self, pixels_B3HW: Tensor) -> Tensor:
        """Features of normalised pictures, (B, `width`), not normalised.

        Another size than `config.side` square is looked at with interpolated position embeddings; both sides must be
        at least one patch.
        """
        is_native = tuple(pixels_B3HW.shape[-2:]) == (self.config.side, self.config.side)
        found = self.encoder.get_image_features(pixel_values=pixels_B3HW, interpolate_pos_encoding=not is_native)
        return cast(Tensor, found.pooler_output)

    def encode_tokens(self, tokens_BL: Tensor) -> Tensor:
        """Features of token ids, (B, `width`), not normalised."""
        return cast(Tensor, self.encoder.get_text_features(input_ids=tokens_BL).pooler_output)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids (n, L), cut to the context length. Raises UserError for an empty text."""
        if self.tokenizer is None:
            raise UserError("this model has no tokenizer, so texts can't be encoded; give one to set_prompts")
        return tokens_of(texts, self.tokenizer, self.encoder)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Features of texts, (n, `width`), not normalised."""
        return self.encode_tokens(self.tokenize(texts).to(self.mean.device))

    def set_prompts(self, tokenizer: Any, prompts: Mapping[Task, Sequence[str]]) -> None:
        """Change the prompt groups of some tasks and compute their text features. UserError for an unknown group."""
        self.tokenizer = tokenizer
        for task, groups in prompts.items():
            prompts_of(groups)
            self._configure(self._known(task), groups=tuple(groups))
        self.refresh_text()

    @torch.no_grad()
    def refresh_text(self) -> None:
        """Compute the text features of all tasks again: after the text encoder was changed by other than loading."""
        for task in self.config.tasks:
            setattr(self, _text_name(task), self._encode_prompts(task))
        self._text_is_stale = False

    def text(self, task: Task) -> Tensor:
        """Text features of a task's prompts, (G, 5, `width`).

        From the cache, unless the text encoder is being trained: then it would be old after every step.
        """
        if any(p.requires_grad for name, p in self.encoder.named_parameters() if name.startswith("text_")):
            return self._encode_prompts(self._known(task))
        if self._text_is_stale:
            raise UserError("the text features are not of these encoder weights; call set_prompts with a tokenizer")
        return self.get_buffer(_text_name(self._known(task)))

    def adapted(self, feature_BD: Tensor, task: Task) -> Tensor:
        """Picture features through the adapter of `task`; as they are where it has none."""
        return cast(Tensor, self.adapters[task](feature_BD)) if task in self.adapters else feature_BD

    def probabilities_of(self, feature_BD: Tensor, task: Task) -> Tensor:
        """Level probabilities (B, 5) of picture features, the mean over prompt groups."""
        text = self.text(task)
        return level_probabilities(self.adapted(feature_BD, task), text, self.encoder.logit_scale)

    def probabilities(self, pixels_B3HW: Tensor, task: Task) -> Tensor:
        """Level probabilities (B, 5) of normalised pictures."""
        return self.probabilities_of(self.encode_image(pixels_B3HW), task)

    def score_of(self, feature_BD: Tensor, task: Task) -> Tensor:
        """Raw scores (B,) of picture features."""
        score: Tensor = self.probabilities_of(feature_BD, task) @ self.levels[task]
        return score

    def score(self, pixels_B3HW: Tensor, task: Task) -> Tensor:
        """Raw scores (B,) of normalised pictures: the expected level value, 0.2 to 1 before levels are learnt."""
        return self.score_of(self.encode_image(pixels_B3HW), task)

    def display_levels(self, task: Task) -> tuple[float, ...]:
        """Level values on the public scale: adapted 100 s, zero-shot 100 (s - 0.2) / 0.8 (spec, section 5)."""
        low, high = (0.0, 1.0) if task in self.adapters else (LEVEL_VALUES[0], LEVEL_VALUES[-1])
        return tuple(round(100 * (value - low) / (high - low), 4) for value in self.levels[self._known(task)].tolist())

    def save(self, folder: Path) -> None:
        """Write the model into `folder`; `config.json` goes last, so a folder that has one is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.tokenizer is not None:
            self.refresh_text()
            self.tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
        temporary = folder / f"{WEIGHTS_FILE}.tmp"
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, temporary)
        temporary.replace(folder / WEIGHTS_FILE)
        self.config.write(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder that `save` wrote; on the CPU, in evaluation mode. Raises UserError where it is not whole."""
        config = ModelConfig.read(folder)
        encoder = make_encoder(config.encoder, str(folder))
        weights = read_weights(folder)
        model = cls(encoder, config)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UserError(f"the weights in {str(folder)!r} do not fit its config: {reason}") from None
        if (folder / TOKENIZER_FOLDER).is_dir():
            model.tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER_FOLDER)
        return model.eval()

    def _encode_prompts(self, task: Task) -> Tensor:
        groups = prompts_of(self.config.tasks[task].groups)
        text = self.encode_text([prompt for group in groups for prompt in group])
        return text.view(len(groups), len(LEVELS), -1)

    def _known(self, task: Task) -> Task:
        if task not in self.config.tasks:
            raise UserError(f"this model has no task {task!r}; it scores {', '.join(self.config.tasks)}")
        return task

    def _configure(self, task: Task, **changes: object) -> None:
        head = self.config.tasks[task].model_copy(update=changes)
        self.config = self.config.model_copy(update={"tasks": {**self.config.tasks, task: head}})

    def _after_encoder_load(self, module: nn.Module, incompatible: Any) -> None:
        if self.tokenizer is None:
            self._text_is_stale = True
            return
        self.refresh_text()
        computed = {_text_name(task) for task in self.config.tasks}
        incompatible.missing_keys[:] = [key for key in incompatible.missing_keys if key not in computed]

    def _after_load(self, module: nn.Module, incompatible: Any) -> None:
        if not {_text_name(task) for task in self.config.tasks} & set(incompatible.missing_keys):
            self._text_is_stale = False


def _text_name(task: Task) -> str:
    return f"text_{task}"
