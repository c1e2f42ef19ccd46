"""VAR's published weights, files that a user has, as the start of a d24 model (spec, sections 2 to 4).

Of VAR's transformer everything that depends on neither classes nor absolute positions is kept; what reads the LR
picture is new and random, so the result is where training starts and not yet an upscaler.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from beholder.alignvar.config import SIZES, AlignVarConfig
from beholder.alignvar.folder import save
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.transformer import AlignVar
from beholder.errors import UserError

LICENCE = "MIT, as VAR's authors publish them; trained on ImageNet"

_TOKENISER_NAMES = (
    (r"quantize\.embedding\.weight", "pyramid.codebook"),
    (r"quantize\.quant_resi\.qresi_ls\.", "pyramid.phi."),
    (r"^quant_conv\.", "encoder.quant."),
    (r"^post_quant_conv\.", "decoder.post_quant."),
    (r"\.(?:down|up)\.(\d+)\.", r".levels.\1."),
    (r"\.block\.", ".blocks."),
    (r"\.attn\.", ".attentions."),
    (r"\.(?:downsample|upsample)\.", ".resample."),
    (r"\.mid\.block_1\.", ".middle.0."),
    (r"\.mid\.attn_1\.", ".middle.1."),
    (r"\.mid\.block_2\.", ".middle.2."),
    (r"\.nin_shortcut\.", ".skip."),
    (r"\.proj_out\.", ".proj."),
)
_TOKENISER_DROPPED = r"quantize\.ema_vocab_hit_SV"
_TOKENISER_NEW = r"latent_std"

_TRANSFORMER_NAMES = (
    (r"^word_embed\.", "word."),
    (r"^lvl_embed\.", "level."),
    (r"^head_nm\.ada_lin\.1\.", "head_modulation."),
    (r"\.attn\.scale_mul_1H11$", ".attention.log_scale"),
    (r"\.attn\.mat_qkv\.", ".attention.qkv."),
    (r"\.attn\.", ".attention."),
    (r"\.ffn\.fc1\.", ".mlp.0."),
    (r"\.ffn\.fc2\.", ".mlp.2."),
    (r"\.ada_lin\.1\.", ".modulation."),
)
_TRANSFORMER_DROPPED = (
    r"class_emb\.weight|pos_start|pos_1LC|lvl_1L|attn_bias_for_masking|blocks\.\d+\.attn\.zero_k_bias"
)
_TRANSFORMER_NEW = r"(lr_encoder|gate)\..*|positions|label\.weight"


@dataclass(frozen=True)
class Report:
    """What became of each tensor. `loaded` and `new` are names of ours, `dropped` of VAR's."""

    loaded: tuple[str, ...]
    dropped: tuple[str, ...]
    new: tuple[str, ...]


def convert(
    tokeniser_file: Path,
    transformer_file: Path,
    out: Path,
    *,
    config: AlignVarConfig | None = None,
    half: bool = False,
    seed: int = 0,
) -> tuple[Report, Report]:
    """Write a model folder to `out` from VAR's tokeniser and transformer; the reports are of these two.

    `config` is d24 by default; `seed` is of the weights that are new. Raises UserError for files that are damaged, hold
    more than tensors, or are of another size, and for an `out` that holds something.
    """
    config = config or SIZES["d24"]
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{str(out)!r} is not an empty folder; name a new one")
    states = [read_tensors(file) for file in (tokeniser_file, transformer_file)]  # before a large model is made
    torch.manual_seed(seed)
    tokeniser, model = Tokeniser(config.tokeniser), AlignVar(config)
    reports = []
    loads = (load_tokeniser_weights, load_transformer_weights)
    for load, module, state, file in zip(
        loads, (tokeniser, model), states, (tokeniser_file, transformer_file), strict=True
    ):
        try:
            reports.append(load(module, state))  # type: ignore[operator]
        except UserError as error:
            raise UserError(f"{str(file)!r} can't be converted to {config.name}: {error}") from None
    facts = {
        "training": "VAR's weights converted; what reads the LR picture is random: a start for training",
        "new": [*reports[0].new, *reports[1].new],
        "weights_licence": LICENCE,
        "source_sha256": {file.name: _sha256(file) for file in (tokeniser_file, transformer_file)},
    }
    save(model, tokeniser, out, half=half, facts=facts)
    return reports[0], reports[1]


def load_tokeniser_weights(tokeniser: Tokeniser, state: dict[str, Tensor]) -> Report:
    """Fill a tokeniser of kind `var` with tensors under VAR's names. Raises UserError where they don't fit."""
    return _load(tokeniser, state, _TOKENISER_NAMES, _TOKENISER_DROPPED, _TOKENISER_NEW)


def load_transformer_weights(model: AlignVar, state: dict[str, Tensor]) -> Report:
    """Fill what a model shares with VAR with tensors under VAR's names. Raises UserError where they don't fit."""
    state = {name: tensor.flatten() if name.endswith(".scale_mul_1H11") else tensor for name, tensor in state.items()}
    return _load(model, state, _TRANSFORMER_NAMES, _TRANSFORMER_DROPPED, _TRANSFORMER_NEW)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """A flat table of tensors from a PyTorch file, read with `weights_only=True`: nothing in it can run."""
    if not file.is_file():
        raise UserError(f"{str(file)!r} is not a file")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError):
        raise UserError(
            f"{str(file)!r} ({file.stat().st_size} bytes) is not a PyTorch file of tensors alone: it is truncated, is "
            "something else, or would run code. Get it again from where it was published."
        ) from None
    if not isinstance(content, dict) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise UserError(f"{str(file)!r} is not a flat table of tensors by name, as VAR's are published")
    return {str(name): tensor for name, tensor in content.items()}


def _load(
    module: nn.Module, state: dict[str, Tensor], names: Iterable[tuple[str, str]], dropped: str, new: str
) -> Report:
    names = tuple(names)
    gone = tuple(name for name in state if re.fullmatch(dropped, name))
    renamed = {_renamed(name, names): tensor.float() for name, tensor in state.items() if name not in gone}
    own = module.state_dict()
    fresh = tuple(name for name in own if re.fullmatch(new, name))
    expected = set(own) - set(fresh)
    if missing := sorted(expected - set(renamed)):
        raise UserError(f"{len(missing)} tensors are missing: {_some(missing)}")
    if extra := sorted(set(renamed) - expected):
        raise UserError(f"{len(extra)} tensors have no place: {_some(extra)}")
    if wrong := [name for name in sorted(expected) if own[name].shape != renamed[name].shape]:
        name = wrong[0]
        raise UserError(
            f"{len(wrong)} tensors are of another size, {name} for one: {list(renamed[name].shape)}, "
            f"{list(own[name].shape)} is needed"
        )
    module.load_state_dict(renamed, strict=False)
    return Report(tuple(sorted(expected)), gone, fresh)


def _renamed(name: str, names: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in names:
        name = re.sub(pattern, replacement, name)
    return name


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
