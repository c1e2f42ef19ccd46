"""CLIP ViT-B/16 on ten random 224-pixel crops per picture: how UniQA was published to run. Speed only, random weights.

The text side is fixed while a folder is scored, so it is a constant here: five features, worst to best.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

CROPS = 10
SIDE = 224
THREADS = 2

VIT_B_16 = CLIPVisionConfig(
    hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
    patch_size=16, image_size=SIDE, projection_dim=512,
)  # fmt: skip
"""The published shape: 86 million parameters on the picture side."""

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


class TenCrops:
    """Scores pictures as the mean over `CROPS` random crops of the expected level."""

    def __init__(self, config: CLIPVisionConfig = VIT_B_16) -> None:
        torch.manual_seed(0)
        self.trunk = CLIPVisionModelWithProjection(config)
        self.trunk.eval()  # type: ignore[no-untyped-call]
        text = torch.randn(5, config.projection_dim)
        self.text = text / text.norm(dim=-1, keepdim=True)
        self.levels = torch.linspace(0, 1, 5)
        self.rng = np.random.default_rng(0)

    @torch.inference_mode()
    def score(self, path: Path) -> float:
        """Score of a picture of at least `SIDE` pixels each way, in [0, 1]."""
        rgb = np.asarray(Image.open(path).convert("RGB"))
        tops = self.rng.integers(rgb.shape[0] - SIDE + 1, size=CROPS)
        lefts = self.rng.integers(rgb.shape[1] - SIDE + 1, size=CROPS)
        crops = np.stack([rgb[y : y + SIDE, x : x + SIDE] for y, x in zip(tops, lefts, strict=True)])
        pixels = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        features = self.trunk(pixel_values=pixels).image_embeds
        features = features / features.norm(dim=-1, keepdim=True)
        return float(((100 * features @ self.text.T).softmax(dim=-1) @ self.levels).mean())


def measure(paths: Sequence[Path]) -> tuple[int, float]:
    """Pictures scored and seconds, on `THREADS` threads; loading and one warm-up picture are not counted."""
    torch.set_num_threads(THREADS)
    scorer = TenCrops()
    scorer.score(paths[0])
    start = time.perf_counter()
    for path in paths:
        scorer.score(path)
    return len(paths), time.perf_counter() - start
