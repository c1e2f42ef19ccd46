"""VAR in its published layout, as tensors by name and as plain formulas on them: what our model is held against."""

import torch
import torch.nn.functional as F

WIDTHS, CODES, CODE_DIM, SCALES = (32, 32, 64), 16, 4, (1, 2, 4)


def tokeniser_tensors(seed=0):
    make, t = _maker(seed)
    last = len(WIDTHS) - 1

    def res(name, a, b):
        make(f"{name}.norm1", a, norm=True)
        make(f"{name}.conv1", b, a, 3, 3)
        make(f"{name}.norm2", b, norm=True)
        make(f"{name}.conv2", b, b, 3, 3)
        if a != b:
            make(f"{name}.nin_shortcut", b, a, 1, 1)

    def attn(name, c):
        make(f"{name}.norm", c, norm=True)
        make(f"{name}.qkv", 3 * c, c, 1, 1)
        make(f"{name}.proj_out", c, c, 1, 1)

    def middle(name):
        res(f"{name}.block_1", WIDTHS[-1], WIDTHS[-1])
        attn(f"{name}.attn_1", WIDTHS[-1])
        res(f"{name}.block_2", WIDTHS[-1], WIDTHS[-1])

    make("encoder.conv_in", WIDTHS[0], 3, 3, 3)
    inside = WIDTHS[0]
    for i, width in enumerate(WIDTHS):
        for j in range(2):
            res(f"encoder.down.{i}.block.{j}", inside, width)
            inside = width
            if i == last:
                attn(f"encoder.down.{i}.attn.{j}", width)
        if i < last:
            make(f"encoder.down.{i}.downsample.conv", width, width, 3, 3)
    middle("encoder.mid")
    make("encoder.norm_out", WIDTHS[-1], norm=True)
    make("encoder.conv_out", CODE_DIM, WIDTHS[-1], 3, 3)
    make("decoder.conv_in", WIDTHS[-1], CODE_DIM, 3, 3)
    middle("decoder.mid")
    inside = WIDTHS[-1]
    for i in reversed(range(len(WIDTHS))):
        for j in range(3):
            res(f"decoder.up.{i}.block.{j}", inside, WIDTHS[i])
            inside = WIDTHS[i]
            if i == last:
                attn(f"decoder.up.{i}.attn.{j}", inside)
        if i > 0:
            make(f"decoder.up.{i}.upsample.conv", inside, inside, 3, 3)
    make("decoder.norm_out", WIDTHS[0], norm=True)
    make("decoder.conv_out", 3, WIDTHS[0], 3, 3)
    for name in ("quant_conv", "post_quant_conv"):
        make(name, CODE_DIM, CODE_DIM, 3, 3)
    for i in range(4):
        make(f"quantize.quant_resi.qresi_ls.{i}", CODE_DIM, CODE_DIM, 3, 3)
    t["quantize.embedding.weight"] = torch.randn(CODES, CODE_DIM)
    t["quantize.ema_vocab_hit_SV"] = torch.zeros(len(SCALES), CODES)
    return t


def transformer_tensors(depth, width, heads, n_scales, seed=0):
    make, t = _maker(seed)
    make("word_embed", width, CODE_DIM)
    t |= {"class_emb.weight": torch.randn(11, width), "lvl_embed.weight": torch.randn(n_scales, width)}
    t |= {"pos_start": torch.randn(1, 1, width), "pos_1LC": torch.randn(1, 21, width)}
    t |= {"lvl_1L": torch.zeros(1, 21), "attn_bias_for_masking": torch.zeros(1, 1, 21, 21)}
    for i in range(depth):
        at = f"blocks.{i}"
        make(f"{at}.attn.mat_qkv", 3 * width, width)
        del t[f"{at}.attn.mat_qkv.bias"]
        for name in ("q_bias", "v_bias"):
            t[f"{at}.attn.{name}"] = torch.randn(width) * 0.1
        t[f"{at}.attn.zero_k_bias"] = torch.zeros(width)
        t[f"{at}.attn.scale_mul_1H11"] = torch.randn(1, heads, 1, 1) + 1.5
        make(f"{at}.attn.proj", width, width)
        make(f"{at}.ffn.fc1", 4 * width, width)
        make(f"{at}.ffn.fc2", width, 4 * width)
        make(f"{at}.ada_lin.1", 6 * width, width)
    make("head_nm.ada_lin.1", 2 * width, width)
    make("head", CODES, width)
    return t


def encode(t, x):
    x = _conv(t, "encoder.conv_in", x)
    for i in range(len(WIDTHS)):
        for j in range(2):
            x = _attn(t, f"encoder.down.{i}.attn.{j}", _res(t, f"encoder.down.{i}.block.{j}", x))
        if f"encoder.down.{i}.downsample.conv.weight" in t:
            w, b = t[f"encoder.down.{i}.downsample.conv.weight"], t[f"encoder.down.{i}.downsample.conv.bias"]
            x = F.conv2d(F.pad(x, (0, 1, 0, 1)), w, b, stride=2)
    x = _middle(t, "encoder.mid", x)
    return _conv(t, "quant_conv", _conv(t, "encoder.conv_out", F.silu(_norm(t, "encoder.norm_out", x))))


def decode(t, fhat):
    x = _middle(t, "decoder.mid", _conv(t, "decoder.conv_in", _conv(t, "post_quant_conv", fhat)))
    for i in reversed(range(len(WIDTHS))):
        for j in range(3):
            x = _attn(t, f"decoder.up.{i}.attn.{j}", _res(t, f"decoder.up.{i}.block.{j}", x))
        if i > 0:
            x = _conv(t, f"decoder.up.{i}.upsample.conv", x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    return _conv(t, "decoder.conv_out", F.silu(_norm(t, "decoder.norm_out", x)))


def block(t, at, x, condition, heads):
    """One block without positions: its own are added before the first block."""
    gate1, gate2, scale1, scale2, shift1, shift2 = _linear(t, f"{at}.ada_lin.1", F.silu(condition)).chunk(6, -1)
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale1) + shift1
    zeros = torch.zeros_like(t[f"{at}.attn.q_bias"])
    bias = torch.cat([t[f"{at}.attn.q_bias"], zeros, t[f"{at}.attn.v_bias"]])
    qkv = F.linear(normed, t[f"{at}.attn.mat_qkv.weight"], bias)
    q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    scale = t[f"{at}.attn.scale_mul_1H11"].clamp_max(torch.tensor(100.0).log()).exp()
    cosine = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2)
    seen = (scale * cosine).softmax(-1) @ v
    x = x + gate1 * _linear(t, f"{at}.attn.proj", seen.transpose(1, 2).flatten(2))
    normed = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale2) + shift2
    inner = F.gelu(_linear(t, f"{at}.ffn.fc1", normed), approximate="tanh")
    return x + gate2 * _linear(t, f"{at}.ffn.fc2", inner)


def head(t, x, condition):
    scale, shift = _linear(t, "head_nm.ada_lin.1", F.silu(condition)).chunk(2, -1)
    return _linear(t, "head", F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)


def _maker(seed):
    torch.manual_seed(seed)
    t = {}

    def make(name, *shape, norm=False):
        t[f"{name}.weight"] = torch.randn(*shape) * 0.1 + norm
        t[f"{name}.bias"] = torch.randn(shape[0]) * 0.1

    return make, t


def _linear(t, name, x):
    return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])


def _conv(t, name, x):
    weight = t[f"{name}.weight"]
    return F.conv2d(x, weight, t[f"{name}.bias"], padding=weight.shape[-1] // 2)


def _norm(t, name, x):
    return F.group_norm(x, 32, t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6)


def _res(t, name, x):
    inner = _conv(t, f"{name}.conv1", F.silu(_norm(t, f"{name}.norm1", x)))
    inner = _conv(t, f"{name}.conv2", F.silu(_norm(t, f"{name}.norm2", inner)))
    return inner + (_conv(t, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in t else x)


def _attn(t, name, x):
    if f"{name}.qkv.weight" not in t:
        return x
    q, k, v = _conv(t, f"{name}.qkv", _norm(t, f"{name}.norm", x)).flatten(2).chunk(3, dim=1)
    weights = (q.transpose(1, 2) @ k / q.shape[1] ** 0.5).softmax(-1)  # query, key
    return x + _conv(t, f"{name}.proj_out", (v @ weights.transpose(1, 2)).reshape(x.shape))


def _middle(t, name, x):
    return _res(t, f"{name}.block_2", _attn(t, f"{name}.attn_1", _res(t, f"{name}.block_1", x)))
