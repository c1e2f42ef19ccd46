"""Which 16-bit numbers a device computes fast."""

from __future__ import annotations

import torch

NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")
"""Instructions without which a CPU computes bfloat16 more slowly than float32, by a factor of ten and more."""


def computes_bfloat16(device: str) -> bool:
    """Whether a `cpu` or `cuda` device has instructions for bfloat16."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # older versions of torch can't tell
    return device == "cpu" and any(capabilities.get(name) for name in NATIVE_BFLOAT16)
