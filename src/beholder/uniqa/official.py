"""UniQA's published weights, files that a user has, as a model folder of ours (spec, section 8)."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from beholder.errors import UserError
from beholder.scoring.onnx import sha256_of
from beholder.task import LEVELS, Task
from beholder.uniqa.folder import ModelConfig, TaskConfig
from beholder.uniqa.head import Adapter
from beholder.uniqa.hub import not_loaded, why_unreachable
from beholder.uniqa.model import Uniqa
from beholder.uniqa.names import IGNORED, check_names, sizes_of, to_transformers
from beholder.uniqa.prompts import DEFAULT_GROUPS, prompts_of

TOKENIZER = "openai/clip-vit-base-patch16"
"""Where CLIP's tokenizer is found; every CLIP that OpenAI published has the same."""

LICENCE = "research only: CC BY-NC-SA 4.0 and S-Lab, as UniQA's authors publish them"

ADAPTER_NAMES = ("adapter.fc.0.weight", "adapter.fc.2.weight", "score_level")

# What the official loader turns to half precision and back.
ROUNDED = re.compile(r"visual\.conv1\.weight|.*\.(attn|mlp)\..*|visual\.proj|text_projection")


def convert(
    backbone: Path,
    out: Path,
    *,
    adapter: Path | None = None,
    task: Task = "quality",
    groups: Sequence[str] | None = None,
    tokenizer: str = TOKENIZER,
    round_fp16: bool = False,
) -> Uniqa:
    """Read the official files, write a model folder to `out`, and return the model.

    With `adapter` the model scores `task` alone, the one that the adapter was trained for; without it both tasks,
    zero-shot. `groups` are prompt groups; the default ones where None. `tokenizer` is a name on the hub or a folder.
    `round_fp16` rounds weights to half precision as the official loader does. Raises UserError for files that are
    damaged, that hold more than tensors, or that don't fit together.
    """
    prompts_of(groups or DEFAULT_GROUPS[task])
    state = {name: value for name, value in read_tensors(backbone).items() if name not in IGNORED}
    try:
        sizes = sizes_of(state)
        check_names(state, sizes)
    except UserError as error:
        raise UserError(f"{str(backbone)!r} can't be converted: {error}") from None
    known = _read_tokenizer(tokenizer)  # before the work, for it may be out of reach
    if round_fp16:
        state = rounded(state)
    encoder = CLIPModel(sizes.config())
    encoder.load_state_dict(to_transformers({name: tensor.float() for name, tensor in state.items()}))
    head = None if adapter is None else read_adapter(adapter, sizes.feature)
    hidden = None if head is None else head[0].first.out_features
    tasks = {task: TaskConfig(groups=tuple(groups or DEFAULT_GROUPS[task]), hidden=hidden)}
    if head is None:
        tasks = {name: TaskConfig(groups=tuple(groups or own)) for name, own in DEFAULT_GROUPS.items()}
    sources = [path for path in (backbone, adapter) if path is not None]
    config = ModelConfig(
        encoder=encoder.config.to_dict(),
        side=sizes.side,
        tasks=tasks,
        training="By UniQA's authors; converted" + (" and rounded to half precision." if round_fp16 else "."),
        weights_licence=LICENCE,
        source_sha256={path.name: sha256_of(path) for path in sources},
    )
    model = Uniqa(encoder, config, known).eval()
    if head is not None:
        model.adapters[task].load_state_dict(head[0].state_dict())
        model.levels[task].data.copy_(head[1])
    model.save(out)
    return model


def read_tensors(file: Path) -> dict[str, Tensor]:
    """A flat table of tensors from a PyTorch file, read with `weights_only=True`: nothing in it can run."""
    content = _load(file)
    if not isinstance(content, dict) or not content:
        raise UserError(f"{str(file)!r} holds a {type(content).__name__}; a table of tensors by name is needed")
    tensors = {name: torch.as_tensor(value) if name in IGNORED else value for name, value in content.items()}
    if wrong := [str(name) for name, value in tensors.items() if not isinstance(value, Tensor)]:
        raise UserError(
            f"{str(file)!r} is not a flat table of tensors: {', '.join(wrong)} "
            f"{'is' if len(wrong) == 1 else 'are'} something else"
        )
    return tensors


def read_adapter(file: Path, width: int) -> tuple[Adapter, Tensor]:
    """An official adapter and its five level values. Raises UserError if it is not for features of `width`."""
    content = _load(file)
    params = content.get("params") if isinstance(content, dict) else None
    if not isinstance(params, dict) or set(params) != set(ADAPTER_NAMES):
        raise UserError(
            f"{str(file)!r} is not an adapter of UniQA: under 'params' it must hold {', '.join(ADAPTER_NAMES)}; "
            f"it holds {', '.join(map(str, params)) if isinstance(params, dict) else 'no params'}"
        )
    first, second, levels = (params[name].float() for name in ADAPTER_NAMES)
    hidden = first.shape[0]
    shapes = [tuple(tensor.shape) for tensor in (first, second, levels)]
    if shapes != [(hidden, width), (width, hidden), (len(LEVELS),)]:
        raise UserError(
            f"{str(file)!r} does not fit the backbone, whose features are {width} wide: its tensors are "
            f"{', '.join(map(str, shapes))}, where (hidden, {width}), ({width}, hidden), ({len(LEVELS)},) are needed"
        )
    adapter = Adapter(width, hidden)
    adapter.load_state_dict({"first.weight": first, "second.weight": second})
    return adapter, levels


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of convolution, attention, MLP and projections through half precision, as the official loader does."""
    return {name: tensor.half().float() if ROUNDED.fullmatch(name) else tensor for name, tensor in state.items()}


def _load(file: Path) -> Any:
    if not file.is_file():
        raise UserError(f"{str(file)!r} is not a file")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # its message advises to let the file run code
        raise UserError(
            f"{str(file)!r} ({file.stat().st_size} bytes) is not a PyTorch file of tensors alone, so it is not opened: "
            "it is truncated, is something else, or would run code. Get it again from where it was published."
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError):  # how torch says: cut off, or no such file at all
        raise UserError(
            f"{str(file)!r} can't be read ({file.stat().st_size} bytes): it is truncated or not a PyTorch file. "
            "Get it again from where it was published."
        ) from None


def _read_tokenizer(name_or_folder: str) -> Any:
    unreachable = why_unreachable(name_or_folder)
    try:
        return AutoTokenizer.from_pretrained(name_or_folder, local_files_only=unreachable is not None)
    except (OSError, ValueError) as error:
        what = f"tokenizer (--tokenizer, that of {TOKENIZER})"
        raise not_loaded(what, name_or_folder, unreachable, error) from error
