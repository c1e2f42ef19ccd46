"""One CLIP, two sets of names: OpenAI's, which UniQA's published weights and open_clip use, and those of transformers.

Besides the names, `transformers` splits the joint projection of attention in three, and stores two matrices transposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPConfig

from beholder.errors import UserError

IGNORED = ("input_resolution", "context_length", "vocab_size")
"""Numbers that some files hold beside the weights."""

HEAD_WIDTH = 64
"""Channels of an attention head, in every CLIP that OpenAI published."""

# OpenAI's name, that of transformers, and whether the matrix is transposed between the two.
WHOLE = (
    ("logit_scale", "logit_scale", False),
    ("text_projection", "text_projection.weight", True),
    ("visual.proj", "visual_projection.weight", True),
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight", False),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight", False),
    ("ln_final.weight", "text_model.final_layer_norm.weight", False),
    ("ln_final.bias", "text_model.final_layer_norm.bias", False),
    ("visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight", False),
    ("visual.class_embedding", "vision_model.embeddings.class_embedding", False),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight", False),
    ("visual.ln_pre.weight", "vision_model.pre_layrnorm.weight", False),
    ("visual.ln_pre.bias", "vision_model.pre_layrnorm.bias", False),
    ("visual.ln_post.weight", "vision_model.post_layernorm.weight", False),
    ("visual.ln_post.bias", "vision_model.post_layernorm.bias", False),
)
TOWERS = (("visual.transformer.resblocks", "vision_model"), ("transformer.resblocks", "text_model"))
BLOCK = (
    ("attn.out_proj", "self_attn.out_proj"),
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
)
THIRDS = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True)
class Sizes:
    """Everything that OpenAI's CLIP with a vision transformer leaves open."""

    feature: int
    """Width of the space that pictures and texts share."""
    width: int
    layers: int
    patch: int
    side: int
    """Pixels of the square input."""
    text_width: int
    text_layers: int
    context: int
    """Tokens of a text."""
    vocabulary: int

    def config(self) -> CLIPConfig:
        """The same for `transformers`."""

        def tower(width: int, layers: int) -> dict[str, int | str]:
            return {
                "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
                "num_attention_heads": width // HEAD_WIDTH, "projection_dim": self.feature, "hidden_act": "quick_gelu",
            }  # fmt: skip

        end = self.vocabulary - 1  # OpenAI reads a text's feature where the id is largest, which is its end
        return CLIPConfig(
            projection_dim=self.feature,
            vision_config={**tower(self.width, self.layers), "patch_size": self.patch, "image_size": self.side},
            text_config={
                **tower(self.text_width, self.text_layers), "vocab_size": self.vocabulary,
                "max_position_embeddings": self.context, "bos_token_id": end - 1, "eos_token_id": end,
                "pad_token_id": end,
            },
        )  # fmt: skip

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor under OpenAI's names."""
        positions = (self.side // self.patch) ** 2 + 1
        found: dict[str, tuple[int, ...]] = {
            "logit_scale": (),
            "text_projection": (self.text_width, self.feature),
            "token_embedding.weight": (self.vocabulary, self.text_width),
            "positional_embedding": (self.context, self.text_width),
            "visual.proj": (self.width, self.feature),
            "visual.conv1.weight": (self.width, 3, self.patch, self.patch),
            "visual.class_embedding": (self.width,),
            "visual.positional_embedding": (positions, self.width),
        }
        norms = [("ln_final", self.text_width), ("visual.ln_pre", self.width), ("visual.ln_post", self.width)]
        towers = ((self.width, self.layers), (self.text_width, self.text_layers))
        for (prefix, _), (width, layers) in zip(TOWERS, towers, strict=True):
            for n in range(layers):
                block = f"{prefix}.{n}"
                norms += [(f"{block}.ln_1", width), (f"{block}.ln_2", width)]
                for name, rows, columns in (
                    ("attn.in_proj_", 3 * width, width),
                    ("attn.out_proj.", width, width),
                    ("mlp.c_fc.", 4 * width, width),
                    ("mlp.c_proj.", width, 4 * width),
                ):
                    found |= {f"{block}.{name}weight": (rows, columns), f"{block}.{name}bias": (rows,)}
        for name, width in norms:
            found |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
        return found


def sizes_of(state: Mapping[str, Tensor]) -> Sizes:
    """Sizes of a CLIP under OpenAI's names, read from shapes. Raises UserError where it is another kind of model."""
    if any(name.startswith("visual.layer1.") for name in state):
        raise UserError("the picture side is a ResNet; beholder converts vision transformers, such as ViT-B/16")
    try:
        conv, positions = state["visual.conv1.weight"].shape, state["visual.positional_embedding"].shape[0]
        vocabulary, text_width = state["token_embedding.weight"].shape
        feature = state["text_projection"].shape[1]
        context = state["positional_embedding"].shape[0]
        patch = conv[3]
    except KeyError as error:
        raise UserError(f"no tensor {error.args[0]!r}: this is not a CLIP under OpenAI's names") from None
    except (IndexError, ValueError):
        raise UserError("a tensor of the embeddings has the wrong number of axes: this is not OpenAI's CLIP") from None
    return Sizes(
        feature=feature, width=conv[0], layers=_layers(state, TOWERS[0][0]), patch=patch,
        side=round((positions - 1) ** 0.5) * patch, text_width=text_width,
        text_layers=_layers(state, TOWERS[1][0]), context=context, vocabulary=vocabulary,
    )  # fmt: skip


def check_names(state: Mapping[str, Tensor], sizes: Sizes) -> None:
    """Raise one UserError that lists every tensor that is missing, too many, or of the wrong shape."""
    wanted = sizes.shapes()
    problems = [f"missing {name}" for name in sorted(wanted.keys() - state.keys())]
    problems += [f"extra {name}" for name in sorted(state.keys() - wanted.keys())]
    problems += [
        f"{name} is {tuple(state[name].shape)}, must be {shape}"
        for name, shape in sorted(wanted.items())
        if name in state and tuple(state[name].shape) != shape
    ]
    if problems:
        raise UserError(f"{len(problems)} tensors are not as in OpenAI's CLIP: {'; '.join(problems)}")


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's names -> those of `transformers.CLIPModel`. `state` must have passed `check_names`."""
    found = {theirs: _turned(state[ours], turn) for ours, theirs, turn in WHOLE}
    for ours, theirs, kind in _blocks(state):
        for old, new in BLOCK:
            found[f"{theirs}.{new}.{kind}"] = state[f"{ours}.{old}.{kind}"]
        for third, part in zip(THIRDS, state[f"{ours}.attn.in_proj_{kind}"].chunk(3), strict=True):
            found[f"{theirs}.self_attn.{third}.{kind}"] = part
    return {name: tensor.contiguous() for name, tensor in found.items()}


def to_openai(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_transformers`."""
    found = {ours: _turned(state[theirs], turn) for ours, theirs, turn in WHOLE}
    for ours, theirs, kind in _blocks(state):
        for old, new in BLOCK:
            found[f"{ours}.{old}.{kind}"] = state[f"{theirs}.{new}.{kind}"]
        parts = [state[f"{theirs}.self_attn.{third}.{kind}"] for third in THIRDS]
        found[f"{ours}.attn.in_proj_{kind}"] = torch.cat(parts)
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _blocks(state: Mapping[str, Tensor]) -> Iterator[tuple[str, str, str]]:
    """Of every block in `state`, under either names: OpenAI's prefix, that of transformers, and `weight` or `bias`."""
    for prefix, tower in TOWERS:
        other = f"{tower}.encoder.layers"
        for n in range(_layers(state, prefix) or _layers(state, other)):
            for kind in ("weight", "bias"):
                yield f"{prefix}.{n}", f"{other}.{n}", kind


def _turned(tensor: Tensor, turn: bool) -> Tensor:
    return tensor.T if turn else tensor


def _layers(state: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {name.removeprefix(f"{prefix}.").split(".")[0] for name in state if name.startswith(f"{prefix}.")}
    return max((int(number) + 1 for number in numbers if number.isdigit()), default=0)
