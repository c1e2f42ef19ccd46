"""A model as a folder: `config.json`, `tokeniser.safetensors`, `model.safetensors`. No pickle.

Both weight files also hold their own configuration as metadata, the list of scales with it, so that neither can be
read as something else: a transformer is only of use with the tokeniser that it was trained with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from beholder import __version__
from beholder.alignvar.config import AlignVarConfig, Decoding, TokeniserConfig
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.batch.files import replacing
from beholder.errors import UserError

CONFIG_FILE = "config.json"
TOKENISER_FILE = "tokeniser.safetensors"
MODEL_FILE = "model.safetensors"
FORMAT: Final = "beholder-alignvar-1"

_M = TypeVar("_M", bound=nn.Module)
_C = TypeVar("_C", bound=BaseModel)


class FolderConfig(BaseModel):
    """`config.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["beholder-alignvar-1"] = FORMAT
    beholder: str = __version__
    """Version that wrote the folder."""
    model: AlignVarConfig
    sha256: dict[str, str]
    """Of each weight file, checked at every load."""
    facts: dict[str, Any] = {}
    """How it was trained or from where it was converted, its licence, its measured results."""

    @field_validator("sha256")
    @classmethod
    def _names_both_files(cls, value: dict[str, str]) -> dict[str, str]:
        if set(value) != {TOKENISER_FILE, MODEL_FILE}:
            raise ValueError(f"it has {', '.join(sorted(value)) or 'nothing'}, not {TOKENISER_FILE} and {MODEL_FILE}")
        return value


@dataclass(frozen=True)
class Loaded:
    """A whole model, frozen and ready to decode."""

    config: AlignVarConfig
    tokeniser: Tokeniser
    model: AlignVar
    sha: str
    """64 hex digits over both weight files."""
    facts: dict[str, Any]

    @property
    def tile(self) -> int:
        """Side of the LR tile in pixels."""
        return self.config.tile

    @property
    def decode(self) -> Decoding:
        """How it decodes where nobody says otherwise."""
        return self.config.decode

    @property
    def fidelity(self) -> float:
        """Back-projection where nobody says otherwise, 0 to 1."""
        return self.config.fidelity


def save(
    model: AlignVar, tokeniser: Tokeniser, folder: Path, *, half: bool = False, facts: dict[str, Any] | None = None
) -> None:
    """Write a model folder; `config.json` comes last, so a folder that has one is whole. `half` stores float16.

    Raises ValueError where the transformer was not made for this tokeniser.
    """
    if tokeniser.config != model.config.tokeniser:
        raise ValueError(f"{model.config.name} is for another tokeniser: {model.config.tokeniser}, {tokeniser.config}")
    folder.mkdir(parents=True, exist_ok=True)
    _write(tokeniser, folder / TOKENISER_FILE, tokeniser.config, half)
    _write(model, folder / MODEL_FILE, model.config, half)
    config = FolderConfig(
        model=model.config,
        sha256={name: _sha256(folder / name) for name in (TOKENISER_FILE, MODEL_FILE)},
        facts=facts or {},
    )
    with replacing(folder / CONFIG_FILE) as temporary:
        temporary.write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def load(folder: Path, device: str | torch.device = "cpu") -> Loaded:
    """A model that `save` wrote, in float32. Raises UserError for a folder that is incomplete, damaged or mixed up."""
    config = read_config(folder)
    for name, expected in config.sha256.items():
        if not (folder / name).is_file():
            raise UserError(f"{str(folder)!r} has no {name}; the model is not whole, get or make it again")
        if _sha256(folder / name) != expected:
            raise UserError(
                f"{str(folder / name)!r} is not the file that {CONFIG_FILE} describes; copy the folder again"
            )
    tokeniser = load_tokeniser(folder)
    if tokeniser.config != config.model.tokeniser:
        raise UserError(
            f"{str(folder)!r} mixes two models: its tokeniser has the scales {list(tokeniser.config.scales)}, "
            f"the transformer expects {list(config.model.tokeniser.scales)}; copy the folder again"
        )
    stored = _config_of(folder / MODEL_FILE, AlignVarConfig)
    for part in ("tokeniser", "transformer", "sca"):
        if wrong := _difference(getattr(stored, part), getattr(config.model, part)):
            raise UserError(
                f"{str(folder / MODEL_FILE)!r} is of another model than {CONFIG_FILE} says: {part}.{wrong}; "
                "copy the folder again"
            )
    with torch.device("meta"):
        model = AlignVar(config.model)
    _read(model, folder / MODEL_FILE)
    sha = hashlib.sha256("".join(sorted(config.sha256.values())).encode()).hexdigest()
    return Loaded(config.model, _ready(tokeniser, device), _ready(model, device), sha, config.facts)


def save_tokeniser(tokeniser: Tokeniser, folder: Path, *, half: bool = False) -> None:
    """Write a tokeniser alone into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(tokeniser, folder / TOKENISER_FILE, tokeniser.config, half)


def load_tokeniser(folder: Path, device: str | torch.device = "cpu") -> Tokeniser:
    """The tokeniser of a folder that `save` or `save_tokeniser` wrote, frozen, in float32. Raises UserError."""
    file = folder / TOKENISER_FILE
    if not file.is_file():
        raise UserError(f"{str(folder)!r} has no {TOKENISER_FILE}; a tokeniser comes from train alignvar-tokenizer")
    with torch.device("meta"):
        tokeniser = Tokeniser(_config_of(file, TokeniserConfig))
    _read(tokeniser, file)
    return _ready(tokeniser, device)


def read_config(folder: Path) -> FolderConfig:
    """`config.json` of a model folder. Raises UserError where there is none, or naming the first wrong field."""
    file = folder / CONFIG_FILE
    try:
        return FolderConfig.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{str(folder)!r} is not an AlignVAR model: it has no {CONFIG_FILE}") from None
    except ValidationError as error:
        raise UserError(f"{str(file)!r} is not the config of an AlignVAR model: {_first(error)}") from None


def _difference(one: BaseModel, other: BaseModel) -> str | None:
    """The first field that differs, with both values; None where all are alike."""
    fields = type(one).model_fields
    name = next((name for name in fields if getattr(one, name) != getattr(other, name)), None)
    return None if name is None else f"{name} is {getattr(one, name)}, not {getattr(other, name)}"


def _write(module: nn.Module, file: Path, config: BaseModel, half: bool) -> None:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    if half:
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    with replacing(file) as temporary:
        # One entry only: safetensors writes several in no fixed order, and the same weights must make the same file.
        save_file(state, temporary, metadata={FORMAT: config.model_dump_json()})


def _config_of(file: Path, kind: type[_C]) -> _C:
    """The configuration that a weight file was written with."""
    try:
        return kind.model_validate_json(_metadata(file))
    except ValidationError as error:
        raise UserError(f"{str(file)!r} is not what its name says, or of another version: {_first(error)}") from None


def _metadata(file: Path) -> str:
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
    except SafetensorError as error:
        raise UserError(
            f"{str(file)!r} can't be read ({file.stat().st_size} bytes): {error}. "
            "It is truncated or not a safetensors file; get or make the model again."
        ) from None
    if FORMAT not in metadata:
        raise UserError(
            f"{str(file)!r} holds no weights of beholder's AlignVAR: it is marked {', '.join(metadata) or 'nothing'}, "
            f"expected {FORMAT}. For weights of VAR: beholder convert alignvar"
        )
    return str(metadata[FORMAT])


def _read(module: nn.Module, file: Path) -> None:
    """Fill a module without memory of its own with the tensors of a file."""
    stored: dict[str, Tensor] = {name: tensor.float() for name, tensor in load_file(file).items()}
    try:
        module.load_state_dict(stored, assign=True)
    except RuntimeError as error:
        raise UserError(f"{str(file)!r} does not fit its own configuration: {' '.join(str(error).split())}") from None


def _ready(module: _M, device: str | torch.device) -> _M:
    return module.to(device).eval().requires_grad_(False)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
