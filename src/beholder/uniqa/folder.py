"""What is in a UniQA model's folder: `config.json`, `model.safetensors`, and the tokenizer in `tokenizer/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from beholder.errors import UserError
from beholder.task import Task
from beholder.uniqa.prompts import prompts_of

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FOLDER = "tokenizer"
FORMAT: Final = "beholder-uniqa-1"

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Channels = tuple[float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskConfig(_Strict):
    """How one task is scored."""

    groups: tuple[str, ...] = ("quality",)
    """Names of prompt groups, see `uniqa.prompts.GROUPS`; the score is the mean over them."""
    hidden: int | None = Field(default=None, gt=0)
    """Inner width of the adapter; None where the task is scored zero-shot, without one."""
    short: int | None = Field(default=None, gt=0)
    """Pixels that a longer shorter side is brought down to before views are cut; None keeps the resolution."""
    native_range: tuple[float, float] = (0.0, 1.0)
    """Range of the ratings it was trained on."""
    trained_on: tuple[str, ...] = ()
    """Data sets and splits that its adapter learned from, e.g. `koniq10k:train`."""

    @field_validator("groups")
    @classmethod
    def _groups_exist(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        prompts_of(groups)
        return groups


class ModelConfig(_Strict):
    """`config.json`: with it and the weights, a model is whole."""

    format: Literal["beholder-uniqa-1"] = FORMAT
    encoder: dict[str, Any]
    """The configuration of the dual encoder as `transformers` writes it; `model_type` is `clip` or `siglip`."""
    side: int = Field(gt=0)
    """Side of the square views the encoder was made for, in pixels."""
    mean: Channels = CLIP_MEAN
    """Subtracted from RGB in [0, 1]."""
    std: Channels = CLIP_STD
    """Then divided by."""
    tasks: dict[Task, TaskConfig] = Field(min_length=1)
    training: str = ""
    """How the model was trained, in a few sentences."""
    data_licence: str = "unknown"
    weights_licence: str = "unknown"
    manifest_sha256: dict[str, str] = {}
    """Training manifest name to its sha256."""
    source_sha256: dict[str, str] = {}
    """Foreign weight files that this model was converted from: file name to sha256."""

    @field_validator("encoder", mode="before")
    @classmethod
    def _as_it_reads_back(cls, encoder: dict[Any, Any]) -> Any:
        return json.loads(json.dumps(encoder))  # transformers has tables with numbers for keys

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's `config.json`. Raises UserError where there is none, or naming the first wrong field."""
        if not folder.is_dir():
            raise UserError(f"{str(folder)!r} is not a folder; a UniQA model is a folder with a {CONFIG_FILE}")
        file = folder / CONFIG_FILE
        try:
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{str(folder)!r} is not a UniQA model: it has no {CONFIG_FILE}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{str(file)!r} is not the config of a UniQA model: {where}: {first['msg']}") from None

    def write(self, folder: Path) -> None:
        """Write `config.json` into an existing folder."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder says of itself that it holds a UniQA model of ours, and not one of `transformers`."""
    try:
        content = json.loads((folder / CONFIG_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a model folder. Raises UserError where the file is missing, truncated or not safetensors."""
    file = folder / WEIGHTS_FILE
    try:
        return load_file(file)
    except FileNotFoundError:
        raise UserError(f"{str(folder)!r} has no {WEIGHTS_FILE}; the model is not whole, make it again") from None
    except SafetensorError as error:
        raise UserError(
            f"{str(file)!r} can't be read ({file.stat().st_size} bytes): {error}. "
            "It is truncated or not a safetensors file; get or make the model again."
        ) from None
