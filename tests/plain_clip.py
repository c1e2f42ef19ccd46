"""OpenAI's CLIP and UniQA's head in plain NumPy and float64: what the published code computes, from the formulas.

Nothing of beholder is used here, so that a test against it proves something. The parity fixture of the spec, section 8,
is made here too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

State = dict[str, np.ndarray]

MEAN = np.array([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
STD = np.array([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)


def fixture_shapes(width: int = 64, layers: int = 2, patch: int = 16, side: int = 32) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tiny model: feature and widths 64, context 77, vocabulary 100."""
    shapes: dict[str, tuple[int, ...]] = {
        "visual.conv1.weight": (width, 3, patch, patch),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": ((side // patch) ** 2 + 1, width),
        "visual.proj": (width, 64),
        "token_embedding.weight": (100, 64),
        "positional_embedding": (77, 64),
        "text_projection": (64, 64),
        "logit_scale": (),
    }
    norms = {"visual.ln_pre": width, "visual.ln_post": width, "ln_final": 64}
    for prefix, inner in (("visual.transformer", width), ("transformer", 64)):
        for n in range(layers):
            block = f"{prefix}.resblocks.{n}"
            norms |= {f"{block}.ln_1": inner, f"{block}.ln_2": inner}
            shapes |= {
                f"{block}.attn.in_proj_weight": (3 * inner, inner),
                f"{block}.attn.in_proj_bias": (3 * inner,),
                f"{block}.attn.out_proj.weight": (inner, inner),
                f"{block}.attn.out_proj.bias": (inner,),
                f"{block}.mlp.c_fc.weight": (4 * inner, inner),
                f"{block}.mlp.c_fc.bias": (4 * inner,),
                f"{block}.mlp.c_proj.weight": (inner, 4 * inner),
                f"{block}.mlp.c_proj.bias": (inner,),
            }
    return shapes | {f"{name}.{kind}": (size,) for name, size in norms.items() for kind in ("weight", "bias")}


def fixture_state() -> State:
    """Weights of the spec: 0.1 sin(0.37 j^2 + k), one more for the weights of LayerNorm, and a scale of 100."""
    shapes = fixture_shapes()
    state = {}
    for k, name in enumerate(sorted(shapes)):
        flat = np.arange(int(np.prod(shapes[name]))) % 997
        state[name] = (0.1 * np.sin(0.37 * flat.astype(np.float64) ** 2 + k)).reshape(shapes[name])
        if (".ln_" in name and name.endswith("weight")) or name == "ln_final.weight":
            state[name] += 1
    state["logit_scale"] = np.array(np.log(100.0))
    return {name: value.astype(np.float32) for name, value in state.items()}


def fixture_adapter() -> State:
    j = (np.arange(32 * 64) % 997).astype(np.float64)
    return {
        "adapter.fc.0.weight": (0.1 * np.sin(0.37 * j**2)).reshape(32, 64).astype(np.float32),
        "adapter.fc.2.weight": (0.1 * np.cos(0.37 * j**2)).reshape(64, 32).astype(np.float32),
        "score_level": np.array([0.2, 0.4, 0.6, 0.8, 1.0], np.float32),
    }


def fixture_pixels() -> np.ndarray:
    """The picture of the spec, normalised: (3, 32, 32)."""
    rgb = (0.5 + 0.5 * np.sin(0.05 * np.arange(3 * 32 * 32))).reshape(3, 32, 32)
    return (rgb - MEAN) / STD


def fixture_tokens() -> np.ndarray:
    """The five prompts of the spec as token ids, (5, 77)."""
    tokens = np.zeros((5, 77), np.int64)
    tokens[:, 0], tokens[:, 1], tokens[:, 2] = 1, 10 + np.arange(5), 99
    return tokens


def layer_norm(x: np.ndarray, state: State, name: str) -> np.ndarray:
    spread = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def attention(x: np.ndarray, state: State, name: str, causal: bool) -> np.ndarray:
    length, width = x.shape
    joint = x @ state[f"{name}.in_proj_weight"].T + state[f"{name}.in_proj_bias"]
    heads = width // 64
    q, k, v = (part.reshape(length, heads, 64).transpose(1, 0, 2) for part in np.split(joint, 3, axis=1))
    logits = q @ k.transpose(0, 2, 1) / np.sqrt(64)
    if causal:
        logits = np.where(np.tril(np.ones((length, length), bool)), logits, -np.inf)
    mixed = (softmax(logits) @ v).transpose(1, 0, 2).reshape(length, width)
    return mixed @ state[f"{name}.out_proj.weight"].T + state[f"{name}.out_proj.bias"]


def blocks(x: np.ndarray, state: State, prefix: str, causal: bool) -> np.ndarray:
    n = 0
    while (block := f"{prefix}.resblocks.{n}") + ".ln_1.weight" in state:
        x = x + attention(layer_norm(x, state, f"{block}.ln_1"), state, f"{block}.attn", causal)
        hidden = layer_norm(x, state, f"{block}.ln_2") @ state[f"{block}.mlp.c_fc.weight"].T
        hidden = hidden + state[f"{block}.mlp.c_fc.bias"]
        hidden = hidden / (1 + np.exp(-1.702 * hidden))
        x = x + hidden @ state[f"{block}.mlp.c_proj.weight"].T + state[f"{block}.mlp.c_proj.bias"]
        n += 1
    return x


def image_feature(state: State, pixels: np.ndarray, positions: bool = True) -> np.ndarray:
    """Feature of one normalised picture (3, H, W); `positions` False is the fault that must not come back."""
    kernel = state["visual.conv1.weight"]
    patch, rows, columns = kernel.shape[-1], pixels.shape[1] // kernel.shape[-1], pixels.shape[2] // kernel.shape[-1]
    cells = pixels.reshape(3, rows, patch, columns, patch).transpose(1, 3, 0, 2, 4).reshape(rows * columns, -1)
    x = np.concatenate([state["visual.class_embedding"][None], cells @ kernel.reshape(len(kernel), -1).T])
    if positions:
        x = x + state["visual.positional_embedding"]
    x = blocks(layer_norm(x, state, "visual.ln_pre"), state, "visual.transformer", causal=False)
    return layer_norm(x[0], state, "visual.ln_post") @ state["visual.proj"]


def text_feature(state: State, tokens: np.ndarray) -> np.ndarray:
    """Feature of one text (77,), read at its largest token id."""
    x = state["token_embedding.weight"][tokens] + state["positional_embedding"]
    x = layer_norm(blocks(x, state, "transformer", causal=True), state, "ln_final")
    return x[tokens.argmax()] @ state["text_projection"]


def adapter_change(adapter: State, feature: np.ndarray) -> np.ndarray:
    inner = np.maximum(adapter["adapter.fc.0.weight"] @ feature, 0)
    return np.maximum(adapter["adapter.fc.2.weight"] @ inner, 0)


def logits(state: State, image: np.ndarray, texts: np.ndarray) -> np.ndarray:
    cosine = (texts @ image) / (np.linalg.norm(texts, axis=-1) * np.linalg.norm(image))
    return np.exp(state["logit_scale"]) * cosine


def score(level_logits: np.ndarray, levels: np.ndarray) -> float:
    return float(softmax(level_logits) @ levels)


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def in_doubles(call: Callable[[State], np.ndarray], state: State) -> np.ndarray:
    return call({name: value.astype(np.float64) for name, value in state.items()})
